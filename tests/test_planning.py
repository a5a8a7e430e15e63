"""Distance to data, its score and its valleys, by hand; what is refused."""

import math

import numpy as np
import pytest
import torch

from smore_lit.planning import distances
from smore_lit.planning.distances import (
    half_squares,
    kernel_log_density,
    kernel_score,
    kernel_weights,
    nearest_distance,
    smoothed_distance,
)
from smore_lit.planning.lipschitz import (
    bound_error,
    count_pairs,
    extrapolate_slope,
    fit_end,
    pair_slopes,
)
from smore_lit.planning.stability import distance_curvature, shift_mean
from smore_lit.planning.verification import (
    Cloud,
    measure_bound,
    measure_valleys,
    verify_planning,
)

PAIR = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
POINT = torch.tensor([0.5, 2.0], dtype=torch.float64)
CALLS = (
    smoothed_distance,
    kernel_log_density,
    kernel_weights,
    kernel_score,
    shift_mean,
    distance_curvature,
)


def test_two_data_by_hand():
    """Half squares 3.125 and 2.125, so weights 1 : e to the 1 / s^2."""
    torch.testing.assert_close(
        half_squares(POINT, PAIR), torch.tensor([3.125, 2.125]).double()
    )
    assert nearest_distance(POINT, PAIR) == 2.125
    share = 1 / (1 + math.exp(-4))
    weights = kernel_weights(POINT, PAIR, 0.5)
    np.testing.assert_allclose(weights, [1 - share, share])
    due = 2.125 - 0.25 * math.log(1 + math.exp(-4))
    assert smoothed_distance(POINT, PAIR, 0.5).item() == pytest.approx(due)
    mean = 2 * share - 1
    np.testing.assert_allclose(
        kernel_score(POINT, PAIR, 0.5), [(mean - 0.5) / 0.25, -8.0]
    )
    np.testing.assert_allclose(shift_mean(POINT, PAIR, 0.5), [mean, 0.0])
    variance = 1 - mean**2
    np.testing.assert_allclose(
        distance_curvature(POINT, PAIR, 0.5),
        [[1 - variance / 0.25, 0.0], [0.0, 1.0]],
        atol=1e-12,
    )
    density = math.exp(-3.125 / 0.25) + math.exp(-2.125 / 0.25)
    density /= 2 * 2 * math.pi * 0.25
    found = kernel_log_density(POINT, PAIR, 0.5).item()
    assert found == pytest.approx(math.log(density))


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
def test_any_leading_axes(lead):
    points = torch.randn(*lead, 2, dtype=torch.float64)
    shapes = (lead, lead, (*lead, 2), (*lead, 2), (*lead, 2), (*lead, 2, 2))
    for call, shape in zip(CALLS, shapes, strict=True):
        found = call(points, PAIR, 0.5)
        assert found.shape == shape and found.dtype == torch.float64
        rows = found.reshape(math.prod(lead), *shape[len(lead) :])
        for row, one in zip(rows, points.reshape(-1, 2), strict=True):
            torch.testing.assert_close(row, call(one, PAIR, 0.5))


def test_far_away_nothing_underflows():
    far = torch.tensor([1e6, -1e6])
    for scale in (1e-3, 1.0, 1e6):
        for call in CALLS:
            assert call(far, PAIR.float(), scale).isfinite().all()
    torch.testing.assert_close(
        shift_mean(far, PAIR.float(), 1e-3), torch.tensor([1.0, 0.0])
    )


