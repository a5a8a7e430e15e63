# Generated from book/planning/pushing.md by make sync. Edit the chapter, not this file.
"""Box pushing: keypoints that must stay a box.

A pusher brings a box to three goals; the planner sees five points on the box
and has learned from a few demonstrations how they move.
"""

__all__ = [
    "HALF",
    "RADIUS",
    "LIMIT",
    "SUBSTEPS",
    "turn_vectors",
    "find_contact",
    "dot",
    "give_way",
    "step_box",
    "as_poses",
    "as_steps",
    "check_positive",
    "MARKS",
    "NOISE",
    "place_marks",
    "measure_state",
    "fit_pose",
    "measure_tear",
    "choose_push",
    "STEPS",
    "demonstrate",
    "shorten",
    "record_pushing",
    "SCENE",
    "World",
    "FlatWorld",
    "read_pose",
    "MujocoWorld",
    "WORLDS",
    "LABELS",
    "GOALS",
    "HORIZON",
    "NEAR",
    "TURNED",
    "pushing_cost",
    "measure_miss",
    "Trip",
    "push_boxes",
    "as_goals",
    "MODEL",
    "SCORE",
    "draw_start",
    "BoxPushing",
    "judge_trip",
    "draw_attempt",
]


# book/planning/pushing.md, section "Box pushing: keypoints that must stay a box"
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from smore_lit.planning.offline import (
    Attempt,
    Method,
    OfflinePlanner,
    fit_planner,
    leave_data,
    plan_offline,
)
from smore_lit.planning.planners import Cost, Descent, shift_plan
from smore_lit.planning.search import Search
from smore_lit.running.files import as_whole


# book/planning/pushing.md, section "How a pushed box moves"
HALF = np.array([0.0867, 0.1703]) / 2  # half the sides of the box, m
RADIUS = 0.035  # of the pusher, m
LIMIT = 0.05  # longest step of the pusher, m
SUBSTEPS = 20  # of one step


def turn_vectors(vectors, angles) -> ndarray:
    """Return vectors (..., 2) turned left by angles (...), in radians."""
    x, y = np.moveaxis(np.asarray(vectors), -1, 0)
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=-1)


