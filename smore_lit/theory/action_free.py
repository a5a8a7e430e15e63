# Generated from book/theory/action_free.md by make sync. Edit the chapter, not this file.
"""Action-free dual and Theorem 2: drop the policy, keep the sign.

A dual without actions finds the best policy by itself, provided that the
occupancy behind it stays non-negative.
"""

__all__ = [
    "state_difference",
    "clamped_ratio",
    "clamped_conjugate",
    "action_free_objective",
    "reachable_support",
    "CURVATURES",
    "TIGHT",
    "flow_matrix",
    "Matching",
    "solve_matching",
    "STIFFNESS",
    "ActionFreeSolution",
    "solve_action_free",
]


# book/theory/action_free.md, section "Action-free dual and Theorem 2: drop the policy, keep the sign"
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray
from scipy.optimize import linprog
from scipy.sparse import block_diag, diags, eye, hstack, vstack

from smore_lit.theory.divergences import FDivergence
from smore_lit.theory.mixtures import (
    mix,
    mixture_divergence,
    ratio_floor,
    unmix,
)
from smore_lit.theory.occupancies import GoalMDP, occupancy, policy_of


# book/theory/action_free.md, section "The dual, one transition at a time"
def state_difference(mdp: GoalMDP, score: ndarray) -> ndarray:
    r"""Return $y = \gamma\,\mathbb{E}[S(s', g)] - S(s, g)$.

    Args:
        mdp: the world.
        score: S, shape (S, G).

    Returns:
        Shape (S, A, G).

    Raises:
        ValueError: a score of another shape.

    Source: Theorem 2 of Sikchi et al. (2024).
    """
    if np.shape(score) != (mdp.states, mdp.goals):
        raise ValueError(
            f"score has shape {np.shape(score)}:"
            f" make it {(mdp.states, mdp.goals)}"
        )
    ahead = np.einsum("sat,tg->sag", mdp.transitions, score)
    return mdp.gamma * ahead - score[:, None]


# book/theory/action_free.md, section "The ratio and its floor"
def _map(function: Callable, values: ndarray | torch.Tensor) -> ndarray:
    """Return a torch function of an array, as a float64 array."""
    given = torch.as_tensor(values, dtype=torch.float64)
    return function(given).detach().numpy()


# book/theory/action_free.md, section "The ratio and its floor"
def clamped_ratio(
    divergence: FDivergence, y: ndarray, floor: ndarray
) -> ndarray:
    r"""Return $\hat w$, the $w \ge$ `floor` at which $wy - f(w)$ is largest.

    Args:
        divergence: f.
        y: Bellman differences, any shape.
        floor: least ratio allowed, at least 0, shape of y.
    """
    return np.maximum(_map(divergence.ratio, y), floor)


# book/theory/action_free.md, section "The ratio and its floor"
def clamped_conjugate(
    divergence: FDivergence, y: ndarray, floor: ndarray
) -> ndarray:
    r"""Return $\sup_{w \ge \omega} \{wy - f(w)\}$ for $\omega$ = `floor`.

    Args:
        divergence: f.
        y: Bellman differences, any shape.
        floor: least ratio allowed, at least 0, shape of y.

    Returns:
        Shape of y; infinite where y is beyond every slope of f.
    """
    return _excess(divergence, y, floor, np.zeros_like(floor))


def _excess(
    divergence: FDivergence, y: ndarray, floor: ndarray, share: ndarray
) -> ndarray:
    """Return the clamped conjugate less `share` times y, free of y where
    both are equal and the clamp holds."""
    edge = (floor - share) * y - _map(divergence.generator, floor)
    inside = _map(divergence.ratio, y) > floor
    above = _map(divergence.nonnegative_conjugate, y) - share * y
    return np.where(inside, above, edge)


# book/theory/action_free.md, section "The dual"
def _floor(
    rho: ndarray,
    q: ndarray,
    beta: float,
    corrected: bool,
    floor: ndarray | None,
) -> ndarray:
    """Return the least ratio allowed, (S, A, G)."""
    if floor is not None:
        return np.broadcast_to(floor, np.shape(q)).astype(float)
    return ratio_floor(beta, q, rho) * corrected


