"""Box pushing: the physics by hand, the demonstrations, and the problem."""

import dataclasses

import numpy as np
import pytest

from smore_lit.planning import pushing
from smore_lit.planning.offline import Attempt, Method
from smore_lit.planning.planners import Descent
from smore_lit.planning.search import Search

BEHIND = -pushing.HALF[0] - pushing.RADIUS
TINY = pushing.BoxPushing(
    updates=2,
    episodes=3,
    world="flat",
    method=Method(
        beta=0.1,
        descent=Descent(steps=1, rate=0.1, largest=0.05, smallest=0.05),
        search=Search(steps=1, samples=4, elites=2),
    ),
)


def push(x, y, action, pose=(0.0, 0.0, 0.0), **how):
    """Return the pose (5,) after one step from a pusher in the box's frame."""
    start = np.array(pose)
    at = pushing.turn_vectors([x, y], start[2]) + start[:2]
    step = pushing.turn_vectors(action, start[2])
    return pushing.step_box([[*start, *at]], [step], **how)[0]


def test_a_centred_push_moves_the_box_straight_by_what_is_left_of_the_step():
    after = push(BEHIND - 0.005, 0.0, [0.05, 0.0])
    np.testing.assert_allclose(after[:3], [0.045, 0, 0], atol=1e-9)
    np.testing.assert_allclose(after[3:], [BEHIND + 0.045, 0], atol=1e-9)


def test_a_push_from_any_side_is_the_same_in_the_frame_of_the_box():
    home = push(BEHIND - 0.005, 0.03, [0.04, 0.01])
    pose = (0.2, -0.1, 2.0)
    away = push(BEHIND - 0.005, 0.03, [0.04, 0.01], pose)
    back = pushing.turn_vectors(away[:2] - pose[:2], -pose[2])
    np.testing.assert_allclose(back, home[:2], atol=1e-9)
    assert away[2] - pose[2] == pytest.approx(home[2])


def test_an_off_centre_push_turns_the_box_and_its_mirror_image_the_other_way():
    left = push(BEHIND - 0.005, 0.04, [0.05, 0.0])
    right = push(BEHIND - 0.005, -0.04, [0.05, 0.0])
    assert left[2] < -0.1  # pushed on its left, it turns right
    np.testing.assert_allclose(left * [1, -1, -1, 1, -1], right, atol=1e-12)


def test_a_box_that_is_harder_to_turn_turns_less():
    easy, hard = (
        push(BEHIND, 0.04, [0.02, 0.0], arm=arm)[2] for arm in (0.04, 0.08)
    )
    assert easy < 1.5 * hard < 0


def test_a_box_without_friction_slides_off_and_one_with_much_sticks():
    """One small push by hand: w = (-y, b_x), u = (1, 0) times 0.1 mm."""
    size, side, arm = 1e-4, 0.03, 0.05
    lever = np.array([-side, -pushing.HALF[0]])
    slips = push(BEHIND, side, [size, 0.0], friction=1e-9, arm=arm)
    force = size / (1 + side**2 / arm**2)
    due = [force, 0.0, -side * force / arm**2]
    np.testing.assert_allclose(slips[:3], due, rtol=1e-2, atol=1e-7)
    sticks = push(BEHIND, side, [size, 0.0], friction=9.0, arm=arm)
    u = np.array([size, 0.0])
    force = u - lever * (lever @ u) / (arm**2 + lever @ lever)
    due = [*force, lever @ force / arm**2]
    np.testing.assert_allclose(sticks[:3], due, rtol=1e-2)


def test_a_box_is_dragged_along_by_a_pusher_that_slides_on_it():
    """At the middle of the rear face w n = 0, so k is the normal motion."""
    size, arm = 1e-4, 0.05
    after = push(BEHIND, 0.0, [size, 3 * size], friction=0.2, arm=arm)
    turned = -pushing.HALF[0] * 0.2 * size / arm**2
    due = [size, 0.2 * size, turned]
    np.testing.assert_allclose(after[:3], due, rtol=2e-2)


def random_pushes(count, seed):
    rng = np.random.default_rng(seed)
    poses = np.zeros((count, 5))
    poses[:, :3] = rng.uniform(-1, 1, (count, 3)) * (0.3, 0.3, 3.0)
    angle = rng.uniform(-np.pi, np.pi, count)
    away = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    poses[:, 3:] = poses[:, :2] + 0.135 * away
    return poses, -0.05 * away, rng.uniform(0.1, 0.5, count)


