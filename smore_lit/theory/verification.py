# Generated from book/theory/verification.md by make sync. Edit the chapter, not this file.
"""Verification: check the whole part at once.

One command draws random worlds and asks every definition, theorem, proposition
and conjugate of this part how far off it is.
"""

__all__ = [
    "make_row",
    "DIGITS",
    "KINKS",
    "ON_REALS",
    "exact_generator",
    "exact_conjugate",
    "conjugate_slopes",
    "conjugate_error",
    "ALPHAS",
    "UGLY_GAMMAS",
    "ugly_problem",
    "draw_problems",
    "count_kinds",
    "entries",
    "loop_targets",
    "summed_occupancy",
    "loop_mixtures",
    "FORMULAS",
    "loop_duals",
    "loop_differences",
    "DEFINED",
    "check_definitions",
    "check_formulas",
    "rounding",
    "check_fixed_policy",
    "check_best_policy",
    "check_propositions",
    "check_special_cases",
    "QUANTITIES",
    "EXTRAS",
    "ABOVE",
    "ROUNDING",
    "measure",
    "verify_theory",
    "describe_verification",
    "ORDER",
    "MUTANTS",
    "MUTANT_SEED",
    "plant",
]


# book/theory/verification.md, section "Verification: check the whole part at once"
import itertools
import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, localcontext
from functools import lru_cache, partial

import numpy as np
import torch
from numpy import ndarray


# book/theory/verification.md, section "Verification: check the whole part at once"
from smore_lit.theory.action_free import (
    ActionFreeSolution,
    action_free_objective,
    solve_action_free,
    solve_matching,
    state_difference,
)
from smore_lit.theory.divergences import (
    DIVERGENCES,
    FDivergence,
    find_divergence,
)
from smore_lit.theory.duality import (
    BETAS,
    Problem,
    bellman_difference,
    dual_objective,
    matching_value,
    random_problem,
    solve_dual,
    solve_score,
)
from smore_lit.theory.goal_transitions import (
    entropy,
    entropy_return,
    hard_goal_transitions,
    log_partition,
    soft_goal_transitions,
)


# book/theory/verification.md, section "Verification: check the whole part at once"
from smore_lit.theory.mixtures import (
    mix,
    mixture_bound_gap,
    mixture_divergence,
    offline_constant,
    offline_return,
    ratio_floor,
    unmix,
)
from smore_lit.theory.occupancies import (
    GoalMDP,
    backup,
    flow_residual,
    goal_reward,
    occupancy,
    policy_of,
    random_mdp,
    random_policy,
    state_flow_residual,
)
from smore_lit.theory.special_cases import (
    kl_game,
    pearson_game,
    start_score,
)


# book/theory/verification.md, section "A number, its bar, and whether it holds"
def make_row(
    name: str,
    quantity: str,
    divergence: str,
    value: float,
    bar: float | None = None,
) -> dict:
    """Return one line of the verification.

    Args:
        name: the theorem.
        quantity: what is measured; 0 is perfect.
        divergence: its name.
        value: the measurement.
        bar: the largest value allowed; None if it is only reported.

    Returns:
        The five, and `holds`, which is None without a bar.
    """
    value = value if isinstance(value, int) else float(value)
    return {
        "name": name,
        "quantity": quantity,
        "divergence": divergence,
        "value": value,
        "bar": bar,
        "holds": None if bar is None else bool(value <= bar),
    }


# book/theory/verification.md, section "Conjugates, with sixty digits"
DIGITS = 60
KINKS = {"chi2": -2.0, "tv": -0.5}
ON_REALS = ("chi2", "tv")  # the others are infinite at x < 0


def exact_generator(name: str, x: Decimal) -> Decimal:
    """Return f(x) of Table 3 in decimal arithmetic, x >= 0 or on reals."""
    if name == "chi2":
        return x * x - 2 * x + 1
    if name == "tv":
        return abs(x - 1) / 2
    if name == "hellinger":
        return x + 1 - 2 * x.sqrt()
    if name not in ("kl", "js"):
        known = ", ".join(DIVERGENCES)
        raise ValueError(f"no exact generator {name!r}; known: {known}")
    own = x * x.ln() if x > 0 else Decimal(0)
    if name == "kl":
        return own
    return own - (x + 1) * ((x + 1) / 2).ln()


# book/theory/verification.md, section "Conjugates, with sixty digits"
def _bracket(rise: Callable, sign: int) -> Decimal | None:
    """Return a point beyond the top on one side, None if there is no top."""
    here, value = Decimal(sign), rise(Decimal(sign))
    for _ in range(150):
        after = rise(2 * here)
        if after <= value:
            return 2 * here
        here, value = 2 * here, after
    return None


@lru_cache(maxsize=4096)
def exact_conjugate(name: str, y: float, reals: bool = False) -> Decimal:
    r"""Search the supremum of $xy - f(x)$ with 60 digits.

    Args:
        name: of the divergence.
        y: a slope, taken as the exact number that its double is.
        reals: search all real x, not only x >= 0.

    Returns:
        The supremum, perhaps infinite.

    Source: Eq. 39 of Sikchi et al. (2024).
    """
    if reals and name not in ON_REALS:
        return exact_conjugate(name, y)
    with localcontext() as context:
        context.prec = DIGITS
        slope, share = Decimal(y), (Decimal(5).sqrt() - 1) / 2

        def rise(x: Decimal) -> Decimal:
            return x * slope - exact_generator(name, x)

        low = _bracket(rise, -1) if reals else Decimal(0)
        high = _bracket(rise, 1)
        if low is None or high is None:
            return Decimal("Infinity")
        ends = rise(low), rise(high)
        left, right = high - share * (high - low), low + share * (high - low)
        at_left, at_right = rise(left), rise(right)
        for _ in range(70):
            if at_left < at_right:
                low, left, at_left = left, right, at_right
                right = low + share * (high - low)
                at_right = rise(right)
            else:
                high, right, at_right = right, left, at_left
                left = high - share * (high - low)
                at_left = rise(left)
        return max(*ends, at_left, at_right)


