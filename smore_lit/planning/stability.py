# Generated from book/planning/stability.md by make sync. Edit the chapter, not this file.
"""Data stability: walk down to the data.

Every local minimum of the smoothed distance lies near a datum, within the
scale times the root of the dimension. The variance of an ensemble promises
nothing of the kind.
"""

__all__ = ["shift_mean", "distance_curvature"]


# book/planning/stability.md, section "Data stability: walk down to the data"
import torch
from torch import Tensor

from smore_lit.planning.distances import check_reference, kernel_weights
from smore_lit.running.files import as_whole


# book/planning/stability.md, section "A step down is a mean shift"
def shift_mean(
    points: Tensor, data: Tensor, scale: float, steps: int = 1
) -> Tensor:
    r"""Take steps of length 1 down the smoothed distance.

    Args:
        points: (..., n).
        data: (N, n).
        scale: sigma.
        steps: how many.

    Returns:
        (..., n), in the convex hull of the data after the first step.
    """
    points, data = check_reference(points, data, scale)
    for _ in range(as_whole("steps", steps)):
        points = kernel_weights(points, data, scale) @ data
    return points


# book/planning/stability.md, section "How it curves"
def distance_curvature(points: Tensor, data: Tensor, scale: float) -> Tensor:
    r"""Return the Hessian of $d_\sigma$ at points (..., n): (..., n, n)."""
    points, data = check_reference(points, data, scale)
    weights = kernel_weights(points, data, scale)
    away = data - (weights @ data).unsqueeze(-2)  # (..., N, n)
    spread = (weights.unsqueeze(-1) * away).mT @ away
    return torch.eye(data.shape[-1], dtype=data.dtype) - spread / scale**2
