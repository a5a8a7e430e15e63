"""Losses of other divergences: brute force, formulas, edges, bad input."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from smore_lit.learning.divergence_losses import (
    TRAINABLE,
    action_free_loss,
    best_ratio,
    divergence_reward,
    excess,
    find_trainable,
    in_sample_divergence_loss,
    mixture_divergence_loss,
)

F = {
    "chi2": lambda x: (x - 1) ** 2,
    "kl": lambda x: x * math.log(x) - x + 1,
    "hellinger": lambda x: (math.sqrt(x) - 1) ** 2,
    "js": lambda x: x * math.log(x) - (x + 1) * math.log((x + 1) / 2),
}
ENDS = [(1e-9, 1e4), (0.3, 2.0), (0.9, 50.0)]


@pytest.mark.parametrize("name", TRAINABLE)
@pytest.mark.parametrize("low, high", ENDS)
@pytest.mark.parametrize("c", [0.25, 1.0])
def test_excess_is_the_maximum_over_the_interval(name, low, high, c):
    for y in np.linspace(-3, 3, 13) / (4 * c):
        scaled = 4 * c * y

        def cost(u, f=F[name], scaled=scaled):
            return f(math.exp(u)) - (math.exp(u) - 1) * scaled

        bounds = math.log(low), math.log(high)
        best = minimize_scalar(
            cost, bounds=bounds, method="bounded", options={"xatol": 1e-11}
        )
        due = -min(best.fun, cost(bounds[0]), cost(bounds[1])) / (4 * c)
        found = excess(
            torch.tensor(y, dtype=torch.float64),
            find_trainable(name),
            coefficient=c,
            floor=low,
            cap=high,
        )
        assert found.item() == pytest.approx(due, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", TRAINABLE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edges(name, dtype):
    edge = {"hellinger": 1.0, "js": math.log(2)}.get(name, 80.0)
    points = [-math.inf, -1e30, -1e4, 0.0, edge, 1e4, 1e30]
    y = torch.tensor(points, dtype=dtype)
    y = torch.cat((y, torch.nextafter(y, y - 1), torch.nextafter(y, y + 1)))
    ratio = best_ratio(y, find_trainable(name), cap=20.0)
    assert not ratio.isnan().any() and 0 <= ratio.min() <= ratio.max() <= 20
    assert (ratio[y >= 80] == 20).all() and (ratio[y < -9e3] < 1e-6).all()
    finite = y[y.isfinite() & (y.abs() < 1e29)].requires_grad_()
    excess(finite, find_trainable(name), cap=20.0).sum().backward()
    assert finite.grad.isfinite().all()
    open_ratio = best_ratio(y, find_trainable(name))
    assert not open_ratio.isnan().any() and (open_ratio >= 0).all()


def test_floor_may_be_a_tensor():
    y = torch.linspace(-5, 2, 8).reshape(1, 2, 4)
    floor = torch.rand(1, 2, 4)
    ratio = best_ratio(y, find_trainable("chi2"), floor, 9.0)
    assert torch.equal(ratio, torch.maximum(1 + y / 2, floor))


@pytest.mark.parametrize("name", TRAINABLE)
def test_reward_is_the_minimiser(name):
    """One cell, one next value: the loss is least at M' plus the reward."""
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    for share, c in ((0.5, 0.25), (0.2, 0.7)):
        reward = divergence_reward(
            one, find_trainable(name), beta=share, coefficient=c
        )
        grid = reward + torch.linspace(-1e-2, 1e-2, 201) / c
        score = grid.reshape(-1, 1, 1)
        zero = torch.zeros(201, 1, dtype=torch.float64)
        loss = in_sample_divergence_loss(
            score,
            score,
            zero,
            zero,
            divergence=find_trainable(name),
            beta=share,
            gamma=0.9,
            coefficient=c,
        )
        assert loss.argmin() == 100


def arguments(divergence="kl"):
    score, value = torch.zeros(2, 2, 5), torch.zeros(2, 5)
    options = dict(divergence=find_trainable(divergence), beta=0.5, gamma=0.9)
    return score, value, options


@pytest.mark.parametrize(
    "wrong", [{"cap": 1.0}, {"cap": math.inf}, {"coefficient": 0.0},
              {"beta": 1.5}, {"gamma": -0.1}],
)  # fmt: skip
def test_numbers_out_of_range(wrong):
    score, value, options = arguments()
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        in_sample_divergence_loss(
            score, score, value, value, **(options | wrong)
        )
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit():
    score, value, options = arguments()
    for given in (
        (score[0], score, value, value),
        (score, score[:, :1], value, value),
        (score, score, value[:, :3], value),
        (score, score, value, value[:1]),
    ):
        with pytest.raises(ValueError, match="shape|seeds"):
            in_sample_divergence_loss(*given, **options)
        with pytest.raises(ValueError, match="shape|seeds"):
            mixture_divergence_loss(*given, score, score, **options)
    with pytest.raises(ValueError, match="score_next"):
        mixture_divergence_loss(
            score, score, value, value, score, score[:1], **options
        )
    for k in range(5):
        given = [score] * 5
        given[k] = score[:, :1] if k else score[0]
        with pytest.raises(ValueError, match="shape|seeds"):
            action_free_loss(*given, **options)


def test_total_variation_is_refused():
    with pytest.raises(ValueError, match="straight lines") as caught:
        find_trainable("tv")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="known"):
        find_trainable("renyi")
