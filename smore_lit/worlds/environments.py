# Generated from book/worlds/environments.md by make sync. Edit the chapter, not this file.
"""Environments: make a world of your own a goal task.

Two methods make a world; one class adds all that the benchmark expects around
them.
"""

__all__ = [
    "environment_class",
    "observation_space",
    "resolve",
    "open_world",
    "shake",
    "noise_class",
    "NOISE_KEY",
    "locate",
    "explore",
    "check_goals",
    "find_goal_index",
    "find_radius",
    "probe_radii",
    "infer_fields",
    "check_fields",
]


# book/worlds/environments.md, section "Environments: make a world of your own a goal task"
import contextlib
import dataclasses
import functools
import importlib
import math
import re
from collections.abc import Callable

import numpy as np


# book/worlds/environments.md, section "Two methods"
@functools.cache
def environment_class():
    """Return the gymnasium class that plays a world as a goal task."""
    import gymnasium

    class GoalEnvironment(gymnasium.Env):
        """Play `world` by the numbers of `task`; ends when it is over."""

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
            over = getattr(self.world, "over", False)
            return state, reward, over, False, info

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


# book/worlds/environments.md, section "Two methods"
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


# book/worlds/environments.md, section "Two methods"
def resolve(place: str):
    """Return what a string "package.module:name" names.

    Raises:
        ImportError: there is no such module, or no such name in it.
    """
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    if not hasattr(found, name):
        raise ImportError(f"module {module!r} has no {name!r}")
    return getattr(found, name)


def open_world(task, render_mode: str | None = None):
    """Return the environment of a task with an entry point, no time limit.

    Args:
        task: its entry point is called with its env_kwargs; what comes back
            is a world, or a gymnasium environment, which is kept.
        render_mode: None, or "rgb_array" for pictures, which is then passed
            to the entry point.
    """
    import gymnasium

    make, options = task.entry_point, dict(task.env_kwargs or {})
    if render_mode is not None:
        options["render_mode"] = render_mode
    world = (resolve(make) if isinstance(make, str) else make)(**options)
    if isinstance(world, gymnasium.Env):
        return world
    if task.observation_size is None:
        raise ValueError(
            f"{task.name} is no gymnasium environment: a world of two"
            " methods needs a Task with all its numbers"
        )
    return environment_class()(task, world, render_mode)


# book/worlds/environments.md, section "Noise on the actions"
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


# book/worlds/environments.md, section "Read a task off an environment"
def locate(env: str | Callable, name: str | None = None) -> dict:
    """Return the fields of a task that say where its environment is.

    Args:
        env: gymnasium's id, "module:Class", or a callable that makes one.
        name: of the task; made from `env` when left out.

    Raises:
        ValueError: none of these.
    """
    if isinstance(env, str):
        ours = env.partition(":")[2].isidentifier()
        title = env
        entry_point: str | Callable | None = env if ours else None
    elif callable(env):
        title = getattr(env, "__name__", type(env).__name__)
        entry_point = env
    else:
        raise ValueError(
            f"cannot make environments from a {type(env).__name__}: give an"
            ' id, "module:Class" or the class, since workers open their own'
        )
    plain = re.sub(r"[^\w./:-]", "_", title)
    return {
        "name": name or plain,
        "env_id": plain,
        "entry_point": entry_point,
        "source": f"read off {plain}",
    }


# book/worlds/environments.md, section "Read a task off an environment"
def explore(task, env, steps: int = 25) -> dict:
    """Return what two short random episodes of `env` show.

    Returns:
        observations (n, O) or (n, H, W, C), achieved (n, G), desired
        (n, G), and flags (n,), the environment's own word on success, None
        where it has none.

    Raises:
        ValueError: the states are not those of a goal environment.
    """
    rng, states, flags = np.random.default_rng(0), [], []
    for seed in (0, 1):
        state, info = env.reset(seed=seed)
        ended = False
        for _ in range(steps):
            states.append(check_goals(task, state))
            flags.append(info.get("is_success", info.get("success")))
            if ended:
                break
            action = rng.uniform(-1, 1, env.action_space.shape)
            action = action.astype(env.action_space.dtype)
            state, _, *ends, info = env.step(action)
            ended = any(ends)
    rows = [np.array(column) for column in zip(*states)]
    names = ("observations", "achieved", "desired")
    return dict(zip(names, rows)) | {"flags": flags}


# book/worlds/environments.md, section "Read a task off an environment"
def check_goals(task, state) -> list[np.ndarray]:
    """Return observation, achieved and desired goal; see `explore`."""
    names = ("observation", "achieved_goal", "desired_goal")
    if not isinstance(state, dict) or not set(names) <= set(state):
        kind = type(state).__name__
        if isinstance(state, dict):
            kind = f"dictionaries of {', '.join(map(str, state)) or 'nothing'}"
        raise ValueError(
            f"{task.name} is no goal environment: its states are {kind},"
            f" and must be dictionaries of {', '.join(names)}"
        )
    rows = [np.asarray(state[name]) for name in names]
    for name, row in zip(names, rows):
        list_of_numbers = row.ndim == 1 and row.dtype.kind in "fiub"
        picture = row.ndim == 3 and row.dtype == np.uint8
        allowed = list_of_numbers or picture and name == "observation"
        if not allowed or not row.size:
            raise ValueError(
                f"{name} of {task.name} is {row.dtype} {row.shape}: it must"
                " be a list of numbers (or a picture of bytes (H, W, C), if"
                " it is the observation)"
            )
    if rows[1].shape != rows[2].shape:
        raise ValueError(
            f"the achieved goal of {task.name} has {rows[1].size} numbers,"
            f" the desired goal {rows[2].size}"
        )
    return rows


