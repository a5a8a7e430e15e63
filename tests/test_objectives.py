"""The losses against numbers by hand, plain loops, gradients and bad input."""

import math

import numpy as np
import pytest
import torch

from smore_lit.learning.objectives import (
    expectile_loss,
    implicit_reward,
    in_sample_score_loss,
    mixture_score_loss,
    released_score_loss,
    released_stable_score_loss,
    stable_minimiser,
)

SHAPES = [(1, 1, 1), (1, 2, 7), (3, 1, 5), (4, 2, 33)]
NUMBERS = dict(beta=0.3, gamma=0.97, coefficient=0.25)
SCORES = {
    "mixture": (mixture_score_loss, 6, NUMBERS),
    "in-sample": (in_sample_score_loss, 4, NUMBERS),
    "released": (released_score_loss, 3, dict(gamma=0.97)),
    "stable": (released_stable_score_loss, 3, dict(gamma=0.97)),
}


def draw(shape, seed=0, dtype=torch.float64):
    """Return score_q, score_rho, values of both, start and next scores."""
    N, K, B = shape
    generator = torch.Generator().manual_seed(seed)
    sizes = [shape, shape, (N, B), (N, B), shape, shape]
    return [
        3 * torch.randn(s, generator=generator, dtype=dtype) for s in sizes
    ]


def arguments(name, tensors):
    """Return the tensors that the named loss takes, in its order."""
    count = SCORES[name][1]
    if count == 3:
        return [tensors[0], tensors[1], tensors[3]]
    return tensors[:count]


def loop(name, tensors, n):
    """Return the loss of seed n, one sample at a time."""
    q, rho, next_q, next_rho, start, after = (t.numpy() for t in tensors)
    _, K, B = q.shape
    gamma = 0.97
    total = 0.0
    for k in range(K):
        for b in range(B):
            s_q, s_rho = q[n, k, b], rho[n, k, b]
            m_q, m_rho = next_q[n, b], next_rho[n, b]
            if name in ("mixture", "in-sample"):
                beta, c = NUMBERS["beta"], NUMBERS["coefficient"]
                term = -beta * s_q
                term += c * beta * (gamma * m_q - s_q) ** 2
                term += c * (1 - beta) * (gamma * m_rho - s_rho) ** 2
                if name == "mixture":
                    term += beta * (1 - gamma) * start[n, k, b]
                    term += beta * gamma * after[n, k, b]
            elif name == "released":
                term = -s_q + 1e-4 * s_rho
                term += 0.5 * (s_rho - gamma * m_rho) ** 2
            else:
                term = (s_q - 2 / (1 - gamma)) ** 2
                term += (1 - gamma) * 1e-4 * s_rho**2
                term += 0.5 * (s_rho + 2 - gamma * m_rho) ** 2
            total += term / B
    return total


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SCORES)
def test_score_losses_equal_a_loop(name, shape):
    loss, _, numbers = SCORES[name]
    for seed in range(5):
        tensors = draw(shape, seed)
        found = loss(*arguments(name, tensors), **numbers)
        assert found.shape == shape[:1]
        for n in range(shape[0]):
            expected = loop(name, tensors, n)
            assert found[n].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_score_losses_keep_float32_and_agree_with_float64(name):
    loss, _, numbers = SCORES[name]
    tensors = draw((2, 2, 9))
    single = loss(*arguments(name, [t.float() for t in tensors]), **numbers)
    assert single.dtype == torch.float32
    double = loss(*arguments(name, tensors), **numbers)
    assert torch.allclose(single.double(), double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SCORES)
def test_gradients_are_right_and_seeds_do_not_mix(name):
    loss, _, numbers = SCORES[name]
    tensors = [t.requires_grad_() for t in arguments(name, draw((2, 2, 3)))]
    assert torch.autograd.gradcheck(lambda *t: loss(*t, **numbers), tensors)
    first = loss(*tensors, **numbers)[0]
    for gradient in torch.autograd.grad(first, tensors):
        assert gradient[0].abs().sum() > 0
        assert gradient[1].abs().sum() == 0


def test_score_losses_by_hand():
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    q, rho, next_q, next_rho = 3 * one, one, 2 * one[0], 4 * one[0]
    numbers = dict(beta=0.5, gamma=0.5)
    for c, square in ((0.25, 0.625), (1.0, 2.5)):
        given = dict(coefficient=c, **numbers)
        sample = in_sample_score_loss(q, rho, next_q, next_rho, **given)
        assert sample.item() == square - 1.5
        printed = mixture_score_loss(
            q, rho, next_q, next_rho, 2 * one, 6 * one, **given
        )
        assert printed.item() == square - 1.5 + 2.0
    released = released_score_loss(q, rho, next_rho, gamma=0.5)
    assert released.item() == pytest.approx(-3 + 1e-4 + 0.5, abs=1e-12)
    stable = released_stable_score_loss(q, rho, next_rho, gamma=0.5)
    assert stable.item() == pytest.approx(1 + 0.5e-4 + 0.5, abs=1e-12)


