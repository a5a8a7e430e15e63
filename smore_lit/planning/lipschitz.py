# Generated from book/planning/lipschitz.md by make sync. Edit the chapter, not this file.
"""Lipschitz bounds on a model's error: how wrong it may be off the data.

The distance to data bounds the error of a model, with one constant that nobody
gives us.
"""

__all__ = [
    "bound_error",
    "pair_slopes",
    "count_pairs",
    "fit_end",
    "extrapolate_slope",
]


# book/planning/lipschitz.md, section "Lipschitz bounds on a model's error: how wrong it may be off the data"
import math

import numpy as np
from torch import Tensor

from smore_lit.planning.distances import as_real, smoothed_distance
from smore_lit.running.files import as_whole


# book/planning/lipschitz.md, section "The bound"
def bound_error(
    points: Tensor,
    data: Tensor,
    scale: float,
    constant: float,
    at_data: float = 0.0,
) -> Tensor:
    r"""Bound a model's error by the smoothed distance to its data.

    Args:
        points: (..., n).
        data: (N, n).
        scale: sigma of the smoothed distance.
        constant: $L_e$, a Lipschitz constant of the error.
        at_data: the largest error on the data.

    Returns:
        (...), in the units of the model's outputs.

    Raises:
        ValueError: a constant or an error that is negative or not finite,
            or what `check_reference` refuses.

    Source: Suh et al. (2023), for the shape; the constants are derived here.
    """
    for name, value in (("constant", constant), ("at_data", at_data)):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more, got {value}")
    distance = smoothed_distance(points, data, scale)
    above = distance + scale**2 * math.log(len(data))
    return at_data + constant * (2 * above.clamp(min=0.0)).sqrt()


# book/planning/lipschitz.md, section "The constant is not given"
def pair_slopes(points: np.ndarray, errors: np.ndarray, rng) -> np.ndarray:
    """Return the slopes of the error between pairs that share no point.

    Args:
        points: (N, n), which the model was not trained on.
        errors: (N,), of the model at the points.
        rng: a NumPy generator, which pairs the points up.

    Returns:
        At most N // 2 slopes; a pair at one and the same place has none.

    Raises:
        ValueError: shapes that do not agree, fewer than two points, or
            numbers that are not finite.
    """
    points = as_real("points", points).detach().numpy()
    errors = as_real("errors", errors).detach().numpy()
    if points.ndim != 2 or errors.shape != points.shape[:1]:
        raise ValueError(
            "points must be (N, n) and errors (N,), got"
            f" {points.shape} and {errors.shape}"
        )
    if len(points) < 2:
        raise ValueError("a slope needs two points or more")
    if not (np.isfinite(points).all() and np.isfinite(errors).all()):
        raise ValueError("points and errors must hold no NaN and no infinity")
    order = rng.permutation(len(points))
    one, two = np.split(order[: len(order) // 2 * 2], 2)
    apart = np.linalg.norm(points[one] - points[two], axis=1)
    rise = np.abs(errors[one] - errors[two])
    return rise[apart > 0] / apart[apart > 0]


# book/planning/lipschitz.md, section "Answer one: without assuming a law"
def count_pairs(share: float, doubt: float) -> int:
    r"""Return how many slopes make `largest slope` hold.

    With that many, at most a `share` of all pairs is steeper than the
    steepest of them, with probability at least 1 - `doubt`.

    Raises:
        ValueError: a share or a doubt outside (0, 1).
    """
    for name, value in (("share", share), ("doubt", doubt)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} must lie in (0, 1), got {value}")
    return math.ceil(math.log(doubt) / math.log1p(-share))


# book/planning/lipschitz.md, section "Answer two: extrapolate"
def fit_end(maxima: np.ndarray) -> tuple[float, float, float]:
    """Fit a reverse Weibull law of shape 1 or more by its likelihood.

    Returns:
        Shape, end and scale. The end is at most a thousand times as far
        above the largest as that is above the mean.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    below = maxima.max() - maxima
    unit = below.mean() or 1.0

    def parts(place):  # logarithms of shape and gap
        shape, gap = np.exp(place)
        away = np.log(below / unit + gap)
        return shape, away, logsumexp(shape * away) - math.log(len(away))

    def miss(place):  # minus the log likelihood, at the best scale
        shape, away, power = parts(place)
        return power - place[0] - (shape - 1) * away.mean()

    bounds = (0, math.log(1e5)), (math.log(1e-12), math.log(1e3))
    tries = [
        minimize(miss, at, method="Nelder-Mead", bounds=bounds)
        for at in ((0.01, -10), (1, 0), (5, 5))
    ]
    best = min(tries, key=lambda each: each.fun).x
    shape, _, power = parts(best)
    end = maxima.max() + unit * math.exp(best[1])
    return float(shape), float(end), float(unit * math.exp(power / shape))


# book/planning/lipschitz.md, section "Answer two: extrapolate"
def extrapolate_slope(slopes: np.ndarray, batches: int) -> tuple[float, float]:
    """Estimate the largest slope there is from maxima of batches.

    Args:
        slopes: (M,), independent.
        batches: into how many, in order, to divide them; 10 or more.

    Returns:
        The end of a reverse Weibull law fitted to the maxima, infinite
        where they show none, and the p-value of a Kolmogorov-Smirnov test
        of the fit (too large: the law was fitted to the same maxima).

    Raises:
        ValueError: too few batches, fewer than two slopes for each, or
            slopes that are not finite.
    """
    from scipy.stats import kstest, weibull_max

    slopes = as_real("slopes", slopes).detach().numpy()
    batches = as_whole("batches", batches)
    if slopes.ndim != 1 or not np.isfinite(slopes).all():
        raise ValueError("slopes must be (M,), without NaN and infinity")
    if batches < 10 or len(slopes) < 2 * batches:
        raise ValueError(
            f"{len(slopes)} slopes in {batches} batches: the fit needs 10"
            " batches or more, of two slopes or more"
        )
    size = len(slopes) // batches
    maxima = slopes[: batches * size].reshape(batches, size).max(axis=1)
    law = fit_end(maxima)
    p = float(kstest(maxima, weibull_max(*law).cdf).pvalue)
    unit = maxima.max() - maxima.mean()
    far = law[1] - maxima.max() > 900 * unit > 0
    return (math.inf if far else law[1]), p
