# Generated from book/worlds/locomotion.md by make sync. Edit the chapter, not this file.
"""Locomotion: run at a given speed.

The goal is a speed: a cheetah is to run at 11 m/s and an ant at 5 m/s, after
watching somebody who runs more slowly, or not at all, and thirty episodes of
somebody who can.
"""

__all__ = [
    "Robot",
    "ROBOTS",
    "TOLERANCE",
    "RunningRobot",
    "Layers",
    "runner_path",
    "read_runner",
    "Runner",
    "RUN_HISTORY",
    "RUN_DIFFERENCES",
    "CHEETAH_WORDS",
    "ANT_WORDS",
    "describe_run",
    "TASKS",
    "FAMILY",
]


# book/worlds/locomotion.md, section "Locomotion: run at a given speed"
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smore_lit.running.files import package_folder
from smore_lit.worlds.tasks import Reference, Task


# book/worlds/locomotion.md, section "The tasks in numbers"
class Robot(NamedTuple):
    """Say which world a robot runs in and how fast it is to run."""

    env_id: str
    options: dict
    column: int  # of the forward velocity in the observation
    target: float  # in m/s
    states: int
    actions: int
    wider: tuple[int, ...] = ()  # public observations that begin with these
    ends: str = ""  # what ends an episode early


ROBOTS = {
    "halfcheetah": Robot("HalfCheetah-v5", {}, 8, 11.0, 17, 6),
    "ant": Robot(
        "Ant-v5", {"include_cfrc_ext_in_observation": False}, 13, 5.0, 27, 8,
        (105, 111), "until the trunk leaves heights of 0.2 to 1.0 m",
    ),
    "hopper": Robot(
        "Hopper-v5", {}, 5, 10.0, 11, 3, (), "until it leans or sinks",
    ),
}
TOLERANCE = float(np.nextafter(0.5, 0))  # |v - g| < 0.5


# book/worlds/locomotion.md, section "The tasks in numbers"
class RunningRobot:
    """A robot that is asked for its target velocity from a start at rest."""

    over = False  # whether it has fallen

    def __init__(self, robot: str, render_mode: str | None = None):
        import gymnasium

        self.robot = ROBOTS[robot]
        self.env = gymnasium.make(
            self.robot.env_id, render_mode=render_mode,
            disable_env_checker=True, **self.robot.options,
        ).unwrapped

    def reset(self, rng: np.random.Generator):
        """Draw a start; return the observation (O,) and the goal (1,)."""
        seen, _ = self.env.reset(seed=int(rng.integers(2**31)))
        self.over = False
        return seen, np.array([self.robot.target])

    def step(self, action):
        """Apply torques (A,); return the observation (O,) after 0.05 s."""
        seen, _, self.over, _, _ = self.env.step(action)
        return seen

    def render(self) -> np.ndarray:
        """Return a picture (H, W, 3)."""
        return np.asarray(self.env.render())

    def close(self):
        """Close the simulator."""
        self.env.close()


# book/worlds/locomotion.md, section "Runners"
Layers = list[tuple[np.ndarray, np.ndarray]]


def runner_path(robot: str, quality: str) -> Path:
    """Return where the package keeps the weights of a runner."""
    return package_folder() / "assets" / "runners" / f"{robot}-{quality}.pt"


@functools.cache
def read_runner(path: Path, robot: str) -> Layers:
    """Read the actor of a runner: two hidden layers, mean, log deviation.

    Args:
        path: a checkpoint of weights (in, out) and biases (out,).
        robot: whose it must be.

    Returns:
        Weight and bias of each layer.

    Raises:
        ValueError: a damaged file, or an actor of another robot.
        OSError: no such file.
    """
    from smore_lit.running.checkpoints import read_checkpoint

    held: Any = read_checkpoint(path).get("network")
    known = ROBOTS[robot]
    names = ("first", "second", "mean", "log_std")
    try:
        layers = [
            (held[f"{name}.weight"].numpy(), held[f"{name}.bias"].numpy())
            for name in names
        ]
        found = layers[0][0].shape[0], layers[2][0].shape[1]
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError(f"{path} holds no runner: train one anew") from None
    if found != (known.states, known.actions):
        raise ValueError(
            f"{path} maps {found[0]} numbers to {found[1]} actions: it is no"
            f" runner of the {robot}, which has {known.states} and"
            f" {known.actions}"
        )
    return layers


