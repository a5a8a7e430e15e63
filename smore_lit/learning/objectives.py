# Generated from book/learning/objectives.md by make sync. Edit the chapter, not this file.
"""SMORe objectives: pull goals up, push the rest down.

One contrastive loss, written four ways, and the reward that each of them
hides.
"""

__all__ = [
    "mean_sum",
    "regression_loss",
    "in_sample_score_loss",
    "mixture_score_loss",
    "check_score",
    "check_flat",
    "check_number",
    "implicit_reward",
    "WEIGHT_DECAY",
    "released_score_loss",
    "STEP_REWARD",
    "released_stable_score_loss",
    "stable_minimiser",
    "expectile_loss",
]


# book/learning/objectives.md, section "SMORe objectives: pull goals up, push the rest down"
import math

from torch import Tensor


# book/learning/objectives.md, section "In code"
def mean_sum(score: Tensor) -> Tensor:
    """Return the mean over the batch, summed over critics, (N,)."""
    return score.mean(dim=-1).sum(dim=-1)


def regression_loss(score: Tensor, target: Tensor) -> Tensor:
    r"""Compute $\sum_k$ mean $(y - S_k)^2$.

    Args:
        score: S on transitions, (N, K, B).
        target: y of the same transitions, (N, B), detached.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape does not fit.
    """
    check_score("score", score)
    check_flat("target", target, score)
    return mean_sum((target.unsqueeze(1) - score).square())


# book/learning/objectives.md, section "In code"
def in_sample_score_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_q: Tensor,
    value_next_rho: Tensor,
    *,
    beta: float,
    gamma: float,
    coefficient: float,
) -> Tensor:
    r"""Compute the score loss with M in place of the policy's actions.

    Args:
        score_q: S on goal transitions, (N, K, B); N seeds, K critics.
        score_rho: S on transitions of the data, (N, K, B).
        value_next_q: M(s', g) after goal transitions, (N, B), detached.
        value_next_rho: M(s', g) after data transitions, (N, B), detached.
        beta: share of q in the mixture, in [0, 1].
        gamma: discount, in [0, 1].
        coefficient: c of the square; 0.25 in Eq. 8.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Eq. 8 of Sikchi et al. (2024), M for S(s', pi(s'), g).
    """
    check_score("score_q", score_q)
    check_score("score_rho", score_rho, score_q)
    check_flat("value_next_q", value_next_q, score_q)
    check_flat("value_next_rho", value_next_rho, score_rho)
    check_number("beta", beta, 0.0, 1.0)
    check_number("gamma", gamma, 0.0, 1.0)
    check_number("coefficient", coefficient, 0.0, math.inf)
    square_q = regression_loss(score_q, gamma * value_next_q)
    square_rho = regression_loss(score_rho, gamma * value_next_rho)
    square = beta * square_q + (1.0 - beta) * square_rho
    return coefficient * square - beta * mean_sum(score_q)


# book/learning/objectives.md, section "In code"
def mixture_score_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_q: Tensor,
    value_next_rho: Tensor,
    score_start: Tensor,
    score_next: Tensor,
    *,
    beta: float,
    gamma: float,
    coefficient: float,
) -> Tensor:
    r"""Compute the score loss as printed, policy terms included.

    Args:
        score_q, score_rho: S on goal transitions and on data, (N, K, B).
        value_next_q, value_next_rho: M(s', g) after them, (N, B), detached.
        score_start: S(s, pi(s, g), g), (s, g) of the data, (N, K, B).
        score_next: S(s', pi(s', g), g) after goal transitions, (N, K, B).
        beta: share of q in the mixture, in [0, 1].
        gamma: discount, in [0, 1].
        coefficient: c of the square; 1 in Eq. 10, 0.25 in Eq. 8.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Eqs. 8 and 10 of Sikchi et al. (2024).
    """
    check_score("score_q", score_q)
    check_score("score_start", score_start, score_q)
    check_score("score_next", score_next, score_q)
    push = (1.0 - gamma) * mean_sum(score_start) + gamma * mean_sum(score_next)
    return beta * push + in_sample_score_loss(
        score_q, score_rho, value_next_q, value_next_rho,
        beta=beta, gamma=gamma, coefficient=coefficient,
    )


# book/learning/objectives.md, section "In code"
def check_score(name: str, score: Tensor, like: Tensor | None = None):
    """Raise ValueError unless `score` is (N, K, B), N and K as `like`."""
    if score.ndim != 3 or 0 in score.shape:
        raise ValueError(
            f"{name} must be (seeds, critics, batch) and not empty,"
            f" got shape {tuple(score.shape)}"
        )
    if like is not None and score.shape[:2] != like.shape[:2]:
        raise ValueError(
            f"{name} has (seeds, critics) {tuple(score.shape[:2])},"
            f" score_q has {tuple(like.shape[:2])}: make them equal"
        )


def check_flat(name: str, value: Tensor, like: Tensor | None = None):
    """Raise ValueError unless `value` is (N, B), N and B as `like`."""
    if value.ndim != 2 or 0 in value.shape:
        raise ValueError(
            f"{name} must be (seeds, batch) and not empty,"
            f" got shape {tuple(value.shape)}"
        )
    if like is not None and value.shape != (like.shape[0], like.shape[-1]):
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, expected"
            f" {(like.shape[0], like.shape[-1])} as in its partner"
        )


