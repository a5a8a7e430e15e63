# Generated from book/theory/mixtures.md by make sync. Edit the chapter, not this file.
"""Mixtures and Proposition 2: dilute both sides.

Two distributions, each mixed with the same data: closer than before, never
infinitely far where data cover the policy, and what Proposition 2 promises
about it.
"""

__all__ = [
    "mix",
    "check_beta",
    "unmix",
    "mixture_divergence",
    "ratio_floor",
    "offline_return",
    "offline_constant",
    "mixture_bound_gap",
]


# book/theory/mixtures.md, section "Mixtures and Proposition 2: dilute both sides"
import numpy as np
import torch
from numpy import ndarray

from smore_lit.theory.divergences import FDivergence
from smore_lit.theory.goal_transitions import (
    entropy,
    log_partition,
    soft_goal_transitions,
    training_reward,
)
from smore_lit.theory.occupancies import GoalMDP


# book/theory/mixtures.md, section "The mixture"
def mix(beta: float, mu: ndarray, rho: ndarray) -> ndarray:
    r"""Return $\mathrm{Mix}_\beta(\mu, \rho) = \beta\mu + (1-\beta)\rho$.

    Args:
        beta: share of mu, in (0, 1].
        mu, rho: arrays of one shape, usually (S, A, G).

    Returns:
        The mixture, same shape.

    Raises:
        ValueError: beta out of range or unequal shapes.

    Source: below Eq. 5 of Sikchi et al. (2024).
    """
    check_beta(beta)
    if np.shape(mu) != np.shape(rho):
        raise ValueError(
            f"mu has shape {np.shape(mu)}, rho {np.shape(rho)}:"
            " make them equal"
        )
    return beta * np.asarray(mu) + (1 - beta) * np.asarray(rho)


# book/theory/mixtures.md, section "The mixture"
def check_beta(beta: float) -> None:
    """Raise ValueError unless 0 < beta <= 1."""
    if not 0 < beta <= 1:
        raise ValueError(f"beta is {beta}: choose 0 < beta <= 1")


def unmix(beta: float, mixture: ndarray, rho: ndarray) -> ndarray:
    """Return the mu whose mixture with rho is given; it may be negative."""
    check_beta(beta)
    return (np.asarray(mixture) - (1 - beta) * np.asarray(rho)) / beta


# book/theory/mixtures.md, section "The corridor by hand"
def mixture_divergence(
    divergence: FDivergence,
    beta: float,
    d: ndarray,
    q: ndarray,
    rho: ndarray,
) -> float:
    r"""Compute $D_f(\mathrm{Mix}_\beta(d,\rho)\|\mathrm{Mix}_\beta(q,\rho))$.

    Args:
        divergence: f.
        beta: share of d and of q, in (0, 1].
        d, q, rho: distributions of one shape, usually (S, A, G).

    Returns:
        The divergence, infinite where the mixture of q misses that of d
        and f grows without bound.

    Source: Eq. 5 of Sikchi et al. (2024).
    """
    p, r = mix(beta, d, rho), mix(beta, q, rho)
    value = divergence.divergence(torch.as_tensor(p), torch.as_tensor(r))
    return float(value)


def ratio_floor(beta: float, q: ndarray, rho: ndarray) -> ndarray:
    r"""Return $(1-\beta)\rho / \mathrm{Mix}_\beta(q,\rho)$.

    It is 0 where both are 0.
    """
    mixture = mix(beta, q, rho)
    safe = np.where(mixture > 0, mixture, 1)
    return (1 - beta) * np.asarray(rho) / safe


# book/theory/mixtures.md, section "The corrected statement"
def offline_return(
    mdp: GoalMDP, d: ndarray, rho: ndarray, alpha: float, beta: float
) -> float:
    r"""Return $J_{offline} = \beta^2\,\mathbb{E}_d[e^{\alpha r}]
    + \beta(1-\beta) Z\,\mathbb{E}_d[\rho]$.

    Args:
        mdp: the world, for its reward.
        d: occupancy, (S, A, G).
        rho: data, (S, A, G).
        alpha: inverse temperature; 1 in the paper's proof.
        beta: mixture share, in (0, 1].

    Source: Eq. 24 of Sikchi et al. (2024) with the weights of
        Proposition 2.
    """
    check_beta(beta)
    Z = np.exp(log_partition(mdp, alpha))
    gain = np.exp(alpha * training_reward(mdp))
    return float((d * (beta**2 * gain + beta * (1 - beta) * Z * rho)).sum())


def offline_constant(
    mdp: GoalMDP, rho: ndarray, alpha: float, beta: float
) -> float:
    r"""Return $C' = J'_{offline} - J_{offline}$, the same for all policies.

    Source: Eqs. 28 to 31 of Sikchi et al. (2024).
    """
    Z = np.exp(log_partition(mdp, alpha))
    mixture = mix(beta, soft_goal_transitions(mdp, alpha), rho)
    return float((1 - beta) * Z * (rho * mixture).sum())


# book/theory/mixtures.md, section "Step 4: any larger divergence"
def mixture_bound_gap(
    divergence: FDivergence,
    mdp: GoalMDP,
    d: ndarray,
    rho: ndarray,
    alpha: float,
    beta: float,
) -> float:
    r"""Return left minus right side of the corrected Proposition 2.

    Non-negative whenever the divergence is at least KL.

    Args:
        divergence: f.
        mdp: the world; its soft goal transitions are q.
        d, rho: distributions, (S, A, G).
        alpha: inverse temperature.
        beta: mixture share, in (0, 1].

    Source: Eqs. 21 and 36 of Sikchi et al. (2024), log Z kept.
    """
    q = soft_goal_transitions(mdp, alpha)
    total = offline_return(mdp, d, rho, alpha, beta)
    total += offline_constant(mdp, rho, alpha, beta)
    left = np.log(total) + entropy(mix(beta, d, rho))
    right = -mixture_divergence(divergence, beta, d, q, rho)
    return float(left - right - log_partition(mdp, alpha))
