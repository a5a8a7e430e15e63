# Generated from book/worlds/hand.md by make sync. Edit the chapter, not this file.
"""HandReach: bring five fingertips to their places.

An expert by inverse kinematics, for a hand whose springs sag and whose fingers
touch.
"""

__all__ = [
    "HAND_GOAL",
    "HAND_HISTORY",
    "HAND_DIFFERENCES",
    "HAND_REACH",
    "FAMILY",
    "TIPS",
    "COUPLING",
    "hand_file",
    "Hand",
    "load_hand",
    "find_touches",
    "step_in_box",
    "solve_pose",
    "HandExpert",
    "HandEpisode",
]


# book/worlds/hand.md, section "HandReach: bring five fingertips to their places"
import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smore_lit.worlds.tasks import Reference, Task


# book/worlds/hand.md, section "The task in numbers"
HAND_GOAL = (
    "a finger f other than the thumb and a point p = palm + (0, -0.09, 0.05)"
    " + N(0, 0.005^2)^3; f and thumb 0.005 m before p, each from its own "
    "side, the others where they start; with probability 0.1 all where they "
    "start"
)
HAND_HISTORY = (
    "v0: mujoco-py; the version of the paper and of the published data",
    "v1: MuJoCo's own Python bindings",
    "v2: reset restores the whole state, but starts elsewhere; broken",
    "v3: starts where the documentation says; ours, at MuJoCo 3.3.0",
)
HAND_DIFFERENCES = (
    "MuJoCo 3.3.0 in place of 2.x under mujoco-py: contacts differ "
    "slightly, so we make our data in the environment that we judge in",
    "the paper's text does not say whether its 1 cm is for each finger; "
    "in its simulator and ours it bounds the norm over all five",
    "the published data hold 49 actions per episode, ours 50",
)


# book/worlds/hand.md, section "The task in numbers"
HAND_REACH = Task(
    name="HandReach",
    env_id="HandReach-v3",
    observation_size=63,
    goal_size=15,
    action_size=20,
    goal_index=tuple(range(48, 63)),
    threshold=0.01,
    success_threshold=0.01,
    horizon=50,
    source="Plappert et al. 2018; gymnasium-robotics HandReach-v3",
    simulators=("mujoco", "gymnasium-robotics"),
    expert="smore_lit.worlds.hand:HandExpert",
    paper_episodes=40_000,
    cpu_episodes=8_000,
    reference=Reference(
        observation=(
            (24, "joint positions", "rad"),
            (24, "joint velocities", "rad/s"),
            (15, "fingertips: first, middle, ring, little, thumb", "m"),
        ),
        action=(
            (2, "wrist joints at the upper end of their range", "rad"),
            (13, "joints of the four fingers, likewise", "rad"),
            (5, "joints of the thumb, likewise", "rad"),
        ),
        goal=HAND_GOAL,
        start="the same pose in every episode, at rest",
        history=HAND_HISTORY,
        differences=HAND_DIFFERENCES,
    ),
)
FAMILY = (HAND_REACH,)


# book/worlds/hand.md, section "Read the hand's geometry"
TIPS = ("ff", "mf", "rf", "lf", "th")  # fore, middle, ring, little, thumb
COUPLING = 0.00805 / 0.00705  # the outermost joint against the one before


def hand_file() -> Path:
    """Return the file of the hand's model.

    Raises:
        ValueError: gymnasium-robotics, which holds it, is not installed.
    """
    spec = importlib.util.find_spec("gymnasium_robotics")
    if spec is None or spec.origin is None:
        raise ValueError(
            "the hand's expert needs the hand's model: "
            'pip install "smore_lit[robotics]"'
        )
    return Path(spec.origin).parent / "envs/assets/hand/reach.xml"


# book/worlds/hand.md, section "Read the hand's geometry"
class Hand:
    """Place a private copy of the hand and read its geometry."""

    def __init__(self):
        import mujoco

        self.mujoco = mujoco
        self.model = mujoco.MjModel.from_xml_path(str(hand_file()))
        self.data = mujoco.MjData(self.model)
        self.sites = [self.model.site(f"robot0:S_{t}tip").id for t in TIPS]
        self.joints = self.model.actuator_trnid[:, 0]
        self.low, self.high = self.model.actuator_ctrlrange.T
        self.stiffness = self.model.actuator_gainprm[:, 0]
        self.follow = np.zeros((24, 20))  # C
        self.follow[self.joints, np.arange(20)] = 1.0
        for finger in ("FF", "MF", "RF", "LF"):
            motor = self.model.actuator(f"robot0:A_{finger}J1").id
            self.follow[self.joints[motor] + 1, motor] = COUPLING

    def place(self, angles):
        """Put the hand at rest at joint angles (24,)."""
        self.data.qpos[:] = angles
        self.mujoco.mj_fwdPosition(self.model, self.data)

    def tips(self):
        """Return the fingertips (15,) in metres."""
        return self.data.site_xpos[self.sites].ravel()

    def jacobian(self):
        """Return the fingertips' derivative by the motors, (15, 20)."""
        full = np.zeros((15, 24))
        for i, site in enumerate(self.sites):
            rows = full[3 * i : 3 * i + 3]
            self.mujoco.mj_jacSite(self.model, self.data, rows, None, site)
        return full @ self.follow

    def sag(self):
        """Return what the springs must be told in excess, (20,) radians."""
        self.mujoco.mj_fwdVelocity(self.model, self.data)
        return self.data.qfrc_bias @ self.follow / self.stiffness