# book/theory/verification.md, section "Conjugates, with sixty digits"
def conjugate_slopes(divergence: FDivergence, count: int = 200) -> ndarray:
    """Return slopes to test a conjugate at, its edges and kinks among them."""
    edge, points = divergence.domain[1], [-1e3, -50.0, 0.0]
    special = [KINKS[divergence.name]] if divergence.name in KINKS else []
    special += [edge] if edge < math.inf else []
    for c in special:
        points += [c, np.nextafter(c, -9), np.nextafter(c, 9)]
        points += [c - 1e-9, c + 1e-9]
    rest = np.linspace(-6, min(edge + 0.3, 6.0), count - len(points))
    return np.sort([*points, *rest])


def _apart(value: float, exact: Decimal) -> float:
    """Return the error of a value, relative where the truth exceeds 1."""
    if not math.isfinite(value) or not exact.is_finite():
        return 0.0 if Decimal(value) == exact else math.inf
    return float(abs(Decimal(value) - exact) / max(Decimal(1), abs(exact)))


def conjugate_error(divergence: FDivergence, reals: bool = False) -> float:
    """Return the largest error of a conjugate over 200 slopes.

    Args:
        divergence: f, with the name of the generator it claims to have.
        reals: judge `conjugate`, not `nonnegative_conjugate`.
    """
    slopes = torch.as_tensor(conjugate_slopes(divergence))
    over = divergence.nonnegative_conjugate
    found = (divergence.conjugate if reals else over)(slopes)
    return max(
        _apart(value, exact_conjugate(divergence.name, y, reals))
        for y, value in zip(slopes.tolist(), found.tolist(), strict=True)
    )


# book/theory/verification.md, section "The problems"
ALPHAS = (0.5, 2.0, 8.0)  # problems take turns
UGLY_GAMMAS = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def ugly_problem(rng: np.random.Generator) -> Problem:
    """Draw a problem of the kinds that random worlds seldom show.

    Args:
        rng: where the randomness comes from.

    Returns:
        At most 6 states, 4 actions and 2 goals; q is soft.
    """
    alone, idle, single, sharp, scarce = rng.random(5) < [1 / 6, 1 / 4,
                                                          2 / 3, 1 / 3, 1 / 3]
    states = 1 if alone else int(rng.integers(2, 7))
    actions = 1 if idle else int(rng.integers(2, 5))
    goals = int(rng.integers(1, min(2, states) + 1))
    gamma = float(rng.choice(UGLY_GAMMAS))
    mdp = random_mdp(rng, states, actions, goals, gamma, rng.random() < 0.75)
    if single:
        mdp = replace(mdp, start=np.eye(states)[rng.integers(states)])
    policy = random_policy(rng, mdp)
    if sharp:
        policy = np.eye(actions)[policy.argmax(axis=-1)]
    rho = rng.dirichlet(np.full(states * actions * goals, 2.0))
    if scarce:
        rho = np.where(rng.random(rho.size) < 0.5, 1e-27, rho)
        rho /= rho.sum()
    q = soft_goal_transitions(mdp, float(rng.choice([1.0, 3.0])))
    return Problem(mdp, policy, rho.reshape(q.shape), q,
                   float(rng.choice(BETAS)))


# book/theory/verification.md, section "The problems"
def draw_problems(problems: int, seed: int) -> list[Problem]:
    """Return random problems, each from a generator of its own.

    Args:
        problems: how many, at least 1; every second is an ugly one.
        seed: at least 0.

    Raises:
        ValueError: a count or a seed that is no such whole number.
    """
    for name, value, least in (("problems", problems, 1), ("seed", seed, 0)):
        whole = isinstance(value, int | np.integer)
        if not whole or isinstance(value, bool) or value < least:
            raise ValueError(
                f"{name} is {value!r}: choose a whole number >= {least}"
            )
    kinds = itertools.cycle((random_problem, ugly_problem))
    return [
        draw(np.random.default_rng([seed, i]))
        for i, draw in zip(range(problems), kinds)
    ]


def count_kinds(problems: list[Problem]) -> dict[str, int]:
    """Return how many problems show each kind of ugliness.

    Args:
        problems: any.
    """
    kinds = {
        "one state": lambda p: p.mdp.states == 1,
        "one action": lambda p: p.mdp.actions == 1,
        "one start of several states": lambda p: (
            p.mdp.states > 1 and p.mdp.start.max() == 1),
        "deterministic": lambda p: np.isin(p.mdp.transitions, (0, 1)).all(),
        "states that are never reached": lambda p: bool(
            (occupancy(p.mdp, p.policy).sum(axis=(1, 2)) == 0).any()),
        "policy with zeros": lambda p: (p.policy == 0).any(),
        "q with zeros": lambda p: (p.q == 0).any(),
        "data below 1e-20": lambda p: p.rho.min() < 1e-20,
        "beta 1": lambda p: p.beta == 1,
    }
    found = {name: sum(map(kind, problems)) for name, kind in kinds.items()}
    gammas = sorted({p.mdp.gamma for p in problems})
    return {k: int(v) for k, v in found.items()} | {
        f"gamma {x:g}": sum(p.mdp.gamma == x for p in problems)
        for x in gammas
    }


