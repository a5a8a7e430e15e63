# Generated from book/theory/duality.md by make sync. Edit the chapter, not this file.
"""Duality and Theorem 1: trade the occupancy for a score.

Theorem 1: what its solution means, every line of its proof, and why the inner
problem is easier than it looks.
"""

__all__ = [
    "matching_value",
    "bellman_difference",
    "bellman_matrix",
    "solve_score",
    "dual_objective",
    "BETAS",
    "GAMMAS",
    "Problem",
    "random_problem",
    "exact_score",
    "recover_occupancy",
    "dual_gradient",
    "DualSolution",
    "solve_dual",
    "best_response",
    "GameSolution",
    "shortfall",
    "solve_game",
]


# book/theory/duality.md, section "Duality and Theorem 1: trade the occupancy for a score"
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray
from scipy.optimize import linprog

from smore_lit.theory.divergences import FDivergence
from smore_lit.theory.goal_transitions import (
    hard_goal_transitions,
    soft_goal_transitions,
)
from smore_lit.theory.mixtures import mix, mixture_divergence, unmix
from smore_lit.theory.occupancies import (
    GoalMDP,
    backup,
    best_policy,
    check_joint,
    flow_residual,
    occupancy,
    random_mdp,
    random_policy,
)


# book/theory/duality.md, section "The problem"
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


# book/theory/duality.md, section "The theorem"
def bellman_difference(
    mdp: GoalMDP, policy: ndarray, score: ndarray
) -> ndarray:
    r"""Return $y = \gamma \mathcal{P}^\pi S - S$, shape (S, A, G)."""
    return mdp.gamma * backup(mdp, policy, score) - score


# book/theory/duality.md, section "The theorem"
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


# book/theory/duality.md, section "The theorem"
def _conjugate_over(divergence: FDivergence, over: str) -> Callable:
    """Return the conjugate over `nonnegative` ratios or the `reals`."""
    names = {
        "nonnegative": divergence.nonnegative_conjugate,
        "reals": divergence.conjugate,
    }
    if over not in names:
        raise ValueError(f"over is {over!r}: choose one of {list(names)}")
    return names[over]


def _conjugate(
    divergence: FDivergence, y: ndarray, over: str
) -> tuple[ndarray, ndarray, ndarray]:
    """Return a conjugate at y with its first and second derivative."""
    at = torch.as_tensor(y, dtype=torch.float64).requires_grad_()
    value = _conjugate_over(divergence, over)(at)
    finite = torch.where(value.isfinite(), value, 0.0).sum()
    (slope,) = torch.autograd.grad(finite, at, create_graph=True)
    bend = torch.zeros_like(at)
    if slope.requires_grad:
        (bend,) = torch.autograd.grad(slope.sum(), at, allow_unused=True)
        bend = torch.zeros_like(at) if bend is None else bend
    return value.detach().numpy(), slope.detach().numpy(), bend.numpy()


# book/theory/duality.md, section "The theorem"
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
        The value, infinite where y leaves the domain of the conjugate, or
        exceeds f'(inf) where neither q nor rho has mass.

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


# book/theory/duality.md, section "Where the dual comes from: seven lines"
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


# book/theory/duality.md, section "Proof: nothing is lost"
def exact_score(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
) -> ndarray:
    r"""Return a score that minimises the dual, by one linear solve.

    It is the action value of the reward $-f'(w^\pi)$. Where neither q nor
    rho has mass, $y = f'(\infty)$ if the policy goes there and 0 if not.

    Raises:
        ValueError: no minimiser exists, because f' is infinite somewhere.

    Source: Theorem 1 of Sikchi et al. (2024), stationarity.
    """
    target = mix(beta, occupancy(mdp, policy), rho)
    mixture = mix(beta, q, rho)
    ratio = np.where(mixture > 0, target, 1) / np.where(
        mixture > 0, mixture, 1
    )
    y = divergence.derivative(torch.as_tensor(ratio)).numpy()
    beyond = np.where(target > 0, divergence.domain[1], 0.0)
    y = np.where(mixture > 0, y, beyond)
    if not np.isfinite(y).all():
        raise ValueError(
            "the dual has no minimiser: f' is infinite where the policy or"
            " the mixture of q never goes; use a policy and q without zeros"
        )
    return solve_score(mdp, policy, y)


# book/theory/duality.md, section "Find the best score from scratch"
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


# book/theory/duality.md, section "Find the best score from scratch"
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


