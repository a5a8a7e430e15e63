# Generated from book/theory/scores.md by make sync. Edit the chapter, not this file.
"""Scores: look at what a score learns.

The score hides a reward: how likely a transition is to be a goal transition.
Trained on that, a policy can reach goals better than the exact match does.
"""

__all__ = ["hidden_reward", "in_sample_score", "hindsight"]


# book/theory/scores.md, section "Scores: look at what a score learns"
from collections.abc import Sequence

import numpy as np
import torch
from numpy import ndarray

from smore_lit.theory.divergences import FDivergence
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import GoalMDP, check_law, goal_reward


# book/theory/scores.md, section "One reward, three guesses"
def hidden_reward(
    divergence: FDivergence,
    beta: float,
    q: ndarray,
    rho: ndarray,
    occupancy: ndarray | float = 0.0,
) -> ndarray:
    r"""Return $-f'(\mathrm{Mix}_\beta(\hat d,\rho)
    / \mathrm{Mix}_\beta(q,\rho))$.

    Args:
        divergence: f.
        beta: share of q, in (0, 1].
        q, rho: goal transitions and data, of one shape.
        occupancy: the guess of the policy's occupancy; 0 in-sample.

    Returns:
        As q; infinite where the mixture of the guess is 0 and f is
        steep there, 0 where neither q nor rho has mass.

    Raises:
        ValueError: beta out of range or unequal shapes.

    Source: pointwise minimiser of Eq. 7 of Sikchi et al. (2024).
    """
    below = mix(beta, q, rho)
    guess = np.broadcast_to(occupancy, below.shape)
    seen = below > 0
    ratio = mix(beta, guess, rho) / np.where(seen, below, 1.0)
    slope = divergence.derivative(torch.as_tensor(ratio)).numpy()
    return np.where(seen, -slope, 0.0)


# book/theory/scores.md, section "From reward to score"
def in_sample_score(
    mdp: GoalMDP,
    reward: ndarray,
    policy: ndarray,
    tau: float,
    tolerance: float = 1e-10,
) -> tuple[ndarray, ndarray]:
    r"""Return S and M with $S = \hat r + \gamma\,\mathbb{E}[M(s', g)]$.

    M(s, g) is the expectile of S(s, a, g) over a of `policy`.

    Args:
        mdp: the world.
        reward: shape (S, A, G), finite.
        policy: the data's actions, shape (S, G, A).
        tau: lean of the expectile, in (0, 1).
        tolerance: largest change of M that counts as none.

    Returns:
        S, shape (S, A, G), and M, shape (S, G).

    Raises:
        ValueError: tau out of range, a reward that is not finite, or a
            score that does not settle.

    Source: fixed point of Eqs. 9 and 10 of Sikchi et al. (2024), in-sample.
    """
    if not 0 < tau < 1:
        raise ValueError(f"tau is {tau}: choose 0 < tau < 1")
    if not np.isfinite(reward).all():
        raise ValueError("reward is not finite: choose a bounded divergence")
    chance = policy.transpose(0, 2, 1)
    value, one = np.zeros((mdp.states, mdp.goals)), np.eye(mdp.states)
    for _ in range(100):  # Newton: the expectile is linear between its kinks
        ahead = np.einsum("sat,tg->sag", mdp.transitions, value)
        score, last = reward + mdp.gamma * ahead, value
        lean = chance * np.abs(tau - (score < value[:, None]))
        lean = lean / lean.sum(axis=1, keepdims=True)
        chain = np.einsum("sag,sat->gst", lean, mdp.transitions)
        earned = (lean * reward).sum(axis=1).T[..., None]
        value = np.linalg.solve(one - mdp.gamma * chain, earned)[..., 0].T
        change = np.abs(value - last).max()
        if change <= tolerance * max(1.0, np.abs(value).max()):
            ahead = np.einsum("sat,tg->sag", mdp.transitions, value)
            return reward + mdp.gamma * ahead, value
    raise ValueError(
        f"the score still changes by {change:.1e} after 100 steps"
    )


# book/theory/scores.md, section "The best policy pays for its stays"
def hindsight(
    mdp: GoalMDP,
    horizon: int,
    behaviours: Sequence[tuple[float, ndarray]],
) -> tuple[ndarray, ndarray]:
    r"""Count rho and q of episodes that are relabelled in hindsight.

    A transition t, uniform in an episode, gets the goal that s_f achieves,
    f uniform in t+1..T; q holds the transition that enters s_f.

    Args:
        mdp: the world; its goal law is not used.
        horizon: T, transitions per episode, at least 1.
        behaviours: pairs of a share and a law of actions (S, A).

    Returns:
        rho and q, shapes (S, A, G).

    Raises:
        ValueError: no transition per episode, or a law that is none.

    Source: Section 3.2 of Sikchi et al. (2024).
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}: choose at least 1")
    shares = np.array([share for share, _ in behaviours])
    check_law("shares", shares, shares.shape)
    rho, q = np.zeros((2, mdp.states, mdp.actions, mdp.goals))
    counts = np.arange(1, horizon + 1)
    chosen = np.cumsum(1 / counts[::-1]) / horizon  # chance of f = t + 1
    for share, act in behaviours:
        check_law("behaviour", act, (mdp.states, mdp.actions))
        chain = np.einsum("sa,sat->st", act, mdp.transitions)
        ahead = [np.eye(mdp.goals)[np.asarray(mdp.phi)]]
        for _ in range(horizon - 1):
            ahead.append(chain @ ahead[-1])
        future = np.cumsum(ahead, axis=0) / counts[:, None, None]
        law = np.asarray(mdp.start)
        for t in range(horizon):
            pairs = (share * law[:, None] * act)[..., None]
            rho += pairs * (mdp.transitions @ future[-1 - t]) / horizon
            q += chosen[t] * pairs * goal_reward(mdp)
            law = law @ chain
    return rho, q