# book/theory/verification.md, section "Definitions, one entry at a time"
def entries(problem: Problem) -> itertools.product:
    """Return all index triples (s, a, g) of a problem."""
    return itertools.product(*map(range, problem.q.shape))


def loop_targets(problem: Problem, alpha: float) -> dict[str, tuple]:
    """Return reward and targets, each beside its definition by loops.

    Args:
        problem: its world is used.
        alpha: inverse temperature of the soft target.

    Source: Section 3.1 and Proposition 1 of Sikchi et al. (2024).
    """
    p, mdp = problem, problem.mdp
    reward, hard, soft = (np.zeros(p.q.shape) for _ in range(3))
    for s, a, g in entries(p):
        for t in range(mdp.states):
            if mdp.phi[t] == g:
                reward[s, a, g] += mdp.transitions[s, a, t]
        hard[s, a, g] = mdp.goal_law[g] * reward[s, a, g]
        soft[s, a, g] = math.exp(alpha * reward[s, a, g])
    total = math.fsum(soft.ravel())
    pairs = {
        "reward": (goal_reward(mdp), reward),
        "log Z": (log_partition(mdp, alpha), math.log(total)),
        "soft q": (soft_goal_transitions(mdp, alpha), soft / total),
    }
    if hard.sum() > 0:
        found = hard_goal_transitions(mdp)
        pairs["hard q"] = found, hard / math.fsum(hard.ravel())
    return pairs


# book/theory/verification.md, section "Definitions, one entry at a time"
def summed_occupancy(problem: Problem) -> ndarray:
    """Return the occupancy of the problem's policy as a sum over time.

    Args:
        problem: its world and policy are used.
    """
    p, mdp = problem, problem.mdp
    d, move = np.zeros(p.q.shape), np.zeros((mdp.states, mdp.states))
    for g in range(mdp.goals):
        move[:] = 0
        for s, a in np.ndindex(mdp.states, mdp.actions):
            for t in range(mdp.states):
                chance = p.policy[s, g, a] * mdp.transitions[s, a, t]
                move[t, s] += mdp.gamma * chance
        visits, power = (1 - mdp.gamma) * mdp.start, move
        for _ in range(40):
            visits, power = visits + power @ visits, power @ power
        for s, a in np.ndindex(mdp.states, mdp.actions):
            share = mdp.goal_law[g] * visits[s]
            d[s, a, g] = share * p.policy[s, g, a]
    return d


# book/theory/verification.md, section "Definitions, one entry at a time"
def loop_mixtures(problem: Problem, alpha: float) -> dict[str, tuple]:
    """Return occupancy and mixtures, each beside a second definition.

    Args:
        problem: all of it is used.
        alpha: inverse temperature of the offline return.

    Source: Eqs. 2, 5, 24 and 28 of Sikchi et al. (2024).
    """
    p, beta = problem, 0.3  # at 1/2 an exchange of shares would not show
    d, Z = summed_occupancy(p), loop_targets(p, alpha)["soft q"][1]
    gain = np.exp(alpha * loop_targets(p, alpha)["reward"][1])
    total, both, floor, left, act = (np.zeros(p.q.shape) for _ in range(5))
    for x in entries(p):
        both[x] = beta * p.q[x] + (1 - beta) * p.rho[x]
        floor[x] = (1 - beta) * p.rho[x] / both[x]
        left[x] = (p.q[x] - (1 - beta) * p.rho[x]) / beta
        total[x] = d[x] * (beta**2 * gain[x] + beta * (1 - beta)
                           * gain.sum() * p.rho[x])
    for s, a, g in entries(p):
        act[s, a, g] = both[s, a, g] / sum(both[s, :, g])
    more = (1 - beta) * gain.sum() * sum(
        p.rho[x] * (beta * Z[x] + (1 - beta) * p.rho[x]) for x in entries(p))
    own = offline_return(p.mdp, d, p.rho, alpha, beta)
    rest = offline_constant(p.mdp, p.rho, alpha, beta)
    nats = -sum(x * math.log(x) for x in both.ravel().tolist() if x > 0)
    return {
        "occupancy": (occupancy(p.mdp, p.policy), d),
        "mixture": (mix(beta, p.q, p.rho), both),
        "floor": (ratio_floor(beta, p.q, p.rho), floor),
        "unmixed": (unmix(beta, p.q, p.rho), left),
        "policy of d": (policy_of(both), act.transpose(0, 2, 1)),
        "offline return": (own, total.sum()),
        "offline constant": (rest, more),
        "entropy": (entropy(both), nats),
    }


# book/theory/verification.md, section "Definitions, one entry at a time"
FORMULAS = {  # f at x > 0, f at 0, and the x with f'(x) = y
    "chi2": (lambda x: (x - 1) ** 2, 1.0, lambda y: 1 + y / 2),
    "kl": (lambda x: x * math.log(x), 0.0, lambda y: math.exp(y - 1)),
    "hellinger": (lambda x: (math.sqrt(x) - 1) ** 2, 1.0,
                  lambda y: (1 - y) ** -2),
    "js": (lambda x: x * math.log(x) - (x + 1) * math.log((x + 1) / 2),
           math.log(2), lambda y: 1 / (2 * math.exp(-y) - 1)),
    "tv": (lambda x: abs(x - 1) / 2, 0.5, lambda y: 1.0 if y >= -0.5 else 0.0),
}


