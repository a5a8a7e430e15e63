# Generated from book/worlds/tasks.md by make sync. Edit the chapter, not this file.
"""Tasks: state a task in numbers.

Spaces, a goal map, a threshold and a horizon, each read off the running
simulator.
"""

__all__ = [
    "Judge",
    "Reference",
    "read_environment",
    "Task",
    "NOISE_MARK",
    "GRIPPER",
    "FINGERS",
    "SPEEDS",
    "MOVE",
    "BLOCKED",
    "FETCH_HISTORY",
    "FETCH_DIFFERENCES",
    "FETCH_REACH",
    "FAMILY",
    "WORLDS",
    "list_tasks",
    "with_noise",
    "import_task",
    "load_task",
    "has_egl",
    "read_only_fingers",
    "MUJOCO",
    "SIMULATORS",
    "explain_simulator",
    "fit_actions",
    "choose_world",
    "open_environment",
    "make_environment",
]


# book/worlds/tasks.md, section "Tasks: state a task in numbers"
import contextlib
import ctypes.util
import functools
import importlib
import io
import os
import pkgutil
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version

from smore_lit.running.files import as_number, as_whole


# book/worlds/tasks.md, section "What a task is"
class Judge:
    """Tell goals, rewards and successes by the numbers of a task."""

    def phi(self, observations):
        """Return the goals achieved in `observations` (..., O), (..., G).

        Raises:
            ValueError: the goal is no part of the observation.
        """
        if self.goal_index is None:
            raise ValueError(
                f"in {self.name} the achieved goal is no part of the"
                " observation: take it from the environment or the recording"
            )
        return observations[..., list(self.goal_index)]

    def distance(self, achieved, desired):
        """Return the distance, in `unit`, of goals (..., G), shape (...)."""
        return ((achieved - desired) ** 2).sum(-1) ** 0.5

    def reward(self, achieved, desired):
        """Return 1.0 where the goal is reached and 0.0 elsewhere, (...)."""
        return (self.distance(achieved, desired) <= self.threshold) * 1.0

    def success(self, achieved, desired):
        """Return 1.0 where the goal counts as a success and 0.0 elsewhere.

        Without a success threshold that is where the goal is reached.
        """
        if self.success_threshold is None:
            return self.reward(achieved, desired)
        distance = self.distance(achieved, desired)
        return (distance < self.success_threshold) * 1.0


# book/worlds/tasks.md, section "What a task is"
@dataclass(frozen=True)
class Reference:
    """Say what the numbers of a task mean."""

    observation: tuple[tuple[int, str, str], ...]  # count, meaning, unit
    action: tuple[tuple[int, str, str], ...]  # count, what 1 does, unit
    goal: str  # how it is drawn
    start: str  # how an episode begins
    history: tuple[str, ...]  # versions
    differences: tuple[str, ...]  # from the environment of the paper


# book/worlds/tasks.md, section "What a task is"
def read_environment(
    cls,
    env: str | Callable,
    name: str | None = None,
    threshold: float | None = None,
    success_threshold: float | None = None,
    max_episode_steps: int | None = None,
    **env_kwargs,
) -> "Task":
    """Return the task that a goal environment poses.

    Args:
        env: gymnasium's id, "module:Class", or a callable that makes one.
        name: of the task; the environment's own when left out.
        threshold: a goal is reached where distance <= threshold; read off
            the environment's reward when left out.
        success_threshold: success where distance < it; when left out, read
            off the environment, or the same as reached if a threshold was
            given or the environment has no flag.
        max_episode_steps: T; the environment's own when left out.
        env_kwargs: given to the environment whenever it is made.

    Raises:
        ValueError: no goal environment, or one that hides what is needed.
    """
    from smore_lit.worlds.environments import infer_fields, locate

    if max_episode_steps is not None:
        name_it = "max_episode_steps"
        max_episode_steps = as_whole(name_it, max_episode_steps, 1)
    draft = cls(
        **locate(env, name),
        observation_size=None,
        goal_size=None,
        action_size=None,
        goal_index=None,
        threshold=threshold,
        horizon=max_episode_steps,
        unit="1",
        success_threshold=success_threshold,
        env_kwargs=env_kwargs or None,
    )
    return replace(draft, **infer_fields(draft))


