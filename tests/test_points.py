"""Points, walls and doors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smore_lit.worlds import points
from smore_lit.worlds.points import ROOMS, inside, move

coordinate = st.floats(-5, 5)
step = st.floats(-1.5, 1.5)


def hits(start, end, block):
    """Hold back one move at one block, by hand and in scalars."""
    (left, right), (low, high) = block
    x, y = end
    dx, dy = end[0] - start[0], end[1] - start[1]
    if dx < 0 and start[0] >= right >= end[0]:
        if low <= start[1] + (right - start[0]) / dx * dy <= high:
            x = right + 0.01
    if dx > 0 and start[0] <= left <= end[0]:
        if low <= start[1] + (left - start[0]) / dx * dy <= high:
            x = left - 0.01
    if dy < 0 and start[1] >= high >= end[1]:
        if left <= start[0] + (high - start[1]) / dy * dx <= right:
            y = high + 0.01
    if dy > 0 and start[1] <= low <= end[1]:
        if left <= start[0] + (low - start[1]) / dy * dx <= right:
            y = low - 0.01
    return x, y


def slow_move(start, action):
    wanted = tuple(np.add(start, np.clip(action, -1, 1)))
    for order in (ROOMS, ROOMS[::-1]):
        end = wanted
        for block in order:
            end = hits(start, end, block)
        if end[0] == wanted[0] or end[1] == wanted[1]:
            break
    return np.clip(end, -5, 5)


@settings(max_examples=300, deadline=None)
@given(coordinate, coordinate, step, step)
def test_moves_equal_a_scalar_reading(x, y, dx, dy):
    start = np.array([x, y])
    if not inside(start, ROOMS):
        end = move(start, np.array([dx, dy]), ROOMS)
        assert np.allclose(end, slow_move((x, y), (dx, dy)), atol=1e-12)
        assert not inside(end, ROOMS) and (np.abs(end) <= 5).all()


def test_batch_equals_single_moves():
    rng = np.random.default_rng(0)
    starts = points.draw_points(rng, 5000, ROOMS)
    actions = rng.uniform(-1.5, 1.5, starts.shape)
    together = move(starts, actions, ROOMS)
    alone = [move(s, a, ROOMS) for s, a in zip(starts, actions)]
    assert (together == np.array(alone)).all()


@pytest.mark.parametrize(
    ("start", "action", "end"),
    [
        ((0.9, 3.0), (-1, 0), (-0.1, 3.0)),  # through a door
        ((0.9, 1.0), (-1, 0.2), (0.81, 1.2)),  # slides
        ((1.0, 1.0), (-0.5, -0.5), (0.81, 0.81)),  # a corner holds both
        ((1.66, 0.5), (-1, 0), (1.66, 0.5)),  # the side of a door
        ((4.9, 0.9), (1, -1), (5.0, 0.81)),  # wall and border
        ((3.0, 3.0), (9, -9), (4.0, 2.0)),  # actions are clipped
    ],
)
def test_moves_worked_by_hand(start, action, end):
    found = move(np.array(start), np.array(action, float), ROOMS)
    assert np.allclose(found, end, atol=1e-12)


def test_draws_are_uniform_off_the_walls():
    drawn = points.draw_points(np.random.default_rng(0), 40_000, ROOMS)
    assert not inside(drawn, ROOMS).any()
    grid = np.random.default_rng(1).uniform(-5, 5, (40_000, 2))
    free = ~inside(grid, ROOMS)
    corner = (drawn > 4).all(-1).mean()
    assert abs(corner - 0.01 / free.mean()) < 0.003


@pytest.mark.parametrize(
    ("expert", "blocks"),
    [(points.PointExpert(), ()), (points.RoomsExpert(), ROOMS)],
)
def test_experts_reach_every_goal_and_stay(expert, blocks):
    rng = np.random.default_rng(5)
    path, actions, goals = points.walk(rng, 3000, expert.act, blocks)
    assert np.abs(actions).max() <= 1
    reached = points.distance(path, goals[:, None]) <= 1
    assert reached[:, 45:].all()


def test_rooms_take_the_shorter_way():
    act = points.RoomsExpert(gain=1.0).aim
    here = np.array([3.0, 3.0])
    assert (act(here, np.array([-1.0, -4.0])) == [3.05, 0]).all()
    assert (act(here, np.array([-4.0, -1.0])) == [0, 3.05]).all()
    assert (act(here, np.array([3.0, -3.0])) == [3.05, 0]).all()
    assert (act(here, np.array([1.0, 4.0])) == [1, 4]).all()
    assert (act(np.array([3.0, 0.5]), np.array([4, -3.0])) == [4, -3]).all()


def test_thousands_of_episodes_per_second():
    import time

    rng = np.random.default_rng(0)
    began = time.process_time()
    points.walk(rng, 5000, lambda s, g: rng.uniform(-1, 1, s.shape), ROOMS)
    assert 5000 / (time.process_time() - began) > 1000


def test_picture_shows_walls_goal_and_point():
    world = points.PointRooms()
    world.reset(np.random.default_rng(0))
    colours = {tuple(c) for c in world.render().reshape(-1, 3)}
    assert len(colours) == 4
