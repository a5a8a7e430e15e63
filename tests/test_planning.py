"""Distance to data, its score and its valleys, by hand; what is refused."""

import math

import numpy as np
import pytest
import torch

from smore_lit.planning.distances import (
    half_squares,
    kernel_log_density,
    kernel_score,
    kernel_weights,
    nearest_distance,
    smoothed_distance,
)
from smore_lit.planning.stability import distance_curvature, shift_mean

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


def test_far_away_nothing_under_or_overflows():
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
    ],
)
def test_what_means_nothing_is_refused_in_one_line(call, changed, reason):
    given = {"points": POINT, "data": PAIR, "scale": 0.5} | changed
    with pytest.raises(ValueError, match=reason) as caught:
        call(**given)
    assert "\n" not in str(caught.value)
