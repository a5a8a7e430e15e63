# Generated from book/learning/divergence_losses.md by make sync. Edit the chapter, not this file.
"""SMORe with KL, Hellinger, JS: let the divergence choose the loss.

Chi-square is one choice of four; each pays its own reward and has its own
numerical trouble.
"""

__all__ = [
    "TRAINABLE",
    "find_trainable",
    "best_ratio",
    "excess",
    "in_sample_divergence_loss",
    "mixture_divergence_loss",
    "divergence_reward",
    "action_free_loss",
]


# book/learning/divergence_losses.md, section "SMORe with KL, Hellinger, JS: let the divergence choose the loss"
import math

import torch
from torch import Tensor

from smore_lit.learning.objectives import (
    check_flat,
    check_number,
    check_score,
    mean_sum,
)
from smore_lit.theory.divergences import FDivergence, find_divergence


# book/learning/divergence_losses.md, section "Clamp the ratio, not the exponent"
TRAINABLE = ("chi2", "kl", "hellinger", "js")


def find_trainable(name: str) -> FDivergence:
    """Return the divergence called `name` if a score can be trained on it.

    Raises:
        ValueError: an unknown divergence, or one whose loss has no curvature.
    """
    if find_divergence(name).name not in TRAINABLE:
        raise ValueError(
            f"divergence {name!r} has a loss of straight lines, which leaves"
            f" the score open: use {', '.join(TRAINABLE)}"
        )
    return find_divergence(name)


def _slope(divergence: FDivergence, ratio: float) -> float:
    """Return $f'$ at one ratio."""
    x = torch.tensor(ratio, dtype=torch.float64)
    return divergence.derivative(x).item()


# book/learning/divergence_losses.md, section "Clamp the ratio, not the exponent"
def best_ratio(
    y: Tensor,
    divergence: FDivergence,
    floor: Tensor | float = 0.0,
    cap: float = 1e30,
) -> Tensor:
    r"""Return the x in [floor, cap] at which $xy - \tilde f(x)$ is largest.

    Args:
        y: any shape.
        divergence: one of `TRAINABLE`.
        floor: least ratio, below `cap`; a number, or a tensor like `y`.
        cap: largest ratio, above 1 and finite.

    Returns:
        As `y`, without gradient.

    Source: Eq. 61 of Sikchi et al. (2024) at floor 0, without a cap.
    """
    y, level = y.detach(), _slope(divergence, 1.0)
    top = _slope(divergence, cap) - level
    ratio = divergence.inverse_derivative(y.clamp(max=top) + level)
    ratio = torch.where(y < top, ratio, cap).clamp(max=cap)
    floor = torch.as_tensor(floor, dtype=y.dtype, device=y.device)
    return torch.maximum(ratio, floor)


# book/learning/divergence_losses.md, section "Clamp the ratio, not the exponent"
def excess(
    y: Tensor,
    divergence: FDivergence,
    *,
    coefficient: float = 0.25,
    floor: Tensor | float = 0.0,
    cap: float = 1e30,
) -> Tensor:
    r"""Return $h_c(y)$, what the conjugate adds to its tangent at 0.

    Args:
        y: Bellman differences, any shape; gradients pass.
        divergence: one of `TRAINABLE`.
        coefficient: c, positive; the divergence counts 1/(4c) times.
        floor, cap: ends of the ratio's interval, as in `best_ratio`.

    Returns:
        As `y`, not negative; its slope is the best ratio less 1.

    Raises:
        ValueError: if coefficient or cap is out of its range.

    Source: Eq. 39 of Sikchi et al. (2024) over an interval.
    """
    if not 1.0 < cap < math.inf:
        raise ValueError(f"cap must be above 1 and finite, got {cap!r}")
    if not 0.0 < coefficient < math.inf:
        raise ValueError(
            f"coefficient must be positive, got {coefficient!r}"
        )
    scaled = 4.0 * coefficient * y
    ratio = best_ratio(scaled, divergence, floor, cap)
    tilt = _slope(divergence, 1.0) * (ratio - 1.0)
    level = divergence.generator(ratio) - tilt
    return ((ratio - 1.0) * scaled - level) / (4.0 * coefficient)


# book/learning/divergence_losses.md, section "Both losses"
def in_sample_divergence_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_q: Tensor,
    value_next_rho: Tensor,
    *,
    divergence: FDivergence,
    beta: float,
    gamma: float,
    coefficient: float = 0.25,
    floor: float = 0.0,
    cap: float = 1e30,
) -> Tensor:
    r"""Compute the score loss of a divergence, M for the policy's actions.

    Args:
        score_q, score_rho: S on goal transitions and on data, (N, K, B).
        value_next_q, value_next_rho: M(s', g) after them, (N, B), detached.
        divergence: one of `TRAINABLE`.
        beta, gamma: share of q in [0, 1], discount in [0, 1].
        coefficient, floor, cap: as in `excess`.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Theorem 1 of Sikchi et al. (2024), M for S(s', pi(s'), g).
    """
    _check_pair(score_q, score_rho, value_next_q, value_next_rho)
    check_number("beta", beta, 0.0, 1.0)
    check_number("gamma", gamma, 0.0, 1.0)
    shape = dict(coefficient=coefficient, floor=floor, cap=cap)
    y_q = gamma * value_next_q.unsqueeze(1) - score_q
    y_rho = gamma * value_next_rho.unsqueeze(1) - score_rho
    bound_q = mean_sum(excess(y_q, divergence, **shape))
    bound_rho = mean_sum(excess(y_rho, divergence, **shape))
    bound = beta * bound_q + (1.0 - beta) * bound_rho
    return bound - beta * mean_sum(score_q)


