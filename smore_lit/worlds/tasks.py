# Generated from book/worlds/tasks.md by make sync. Edit the chapter, not this file.
"""State a task in numbers.

Spaces, a goal map, a threshold and a horizon, each read off the running
simulator.
"""

__all__ = [
    "Reference",
    "Judge",
    "read_environment",
    "Task",
    "NOISE_MARK",
    "GRIPPER",
    "FINGERS",
    "SPEEDS",
    "OBJECT",
    "OBJECT_MOTION",
    "WITHOUT_OBJECT",
    "WITH_OBJECT",
    "MOVE",
    "BLOCKED",
    "GRASP",
    "FETCH_HISTORY",
    "FETCH_DIFFERENCES",
    "OBJECT_START",
    "FETCH_REACH",
    "FETCH_PUSH",
    "FETCH_PICK",
    "FETCH_SLIDE",
    "HAND_GOAL",
    "HAND_HISTORY",
    "HAND_DIFFERENCES",
    "HAND_REACH",
    "REACHER_HISTORY",
    "REACHER_DIFFERENCES",
    "ANGLES",
    "TURNING",
    "FINGERTIP",
    "REACHER",
    "REACHER_BLIND",
    "SAWYER_MOVE",
    "SAWYER_DIFFERENCES",
    "SAWYER_REACH",
    "SAWYER_DOOR",
    "POINT_DIFFERENCES",
    "POINT_REACH",
    "POINT_ROOMS",
    "TASKS",
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


# book/worlds/tasks.md, section "State a task in numbers"
import contextlib
import ctypes.util
import functools
import io
import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version

from smore_lit.running.files import as_number


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
    reference: Reference | None = None
    env_kwargs: dict | None = field(default=None, hash=False)  # for its maker

    from_env = classmethod(read_environment)

    @property
    def base(self) -> str:
        """Return the name of the task without action noise."""
        return self.name.partition(NOISE_MARK)[0]

    def make(self, render_mode=None):
        """Return a new goal environment; see `make_environment`."""
        return make_environment(self, render_mode)


NOISE_MARK = "-noise"


# book/worlds/tasks.md, section "Four tasks with one arm"
GRIPPER = ((3, "gripper position", "m"),)
FINGERS = ((2, "finger positions", "m"),)
SPEEDS = (
    (3, "gripper velocity x 0.04 s", "m"),
    (2, "finger velocities x 0.04 s", "m"),
)
OBJECT = (
    (3, "object position", "m"),
    (3, "object position minus gripper position", "m"),
)
OBJECT_MOTION = (
    (3, "object orientation, Euler angles", "rad"),
    (3, "object velocity minus gripper velocity, x 0.04 s", "m"),
    (3, "object angular velocity x 0.04 s", "rad"),
)
WITHOUT_OBJECT = GRIPPER + FINGERS + SPEEDS
WITH_OBJECT = GRIPPER + OBJECT + FINGERS + OBJECT_MOTION + SPEEDS
MOVE = ((3, "gripper displacement of 0.05 m, softly followed", "m"),)
BLOCKED = (*MOVE, (1, "nothing: the fingers are blocked shut", "-"))
GRASP = (*MOVE, (1, "fingers opened by 0.05 m, -1 closes", "m"))


# book/worlds/tasks.md, section "Four tasks with one arm"
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
OBJECT_START = (
    "object at gripper xy + U(-{0}, {0})^2, redrawn while within 0.1 m; "
    "arm always at the same place, {1}"
)


# book/worlds/tasks.md, section "Four tasks with one arm"
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
    reference=Reference(
        observation=WITHOUT_OBJECT,
        action=BLOCKED,
        goal="initial gripper position + U(-0.15, 0.15)^3",
        start="arm at rest, gripper at (1.342, 0.749, 0.535)",
        history=FETCH_HISTORY,
        differences=FETCH_DIFFERENCES,
    ),
)