def loop_duals(
    divergence: FDivergence, problem: Problem, rng: np.random.Generator
) -> dict[str, tuple]:
    """Return divergence and duals at a score, each beside its loops.

    Args:
        divergence: f, known by its name.
        problem: all of it is used.
        rng: draws the scores.

    Source: Eqs. 5 and 7 and Theorem 2 of Sikchi et al. (2024), corrected.
    """
    p, mdp, beta = problem, problem.mdp, problem.beta
    f, zero, inverse = FORMULAS[divergence.name]
    score = rng.uniform(-0.2, 0.2, size=p.q.shape)
    value, even = score.mean(axis=1), np.full(p.q.shape, 1 / p.q.size)
    apart = seven = free = 0.0
    for s, a, g in entries(p):
        y, z = -score[s, a, g], -value[s, g]
        for t, b in np.ndindex(mdp.states, mdp.actions):
            chance = mdp.gamma * mdp.transitions[s, a, t]
            y += chance * p.policy[t, g, b] * score[t, b, g]
            z += chance * value[t, g] / mdp.actions
        data = (1 - beta) * p.rho[s, a, g]
        m = beta * p.q[s, a, g] + data
        best, above = inverse(y), max(inverse(z), data / m)
        first = beta * (1 - mdp.gamma) * mdp.start[s] * mdp.goal_law[g]
        seven += first * p.policy[s, g, a] * score[s, a, g] - data * y
        seven += m * (best * y - (f(best) if best > 0 else zero))
        free += first * value[s, g] / mdp.actions - data * z
        free += m * (above * z - (f(above) if above > 0 else zero))
        apart += m * f((beta * even[s, a, g] + data) / m)
    given, far = (p.mdp, p.policy, p.rho, p.q, beta), mixture_divergence
    loose = action_free_objective(divergence, mdp, *given[2:], value)
    return {
        "divergence": (far(divergence, beta, even, p.q, p.rho), apart),
        "dual": (dual_objective(divergence, *given, score), seven),
        "action-free dual": (loose, free),
    }


# book/theory/verification.md, section "Definitions, one entry at a time"
def loop_differences(
    problem: Problem, rng: np.random.Generator
) -> dict[str, tuple]:
    """Return backup and Bellman differences, each beside its loops.

    Args:
        problem: its world and policy are used.
        rng: draws the score.
    """
    p, mdp = problem, problem.mdp
    score = rng.normal(size=p.q.shape)
    value, after = score.mean(axis=1), np.zeros((2, *p.q.shape))
    for s, a, g in entries(p):
        for t in range(mdp.states):
            chance = mdp.transitions[s, a, t]
            mean = sum(p.policy[t, g, b] * score[t, b, g]
                       for b in range(mdp.actions))
            after[0, s, a, g] += chance * mean
            after[1, s, a, g] += chance * value[t, g]
    gamma, held = mdp.gamma, value[:, None]
    return {
        "backup": (backup(mdp, p.policy, score), after[0]),
        "difference": (bellman_difference(mdp, p.policy, score),
                       gamma * after[0] - score),
        "state difference": (state_difference(mdp, value),
                             gamma * after[1] - held),
    }


# book/theory/verification.md, section "Definitions, one entry at a time"
DEFINED = (
    "reward", "hard q", "log Z", "soft q", "mixture", "unmixed", "floor",
    "occupancy", "policy of d", "entropy", "offline return",
    "offline constant", "backup", "difference", "state difference",
)


