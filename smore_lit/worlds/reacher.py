# Generated from book/worlds/reacher.md by make sync. Edit the chapter, not this file.
"""Reacher: turn a swinging arm into a goal task.

Eleven observed numbers as published, two of which give the target away, and
eight that do not.
"""

__all__ = [
    "REACHER_HISTORY",
    "REACHER_DIFFERENCES",
    "ANGLES",
    "TURNING",
    "FINGERTIP",
    "REACHER_WORDS",
    "REACHER",
    "REACHER_BLIND",
    "FAMILY",
    "Reacher",
    "KEPT",
    "ReacherBlind",
]


# book/worlds/reacher.md, section "Reacher: turn a swinging arm into a goal task"
from dataclasses import replace

import numpy as np

from smore_lit.worlds.tasks import Reference, Task


# book/worlds/reacher.md, section "The tasks in numbers"
REACHER_HISTORY = (
    "Reacher-v2: mujoco-py, 11 numbers; below the wrapper of the paper",
    "Reacher-v4: MuJoCo's own Python bindings",
    "Reacher-v5: the constant z difference dropped from the observation",
    "smore_lit/Reacher-v1: v5 as a goal task, with the z difference back",
)
REACHER_DIFFERENCES = (
    "MuJoCo 3.3.0 in place of 2.x under mujoco-py",
    "the published data hold 49 actions per episode, ours 50",
)


# book/worlds/reacher.md, section "The tasks in numbers"
ANGLES = ((2, "cosines of the angles", "-"), (2, "sines of the angles", "-"))
TURNING = ((2, "angular velocities", "rad/s"),)
FINGERTIP = ((2, "fingertip position", "m"),)
REACHER_WORDS = Reference(
    observation=(
        *ANGLES,
        (2, "target position: not relabelled with the goal", "m"),
        *TURNING,
        *FINGERTIP,
        (1, "fingertip z minus target z: always 0", "m"),
    ),
    action=((2, "torque of 200 on a joint (gear 200)", "N m"),),
    goal="U(-0.2, 0.2)^2, redrawn until its norm is below 0.2",
    start="angles U(-0.1, 0.1), angular velocities U(-0.005, 0.005)",
    history=REACHER_HISTORY,
    differences=REACHER_DIFFERENCES,
)
REACHER = Task(
    name="Reacher",
    env_id="smore_lit/Reacher-v1",
    entry_point="smore_lit.worlds.reacher:Reacher",
    observation_size=11,
    goal_size=2,
    action_size=2,
    goal_index=(8, 9),
    threshold=0.05,
    success_threshold=0.05,
    horizon=50,
    source="gymnasium Reacher-v5 behind the goal wrapper of Yang et al. 2022",
    simulators=("mujoco", "gymnasium"),
    expert="smore_lit.worlds.inverse_kinematics:ReacherExpert",
    reference=REACHER_WORDS,
)


# book/worlds/reacher.md, section "The tasks in numbers"
REACHER_BLIND = replace(
    REACHER,
    name="ReacherBlind",
    env_id="smore_lit/ReacherBlind-v1",
    entry_point="smore_lit.worlds.reacher:ReacherBlind",
    observation_size=8,
    goal_index=(6, 7),
    reference=replace(
        REACHER_WORDS,
        observation=ANGLES + TURNING + FINGERTIP,
        differences=(
            *REACHER_DIFFERENCES,
            "no target and no constant 0 in the observation",
        ),
    ),
)
FAMILY = (REACHER, REACHER_BLIND)


# book/worlds/reacher.md, section "What Gymnasium offers"
class Reacher:
    """Gymnasium's Reacher-v5 as a goal world with eleven numbers.

    Source: the goal wrapper of Yang et al. 2022 around Reacher-v2.
    """

    def __init__(self, render_mode: str | None = None):
        import gymnasium

        arm = gymnasium.make(
            "Reacher-v5", render_mode=render_mode, disable_env_checker=True
        )
        self.arm = arm.unwrapped

    def reset(self, rng):
        """Draw angles, speeds and target; return (observation, target)."""
        self.arm.np_random = rng
        native, _ = self.arm.reset()
        return self.observe(native), native[4:6].copy()

    def step(self, action):
        """Apply torques (2,) for one decision; return the observation."""
        return self.observe(self.arm.step(action)[0])

    def observe(self, native) -> np.ndarray:
        """Return the eleven numbers from Gymnasium's ten."""
        return np.concatenate([native[:8], native[8:] + native[4:6], [0.0]])

    def render(self):
        """Return Gymnasium's picture of the arm."""
        return self.arm.render()

    def close(self):
        """Close the picture's window, if one was opened."""
        self.arm.close()


# book/worlds/reacher.md, section "The leak"
KEPT = [0, 1, 2, 3, 6, 7, 8, 9]  # all but the target and the zero


class ReacherBlind(Reacher):
    """The same world, observed without its target: eight numbers."""

    def observe(self, native) -> np.ndarray:
        """Return the observation without target and without the zero."""
        return super().observe(native)[KEPT]
