# Generated from book/worlds/points.md by make sync. Edit the chapter, not this file.
"""Point mazes: walk a point through four rooms.

Two tasks without physics, which play thousands of episodes in a second.
"""

__all__ = [
    "POINT_DIFFERENCES",
    "POINT_WORDS",
    "POINT_REACH",
    "POINT_ROOMS",
    "FAMILY",
    "HALF",
    "THICK",
    "EPSILON",
    "SPANS",
    "DOOR",
    "ROOMS",
    "inside",
    "stop",
    "move",
    "draw_points",
    "walk",
    "PointReach",
    "PointRooms",
    "PointExpert",
    "RoomsExpert",
    "door_on",
    "distance",
]


# book/worlds/points.md, section "Point mazes: walk a point through four rooms"
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from smore_lit.worlds.tasks import Reference, Task


# book/worlds/points.md, section "The tasks in numbers"
POINT_DIFFERENCES = (
    "the published data hold 49 actions per episode, ours 50",
)


# book/worlds/points.md, section "The tasks in numbers"
POINT_WORDS = Reference(
    observation=((2, "position", "1"),),
    action=((2, "displacement of 1, then clipped to the square", "1"),),
    goal="uniform in [-5, 5]^2",
    start="uniform in [-5, 5]^2",
    history=("smore_lit/PointReach-v1: first version",),
    differences=POINT_DIFFERENCES,
)
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
    simulators=(),
    expert="smore_lit.worlds.points:PointExpert",
    reference=POINT_WORDS,
)
POINT_ROOMS = replace(
    POINT_REACH,
    name="PointRooms",
    env_id="smore_lit/PointRooms-v1",
    entry_point="smore_lit.worlds.points:PointRooms",
    source="Yang et al. 2022 (Point2D-FourRoom-v1), rebuilt",
    expert="smore_lit.worlds.points:RoomsExpert",
    reference=replace(
        POINT_WORDS,
        goal="uniform in [-5, 5]^2 outside the walls",
        start="uniform in [-5, 5]^2 outside the walls",
        history=("smore_lit/PointRooms-v1: first version",),
    ),
)
FAMILY = (POINT_REACH, POINT_ROOMS)


# book/worlds/points.md, section "Walls that stop a coordinate"
HALF = 5.0  # the square is [-HALF, HALF]^2
THICK = 0.8  # half-width of a block: ball 0.5 plus wall 0.3
EPSILON = 0.01  # how far before a face a move is stopped
SPANS = ((-6.8, -4.45), (-1.65, 1.65), (4.45, 6.8))  # along a wall
DOOR = 3.05  # middle of the gaps between them
ROOMS = (
    *((span, (-THICK, THICK)) for span in SPANS),
    *(((-THICK, THICK), span) for span in SPANS),
)


def inside(positions, blocks) -> np.ndarray:
    """Return whether positions (..., 2) lie in or on a block, (...)."""
    found = np.zeros(np.shape(positions)[:-1], dtype=bool)
    for (left, right), (low, high) in blocks:
        x, y = positions[..., 0], positions[..., 1]
        found |= (left <= x) & (x <= right) & (low <= y) & (y <= high)
    return found


# book/worlds/points.md, section "Walls that stop a coordinate"
def stop(start, end, block) -> np.ndarray:
    """Return the ends (..., 2) of moves, held back at one block's faces."""
    held = end.copy()
    for axis in (0, 1):
        along = block[1 - axis]
        for face, side in zip(block[axis], (-1.0, 1.0)):
            before = side * (start[..., axis] - face)
            after = side * (end[..., axis] - face)
            enters = (before >= 0) & (after <= 0) & (before > after)
            share = before / np.where(enters, before - after, 1.0)
            way = end[..., 1 - axis] - start[..., 1 - axis]
            meets = start[..., 1 - axis] + share * way
            hit = enters & (along[0] <= meets) & (meets <= along[1])
            free = held[..., axis]
            held[..., axis] = np.where(hit, face + side * EPSILON, free)
    return held


# book/worlds/points.md, section "Walls that stop a coordinate"
def move(positions, actions, blocks=()) -> np.ndarray:
    """Return where moves end.

    Args:
        positions: (..., 2), outside the blocks.
        actions: (..., 2), clipped to [-1, 1].
        blocks: ((left, right), (low, high)) each, `ROOMS` or none.

    Returns:
        Positions (..., 2), outside the blocks and in the square.

    Source: Point2D of multiworld (Nair et al. 2018).
    """
    wanted = positions + np.clip(actions, -1.0, 1.0)
    hold = functools.partial(stop, positions)
    ends = functools.reduce(hold, blocks, wanted)
    caught = (ends != wanted).all(-1, keepdims=True)
    if caught.any():
        other = functools.reduce(hold, blocks[::-1], wanted)
        ends = np.where(caught, other, ends)
    return ends.clip(-HALF, HALF)


