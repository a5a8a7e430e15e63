# Generated from book/benchmark/tasks.md by make sync. Edit the chapter, not this file.
"""State a task in numbers.

Spaces, a goal map, a threshold and a horizon, each read off the running
simulator.
"""

__all__ = ["Task", "TASKS", "load_task", "has_egl", "make_environment"]


# book/benchmark/tasks.md, section "State a task in numbers"
import contextlib
import ctypes.util
import io
import os
from dataclasses import dataclass


# book/benchmark/tasks.md, section "What a task is"
@dataclass(frozen=True)
class Task:
    """Describe a goal-reaching task: sizes, goal map, threshold, horizon."""

    name: str
    env_id: str
    observation_size: int
    goal_size: int
    action_size: int
    goal_index: tuple[int, ...]  # phi(s) = s[..., goal_index]
    threshold: float  # metres; reached iff distance <= threshold
    horizon: int  # T, transitions per episode
    source: str  # where the definition comes from

    def phi(self, observations):
        """Return the goals achieved in `observations` (..., O), (..., G)."""
        return observations[..., list(self.goal_index)]

    def distance(self, achieved, desired):
        """Return the distance in metres of goals (..., G), shape (...)."""
        return ((achieved - desired) ** 2).sum(-1) ** 0.5

    def reward(self, achieved, desired):
        """Return 1.0 where the goal is reached and 0.0 elsewhere, (...)."""
        return (self.distance(achieved, desired) <= self.threshold) * 1.0

    def make(self, render_mode=None):
        """Return a new goal environment; see `make_environment`."""
        return make_environment(self, render_mode)


# book/benchmark/tasks.md, section "FetchReach"
TASKS = {
    "FetchReach": Task(
        name="FetchReach",
        env_id="FetchReach-v4",
        observation_size=10,
        goal_size=3,
        action_size=4,
        goal_index=(0, 1, 2),
        threshold=0.05,
        horizon=50,
        source="Plappert et al. 2018; gymnasium-robotics FetchReach-v4",
    ),
}


def load_task(name: str) -> Task:
    """Return the task called `name`.

    Args:
        name: one of the keys of `TASKS`.

    Returns:
        The task.

    Raises:
        ValueError: no task has that name.
    """
    if name not in TASKS:
        known = ", ".join(TASKS)
        raise ValueError(f"unknown task {name!r}; known: {known}")
    return TASKS[name]


# book/benchmark/tasks.md, section "Open the simulator late"
def has_egl() -> bool:
    """Return whether a library for drawing without a display is found."""
    return ctypes.util.find_library("EGL") is not None


# book/benchmark/tasks.md, section "Open the simulator late"
def make_environment(task: Task, render_mode: str | None = None):
    """Return a new goal environment for `task`.

    Args:
        task: what to simulate.
        render_mode: None, or "rgb_array" for pictures.

    Returns:
        A gymnasium environment with dictionary observations
        (observation, achieved_goal, desired_goal), truncated after T steps.

    Raises:
        ValueError: the simulator is missing or of an unusable version.
    """
    if render_mode is not None and has_egl():
        os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            import gymnasium
            import gymnasium_robotics  # noqa: F401  registers the tasks
        return gymnasium.make(
            task.env_id,
            max_episode_steps=task.horizon,
            render_mode=render_mode,
            disable_env_checker=True,
        )
    except ImportError as error:
        raise ValueError(
            f"{task.name} needs its simulator ({error}): "
            'pip install "smore_lit[robotics]"'
        ) from error
    except AssertionError as error:
        raise ValueError(
            f"{task.name} does not open in this MuJoCo: "
            'pip install "mujoco==3.3.0"'
        ) from error