# book/worlds/tasks.md, section "What a task is"
@dataclass(frozen=True)
class Task(Judge):
    """Describe a goal-reaching task: sizes, goal map, threshold, horizon."""

    name: str
    env_id: str
    observation_size: int
    goal_size: int
    action_size: int
    goal_index: tuple[int, ...] | None  # phi(s) = s[..., goal_index]
    threshold: float  # reached, and rewarded, iff distance <= threshold
    horizon: int  # T, transitions per episode
    source: str  # where the definition comes from
    entry_point: str | Callable | None = None  # None: gymnasium's env_id
    unit: str = "m"  # of goals, distance and threshold
    success_threshold: float | None = None  # success iff distance < it
    paper_episodes: int = 2_000  # of one mixture, as published
    cpu_episodes: int = 2_000  # what a laptop makes in minutes
    action_noise: float = 0.0  # standard deviation, in units of action
    simulators: tuple[str, ...] = ("gymnasium",)  # they decide its physics
    expert: str | Callable | None = None  # a policy, its class or its place
    spoiled: bool = True  # recorded experts have the benchmark's noise
    companion: Callable | None = None  # of the other half; None: uniform
    expert_percent: float = 10.0  # of the published mixture
    picture: tuple[int, int, int] | None = None  # (H, W, C): observations
    reference: Reference | None = None
    env_kwargs: dict | None = field(default=None, hash=False)  # for its maker
    wider: tuple[int, ...] = ()  # public observations that begin with ours
    ends: str = ""  # what ends an episode early

    from_env = classmethod(read_environment)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Return the shape of one observation: (O,), or (H, W, C)."""
        return self.picture or (self.observation_size,)

    @property
    def observation_dtype(self) -> str:
        """Return the type of an observation's numbers in files."""
        return "<f4" if self.picture is None else "|u1"

    @property
    def base(self) -> str:
        """Return the name of the task without action noise."""
        return self.name.partition(NOISE_MARK)[0]

    def make(self, render_mode=None):
        """Return a new goal environment; see `make_environment`."""
        return make_environment(self, render_mode)


NOISE_MARK = "-noise"


# book/worlds/tasks.md, section "The first task"
GRIPPER = ((3, "gripper position", "m"),)
FINGERS = ((2, "finger positions", "m"),)
SPEEDS = (
    (3, "gripper velocity x 0.04 s", "m"),
    (2, "finger velocities x 0.04 s", "m"),
)
MOVE = ((3, "gripper displacement of 0.05 m, softly followed", "m"),)
BLOCKED = (*MOVE, (1, "nothing: the fingers are blocked shut", "-"))


# book/worlds/tasks.md, section "The first task"
FETCH_HISTORY = (
    "v1: mujoco-py; the version of the paper and of the published data",
    "v2: MuJoCo's own Python bindings",
    "v3: reset restores the whole state, but starts elsewhere; broken",
    "v4: starts where the documentation says; ours, at MuJoCo 3.3.0",
)
FETCH_DIFFERENCES = (
    "MuJoCo 3.3.0 in place of 2.x under mujoco-py: contacts and the soft "
    "weld of the gripper differ slightly, so we make our data in the "
    "environment that we judge in",
    "the published data hold 49 actions per episode, ours 50",
)


# book/worlds/tasks.md, section "The first task"
FETCH_REACH = Task(
    name="FetchReach",
    env_id="FetchReach-v4",
    observation_size=10,
    goal_size=3,
    action_size=4,
    goal_index=(0, 1, 2),
    threshold=0.05,
    success_threshold=0.05,
    horizon=50,
    source="Plappert et al. 2018; gymnasium-robotics FetchReach-v4",
    simulators=("mujoco", "gymnasium-robotics"),
    expert="smore_lit.worlds.experts:ReachExpert",
    reference=Reference(
        observation=GRIPPER + FINGERS + SPEEDS,
        action=BLOCKED,
        goal="initial gripper position + U(-0.15, 0.15)^3",
        start="arm at rest, gripper at (1.342, 0.749, 0.535)",
        history=FETCH_HISTORY,
        differences=FETCH_DIFFERENCES,
    ),
)