def test_critics_add_and_samples_average():
    q, rho, next_q, next_rho, start, after = draw((1, 1, 4))
    given = (next_q, next_rho)
    single = mixture_score_loss(q, rho, *given, start, after, **NUMBERS)
    two = [torch.cat([t, t], dim=1) for t in (q, rho, start, after)]
    double = mixture_score_loss(*two[:2], *given, *two[2:], **NUMBERS)
    assert torch.allclose(double, 2 * single)
    wide = [torch.cat([t, t], dim=-1) for t in (q, rho, *given, start, after)]
    assert torch.allclose(mixture_score_loss(*wide, **NUMBERS), single)


def test_data_and_goal_batches_may_differ_in_size():
    q, _, next_q, _, start, after = draw((2, 2, 4))
    _, rho, _, next_rho, _, _ = draw((2, 2, 6))
    whole = mixture_score_loss(
        q, rho, next_q, next_rho, start, after, **NUMBERS
    )
    part = in_sample_score_loss(q, rho, next_q, next_rho, **NUMBERS)
    push = 0.03 * start.mean(-1).sum(-1) + 0.97 * after.mean(-1).sum(-1)
    assert torch.allclose(whole, part + 0.3 * push)


def tables(seed=0, size=6, batch=60):
    """Return indices, values and masses of a tabular problem."""
    rng = np.random.default_rng(seed)
    index = {
        k: np.concatenate([np.arange(size), rng.integers(size, size=batch)])
        for k in ("q", "rho", "start", "next")
    }
    index["q"] = np.minimum(index["q"], 3)
    B = size + batch
    M = {k: torch.from_numpy(rng.normal(4, 2, (1, B))) for k in ("q", "rho")}
    mass = {k: np.bincount(i, minlength=size) / B for k, i in index.items()}
    return index, M, mass


def gradient_at(score, loss, index):
    """Return the gradient of `loss` by the table of scores."""
    table = torch.tensor(score)[None, None].requires_grad_()
    loss({k: table[..., i] for k, i in index.items()}).sum().backward()
    return table.grad.numpy().ravel()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("c", [0.25, 1.0])
def test_the_claimed_minimisers_have_no_slope(seed, c):
    index, M, mass = tables(seed)
    q, rho = mass["q"], mass["rho"]
    beta, gamma = 0.4, 0.9
    mix = beta * q + (1 - beta) * rho
    sums = {
        k: np.bincount(index[k], M[k][0], len(q)) / len(index[k]) for k in M
    }
    backup = gamma * (beta * sums["q"] + (1 - beta) * sums["rho"]) / mix
    numbers = dict(beta=beta, gamma=gamma, coefficient=c)
    values = M["q"], M["rho"]
    given = dict(beta=beta, coefficient=c)
    score = backup + implicit_reward(q / rho, "in-sample", **given)
    slope = gradient_at(
        score,
        lambda S: in_sample_score_loss(S["q"], S["rho"], *values, **numbers),
        index,
    )
    assert np.abs(slope).max() < 1e-12
    flow = (1 - gamma) * mass["start"] + gamma * mass["next"]
    reward = implicit_reward(q / rho, "paper", occupancy=flow / rho, **given)
    assert abs(mix @ reward) < 1e-12
    slope = gradient_at(
        backup + reward,
        lambda S: mixture_score_loss(
            S["q"], S["rho"], *values, S["start"], S["next"], **numbers
        ),
        index,
    )
    assert np.abs(slope).max() < 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_released_minimisers_have_no_slope(seed):
    index, M, mass = tables(seed)
    q, rho = mass["q"], mass["rho"]
    mean = np.bincount(index["rho"], M["rho"][0], len(q)) / len(index["rho"])
    mean = mean / rho
    score = 0.9 * mean + implicit_reward(q / rho, "released")
    slope = gradient_at(
        score,
        lambda S: released_score_loss(S["q"], S["rho"], M["rho"], gamma=0.9),
        index,
    )
    assert np.abs(slope).max() < 1e-12
    slope = gradient_at(
        stable_minimiser(q / rho, mean, gamma=0.9),
        lambda S: released_stable_score_loss(
            S["q"], S["rho"], M["rho"], gamma=0.9
        ),
        index,
    )
    assert np.abs(slope).max() < 1e-12


def test_implicit_rewards_by_hand():
    ratio = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    given = dict(beta=0.5, coefficient=0.25)
    expected = torch.tensor([0.0, 1.0, 1.5], dtype=torch.float64)
    assert torch.equal(implicit_reward(ratio, "in-sample", **given), expected)
    assert torch.equal(implicit_reward(ratio, "paper", **given), expected)
    assert implicit_reward(ratio, "paper", occupancy=ratio).abs().sum() == 0
    released = implicit_reward(ratio, "released")
    assert torch.allclose(released, ratio - 1e-4)
    goal = stable_minimiser(torch.tensor(1e9), torch.tensor(0.0), gamma=0.99)
    assert goal.item() == pytest.approx(200.0, rel=1e-5)
    away = stable_minimiser(torch.tensor(0.0), torch.tensor(50.0), gamma=0.5)
    assert away.item() == pytest.approx(23.0 / (1 + 1e-4), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (5, 100)])