def find_contact(places: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Return gap (B,), nearest point (B, 2) and normal into the box (B, 2).

    Args:
        places: centres of the pusher in the frame of the box, (B, 2), m,
            outside of it.

    The gap, in m, is negative where pusher and box overlap.
    """
    near = np.clip(places, -HALF, HALF)
    way = near - places
    far = np.linalg.norm(way, axis=-1)
    return far - RADIUS, near, way / np.maximum(far, 1e-12)[:, None]


# book/planning/pushing.md, section "How a pushed box moves"
def dot(a: ndarray, b: ndarray) -> ndarray:
    """Return inner products (B,) of vectors (B, 2)."""
    return (a * b).sum(axis=-1)


def give_way(
    near: ndarray, normal: ndarray, moved: ndarray, friction, arm
) -> tuple[ndarray, ndarray]:
    """Return how boxes move (B, 2), in m, and turn (B,), in radians.

    Args:
        near: contacts b, (B, 2), m.
        normal: into the box, (B, 2).
        moved: motion u of the pusher in contact, (B, 2), m.
        friction: mu, a number or (B,).
        arm: a of Eq. (limit-surface), a number or (B,), m.

    All in the frame of the box. Proposition "Sticking and sliding".
    """
    lever = np.stack((-near[:, 1], near[:, 0]), axis=-1)  # w
    tangent = np.stack((-normal[:, 1], normal[:, 0]), axis=-1)
    square = np.square(arm)
    share = dot(lever, moved) / (square + dot(lever, lever))
    sticks = moved - lever * share[:, None]  # A^-1 u
    sideways = dot(sticks, tangent)
    slides = abs(sideways) > friction * dot(sticks, normal)
    edge = normal + (friction * np.sign(sideways))[:, None] * tangent
    yields = edge + lever * (dot(lever, edge) / square)[:, None]  # A e
    size = dot(moved, normal) / dot(yields, normal)
    force = np.where(slides[:, None], size[:, None] * edge, sticks)
    return force, dot(lever, force) / square


# book/planning/pushing.md, section "How a pushed box moves"
def step_box(poses, actions, friction=0.3, arm=0.06) -> ndarray:
    """Return the poses (B, 5) after one step of the pusher.

    Args:
        poses: x, y and angle of the box, x and y of the pusher, (B, 5), in
            m and radians.
        actions: steps of the pusher, (B, 2), at most `LIMIT` long, in m.
        friction: between pusher and box, a number or (B,).
        arm: how hard the box is to turn, a number or (B,), m.

    Raises:
        ValueError: shapes or numbers that make no sense, or a pusher whose
            centre is inside the box.
    """
    poses = as_poses(poses).copy()
    part = as_steps(actions, len(poses)) / SUBSTEPS
    check_positive(friction=friction, arm=arm)
    for k in range(SUBSTEPS + 3):
        moves = k < SUBSTEPS
        poses[:, 3:] += part * moves
        place = turn_vectors(poses[:, 3:] - poses[:, :2], -poses[:, 2])
        gap, near, normal = find_contact(place)
        depth = np.maximum(-gap, 0.0)
        u = turn_vectors(part * moves, -poses[:, 2])
        inward = np.maximum(dot(u, normal), 1e-12)
        u = u * np.minimum(1.0, depth / inward)[:, None]
        u = u + (depth - dot(u, normal))[:, None] * normal
        shift, turned = give_way(near, normal, u, friction, arm)
        hit = depth > 0
        shift = turn_vectors(shift, poses[:, 2])
        poses[:, :2] += np.where(hit[:, None], shift, 0.0)
        poses[:, 2] += np.where(hit, turned, 0.0)
    return poses


# book/planning/pushing.md, section "How a pushed box moves"
def as_poses(poses) -> ndarray:
    """Return poses as float64 (B, 5); ValueError if they are none."""
    found = np.asarray(poses, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 5 or not len(found):
        raise ValueError(f"poses must be (B, 5), got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("poses must hold no NaN and no infinity")
    place = turn_vectors(found[:, 3:] - found[:, :2], -found[:, 2])
    if (abs(place) < HALF).all(axis=1).any():
        raise ValueError("the centre of the pusher must be outside the box")
    return found


def as_steps(actions, count: int) -> ndarray:
    """Return actions as float64 (count, 2); ValueError if they are none."""
    found = np.asarray(actions, dtype=np.float64)
    if found.shape != (count, 2):
        raise ValueError(f"actions must be ({count}, 2), got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("actions must hold no NaN and no infinity")
    longest = np.linalg.norm(found, axis=1).max()
    if longest > LIMIT * (1 + 1e-6):
        raise ValueError(
            f"a step may be {LIMIT} m long, got one of {longest:.3g} m"
        )
    return found


def check_positive(**numbers) -> None:
    """Raise ValueError unless all numbers are positive and finite."""
    for name, value in numbers.items():
        if not (np.isfinite(value).all() and np.greater(value, 0).all()):
            raise ValueError(f"{name} must be positive, got {value!r:.40}")


# book/planning/pushing.md, section "Five points and a pusher"
MARKS = np.array(  # keypoints in the frame of the box, m
    [(0.03, 0.07), (0.03, -0.06), (-0.03, 0.05), (-0.025, -0.07),
     (0.005, 0.015)]
)
NOISE = 0.0015  # of a measured keypoint, m


def place_marks(poses) -> ndarray:
    """Return the states (B, 12) of poses (B, 5): keypoints and pusher."""
    poses = np.asarray(poses, dtype=np.float64)
    at = turn_vectors(MARKS, poses[:, None, 2]) + poses[:, None, :2]
    return np.concatenate((at.reshape(-1, 10), poses[:, 3:]), axis=1)


def measure_state(poses, rng: np.random.Generator) -> ndarray:
    """Return states (B, 12) with noise on the keypoints."""
    states = place_marks(poses)
    states[:, :10] += NOISE * rng.normal(size=(len(states), 10))
    return states


def fit_pose(states) -> ndarray:
    """Return x, y and angle (..., 3) of the box that fits keypoints best.

    The best fit in least squares of states (..., 12).
    """
    points = np.asarray(states)[..., :10].reshape(*states.shape[:-1], 5, 2)
    middle, layout = points.mean(axis=-2), MARKS - MARKS.mean(axis=0)
    x, y = np.moveaxis(points - middle[..., None, :], -1, 0)
    sine = (layout[:, 0] * y - layout[:, 1] * x).sum(axis=-1)
    cosine = (layout[:, 0] * x + layout[:, 1] * y).sum(axis=-1)
    angle = np.arctan2(sine, cosine)
    centre = middle - turn_vectors(MARKS.mean(axis=0), angle)
    return np.concatenate((centre, angle[..., None]), axis=-1)


def measure_tear(states) -> ndarray:
    """Return Eq. (tearing) of states (..., 12), in m, (...)."""
    points = np.asarray(states)[..., :10].reshape(*states.shape[:-1], 5, 2)
    i, j = np.triu_indices(5, 1)
    due = np.linalg.norm(MARKS[i] - MARKS[j], axis=-1)
    found = np.linalg.norm(points[..., i, :] - points[..., j, :], axis=-1)
    return np.sqrt(np.square(found - due).mean(axis=-1))


# book/planning/pushing.md, section "Demonstrations"
def choose_push(
    poses: ndarray, goals: ndarray, speeds: ndarray, done: ndarray
) -> ndarray:
    """Return the steps (B, 2) of who pushes boxes toward points.

    Args:
        poses: (B, 5).
        goals: of the centres of the boxes, (B, 2), m.
        speeds: of the pusher, (B,), m per step.
        done: who retreats, (B,).
    """
    aim = turn_vectors(goals - poses[:, :2], -poses[:, 2])
    place = turn_vectors(poses[:, 3:] - poses[:, :2], -poses[:, 2])
    gap = -HALF[0] - RADIUS - place[:, 0]
    off = np.arctan2(aim[:, 1], np.maximum(aim[:, 0], 0.05))
    side = np.clip(-0.06 * off, -0.05, 0.05) - place[:, 1]
    left = np.maximum(aim[:, 0] + gap, 0.005)  # way to go
    changes = abs(side) > 0.02
    ahead = np.where(
        changes, np.clip(gap - 0.015, -0.03, 0.03), np.minimum(speeds, left)
    )
    ahead = np.where(done, -speeds, ahead)
    across = np.where(changes & (gap < 0.008), 0, np.clip(side, -0.03, 0.03))
    across = np.where(done, 0.0, across)
    return turn_vectors(np.stack((ahead, across), axis=-1), poses[:, 2])


# book/planning/pushing.md, section "Demonstrations"
STEPS = 26  # of one demonstration


def demonstrate(episodes: int, seed: int) -> tuple[ndarray, ndarray, ndarray]:
    """Push boxes toward random goals.

    Args:
        episodes: E, how many; each has its own friction and arm.
        seed: of starts, goals and the shaking hand.

    Returns:
        The poses (26+1, E, 5), the steps (26, E, 2) and the goals (E, 2).
    """
    rng = np.random.default_rng(seed)

    def draw(low, high):
        return rng.uniform(low, high, episodes)

    friction, arm = draw(0.2, 0.4), draw(0.045, 0.08)
    poses = np.zeros((episodes, 5))
    poses[:, :3] = np.stack([draw(-a, a) for a in (0.03, 0.03, 0.2)], axis=1)
    behind = np.stack((draw(-0.06, -0.01), draw(-0.06, 0.06)), axis=1)
    behind[:, 0] -= HALF[0] + RADIUS
    poses[:, 3:] = poses[:, :2] + turn_vectors(behind, poses[:, 2])
    goals = np.stack((draw(0.2, 0.38), draw(-0.16, 0.16)), axis=1)
    speeds, done = draw(0.025, 0.045), np.zeros(episodes, dtype=bool)
    path, steps = [poses], []
    for _ in range(STEPS):
        aim = turn_vectors(goals - poses[:, :2], -poses[:, 2])
        done = done | (aim[:, 0] < 0.01)
        u = choose_push(poses, goals, speeds, done)
        u = shorten(u + rng.normal(0.0, 0.004, u.shape))
        poses = step_box(poses, u, friction, arm)
        path.append(poses)
        steps.append(u)
    return np.stack(path), np.stack(steps), goals


def shorten(actions: ndarray) -> ndarray:
    """Return actions (..., 2) cut to the length `LIMIT`."""
    size = np.linalg.norm(actions, axis=-1, keepdims=True)
    return actions * np.minimum(1.0, LIMIT / np.maximum(size, 1e-12))


def record_pushing(
    episodes: int, seed: int
) -> tuple[ndarray, ndarray, ndarray]:
    """Return recorded states (M, 12), actions (M, 2) and next states.

    Args:
        episodes: how many demonstrations, of 26 steps each.
        seed: of all that is random in them.

    A state is five measured keypoints and the pusher, an action the step of
    the pusher, all in m, as float32.

    Raises:
        ValueError: no whole number of episodes, 1 or more.
    """
    count = as_whole("episodes", episodes, 1)
    path, steps, _ = demonstrate(count, seed)
    rng = np.random.default_rng([1, seed])
    seen = np.stack([measure_state(poses, rng) for poses in path])
    parts = seen[:-1], steps, seen[1:]
    x, u, after = (p.reshape(-1, p.shape[-1]) for p in parts)
    return x.astype("f4"), u.astype("f4"), after.astype("f4")


# book/planning/pushing.md, section "Another world"
SCENE = """<mujoco>
  <option timestep="0.002" integrator="implicitfast" cone="elliptic"
    impratio="10"/>
  <worldbody>
    <geom type="plane" size="2 2 0.1" friction="{table} 0.005 0.0001"/>
    <body pos="0 0 0.03">
      <freejoint/>
      <geom type="box" size="{x} {y} 0.03" mass="0.5"
        friction="{table} 0.005 0.0001"/>
    </body>
    <body name="pusher" pos="0 0 0.03">
      <joint name="x" type="slide" axis="1 0 0" damping="60"/>
      <joint name="y" type="slide" axis="0 1 0" damping="60"/>
      <geom type="cylinder" size="{radius} 0.025" mass="0.5" priority="1"
        friction="{finger} 0.005 0.0001"/>
    </body>
  </worldbody>
  <contact><exclude body1="world" body2="pusher"/></contact>
  <actuator>
    <position joint="x" kp="2000"/>
    <position joint="y" kp="2000"/>
  </actuator>
</mujoco>
"""  # m, kg, s


class World(Protocol):
    """Describe a world: the poses (B, 5) of now, and a step of all."""

    poses: ndarray

    def step(self, actions: ndarray) -> None:
        """Move the pushers by actions (B, 2), in m."""


# book/planning/pushing.md, section "Another world"
class FlatWorld:
    """Move boxes by the physics of this chapter.

    Args:
        poses: to begin with, (B, 5).
        friction, arm: as for `step_box`; outside what was recorded.
    """

    def __init__(self, poses, friction: float = 0.15, arm: float = 0.04):
        check_positive(friction=friction, arm=arm)
        self.poses = as_poses(poses)
        self.how = friction, arm

    def step(self, actions: ndarray) -> None:
        """Move the pushers by actions (B, 2), in m."""
        self.poses = step_box(self.poses, actions, *self.how)


def read_pose(place: ndarray) -> ndarray:
    """Return the pose (5,) in MuJoCo's positions (9,)."""
    w, x, y, z = place[3:7]
    angle = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y**2 + z**2))
    return np.array([*place[:2], angle, *place[7:]])


