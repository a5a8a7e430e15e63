# Generated from book/worlds/experts.md by make sync. Edit the chapter, not this file.
"""Script an expert and spoil it.

A proportional controller that never fails, noise that makes it fail about as
often as the published one, and a policy that does nothing on purpose.
"""

__all__ = [
    "RandomPolicy",
    "random_policy",
    "ReachExpert",
    "EXPERTS",
    "expert",
    "Noisy",
]


# book/worlds/experts.md, section "Script an expert and spoil it"
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smore_lit.worlds.tasks import Task
from smore_lit.worlds.environments import resolve


# book/worlds/experts.md, section "A policy is a factory"
@dataclass(frozen=True)
class RandomPolicy:
    """Draw every action component from U(-1, 1)."""

    action_size: int

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return lambda observation, goal: rng.uniform(-1, 1, self.action_size)


def random_policy(task: Task) -> RandomPolicy:
    """Return the uniform policy of `task`."""
    return RandomPolicy(task.action_size)


# book/worlds/experts.md, section "A controller from one number"
@dataclass(frozen=True)
class ReachExpert:
    """Move the gripper toward the goal in proportion to the distance."""

    gain: float = 0.4  # k; 1.5 would be the quickest, see the chapter
    delta: float = 0.05  # metres of command per unit of action

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return the clipped proportional command, fingers at rest."""
        action = np.zeros(4)
        action[:3] = self.gain * (goal - observation[:3]) / self.delta
        return action.clip(-1, 1)


# book/worlds/experts.md, section "A controller from one number"
EXPERTS = {  # task: a policy, or where to find one or its class
    "FetchReach": ReachExpert(),
    "FetchPush": "smore_lit.worlds.pushing:PushExpert",
    "FetchPick": "smore_lit.worlds.pushing:PickExpert",
    "FetchSlide": "smore_lit.worlds.pushing:SlideExpert",
    "HandReach": "smore_lit.worlds.hand:HandExpert",
    "PointReach": "smore_lit.worlds.points:PointExpert",
    "PointRooms": "smore_lit.worlds.points:RoomsExpert",
    "Reacher": "smore_lit.worlds.inverse_kinematics:ReacherExpert",
    "ReacherBlind": "smore_lit.worlds.inverse_kinematics:ReacherExpert",
    "SawyerDoor": "smore_lit.worlds.inverse_kinematics:DoorExpert",
    "SawyerReach": "smore_lit.worlds.inverse_kinematics:HandExpert",
}


def expert(task: Task) -> Callable:
    """Return the noiseless expert policy of `task`.

    Raises:
        ValueError: no expert is known for the task.
    """
    if task.base not in EXPERTS:
        raise ValueError(
            f"no expert for {task.name}; known: {', '.join(EXPERTS)};"
            " random data need none: expert_percent=0 (--expert-percent 0)"
        )
    policy = EXPERTS[task.base]
    if isinstance(policy, str):
        policy = resolve(policy)
    return policy() if isinstance(policy, type) else policy


# book/worlds/experts.md, section "The noise of the benchmark"
@dataclass(frozen=True)
class Noisy:
    """Spoil a policy with Gaussian noise and uniform actions.

    Args:
        policy: the policy to spoil.
        sigma: standard deviation of the noise, in units of action.
        uniform: probability of a wholly uniform action instead.

    Source: behaviour noise of the WGCSL data (Yang et al. 2022).
    """

    policy: Callable
    sigma: float = 0.2
    uniform: float = 0.3

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        clean = self.policy(rng)

        def act(observation, goal):
            action = clean(observation, goal)
            noise = self.sigma * rng.standard_normal(action.shape)
            action = (action + noise).clip(-1, 1)
            if rng.random() < self.uniform:
                action = rng.uniform(-1, 1, action.shape)
            return action

        return act