# book/theory/duality.md, section "Find the best score from scratch"
@dataclass(frozen=True, eq=False)
class DualSolution:
    """Hold a minimiser of the dual of Theorem 1."""

    value: float  # of the dual at the score
    score: ndarray  # S, (S, A, G)
    occupancy: ndarray  # recovered from the score, (S, A, G)
    gap: float  # (dual - primal) / max(|primal|, 1e-6)
    steps: int  # of Newton; 0 for a linear program


def _pull(mdp: GoalMDP, policy: ndarray, rho: ndarray, beta: float) -> ndarray:
    """Return what the linear part of the dual takes off per y, (S, A, G)."""
    start = mdp.start[:, None, None] * policy.transpose(0, 2, 1)
    first = beta * (1 - mdp.gamma) * start * mdp.goal_law
    columns = first.reshape(-1, mdp.goals).T[..., None]
    matrix = bellman_matrix(mdp, policy).transpose(0, 2, 1)
    pull = -np.linalg.solve(matrix, columns)[..., 0].T.reshape(rho.shape)
    return np.maximum(pull, 0) + (1 - beta) * rho


def _score_inside(
    mdp: GoalMDP, policy: ndarray, y: ndarray, low: float, high: float
) -> ndarray:
    """Return the score of y, pulled in where rounding leaves the domain."""
    wanted, spare = y, np.finfo(float).eps
    while spare < 1e-3:
        score = solve_score(mdp, policy, wanted)
        miss = wanted - bellman_difference(mdp, policy, score)
        score = score + solve_score(mdp, policy, miss)
        found = bellman_difference(mdp, policy, score)
        if ((low <= found) & (found <= high)).all():
            return score
        wanted = np.where(found > high, np.minimum(y, high - spare), wanted)
        wanted = np.where(found < low, np.maximum(y, low + spare), wanted)
        spare *= 2
    raise ValueError("rounding keeps the score out of the conjugate's domain")


# book/theory/duality.md, section "Find the best score from scratch"
def _halve(entries: Callable, y: ndarray, step: ndarray, drop: ndarray):
    """Return y moved along its steps, each halved until it descends."""
    before, size = entries(y), np.ones_like(y)
    noise = 1e-15 * (1 + np.abs(before))
    for _ in range(2000):
        moved = y + size * step
        high = ~(entries(moved) <= before - 0.25 * size * drop + noise)
        high &= moved != y
        if not high.any():
            return moved
        size = np.where(high, size / 2, size)
    raise ValueError("no step lowers the dual: its conjugate is not convex")


def _minimise(problem: tuple, over: str, limit: int) -> tuple[ndarray, int]:
    """Return the y that Newton's method finds from 0, and its steps."""
    divergence, mdp, policy, rho, q, beta = problem
    mixture, pull = mix(beta, q, rho), _pull(mdp, policy, rho, beta)
    on, y = mixture > 0, np.zeros_like(mixture)

    conjugate = _conjugate_over(divergence, over)

    def entries(y: ndarray) -> ndarray:
        value = np.where(on, conjugate(torch.as_tensor(y)).numpy(), 0)
        return mixture * value - on * pull * y

    for count in range(1, limit + 1):
        _, slope, bend = _conjugate(divergence, y, over)
        slope, bend = np.where(on, mixture * slope - pull, 0), mixture * bend
        step = np.where(bend > 0, -slope / np.where(bend > 0, bend, 1), 0)
        drop, value = -slope * step, entries(y).sum()
        moved = _halve(entries, y, step, drop)
        left = drop[moved != y].sum()
        if left <= 1e-12 * abs(value) + 1e-16:
            return moved, count
        y = moved
    raise ValueError(
        f"Newton's method on the dual of {divergence.name} has not converged"
        f" after {limit} steps: it could still fall by {left:.1e}"
    )


# book/theory/duality.md, section "Find the best score from scratch"
def _minimise_tv(problem: tuple) -> tuple[ndarray, ndarray]:
    """Return y and occupancy of the linear program of total variation."""
    _, mdp, policy, rho, q, beta = problem
    mixture, pull = mix(beta, q, rho), _pull(mdp, policy, rho, beta)
    cost = (mixture - pull).ravel()
    found = linprog(cost, bounds=(-0.5, 0.5), method="highs")
    if found.status:
        raise ValueError(f"the linear program failed: {found.message}")
    force = found.lower.marginals + found.upper.marginals
    shape = mixture.shape
    claimed = mixture - force.reshape(shape)
    return found.x.reshape(shape), unmix(beta, claimed, rho)