def test_boxes_do_not_overlap_the_pusher_nor_mix():
    poses, actions, friction = random_pushes(500, 0)
    after = pushing.step_box(poses, actions, friction)
    after = pushing.step_box(after, actions, friction)
    place = pushing.turn_vectors(after[:, 3:] - after[:, :2], -after[:, 2])
    gap = pushing.find_contact(place)[0]
    assert gap.min() > -1e-6 and (gap < 1e-4).mean() > 0.9
    for k in range(0, 500, 50):
        row = slice(k, k + 1)
        alone = pushing.step_box(poses[row], actions[row], friction[row])
        alone = pushing.step_box(alone, actions[row], friction[row])
        np.testing.assert_allclose(alone[0], after[k], atol=1e-12)


def test_a_pusher_that_keeps_off_moves_nothing():
    after = push(BEHIND - 0.02, 0.0, [-0.03, 0.02])
    np.testing.assert_array_equal(after[:3], 0)
    np.testing.assert_allclose(after[3:], [BEHIND - 0.05, 0.02])


@pytest.mark.parametrize("angle", [-3.0, 0.0, 0.4])
def test_keypoints_give_the_pose_back(angle):
    pose = np.array([[0.3, -0.2, angle, 0.5, 0.6]])
    state = pushing.place_marks(pose)
    np.testing.assert_allclose(
        pushing.fit_pose(state)[0], pose[0, :3], atol=1e-12
    )
    np.testing.assert_array_equal(state[0, 10:], [0.5, 0.6])
    assert pushing.measure_tear(state)[0] < 1e-12
    state[0, :2] += (0.01, 0.0)
    assert 0.002 < pushing.measure_tear(state)[0] < 0.005


def test_a_layout_that_is_doubled_is_torn_by_its_own_size():
    state = np.concatenate((2 * pushing.MARKS.ravel(), [0, 0]))
    i, j = np.triu_indices(5, 1)
    gaps = np.linalg.norm(pushing.MARKS[i] - pushing.MARKS[j], axis=1)
    due = np.sqrt(np.square(gaps).mean())
    assert pushing.measure_tear(state) == pytest.approx(due)


def test_demonstrations_keep_to_their_limits_and_bring_the_box_along():
    path, steps, goals = pushing.demonstrate(100, 5)
    assert path.shape == (27, 100, 5) and steps.shape == (26, 100, 2)
    size = np.linalg.norm(steps, axis=-1)
    assert size.max() <= pushing.LIMIT + 1e-9 and size.mean() > 0.02
    np.testing.assert_allclose(path[1:, :, 3:] - path[:-1, :, 3:], steps)
    missed = np.linalg.norm(path[-1, :, :2] - goals, axis=1)
    assert np.median(missed) < 0.02


def test_records_follow_from_the_seed_and_their_rows_from_each_other():
    x, u, after = pushing.record_pushing(4, 0)
    assert x.shape == after.shape == (104, 12) and u.shape == (104, 2)
    np.testing.assert_array_equal(x[4:], after[:-4])
    np.testing.assert_allclose(x[:, 10:] + u, after[:, 10:], atol=1e-6)
    again, other = (pushing.record_pushing(4, seed)[0] for seed in (0, 1))
    assert (again == x).all() and abs(other - x).max() > 1e-3
    exact = pushing.place_marks(pushing.demonstrate(4, 0)[0][0])
    noise = x[:4] - exact
    assert (
        0.5e-3 < noise[:, :10].std() < 3e-3 and abs(noise[:, 10:]).max() < 1e-6
    )


def test_mujoco_moves_the_box_as_the_formulas_say_but_not_quite():
    pytest.importorskip("mujoco")
    poses = [[0, 0, 0, BEHIND - 0.005, y] for y in (0.0, 0.04, -0.04)]
    world = pushing.MujocoWorld(poses)
    np.testing.assert_allclose(world.poses, poses, atol=1e-3)
    world.step(np.array([[0.05, 0.0]] * 3))
    straight, left, right = world.poses
    assert straight[0] == pytest.approx(0.045, abs=2e-3)
    assert abs(straight[2]) < 0.01
    assert -0.4 < left[2] < -0.15 and 0.15 < right[2] < 0.4