# book/planning/pushing.md, section "Another world"
class MujocoWorld:
    """Move boxes in MuJoCo, each in a scene of its own.

    Args:
        poses: to begin with, (B, 5).
        table, finger: friction of the box with the table and the pusher.

    Raises:
        ValueError: MuJoCo is not installed.
    """

    def __init__(self, poses, table: float = 0.5, finger: float = 0.25):
        check_positive(table=table, finger=finger)
        try:
            import mujoco
        except ImportError:
            raise ValueError(
                "this world needs MuJoCo: pip install 'smore_lit[robotics]'"
            ) from None
        sizes = dict(x=HALF[0], y=HALF[1], radius=RADIUS)
        scene = SCENE.format(table=table, finger=finger, **sizes)
        self.model = mujoco.MjModel.from_xml_string(scene)
        self.scenes = []
        for x, y, angle, *pusher in as_poses(poses):
            data = mujoco.MjData(self.model)
            turned = np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)
            data.qpos[:] = x, y, 0.03, *turned, *pusher
            data.ctrl[:] = pusher
            mujoco.mj_step(self.model, data, 100)  # let it come to rest
            self.scenes.append(data)
        self.poses = np.stack([read_pose(data.qpos) for data in self.scenes])

    def step(self, actions: ndarray) -> None:
        """Move the pushers by actions (B, 2), in m, in half a second."""
        import mujoco

        actions = as_steps(actions, len(self.scenes))
        for data, action in zip(self.scenes, actions):
            begin = data.ctrl.copy()
            for k in range(250):  # the last fifth to catch up
                data.ctrl[:] = begin + action * min(1.0, (k + 1) / 200)
                mujoco.mj_step(self.model, data)
        self.poses = np.stack([read_pose(data.qpos) for data in self.scenes])