def action_free_objective(
    divergence: FDivergence,
    mdp: GoalMDP,
    rho: ndarray,
    q: ndarray,
    beta: float,
    score: ndarray,
    corrected: bool = True,
    floor: ndarray | None = None,
) -> float:
    r"""Compute the action-free dual at a score.

    Args:
        divergence: f.
        mdp: the world.
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].
        score: S, shape (S, G).
        corrected: clamp the ratio at the share of the data in the mixture;
            otherwise at 0, as printed.
        floor: another least ratio, (S, A, G), in place of both.

    Returns:
        The value, infinite where y leaves the domain of the conjugate.

    Source: Theorem 2 of Sikchi et al. (2024), clamp corrected.
    """
    low = _floor(rho, q, beta, corrected, floor)
    m, y = mix(beta, q, rho), state_difference(mdp, score)
    if (y[m == 0] > divergence.domain[1]).any():
        return np.inf
    share = ratio_floor(beta, q, rho)
    excess = _excess(divergence, np.where(m > 0, y, 0), low, share)
    start = np.outer(mdp.start, mdp.goal_law)
    first = beta * (1 - mdp.gamma) * (start * score).sum()
    return float(first + (m * excess).sum())


# book/theory/action_free.md, section "The primal, by a barrier"
def reachable_support(mdp: GoalMDP, allowed: ndarray) -> ndarray:
    """Find the transitions that policies confined to `allowed` can visit.

    Args:
        mdp: the world.
        allowed: transitions a policy may use, booleans (S, A, G).

    Returns:
        Booleans (S, A, G).

    Raises:
        ValueError: some start cannot be kept inside.
    """
    allowed = np.array(allowed, dtype=bool)
    leads = (mdp.gamma * mdp.transitions > 0).astype(float)
    while True:
        dead = ~allowed.any(axis=1)
        risky = np.einsum("sat,tg->sag", leads, dead) > 0
        if not (allowed & risky).any():
            break
        allowed &= ~risky
    reached = np.outer(mdp.start, mdp.goal_law) > 0
    if (reached & dead).any():
        raise ValueError(
            "every policy leaves the support of q and rho and the divergence"
            " is infinite: use a soft q, or data that cover the starts"
        )
    while True:
        ahead = np.einsum("sat,sag->tg", leads, allowed & reached[:, None]) > 0
        if not (ahead & ~reached).any():
            return allowed & reached[:, None]
        reached |= ahead


# book/theory/action_free.md, section "The primal, by a barrier"
CURVATURES = {  # the second derivatives f''
    "chi2": lambda w: np.full_like(w, 2.0),
    "kl": lambda w: 1 / w,
    "hellinger": lambda w: 0.5 / (w * np.sqrt(w)),
    "js": lambda w: 1 / w - 1 / (1 + w),
}


def _cost(divergence: FDivergence, d: ndarray, parts: Sequence) -> tuple:
    """Return the divergence with its two derivatives per entry of d."""
    m, rho, beta = parts
    on, steep = m > 0, divergence.domain[1]
    safe = np.where(on, m, 1)
    w = np.where(on, (beta * d + (1 - beta) * rho) / safe, 1)
    value = m * _map(divergence.generator, w)
    slope = _map(divergence.derivative, w)
    bend = CURVATURES[divergence.name](w) / safe
    if not on.all():
        value, bend = np.where(on, value, beta * d * steep), bend * on
        slope = np.where(on, slope, steep)
    return value.sum(), beta * slope, beta**2 * bend


