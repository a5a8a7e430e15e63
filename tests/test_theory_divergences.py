"""The five divergences against brute force, scipy and their own axioms."""

import math
import pickle

import mpmath as mp
import numpy as np
import pytest
import scipy.special as special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon

from smore_lit.theory.divergences import DIVERGENCES, LOG2, find_divergence

NAMES = list(DIVERGENCES)
SMOOTH = [name for name in NAMES if name != "tv"]
EDGES = {"hellinger": 1.0, "js": LOG2, "tv": 0.5}
KINKS = {"chi2": -2.0, "tv": -0.5}


@pytest.fixture(autouse=True)
def precision():
    with mp.workdps(90):
        yield


def generator(name, x):
    """Return f(x) with many digits, written down a second time."""
    if x < 0 and name not in ("chi2", "tv"):
        return mp.inf
    x_log_x = x * mp.log(x) if x > 0 else mp.mpf(0)
    if name == "chi2":
        return x * x - 2 * x + 1
    if name == "kl":
        return x_log_x
    if name == "hellinger":
        return x + 1 - 2 * mp.sqrt(x)
    if name == "js":
        return x_log_x - (x + 1) * (mp.log(x + 1) - mp.log(2))
    return mp.mpf(1) / 2 * abs(x - 1)


def supremum(name, y, low):
    """Return the largest xy - f(x) over x >= low by golden section."""

    def h(x):
        return x * y - generator(name, x)

    high = mp.mpf(2)
    while h(high) > h(high / 2):
        high *= 4
        if high > mp.mpf(2) ** 220:
            return mp.inf
    if low < 0:
        low = mp.mpf(-2)
        while h(low) > h(low / 2):
            low *= 4
            if low < -(mp.mpf(2) ** 220):
                return mp.inf
    else:
        low = mp.mpf(0)
    share = (mp.sqrt(5) - 1) / 2
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = h(left), h(right)
    for _ in range(93):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = h(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = h(left)
    return max(h(low), h(high), h(mp.mpf(0)), h(mp.mpf(1)))


def slopes(name):
    """Return 200 slopes with every edge, kink and their neighbours."""
    points = [-300.0, -20.0, 0.0]
    high = 5.0
    for c in (EDGES.get(name), KINKS.get(name)):
        if c is not None:
            points += [c, np.nextafter(c, -9), np.nextafter(c, 9)]
            points += [c - 1e-7, c + 1e-7]
    if name in EDGES:
        high = EDGES[name] + 0.2
    return [*points, *np.linspace(-5, high, 200 - len(points))]


def assert_close(found, expected):
    if mp.isinf(expected):
        assert found == expected
    else:
        assert abs(found - expected) <= 1e-10 * max(1, abs(expected))


@pytest.mark.parametrize("name", NAMES)
def test_conjugates_are_the_suprema(name):
    divergence = DIVERGENCES[name]
    grid = torch.tensor(slopes(name), dtype=torch.float64)
    assert len(grid) == 200
    over_all = divergence.conjugate(grid).tolist()
    over_positive = divergence.nonnegative_conjugate(grid).tolist()
    for y, real, positive in zip(
        grid.tolist(), over_all, over_positive, strict=True
    ):
        assert_close(positive, supremum(name, mp.mpf(y), 0))
        if name in ("chi2", "tv"):
            assert_close(real, supremum(name, mp.mpf(y), -1))
        else:
            assert real == positive


@pytest.mark.parametrize("name", NAMES)
def test_table_of_the_paper_and_its_gaps(name):
    divergence = DIVERGENCES[name]
    at = torch.tensor([-5.0, -1.0, 2.0], dtype=torch.float64)
    expected = {
        "chi2": ([1.25, -0.75, 3.0], [-1.0, -0.75, 3.0]),
        "kl": ([math.exp(-6), math.exp(-2), math.e],) * 2,
        "hellinger": ([-5 / 6, -0.5, math.inf],) * 2,
        "js": (
            [-math.log(2 - math.exp(-5)), -math.log(2 - 1 / math.e), math.inf],
        )
        * 2,
        "tv": ([math.inf] * 3, [-0.5, -0.5, math.inf]),
    }[name]
    for method, row in zip(
        (divergence.conjugate, divergence.nonnegative_conjugate),
        expected,
        strict=True,
    ):
        assert method(at).tolist() == pytest.approx(row, abs=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_domain_ends_at_the_slope_of_f_at_infinity(name):
    low, high = DIVERGENCES[name].domain
    slope = generator(name, mp.mpf(10) ** 70) / mp.mpf(10) ** 70
    assert low == -math.inf
    if math.isinf(high):
        assert slope > 100
    else:
        assert abs(slope - high) < 1e-15
    below = torch.tensor(np.nextafter(min(high, 9.0), -9))
    assert DIVERGENCES[name].nonnegative_conjugate(below).isfinite()
    above = torch.tensor(np.nextafter(high, 9))
    value = DIVERGENCES[name].nonnegative_conjugate(above)
    assert value == math.inf


def test_total_variation_keeps_its_edges():
    tv = DIVERGENCES["tv"]
    edges = torch.tensor([-0.5, 0.5])
    assert tv.conjugate(edges).tolist() == [-0.5, 0.5]
    assert tv.nonnegative_conjugate(edges).tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200, deadline=None)
@given(
    x=st.floats(0, 1e6),
    y=st.floats(-1e6, 1e2),
)
def test_inequality_of_fenchel_and_young(name, x, y):
    divergence = DIVERGENCES[name]
    x = torch.tensor(x, dtype=torch.float64)
    y = torch.tensor(y, dtype=torch.float64)
    f, xy = divergence.generator(x), x * y
    plus, real = divergence.nonnegative_conjugate(y), divergence.conjugate(y)
    scale = 1 + f.abs() + xy.abs()
    assert f + plus >= xy - 1e-12 * scale
    assert real >= plus


@pytest.mark.parametrize("name", SMOOTH)
def test_ratio_attains_and_inverts(name):
    divergence = DIVERGENCES[name]
    x = torch.logspace(-6, 3, 200, dtype=torch.float64)
    y = divergence.derivative(x)
    assert torch.allclose(divergence.inverse_derivative(y), x, rtol=1e-8)
    assert torch.allclose(divergence.ratio(y), x, rtol=1e-8)
    value = x * y - divergence.generator(x)
    assert torch.allclose(
        value, divergence.nonnegative_conjugate(y), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("name", NAMES)
def test_derivative_is_the_gradient_of_the_generator(name):
    divergence = DIVERGENCES[name]
    x = torch.logspace(-6, 6, 301, dtype=torch.float64)
    x = torch.cat([x, torch.zeros(1)]).requires_grad_()
    (slope,) = torch.autograd.grad(divergence.generator(x).sum(), x)
    expected = divergence.derivative(x.detach())
    assert torch.allclose(slope, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_no_nan_and_the_gradient_is_the_ratio(name, dtype):
    divergence = DIVERGENCES[name]
    size = torch.logspace(-30, 30, 301, dtype=dtype)
    y = torch.cat([-size, torch.zeros(1, dtype=dtype), size])
    edges = [c for c in (EDGES.get(name), KINKS.get(name)) if c is not None]
    for c in torch.tensor(edges, dtype=dtype):
        near = torch.stack(
            [torch.nextafter(c, c - 1), c, torch.nextafter(c, c + 1)]
        )
        y = torch.cat([y, near])
    y.requires_grad_()
    for method in (
        "conjugate",
        "nonnegative_conjugate",
        "ratio",
        "inverse_derivative",
    ):
        value = getattr(divergence, method)(y)
        (slope,) = torch.autograd.grad(value.sum(), y)
        assert value.dtype == dtype and value.shape == y.shape
        assert not value.isnan().any(), method
        assert not slope.isnan().any(), method
        if method == "nonnegative_conjugate":
            inside = value.isfinite()
            ratio = divergence.ratio(y)[inside]
            tolerance = 1e-5 if dtype == torch.float32 else 1e-12
            assert torch.allclose(
                slope[inside], ratio, rtol=tolerance, atol=tolerance / 10
            )


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_runs(name):
    y = torch.linspace(-3, 0.4, 50, dtype=torch.bfloat16)
    value = DIVERGENCES[name].nonnegative_conjugate(y)
    exact = DIVERGENCES[name].nonnegative_conjugate(y.double())
    assert value.dtype == torch.bfloat16
    assert torch.allclose(value.double(), exact, atol=0.05)


def laws(seed, size=7):
    return torch.as_tensor(
        np.random.default_rng(seed).dirichlet(np.ones(size), 2)
    )


@pytest.mark.parametrize("seed", range(10))
def test_divergences_against_scipy(seed):
    p, q = laws(seed)
    found = {n: d.divergence(p, q).item() for n, d in DIVERGENCES.items()}
    p, q = p.numpy(), q.numpy()
    assert found["kl"] == pytest.approx(special.rel_entr(p, q).sum())
    assert found["js"] == pytest.approx(2 * jensenshannon(p, q) ** 2)
    assert found["tv"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert found["chi2"] == pytest.approx((p * p / q).sum() - 1)
    expected = 2 - 2 * np.sqrt(p * q).sum()
    assert found["hellinger"] == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
def test_divergence_is_zero_at_home_and_positive_elsewhere(name):
    for seed in range(20):
        p, q = laws(seed)
        assert DIVERGENCES[name].divergence(p, p).abs() < 1e-15
        assert DIVERGENCES[name].divergence(p, q) > 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chi2", math.inf),
        ("kl", math.inf),
        ("hellinger", 2.0),
        ("js", 2 * LOG2),
        ("tv", 1.0),
    ],
)
def test_distributions_that_never_meet(name, expected):
    p = torch.tensor([0.5, 0.5, 0.0, 0.0], requires_grad=True)
    q = torch.tensor([0.0, 0.0, 1.0, 0.0], requires_grad=True)
    value = DIVERGENCES[name].divergence(p, q)
    assert value.item() == pytest.approx(expected)
    for slope in torch.autograd.grad(value, (p, q)):
        assert not slope.isnan().any()


@pytest.mark.parametrize("name", NAMES)
def test_limit_term_is_the_limit(name):
    p = torch.tensor([0.3, 0.7], dtype=torch.float64)
    at_zero = torch.tensor([0.0, 1.0], dtype=torch.float64)
    tiny = torch.tensor([1e-40, 1.0], dtype=torch.float64)
    divergence = DIVERGENCES[name]
    limit = divergence.divergence(p, at_zero)
    near = divergence.divergence(p, tiny)
    if math.isinf(divergence.domain[1]):
        assert limit == math.inf and near > 25
    else:
        assert near.item() == pytest.approx(limit.item(), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_a_divergence(name):
    p, q = laws(3)
    p.requires_grad_(), q.requires_grad_()
    divergence = DIVERGENCES[name].divergence
    assert torch.autograd.gradcheck(divergence, (p, q))
    holes = p.detach().clone()
    holes[0] = 0.0
    holes.requires_grad_()
    slopes = torch.autograd.grad(divergence(holes, q), (holes, q))
    assert not any(slope.isnan().any() for slope in slopes)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("method", ["conjugate", "nonnegative_conjugate"])
def test_variational_form_found_by_a_solver(name, method):
    p, q = laws(5, size=4)
    divergence = DIVERGENCES[name]

    def loss(y):
        y = torch.as_tensor(y).requires_grad_()
        value = (q * getattr(divergence, method)(y)).sum() - (p * y).sum()
        (slope,) = torch.autograd.grad(value, y)
        return value.item() if value.isfinite() else 1e9, slope.numpy()

    found = minimize(loss, np.zeros(4), jac=True, method="L-BFGS-B", tol=1e-14)
    assert -found.fun == pytest.approx(
        divergence.divergence(p, q).item(), abs=1e-7
    )


@pytest.mark.parametrize("method", ["conjugate", "nonnegative_conjugate"])
def test_variational_form_of_total_variation_at_the_corners(method):
    p, q = laws(5, size=4)
    tv = DIVERGENCES["tv"]
    corners = torch.tensor(
        list(np.ndindex(2, 2, 2, 2)), dtype=torch.float64
    ) - torch.tensor(0.5, dtype=torch.float64)
    bounds = (p * corners - q * getattr(tv, method)(corners)).sum(-1)
    assert bounds.max().item() == pytest.approx(tv.divergence(p, q).item())


@pytest.mark.parametrize("name", NAMES)
def test_divergences_travel_and_are_found(name):
    divergence = find_divergence(name)
    assert divergence.name == name and divergence.title
    assert pickle.loads(pickle.dumps(divergence)) == divergence


@pytest.mark.parametrize(
    "call",
    [
        lambda: find_divergence("renyi"),
        lambda: DIVERGENCES["kl"].divergence(torch.ones(2), torch.ones(3)),
        lambda: DIVERGENCES["kl"].divergence(-torch.ones(2), torch.ones(2)),
        lambda: DIVERGENCES["kl"].divergence(
            torch.ones(2), torch.tensor([math.nan, 1.0])
        ),
    ],
)
def test_bad_input_is_one_clear_line(call):
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and ": " in text