# book/worlds/tasks.md, section "Four tasks with one arm"
FETCH_PUSH = replace(
    FETCH_REACH,
    name="FetchPush",
    env_id="FetchPush-v4",
    observation_size=25,
    goal_index=(3, 4, 5),
    source="Plappert et al. 2018; gymnasium-robotics FetchPush-v4",
    paper_episodes=40_000,
    cpu_episodes=8_000,
    reference=Reference(
        observation=WITH_OBJECT,
        action=BLOCKED,
        goal="initial gripper xy + U(-0.15, 0.15)^2, on the table",
        start=OBJECT_START.format(0.15, "low over the table"),
        history=FETCH_HISTORY,
        differences=FETCH_DIFFERENCES,
    ),
)


# book/worlds/tasks.md, section "Four tasks with one arm"
FETCH_PICK = replace(
    FETCH_PUSH,
    name="FetchPick",
    env_id="FetchPickAndPlace-v4",
    source="Plappert et al. 2018; gymnasium-robotics FetchPickAndPlace-v4",
    reference=replace(
        FETCH_PUSH.reference,
        action=GRASP,
        goal="initial gripper xy + U(-0.15, 0.15)^2, on the table; with "
        "probability 0.5 raised by U(0, 0.45)",
        start=OBJECT_START.format(0.15, "0.11 m over the block"),
    ),
)
FETCH_SLIDE = replace(
    FETCH_PUSH,
    name="FetchSlide",
    env_id="FetchSlide-v4",
    source="Plappert et al. 2018; gymnasium-robotics FetchSlide-v4",
    reference=replace(
        FETCH_PUSH.reference,
        goal="initial gripper xy + (0.4, 0) + U(-0.3, 0.3)^2, on the table",
        start=OBJECT_START.format(0.1, "low over the table"),
    ),
)


# book/worlds/tasks.md, section "A hand with twenty motors"
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


# book/worlds/tasks.md, section "A hand with twenty motors"
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


# book/worlds/tasks.md, section "Two links"
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


# book/worlds/tasks.md, section "Two links"
ANGLES = ((2, "cosines of the angles", "-"), (2, "sines of the angles", "-"))
TURNING = ((2, "angular velocities", "rad/s"),)
FINGERTIP = ((2, "fingertip position", "m"),)
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
    reference=Reference(
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
    ),
)


# book/worlds/tasks.md, section "Two links"
REACHER_BLIND = replace(
    REACHER,
    name="ReacherBlind",
    env_id="smore_lit/ReacherBlind-v1",
    entry_point="smore_lit.worlds.reacher:ReacherBlind",
    observation_size=8,
    goal_index=(6, 7),
    reference=replace(
        REACHER.reference,
        observation=ANGLES + TURNING + FINGERTIP,
        differences=(
            *REACHER_DIFFERENCES,
            "no target and no constant 0 in the observation",
        ),
    ),
)


# book/worlds/tasks.md, section "A Sawyer arm"
SAWYER_MOVE = (
    (3, "mocap target of the hand displaced by 0.02 m, then boxed", "m"),
)
SAWYER_DIFFERENCES = (
    "metaworld's arm and gripper: the hand lies 12 cm beyond the wrist, "
    "where the original's was at the wrist; MuJoCo 3.3.0",
    "every episode starts from one stored state, and the goal comes from "
    "the seed of the episode, not from a global generator",
    "the published data hold 49 actions per episode, ours 50",
)
SAWYER_REACH = Task(
    name="SawyerReach",
    env_id="smore_lit/SawyerReach-v1",
    entry_point="smore_lit.worlds.sawyer:SawyerReach",
    observation_size=3,
    goal_size=3,
    action_size=3,
    goal_index=(0, 1, 2),
    threshold=0.06,
    success_threshold=0.06,
    horizon=50,
    source="Nair et al. 2018 (multiworld SawyerReachXYZEnv-v1), rebuilt",
    reference=Reference(
        observation=((3, "hand position", "m"),),
        action=SAWYER_MOVE,
        goal="uniform in the box [-0.2, 0.2] x [0.55, 0.75] x [0.05, 0.30]",
        start="hand driven to (0, 0.5, 0.02), outside the box",
        history=("smore_lit/SawyerReach-v1: first version",),
        differences=(
            *SAWYER_DIFFERENCES,
            "the table is 5 cm lower, clear of metaworld's longer fingers",
        ),
    ),
)


