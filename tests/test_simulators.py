"""Every task against its running simulator."""

from dataclasses import replace

import numpy as np
import pytest

from smore_lit.worlds import environments as worlds
from smore_lit.worlds.experts import random_policy
from smore_lit.worlds.points import ROOMS, inside
from smore_lit.worlds.task_reference import columns, reference_page
from smore_lit.worlds.tasks import Task, list_tasks, load_task, with_noise
from smore_lit.running.rollouts import Rollouts

EVERY = pytest.mark.parametrize(
    "task", list_tasks().values(), ids=list(list_tasks())
)


def draw(task, seed, steps=None):
    rng = np.random.default_rng([1, seed])
    size = (steps or task.horizon, task.action_size)
    return rng.uniform(-1, 1, size).astype(np.float32)


def replay(env, seed, actions):
    states = [env.reset(seed=seed)[0]]
    states += [env.step(action)[0] for action in actions]
    return np.array([np.concatenate(list(s.values())) for s in states])


@EVERY
def test_spaces_ranges_threshold_and_horizon(task):
    env = task.make()
    spaces = env.observation_space
    assert spaces["observation"].shape == (task.observation_size,)
    assert spaces["achieved_goal"].shape == (task.goal_size,)
    assert spaces["desired_goal"].shape == (task.goal_size,)
    assert env.action_space.shape == (task.action_size,)
    assert (env.action_space.low == -1).all()
    assert (env.action_space.high == 1).all()
    assert env.unwrapped.distance_threshold == task.threshold
    assert env.spec.max_episode_steps == task.horizon
    assert task.horizon == (1_000 if "TgtVel" in task.name else 50)
    assert set(env.reset(seed=0)[0]) == set(spaces)


@EVERY
def test_reward_and_success_are_of_the_state_after_the_action(task):
    env = task.make()
    env.reset(seed=2)
    for t, action in enumerate(draw(task, 2)):
        state, raw, ended, cut, info = env.step(action)
        achieved, desired = state["achieved_goal"], state["desired_goal"]
        assert (achieved == task.phi(state["observation"])).all()
        assert raw + 1 == task.reward(achieved, desired)
        assert info["is_success"] == task.success(achieved, desired)
        assert cut == (t == task.horizon - 1)
        assert not ended or task.name.startswith("Ant")
        if ended:
            break


@EVERY
def test_the_boundary_counts_as_reached(task):
    env = task.make()
    env.reset(seed=0)
    goal = np.zeros(task.goal_size)
    for factor, reached in ((0.0, 1), (1.0, 1), (1.001, 0)):
        there = goal.copy()
        there[0] = factor * task.threshold
        assert env.unwrapped.compute_reward(there, goal, {}) + 1 == reached
        assert task.reward(there, goal) == reached
    there[0] = task.success_threshold or task.threshold
    assert task.success(there, goal) == 0
    assert task.success(0.999 * there, goal) == 1


@EVERY
def test_a_seed_decides_the_episode(task):
    env, actions = task.make(), draw(task, 7)
    first = replay(env, 7, actions)
    replay(env, 8, actions[:11])
    assert (replay(env, 7, actions) == first).all()
    assert (replay(task.make(), 7, actions) == first).all()
    assert not (replay(env, 8, actions) == first).all()


@EVERY
def test_the_goal_stays_and_the_caller_keeps_its_action(task):
    env, actions = task.make(), draw(task, 3, 10)
    goal = env.reset(seed=3)[0]["desired_goal"].copy()
    for action in actions:
        kept = action.copy()
        state = env.step(action)[0]
        assert (state["desired_goal"] == goal).all()
        assert (action == kept).all()


@EVERY
def test_actions_beyond_the_box_are_clipped(task):
    env, actions = task.make(), 3 * draw(task, 4, 5)
    clipped = replay(env, 4, actions.clip(-1, 1))
    assert np.allclose(replay(env, 4, actions), clipped, atol=1e-9)


@EVERY
def test_reference_has_a_row_for_every_number(task):
    words = task.reference
    for rows, size in (
        (words.observation, task.observation_size),
        (words.action, task.action_size),
    ):
        assert sum(row[0] for row in rows) == size
        assert columns(rows)[-1][0].endswith(str(size - 1))
    page = reference_page(task)
    for text in (words.goal, words.start, *words.history, task.env_id):
        assert text in page


def test_every_task_has_its_section():
    from pathlib import Path

    book = Path(__file__).parents[1] / "book" / "worlds"
    text = (book / "task_reference.md").read_text()
    for name, task in list_tasks().items():
        told = f"## {name}\n\n```{{code-cell}}" in text
        assert told == (f'show("{name}")' in text)
        assert told == (task.reference is not None)


