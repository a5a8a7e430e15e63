"""Planners: the descent by hand, and plans that are refused."""

import math

import numpy as np
import pytest
import torch

from smore_lit.planning.planners import (
    Descent,
    pull_to_data,
    roll_out,
    shift_plan,
    shoot_plans,
    transcription_terms,
)

START = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
STILL = torch.zeros(2, 3, 1, dtype=torch.float64)


def glide(states, actions):
    return states + 2 * actions


def reach(states, actions):
    return (states[:, -1, 0] - 5).square() / 2


def toward_zero(points, scale):
    return -points / scale**2  # a datum at 0


def test_a_rollout_by_hand():
    actions = torch.tensor([[[1.0], [0.5], [-1.0]]] * 2).double()
    states = roll_out(glide, START, actions)
    assert states[..., 0].tolist() == [[0, 2, 3, 1], [1, 3, 4, 2]]
    assert shift_plan(actions)[0, :, 0].tolist() == [0.5, -1.0, -1.0]


def test_the_pull_has_the_distance_s_gradient_and_the_score_gets_none():
    points = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(4, dtype=torch.float64, requires_grad=True)

    def score(at, scale):
        assert not at.requires_grad
        return -at * weight / scale**2

    total = pull_to_data(points, score, 0.3)
    assert total.shape == (2,)
    total.sum().backward()
    torch.testing.assert_close(points.grad, points.detach())
    assert weight.grad is None


def test_the_first_step_by_hand():
    """Adam's first step is the rate against the sign of the gradient.

    Cost: d/du = 2 (x_T - 5) < 0 for all. Distance, beta large: the states of
    the second plan are 1 and each later one falls with its action.
    """
    for beta, due in ((0.0, [0.1, 0.1]), (100.0, [0.1, -0.1])):
        plan = shoot_plans(
            glide, reach, toward_zero, START, STILL,
            Descent(steps=1, rate=0.1, beta=beta),
        )  # fmt: skip
        assert plan.actions[:, 0, 0].tolist() == pytest.approx(due)
        assert plan.history.tolist() == [[12.5, 8.0]]
    assert plan.states.shape == (2, 4, 1) and not plan.states.requires_grad


def test_plans_reach_what_is_asked_and_do_not_mix():
    descent = Descent(steps=400, rate=0.05, beta=0.0)
    both = shoot_plans(glide, reach, toward_zero, START, STILL, descent)
    assert both.costs.max() < 1e-3
    for k in range(2):
        part = slice(k, k + 1)
        one = shoot_plans(
            glide, reach, toward_zero, START[part], STILL[part], descent
        )
        torch.testing.assert_close(one.actions[0], both.actions[k])
    assert torch.equal(STILL, torch.zeros_like(STILL))


def test_transcriptions_by_hand():
    """x = 1, 2, 4 under u = 1, 1: the model says 3 and 4; points squared."""
    states = torch.tensor([[[1.0], [2.0], [4.0]]], requires_grad=True)
    actions = torch.ones(1, 2, 1)
    given = states, actions, toward_zero, 0.5, 10.0
    (found,) = torch.autograd.grad(
        transcription_terms(*given, glide, 3.0).sum(), states
    )
    gap = 2 * 3 * (2.0 - 3.0)
    due = [10 * 1 - gap, 10 * 2 + gap, 0.0]
    assert found[0, :, 0].tolist() == pytest.approx(due)
    (found,) = torch.autograd.grad(transcription_terms(*given).sum(), states)
    assert found[0, :, 0].tolist() == pytest.approx([10.0, 40.0, 40.0])


