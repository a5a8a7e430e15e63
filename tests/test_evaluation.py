"""One rule for all: hand-worked scores, same episodes, honest intervals."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from smore_lit.worlds.experts import expert
from smore_lit.worlds.tasks import Task, list_tasks, load_task
from smore_lit.running.evaluation import (
    METRICS,
    count_slots,
    discount_rewards,
    episode_seed,
    evaluate,
    interval,
    score_episodes,
)
from smore_lit.running.rollouts import Rollouts


class World:
    """A point on a line; the seed decides where it starts."""

    def reset(self, seed):
        self.place = float(np.random.default_rng(seed).integers(1, 6))
        return self.state(), {}

    def state(self):
        here = np.array([self.place, 0.0])
        return dict(
            observation=here,
            achieved_goal=here[:1],
            desired_goal=np.zeros(1),
        )

    def step(self, action):
        self.place += float(action[0])
        return self.state(), 0.0, False, False, {}

    def close(self):
        pass


class Walk:
    """Reach zero within half a unit, in eight steps."""

    name, horizon, threshold = "Walk", 8, 0.5
    observation_size, goal_size, action_size = 2, 1, 1

    def make(self):
        return World()

    def distance(self, achieved, desired):
        return np.abs(achieved - desired)[..., 0]

    def reward(self, achieved, desired):
        return (self.distance(achieved, desired) <= self.threshold) * 1.0

    success = reward


def walk(observations, goals):
    return np.sign(goals - observations[..., :1])


def test_scores_worked_by_hand():
    rows = np.array(
        [
            [3.0, 0.5, 0.6, 0.5],
            [0.4, 0.4, 0.4, 0.4],
            [9.0, 9.0, 9.0, 0.51],
            [0.1, 7.0, 7.0, 7.0],
        ]
    )
    rewards = rows[None] <= 0.5
    found = score_episodes(rewards, rows[None], rewards[..., -1])
    assert set(found) == set(METRICS)
    for name, gamma in (
        ("return_098", 0.98),
        ("return_099", 0.99),
        ("return_0999", 0.999),
        ("return_1", 1.0),
    ):
        due = [
            gamma + gamma**3,
            1 + gamma + gamma**2 + gamma**3,
            0,
            1,
        ]
        assert np.allclose(found[name], [due], rtol=1e-14), name
    assert found["success"].tolist() == [[1, 1, 0, 0]]
    assert found["final_distance"].tolist() == [[0.5, 0.4, 0.51, 7.0]]
    assert found["first_hit"].tolist() == [[2, 1, 5, 1]]


def test_ceilings_of_fifty_steps():
    found = discount_rewards(np.ones(50))
    assert round(float(found["return_098"]), 2) == 31.79
    assert round(float(found["return_099"]), 2) == 39.50
    assert found["return_1"] == 50


@pytest.mark.parametrize("bad", [[0.1, np.nan], [np.inf, 0.0]])
def test_strange_distances_are_refused(bad):
    with pytest.raises(ValueError, match="distance is not finite"):
        score_episodes([0, 1], bad, 1)


@pytest.mark.parametrize("bad", [np.zeros((3, 0)), 1.0, [0.1, 1], [np.nan]])
def test_strange_rewards_are_refused(bad):
    with pytest.raises(ValueError, match="reward"):
        score_episodes(bad, [0.0, 0.0], 1)


def test_every_number_of_an_episode_follows_from_its_start():
    found = evaluate(Walk(), walk, [4, 9], episodes=7, seed=2, workers=0)
    for n, run in enumerate((4, 9)):
        for k in range(7):
            start = np.random.default_rng(episode_seed(2, run, k))
            start = int(start.integers(1, 6))
            assert found["first_hit"][n, k] == start
            assert found["return_1"][n, k] == 9 - start
            assert found["final_distance"][n, k] == 0


def test_the_last_distance_is_the_one_after_the_last_action():
    def leave(observations, goals):
        return np.ones_like(goals)

    found = evaluate(Walk(), leave, [0], episodes=1, workers=0)
    start = np.random.default_rng(episode_seed(0, 0, 0)).integers(1, 6)
    assert found["final_distance"][0, 0] == start + 8
    assert found["first_hit"][0, 0] == 9 and found["success"][0, 0] == 0


@pytest.mark.parametrize("slots, workers", [(2, 0), (3, 1), (9, 2), (40, 3)])
def test_slots_and_workers_change_nothing(slots, workers):
    due = evaluate(Walk(), walk, [0, 1], episodes=7, workers=0)
    with Rollouts(Walk().make, slots, workers) as pool:
        for _ in range(2):
            found = evaluate(Walk(), walk, [0, 1], 7, rollouts=pool)
            for name in METRICS:
                assert (found[name] == due[name]).all(), name


def test_the_simulator_plays_the_same_episodes_to_everybody():
    task = load_task("FetchReach")
    seen = []

    def look(observations, goals):
        seen.append((observations.tobytes(), goals.tobytes()))
        return np.zeros((*goals.shape[:2], 4), np.float32)

    def rush(observations, goals):
        seen.append((observations.tobytes(), goals.tobytes()))
        return np.ones((*goals.shape[:2], 4), np.float32)

    with Rollouts(task.make, 4, 0) as pool:
        for act in (look, rush, look):
            evaluate(task, act, [0, 1], 2, rollouts=pool)
    first, second, third = seen[0], seen[50], seen[100]
    assert first == second == third
    assert seen[1] != seen[51] and seen[:50] == seen[100:]


def test_episodes_differ_by_evaluation_training_seed_and_number():
    seeds = {
        episode_seed(a, b, c)
        for a in range(5)
        for b in range(10)
        for c in range(50)
    }
    assert len(seeds) == 2500
    assert episode_seed(1, 2, 3) != episode_seed(3, 2, 1)


@pytest.mark.parametrize("seeds, episodes", [([], 5), ([0], 0), ([0], -1)])
def test_nothing_to_play_is_refused(seeds, episodes):
    with pytest.raises(ValueError, match="at least one"):
        evaluate(Walk(), walk, seeds, episodes, workers=0)


def test_actions_of_another_shape_are_refused():
    def flat(observations, goals):
        return walk(observations, goals)[0]

    with pytest.raises(ValueError, match=r"actions must be \(2, 3, 1\)"):
        evaluate(Walk(), flat, [0, 1], 3, workers=0)


def test_slots_are_a_multiple_of_the_seeds():
    assert [count_slots(n, 50) for n in (1, 3, 10, 21, 50)] == [
        20,
        18,
        20,
        21,
        50,
    ]
    assert count_slots(3, 2) == 6


def test_the_interval_is_students():
    from scipy import stats

    values = [35.0, 36.5, 36.0, 37.0]
    found = interval(values)
    due = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["mean"] == pytest.approx(36.125)
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert (found["low"], found["high"]) == pytest.approx(tuple(due))
    one = interval([36.0])
    assert one["mean"] == 36.0
    assert all(np.isnan(one[k]) for k in ("std", "low", "high"))
    same = interval([2.0, 2.0])
    assert same["low"] == same["high"] == 2.0
    with pytest.raises(ValueError, match="at least one value"):
        interval([])


class Spoiled:
    """Act as the expert until a step, then stand still, or stop short."""

    def __init__(self, task, episode):
        rng = np.random.default_rng([3, episode])
        self.act, self.still = expert(task)(rng), np.zeros(task.action_size)
        self.last = rng.integers(2, task.horizon + 1)
        self.short = rng.uniform(0, 1.2) * task.threshold
        self.step = 0

    def __call__(self, observation, goal):
        self.step += 1
        if self.step > self.last:
            return self.still
        off = np.zeros_like(goal)
        off[0] = self.short if goal[0] >= self.short else 0.0
        return self.act(observation, goal - off)


def by_hand(task, episodes):
    """Return what the environment itself says of each episode."""
    env, found = task.make(), []
    for k in range(episodes):
        act, paid = Spoiled(task, k), []
        state, _ = env.reset(seed=episode_seed(0, 0, k))
        for _ in range(task.horizon):
            place, goal = (
                state[key].astype(np.float32)
                for key in ("observation", "desired_goal")
            )
            action = np.asarray(act(place, goal), np.float32)
            state, reward, ended, _, info = env.step(action)
            pair = state["achieved_goal"], state["desired_goal"]
            assert reward == env.unwrapped.compute_reward(*pair, {})
            paid.append(reward + 1)
            if ended:
                paid += [0.0] * (task.horizon - len(paid))
                break
        gap = np.linalg.norm(pair[0] - pair[1])
        found.append((float(info["is_success"]), np.array(paid), gap))
    env.close()
    return found


@pytest.mark.parametrize("task", list_tasks().values(), ids=list(list_tasks()))
def test_every_task_is_scored_as_its_environment_says(task):
    episodes = 12 if task.name == "SawyerDoor" else 5
    episodes = 2 if task.horizon > 50 else episodes
    acts = [Spoiled(task, k) for k in range(episodes)]

    def act(observations, goals):
        rows = zip(acts, observations[0], goals[0])
        return np.array([[one(s, g) for one, s, g in rows]])

    with Rollouts(task.make, episodes, 0) as pool:
        scores = evaluate(task, act, [0], episodes, rollouts=pool)
    found = by_hand(task, episodes)
    for k, (flag, paid, gap) in enumerate(found):
        assert scores["success"][0, k] == flag
        assert scores["return_1"][0, k] == paid.sum()
        due = paid @ 0.98 ** np.arange(task.horizon)
        assert scores["return_098"][0, k] == pytest.approx(due, rel=1e-12)
        first = paid.argmax() + 1 if paid.any() else task.horizon + 1
        assert scores["first_hit"][0, k] == first
        assert scores["final_distance"][0, k] == pytest.approx(gap, rel=1e-12)
    if task.name == "SawyerDoor":  # some end between the two thresholds
        between = [0.02 <= gap <= 0.06 for _, _, gap in found]
        assert sum(between) >= 3 and not all(between)
        assert all(scores["success"][0, between] == 0)


class Grid:
    """Walk on multiples of 0.1; say what double precision says."""

    def __init__(self, ends="never", at=4, goal=0.7):
        self.ends, self.at, self.goal = ends, at, np.array([goal])

    def reset(self, seed):
        self.steps, self.over, self.x = 0, False, np.zeros(1)
        return self.state(), {}

    def state(self):
        return dict(
            observation=self.x, achieved_goal=self.x, desired_goal=self.goal
        )

    def step(self, action):
        assert not self.over, "stepped after the end"
        self.steps += 1
        self.x = self.x + 0.1 * float(action[0])
        due = self.steps == self.at
        self.over = due and self.ends != "never"
        ends = [due and self.ends == kind for kind in ("dies", "is cut")]
        return self.state(), 0.0, *ends, {}

    def close(self):
        pass


LINE = Task("Grid", "Grid-v0", 1, 1, 1, (0,), 0.1, 6, "this test")


def test_a_goal_on_the_boundary_is_judged_in_the_environments_precision():
    place, goal = np.array([0.1 + 0.1]), np.array([0.3])
    assert abs(place - goal) <= 0.1
    assert abs(place.astype(np.float32) - goal.astype(np.float32)) > 0.1
    task = replace(LINE, horizon=2)
    with Rollouts(partial(Grid, goal=0.3), 1, 0) as pool:
        found = evaluate(task, ahead, [0], 1, rollouts=pool)
    assert found["success"] == found["return_1"] == 1


def ahead(observations, goals):
    return np.ones_like(goals)


@pytest.mark.parametrize("ends", ["dies", "is cut"])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_episode_that_ends_is_over(ends, workers):
    for at, goal, success in ((4, 0.7, 0), (5, 0.55, 1)):
        make = partial(Grid, ends, at, goal)
        with Rollouts(make, 3, workers) as pool:
            found = evaluate(LINE, ahead, [0], 3, rollouts=pool)
        hits = [abs(0.1 * t - goal) <= 0.1 for t in range(1, at + 1)]
        assert (found["return_1"] == sum(hits)).all()
        assert (found["success"] == success).all()
        first = hits.index(True) + 1 if any(hits) else 7
        assert (found["first_hit"] == first).all()
        gap = abs(0.1 * at - goal)
        assert np.allclose(found["final_distance"], gap)
