"""Robots that are driven by plans: rewards, MPC, and the problem."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

from smore_lit.planning import offline, running
from smore_lit.planning.planners import Descent, shift_plan
from smore_lit.planning.search import Search

METHOD = offline.Method(
    "sgp",
    0.1,
    descent=Descent(2, 0.05, largest=0.5, smallest=0.3, levels=2),
    search=Search(steps=2, samples=4, elites=2),
)
TINY = running.Running(
    method=METHOD, updates=5, episodes=2, steps=4, attempts=2
)


@pytest.fixture(scope="module")
def known():
    torch.set_num_threads(1)
    return TINY.learn(0)


def fresh(known, planner="sgp", length=3):
    method = dataclasses.replace(METHOD, planner=planner)
    cost = running.running_cost
    return offline.Replanner(known, cost, method, length, first=4)


@pytest.mark.parametrize("robot", list(running.GAITS))
def test_the_reward_of_a_step_is_that_of_gymnasium_but_for_the_velocity(robot):
    gait = running.GAITS[robot]
    env = gait.task.make().unwrapped.world.env
    assert env.dt == pytest.approx(gait.seconds)
    env.reset(seed=0)
    action = np.array([0.5, -1.0, 0.25, 0.0, 1.0, -0.5])
    action = action[: gait.task.action_size]
    seen, reward, _, _, told = env.step(action)
    found = running.running_reward(
        torch.tensor(seen).float(), torch.tensor(action).float(), robot
    )
    charge = told["reward_ctrl"]
    assert float(found) - seen[gait.column] == pytest.approx(charge, abs=1e-6)
    due = told["x_velocity"] + charge + gait.alive
    assert reward == pytest.approx(due)


def test_who_has_fallen_collects_nothing_more():
    states, actions = torch.ones(4, 2, 11), torch.zeros(3, 2, 3)
    fallen = torch.tensor([[0, 0], [0, 0], [1, 0], [1, 0]]).bool()
    still = torch.zeros(3, 2), states[:, :1], 0.0
    run = running.Run("hopper", states, actions, fallen, *still)
    due = torch.tensor([[2.0, 2.0], [1.0, 2.0], [0.0, 2.0]])
    assert torch.equal(run.rewards, due)  # 1 for speed, 1 for standing


def test_the_cost_of_a_plan_by_hand():
    states, actions = torch.zeros(1, 3, 17), torch.zeros(1, 2, 6)
    states[0, :, 8] = torch.tensor([100.0, 2.0, 4.0])
    actions[0, 0, 0] = 1.5
    due = 10 * 0.25 - ((2 - 0.1 * 2.25) + 4) / 2
    assert float(running.running_cost(states, actions)) == pytest.approx(due)


def rows_of(*how):
    return offline.list_transitions(running.record_runs(*how))


@pytest.mark.parametrize("quality", running.QUALITIES)
def test_recorded_rows_are_transitions_of_the_world(quality):
    x, u, after = rows_of(quality, 2, 3)
    assert x.shape == after.shape == (2_000, 17) and u.shape == (2_000, 6)
    assert torch.equal(x[1:1_000], after[:999])
    assert not torch.equal(x[1_000], after[999])
    again = rows_of(quality, 2, 3)
    assert all(map(torch.equal, (x, u, after), again))
    env = gymnasium.make("HalfCheetah-v5").unwrapped
    env.reset(seed=0)
    row = x[500].double().numpy()
    env.set_state(np.array([0.0, *row[:8]]), row[8:])
    seen = env.step(u[500].numpy())[0]
    np.testing.assert_allclose(seen, after[500], atol=1e-3)


def test_the_recorded_runners_are_as_far_apart_as_they_should_be():
    trot, limp = (rows_of(q, 2, 0) for q in ("medium", "random"))
    speed = [float(rows[2][:, 8].mean()) for rows in (trot, limp)]
    assert 5.0 < speed[0] < 6.0 and abs(speed[1]) < 1.0


@pytest.mark.parametrize("quality", running.QUALITIES)
def test_a_hopper_is_recorded_until_it_falls(quality):
    made = running.record_runs(quality, 3, 0, "hopper")
    x, u, after = rows_of(quality, 3, 0, "hopper")
    assert len(x) == len(u) == len(after) == made["lengths"].sum() < 3_000
    assert x.shape[1] == 11 and u.shape[1] == 3
    ends = made["lengths"].cumsum() - 1
    assert (after[:, 0] > 0.7).sum() >= len(after) - 3
    leans = after[:, 1].abs() > 0.2
    sinks = after[:, 0] < 0.7
    assert set((leans | sinks).nonzero()[:, 0].tolist()) == set(ends.tolist())


def test_what_is_left_of_a_plan_begins_the_next(known):
    act, x = fresh(known), known.points[:2, :17]
    first = act.plan(x)
    left = act.left.clone()
    assert torch.equal(left, shift_plan(first.actions))
    second = act.plan(x)
    alone = offline.plan_offline(
        known, x, left, running.running_cost, METHOD, range(2)
    )
    assert torch.equal(second.actions, alone.actions)


def test_a_first_plan_is_improved_for_longer(known):
    act, x = fresh(known), known.points[:2, :17]
    assert len(act.plan(x).history) == 4 and len(act.plan(x).history) == 2


def test_searches_draw_other_noise_at_every_step_and_the_same_anew(known):
    x = known.points[:1, :17]
    one, two = fresh(known, "cem"), fresh(known, "cem")
    first = [one(x) for _ in range(3)]
    assert all(map(torch.equal, first, [two(x) for _ in range(3)]))
    one.left = two.left = torch.zeros(1, 3, 6)
    two.asked = 0
    assert not torch.equal(one(x), two(x))


def test_a_run_tells_what_came_of_its_actions(known):
    run = running.drive(fresh(known), [1, 2], 4)
    assert run.states.shape == (5, 2, 17) and run.actions.shape == (4, 2, 6)
    assert run.first.shape == (2, 4, 17) and run.seconds > 0
    speed, effort = run.states[1:, :, 8], run.actions.square().sum(dim=-1)
    torch.testing.assert_close(run.rewards, speed - 0.1 * effort)
    alone = running.drive(fresh(known), [2], 4)
    torch.testing.assert_close(alone.states[:, 0], run.states[:, 1])


@pytest.mark.parametrize("steps", [0, 1_001])
def test_a_run_has_as_many_steps_as_an_episode_at_most(known, steps):
    with pytest.raises(ValueError, match="steps must be 1 to 1000"):
        running.drive(fresh(known), [1], steps)


def test_success_is_to_collect_more_than_what_was_recorded(known):
    quick, slow = torch.zeros(2, 5, 1, 17)
    quick[..., 8], slow[..., 8] = 20.0, -20.0
    for states, due in ((quick, True), (slow, False)):
        fallen = torch.zeros(5, 1, dtype=torch.bool)
        came = states, torch.zeros(4, 1, 6), fallen
        dreamt = torch.ones(4, 1), states[:4, 0], 1.0
        run = running.Run("halfcheetah", *came, *dreamt)
        (found,) = running.judge_run(known, run)
        assert found.success is due and found.model_cost == -1.0
        assert found.true_cost == -float(states[0, 0, 8])
        assert found.outside == 1.0


def test_the_problem_answers_as_the_others_do(known):
    problem = offline.find_problem("locomotion")
    assert problem == running.Running()
    found = TINY.attempt(known, METHOD, 0)
    assert [each.label for each in found] == ["1", "2"]
    pictures = TINY.draw(found[0])
    assert len(pictures) == 3 and pictures[0].shape == (160, 320, 3)
    assert pictures[0].dtype == np.uint8 and pictures[0].min() < 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quality": "expert"}, "unknown quality 'expert'; known: medium,"),
        ({"episodes": 0}, "episodes must be"),
        ({"length": 0}, "length must be"),
        ({"steps": 1_001}, "steps must be 1 to 1000"),
        ({"attempts": 0}, "attempts must be"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(TINY, **change)


@pytest.mark.parametrize(
    "states",
    [torch.zeros(17), torch.zeros(1, 23), torch.full((1, 17), torch.nan)],
)
def test_states_that_do_not_fit_are_refused(known, states):
    with pytest.raises(ValueError, match=r"\(B, n\)|NaN"):
        fresh(known).plan(states)


def test_another_number_of_robots_needs_another_planner(known):
    act = fresh(known)
    act.plan(known.points[:2, :17])
    with pytest.raises(ValueError, match="starts must be"):
        act.plan(known.points[:3, :17])