def _worst(found: ndarray, expected: ndarray) -> float:
    """Return the largest error, relative where the truth exceeds 1."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return math.inf
    size = np.maximum(1, np.abs(expected))
    return float((np.abs(found - expected) / size).max())


def check_definitions(
    problem: Problem, alpha: float, rng: np.random.Generator
) -> dict[str, float]:
    """Return the error of every definition against loops and sums.

    Args:
        problem: world, policy, data, q and beta.
        alpha: inverse temperature.
        rng: draws the scores.

    Returns:
        One error per name in `DEFINED`; 0 for a hard q that no
        transition has.
    """
    pairs = loop_targets(problem, alpha) | loop_mixtures(problem, alpha)
    pairs |= loop_differences(problem, rng)
    errors = {name: _worst(*pair) for name, pair in pairs.items()}
    return dict.fromkeys(DEFINED, 0.0) | errors


def check_formulas(
    divergence: FDivergence, problem: Problem, rng: np.random.Generator
) -> dict[str, float]:
    """Return the errors of `loop_duals`.

    Args:
        divergence: f.
        problem: world, policy, data, q and beta.
        rng: draws the scores.
    """
    pairs = loop_duals(divergence, problem, rng)
    return {name: _worst(*pair) for name, pair in pairs.items()}


# book/theory/verification.md, section "Theorem 1, for the policy at hand"
def rounding(
    divergence: FDivergence, problem: Problem, score: ndarray, d: ndarray
) -> tuple[float, float]:
    """Return what storing a score may do to its value and its flow.

    Args:
        divergence: f.
        problem: world, policy, data, q and beta.
        score: shape (S, A, G).
        d: the occupancy that the score claims, (S, A, G).
    """
    p, chain = problem, problem.policy
    ahead = np.einsum("sat,tgb,tbg->sag", p.mdp.transitions, chain,
                      np.abs(score))
    slack = 4 * np.finfo(float).eps * (p.mdp.gamma * ahead + np.abs(score))
    ratios = []
    for y in (bellman_difference(p.mdp, chain, score) + slack * side
              for side in (-1, 1)):
        inside = torch.as_tensor(np.minimum(y, divergence.domain[1]))
        ratios.append(divergence.ratio(inside).numpy())
    if divergence.name == "tv":  # its d is not read off the score
        ratios = [np.zeros(d.shape)] * 2
    wobble = (p.beta * p.q + (1 - p.beta) * p.rho) * np.abs(
        ratios[1] - ratios[0]) / p.beta
    near = np.where(np.isfinite(wobble), wobble, 0)
    of_value = p.beta * ((np.abs(d) + 0.5 * near) * slack).sum()
    return float(of_value), float(wobble.sum())


def check_fixed_policy(
    divergence: FDivergence, problem: Problem, rng: np.random.Generator
) -> dict[str, float]:
    """Measure Theorem 1 on one problem.

    Args:
        divergence: f.
        problem: world, policy, data, q and beta.
        rng: draws the scores for weak duality.

    Returns:
        `gap`, relative; `flow` and `weak`, violations; `rounding`, what
        was taken off the gap.

    Source: Theorem 1 of Sikchi et al. (2024).
    """
    p = problem
    given = divergence, p.mdp, p.policy, p.rho, p.q, p.beta
    primal, found = matching_value(*given), solve_dual(*given)
    flow = np.abs(flow_residual(p.mdp, p.policy, found.occupancy)).max()
    of_value, of_flow = rounding(divergence, p, found.score, found.occupancy)
    least = math.inf
    for size in np.geomspace(1e-3, 3, 10):
        score = size * rng.normal(size=p.q.shape)
        least = min(least, dual_objective(*given, score))
    size, gap = max(abs(primal), 1e-6), abs(found.value - primal)
    return {
        "gap": float(np.maximum(gap - of_value, 0) / size),
        "flow": float(np.maximum(flow - of_flow, 0)),
        "weak": float(np.maximum(primal - least, 0) / max(1, abs(primal))),
        "rounding": of_value / size,
    }


# book/theory/verification.md, section "Theorem 2, for the best policy"
def _best_rows(
    problem: Problem, best: float, right: ActionFreeSolution
) -> dict[str, float]:
    """Return what the corrected solution leaves open."""
    flow = state_flow_residual(problem.mdp, right.occupancy)
    return {
        "gap": abs(right.value - best) / max(1, abs(best)),
        "own gap": abs(right.gap) / max(1, abs(best)),
        "flow": float(np.abs(flow).max()),
        "below 0": max(0.0, -right.smallest),
    }


def _printed(
    given: tuple[FDivergence, GoalMDP, ndarray, ndarray, float], best: float
) -> dict[str, float]:
    """Return how far the printed form is above the primal, if solved."""
    try:
        wrong = solve_action_free(*given, corrected=False)
    except ValueError:
        return {"excess": 0.0, "least d": 0.0, "unsolved": 1}
    excess, least = wrong.value - best, wrong.smallest
    return {"excess": excess, "least d": least, "unsolved": 0}


def check_best_policy(
    divergence: FDivergence, problem: Problem, rng: np.random.Generator
) -> dict[str, float]:
    """Measure Theorem 2, corrected and printed, on one problem.

    Args:
        divergence: f.
        problem: world, data, q and beta; its policy is not used.
        rng: draws the scores for weak duality.

    Returns:
        `value` of the primal; `gap`, `own gap`, `flow`, `below 0` and
        `weak` of the corrected form; `excess` and `least d` of the printed
        one, both 0 if it is `unsolved`.

    Source: Theorem 2 of Sikchi et al. (2024), clamp corrected.
    """
    p = problem
    given = divergence, p.mdp, p.rho, p.q, p.beta
    best = solve_matching(*given).value
    right = solve_action_free(*given)
    shape, weak = (p.mdp.states, p.mdp.goals), 0.0
    for size in np.geomspace(1e-3, 3, 10):
        score = size * rng.normal(size=shape)
        short = best - action_free_objective(*given, score)
        weak = np.maximum(weak, short / max(1, abs(best)))
    return {
        "value": best,
        **_best_rows(p, best, right),
        "weak": float(weak),
        **_printed(given, best),
    }


# book/theory/verification.md, section "The two propositions"
def check_propositions(
    divergence: FDivergence, problem: Problem, alpha: float
) -> dict[str, float]:
    """Return the slack of both propositions on one problem.

    Args:
        divergence: f.
        problem: world, policy, data and beta; q is soft, from alpha.
        alpha: inverse temperature.

    Returns:
        `first` and `second`, left minus right side; `jensen`, what the
        second must be for Kullback-Leibler.

    Source: Propositions 1 and 2 of Sikchi et al. (2024), the first with
        (1 - gamma) J, the second with log Z kept.
    """
    p = problem
    d = occupancy(p.mdp, p.policy)
    q = soft_goal_transitions(p.mdp, alpha)
    far = divergence.divergence(torch.as_tensor(d), torch.as_tensor(q))
    right = (log_partition(p.mdp, alpha) - float(far)) / alpha
    m_d, m_q = mix(p.beta, d, p.rho), mix(p.beta, q, p.rho)
    jensen = np.log((m_d * m_q).sum()) - (m_d * np.log(m_q)).sum()
    return {
        "first": entropy_return(p.mdp, p.policy, alpha) - right,
        "second": mixture_bound_gap(
            divergence, p.mdp, d, p.rho, alpha, p.beta
        ),
        "jensen": float(jensen),
    }


# book/theory/verification.md, section "The special cases"
def check_special_cases(
    problem: Problem, rng: np.random.Generator
) -> dict[str, float]:
    """Measure the identities behind Eqs. 8, 65 and 66 on one problem.

    Args:
        problem: world, policy, data, q and beta.
        rng: draws the score.

    Returns:
        Relative errors: `eight`, `shift`, `least`, `telescope`; and
        `printed`, how many times too large the last term of Eq. 66 is.

    Source: Eqs. 8, 65 and 66 of Sikchi et al. (2024), corrected.
    """
    p = problem
    world = p.mdp, p.policy, p.rho, p.q, p.beta
    score, kl = 0.3 * rng.normal(size=p.q.shape), find_divergence("kl")
    over = 1 / (1 - p.mdp.gamma)
    chi2 = dual_objective(find_divergence("chi2"), *world, score, "reals")
    plain = kl_game(*world, score)
    shifted = kl_game(*world, score + over, "printed")
    d = occupancy(p.mdp, p.policy)
    ratio = mix(p.beta, d, p.rho) / mix(p.beta, p.q, p.rho)
    least = solve_score(p.mdp, p.policy, np.log(np.maximum(ratio, 1e-300)))
    bottom = matching_value(kl, *world) + 1
    y = bellman_difference(p.mdp, p.policy, score)
    sum_, start = -(d * y).sum(), start_score(p.mdp, p.policy, score)
    pairs = {
        "eight": (pearson_game(*world, score), chi2),
        "shift": (shifted, plain + 1),
        "least": (kl_game(*world, least, "printed"), bottom),
        "telescope": (sum_, start / over),
    }
    errors = {
        k: float(abs(a - b) / max(1, abs(b))) for k, (a, b) in pairs.items()
    }
    return errors | {"printed": float(start / sum_)}


# book/theory/verification.md, section "All of it"
QUANTITIES = {  # of one problem: theorem, what, bar
    "f.divergence": ("Definitions", "divergence", 1e-10),
    "f.dual": ("Definitions", "dual, Eq. 7", 1e-10),
    "f.action-free dual": ("Definitions", "action-free dual", 1e-10),
    "t1.gap": ("Theorem 1", "relative gap", 1e-8),
    "t1.rounding": ("Theorem 1", "rounding taken off", None),
    "t1.flow": ("Theorem 1", "flow violated", 1e-8),
    "t1.weak": ("Theorem 1", "weak duality violated", 1e-10),
    "t2.gap": ("Theorem 2, corrected", "gap to the primal", 1e-6),
    "t2.own gap": ("Theorem 2, corrected", "gap to its own policy", 1e-6),
    "t2.flow": ("Theorem 2, corrected", "flow violated", 1e-6),
    "t2.below 0": ("Theorem 2, corrected", "occupancy below 0", 1e-12),
    "t2.weak": ("Theorem 2, corrected", "weak duality violated", 1e-10),
}
EXTRAS = {  # identities of one divergence
    "s.eight": ("Eq. 8", "against Eq. 7", "chi2", 1e-10),
    "s.shift": ("Eq. 65", "shift by 1/(1 - gamma)", "kl", 1e-10),
    "s.least": ("Eq. 65", "least value, less 1", "kl", 1e-10),
    "s.telescope": ("Eq. 66", "with 1 - gamma", "kl", 1e-10),
}
ABOVE = ("chi2", "kl")  # divergences that are at least KL
ROUNDING = 1e-10


def _try(check: Callable, prefix: str, names: str, *given) -> dict:
    """Return what a check measures, or infinities if it gives up."""
    try:
        found = check(*given)
    except (ValueError, np.linalg.LinAlgError):
        found = dict.fromkeys(names.split(","), math.inf)
    return {f"{prefix}.{name}": value for name, value in found.items()}


# book/theory/verification.md, section "All of it"
def measure(problem: Problem, index: int, seed: int) -> list[dict]:
    """Return one record per divergence of all that is measured.

    Args:
        problem: the problem.
        index: its number, which chooses alpha and the random scores.
        seed: of the whole verification.
    """
    p, records = problem, []
    turn = index % len(ALPHAS)
    alpha = ALPHAS[turn]
    rng, names = np.random.default_rng([seed, index]), ",".join(DEFINED)
    defined = _try(check_definitions, "d", names, p, alpha, rng)
    for order, (name, f) in enumerate(DIVERGENCES.items()):
        rng = np.random.default_rng([seed, index, order])
        record = {"problem": index, "divergence": name, "beta": p.beta}
        record |= {"gamma": p.mdp.gamma, "alpha": alpha}
        three = "divergence,dual,action-free dual"
        one = "gap,flow,weak,rounding"
        two = "value,gap,own gap,flow,below 0,weak,excess,least d,unsolved"
        record |= defined
        record |= _try(check_formulas, "f", three, f, p, rng)
        record |= _try(check_fixed_policy, "t1", one, f, p, rng)
        record |= _try(check_best_policy, "t2", two, f, p, rng)
        record |= _try(
            check_propositions, "p", "first,second,jensen", f, p, alpha
        )
        if name in ABOVE:
            names = "eight,shift,least,telescope,printed"
            record |= _try(check_special_cases, "s", names, p, rng)
        records.append(record)
    return records


# book/theory/verification.md, section "All of it"
def _printed_rows(name: str, rows: list[dict]) -> list[dict]:
    """Return what is to say of the printed Theorem 2."""
    title, over = "Theorem 2, printed", [r["t2.excess"] for r in rows]
    alike = [abs(r["t2.excess"]) for r in rows if r["beta"] == 1]
    broken = int(np.sum(np.array(over) > 1e-6))
    below = max(0.0, -min(over))
    lowest = min(r["t2.least d"] for r in rows)
    share = max(r["t2.excess"] / max(abs(r["t2.value"]), 1e-6) for r in rows)
    return [
        make_row(title, "problems above primal", name, broken),
        make_row(title, "problems not solved", name,
                 int(sum(r["t2.unsolved"] > 0 for r in rows))),
        make_row(title, "largest excess", name, max(over)),
        make_row(title, "as share of the value", name, share),
        make_row(title, "occupancy below 0", name, max(0.0, -lowest)),
        make_row(title, "value below the primal", name, below, 1e-6),
        make_row(title, "excess at beta = 1", name, max(alike, default=0.0),
                 1e-6),
    ]


def _proposition_rows(name: str, rows: list[dict]) -> list[dict]:
    """Return how often each proposition is broken, and KL's identities."""
    bar, found = 0 if name in ABOVE else None, []
    for title, key in (("Proposition 1", "first"), ("Proposition 2, corrected",
                                                   "second")):
        slack = np.array([r[f"p.{key}"] for r in rows])
        count = int((~(slack >= -ROUNDING) | np.isinf(slack)).sum())
        found.append(make_row(title, "problems that break it", name, count,
                              bar))
        if name == "kl":
            exact = [r["p.jensen"] for r in rows] if key == "second" else 0.0
            off = np.abs(slack - exact).max()
            found.append(make_row(title, "equality", name, off, ROUNDING))
    return found