# book/worlds/environments.md, section "Read a task off an environment"
def find_goal_index(observations, achieved) -> tuple[int, ...] | None:
    """Return the columns of `observations` that hold the achieved goal.

    Args:
        observations: (n, O), or pictures.
        achieved: (n, G), of the same states.

    Returns:
        G columns, or None if some number is in none, or never moves and
        is in several.
    """
    if observations.ndim > 2:
        return None
    rows, goals = (np.asarray(x, np.float32) for x in (observations, achieved))
    size, still = goals.shape[1], (goals == goals[:1]).all(0)
    blocks = [
        tuple(range(first, first + size))
        for first in range(rows.shape[1] - size + 1)
        if np.array_equal(rows[:, first : first + size], goals)
    ]
    if len(blocks) == 1 or blocks and not still.any():
        return blocks[0]
    same = (rows[:, :, None] == goals[:, None]).all(0)  # (O, G)
    if not same.any(0).all() or (still & (same.sum(0) > 1)).any():
        return None
    return tuple(same.argmax(0).tolist())


# book/worlds/environments.md, section "Read a task off an environment"
def find_radius(counts: Callable, size: int) -> tuple[float, bool] | None:
    """Return the radius of the ball of goals around 0 that count.

    Args:
        counts: (achieved (G,), desired (G,)) -> whether it is reached.
        size: G.

    Returns:
        The radius and whether its boundary counts; None if it is no ball.
    """
    zero, axis = np.zeros(size), np.eye(size)[0]
    steps = 2.0 ** np.arange(-30, 31)
    high = next((r for r in steps if not counts(zero, r * axis)), None)
    if not counts(zero, zero) or high in (None, steps[0]):
        return None
    low = high / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (
            (middle, high) if counts(zero, middle * axis) else (low, middle)
        )
    short = float(f"{low:.6g}")
    radius = short if abs(short - low) <= 1e-12 * low else float(low)
    rays = np.random.default_rng(0).standard_normal((20, size))
    rays = np.vstack([-axis, rays / np.linalg.norm(rays, axis=1)[:, None]])
    for ray in rays:
        near, far = (counts(zero, f * radius * ray) for f in (0.999, 1.001))
        if not near or far:
            return None
    return radius, bool(counts(zero, radius * axis))


# book/worlds/environments.md, section "Read a task off an environment"
def probe_radii(env, size: int) -> tuple[float | None, float | None]:
    """Return the thresholds of reward and success that `env` uses, or None.

    Args:
        env: with compute_reward, or _is_success as in gymnasium-robotics.
        size: G.
    """
    bare, zero, found = env.unwrapped, np.zeros(size), []

    def paid(achieved, desired):
        return bare.compute_reward(achieved, desired, {})

    def flagged(achieved, desired):
        return bool(bare._is_success(achieved, desired))

    def rewarded(achieved, desired):
        return paid(achieved, desired) == paid(zero, zero)

    for name, counts, closed in (
        ("compute_reward", rewarded, True),
        ("_is_success", flagged, False),
    ):
        ball = None
        if hasattr(bare, name):
            with contextlib.suppress(Exception):
                ball = find_radius(counts, size)
        if ball is not None and ball[1] != closed:
            ball = np.nextafter(ball[0], 0 if closed else math.inf), closed
        found.append(None if ball is None else float(ball[0]))
    return found[0], found[1]


# book/worlds/environments.md, section "Read a task off an environment"
def infer_fields(draft) -> dict:
    """Return the fields of a task that `draft` leaves open.

    Args:
        draft: a task that says where its environment is; what else it
            says is kept.

    Raises:
        ValueError: no goal environment, or one that hides what is needed.
    """
    env = draft.make()
    try:
        seen, spec = explore(draft, env), env.spec
        size = seen["desired"].shape[1]
        reached, success = probe_radii(env, size)
    finally:
        env.close()
    if draft.threshold is not None:
        reached, success = draft.threshold, None
    elif reached is None:  # a dense reward
        reached = success
    if draft.success_threshold is not None:
        success = draft.success_threshold
    shape = seen["observations"].shape[1:]
    fields = {
        "observation_size": math.prod(shape),
        "picture": shape if len(shape) == 3 else None,
        "goal_size": size,
        "action_size": env.action_space.shape[0],
        "goal_index": find_goal_index(seen["observations"], seen["achieved"]),
        "horizon": draft.horizon or (spec and spec.max_episode_steps),
        "threshold": reached,
        "success_threshold": success,
    }
    check_fields(draft, fields, seen)
    return fields


# book/worlds/environments.md, section "Read a task off an environment"
def check_fields(draft, fields: dict, seen: dict) -> None:
    """Raise ValueError if a task is incomplete or contradicts its world."""
    if not fields["horizon"]:
        raise ValueError(
            f"{draft.name} has no time limit: pass max_episode_steps="
        )
    threshold = fields["threshold"]
    if threshold is None or not 0 <= threshold < math.inf:
        raise ValueError(
            f"no threshold can be read off {draft.name}: pass threshold=,"
            " the distance at which a goal counts as reached"
        )
    if draft.threshold is not None or draft.success_threshold is not None:
        return  # the caller decides what success is
    task = dataclasses.replace(draft, **fields)
    found = task.success(seen["achieved"], seen["desired"])
    for ours, flag in zip(found, seen["flags"]):
        if flag is not None and bool(ours) != bool(flag):
            raise ValueError(
                f"{draft.name} flags success otherwise than by a distance"
                f" up to {threshold:g}: pass threshold= and judge by it"
            )