WORLDS: dict[str, Callable[[ndarray], World]] = {
    "mujoco": MujocoWorld,
    "flat": FlatWorld,
}


# book/planning/pushing.md, section "Plan at every step"
LABELS = ("left", "centre", "right")
GOALS = np.array(  # x, y and angle of the box, m and radians
    [(0.27, 0.09, 0.32), (0.3, 0.0, 0.0), (0.27, -0.09, -0.32)]
)
HORIZON = 8  # steps of a plan
NEAR, TURNED = 0.02, np.radians(15)  # what counts as a success


def pushing_cost(goals) -> Cost:
    """Return the cost of B plans, or of K around each, for goals (B, 3).

    Eq. (pushing-cost) of this chapter.
    """
    poses = np.pad(np.asarray(goals, dtype=np.float64), ((0, 0), (0, 2)))
    due = torch.tensor(place_marks(poses)[:, :10], dtype=torch.float32)

    def cost(x: Tensor, u: Tensor) -> Tensor:
        wanted = due.repeat_interleave(len(x) // len(due), dim=0)
        way = x[:, 1:, :10] - wanted.unsqueeze(1)
        missed = way.square().sum(dim=-1) / 5  # (B, T)
        effort = (u / LIMIT).square().sum(dim=-1).mean(dim=-1)
        reached = 0.9 * missed[:, -1] + 0.1 * missed.mean(dim=-1)
        return 100 * reached + 0.02 * effort

    return cost


def measure_miss(poses, goals) -> tuple[ndarray, ndarray]:
    """Return how far (B,), m, and how turned (B,), radians, boxes are.

    Poses (B, 3 or more) begin with x, y and angle; goals are (B, 3).
    """
    poses, goals = np.asarray(poses), np.asarray(goals)
    away = np.linalg.norm(poses[:, :2] - goals[:, :2], axis=1)
    turned = (poses[:, 2] - goals[:, 2] + np.pi) % (2 * np.pi) - np.pi
    return away, abs(turned)


# book/planning/pushing.md, section "Plan at every step"
@dataclass
class Trip:
    """Hold how B boxes were pushed, each until it arrived.

    Fields:
        poses: before each step and at the end, (S+1, B, 5).
        seen: measured states before each step, (S, B, 12).
        actions: carried out, 0 after arrival, (S, B, 2).
        moving: which had not arrived, (S, B).
        plans: predicted states at each step, (S, B, T+1, 12).
        costs: of the first plans by the model, (B,).
        seconds: spent on planning, all together.
    """

    poses: ndarray
    seen: ndarray
    actions: ndarray
    moving: ndarray
    plans: ndarray
    costs: ndarray
    seconds: float

    def tear(self) -> ndarray:
        """Return the tear of all plans, root mean square, m, (B,)."""
        square = np.square(measure_tear(self.plans[:, :, 1:])).mean(axis=2)
        count = np.maximum(1, self.moving.sum(axis=0))
        return np.sqrt((square * self.moving).sum(axis=0) / count)


# book/planning/pushing.md, section "Plan at every step"
def push_boxes(
    known: OfflinePlanner,
    method: Method,
    world: World,
    goals,
    seed: int,
    steps: int = 22,
) -> Trip:
    """Push the boxes of a world to goals, planning at every step.

    Args:
        known: model and score.
        method: which planner, and how.
        world: of B boxes; it is changed.
        goals: x, y and angle, (B, 3).
        seed: of the measurements and of searches.
        steps: at most.

    Raises:
        ValueError: goals that do not fit the world.
    """
    goals = as_goals(goals, len(world.poses))
    rng, cost = np.random.default_rng([2, seed]), pushing_cost(goals)
    u = torch.zeros(len(goals), HORIZON, 2)
    u[:, :, 0] = 0.01
    moving, path, seconds = np.ones(len(goals), dtype=bool), [world.poses], 0.0
    rows: list[tuple[ndarray, ...]] = []
    costs = np.full(len(goals), np.nan)
    for t in range(steps):
        x = place_marks(world.poses)
        x[:, :10] += NOISE * rng.normal(size=10)  # the same for all
        away, turned = measure_miss(fit_pose(x), goals)
        moving = moving & ~((away < 0.018) & (turned < np.radians(13)))
        if not moving.any():
            break
        start = torch.tensor(x, dtype=torch.float32)
        began = time.process_time()
        found = plan_offline(
            known, start, u, cost, method, [1_000 * seed + t] * len(goals)
        )
        seconds += time.process_time() - began
        costs = costs if rows else found.costs.numpy()
        action = shorten(found.actions[:, 0].double().numpy())
        action = action * moving[:, None]
        world.step(action)
        rows.append((x, action, moving, found.states.numpy()))
        path.append(world.poses)
        u = shift_plan(found.actions)
    if not rows:
        raise ValueError("every box is at its goal to begin with")
    seen, taken, moved, plans = (np.stack(part) for part in zip(*rows))
    return Trip(np.stack(path), seen, taken, moved, plans, costs, seconds)


# book/planning/pushing.md, section "Plan at every step"
def as_goals(goals, count: int) -> ndarray:
    """Return goals as float64 (count, 3); ValueError if they are none."""
    found = np.asarray(goals, dtype=np.float64)
    if found.shape != (count, 3):
        raise ValueError(f"goals must be ({count}, 3), got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("goals must hold no NaN and no infinity")
    return found


# book/planning/pushing.md, section "The problem as a whole"
MODEL = {"hidden": (128, 128), "batch_size": 256, "learning_rate": 3e-3}
SCORE = MODEL | {"waves": 1, "smallest": 0.05}


def draw_start(seed: int) -> ndarray:
    """Return the pose (5,) that all planners of a seed begin with."""
    rng = np.random.default_rng([3, seed])
    box = rng.uniform(-1, 1, 3) * (0.01, 0.01, 0.05)
    behind = rng.uniform((0.015, -0.03), (0.04, 0.03)) * (-1, 1)
    behind[0] -= HALF[0] + RADIUS
    return np.concatenate((box, box[:2] + turn_vectors(behind, box[2])))


# book/planning/pushing.md, section "The problem as a whole"
@dataclass(frozen=True)
class BoxPushing:
    """Push a box to three goals with what demonstrations teach.

    Raises:
        ValueError: an unknown world, or a count that makes no sense.
    """

    name: str = "pushing"  # of the problem, on the command line
    method: Method = Method(
        beta=0.15,
        descent=Descent(steps=25, rate=0.1, largest=0.05, smallest=0.05),
        search=Search(steps=8, samples=64, elites=8),
    )
    updates: int = 2_500  # of each network
    episodes: int = 60  # demonstrations, of 26 steps each
    world: str = "mujoco"  # where plans are carried out; or flat

    def __post_init__(self):
        if self.world not in WORLDS:
            known = ", ".join(WORLDS)
            raise ValueError(
                f"unknown world {self.world!r:.40}; known: {known}"
            )
        as_whole("updates", self.updates, 1)
        as_whole("episodes", self.episodes, 1)

    def learn(
        self,
        seed: int,
        members: int = 1,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> OfflinePlanner:
        """Record demonstrations and learn from them; see `fit_planner`."""
        given = record_pushing(self.episodes, seed)
        how: dict[str, Any] = dict(members=members, seed=seed)
        how |= dict(updates=updates or self.updates, progress=progress)
        return fit_planner(*given, out, model=MODEL, score=SCORE, **how)

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Plan and push, to the left, to the centre and to the right."""
        poses = np.repeat(draw_start(seed)[None], len(GOALS), axis=0)
        world = WORLDS[self.world](poses)
        trip = push_boxes(known, method, world, GOALS, seed)
        return judge_trip(known, trip, GOALS, LABELS)

    def draw(self, attempt: Attempt) -> list[ndarray]:
        """Return pictures (H, W, 3) of the push, one for each step."""
        return draw_attempt(attempt)


# book/planning/pushing.md, section "The problem as a whole"
def judge_trip(
    known: OfflinePlanner, trip: Trip, goals, labels: Sequence[str]
) -> list[Attempt]:
    """Return what came of a trip, for each of B goals (B, 3).

    The true cost is that of the last pose, had nobody moved from there; the
    plan is the first one, the share of steps outside is by `leave_data`.
    """
    away, turned = measure_miss(trip.poses[-1], goals)
    last = torch.tensor(place_marks(trip.poses[-1]), dtype=torch.float32)
    rest = last.unsqueeze(1).expand(-1, HORIZON + 1, -1)
    still = torch.zeros(len(last), HORIZON, 2)
    costs, found = pushing_cost(goals)(rest, still), []
    for b, label in enumerate(labels):
        count = int(trip.moving[:, b].sum())
        taken = trip.actions[:count, b]
        outside = leave_data(known, trip.seen[:count, b], taken)
        path = place_marks(trip.poses[: count + 1, b])
        found.append(
            Attempt(
                label=label,
                model_cost=float(trip.costs[b]),
                true_cost=costs[b].item(),
                outside=float(outside.mean()) if count else 0.0,
                success=bool(away[b] < NEAR and turned[b] < TURNED),
                seconds=trip.seconds / len(labels),
                planned=torch.tensor(trip.plans[0, b]),
                real=torch.tensor(path, dtype=torch.float32),
                actions=torch.tensor(taken, dtype=torch.float32),
            )
        )
    return found


# book/planning/pushing.md, section "The problem as a whole"
def draw_attempt(attempt: Attempt) -> list[ndarray]:
    """Return pictures (320, 480, 3) of an attempt, one for each state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    states = attempt.real.double().numpy()
    corners = HALF * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1], [1, 1]])
    figure = Figure(figsize=(4.8, 3.2), dpi=100)
    canvas = FigureCanvasAgg(figure)
    goals = dict(zip(LABELS, GOALS))
    pictures = []
    for t, pose in enumerate(fit_pose(states)):
        figure.clear()
        ax = figure.add_axes((0, 0, 1, 1), aspect="equal")
        ax.set(xlim=(-0.2, 0.43), ylim=(-0.21, 0.21))
        ax.axis("off")
        for place, colour in ((goals.get(attempt.label), "0.75"),
                              (pose, "k")):
            if place is not None:
                edge = turn_vectors(corners, place[2]) + place[:2]
                ax.plot(*edge.T, color=colour)
        ax.plot(states[: t + 1, 10], states[: t + 1, 11], color="0.6")
        ax.plot(states[t, 0:10:2], states[t, 1:10:2], ".", color="#d25a00")
        angle = np.linspace(0, 2 * np.pi, 40)
        rim = RADIUS * np.stack((np.cos(angle), np.sin(angle)))
        ax.fill(*(rim + states[t, 10:, None]), color="0.4")
        canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return pictures