# book/theory/verification.md, section "All of it"
def verify_theory(
    problems: int = 50, seed: int = 0, watch: Callable = iter
) -> dict:
    """Measure every theorem of the part on random problems.

    Args:
        problems: how many, at least 1.
        seed: of the problems and of the random scores.
        watch: wraps the list of problems, to show progress.

    Returns:
        `problems`, `seed`, `kinds` (how often each was drawn), `holds`
        (whether every bar does), `rows` with name, quantity, divergence,
        value, bar and holds, and `records`,
        one per problem and divergence.

    Raises:
        ValueError: a bad count or seed.
    """
    drawn, records, rows = draw_problems(problems, seed), [], []
    for f in DIVERGENCES.values():
        for reals, what in ((False, "over x >= 0"), (True, "over all x")):
            error = conjugate_error(f, reals)
            rows.append(make_row("Conjugates", what, f.name, error, 1e-10))
    for index, problem in enumerate(watch(drawn)):
        records += measure(problem, index, seed)
    for name in DEFINED:
        worst = np.max([r[f"d.{name}"] for r in records])
        rows.append(make_row("Definitions", name, "all", worst, 1e-10))
    for name in DIVERGENCES:
        own = [r for r in records if r["divergence"] == name]
        for key, (title, what, bar) in QUANTITIES.items():
            worst = np.max([r[key] for r in own])
            rows.append(make_row(title, what, name, worst, bar))
        rows += _printed_rows(name, own) + _proposition_rows(name, own)
        for key, (title, what, where, bar) in EXTRAS.items():
            if where == name:
                worst = np.max([r[key] for r in own])
                rows.append(make_row(title, what, name, worst, bar))
        if name == "kl":
            times = max(r["s.printed"] for r in own)
            rows.append(make_row("Eq. 66", "printed, times", name, times))
    holds = all(row["holds"] is not False for row in rows)
    return {
        "problems": problems,
        "seed": seed,
        "kinds": count_kinds(drawn),
        "holds": holds,
        "rows": rows,
        "records": records,
    }