@pytest.mark.parametrize(
    "changed",
    [
        dict(steps=0),
        dict(rate=0.0),
        dict(rate=math.nan),
        dict(beta=-1.0),
        dict(beta=math.inf),
        dict(smallest=0.0),
        dict(smallest=2.0),
        dict(largest=math.inf),
        dict(levels=0),
        dict(steps=2.5),
        dict(steps=True),
        dict(rate="1"),
        dict(beta=None),
    ],
)
def test_a_descent_that_makes_no_sense_is_refused(changed):
    with pytest.raises(ValueError, match="must be") as caught:
        Descent(**changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "starts, actions, reason",
    [
        (torch.zeros(2), STILL, r"starts must be \(B, n\)"),
        (START, torch.zeros(2, 3), r"actions \(B, T, m\)"),
        (START, torch.zeros(3, 3, 1), r"actions \(B, T, m\)"),
        (START, torch.zeros(2, 0, 1), "horizon of 0"),
        (START[:0], STILL[:0], "there is no plan"),
        (None, STILL, "starts must be an array of real numbers"),
        (START, [[[1.0]], [[1.0, 2.0]]], "actions must be an array of real"),
        (START * math.nan, STILL, "no NaN"),
        (START, STILL + math.inf, "no NaN"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(starts, actions, reason):
    with pytest.raises(ValueError, match=reason):
        shoot_plans(glide, reach, toward_zero, starts, actions, Descent())


def test_a_cost_that_is_not_finite_is_said_at_its_step():
    def sink(states, actions):
        return (2.5e-3 - states[:, -1, 0]).log()

    descent = Descent(steps=50, rate=1e-3, beta=0.0)
    with pytest.raises(FloatingPointError, match="not finite at step 1"):
        shoot_plans(
            glide, sink, toward_zero, START[:1], STILL[:1], descent
        )  # fmt: skip


@pytest.mark.parametrize("levels", [1, 2, 7, 10])
@pytest.mark.parametrize("steps", [10, 33, 300])
def test_every_level_is_used_from_the_largest_to_the_smallest(levels, steps):
    descent = Descent(steps=steps, levels=levels)
    scales = [descent.scale(step) for step in range(steps)]
    assert scales[0] == 1.0 and (np.diff(scales) <= 0).all()
    assert len(set(scales)) == min(levels, steps)
    assert scales[-1] == pytest.approx(0.1 if levels > 1 else 1.0)
    counts = np.unique(scales, return_counts=True)[1]
    assert np.ptp(counts) <= 1


def without_graph(states, actions):
    with torch.no_grad():
        return reach(states, actions)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize(
    "cost",
    [
        without_graph,
        lambda x, u: reach(x, u).detach(),
        lambda x, u: torch.from_numpy(reach(x, u).detach().numpy()),
        lambda x, u: (x[:, -1, 0] > 5).double(),
        lambda x, u: (x[:, -1, 0] > 5).long(),
    ],
)
def test_a_cost_without_a_gradient_is_refused_by_a_descent(cost, beta):
    given = glide, cost, toward_zero, START, STILL
    with pytest.raises(ValueError, match="use cem or mppi") as caught:
        shoot_plans(*given, Descent(steps=2, beta=beta))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cost, got",
    [
        (lambda x, u: x.sum(), r"\(\)"),
        (lambda x, u: x[:, -1], r"\(2, 1\)"),
        (lambda x, u: u[..., 0], r"\(2, 3\)"),
        (lambda x, u: x[:1, -1, 0], r"\(1,\)"),
        (lambda x, u: x[:, -1, 0] + 1j, r"\(2,\) of torch.complex128"),
        (lambda x, u: 1.0, "float"),
        (lambda x, u: None, "NoneType"),
        (lambda x, u: [1.0, 2.0], "list"),
        (lambda x, u: np.ones(2), "ndarray"),
    ],
)
def test_a_cost_of_another_shape_is_refused(cost, got):
    given = glide, cost, toward_zero, START, STILL, Descent(steps=2)
    due = rf"a cost must return a tensor \(B,\) = \(2,\), got {got}"
    with pytest.raises(ValueError, match=due) as caught:
        shoot_plans(*given)
    assert "\n" not in str(caught.value)


def test_plans_may_be_arrays_and_lists():
    descent = Descent(steps=3)
    due = shoot_plans(glide, reach, toward_zero, START, STILL, descent)
    for kind in (np.asarray, torch.Tensor.tolist, torch.Tensor.int):
        found = shoot_plans(
            glide, reach, toward_zero, kind(START), kind(STILL), descent
        )
        assert torch.equal(found.actions, due.actions)


def test_numbers_of_a_descent_become_plain_ones():
    found = Descent(steps=np.float64(3), rate=1, levels=np.int64(2))
    assert (found.steps, found.rate, found.levels) == (3, 1.0, 2)
    kinds = [type(each) for each in (found.steps, found.rate, found.levels)]
    assert kinds == [int, float, int]