def resets(task, count):
    env = task.make()
    states = [env.reset(seed=seed)[0] for seed in range(count)]
    names = ("observation", "desired_goal")
    return [np.array([s[name] for s in states]) for name in names] + [env]


@pytest.mark.parametrize("name", ["FetchPush", "FetchPick", "FetchSlide"])
def test_objects_and_goals_fill_their_boxes(name):
    rows, goals, env = resets(load_task(name), 200)
    gripper = env.unwrapped.initial_gripper_xpos
    reach, spread, shift = 0.15, 0.15, np.zeros(2)
    if name == "FetchSlide":
        reach, spread, shift = 0.1, 0.3, np.array([0.4, 0.0])
    offset = rows[:, 3:5] - gripper[:2]
    assert np.abs(offset).max() <= reach + 1e-3
    assert np.linalg.norm(offset, axis=1).min() >= 0.1 - 1e-3
    away = goals[:, :2] - gripper[:2] - shift
    assert 0.95 * spread < np.abs(away).max() <= spread
    lifted = goals[:, 2] - env.unwrapped.height_offset
    if name == "FetchPick":
        assert abs((lifted > 0).mean() - 0.5) < 0.12
        assert 0.42 < lifted.max() <= 0.45 and lifted.min() == 0
    else:
        assert (lifted == 0).all()
    assert np.ptp(rows[:, :3], axis=0).max() < 1e-12


def test_velocities_are_displacements_per_decision():
    env = load_task("FetchPush").make()
    state, _ = env.reset(seed=0)
    for _ in range(3):
        before = state["observation"]
        state = env.step(np.array([0.5, 0, 0, 0], np.float32))[0]
    moved = state["observation"][:3] - before[:3]
    assert np.allclose(moved, state["observation"][20:23], atol=0.012)
    assert state["observation"][20] > 0.005


def test_hand_goals_are_a_pinch_or_the_rest_pose():
    rows, goals, env = resets(load_task("HandReach"), 200)
    rest = env.unwrapped.initial_goal.reshape(5, 3)
    palm = env.unwrapped.palm_xpos + [0.0, -0.09, 0.05]
    goals = goals.reshape(-1, 5, 3)
    moved = (np.abs(goals - rest) > 1e-9).any(-1)
    count = moved.sum(1)
    assert set(count) == {0, 2} and moved[count == 2, 4].all()
    assert abs((count == 0).mean() - 0.1) < 0.07
    for finger in range(4):
        assert (count[moved[:, finger]] == 2).sum() > 20
    far = np.linalg.norm(goals - palm, axis=-1)[moved]
    assert far.max() < 0.005 + 5 * 0.005
    assert np.ptp(rows, axis=0).max() < 1e-12


def test_hand_actions_are_affine_in_the_actuator_ranges():
    env = load_task("HandReach").make()
    model, data = env.unwrapped.model, env.unwrapped.data
    env.reset(seed=0)
    low, high = model.actuator_ctrlrange.T
    for value in (-1.0, -0.3, 0.0, 1.0):
        env.step(np.full(20, value, np.float32))
        target = low + (value + 1) / 2 * (high - low)
        assert np.allclose(data.ctrl, target, atol=1e-6)
    names = [model.actuator(i).name for i in range(model.nu)]
    parts = [sum(key in name for name in names) for key in ("WR", "TH")]
    counts = [row[0] for row in load_task("HandReach").reference.action]
    assert counts == [parts[0], 20 - sum(parts), parts[1]]


@pytest.mark.parametrize("name", ["PointReach", "PointRooms"])
def test_points_start_and_end_anywhere_off_the_walls(name):
    rows, goals, _ = resets(load_task(name), 500)
    for places in (rows, goals):
        assert 4.9 < np.abs(places).max() <= 5
        assert inside(places, ROOMS).any() == (name == "PointReach")
    assert np.abs(np.corrcoef(rows[:, 0], goals[:, 0])[0, 1]) < 0.15


def test_door_goals_cover_their_range():
    rows, goals, _ = resets(load_task("SawyerDoor"), 60)
    assert goals.min() >= 0 and 0.75 < goals.max() <= 0.83
    assert np.ptp(rows, axis=0).max() < 1e-9
    assert np.allclose(rows[0], [-0.05, 0.635, 0.225, 0], atol=0.02)


