# Generated from book/theory/duality.md by make sync. Edit the chapter, not this file.
"""Trade the occupancy for a score.

Theorem 1, line by line.
"""

__all__ = [
    "BETAS",
    "GAMMAS",
    "Problem",
    "random_problem",
    "matching_value",
    "bellman_difference",
    "bellman_matrix",
    "solve_score",
    "dual_objective",
    "recover_occupancy",
    "dual_gradient",
    "DualSolution",
    "solve_dual",
]


# book/theory/duality.md, section "Trade the occupancy for a score"
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray
from scipy.optimize import linprog
from scipy.sparse import block_diag, vstack

from smore_lit.theory.divergences import FDivergence
from smore_lit.theory.goal_transitions import (
    hard_goal_transitions,
    soft_goal_transitions,
)
from smore_lit.theory.mixtures import mix, mixture_divergence, unmix
from smore_lit.theory.occupancies import (
    GoalMDP,
    backup,
    check_joint,
    flow_residual,
    occupancy,
    random_mdp,
    random_policy,
)


# book/theory/duality.md, section "Trade the occupancy for a score"
BETAS = (0.3, 0.5, 0.9, 1.0)
GAMMAS = (0.5, 0.9, 0.99)


@dataclass(frozen=True, eq=False)
class Problem:
    """Hold a matching problem and a policy to evaluate in it."""

    mdp: GoalMDP
    policy: ndarray  # (S, G, A)
    rho: ndarray  # (S, A, G), positive
    q: ndarray  # (S, A, G)
    beta: float


def random_problem(rng: np.random.Generator) -> Problem:
    """Draw a problem of at most 8 states, 4 actions and 3 goals.

    Half of the worlds are deterministic and half of the data peaked; q is
    hard in half of the problems with beta < 1 and soft in all others, so
    that the mixture of q is positive everywhere.
    """
    states, actions = int(rng.integers(2, 9)), int(rng.integers(2, 5))
    goals = int(rng.integers(1, min(3, states) + 1))
    beta, gamma = float(rng.choice(BETAS)), float(rng.choice(GAMMAS))
    deterministic, peaked, hard = rng.random(3) < 0.5
    mdp = random_mdp(rng, states, actions, goals, gamma, deterministic)
    policy = random_policy(rng, mdp)
    size = states * actions * goals
    rho = rng.dirichlet(np.full(size, 0.1 if peaked else 2.0))
    rho = (0.98 * rho + 0.02 / size).reshape(states, actions, goals)
    q = soft_goal_transitions(mdp, float(rng.choice([1.0, 3.0])))
    if hard and beta < 1:
        q = hard_goal_transitions(mdp)
    return Problem(mdp, policy, rho, q, beta)


# book/theory/duality.md, section "Trade the occupancy for a score"
def matching_value(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
) -> float:
    r"""Return $-D_f(\mathrm{Mix}_\beta(d^\pi,\rho)\|
    \mathrm{Mix}_\beta(q,\rho))$.

    Args:
        divergence: f.
        mdp: the world.
        policy: shape (S, G, A).
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].

    Source: Eq. 6 of Sikchi et al. (2024), its constraints solved.
    """
    d = occupancy(mdp, policy)
    return -mixture_divergence(divergence, beta, d, q, rho)


# book/theory/duality.md, section "Trade the occupancy for a score"
def bellman_difference(
    mdp: GoalMDP, policy: ndarray, score: ndarray
) -> ndarray:
    r"""Return $y = \gamma \mathcal{P}^\pi S - S$, shape (S, A, G)."""
    return mdp.gamma * backup(mdp, policy, score) - score


def bellman_matrix(mdp: GoalMDP, policy: ndarray) -> ndarray:
    r"""Return the matrix of $S \mapsto y$ per goal, (G, SA, SA)."""
    step = np.einsum("sat,tgb->gsatb", mdp.transitions, policy)
    size = mdp.states * mdp.actions
    step = step.reshape(mdp.goals, size, size)
    return mdp.gamma * step - np.eye(size)