def test_mean_shift_comes_to_rest_on_data_and_counts_its_steps():
    once = shift_mean(POINT, PAIR, 0.5)
    torch.testing.assert_close(
        shift_mean(once, PAIR, 0.5), shift_mean(POINT, PAIR, 0.5, 2)
    )
    end = shift_mean(POINT, PAIR, 0.1, 50)
    torch.testing.assert_close(end, PAIR[1])
    assert torch.equal(shift_mean(POINT, PAIR, 0.1, 0), POINT)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"data": torch.zeros(0, 2)}, "one row or more"),
        ({"data": torch.zeros(2)}, "one row or more"),
        ({"data": torch.zeros(3, 3)}, "the last axes must agree"),
        ({"points": torch.zeros(4, 1)}, "the last axes must agree"),
        ({"points": torch.tensor(0.5)}, "the last axes must agree"),
        ({"points": torch.tensor([math.nan, 0.0])}, "no NaN"),
        ({"data": torch.full((2, 2), math.inf)}, "no NaN"),
        ({"scale": 0.0}, "positive and finite"),
        ({"scale": -1.0}, "positive and finite"),
        ({"scale": math.nan}, "positive and finite"),
        ({"scale": math.inf}, "positive and finite"),
        ({"scale": 1e-200}, "square must be positive and finite"),
        ({"scale": 1e200}, "square must be positive and finite"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(call, changed, reason):
    given = {"points": POINT, "data": PAIR, "scale": 0.5} | changed
    with pytest.raises(ValueError, match=reason) as caught:
        call(**given)
    assert "\n" not in str(caught.value)


def test_the_bound_by_hand():
    """Two data, each 1 from the middle: d = 1/2, d_s = 1/2 - s^2 log 2."""
    middle = torch.zeros(2, dtype=torch.float64)
    for scale in (0.01, 1.0, 7.0):
        found = bound_error(middle, PAIR, scale, 3.0, 0.25).item()
        assert found == pytest.approx(3.25)
    assert bound_error(PAIR[:1], PAIR[:1], 0.3, 3.0).item() == 0.0


@pytest.mark.parametrize(
    "changed",
    [
        {"constant": -1.0},
        {"constant": math.inf},
        {"constant": math.nan},
        {"at_data": -0.1},
        {"at_data": math.nan},
        {"scale": 0.0},
    ],
)
def test_a_bound_of_nothing_is_refused(changed):
    given = {"scale": 0.5, "constant": 1.0, "at_data": 0.0} | changed
    with pytest.raises(ValueError, match=next(iter(changed))):
        bound_error(POINT, PAIR, **given)


def test_slopes_by_hand_and_no_point_twice():
    rng = np.random.default_rng(0)
    points = np.arange(7.0)[:, None] ** 2
    slopes = pair_slopes(points, 2 * points[:, 0], rng)
    np.testing.assert_allclose(slopes, [2.0, 2.0, 2.0])
    places = np.repeat([[0.0], [1.0]], 50, axis=0)
    slopes = pair_slopes(places, places[:, 0], rng)
    assert 0 < len(slopes) < 50 and (slopes == 1.0).all()


@pytest.mark.parametrize(
    "points, errors, reason",
    [
        (np.zeros(4), np.zeros(4), r"points must be \(N, n\)"),
        (np.zeros((4, 2)), np.zeros(3), r"errors \(N,\)"),
        (np.zeros((1, 2)), np.zeros(1), "two points or more"),
        (np.full((4, 2), np.nan), np.zeros(4), "no NaN"),
        (np.zeros((4, 2)), np.full(4, np.inf), "no NaN"),
    ],
)
def test_slopes_of_nothing_are_refused(points, errors, reason):
    with pytest.raises(ValueError, match=reason):
        pair_slopes(points, errors, np.random.default_rng(0))


def test_extrapolation_finds_the_end_of_a_uniform_law():
    """Maxima of n uniform numbers are a reverse Weibull law of shape 1."""
    slopes = np.random.default_rng(0).uniform(size=4_000)
    end, p = extrapolate_slope(slopes, 40)
    assert 0.99 < end < 1.05 and 0 <= p <= 1
    assert slopes.max() <= end
    for few in (slopes[:19], slopes[:5]):
        with pytest.raises(ValueError, match="10 batches or more"):
            extrapolate_slope(few, 10)
    with pytest.raises(ValueError, match="10 batches or more"):
        extrapolate_slope(slopes, 9)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("shape", [0.3, 0.5, 0.9])
def test_below_shape_1_the_end_is_the_largest_slope(shape, size):
    """Uniform numbers to the power 1 / shape fall like that power."""
    drawn = np.random.default_rng(0).uniform(size=4_000)
    slopes = size * (1 - drawn ** (1 / shape))
    end, _ = extrapolate_slope(slopes, 40)
    assert slopes.max() <= end <= slopes.max() + 1e-9 * size


def test_maxima_without_an_end_have_none():
    slopes = np.random.default_rng(0).exponential(size=4_000)
    end, p = extrapolate_slope(slopes, 40)
    assert end == math.inf and p > 0.05
    end, p = extrapolate_slope(np.full(100, 2.0), 10)
    assert end == pytest.approx(2.0) and p < 1e-6


@pytest.mark.parametrize("shape", [1.5, 2.0, 4.0])
def test_the_fit_is_as_likely_as_any_beside_it(shape):
    """No law near it, and not the one that was drawn from, is likelier."""
    from scipy.stats import weibull_max

    drawn = weibull_max.rvs(shape, 3.0, 0.5, 200, random_state=0)
    law = fit_end(drawn)
    best = weibull_max.logpdf(drawn, *law).sum()
    assert weibull_max.logpdf(drawn, shape, 3.0, 0.5).sum() <= best
    for which in range(3):
        for factor in (0.99, 1.01):
            other = list(law)
            other[which] *= factor
            assert weibull_max.logpdf(drawn, *other).sum() < best
    assert law[0] == pytest.approx(shape, rel=0.4)
    assert law[1] == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("share, doubt", [(0, 0.1), (1, 0.1), (0.1, 2.0)])
def test_pairs_are_counted_for_shares_inside_0_and_1(share, doubt):
    assert count_pairs(0.5, 0.25) == 2
    with pytest.raises(ValueError, match=r"\(0, 1\)"):
        count_pairs(share, doubt)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z, data, s: torch.zeros(len(z)).double(),
        lambda z, data, s: kernel_log_density(z, data, s) + np.log(len(data)),
        lambda z, data, s: kernel_log_density(z, data, s) + math.log(s),
    ],
)
def test_verification_notices_a_log_density_that_is_wrong(wrong, monkeypatch):
    assert verify_planning(4, updates=0)["holds"]
    monkeypatch.setattr(distances, "kernel_log_density", wrong)
    found = verify_planning(4, updates=0)
    failed = [row for row in found["rows"] if row["holds"] is False]
    assert not found["holds"]
    assert [row["quantity"] for row in failed] == ["against the log density"]