# book/worlds/tasks.md, section "All of them"
FAMILY = (FETCH_REACH,)
WORLDS = "smore_lit.worlds"


@functools.cache
def list_tasks() -> dict[str, Task]:
    """Return the tasks by name.

    They are those in the constant `FAMILY` of each module on worlds.
    """
    found = {task.name: task for task in FAMILY}
    place = importlib.import_module(WORLDS).__path__
    for name in sorted(module.name for module in pkgutil.iter_modules(place)):
        module = importlib.import_module(f"{WORLDS}.{name}")
        family = getattr(module, "FAMILY", ())
        found |= {task.name: task for task in family}
    return found


# book/worlds/tasks.md, section "All of them"
def with_noise(task: Task, sigma: float) -> Task:
    """Return `task` with noise on its actions, and with its own name.

    Args:
        task: without action noise.
        sigma: standard deviation, in units of action; 0 returns `task`.

    Raises:
        ValueError: sigma is not a number of 0 or more.

    Source: the noisy FetchReach of Ma et al. 2022.
    """
    sigma = as_number("noise", sigma)
    if sigma < 0:
        raise ValueError(f"noise must be 0 or more, got {sigma}")
    if sigma == 0:
        return task
    name = f"{task.base}{NOISE_MARK}{sigma!r}"
    return replace(task, name=name, action_noise=sigma)


