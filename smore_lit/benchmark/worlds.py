# Generated from book/benchmark/worlds.md by make sync. Edit the chapter, not this file.
"""Put a world of our own behind the same door.

Two methods make a world; what the benchmark expects around them is written
once.
"""

__all__ = [
    "observation_space",
    "environment_class",
    "resolve",
    "open_world",
    "shake",
    "noise_class",
    "NOISE_KEY",
]


# book/benchmark/worlds.md, section "Put a world of our own behind the same door"
import functools
import importlib
import math

import numpy as np


# book/benchmark/worlds.md, section "Two methods"
def observation_space(task):
    """Return the dictionary space of a goal task's states."""
    from gymnasium.spaces import Box, Dict

    sizes = {
        "observation": task.observation_size,
        "achieved_goal": task.goal_size,
        "desired_goal": task.goal_size,
    }
    return Dict({
        key: Box(-math.inf, math.inf, (size,), np.float64)
        for key, size in sizes.items()
    })


# book/benchmark/worlds.md, section "Two methods"
@functools.cache
def environment_class():
    """Return the gymnasium class that plays a world as a goal task."""
    import gymnasium

    class GoalEnvironment(gymnasium.Env):
        """Play `world` by the numbers of `task`; never ends by itself."""

        metadata = {"render_modes": ["rgb_array"], "render_fps": 25}

        def __init__(self, task, world, render_mode=None):
            self.task, self.world = task, world
            self.render_mode = render_mode
            self.distance_threshold = task.threshold
            shape = (task.action_size,)
            self.action_space = gymnasium.spaces.Box(-1.0, 1.0, shape)
            self.observation_space = observation_space(task)

        def reset(self, *, seed=None, options=None):
            """Draw a start and a goal from the seed alone."""
            super().reset(seed=seed)
            place, self.goal = self.world.reset(self.np_random)
            return self.state(place), {}

        def state(self, place):
            """Return the dictionary of an observation (O,)."""
            place = np.array(place, dtype=np.float64)
            return {
                "observation": place,
                "achieved_goal": self.task.phi(place),
                "desired_goal": np.array(self.goal, dtype=np.float64),
            }

        def step(self, action):
            """Clip the action, move the world, judge where it arrived."""
            action = np.clip(np.asarray(action, float), -1.0, 1.0)
            state = self.state(self.world.step(action))
            pair = state["achieved_goal"], state["desired_goal"]
            info = {"is_success": float(self.task.success(*pair))}
            reward = self.compute_reward(*pair, info)
            return state, reward, False, False, info

        def compute_reward(self, achieved, desired, info):
            """Return 0 where the goal is reached and -1 elsewhere."""
            return self.task.reward(achieved, desired) - 1.0

        def render(self):
            """Return a picture, if the world can draw itself."""
            return self.world.render()

        def close(self):
            """Close what the world holds open."""
            getattr(self.world, "close", lambda: None)()

    return GoalEnvironment


# book/benchmark/worlds.md, section "Two methods"
def resolve(place: str):
    """Return what a string "package.module:name" names.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such name.
    """
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def open_world(task, render_mode: str | None = None):
    """Return the environment of a task with an entry point, no time limit.

    Args:
        task: its entry point is called with render_mode=...; what comes
            back is a world, or a gymnasium environment, which is kept.
        render_mode: None, or "rgb_array" for pictures.
    """
    import gymnasium

    world = resolve(task.entry_point)(render_mode=render_mode)
    if isinstance(world, gymnasium.Env):
        return world
    return environment_class()(task, world, render_mode)


# book/benchmark/worlds.md, section "A hand that shakes"
def shake(action, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return clip(action + sigma * N(0, I), -1, 1), a new array (A,)."""
    action = np.asarray(action, dtype=np.float64)
    noise = sigma * rng.standard_normal(action.shape)
    return np.clip(action + noise, -1.0, 1.0).astype(np.float32)


@functools.cache
def noise_class():
    """Return the gymnasium wrapper that shakes every action."""
    import gymnasium

    class NoisyActions(gymnasium.Wrapper):
        """Execute the intended action plus noise, clipped."""

        def __init__(self, env, sigma: float):
            super().__init__(env)
            self.sigma, self.rng = sigma, np.random.default_rng()

        def reset(self, *, seed=None, options=None):
            """Begin an episode; a seed decides its noise too."""
            if seed is not None:
                self.rng = np.random.default_rng([NOISE_KEY, seed])
            return self.env.reset(seed=seed, options=options)

        def step(self, action):
            """Take a step with a shaken copy of `action` (A,)."""
            return self.env.step(shake(action, self.sigma, self.rng))

    return NoisyActions


NOISE_KEY = 2  # apart from the generators of the goal (-) and policy (1)