# book/theory/verification.md, section "All of it"
def _cell(row: dict | None) -> str:
    """Return a value as text, marked if its bar fails."""
    if row is None:
        return ""
    value = row["value"]
    text = "inf" if value is None else f"{value:.1e}"
    text = str(value) if isinstance(value, int) else text
    return text + "!" * (row["holds"] is False)


def _wide(name: str) -> int:
    """Return the width of a divergence's column."""
    return max(9, len(name) + 1)


def describe_verification(found: dict) -> str:
    """Return the result of `verify_theory` as a table for people.

    Args:
        found: what it returned, or the same read from JSON.

    Returns:
        Lines; a value whose bar fails is marked "!".
    """
    lines: dict[tuple, dict] = {}
    names = list(DIVERGENCES)
    for row in found["rows"]:
        line = lines.setdefault((row["name"], row["quantity"]), {})
        line[row["divergence"]] = row
    width = max(len(what) for _, what in lines) + 3
    head = "".join(f"{name:>{_wide(name)}}" for name in names)
    text, title = [f"{'':{width}}{'bar':>6}{head}"], None
    for (name, what), line in sorted(lines.items(), key=_place):
        if name != title:
            text.append(name)
            title = name
        bars = [r["bar"] for r in line.values() if r["bar"] is not None]
        bar = f"{bars[0]:.0e}".replace("e-0", "e-") if bars else ""
        bar = "0" if bars and bars[0] == 0 else bar
        cells = "".join(f"{_cell(line.get(n)):>{_wide(n)}}" for n in names)
        cells = f"{_cell(line['all']):>9}" if "all" in line else cells
        text.append(f"  {what:{width - 2}}{bar:>6}{cells}".rstrip())
    kinds = [f"{times} {kind}" for kind, times in found["kinds"].items()]
    text += textwrap.wrap("drawn: " + ", ".join(kinds), 79)
    bars = [row["holds"] for row in found["rows"] if row["bar"] is not None]
    failed = bars.count(False)
    verdict = f"{failed} of {len(bars)} bars fail" if failed else (
        f"all {len(bars)} bars hold")
    return "\n".join([*text, f"{found['problems']} problems, {verdict}"])