def solve_score(mdp: GoalMDP, policy: ndarray, y: ndarray) -> ndarray:
    r"""Return the one score S with $\gamma \mathcal{P}^\pi S - S = y$."""
    check_joint(mdp, y, "y")
    columns = y.reshape(-1, mdp.goals).T[..., None]
    score = np.linalg.solve(bellman_matrix(mdp, policy), columns)
    return score[..., 0].T.reshape(y.shape)


# book/theory/duality.md, section "Trade the occupancy for a score"
def _conjugate(
    divergence: FDivergence, y: ndarray, over: str
) -> tuple[ndarray, ndarray, ndarray]:
    """Return a conjugate at y with its first and second derivative."""
    names = {
        "nonnegative": divergence.nonnegative_conjugate,
        "reals": divergence.conjugate,
    }
    if over not in names:
        raise ValueError(f"over is {over!r}: choose one of {list(names)}")
    y = torch.as_tensor(y, dtype=torch.float64).requires_grad_()
    value = names[over](y)
    finite = torch.where(value.isfinite(), value, 0.0).sum()
    (slope,) = torch.autograd.grad(finite, y, create_graph=True)
    bend = torch.zeros_like(y)
    if slope.requires_grad:
        (bend,) = torch.autograd.grad(slope.sum(), y, allow_unused=True)
        bend = torch.zeros_like(y) if bend is None else bend
    return value.detach().numpy(), slope.detach().numpy(), bend.numpy()


def dual_objective(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    over: str = "nonnegative",
) -> float:
    """Compute the dual of Theorem 1 at a score.

    Args:
        divergence: f.
        mdp: the world.
        policy: shape (S, G, A).
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].
        score: S, shape (S, A, G).
        over: take the conjugate over `nonnegative` ratios or the `reals`.

    Returns:
        The value, infinite where y leaves the domain of the conjugate.

    Source: Eq. 7 of Sikchi et al. (2024).
    """
    y = bellman_difference(mdp, policy, score)
    conjugate = _conjugate(divergence, y, over)[0]
    mixture = mix(beta, q, rho)
    allowed = (mixture > 0) | (y <= divergence.domain[1])
    safe = np.where(mixture > 0, conjugate, 0)
    start = mdp.start[:, None] * mdp.goal_law
    first = beta * (1 - mdp.gamma) * np.einsum(
        "sg,sga,sag->", start, policy, score
    )
    total = first + (mixture * safe).sum() - (1 - beta) * (rho * y).sum()
    return float(total) if allowed.all() else math.inf


# book/theory/duality.md, section "Trade the occupancy for a score"
def recover_occupancy(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    over: str = "nonnegative",
) -> ndarray:
    r"""Return the occupancy that a score claims, (S, A, G).

    The ratio of the mixtures is $(f^*)'(y)$; unmixing gives d, which is
    an occupancy exactly where the dual is stationary.
    """
    y = bellman_difference(mdp, policy, score)
    ratio = _conjugate(divergence, y, over)[1]
    return unmix(beta, mix(beta, q, rho) * ratio, rho)


def dual_gradient(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    over: str = "nonnegative",
) -> ndarray:
    r"""Return the gradient of the dual in the score, (S, A, G).

    It is $-\beta$ times the flow residual of the claimed occupancy.
    """
    d = recover_occupancy(
        divergence, mdp, policy, rho, q, beta, score, over
    )
    return -beta * flow_residual(mdp, policy, d)


# book/theory/duality.md, section "Trade the occupancy for a score"
@dataclass(frozen=True, eq=False)
class DualSolution:
    """Hold a minimiser of the dual of Theorem 1."""

    value: float  # of the dual at the score
    score: ndarray  # S, (S, A, G)
    occupancy: ndarray  # recovered from the score, (S, A, G)
    gap: float  # (dual - primal) / |primal|
    steps: int  # of Newton; 0 for a linear program


def _newton_step(
    matrix: ndarray, gradient: ndarray, weight: ndarray
) -> ndarray:
    r"""Return $-(A^\top W A)^{-1} g$ for square A, (S, A, G)."""
    g, w = (
        t.reshape(-1, t.shape[-1]).T[..., None] for t in (gradient, weight)
    )
    force = np.linalg.solve(matrix.transpose(0, 2, 1), g)
    force = np.where(w > 0, force / np.where(w > 0, w, 1), 0)
    step = -np.linalg.solve(matrix, force)
    return step[..., 0].T.reshape(gradient.shape)