# book/learning/divergence_losses.md, section "Both losses"
def _check_pair(score_q, score_rho, value_q, value_rho):
    """Raise ValueError unless scores and values fit together."""
    check_score("score_q", score_q)
    check_score("score_rho", score_rho, score_q)
    check_flat("value_next_q", value_q, score_q)
    check_flat("value_next_rho", value_rho, score_rho)


# book/learning/divergence_losses.md, section "Both losses"
def mixture_divergence_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_q: Tensor,
    value_next_rho: Tensor,
    score_start: Tensor,
    score_next: Tensor,
    *,
    beta: float,
    gamma: float,
    **shape,
) -> Tensor:
    r"""Compute the score loss of a divergence with the policy's terms.

    Args:
        score_q, score_rho: S on goal transitions and on data, (N, K, B).
        value_next_q, value_next_rho: M(s', g) after them, (N, B), detached.
        score_start: S(s, pi(s, g), g), (s, g) of the data, (N, K, B).
        score_next: S(s', pi(s', g), g) after goal transitions, (N, K, B).
        beta, gamma: share of q in [0, 1], discount in [0, 1].
        shape: divergence, coefficient, floor and cap, as in-sample.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Theorem 1 of Sikchi et al. (2024), read as their Eq. 10.
    """
    check_score("score_q", score_q)
    check_score("score_start", score_start, score_q)
    check_score("score_next", score_next, score_q)
    push = (1.0 - gamma) * mean_sum(score_start) + gamma * mean_sum(score_next)
    return beta * push + in_sample_divergence_loss(
        score_q, score_rho, value_next_q, value_next_rho,
        beta=beta, gamma=gamma, **shape,
    )


# book/learning/divergence_losses.md, section "What each divergence pays"
def divergence_reward(
    ratio: Tensor,
    divergence: FDivergence,
    *,
    beta: float = 0.5,
    coefficient: float = 0.25,
    occupancy: Tensor | float = 0.0,
) -> Tensor:
    r"""Return the reward $S - \gamma M$ that a divergence's loss implies.

    Args:
        ratio: q/rho at (s, a, g), any shape.
        divergence: one of `TRAINABLE`.
        beta: share of q in the mixture.
        coefficient: c, positive.
        occupancy: the policy's guessed occupancy over rho; 0 in-sample.

    Returns:
        As `ratio`.

    Source: pointwise minimisers of the losses of this chapter.
    """
    density = (beta * occupancy + 1.0 - beta) / (beta * ratio + 1.0 - beta)
    slope = divergence.derivative(density) - _slope(divergence, 1.0)
    return -slope / (4.0 * coefficient)


# book/learning/divergence_losses.md, section "A score without actions"
def action_free_loss(
    score_q: Tensor,
    score_rho: Tensor,
    score_next_q: Tensor,
    score_next_rho: Tensor,
    score_start: Tensor,
    *,
    divergence: FDivergence,
    beta: float,
    gamma: float,
    coefficient: float = 0.25,
    floor_q: Tensor | float = 0.0,
    floor_rho: Tensor | float = 0.0,
    cap: float = 1e30,
) -> Tensor:
    r"""Compute the loss of a score S(s, g) that knows no action.

    Args:
        score_q, score_rho: S(s, g) on goal transitions and data, (N, K, B).
        score_next_q, score_next_rho: S(s', g) after them, (N, K, B).
        score_start: S(s, g) at starts, (N, K, B).
        divergence: one of `TRAINABLE`.
        beta, gamma: share of q in [0, 1], discount in [0, 1].
        coefficient, cap: as in `excess`.
        floor_q, floor_rho: least ratio, 0 as printed; for d >= 0
            (1 - beta) / (beta q/rho + 1 - beta) at each sample.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Theorem 2 of Sikchi et al. (2024).
    """
    scores = dict(
        score_q=score_q, score_rho=score_rho, score_next_q=score_next_q,
        score_next_rho=score_next_rho, score_start=score_start,
    )
    for name, score in scores.items():
        check_score(name, score, score_q)
    check_number("beta", beta, 0.0, 1.0)
    check_number("gamma", gamma, 0.0, 1.0)
    shape = dict(coefficient=coefficient, cap=cap)
    y_q = gamma * score_next_q - score_q
    y_rho = gamma * score_next_rho - score_rho
    bound_q = mean_sum(excess(y_q, divergence, floor=floor_q, **shape))
    bound_rho = mean_sum(excess(y_rho, divergence, floor=floor_rho, **shape))
    push = (1.0 - gamma) * mean_sum(score_start) + mean_sum(y_q)
    return beta * (push + bound_q) + (1.0 - beta) * bound_rho