# book/theory/verification.md, section "All of it"
ORDER = (
    "Conjugates",
    "Definitions",
    "Proposition 1",
    "Proposition 2, corrected",
    "Theorem 1",
    "Eq. 8",
    "Eq. 65",
    "Eq. 66",
    "Theorem 2, corrected",
    "Theorem 2, printed",
)


def _place(item: tuple) -> int:
    """Return where a line of the table stands."""
    return ORDER.index(item[0][0])


# book/theory/verification.md, section "Would it notice a wrong definition?"
def _late_occupancy(right: Callable, mdp: GoalMDP, policy: ndarray) -> ndarray:
    """Return the occupancy of a sum that starts at t = 1."""
    moved = np.einsum("s,sga,g,sat->t", mdp.start, policy, mdp.goal_law,
                      mdp.transitions)
    return right(replace(mdp, start=moved / moved.sum()), policy)


def _wrong_reward(right: Callable, mdp: GoalMDP) -> ndarray:
    """Return whether s, not s', achieves the goal."""
    achieved = np.eye(mdp.goals)[np.asarray(mdp.phi)]
    return np.repeat(achieved[:, None], mdp.actions, axis=1)


def _turned(mdp: GoalMDP) -> GoalMDP:
    """Return the world with its transitions transposed, rows made laws."""
    turned = mdp.transitions.transpose(2, 1, 0) + 1e-9
    turned = turned / turned.sum(axis=-1, keepdims=True)
    return replace(mdp, transitions=turned)


def _unlawful_target(right: Callable, mdp: GoalMDP) -> ndarray:
    """Return hard q without the goal law."""
    return goal_reward(mdp) / goal_reward(mdp).sum()


def _long_start(right: Callable, f: FDivergence, mdp: GoalMDP, *more, **rest):
    """Return the action-free dual, its start term without 1 - gamma."""
    _, _, beta, score = more
    start = (np.outer(mdp.start, mdp.goal_law) * score).sum()
    return right(f, mdp, *more, **rest) + beta * mdp.gamma * start


# book/theory/verification.md, section "Would it notice a wrong definition?"
# what is wrong: the function, what stands in, given the function
MUTANTS: dict[str, tuple[Callable, Callable]] = {
    "Z a mean instead of a sum": (log_partition, lambda right, mdp, alpha: (
        right(mdp, alpha) - math.log(
            mdp.states * mdp.actions * mdp.goals))),
    "hard q without the goal law": (hard_goal_transitions, _unlawful_target),
    "reward at s for s'": (goal_reward, _wrong_reward),
    "beta and 1 - beta exchanged": (mix, lambda right, beta, mu, rho: (
        (1 - beta) * np.asarray(mu) + beta * np.asarray(rho))),
    "0.9 times the floor": (
        ratio_floor, lambda right, *given: 0.9 * right(*given)),
    "sum from t = 1": (occupancy, _late_occupancy),
    "discount squared": (occupancy, lambda right, mdp, policy: right(
        replace(mdp, gamma=mdp.gamma**2), policy)),
    "start law ignored": (occupancy, lambda right, mdp, policy: right(
        replace(mdp, start=np.full(mdp.states, 1 / mdp.states)), policy)),
    "policy of the next goal": (occupancy, lambda right, mdp, policy: right(
        mdp, np.roll(policy, 1, axis=1))),
    "transitions transposed": (backup, lambda right, mdp, *given: right(
        _turned(mdp), *given)),
    "y divided by gamma": (state_difference, lambda right, mdp, score: (
        right(mdp, score) / max(mdp.gamma, 0.1))),
    "start term without 1 - gamma": (action_free_objective, _long_start),
    "unmixed without 1 / beta": (
        unmix, lambda right, beta, *given: beta * right(beta, *given)),
    "entropy in bits": (entropy, lambda right, d: right(d) / math.log(2)),
    "constant C' halved": (
        offline_constant, lambda right, *given: right(*given) / 2),
    "alpha 1 in soft q": (
        soft_goal_transitions, lambda right, mdp, alpha: right(mdp, 1.0)),
}


# book/theory/verification.md, section "Would it notice a wrong definition?"
MUTANT_SEED = 0  # its first problem has what every mutant needs


@contextmanager
def plant(name: str) -> Iterator[None]:
    """Put a mutant in the place of its function in all theory modules.

    Args:
        name: one of `MUTANTS`.
    """
    right, stand_in = MUTANTS[name]
    wrong, here = partial(stand_in, right), sys.modules[__name__]
    before = "smore_lit.theory."
    modules = [m for n, m in sys.modules.items() if n.startswith(before)]
    places = [
        (module, key)
        for module in {id(m): m for m in [*modules, here]}.values()
        for key, value in vars(module).copy().items()
        if value is right
    ]
    for module, key in places:
        setattr(module, key, wrong)
    try:
        yield
    finally:
        for module, key in places:
            setattr(module, key, right)