def check_number(name: str, value: float, low: float, high: float):
    """Raise ValueError unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise ValueError(
            f"{name} must lie between {low:g} and {high:g}, got {value!r}"
        )


# book/learning/objectives.md, section "What a frozen target rewards"
def implicit_reward(
    ratio: Tensor,
    objective: str,
    *,
    beta: float = 0.5,
    coefficient: float = 0.25,
    occupancy: Tensor | float = 0.0,
) -> Tensor:
    r"""Return the reward $S - \gamma\,\mathbb{E}[M(s', g)]$ a loss implies.

    Args:
        ratio: q/rho at (s, a, g), any shape.
        objective: "paper", "in-sample" or "released".
        beta: share of q in the mixture.
        coefficient: c of the square.
        occupancy: for "paper" only, the policy's guessed occupancy over rho
            at (s, a, g): one step of Bellman flow from q.

    Returns:
        As `ratio`.

    Raises:
        ValueError: if the objective has no such reward.

    Source: pointwise minimisers of the losses of this chapter.
    """
    if objective == "released":
        return ratio - WEIGHT_DECAY
    if objective not in ("paper", "in-sample"):
        raise ValueError(
            f"objective {objective!r} has no implicit reward;"
            " use paper, in-sample or released"
        )
    pull = ratio - occupancy if objective == "paper" else ratio
    mixture = beta * ratio + (1.0 - beta)
    return beta * pull / (2.0 * coefficient * mixture)


# book/learning/objectives.md, section "What the released code rewards"
WEIGHT_DECAY = 1e-4  # weight of the terms against drift


def released_score_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_rho: Tensor,
    *,
    gamma: float,
) -> Tensor:
    r"""Compute the released code's loss `smore`.

    Args:
        score_q: S on goal transitions, (N, K, B); N seeds, K critics.
        score_rho: S on transitions of the data, (N, K, B).
        value_next_rho: M(s', g) after data transitions, (N, B), detached.
        gamma: discount, in [0, 1].

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: released code of Sikchi et al. (2024), `--loss_type smore`.
    """
    check_score("score_q", score_q)
    check_score("score_rho", score_rho, score_q)
    check_flat("value_next_rho", value_next_rho, score_rho)
    check_number("gamma", gamma, 0.0, 1.0)
    square = regression_loss(score_rho, gamma * value_next_rho)
    push = WEIGHT_DECAY * mean_sum(score_rho)
    return push - mean_sum(score_q) + 0.5 * square


# book/learning/objectives.md, section "What the released code rewards"
STEP_REWARD = -2.0  # r_neg of the released code


def released_stable_score_loss(
    score_q: Tensor,
    score_rho: Tensor,
    value_next_rho: Tensor,
    *,
    gamma: float,
) -> Tensor:
    r"""Compute the released code's default loss `smore_stable`.

    Args:
        score_q: S on goal transitions, (N, K, B); N seeds, K critics.
        score_rho: S on transitions of the data, (N, K, B).
        value_next_rho: M(s', g) after data transitions, (N, B), detached.
        gamma: discount, in [0, 1).

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: released code of Sikchi et al. (2024),
        `--loss_type smore_stable`, its default.
    """
    check_score("score_q", score_q)
    check_score("score_rho", score_rho, score_q)
    check_flat("value_next_rho", value_next_rho, score_rho)
    check_number("gamma", gamma, 0.0, 1.0 - 1e-9)
    target = (STEP_REWARD + gamma * value_next_rho).unsqueeze(1)
    pull = mean_sum((score_q + STEP_REWARD / (1.0 - gamma)).square())
    decay = (1.0 - gamma) * WEIGHT_DECAY * mean_sum(score_rho.square())
    return pull + decay + 0.5 * mean_sum((score_rho - target).square())


# book/learning/objectives.md, section "What the released code rewards"
def stable_minimiser(
    ratio: Tensor, value_next: Tensor, *, gamma: float
) -> Tensor:
    r"""Return the score that minimises `released_stable_score_loss`.

    Args:
        ratio: q/rho at (s, a, g), any shape.
        value_next: mean of M(s', g) over the data at (s, a, g), as `ratio`.
        gamma: discount, in [0, 1).

    Returns:
        As `ratio`; a mean of targets, not of the form reward + gamma M.

    Source: pointwise minimiser of the released code's `smore_stable`.
    """
    goal = -STEP_REWARD / (1.0 - gamma)
    step = STEP_REWARD + gamma * value_next
    decay = 2.0 * (1.0 - gamma) * WEIGHT_DECAY
    return (2.0 * ratio * goal + step) / (2.0 * ratio + 1.0 + decay)


# book/learning/objectives.md, section "Take the best action the data show"
def expectile_loss(diff: Tensor, tau: float) -> Tensor:
    r"""Return the mean of $|\tau - 1(u<0)|\,u^2$ over the batch.

    Args:
        diff: u = S - M, (N, B); S detached.
        tau: lean of the average, in (0, 1); 0.5 is the mean.

    Returns:
        Shape (N,).

    Raises:
        ValueError: if diff is not (N, B) or tau not in (0, 1).

    Source: Eq. 9 of Sikchi et al. (2024), sign of u corrected
        (deviation 3).
    """
    check_flat("diff", diff)
    if not 0.0 < tau < 1.0:
        raise ValueError(f"tau must lie strictly in (0, 1), got {tau!r}")
    weight = (tau - (diff < 0).to(diff.dtype)).abs()
    return (weight * diff.square()).mean(dim=-1)
