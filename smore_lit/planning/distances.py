# Generated from book/planning/distances.md by make sync. Edit the chapter, not this file.
"""Smoothed distance to data: softmin and kernel density.

How far is a point from recorded data? A smooth answer is the logarithm of a
density, and its gradient is a score.
"""

__all__ = [
    "half_squares",
    "nearest_distance",
    "smoothed_distance",
    "check_reference",
    "kernel_log_density",
    "kernel_weights",
    "kernel_score",
]


# book/planning/distances.md, section "Smoothed distance to data: softmin and kernel density"
import math

from torch import Tensor


# book/planning/distances.md, section "Soften the minimum"
def half_squares(points: Tensor, data: Tensor) -> Tensor:
    """Return half the squared distance to each datum.

    Args:
        points: (..., n).
        data: (N, n).

    Returns:
        (..., N).
    """
    return 0.5 * (points.unsqueeze(-2) - data).square().sum(dim=-1)


def nearest_distance(points: Tensor, data: Tensor) -> Tensor:
    """Return half the squared distance of points (..., n) to data (N, n)."""
    return half_squares(points, data).amin(dim=-1)


def smoothed_distance(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return $d_\sigma$, a soft minimum of half squared distances.

    Args:
        points: (..., n).
        data: (N, n).
        scale: sigma, in the units of the points.

    Returns:
        (...), lower than the distance by at most sigma^2 log N.

    Raises:
        ValueError: see `check_reference`.

    Source: Suh et al. (2023), the smoothed distance to data.
    """
    check_reference(points, data, scale)
    exponents = -half_squares(points, data) / scale**2
    return -(scale**2) * exponents.logsumexp(dim=-1)


# book/planning/distances.md, section "Soften the minimum"
def check_reference(points: Tensor, data: Tensor, scale: float) -> None:
    """Raise ValueError unless points can be compared with data at `scale`.

    Data need at least one row, as many columns as the points, and finite
    numbers; the scale and its square are positive, finite numbers.
    """
    if data.ndim != 2 or 0 in data.shape:
        raise ValueError(
            "data must be (N, n) with one row or more, got"
            f" {tuple(data.shape)}"
        )
    if points.shape[-1:] != data.shape[-1:]:
        raise ValueError(
            f"points have {tuple(points.shape)}, but data have"
            f" {data.shape[-1]} columns: the last axes must agree"
        )
    if not (bool(data.isfinite().all()) and bool(points.isfinite().all())):
        raise ValueError("points and data must hold no NaN and no infinity")
    if not (scale > 0.0 and 0.0 < scale * scale < math.inf):
        raise ValueError(
            f"scale and its square must be positive and finite, got {scale}"
        )


# book/planning/distances.md, section "It is a log density"
def kernel_log_density(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return $\log p_\sigma$ of points (..., n), data with noise added."""
    distance = smoothed_distance(points, data, scale)
    rows, columns = data.shape
    level = math.log(rows) + 0.5 * columns * math.log(2 * math.pi * scale**2)
    return -distance / scale**2 - level


# book/planning/distances.md, section "Its gradient is a score"
def kernel_weights(points: Tensor, data: Tensor, scale: float) -> Tensor:
    """Return the say of each datum at points (..., n): (..., N), sum 1."""
    check_reference(points, data, scale)
    return (-half_squares(points, data) / scale**2).softmax(dim=-1)


def kernel_score(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return $\nabla \log p_\sigma$ at points (..., n), exactly: (..., n).

    Minus sigma^2 times it is the gradient of `smoothed_distance`.
    """
    mean = kernel_weights(points, data, scale) @ data
    return (mean - points) / scale**2