# book/worlds/points.md, section "Walls that stop a coordinate"
def draw_points(rng: np.random.Generator, count: int, blocks=()):
    """Return positions (count, 2), uniform in the square off the blocks."""
    points = rng.uniform(-HALF, HALF, (count, 2))
    bad = inside(points, blocks)
    while bad.any():
        points[bad] = rng.uniform(-HALF, HALF, (int(bad.sum()), 2))
        bad = inside(points, blocks)
    return points


def walk(rng, count: int, act: Callable, blocks=(), horizon: int = 50):
    """Play `count` episodes at once.

    Args:
        rng: draws starts and goals.
        count: E, how many episodes.
        act: (observations (E, 2), goals (E, 2)) -> actions (E, 2).
        blocks: `ROOMS` or none.
        horizon: T, steps per episode.

    Returns:
        observations (E, T+1, 2), actions (E, T, 2), desired_goals (E, 2).
    """
    path = [draw_points(rng, count, blocks)]
    goals, actions = draw_points(rng, count, blocks), []
    for _ in range(horizon):
        actions.append(act(path[-1], goals))
        path.append(move(path[-1], actions[-1], blocks))
    return np.stack(path, 1), np.stack(actions, 1), goals


# book/worlds/points.md, section "The two worlds"
class PointReach:
    """A point in an empty square."""

    blocks: tuple = ()

    def __init__(self, render_mode: str | None = None):
        self.place = self.goal = np.zeros(2)

    def reset(self, rng):
        """Draw a start, then a goal; return both, each (2,)."""
        self.place = draw_points(rng, 1, self.blocks)[0]
        self.goal = draw_points(rng, 1, self.blocks)[0]
        return self.place, self.goal

    def step(self, action):
        """Move by `action` (2,); return the new position (2,)."""
        self.place = move(self.place, action, self.blocks)
        return self.place

    def render(self) -> np.ndarray:
        """Return a picture (320, 320, 3) of square, goal and point."""
        line = np.linspace(-HALF, HALF, 320)
        pixels = np.stack(np.meshgrid(line, -line), -1)
        picture = np.full((320, 320, 3), 255, np.uint8)
        picture[inside(pixels, self.blocks)] = 190
        far = np.linalg.norm(pixels - self.goal, axis=-1)
        picture[np.abs(far - 1.0) < 0.05] = (204, 51, 17)
        near = np.linalg.norm(pixels - self.place, axis=-1)
        picture[near < 0.15] = (0, 0, 0)
        return picture


class PointRooms(PointReach):
    """A point in four rooms with four doors."""

    blocks = ROOMS


# book/worlds/points.md, section "An expert for the square"
@dataclass(frozen=True)
class PointExpert:
    """Step toward the goal in proportion to the distance."""

    gain: float = 0.3  # 1 is the quickest; see the chapter

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (2,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return clipped steps (..., 2) toward the goals (..., 2)."""
        return (self.gain * (self.aim(observation, goal) - observation)).clip(
            -1, 1
        )

    def aim(self, observation, goal):
        """Return where to go next: the goal itself."""
        return goal


# book/worlds/points.md, section "An expert for the rooms"
@dataclass(frozen=True)
class RoomsExpert(PointExpert):
    """Step toward the goal, through the doors on the shorter way."""

    def aim(self, observation, goal):
        """Return the goals (..., 2), or the doors that lead to them."""
        here, there = np.sign(observation), np.sign(goal)
        open_ = (here == there) | (np.abs(observation) <= THICK)
        side = np.where(open_, there, here)
        first = [door_on(axis, side[..., 1 - axis]) for axis in (0, 1)]
        second = [door_on(axis, there[..., 1 - axis]) for axis in (0, 1)]
        ways = [
            distance(observation, first[axis])
            + distance(first[axis], second[1 - axis])
            + distance(second[1 - axis], goal)
            for axis in (0, 1)
        ]
        shorter = ways[0] <= ways[1]
        across = np.where(open_[..., 0], False, open_[..., 1] | shorter)
        door = np.where(across[..., None], first[0], first[1])
        return np.where(open_.all(-1)[..., None], goal, door)


# book/worlds/points.md, section "An expert for the rooms"
def door_on(axis: int, side) -> np.ndarray:
    """Return the middles (..., 2) of the doors through which `axis` changes.

    Args:
        axis: the coordinate that changes sign on the way through.
        side: sign of the other coordinate, (...).
    """
    doors = np.zeros((*np.shape(side), 2))
    doors[..., 1 - axis] = DOOR * side
    return doors


def distance(start, end) -> np.ndarray:
    """Return Euclidean distances of points (..., 2), shape (...)."""
    return ((start - end) ** 2).sum(-1) ** 0.5