def test_sawyer_goals_lie_in_the_box_and_the_hand_starts_outside():
    rows, goals, _ = resets(load_task("SawyerReach"), 60)
    low, high = [-0.2, 0.55, 0.05], [0.2, 0.75, 0.3]
    assert (goals >= low).all() and (goals <= high).all()
    assert (np.ptp(goals, axis=0) > 0.85 * np.subtract(high, low)).all()
    assert np.allclose(rows[:, :3], [0, 0.5, 0.02], atol=0.02)


def test_success_radius_of_the_door_is_the_original():
    door = load_task("SawyerDoor")
    assert (door.threshold, door.success_threshold) == (0.06, 0.02)
    assert door.unit == "rad"


def test_world_is_wrapped_and_cut():
    class Line:
        def reset(self, rng):
            self.x = 0.0
            return [self.x], [rng.uniform(2, 3)]

        def step(self, action):
            self.x += float(action[0])
            return [self.x]

    task = Task("Line", "Line-v0", 1, 1, 1, (0,), 0.5, 3, "here")
    env = worlds.environment_class()(task, Line())
    state, _ = env.reset(seed=0)
    assert 2 < state["desired_goal"][0] < 3
    assert env.step([5.0])[0]["observation"][0] == 1.0
    rewards = [env.step([1.0])[1] for _ in range(2)]
    assert rewards[0] == -1.0 * (state["desired_goal"][0] > 2.5)


def test_entry_points_that_lead_nowhere_are_one_line():
    from dataclasses import replace

    task = replace(load_task("PointReach"), entry_point="smore_lit.no:World")
    with pytest.raises(ValueError, match="PointReach does not open"):
        task.make()


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_noise_has_the_stated_distribution(sigma):
    rng = np.random.default_rng(0)
    given = np.array([0.2, -0.9])
    done = np.array([worlds.shake(given, sigma, rng) for _ in range(20_000)])
    twin = given + sigma * np.random.default_rng(5).standard_normal((10**6, 2))
    twin = twin.clip(-1, 1)
    assert np.allclose(done.mean(0), twin.mean(0), atol=0.02)
    assert np.allclose(done.std(0), twin.std(0), atol=0.02)
    assert given.tolist() == [0.2, -0.9]


def test_noisy_world_executes_what_it_says():
    quiet, noisy = load_task("PointReach"), load_task("PointReach-noise0.5")
    env, twin = noisy.make(), quiet.make()
    actions = draw(quiet, 1)
    states = replay(env, 6, actions)
    rng = np.random.default_rng([worlds.NOISE_KEY, 6])
    shaken = [worlds.shake(action, 0.5, rng) for action in actions]
    assert (replay(twin, 6, shaken) == states).all()
    assert not (replay(twin, 6, actions) == states).all()
    assert (replay(env, 6, actions) == states).all()


def test_noisy_data_hold_the_intended_actions():
    task = load_task("FetchReach-noise1.0")
    quiet, found = load_task("FetchReach"), []
    for world, workers in ((task, 0), (task, 2), (quiet, 0)):
        pairs = [(seed, np.random.default_rng([1, seed])) for seed in (5, 6)]
        with Rollouts(world.make, 2, workers) as pool:
            found.append(pool.perform(random_policy(task), pairs, 10))
    meant = np.random.default_rng([1, 5]).uniform(-1, 1, (10, 4))
    assert (found[0]["actions"][0] == meant.astype(np.float32)).all()
    for key, values in found[0].items():
        assert (values == found[1][key]).all()
    assert (found[0]["actions"] == found[2]["actions"]).all()
    places = [data["achieved_goals"] for data in found]
    assert np.abs(places[0] - places[2]).max() > 0.01


@pytest.mark.parametrize("noise", ["", "x", "-1", "nan", "inf", "../x"])
def test_unknown_noise_is_one_line(noise):
    with pytest.raises(ValueError, match="write FetchReach-noise0.5"):
        load_task(f"FetchReach-noise{noise}")


def test_noise_names_its_task():
    task = load_task("FetchReach")
    assert with_noise(task, 0) is task
    assert with_noise(task, 0.5) == load_task("FetchReach-noise0.5")
    assert with_noise(task, 1).name == "FetchReach-noise1.0"
    assert load_task("FetchReach-noise1").name == "FetchReach-noise1.0"
    again = with_noise(with_noise(task, 1), 0.5)
    assert again.name == "FetchReach-noise0.5" and again.base == "FetchReach"


def test_a_task_without_a_reference_has_no_page():
    bare = replace(load_task("PointReach"), reference=None)
    with pytest.raises(ValueError, match="PointReach has no page: give the"):
        reference_page(bare)