# book/worlds/tasks.md, section "A Sawyer arm"
SAWYER_DOOR = replace(
    SAWYER_REACH,
    name="SawyerDoor",
    env_id="smore_lit/SawyerDoor-v1",
    entry_point="smore_lit.worlds.sawyer:SawyerDoor",
    observation_size=4,
    goal_size=1,
    goal_index=(3,),
    threshold=0.06,
    success_threshold=0.02,
    unit="rad",
    source="Nair et al. 2018 (multiworld SawyerDoor-v0), rebuilt",
    reference=Reference(
        observation=((3, "hand position", "m"), (1, "door angle", "rad")),
        action=SAWYER_MOVE,
        goal="U(0, 0.83)",
        start="hand driven to (-0.05, 0.635, 0.225), door shut and at rest",
        history=("smore_lit/SawyerDoor-v1: first version",),
        differences=(
            *SAWYER_DIFFERENCES,
            "metaworld's panel, smaller and lighter, half a turn about; a "
            "bar on two posts in place of metaworld's handle",
            "the hook is the gripper's far finger, 9 mm thick, not 2 cm",
        ),
    ),
)


# book/worlds/tasks.md, section "Points"
POINT_DIFFERENCES = (
    "the published data hold 49 actions per episode, ours 50",
)


# book/worlds/tasks.md, section "Points"
POINT_REACH = Task(
    name="PointReach",
    env_id="smore_lit/PointReach-v1",
    entry_point="smore_lit.worlds.points:PointReach",
    observation_size=2,
    goal_size=2,
    action_size=2,
    goal_index=(0, 1),
    threshold=1.0,
    success_threshold=1.0,
    horizon=50,
    unit="1",
    source="Nair et al. 2018 (multiworld Point2DLargeEnv-v1), rebuilt",
    reference=Reference(
        observation=((2, "position", "1"),),
        action=((2, "displacement of 1, then clipped to the square", "1"),),
        goal="uniform in [-5, 5]^2",
        start="uniform in [-5, 5]^2",
        history=("smore_lit/PointReach-v1: first version",),
        differences=POINT_DIFFERENCES,
    ),
)
POINT_ROOMS = replace(
    POINT_REACH,
    name="PointRooms",
    env_id="smore_lit/PointRooms-v1",
    entry_point="smore_lit.worlds.points:PointRooms",
    source="Yang et al. 2022 (Point2D-FourRoom-v1), rebuilt",
    reference=replace(
        POINT_REACH.reference,
        goal="uniform in [-5, 5]^2 outside the walls",
        start="uniform in [-5, 5]^2 outside the walls",
        history=("smore_lit/PointRooms-v1: first version",),
    ),
)


# book/worlds/tasks.md, section "All of them"
TASKS = {
    task.name: task
    for task in (
        FETCH_REACH,
        FETCH_PUSH,
        FETCH_PICK,
        FETCH_SLIDE,
        HAND_REACH,
        REACHER,
        REACHER_BLIND,
        SAWYER_REACH,
        SAWYER_DOOR,
        POINT_REACH,
        POINT_ROOMS,
    )
}


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
        name: one of the keys of `TASKS`, or "module:NAME" for a task of
            your own; with "-noise" and a standard deviation behind it for a
            noisy one.

    Returns:
        The task.

    Raises:
        ValueError: no task has that name.
    """
    if hasattr(name, "make"):
        return name
    base, mark, noise = str(name).partition(NOISE_MARK)
    if ":" not in base and base not in TASKS:
        known = ", ".join(TASKS)
        raise ValueError(
            f"unknown task {name!r}; known: {known}; one of your own is"
            " module:NAME"
        )
    task = import_task(base) if ":" in base else TASKS[base]
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
    if task.base not in TASKS:
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