def _minimise(problem: tuple, over: str, limit: int) -> tuple[ndarray, int]:
    """Return the score that Newton's method finds from 0, and its steps."""
    divergence, mdp, policy, rho, q, beta = problem
    matrix, mixture = bellman_matrix(mdp, policy), mix(beta, q, rho)
    score = np.zeros_like(mixture)
    value = dual_objective(*problem, score, over)
    for count in range(limit):
        y = bellman_difference(mdp, policy, score)
        bend = mixture * _conjugate(divergence, y, over)[2]
        gradient = dual_gradient(*problem, score, over)
        step = _newton_step(matrix, gradient, bend)
        drop, size = -(gradient * step).sum(), 1.0
        if drop <= 1e-12 * abs(value):
            last = dual_objective(*problem, score + step, over)
            return score + step * (last < math.inf), count + 1
        while size > 1e-12:
            trial = dual_objective(*problem, score + size * step, over)
            if trial <= value - 0.25 * size * drop:
                break
            size /= 2
        score, value = score + size * step, trial
    return score, limit


# book/theory/duality.md, section "Trade the occupancy for a score"
def _minimise_tv(problem: tuple) -> tuple[ndarray, ndarray]:
    """Return score and occupancy of the linear program of total variation."""
    _, mdp, policy, rho, q, beta = problem
    matrix = block_diag(bellman_matrix(mdp, policy), format="csr")
    columns = lambda t: t.transpose(2, 0, 1).ravel()  # noqa: E731
    start = mdp.start[:, None, None] * policy.transpose(0, 2, 1)
    start = columns(start * mdp.goal_law)
    mixture = mix(beta, q, rho)
    slope = matrix.T @ columns(mixture - (1 - beta) * rho)
    found = linprog(
        slope + beta * (1 - mdp.gamma) * start,
        A_ub=vstack([matrix, -matrix]),
        b_ub=np.full(2 * mixture.size, 0.5),
        bounds=(None, None),
        method="highs",
    )
    if found.status:
        raise ValueError(f"the linear program failed: {found.message}")
    shape = mdp.goals, mdp.states, mdp.actions
    high, low = -found.ineqlin.marginals.reshape(2, *shape)
    force = (high - low).transpose(1, 2, 0)
    score = found.x.reshape(shape).transpose(1, 2, 0)
    edge = np.abs(bellman_difference(mdp, policy, score)).max()
    score = score * min(1.0, 0.5 / edge * (1 - 1e-15))
    return score, unmix(beta, mixture + force, rho)


# book/theory/duality.md, section "Trade the occupancy for a score"
def solve_dual(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
    over: str = "nonnegative",
    limit: int = 500,
) -> DualSolution:
    """Minimise the dual of Theorem 1 over all scores.

    Args:
        divergence: f; total variation is solved as a linear program.
        mdp: the world.
        policy: shape (S, G, A).
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].
        over: take the conjugate over `nonnegative` ratios or the `reals`.
        limit: most steps of Newton's method.

    Returns:
        Score, value, recovered occupancy and relative primal-dual gap.

    Raises:
        ValueError: the policy goes where neither q nor rho has mass.

    Source: Eq. 7 of Sikchi et al. (2024).
    """
    problem = divergence, mdp, policy, rho, q, beta
    visited = mix(beta, occupancy(mdp, policy), rho) > 0
    if (visited & (mix(beta, q, rho) == 0)).any():
        raise ValueError(
            "the policy goes where neither q nor rho has mass and the dual"
            " is unbounded: use a soft q, or beta < 1 and data that cover it"
        )
    primal = matching_value(*problem)
    if divergence.name == "tv":
        (score, found), steps = _minimise_tv(problem), 0
    else:
        score, steps = _minimise(problem, over, limit)
        found = recover_occupancy(*problem, score, over)
    value = dual_objective(*problem, score, over)
    gap = (value - primal) / max(abs(primal), 1e-12)
    return DualSolution(value, score, found, gap, steps)
