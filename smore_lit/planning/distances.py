# Generated from book/planning/distances.md by make sync. Edit the chapter, not this file.
"""Smoothed distance to data: softmin and kernel density.

How far is a point from recorded data? A smooth answer is the logarithm of a
density, and its gradient is a score.
"""

__all__ = [
    "half_squares",
    "nearest_distance",
    "smoothed_distance",
    "as_real",
    "check_reference",
    "kernel_log_density",
    "kernel_weights",
    "kernel_score",
]


# book/planning/distances.md, section "Smoothed distance to data: softmin and kernel density"
import math
from typing import Any

import numpy as np
import torch
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
    points, data = as_real("points", points), as_real("data", data)
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
    points, data = check_reference(points, data, scale)
    exponents = -half_squares(points, data) / scale**2
    return -(scale**2) * exponents.logsumexp(dim=-1)


# book/planning/distances.md, section "Soften the minimum"
def as_real(name: str, values: Any) -> Tensor:
    """Return a tensor, an array or lists of real numbers as a tensor.

    Floating-point numbers of torch and NumPy keep their kind, and tensors
    their gradient; all others become float64.

    Raises:
        ValueError: values that are no real numbers, or lists of unequal
            length; `name` says which.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise ValueError(f"{name} must hold real numbers, got complex")
        return values if values.is_floating_point() else values.double()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):
        array = np.asarray(None)  # such as lists of unequal length
    if array.dtype.kind not in "biuf":
        got = type(values).__name__
        got += f" of {array.dtype}" if array.ndim else ""
        raise ValueError(f"{name} must be an array of real numbers, got {got}")
    kind = np.float32 if array.dtype == np.float32 else np.float64
    array = np.require(array, kind, ("C", "W"))
    return torch.from_numpy(array)


def check_reference(
    points: Any, data: Any, scale: float
) -> tuple[Tensor, Tensor]:
    """Return points and data as tensors that can be compared at `scale`.

    Raises:
        ValueError: data without a row, or with other columns than the
            points; numbers that are not real and finite; a scale that, or
            whose square, is not positive and finite.
    """
    points, data = as_real("points", points), as_real("data", data)
    kind = torch.promote_types(points.dtype, data.dtype)
    points, data = points.to(kind), data.to(kind)
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
    return points, data


# book/planning/distances.md, section "It is a log density"
def kernel_log_density(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return $\log p_\sigma$ of points (..., n), data with noise added."""
    points, data = check_reference(points, data, scale)
    distance = smoothed_distance(points, data, scale)
    rows, columns = data.shape
    level = math.log(rows) + 0.5 * columns * math.log(2 * math.pi * scale**2)
    return -distance / scale**2 - level


# book/planning/distances.md, section "Its gradient is a score"
def kernel_weights(points: Tensor, data: Tensor, scale: float) -> Tensor:
    """Return the say of each datum at points (..., n): (..., N), sum 1."""
    points, data = check_reference(points, data, scale)
    return (-half_squares(points, data) / scale**2).softmax(dim=-1)


def kernel_score(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return $\nabla \log p_\sigma$ at points (..., n), exactly: (..., n).

    Minus sigma^2 times it is the gradient of `smoothed_distance`.
    """
    points, data = check_reference(points, data, scale)
    mean = kernel_weights(points, data, scale) @ data
    return (mean - points) / scale**2