@pytest.fixture(scope="module")
def known():
    return TINY.learn(0)


@pytest.mark.parametrize("planner", ["sgp", "none", "ensemble", "cem"])
def test_the_problem_keeps_its_protocol(planner, known):
    if planner == "ensemble":
        known = TINY.learn(0, members=2)
    method = dataclasses.replace(TINY.method, planner=planner)
    found = TINY.attempt(known, method, seed=0)
    assert [attempt.label for attempt in found] == list(pushing.LABELS)
    for attempt in found:
        count = len(attempt.actions)
        assert isinstance(attempt, Attempt) and 1 <= count <= 22
        assert attempt.actions.shape == (count, 2)
        assert attempt.actions.norm(dim=1).max() <= pushing.LIMIT + 1e-6
        assert attempt.real.shape == (count + 1, 12)
        assert attempt.planned.shape == (pushing.HORIZON + 1, 12)
        assert 0 <= attempt.outside <= 1 and attempt.seconds > 0
        assert np.isfinite([attempt.model_cost, attempt.true_cost]).all()


def test_an_attempt_is_drawn_step_by_step(known):
    found = TINY.attempt(known, TINY.method, seed=0)
    found[0] = dataclasses.replace(found[0], real=found[0].real[:3])
    pictures = TINY.draw(found[0])
    assert len(pictures) == len(found[0].real)
    assert all(p.dtype == np.uint8 and p.ndim == 3 for p in pictures)
    assert (pictures[0] != pictures[-1]).any()


