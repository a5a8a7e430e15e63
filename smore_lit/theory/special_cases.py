# Generated from book/theory/special_cases.md by make sync. Edit the chapter, not this file.
"""Chi-square and KL duals: put two divergences into one theorem.

From the general dual to the losses the paper prints, one line at a time, and
which of those lines do not follow.
"""

__all__ = ["start_score", "linear_part", "pearson_game", "kl_game"]


# book/theory/special_cases.md, section "Chi-square and KL duals: put two divergences into one theorem"
import numpy as np
from numpy import ndarray

from smore_lit.theory.duality import bellman_difference
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import GoalMDP


# book/theory/special_cases.md, section "The game, once more"
def start_score(mdp: GoalMDP, policy: ndarray, score: ndarray) -> float:
    r"""Return $\mathbb{E}_{d_0,\pi}[S]$, goals from the goal law.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        score: shape (S, A, G).
    """
    value = np.einsum("sga,sag->sg", policy, score)
    return float(mdp.start @ value @ mdp.goal_law)


def linear_part(
    mdp: GoalMDP, policy: ndarray, rho: ndarray, beta: float, score: ndarray
) -> float:
    r"""Return $\ell(S)$, the part of Theorem 1 that no divergence touches.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        rho: the data, shape (S, A, G).
        beta: share of the policy in the mixture.
        score: shape (S, A, G).

    Source: first and last term of Eq. 7 of Sikchi et al. (2024).
    """
    y = bellman_difference(mdp, policy, score)
    start = (1 - mdp.gamma) * start_score(mdp, policy, score)
    return beta * start - (1 - beta) * float((rho * y).sum())


# book/theory/special_cases.md, section "Pearson: every line holds but one"
def pearson_game(
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    coefficient: float = 0.25,
) -> float:
    """Return Eq. 8 with a free coefficient of its square.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        rho: the data, shape (S, A, G).
        q: the goal transitions, shape (S, A, G).
        beta: share of q in the mixture.
        score: shape (S, A, G).
        coefficient: 0.25 in Eq. 8, 1 in Eq. 10.

    Source: Eqs. 8 and 71 of Sikchi et al. (2024).
    """
    y = bellman_difference(mdp, policy, score)
    mixture = mix(beta, q, rho)
    start = (1 - mdp.gamma) * start_score(mdp, policy, score)
    pull = beta * (start + float((q * y).sum()))
    return pull + coefficient * float((mixture * y**2).sum())


# book/theory/special_cases.md, section "KL: one exponent too many"
def kl_game(
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    form: str = "conjugate",
) -> float:
    r"""Return the KL game in one of its three forms.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        rho: the data, shape (S, A, G).
        q: the goal transitions, shape (S, A, G).
        beta: share of q in the mixture.
        score: shape (S, A, G).
        form: "conjugate" for $e^{y-1}$, "printed" for Eq. 65's $e^y$,
            "contrastive" for the logarithm of the mean of $e^y$.

    Raises:
        ValueError: an unknown form.

    Source: Eq. 65 of Sikchi et al. (2024), its exponent corrected.
    """
    y = bellman_difference(mdp, policy, score)
    mixture = mix(beta, q, rho)
    linear = linear_part(mdp, policy, rho, beta, score)
    if form == "contrastive":
        top = y.max()
        return linear + top + float(np.log((mixture * np.exp(y - top)).sum()))
    if form not in ("conjugate", "printed"):
        raise ValueError(
            f"form is {form!r}: use conjugate, printed or contrastive"
        )
    less = 1.0 if form == "conjugate" else 0.0
    return linear + float((mixture * np.exp(y - less)).sum())
