"""The scripted expert, its noise and the random policy."""

import pickle

import numpy as np
import pytest

from smore_lit.worlds import experts
from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts, play

TASK = load_task("FetchReach")


def test_command_worked_by_hand():
    act = experts.ReachExpert(gain=0.5, delta=0.05)(None)
    state = np.array([1.0, 1.0, 1.0, 9, 9, 9, 9, 9, 9, 9])
    action = act(state, np.array([1.01, 0.98, 2.0]))
    assert np.allclose(action, [0.1, -0.2, 1.0, 0.0])


def test_policies_pickle_and_repeat():
    for policy in (
        experts.expert(TASK),
        experts.random_policy(TASK),
        experts.Noisy(experts.expert(TASK)),
    ):
        twin = pickle.loads(pickle.dumps(policy))
        assert twin == policy
        acts = [p(np.random.default_rng(3)) for p in (policy, twin)]
        for _ in range(5):
            first, second = (a(np.zeros(10), np.ones(3)) for a in acts)
            assert (first == second).all() and np.abs(first).max() <= 1


def test_noise_has_the_stated_distribution():
    act = experts.Noisy(experts.ReachExpert())(np.random.default_rng(0))
    at = np.zeros(10)
    actions = np.array([act(at, at[:3]) for _ in range(20000)])
    assert abs(actions.std() - np.sqrt(0.7 * 0.04 + 0.1)) < 0.004
    assert abs((np.abs(actions) > 0.8).mean() - 0.06) < 0.004
    joint = (np.abs(actions) > 0.7).all(axis=1).mean()
    assert abs(joint - 0.3 * 0.3**4) < 0.001


def test_no_noise_is_no_change():
    clean = experts.ReachExpert()
    rng = np.random.default_rng(0)
    act = experts.Noisy(clean, sigma=0.0, uniform=0.0)(rng)
    state = np.linspace(0, 1, 10)
    assert (act(state, np.ones(3)) == clean.act(state, np.ones(3))).all()


def test_expert_reaches_every_goal_and_random_does_not():
    seeds = range(1000, 1010)
    scores = {}
    with Rollouts(TASK.make, 10, 0) as pool:
        for policy in (experts.expert(TASK), experts.random_policy(TASK)):
            rngs = [np.random.default_rng([1, seed]) for seed in seeds]
            acts = [policy(rng) for rng in rngs]
            data = play(pool, acts, seeds, TASK.horizon)
            goals = data["desired_goals"][:, None]
            rewards = TASK.reward(data["achieved_goals"], goals)
            scores[type(policy).__name__] = rewards
    assert scores["ReachExpert"][:, 15:].all()
    assert scores["RandomPolicy"].mean() < 0.2


def test_task_without_expert_is_one_line():
    from dataclasses import replace

    with pytest.raises(ValueError, match="Elsewhere has no expert: give"):
        experts.expert(replace(TASK, name="Elsewhere", expert=None))


@pytest.mark.parametrize("name", ["PointReach", "PointRooms"])
def test_experts_are_found_by_name_with_and_without_noise(name):
    policy = experts.expert(load_task(name))
    assert policy == experts.expert(load_task(f"{name}-noise0.5"))
    assert isinstance(load_task(name).expert, str)
    act = policy(np.random.default_rng(0))
    assert act(np.ones(2), np.array([1.0, 9.0])).tolist() == [0, 1]