# book/theory/action_free.md, section "The primal, by a barrier"
def _solve_or_tell(matrix: ndarray, right: ndarray) -> ndarray:
    """Return the solution of a linear system, ValueError if there is none."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "the masses of q and rho lie too far apart for Newton's method:"
            f" {error}"
        ) from None


# book/theory/action_free.md, section "The primal, by a barrier"
def _barrier(
    divergence: FDivergence, d: ndarray, flow: ndarray, parts: Sequence
) -> ndarray:
    """Minimise the divergence over d > 0 with `flow @ d` kept."""
    rent, cost = 1e-2 / d, _cost(divergence, d, parts)
    system = np.block([[np.eye(len(d)), flow.T], [flow, 0 * flow @ flow.T]])
    for mu in 1e-2 / 5.0 ** np.arange(16):
        for _ in range(60):
            value, first, second = cost
            gradient, weight = first - mu / d, second + rent / d
            np.fill_diagonal(system[: len(d), : len(d)], weight)
            pull = np.concatenate([-gradient, np.zeros(len(flow))])
            step, price = np.split(_solve_or_tell(system, pull), [len(d)])
            turn = mu / d - rent - rent / d * step
            pace = min(1.0, 0.99 / max(-(turn / rent).min(), 1e-300))
            rent, drop = rent + pace * turn, weight @ step**2
            size = min(1.0, 0.99 / max(-(step / d).min(), 1e-300))
            value -= mu * np.log(d).sum()
            noise = 1e-15 * (1 + abs(value))
            while size > 1e-10:
                trial = d + size * step
                there = _cost(divergence, trial, parts)
                other = there[0] - mu * np.log(trial).sum()
                if other <= value - 0.1 * size * drop + noise:
                    break
                size /= 2
            else:
                break
            d, cost = trial, there
            if drop <= 1e-3 * mu:
                break
    value, first, _ = cost
    rent = first + flow.T @ price  # no d of this mass gains more than left
    left = rent @ d + max(0.0, -rent.min()) * d.sum()
    if not left <= 1e-6 * max(1.0, abs(value)):
        least = parts[0].min(initial=1.0, where=parts[0] > 0)
        raise ValueError(
            f"the barrier for {divergence.name} stopped {left:.0e} from the"
            f" optimum: the masses, {least:.0e} and up, lie too far apart"
        )
    return d


# book/theory/action_free.md, section "The primal, by a barrier"
TIGHT = {  # the defaults, 1e-7, grow by 1 / (1 - gamma)
    "presolve": False,
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


def flow_matrix(mdp: GoalMDP) -> ndarray:
    """Return the matrix of the map from S to y for one goal, (S, S A)."""
    size = mdp.states * mdp.actions
    ahead = mdp.gamma * mdp.transitions.reshape(size, mdp.states).T
    return ahead - np.repeat(np.eye(mdp.states), mdp.actions, axis=1)


def _columns(table: ndarray) -> ndarray:
    """Return a table (..., G) with one flat row per goal, (G, ...)."""
    return np.moveaxis(table, -1, 0).reshape(table.shape[-1], -1)


def _match_tv(mdp: GoalMDP, q: ndarray) -> ndarray:
    """Return an occupancy of least total variation from q, (S, A, G)."""
    flow = block_diag([-flow_matrix(mdp)] * mdp.goals, format="csr")
    one, target = eye(q.size), _columns(q).ravel()
    start = _columns((1 - mdp.gamma) * np.outer(mdp.start, mdp.goal_law))
    found = linprog(
        np.concatenate([np.zeros(q.size), np.ones(q.size)]),
        A_ub=vstack([hstack([one, -one]), hstack([-one, -one])]),
        b_ub=np.concatenate([target, -target]),
        A_eq=hstack([flow, 0 * flow]),
        b_eq=start.ravel(),
        method="highs",
        options=TIGHT,
    )
    if found.status:
        raise ValueError(f"the linear program failed: {found.message}")
    d = found.x[: q.size].reshape(mdp.goals, mdp.states, mdp.actions)
    return np.moveaxis(d, 0, -1)


# book/theory/action_free.md, section "The primal, by a barrier"
@dataclass(frozen=True, eq=False)
class Matching:
    """Hold the best policy of a matching problem."""

    value: float  # -D_f of the mixtures
    occupancy: ndarray  # d, (S, A, G)
    policy: ndarray  # (S, G, A)


def solve_matching(
    divergence: FDivergence,
    mdp: GoalMDP,
    rho: ndarray,
    q: ndarray,
    beta: float,
) -> Matching:
    r"""Maximise $-D_f$ of the mixtures over all policies, in the primal.

    Args:
        divergence: f.
        mdp: the world.
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].

    Returns:
        The best policy and its exact value.

    Raises:
        ValueError: every policy has infinite divergence, or the masses
            of q and rho lie too far apart for the barrier.

    Source: Eq. 51 of Sikchi et al. (2024).
    """
    m = mix(beta, q, rho)
    bounded = np.isfinite(divergence.domain[1])
    support = reachable_support(mdp, (m > 0) | bounded)
    d = occupancy(mdp, policy_of(support.astype(float))) * support
    if divergence.name == "tv":
        d = np.maximum(_match_tv(mdp, q), 0)
    else:
        matrix = flow_matrix(mdp)
        for g in range(mdp.goals):
            on = support[:, :, g].ravel()
            rows = support[:, :, g].any(axis=1)
            if not on.any():
                continue
            inner, base, data = (t[:, :, g].ravel()[on] for t in (d, m, rho))
            flow = matrix[rows][:, on]
            found = np.zeros(len(on))
            found[on] = _barrier(divergence, inner, flow, (base, data, beta))
            d[:, :, g] = found.reshape(mdp.states, mdp.actions)
    policy = policy_of(d)
    d = occupancy(mdp, policy)
    value = -mixture_divergence(divergence, beta, d, q, rho)
    return Matching(value, d, policy)


# book/theory/action_free.md, section "The dual, by Newton's method"
STIFFNESS = 10.0  # kappa: price of breaking y <= f'(inf) in a hole


def _terms(
    divergence: FDivergence,
    flow: ndarray,
    start: ndarray,
    parts: Sequence,
    holes: ndarray,
    mass: ndarray,
) -> Callable:
    """Return the dual of one goal, held back at holes, of scores (S,)."""
    m, data, floor = parts
    edge = divergence.domain[1]

    def terms(score: ndarray) -> tuple:
        y = score @ flow
        excess = _excess(divergence, y, floor, data / m)
        if not np.isfinite(excess).all():
            return np.inf, None, None, None
        w = clamped_ratio(divergence, y, floor)
        inside = w > floor
        push = np.maximum(mass + STIFFNESS * (score @ holes - edge), 0)
        bend = CURVATURES[divergence.name](np.where(inside, w, 1.0))
        curve = np.where(inside, m / bend, 0.0)
        value = start @ score + m @ excess
        value += (push @ push - mass @ mass) / (2 * STIFFNESS)
        slope = start + flow @ (m * w - data) + holes @ push
        bend = STIFFNESS * (holes * (push > 0)) @ holes.T
        return value, slope, bend + flow * curve @ flow.T, push

    return terms


# book/theory/action_free.md, section "The dual, by Newton's method"
def _minimise(terms: Callable, score: ndarray, limit: int = 1000) -> tuple:
    """Return the minimiser of a convex function, and its last term.

    The steps are Newton's, damped, from `score`.

    Raises:
        ValueError: it has not converged.
    """
    lift, stalled = 1.0, 0
    value, slope, bend, push = terms(score)
    for _ in range(limit):
        steep = np.abs(slope).max()
        ridge = max(lift * steep, 1e-13 * np.trace(bend))
        if steep <= 1e-15 or stalled == 5:
            return score, push
        step = -_solve_or_tell(bend + ridge * np.eye(len(score)), slope)
        trial, drop = terms(score + step), -slope @ step
        noise = 1e-14 * max(abs(value), 1e-3)
        better = trial[0] <= value - 1e-4 * drop
        if abs(trial[0] - value) <= noise and drop <= noise:
            better = np.abs(trial[1]).max() <= 0.5 * steep
            stalled = 0 if better else stalled + 1
        if better:
            score, (value, slope, bend, push) = score + step, trial
        lift = max(lift / 10, 1e-6) if better else min(8 * lift, 1e30)
    if steep <= 1e-9:  # on the way to an infimum that is not attained
        return score, push
    raise ValueError(
        f"Newton's method on the action-free dual stopped after {limit} steps"
        f" with its flow violated by {steep:.1e}"
    )


# book/theory/action_free.md, section "The dual, by Newton's method"
def _inside(mdp: GoalMDP, score: ndarray, edge: float) -> ndarray:
    """Return the score raised until rounding keeps y at most `edge`."""
    spare = np.finfo(float).eps
    while spare < 1e-3:
        if (state_difference(mdp, score) <= edge).all():
            return score
        score, spare = score + spare / (1 - mdp.gamma), 2 * spare
    raise ValueError("rounding keeps the score out of the conjugate's domain")


def _minimise_tv(
    mdp: GoalMDP, m: ndarray, data: ndarray, floor: ndarray
) -> tuple[ndarray, ndarray]:
    """Return scores (S, G) and mixture (S, A, G) of total variation."""
    back = block_diag([flow_matrix(mdp).T] * mdp.goals, format="csr")
    base, low = _columns(m).ravel(), _columns(floor).ravel()
    start = _columns((1 - mdp.gamma) * np.outer(mdp.start, mdp.goal_law))
    share = 1 - data.sum()  # beta
    linear = share * start.ravel() - back.T @ _columns(data).ravel()
    one, zero = eye(m.size), np.zeros(m.size)
    found = linprog(
        np.concatenate([linear, base]),
        A_ub=vstack(
            [
                hstack([back, -one]),
                hstack([diags(low) @ back, -one]),
                hstack([back, 0 * one]),
            ]
        ),
        b_ub=np.concatenate([zero, (1 - low) / 2, zero + 0.5]),
        bounds=(None, None),
        method="highs",
        options=TIGHT,
    )
    if found.status:
        raise ValueError(f"the linear program failed: {found.message}")
    shape = mdp.goals, mdp.states, mdp.actions
    upper, lower, edge = -found.ineqlin.marginals.reshape(3, -1)
    mixture = (upper + low * lower + edge).reshape(shape)
    score = found.x[: linear.size].reshape(shape[:2]).T
    return _inside(mdp, score, 0.5), np.moveaxis(mixture, 0, -1)


# book/theory/action_free.md, section "The dual, by Newton's method"
def _way_out(flow: ndarray, rows: ndarray, idle: ndarray) -> ndarray:
    """Return the least score (S,), 0 on `rows`, with y <= -1 on `idle`."""
    move, ahead = np.zeros(len(rows)), flow[~rows][:, idle].T
    one, edge = np.eye(ahead.shape[1]), np.ones((ahead.shape[1], 1))
    found = linprog(
        np.append(0 * edge, 1.0),
        A_ub=np.block(
            [[ahead, ahead[:, :1] * 0], [one, -edge], [-one, -edge]]
        ),
        b_ub=np.append(-np.ones(len(ahead)), np.zeros(2 * len(one))),
        bounds=(None, None),
        method="highs",
        options=TIGHT,
    )
    if found.status:
        raise ValueError(f"the linear program failed: {found.message}")
    move[~rows] = found.x[:-1]
    return move


def _leave(
    divergence: FDivergence,
    score: ndarray,
    move: ndarray,
    flow: ndarray,
    parts: Sequence,
) -> ndarray:
    """Return the score moved until its terms are within 1e-13 of least
    and y is allowed in holes."""
    on = parts[0] > 0
    m, data, floor = (t[on] for t in parts)
    least = -m * _map(divergence.generator, floor)
    for size in 10.0 ** np.arange(15):
        y = (score + size * move) @ flow
        terms = m * _excess(divergence, y[on], floor, data / m)
        fits = (y <= divergence.domain[1]).all()
        if fits and (terms - least).sum() <= 1e-13:
            break
    return score + size * move


# book/theory/action_free.md, section "The dual, by Newton's method"
def _fill_holes(
    divergence: FDivergence, flow: ndarray, start: ndarray, parts: Sequence
) -> tuple[ndarray, ndarray]:
    """Return scores of one goal, and mass in holes, 0 outside, like m.

    Raises:
        ValueError: the mass does not settle.
    """
    on, score, mass = parts[0] > 0, np.zeros(len(start)), 0 * parts[0]
    given = flow[:, on], start, [t[on] for t in parts], flow[:, ~on]
    for _ in range(200):
        old = mass[~on]
        terms = _terms(divergence, *given, old)
        score, mass[~on] = _minimise(terms, score)
        change = np.abs(mass[~on] - old).max(initial=0)
        if change <= 1e-13:
            break
    if change > 1e-9:
        raise ValueError(
            f"the mass outside q and rho still changes by {change:.0e}: the"
            " masses of q and rho lie too far apart"
        )
    return score, mass


# book/theory/action_free.md, section "The dual, by Newton's method"
def _solve_smooth(
    divergence: FDivergence,
    mdp: GoalMDP,
    m: ndarray,
    data: ndarray,
    floor: ndarray,
) -> tuple[ndarray, ndarray]:
    """Return scores (S, G) and mixture (S, A, G), goal by goal."""
    allowed = (m > 0) | np.isfinite(divergence.domain[1])
    support = reachable_support(mdp, allowed)
    signed = (m * floor < data * (1 - 1e-9)).any()  # d may be negative
    support = allowed if signed else support
    start = np.outer((1 - mdp.gamma) * mdp.start, mdp.goal_law)
    start = (1 - data.sum()) * start
    score, flow = np.zeros((mdp.states, mdp.goals)), flow_matrix(mdp)
    filled = np.zeros((mdp.goals, flow.shape[1]))
    for g in range(mdp.goals):
        base, on = (t[:, :, g].ravel() for t in (allowed, support))
        flat = [t[:, :, g].ravel() for t in (m, data, floor)]
        rows, idle = support[:, :, g].any(axis=1) | signed, base & ~on
        if on.any():
            given = flow[rows][:, on], start[rows, g], [t[on] for t in flat]
            score[rows, g], filled[g, on] = _fill_holes(divergence, *given)
        if idle.any():
            move, parts = _way_out(flow, rows, idle), [t[idle] for t in flat]
            moved = divergence, score[:, g], move, flow[:, idle], parts
            score[:, g] = _leave(*moved)
    score = _inside(mdp, score, divergence.domain[1])
    y = np.where(m > 0, state_difference(mdp, score), 0)
    ratio = np.where(support, clamped_ratio(divergence, y, floor), floor)
    mixture = m * ratio + filled.T.reshape(m.shape)
    left = start + flow @ _columns(mixture - data).T
    if not np.abs(left).max() <= 1e-7:
        raise ValueError(
            f"rounding violates the flow by {np.abs(left).max():.0e}: the"
            f" masses lie too far apart for {divergence.name}"
        )
    return score, mixture


# book/theory/action_free.md, section "The dual, by Newton's method"
@dataclass(frozen=True, eq=False)
class ActionFreeSolution:
    """Hold a minimiser of the action-free dual."""

    value: float  # of the dual at the score
    score: ndarray  # S, (S, G); may be huge at states out of reach
    occupancy: ndarray  # m (w - omega) / beta, holes filled, (S, A, G)
    policy: ndarray  # its positive part, conditioned, (S, G, A)
    smallest: float  # least entry of the occupancy
    gap: float  # dual value less the policy's own matching value


def solve_action_free(
    divergence: FDivergence,
    mdp: GoalMDP,
    rho: ndarray,
    q: ndarray,
    beta: float,
    corrected: bool = True,
    floor: ndarray | None = None,
) -> ActionFreeSolution:
    """Minimise the action-free dual over all scores.

    Args:
        divergence: f; total variation is solved as a linear program.
        mdp: the world.
        rho, q: data and goal transitions, (S, A, G).
        beta: mixture share, in (0, 1].
        corrected: clamp the ratio at the share of the data in the mixture;
            otherwise at 0, as printed.
        floor: another least ratio, (S, A, G), in place of both.

    Returns:
        Score, value, recovered occupancy and policy, and the gap.

    Raises:
        ValueError: every policy has infinite divergence, or the masses
            of q and rho lie too far apart for Newton's method.

    Source: Theorem 2 of Sikchi et al. (2024), clamp corrected.
    """
    m, data = mix(beta, q, rho), (1 - beta) * rho
    low = _floor(rho, q, beta, corrected, floor)
    if divergence.name == "tv":
        score, mixture = _minimise_tv(mdp, m, data, low)
    else:
        score, mixture = _solve_smooth(divergence, mdp, m, data, low)
    d = unmix(beta, mixture, rho)
    policy = policy_of(np.maximum(d, 0))
    value = action_free_objective(
        divergence, mdp, rho, q, beta, score, floor=low
    )
    best = mixture_divergence(divergence, beta, occupancy(mdp, policy), q, rho)
    return ActionFreeSolution(
        value, score, d, policy, float(d.min()), value + best
    )