# book/theory/duality.md, section "Find the best score from scratch"
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
        ValueError: the policy goes where neither q nor rho has mass, or
            the minimiser is not found.

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
        (y, found), steps = _minimise_tv(problem), 0
        score = _score_inside(mdp, policy, y, -0.5, 0.5)
    else:
        y, steps = _minimise(problem, over, limit)
        edge = divergence.domain[1]
        score = _score_inside(mdp, policy, y, -math.inf, edge)
        found = recover_occupancy(*problem, score, over)
    value = dual_objective(*problem, score, over)
    gap = (value - primal) / max(abs(primal), 1e-6)
    return DualSolution(value, score, found, gap, steps)


# book/theory/duality.md, section "The best policy"
def best_response(mdp: GoalMDP, reward: ndarray) -> tuple[float, ndarray]:
    """Return the largest mean reward of an occupancy, and a policy for it.

    Args:
        mdp: the world.
        reward: shape (S, A, G).

    Returns:
        The largest sum of occupancy times reward over all policies, and
        a deterministic policy (S, G, A) that has it.
    """
    check_joint(mdp, reward, "reward")
    policy = best_policy(mdp, reward)
    return float((occupancy(mdp, policy) * reward).sum()), policy


# book/theory/duality.md, section "The best policy"
@dataclass(frozen=True, eq=False)
class GameSolution:
    """Hold a policy, its score, and how far it can be from the best."""

    value: float  # minus the divergence of the policy
    policy: ndarray  # (S, G, A)
    score: ndarray  # S, (S, A, G), minimises the dual of that policy
    occupancy: ndarray  # (S, A, G)
    gap: float  # no policy's value is higher than value + gap
    steps: int


def shortfall(
    divergence: FDivergence,
    mdp: GoalMDP,
    policy: ndarray,
    rho: ndarray,
    q: ndarray,
    beta: float,
) -> tuple[float, ndarray]:
    r"""Return a bound on what a better policy could gain, and the score.

    The bound is beta times the regret in the implicit reward $-f'(w)$.
    """
    score = exact_score(divergence, mdp, policy, rho, q, beta)
    reward = -bellman_difference(mdp, policy, score)
    best, _ = best_response(mdp, reward)
    earned = (occupancy(mdp, policy) * reward).sum()
    return beta * max(float(best - earned), 0.0), score


# book/theory/duality.md, section "The best policy"
def _climb(problem: tuple, score: ndarray, rate: float) -> tuple:
    """Return the policy moved along its score, its value and the rate."""
    divergence, mdp, policy, rho, q, beta = problem
    lift = score.transpose(0, 2, 1)
    lift = lift - lift.max(axis=-1, keepdims=True)
    value = matching_value(*problem)
    while rate > 1e-12:
        moved = policy * np.exp(rate * lift)
        moved = moved / moved.sum(axis=-1, keepdims=True)
        trial = matching_value(divergence, mdp, moved, rho, q, beta)
        if trial >= value:
            return moved, trial, 1.5 * rate
        rate /= 2
    return policy, value, rate


def solve_game(
    divergence: FDivergence,
    mdp: GoalMDP,
    rho: ndarray,
    q: ndarray,
    beta: float,
    tolerance: float = 1e-6,
    limit: int = 1000,
) -> GameSolution:
    r"""Maximise over policies the minimum of the dual over scores.

    Args:
        divergence: f, any but total variation.
        mdp: the world.
        rho, q: data and goal transitions, (S, A, G), whose mixture is
            positive.
        beta: mixture share, in (0, 1].
        tolerance: stop once the bound on the gain is below this.
        limit: most steps $\pi \leftarrow \pi e^{\eta S}$.

    Returns:
        The last policy, its score, and the bound.

    Raises:
        ValueError: the divergence has a kink, or there is no minimiser.

    Source: Theorem 1 of Sikchi et al. (2024).
    """
    if divergence.name == "tv":
        raise ValueError("total variation has kinks: choose another one")
    shape, rate = (mdp.states, mdp.goals, mdp.actions), 1.0
    policy = np.full(shape, 1 / mdp.actions)
    for step in range(limit + 1):
        problem = divergence, mdp, policy, rho, q, beta
        gap, score = shortfall(*problem)
        if gap <= tolerance or step == limit:
            break
        policy, _, rate = _climb(problem, score, rate)
    value, d = matching_value(*problem), occupancy(mdp, policy)
    return GameSolution(value, policy, score, d, gap, step)
