"""Planners as goal-conditioned policies."""

import dataclasses

import numpy as np
import pytest
import torch

import smore_lit
from smore_lit.learning.policies import single_policy
from smore_lit.planning import goals, offline
from smore_lit.planning.planners import Descent
from smore_lit.worlds.points import POINT_REACH, walk

TINY = {"hidden": (16,), "batch_size": 64}
METHOD = offline.Method("none", 0.0, descent=Descent(5, 0.1))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)

    def wander(places, _):
        return rng.uniform(-1, 1, places.shape)

    observations, actions, asked = walk(rng, 40, wander)
    data = smore_lit.as_trajectories(
        {
            "observations": observations,
            "actions": actions,
            "achieved_goals": observations,
            "desired_goals": asked,
        }
    )
    rows = offline.list_transitions(data)
    model = {"hidden": (32,), "batch_size": 64, "learning_rate": 1e-2}
    found = offline.fit_planner(*rows, updates=300, model=model, score=TINY)
    return data, found


@pytest.fixture(scope="module")
def run(known):
    return smore_lit.train(
        known[0], "smore", updates=3, seeds=2, settings=TINY, workers=0
    )


def test_a_planner_reaches_goals_as_a_policy_does(known):
    act = goals.GoalPlanner(known[1], POINT_REACH, METHOD, length=5)
    scores = smore_lit.evaluate(POINT_REACH, act, [0], 8, workers=0)
    assert scores["success"].mean() == 1.0


def test_a_new_goal_begins_a_new_plan(known):
    act = goals.GoalPlanner(known[1], POINT_REACH, METHOD, length=5)
    here, near, far = np.zeros((1, 2, 2)), np.ones((1, 2, 2)), -np.ones(2)
    first = act(here, near)
    again = act(here, near)
    assert not np.array_equal(first, again)
    act(here, near + far)
    assert np.array_equal(act(here, near), first)


def test_the_cost_is_that_of_the_chapter(known):
    x, u = torch.randn(3, 6, 2), 2 * torch.randn(3, 5, 2)
    g = torch.randn(3, 2)
    spread = known[1].score.spread[:2]
    due = torch.stack(
        [
            sum((((x[b, t] - g[b]) / spread) ** 2).sum() for t in range(1, 6))
            / 5
            + 10 * ((u[b].abs() - 1).clamp(min=0) ** 2).sum()
            for b in range(3)
        ]
    )
    torch.testing.assert_close(
        goals.goal_cost(known[1], POINT_REACH, g)(x, u), due
    )


def test_a_plan_collects_the_value_of_its_own_seed(known, run):
    x, u = torch.randn(3, 6, 2), 0.5 * torch.ones(3, 5, 2)
    g = torch.randn(3, 2)
    networks, scaler = run.policy.networks, run.policy.networks["scaler"]
    states, wanted = x[:, 1:].reshape(15, 2), g.repeat_interleave(5, 0)
    inputs = scaler.observations(states), scaler.goals(wanted)
    both = networks["value"](*(part.expand(2, -1, -1) for part in inputs))
    for index, seed in enumerate(run.policy.seeds):
        value = goals.learned_value(run.policy, seed)
        cost = goals.goal_cost(known[1], POINT_REACH, g, value)
        due = -both[index].view(3, 5).mean(dim=1)
        torch.testing.assert_close(cost(x, u), due)


def test_one_seed_alone_acts_as_among_others(run):
    states, wanted = np.random.default_rng(0).normal(size=(2, 1, 4, 2))
    for seed in run.policy.seeds:
        alone = single_policy(run.policy, seed)
        assert alone.seeds == (seed,)
        both = run.policy(states.repeat(2, 0), wanted.repeat(2, 0))
        index = run.policy.seeds.index(seed)
        np.testing.assert_allclose(
            alone(states, wanted)[0], both[index], rtol=0, atol=1e-6
        )


def test_an_agent_without_a_value_is_refused(known, run):
    cloned = smore_lit.train(
        known[0], "gcsl", updates=1, seeds=1, settings=TINY, workers=0
    )
    with pytest.raises(ValueError, match="gcsl has no value of states"):
        goals.learned_value(cloned.policy)
    with pytest.raises(ValueError, match="seed 9 was not trained"):
        goals.learned_value(run.policy, 9)


@pytest.mark.parametrize(
    "states, wanted, said",
    [
        (np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), r"must be \(1, B, 2\)"),
        (np.zeros((1, 3, 3)), np.zeros((1, 3, 2)), r"must be \(1, B, 2\)"),
        (np.zeros((1, 3, 2)), np.zeros((1, 3, 1)), r"goals \(1, B, 2\)"),
        (np.zeros((1, 3, 2)), np.zeros((1, 4, 2)), r"\(1, 4, 2\)"),
        (np.zeros((1, 0, 2)), np.zeros((1, 0, 2)), r"\(1, 0, 2\)"),
        (np.zeros(2), np.zeros(2), r"got \(2,\)"),
        (np.full((1, 3, 2), np.nan), np.zeros((1, 3, 2)), "NaN"),
        (np.zeros((1, 3, 2)), np.full((1, 3, 2), np.inf), "infinity"),
    ],
)
def test_wrong_input_is_refused_in_one_line(known, states, wanted, said):
    act = goals.GoalPlanner(known[1], POINT_REACH, METHOD)
    with pytest.raises(ValueError, match=said) as error:
        act(states, wanted)
    assert "\n" not in str(error.value)


def test_a_goal_that_is_no_part_of_the_observation_is_refused(known):
    task = dataclasses.replace(POINT_REACH, goal_index=None)
    act = goals.GoalPlanner(known[1], task, METHOD)
    with pytest.raises(ValueError, match="no part of the observation"):
        act(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))