@pytest.mark.parametrize("planner", ["sgp", "cem"])
def test_the_goals_do_not_mix(planner, known):
    pose = pushing.draw_start(3)[None]
    goals = pushing.GOALS
    given = known, dataclasses.replace(TINY.method, planner=planner)
    all_three, again = (
        pushing.push_boxes(
            *given, pushing.FlatWorld(pose.repeat(3, axis=0)), goals, 1, 3
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(all_three.poses, again.poses)
    for k in range(3):
        alone = pushing.push_boxes(
            *given, pushing.FlatWorld(pose), goals[k : k + 1], 1, 3
        )
        np.testing.assert_allclose(
            alone.poses[:, 0], all_three.poses[:, k], atol=1e-6
        )


def test_a_box_that_has_arrived_is_left_alone_and_counts_as_success(known):
    poses = np.zeros((2, 5))
    poses[:, 3] = BEHIND - 0.02
    goals = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    world = pushing.FlatWorld(poses)
    trip = pushing.push_boxes(known, TINY.method, world, goals, 0, steps=3)
    assert not trip.moving[:, 0].any() and trip.moving[:, 1].all()
    np.testing.assert_array_equal(trip.poses[-1, 0], poses[0])
    first, second = pushing.judge_trip(known, trip, goals, ("here", "there"))
    assert first.success and not second.success
    assert first.true_cost == pytest.approx(0, abs=1e-9)
    assert len(first.actions) == 0 and second.true_cost > 1


def test_a_box_at_its_place_that_is_turned_too_far_is_no_success(known):
    pose = pushing.draw_start(0)[None].repeat(2, axis=0)
    world = pushing.FlatWorld(pose)
    trip = pushing.push_boxes(
        known, TINY.method, world, pushing.GOALS[:2], 0, steps=1
    )
    last = np.pad(pushing.GOALS[:2], ((0, 0), (0, 2)))
    last[:, 2] += np.radians((14, 16))
    trip.poses[-1] = last
    found = pushing.judge_trip(known, trip, pushing.GOALS[:2], ("a", "b"))
    assert [attempt.success for attempt in found] == [True, False]


def test_a_box_that_has_stopped_does_not_begin_again(known):
    """Near the edge of the rule noise would stop it and start it again."""
    poses = np.zeros((40, 5))
    poses[:, 3] = -0.5  # too far to touch the box
    goals = np.zeros((40, 3))
    goals[:, 0] = np.linspace(0.016, 0.02, 40)
    world = pushing.FlatWorld(poses)
    trip = pushing.push_boxes(known, TINY.method, world, goals, 0, steps=4)
    assert (np.diff(trip.moving.astype(int), axis=0) <= 0).all()
    assert 0 < trip.moving[-1].sum() < trip.moving[0].sum()


def test_the_tear_of_a_trip_counts_steps_before_the_stop_only():
    """Two boxes, two steps; one prediction each, torn by 2 and 4 cm."""
    i, j = np.triu_indices(5, 1)
    gaps = np.linalg.norm(pushing.MARKS[i] - pushing.MARKS[j], axis=1)
    size = np.sqrt(np.square(gaps).mean())
    plans = np.zeros((2, 2, 2, 12))
    for t, tear in enumerate((0.02, 0.04)):
        plans[t, :, 1, :10] = (1 + tear / size) * pushing.MARKS.ravel()
    moving = np.array([[True, True], [True, False]])
    empty = np.zeros((2, 2, 2))
    trip = pushing.Trip(empty, empty, empty, moving, plans, np.zeros(2), 0.0)
    np.testing.assert_allclose(trip.tear(), [np.sqrt(1e-3), 0.02])


def test_success_is_two_centimetres_and_fifteen_degrees():
    poses = np.zeros((3, 5))
    poses[:, :3] = (0.03, 0.04, 0.3), (0, 0, -3.1), (0, 0, 0)
    away, turned = pushing.measure_miss(poses, [[0, 0, 0]] * 3)
    np.testing.assert_allclose(away, [0.05, 0, 0])
    np.testing.assert_allclose(turned, [0.3, 3.1, 0])
    away, turned = pushing.measure_miss([[0, 0, 3.1]], [[0, 0, -3.1]])
    assert turned[0] == pytest.approx(2 * np.pi - 6.2)
    assert pushing.NEAR == 0.02
    assert np.degrees(pushing.TURNED) == pytest.approx(15)


def test_recorded_steps_are_inside_the_data_and_far_ones_are_not(known):
    points = known.points.numpy()
    states, actions = points[:, :12], points[:, 12:]
    assert not pushing.leave_data(known, states, actions).any()
    assert pushing.leave_data(known, states + 1.0, actions).all()


BAD = {
    "poses of a wrong shape": lambda: pushing.step_box([[0, 0, 0]], [[0, 0]]),
    "no poses": lambda: pushing.step_box(np.zeros((0, 5)), np.zeros((0, 2))),
    "NaN in poses": lambda: pushing.step_box(
        [[np.nan, 0, 0, -0.2, 0]], [[0, 0]]
    ),
    "pusher in the box": lambda: pushing.step_box([[0] * 5], [[0, 0]]),
    "actions of a wrong shape": lambda: push(-0.2, 0, [[0, 0]]),
    "too many actions": lambda: pushing.step_box(
        [[0, 0, 0, -0.2, 0]], [[0, 0]] * 2
    ),
    "NaN in actions": lambda: push(-0.2, 0, [np.nan, 0]),
    "a step too long": lambda: push(-0.2, 0, [0.06, 0]),
    "no friction": lambda: push(-0.2, 0, [0.01, 0], friction=0.0),
    "no arm": lambda: push(-0.2, 0, [0.01, 0], arm=np.nan),
    "zero episodes": lambda: pushing.record_pushing(0, 0),
    "half an episode": lambda: pushing.record_pushing(1.5, 0),
    "unknown world": lambda: pushing.BoxPushing(world="moon"),
    "zero updates": lambda: pushing.BoxPushing(updates=0),
    "no episodes to learn from": lambda: pushing.BoxPushing(episodes=0),
    "bad world": lambda: pushing.FlatWorld([[0, 0, 0, -0.2, 0]], arm=-1.0),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_refused_in_one_line(name):
    with pytest.raises(ValueError) as caught:
        BAD[name]()
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 15


@pytest.mark.parametrize(
    "goals", [np.zeros(3), np.zeros((2, 3)), [[np.nan, 0, 0]]]
)
def test_goals_that_do_not_fit_are_refused(goals, known):
    world = pushing.FlatWorld(pushing.draw_start(0)[None])
    with pytest.raises(ValueError, match="goals must"):
        pushing.push_boxes(known, TINY.method, world, goals, 0)


def test_a_trip_of_no_step_is_refused(known):
    world = pushing.FlatWorld(pushing.draw_start(0)[None])
    with pytest.raises(ValueError, match="to begin with"):
        pushing.push_boxes(known, TINY.method, world, world.poses[:, :3], 0)
