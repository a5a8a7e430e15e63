# Generated from book/theory/verification.md by make sync. Edit the chapter, not this file.
"""Check the whole part at once.

One command draws random worlds and asks every theorem, proposition and
conjugate of this part how far off it is.
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
    "draw_problems",
    "check_fixed_policy",
    "check_best_policy",
    "ALPHAS",
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
]


# book/theory/verification.md, section "Check the whole part at once"
import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
import torch
from numpy import ndarray


# book/theory/verification.md, section "Check the whole part at once"
from smore_lit.theory.action_free import (
    ActionFreeSolution,
    action_free_objective,
    solve_action_free,
    solve_matching,
)
from smore_lit.theory.divergences import (
    DIVERGENCES,
    FDivergence,
    find_divergence,
)
from smore_lit.theory.duality import (
    Problem,
    bellman_difference,
    dual_objective,
    matching_value,
    random_problem,
    solve_dual,
    solve_score,
)
from smore_lit.theory.goal_transitions import (
    entropy_return,
    log_partition,
    soft_goal_transitions,
)
from smore_lit.theory.mixtures import mix, mixture_bound_gap
from smore_lit.theory.occupancies import (
    flow_residual,
    occupancy,
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
    return float(abs(Decimal(value) - exact) / max(1, abs(exact)))


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


# book/theory/verification.md, section "Theorem 1, for the policy at hand"
def draw_problems(problems: int, seed: int) -> list[Problem]:
    """Return random problems, each from a generator of its own.

    Args:
        problems: how many, at least 1.
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
    return [
        random_problem(np.random.default_rng([seed, i]))
        for i in range(problems)
    ]


# book/theory/verification.md, section "Theorem 1, for the policy at hand"
def check_fixed_policy(
    divergence: FDivergence, problem: Problem, rng: np.random.Generator
) -> dict[str, float]:
    """Measure Theorem 1 on one problem.

    Args:
        divergence: f.
        problem: world, policy, data, q and beta.
        rng: draws the scores for weak duality.

    Returns:
        `gap`, relative; `flow` and `weak`, violations.

    Source: Theorem 1 of Sikchi et al. (2024).
    """
    p = problem
    given = divergence, p.mdp, p.policy, p.rho, p.q, p.beta
    primal, found = matching_value(*given), solve_dual(*given)
    flow = flow_residual(p.mdp, p.policy, found.occupancy)
    least = math.inf
    for size in np.geomspace(1e-3, 3, 10):
        score = size * rng.normal(size=p.q.shape)
        least = min(least, dual_objective(*given, score))
    return {
        "gap": abs(found.value - primal) / abs(primal),
        "flow": float(np.abs(flow).max()),
        "weak": max(0.0, primal - least),
    }


# book/theory/verification.md, section "Theorem 2, for the best policy"
def _best_rows(
    problem: Problem, best: float, right: ActionFreeSolution
) -> dict[str, float]:
    """Return what the corrected solution leaves open."""
    flow = state_flow_residual(problem.mdp, right.occupancy)
    return {
        "gap": abs(right.value - best),
        "own gap": abs(right.gap),
        "flow": float(np.abs(flow).max()),
        "below 0": max(0.0, -right.smallest),
    }


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
        one.

    Source: Theorem 2 of Sikchi et al. (2024), clamp corrected.
    """
    p = problem
    given = divergence, p.mdp, p.rho, p.q, p.beta
    best = solve_matching(*given).value
    right = solve_action_free(*given)
    wrong = solve_action_free(*given, corrected=False)
    shape, weak = (p.mdp.states, p.mdp.goals), 0.0
    for size in np.geomspace(1e-3, 3, 10):
        score = size * rng.normal(size=shape)
        weak = max(weak, best - action_free_objective(*given, score))
    return {
        "value": best,
        **_best_rows(p, best, right),
        "weak": float(weak),
        "excess": wrong.value - best,
        "least d": wrong.smallest,
    }


# book/theory/verification.md, section "The two propositions"
ALPHAS = (0.5, 2.0, 8.0)


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
    "t1.gap": ("Theorem 1", "relative gap", 1e-8),
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
    alpha = ALPHAS[index % len(ALPHAS)]
    for order, (name, f) in enumerate(DIVERGENCES.items()):
        rng = np.random.default_rng([seed, index, order])
        record = {"problem": index, "divergence": name, "beta": p.beta}
        record |= {"gamma": p.mdp.gamma, "alpha": alpha}
        one = "gap,flow,weak"
        two = "value,gap,own gap,flow,below 0,weak,excess,least d"
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
    share = max(r["t2.excess"] / abs(r["t2.value"]) for r in rows)
    return [
        make_row(title, "problems above primal", name, broken),
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
        `problems`, `seed`, `holds` (whether every bar does), `rows` with
        name, quantity, divergence, value, bar and holds, and `records`,
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
    lines, names = {}, list(DIVERGENCES)
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
        text.append(f"  {what:{width - 2}}{bar:>6}{cells}".rstrip())
    bars = [row["holds"] for row in found["rows"] if row["bar"] is not None]
    failed = bars.count(False)
    verdict = f"{failed} of {len(bars)} bars fail" if failed else (
        f"all {len(bars)} bars hold")
    return "\n".join([*text, f"{found['problems']} problems, {verdict}"])


# book/theory/verification.md, section "All of it"
ORDER = (
    "Conjugates",
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
