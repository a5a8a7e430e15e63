# Generated from book/worlds/reacher.md by make sync. Edit the chapter, not this file.
"""Turn a swinging arm into a goal task.

Eleven numbers as published, two of which give the answer away, and eight that
do not.
"""

__all__ = ["Reacher", "KEPT", "ReacherBlind"]


# book/worlds/reacher.md, section "Turn a swinging arm into a goal task"
import numpy as np


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