# book/worlds/tasks.md, section "All of them"
def import_task(place: str) -> Task:
    """Return the task that "module:NAME" names, under that name.

    Raises:
        ValueError: the module cannot be imported or holds no such task.
    """
    from smore_lit.worlds.environments import resolve

    try:
        found = resolve(place)
    except Exception as error:
        raise ValueError(
            f"cannot import the task {place!r}"
            f" ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(found, Task):
        raise ValueError(
            f"{place} is a {type(found).__name__} and no smore_lit.Task:"
            " write NAME = smore_lit.Task.from_env(...) there"
        )
    return replace(found, name=place)


# book/worlds/tasks.md, section "All of them"
def load_task(name: str | Task) -> Task:
    """Return the task called `name`; a `Task` is returned as it is.

    Args:
        name: one of the keys of `list_tasks`, or "module:NAME" for a task of
            your own; with "-noise" and a standard deviation behind it for a
            noisy one.

    Returns:
        The task.

    Raises:
        ValueError: no task has that name.
    """
    if not isinstance(name, str) and hasattr(name, "make"):
        return name
    base, mark, noise = str(name).partition(NOISE_MARK)
    if ":" not in base and base not in list_tasks():
        known = ", ".join(list_tasks())
        raise ValueError(
            f"unknown task {name!r}; known: {known}; one of your own is"
            " module:NAME"
        )
    task = import_task(base) if ":" in base else list_tasks()[base]
    if not mark:
        return task
    try:
        return with_noise(task, float(noise))
    except ValueError:
        raise ValueError(
            f"unknown noise {noise!r} in {name!r}: write {base}-noise0.5"
        ) from None


# book/worlds/tasks.md, section "Open the simulator late"
def has_egl() -> bool:
    """Return whether a library for drawing without a display is found."""
    return ctypes.util.find_library("EGL") is not None


# book/worlds/tasks.md, section "Open the simulator late"
def read_only_fingers(env) -> None:
    """Spare a Fetch world the lookup of joints that nobody observes."""
    names = env.unwrapped._model_names
    robot = [name for name in names.joint_names if name.startswith("robot")]
    names._joint_names = robot[-2:]


# book/worlds/tasks.md, section "Open the simulator late"
MUJOCO = ((3, 3), (3, 7))  # versions that open every task: from, below
SIMULATORS = 'pip install "smore_lit[robotics]"'


def explain_simulator(task: Task, error: Exception) -> str:
    """Return one line on why `task` does not open, and the remedy.

    Args:
        task: whose simulator was asked for.
        error: what the simulator raised.
    """
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    head = f"{task.name} does not open ({textwrap.shorten(reason, 200)}): "
    if task.base not in list_tasks():
        return f"{head}check its name and arguments and install what it needs"
    try:
        found = version("mujoco")
    except PackageNotFoundError:
        return f"{head}{SIMULATORS}"
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if not MUJOCO[0] <= numbers < MUJOCO[1]:
        return f'{head}not in MuJoCo {found}: pip install "mujoco==3.3.0"'
    renderer = os.environ.get("MUJOCO_GL")
    sound = not renderer or (renderer == "egl" and has_egl())
    if not sound and not isinstance(error, ModuleNotFoundError):
        return f"{head}MUJOCO_GL={renderer} fails here: unset it"
    return f"{head}{SIMULATORS}"


# book/worlds/tasks.md, section "Open the simulator late"
def fit_actions(task: Task, env):
    """Return `env` with actions in [-1, 1], rescaled if it has others.

    Raises:
        ValueError: its actions are no list of numbers with bounds.
    """
    import gymnasium
    import numpy as np

    box = env.action_space
    if not isinstance(box, gymnasium.spaces.Box) or len(box.shape) != 1:
        raise ValueError(
            f"{task.name} takes actions {box}: a goal task takes a Box with"
            " one axis"
        )
    if not box.is_bounded():
        raise ValueError(
            f"{task.name} takes actions without bounds: give its Box a"
            " finite low and high"
        )
    if (box.low == -1).all() and (box.high == 1).all():
        return env
    ends = np.float32(-1), np.float32(1)
    return gymnasium.wrappers.RescaleAction(env, *ends)


# book/worlds/tasks.md, section "Open the simulator late"
def choose_world(task: Task):
    """Return what gymnasium is asked to make: an id, or our own recipe."""
    import gymnasium

    from smore_lit.worlds.environments import open_world

    if task.entry_point is not None:
        return gymnasium.envs.registration.EnvSpec(
            task.env_id, functools.partial(open_world, task)
        )
    if task.env_id not in gymnasium.registry and ":" not in task.env_id:
        import gymnasium_robotics  # noqa: F401  registers the tasks

    return task.env_id


def open_environment(task: Task, render_mode: str | None = None):
    """Return the environment of `task` as gymnasium makes it.

    Raises:
        ValueError: the simulator is missing or of an unusable version.
    """
    options = {} if render_mode is None else {"render_mode": render_mode}
    if task.entry_point is None:
        options |= task.env_kwargs or {}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            import gymnasium

            world = choose_world(task)
        return gymnasium.make(
            world,
            max_episode_steps=task.horizon,
            disable_env_checker=True,
            **options,
        )
    except Exception as error:  # a library may raise anything on import
        raise ValueError(explain_simulator(task, error)) from error


# book/worlds/tasks.md, section "Open the simulator late"
def make_environment(task: Task, render_mode: str | None = None):
    """Return a new goal environment for `task`.

    Args:
        task: what to simulate.
        render_mode: None, or "rgb_array" for pictures.

    Returns:
        A gymnasium environment with dictionary observations
        (observation, achieved_goal, desired_goal) and actions in [-1, 1],
        truncated after T steps.

    Raises:
        ValueError: the simulator is missing or of an unusable version, or
            its actions have no bounds.
    """
    if render_mode is not None and has_egl():
        os.environ.setdefault("MUJOCO_GL", "egl")
    env = open_environment(task, render_mode)
    if task.env_id.startswith("Fetch"):
        read_only_fingers(env)
    env = fit_actions(task, env)
    if task.action_noise:
        from smore_lit.worlds.environments import noise_class

        return noise_class()(env, task.action_noise)
    return env
