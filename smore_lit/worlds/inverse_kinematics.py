# Generated from book/worlds/inverse_kinematics.md by make sync. Edit the chapter, not this file.
"""Experts for Reacher and Sawyer: from the goal to joints, hand and hook.

Three scripted experts: two links solved in closed form, a hand that the
simulator solves, and a finger that stops a door that coasts.
"""

__all__ = [
    "LINKS",
    "solve_links",
    "ReacherExpert",
    "HandExpert",
    "HOOK",
    "BAR",
    "PANEL",
    "RADIUS",
    "find_contacts",
    "to_polar",
    "from_polar",
    "DoorExpert",
]


# book/worlds/inverse_kinematics.md, section "Experts for Reacher and Sawyer: from the goal to joints, hand and hook"
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smore_lit.worlds.sawyer import HINGE, REACH


# book/worlds/inverse_kinematics.md, section "Reacher: solve two links"
LINKS = (0.1, 0.11)  # metres


def solve_links(goal, angles):
    """Return the joint motion (2,), rad, that brings the tip to `goal`.

    Args:
        goal: place of the tip (2,), metres from the shoulder.
        angles: joint angles now (2,), radians.

    Source: law of cosines.
    """
    near, far = LINKS
    cosine = (goal @ goal - near**2 - far**2) / (2 * near * far)
    bend = np.arccos(np.clip(cosine, -1, 1))
    moves = []
    for elbow in (bend, -bend):
        lean = np.arctan2(far * np.sin(elbow), near + far * np.cos(elbow))
        turn = np.arctan2(goal[1], goal[0]) - lean - angles[0]
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        moves.append(np.array([turn, elbow - angles[1]]))
    return min(moves, key=lambda move: np.abs(move).max())


# book/worlds/inverse_kinematics.md, section "Reacher: torque"
@dataclass(frozen=True)
class ReacherExpert:
    """Turn both joints toward the solution of the two links."""

    stiffness: float = 0.8  # k_p, torque per radian
    damping: float = 0.18  # k_d, torque per radian and second

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (2,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return the clipped torques; reads 11 numbers or the blind 8."""
        angles = np.arctan2(observation[2:4], observation[:2])
        speeds = observation[-5:-3] if len(observation) == 11 else (
            observation[-4:-2]
        )
        move = solve_links(np.asarray(goal), angles)
        torque = self.stiffness * move - self.damping * speeds
        return torque.clip(-1, 1)


# book/worlds/inverse_kinematics.md, section "SawyerReach: the weld solves"
@dataclass(frozen=True)
class HandExpert:
    """Move the hand of SawyerReach toward the goal."""

    gain: float = 0.11  # 1 would be the quickest

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (3,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return the clipped proportional command."""
        return (self.gain * (goal - observation) / REACH).clip(-1, 1)


# book/worlds/inverse_kinematics.md, section "SawyerDoor: a finger in the gap"
HOOK = (0.0, 0.0485)  # metres from the hand to the middle of its far finger
BAR, PANEL = 0.05, 0.01  # metres before the hinge's plane: back, front
RADIUS = 0.275  # metres from the hinge, where the finger pulls


def find_contacts(angle: float) -> tuple[float, float]:
    """Return how far the finger leads the door, rad, at (bar, panel)."""
    half = 0.0055 * np.cos(angle) + 0.015 * np.sin(angle)
    bar = np.arcsin((BAR - half) / RADIUS)
    return bar, np.arcsin((PANEL + half) / RADIUS)


def to_polar(place) -> tuple[float, float]:
    """Return (angle, radius) about the hinge of the finger of a hand."""
    x, y = place[:2] + np.array(HOOK) - HINGE
    return np.arctan2(-y, -x), np.hypot(x, y)


def from_polar(angle: float, radius: float) -> np.ndarray:
    """Return where the hand is, (2,), when its finger is there."""
    out = radius * np.array([np.cos(angle), np.sin(angle)])
    return np.array(HINGE) - out - HOOK


# book/worlds/inverse_kinematics.md, section "SawyerDoor: stop a door that coasts"
@dataclass(frozen=True)
class DoorExpert:
    """Lower a finger behind the bar, then pull the door to its angle."""

    far: tuple[float, float] = (0.6, 0.2)  # gains: clearance, error
    near: tuple[float, float] = (0.3, 0.07)
    border: float = 0.06  # radians of error between far and near
    follow: float = 0.2  # share of the door's own motion
    bound: float = 0.05  # radians per decision, of each term
    rest: float = 0.01  # radians

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (3,) for one episode."""
        before: list[float] = []

        def act(observation, goal):
            speed = observation[3] - before[-1] if before else 0.0
            before[:] = [observation[3]]
            target = self.choose(observation, goal[0], speed)
            return ((target - observation[:3]) / REACH).clip(-1, 1)

        return act

    def choose(self, observation, goal, speed):
        """Return where the hand should be (3,), by phase."""
        angle = observation[3]
        finger, radius = to_polar(observation[:3])
        bar, panel = find_contacts(angle)
        middle = angle + (bar + panel) / 2
        aside = max(abs(finger - middle) * RADIUS - 0.012,
                    abs(radius - RADIUS) - 0.03)
        if observation[2] > 0.18:  # not lowered yet
            height = 0.15 if aside < 0 else 0.225
            return np.array([*from_polar(middle, RADIUS), height])
        if aside > 0.02:  # lowered in a wrong place
            return np.array([*observation[:2], 0.25])
        finger += self.advance(goal - angle, speed, finger - angle,
                               bar, panel)
        return np.array([*from_polar(finger, RADIUS), 0.15])

    def advance(self, error, speed, lead, bar, panel):
        """Return how far the finger goes round, radians."""
        if abs(error) < self.rest and abs(speed) < 0.004:
            return 0.0
        cross, pull = self.far if abs(error) > self.border else self.near
        low, high = (0, self.bound) if error > 0 else (-self.bound, 0)
        way = np.clip((bar if error > 0 else panel) - lead, low, high)
        step = cross * way + self.follow * speed
        step += np.clip(pull * error, low, high)
        return np.clip(step, -0.07, 0.07)