LISTS = [[0.0, 1.0], [2.0, 3.0], [4.0, 9.0]]


@pytest.mark.parametrize("call", (*CALLS, half_squares, nearest_distance))
@pytest.mark.parametrize(
    "kind",
    [
        list,
        np.array,
        lambda rows: np.array(rows, np.float32),
        lambda rows: np.array(rows, np.uint8),
        lambda rows: np.array(rows, ">f8"),
        lambda rows: torch.tensor(rows).int(),
        lambda rows: torch.tensor(rows),
    ],
)
def test_arrays_and_lists_are_taken(call, kind):
    scale = () if call in (half_squares, nearest_distance) else (0.7,)
    rows = torch.tensor(LISTS).double()
    due = call(rows, rows[:2], *scale)
    for points, data in (
        (kind(LISTS), kind(LISTS[:2])),
        (rows, kind(LISTS[:2])),
        (kind(LISTS), rows[:2]),
    ):
        found = call(points, data, *scale)
        torch.testing.assert_close(found.double(), due, rtol=1e-4, atol=1e-4)
    assert bound_error(kind(LISTS), kind(LISTS[:2]), 0.7, 2.0).shape == (3,)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "bad", [None, "ab", [[1.0], [1.0, 2.0]], np.array([[1j, 2.0]])]
)
def test_what_is_no_array_of_numbers_is_refused(call, bad):
    for points, data in ((bad, LISTS), (LISTS, bad)):
        with pytest.raises(ValueError, match="array of real") as caught:
            call(points, data, 0.5)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, bool, float])
def test_slopes_of_whole_numbers_do_not_wrap(kind):
    points = np.array([[0], [1]]).astype(kind)
    for errors in ([0, 1], [1, 0]):
        errors = np.array(errors).astype(kind)
        found = pair_slopes(points, errors, np.random.default_rng(0))
        assert found.tolist() == [1.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_slopes_that_are_not_finite_are_not_extrapolated(bad):
    slopes = np.append(np.random.default_rng(0).uniform(size=99), bad)
    with pytest.raises(ValueError, match="slopes must be"):
        extrapolate_slope(slopes, 10)
    with pytest.raises(ValueError, match="batches must be a whole number"):
        extrapolate_slope(slopes[:90], 10.5)


def test_verification_measures_short_gaps_far_from_zero():
    """A datum is in no valley farther than sigma sqrt n from itself."""
    rng = np.random.default_rng(0)
    data = torch.tensor(1e3 * rng.normal(size=(30, 3)))
    cloud = Cloud(data + 1e-9, data, 1e-7)
    found = measure_valleys(cloud)
    assert found["minima"] == 30 and found["far minima"] == 0
    bound = measure_bound(cloud, rng)
    assert bound["above the bound"] == 0