@functools.cache
def load_hand() -> Hand:
    """Return this process's private hand."""
    return Hand()


# book/worlds/hand.md, section "Read the hand's geometry"
def find_touches(hand: Hand):
    """Return rows (k, 20) that part touching bodies, and depths (k,)."""
    inside = [touch for touch in hand.data.contact if touch.dist < 0]
    rows = np.zeros((len(inside), 24))
    for row, touch in zip(rows, inside, strict=True):
        for geom, sign in ((touch.geom1, -1), (touch.geom2, 1)):
            body = hand.model.geom_bodyid[geom]
            jac = np.zeros((3, 24))
            hand.mujoco.mj_jac(
                hand.model, hand.data, jac, None, touch.pos, body
            )
            row += sign * touch.frame[:3] @ jac
    return rows @ hand.follow, -np.array([touch.dist for touch in inside])


# book/worlds/hand.md, section "Solve inside a box"
def step_in_box(A, e, low, high, damping: float):
    r"""Return the short step with $A d \approx e$ inside a box.

    Args:
        A: derivative, (m, n).
        e: what is missing, (m,).
        low, high: bounds of the step, (n,), at most and at least zero.
        damping: lambda; the larger, the shorter the step.

    Returns:
        The minimiser d, shape (n,), within the bounds.

    Source: Stark and Parker 1995, bounded-variable least squares.
    """
    H, b = A.T @ A + damping**2 * np.eye(A.shape[1]), A.T @ e
    d = np.zeros(len(b)).clip(low, high)
    free = np.ones(len(b), bool)
    for _ in range(5 * len(b)):
        walls = H[np.ix_(free, ~free)] @ d[~free]
        move = np.zeros(len(b))
        move[free] = np.linalg.solve(H[np.ix_(free, free)], b[free] - walls)
        move[free] -= d[free]
        room = np.where(move > 0, high - d, low - d)
        part = np.ones(len(b))
        np.divide(room, move, out=part, where=move != 0)
        d = (d + min(1.0, part.min()) * move).clip(low, high)
        if part.min() < 1:
            free &= part > part.min()
            continue
        pull = np.where(free | (low == high), 0.0, b - H @ d)
        pull[(d <= low) & (pull < 0) | (d >= high) & (pull > 0)] = 0.0
        if not pull.any():
            break
        free[np.abs(pull).argmax()] = True
    return d


# book/worlds/hand.md, section "Fingers are not points"
def solve_pose(
    hand: Hand, angles, goal, press: float = 0.8, iterations: int = 8
):
    """Return motor angles (20,) that bring the fingertips near `goal`.

    Args:
        hand: the copy to compute with; it is left in some pose.
        angles: joint angles to start from, (24,).
        goal: fingertips, (15,) in metres.
        press: weight p of touching depths beside distances.
        iterations: steps at most.

    Returns:
        The best pose met, within the motors' ranges.
    """
    pose = angles[hand.joints].clip(hand.low, hand.high)
    band = angles - hand.follow @ angles[hand.joints]
    best, least = pose, np.inf
    for _ in range(iterations + 1):
        hand.place(hand.follow @ pose + band)
        rows, depths = find_touches(hand)
        e = np.append(goal - hand.tips(), press * depths)
        miss = float(np.linalg.norm(e))
        if miss < least:
            best, least = pose, miss
        if miss < 5e-4:
            break
        A = np.vstack([hand.jacobian(), press * rows])
        box = hand.low - pose, hand.high - pose
        pose = pose + step_in_box(A, e, *box, damping=0.01)
        pose = pose.clip(hand.low, hand.high)
    return best


# book/worlds/hand.md, section "The expert"
@dataclass(frozen=True)
class HandExpert:
    """Solve for the pose once, then pull the springs toward it."""

    press: float = 0.8  # p
    lead: float = 2.0  # kappa, radians of command per radian missing
    foresight: float = 0.02  # tau, seconds
    gain: float = 0.05  # part of a step added to w
    near: float = 0.0085  # metres; nearer than this w keeps still
    rest: float = 0.2  # radians per second; faster is not at rest

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (20,) for one episode."""
        return HandEpisode(self)


class HandEpisode:
    """Bring the fingertips to one goal, for one episode."""

    def __init__(self, settings: HandExpert):
        self.settings = settings
        self.pose = None

    def __call__(self, observation, goal):
        """Return the action (20,), see the equation of the chapter."""
        hand, s = load_hand(), self.settings
        observation = np.asarray(observation, dtype=np.float64)
        angles, speed = observation[:24], observation[24:48]
        if self.pose is None:
            self.pose = solve_pose(hand, angles, goal, s.press)
            away = self.pose - angles[hand.joints]
            hand.place(angles + hand.follow @ away)
            self.command = self.pose + hand.sag()
        miss = goal - observation[48:]
        if np.abs(speed).max() < s.rest and np.linalg.norm(miss) > s.near:
            self.correct(hand, angles, miss)
        ahead = (angles + s.foresight * speed)[hand.joints]
        command = self.command + s.lead * (self.pose - ahead)
        middle = (hand.low + hand.high) / 2
        return ((command - middle) / (hand.high - middle)).clip(-1, 1)

    def correct(self, hand, angles, miss):
        """Add part of the step that is missing at `angles`."""
        self.command = self.command.clip(hand.low, hand.high)
        hand.place(angles)
        box = hand.low - self.command, hand.high - self.command
        step = step_in_box(hand.jacobian(), miss, *box, damping=0.03)
        self.command = self.command + self.settings.gain * step