def test_expectile_equals_a_loop(shape):
    diff = torch.randn(shape, dtype=torch.float64)
    for tau in (0.1, 0.5, 0.8):
        found = expectile_loss(diff, tau)
        for n, row in enumerate(diff.tolist()):
            parts = [(tau if u >= 0 else 1 - tau) * u * u for u in row]
            expected = sum(parts) / len(parts)
            assert found[n].item() == pytest.approx(expected, rel=1e-6)


def test_expectile_by_hand_and_its_lean():
    diff = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    assert expectile_loss(diff, 0.8).item() == pytest.approx(1.7, abs=1e-12)
    assert expectile_loss(-diff, 0.8).item() == pytest.approx(0.8, abs=1e-12)
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    for sign, best in ((1, 1 / 2), (-1, 1 / 17)):
        m = torch.tensor([[best]], dtype=torch.float64, requires_grad=True)
        expectile_loss(sign * (scores - m), 0.8).sum().backward()
        assert abs(m.grad.item()) < 1e-12
    assert torch.autograd.gradcheck(
        lambda u: expectile_loss(u, 0.7), diff.requires_grad_()
    )


@pytest.mark.parametrize("seed", range(5))
def test_expectile_tends_to_the_best_action_in_the_data(seed):
    rng, previous = np.random.default_rng(seed), -math.inf
    scores = rng.normal(size=5)
    counts = np.append(rng.integers(1, 40, size=4), 0)  # one never taken
    scores[4] = scores.max() + 5
    data = torch.from_numpy(np.repeat(scores, counts))[None]
    top, low = scores[:4].max(), scores[:4].min()
    share = counts[scores[:4].argmax()] / counts.sum()
    levels = torch.linspace(low, top, 20_001, dtype=torch.float64)[:, None]
    for tau in (0.5, 0.8, 0.95, 0.99, 0.999):
        losses = expectile_loss(data - levels, tau)
        level = levels[losses.argmin()].item()
        bound = (1 - tau) / (tau * share) * (top - low)
        assert 0 <= top - level <= bound + 1e-3
        assert level >= previous
        previous = level
    assert top - previous < 0.1


GOOD = (torch.zeros(2, 2, 5), torch.zeros(2, 2, 5))
VALUE = torch.zeros(2, 5)
BAD_CALLS = {
    "flat score": lambda: in_sample_score_loss(
        VALUE, GOOD[1], VALUE, VALUE, **NUMBERS
    ),
    "other seeds": lambda: in_sample_score_loss(
        GOOD[0], torch.zeros(3, 2, 5), VALUE, VALUE, **NUMBERS
    ),
    "other critics": lambda: released_score_loss(
        GOOD[0], torch.zeros(2, 1, 5), VALUE, gamma=0.9
    ),
    "value with critics": lambda: in_sample_score_loss(
        *GOOD, GOOD[0], VALUE, **NUMBERS
    ),
    "value of another batch": lambda: released_stable_score_loss(
        *GOOD, torch.zeros(2, 4), gamma=0.9
    ),
    "value of another seed": lambda: released_score_loss(
        *GOOD, torch.zeros(1, 5), gamma=0.9
    ),
    "flat policy score": lambda: mixture_score_loss(
        *GOOD, VALUE, VALUE, VALUE, GOOD[0], **NUMBERS
    ),
    "policy score of one critic": lambda: mixture_score_loss(
        *GOOD, VALUE, VALUE, GOOD[0], torch.zeros(2, 1, 5), **NUMBERS
    ),
    "empty batch": lambda: released_score_loss(
        torch.zeros(2, 2, 0), GOOD[1], VALUE, gamma=0.9
    ),
    "beta": lambda: in_sample_score_loss(
        *GOOD, VALUE, VALUE, beta=1.5, gamma=0.9, coefficient=1.0
    ),
    "gamma nan": lambda: released_score_loss(*GOOD, VALUE, gamma=math.nan),
    "gamma one": lambda: released_stable_score_loss(*GOOD, VALUE, gamma=1.0),
    "coefficient": lambda: in_sample_score_loss(
        *GOOD, VALUE, VALUE, beta=0.5, gamma=0.9, coefficient=-1.0
    ),
    "objective": lambda: implicit_reward(VALUE, "released-stable"),
    "three axes": lambda: expectile_loss(GOOD[0], 0.8),
    "tau": lambda: expectile_loss(VALUE, 1.0),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_refused_in_one_line(name):
    with pytest.raises(ValueError) as caught:
        BAD_CALLS[name]()
    assert str(caught.value) and "\n" not in str(caught.value)
