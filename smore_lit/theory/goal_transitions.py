# Generated from book/theory/goal_transitions.md by make sync. Edit the chapter, not this file.
"""Goal transitions and Proposition 1: turn a goal into a distribution.

Reaching goals becomes matching the transitions that reach them; how much of
that is true depends on the divergence.
"""

__all__ = [
    "hard_goal_transitions",
    "training_reward",
    "log_partition",
    "soft_goal_transitions",
    "entropy",
    "entropy_return",
]


# book/theory/goal_transitions.md, section "Goal transitions and Proposition 1: turn a goal into a distribution"
import numpy as np
from numpy import ndarray

from smore_lit.theory.occupancies import GoalMDP, goal_reward, occupancy


# book/theory/goal_transitions.md, section "Transitions that reach their goal"
def hard_goal_transitions(mdp: GoalMDP) -> ndarray:
    r"""Return $q \propto q_{train}(g)\,P(\phi(s') = g \mid s, a)$.

    Args:
        mdp: the world.

    Returns:
        Shape (S, A, G), sum 1.

    Raises:
        ValueError: no transition reaches a goal of the goal law.

    Source: Section 3.1 of Sikchi et al. (2024).
    """
    weights = goal_reward(mdp) * mdp.goal_law
    if weights.sum() <= 0:
        raise ValueError("no transition reaches a goal that goal_law draws")
    return weights / weights.sum()


# book/theory/goal_transitions.md, section "The soft target"
def training_reward(mdp: GoalMDP) -> ndarray:
    """Return the goal reward, 0 for goals that are never drawn, (S, A, G).

    Source: Proposition 1 of Sikchi et al. (2024).
    """
    return goal_reward(mdp) * (np.asarray(mdp.goal_law) > 0)


# book/theory/goal_transitions.md, section "The soft target"
def log_partition(mdp: GoalMDP, alpha: float) -> float:
    r"""Return $\log \sum_x e^{\alpha r(x)}$ over all x = (s, a, g).

    Args:
        mdp: the world.
        alpha: inverse temperature, at least 0.

    Raises:
        ValueError: alpha is negative or not finite.
    """
    if not 0 <= alpha < np.inf:
        raise ValueError(f"alpha is {alpha}: choose a finite number >= 0")
    exponent = alpha * training_reward(mdp)
    top = exponent.max()
    return float(top + np.log(np.exp(exponent - top).sum()))


# book/theory/goal_transitions.md, section "The soft target"
def soft_goal_transitions(mdp: GoalMDP, alpha: float) -> ndarray:
    r"""Return $q_\alpha \propto e^{\alpha r(s, a, g)}$.

    Args:
        mdp: the world.
        alpha: inverse temperature, at least 0.

    Returns:
        Shape (S, A, G), positive, sum 1.

    Raises:
        ValueError: alpha is negative or not finite.

    Source: Proposition 1 of Sikchi et al. (2024).
    """
    shift = log_partition(mdp, alpha)
    return np.exp(alpha * training_reward(mdp) - shift)


# book/theory/goal_transitions.md, section "Proposition 1"
def entropy(d: ndarray) -> float:
    r"""Return $-\sum_x d(x) \log d(x)$ in nats, with 0 log 0 = 0."""
    positive = d[d > 0]
    return float(-(positive * np.log(positive)).sum())


def entropy_return(mdp: GoalMDP, policy: ndarray, alpha: float) -> float:
    r"""Return $\mathbb{E}_{d^\pi}[r] + H(d^\pi)/\alpha$.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        alpha: inverse temperature, above 0.

    Source: left side of Eq. 4 of Sikchi et al. (2024), times 1 - gamma
        in its first term.
    """
    d = occupancy(mdp, policy)
    reward = (d * training_reward(mdp)).sum()
    return float(reward) + entropy(d) / alpha