# book/worlds/locomotion.md, section "Runners"
@dataclass(frozen=True, repr=False)
class Runner:
    """Run as a trained actor does, by a draw from its distribution."""

    robot: str
    quality: str  # "medium" or "expert"

    def __repr__(self):
        """Name the weights too, so that data tell what made them."""
        data = runner_path(self.robot, self.quality).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return f"Runner({self.robot}, {self.quality}, {digest})"

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        path = runner_path(self.robot, self.quality)
        *hidden, mean, spread = read_runner(path, self.robot)

        def act(observation, goal):
            x = np.asarray(observation)
            for weight, bias in hidden:
                x = np.maximum(x @ weight + bias, 0.0)
            noise = rng.standard_normal(len(mean[1]))
            scale = np.exp(np.clip(x @ spread[0] + spread[1], -20.0, 2.0))
            return np.tanh(x @ mean[0] + mean[1] + scale * noise)

        return act


# book/worlds/locomotion.md, section "Four tasks"
RUN_HISTORY = (
    "v2: mujoco-py; the version of the paper and of the public data",
    "v4: MuJoCo's own Python bindings",
    "v5: ours, at MuJoCo 3.3.0",
)
RUN_DIFFERENCES = (
    "data: runners of our own, trained up to the target and not beyond",
    "stored goals: the target; the released loader stores 0 in every row",
    "an episode is judged for 1,000 steps, in the released code for 1,001",
)
CHEETAH_WORDS = Reference(
    observation=(
        (1, "height of the trunk", "m"),
        (7, "pitch, and angles of six joints", "rad"),
        (1, "forward velocity", "m/s"),
        (1, "upward velocity", "m/s"),
        (7, "their angular velocities", "rad/s"),
    ),
    action=((6, "full torque at a joint", "-"),),
    goal="always 11",
    start="at rest, joints + U(-0.1, 0.1), velocities + N(0, 0.1^2)",
    history=RUN_HISTORY,
    differences=RUN_DIFFERENCES,
)


# book/worlds/locomotion.md, section "Four tasks"
ANT_WORDS = Reference(
    observation=(
        (1, "height of the trunk", "m"),
        (4, "its orientation, a quaternion", "-"),
        (8, "angles of the joints", "rad"),
        (1, "forward velocity", "m/s"),
        (2, "sideways and upward velocity", "m/s"),
        (3, "angular velocity of the trunk", "rad/s"),
        (8, "angular velocities of the joints", "rad/s"),
    ),
    action=((8, "full torque at a joint", "-"),),
    goal="always 5",
    start="at rest, joints + U(-0.1, 0.1), velocities + N(0, 0.1^2)",
    history=RUN_HISTORY,
    differences=(
        *RUN_DIFFERENCES,
        "27 columns; the 84 contact forces of the public data are all zero",
        "a fall ends the episode in the data too; the released loader takes"
        " the next episode's first state for its successor",
    ),
)


# book/worlds/locomotion.md, section "Four tasks"
def describe_run(
    robot: str, name: str, words: Reference | None = None
) -> Task:
    """Return the task of a robot, its data yet to be chosen."""
    known = ROBOTS[robot]
    return Task(
        name=name,
        env_id=f"smore_lit/{known.env_id}",
        entry_point="smore_lit.worlds.locomotion:RunningRobot",
        env_kwargs={"robot": robot},
        observation_size=known.states,
        goal_size=1,
        action_size=known.actions,
        goal_index=(known.column,),
        threshold=TOLERANCE,
        success_threshold=0.5,
        horizon=1_000,
        unit="m/s",
        source="Sikchi et al. 2024; " * bool(words)
        + f"gymnasium {known.env_id}",
        simulators=("mujoco", "gymnasium"),
        expert=Runner(robot, "expert"),
        spoiled=False,
        expert_percent=3.0,
        paper_episodes=1_030,
        cpu_episodes=340,
        reference=words,
        ends=known.ends,
        wider=known.wider,
    )


# book/worlds/locomotion.md, section "Four tasks"
TASKS = {
    "halfcheetah": describe_run(
        "halfcheetah", "CheetahTgtVel-r-e", CHEETAH_WORDS
    ),
    "ant": describe_run("ant", "AntTgtVel-r-e", ANT_WORDS),
}
FAMILY = tuple(
    replace(
        task,
        name=task.name.replace("-r-", f"-{short}-"),
        companion=Runner(robot, "medium") if short == "m" else None,
    )
    for robot, task in TASKS.items()
    for short in ("m", "r")
)
