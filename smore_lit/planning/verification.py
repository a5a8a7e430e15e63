# Generated from book/planning/verification.md by make sync. Edit the chapter, not this file.
"""Verification of planning: check distance, stability, bound, gradients and a learned score at once.

One command draws random data and plans and measures distance, stability,
bound, gradients and a learned score, and a mistake that is planted in the code
is noticed.
"""

__all__ = [
    "Cloud",
    "draw_cloud",
    "measure_distance",
    "measure_valleys",
    "measure_gap",
    "measure_bound",
    "Route",
    "draw_route",
    "gradient_error",
    "measure_shooting",
    "measure_transcription",
    "score_error",
    "measure_learned",
    "BARS",
    "SUMMED",
    "verify_planning",
    "describe_planning",
]


# book/planning/verification.md, section "Verification of planning: check distance, stability, bound, gradients and a learned score at once"
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smore_lit.planning import distances, lipschitz, planners, stability
from smore_lit.planning.cartpole import NARROW, SCORE, record_cartpole
from smore_lit.planning.score_matching import ScoreNetwork, train_score
from smore_lit.running.files import as_whole
from smore_lit.theory.verification import make_row


# book/planning/verification.md, section "Clouds of data"
class Cloud(NamedTuple):
    """Hold points (100, n), data (N, n) and a scale."""

    points: Tensor
    data: Tensor
    scale: float


def draw_cloud(rng: np.random.Generator, kind: int) -> Cloud:
    """Draw a problem; kind 0 repeats data, 1 lays them in one line."""
    rows, columns = int(rng.integers(1, 30)), int(rng.integers(1, 9))
    size = 10 ** rng.uniform(-2, 2)
    data = size * rng.normal(size=(rows, columns))
    if kind == 0:
        data = data[rng.integers(0, rows, rows)]
    if kind == 1:
        data = data[:1] * rng.normal(size=(rows, 1))
    spread = max(float(np.ptp(data, axis=0).max()), 1e-3 * size)
    points = data[rng.integers(0, rows, 100)]
    points = points + spread * rng.normal(size=points.shape)
    scale = spread * float(10 ** rng.uniform(-1.5, 0.3))
    return Cloud(torch.tensor(points), torch.tensor(data), scale)


# book/planning/verification.md, section "Claims as numbers"
def measure_distance(cloud: Cloud) -> dict[str, float]:
    """Compare distance, gradient and curvature with other computations."""
    points, data, scale = cloud
    rows, columns = data.shape
    wide = np.asarray(points, np.longdouble)[:, None] - data.numpy()
    hills = np.exp(-((wide / scale) ** 2).sum(-1) / 2 + _least(wide, scale))
    log_mean = np.log(hills.mean(axis=1)) - _least(wide, scale)[:, 0]
    due = -(scale**2) * (log_mean + np.log(rows))
    log_density = log_mean - columns / 2 * np.log(2 * np.pi * scale**2)
    ours = distances.kernel_log_density(points, data, scale)
    soft = distances.smoothed_distance(points, data, scale)
    hard = ((points[:, None] - data) ** 2).sum(-1).amin(-1) / 2
    slack = 1e-12 * (1 + hard / scale**2) * scale**2
    below = (soft > hard + slack) | (
        hard > soft + scale**2 * np.log(rows) + slack
    )
    free = points.clone().requires_grad_()
    total = distances.smoothed_distance(free, data, scale)
    (slope,) = torch.autograd.grad(total.sum(), free, create_graph=True)
    turns = torch.stack(
        [
            torch.autograd.grad(part.sum(), free, retain_graph=True)[0]
            for part in slope.unbind(-1)
        ],
        dim=-2,
    )
    score = distances.kernel_score(points, data, scale)
    bend = stability.distance_curvature(points, data, scale)
    return {
        "identity": max(_apart(soft, due), _apart(ours, log_density)),
        "sandwich": int(below.sum()),
        "gradient": _apart(-(scale**2) * score, slope.detach()),
        "curvature": _apart(bend, turns),
    }


def _least(wide: np.ndarray, scale: float) -> np.ndarray:
    """Return the smallest exponent of each point, (P, 1)."""
    return (((wide / scale) ** 2).sum(-1) / 2).min(axis=1, keepdims=True)


def _apart(found, due) -> float:
    """Return the largest difference, relative to the largest size."""
    found, due = np.asarray(found, float), np.asarray(due, float)
    return float(np.abs(found - due).max() / (1e-300 + np.abs(due).max()))


# book/planning/verification.md, section "Claims as numbers"
def measure_valleys(cloud: Cloud) -> dict[str, float]:
    """Count steps that go up, and minima beyond sigma sqrt n."""
    points, data, scale = cloud
    before = distances.smoothed_distance(points, data, scale)
    once = stability.shift_mean(points, data, scale)
    after = distances.smoothed_distance(once, data, scale)
    ends = stability.shift_mean(once, data, scale, 80)
    still = (ends - stability.shift_mean(ends, data, scale)).norm(dim=-1)
    bend = stability.distance_curvature(ends, data, scale)
    floor = (still < 1e-7 * scale) & (torch.linalg.eigvalsh(bend)[:, 0] > 0)
    gap = measure_gap(ends, data)
    bound = scale * data.shape[1] ** 0.5 * (1 + 1e-9)
    return {
        "steps up": int((after > before + 1e-10 * (1 + before.abs())).sum()),
        "far minima": int((floor & (gap > bound)).sum()),
        "minima": int(floor.sum()),
    }


def measure_gap(points: Tensor, data: Tensor) -> Tensor:
    """Return how far the nearest datum is, (P,), to the last digits."""
    exact = "donot_use_mm_for_euclid_dist"  # products lose half of them
    return torch.cdist(points, data, compute_mode=exact).amin(dim=-1)


def measure_bound(cloud: Cloud, rng: np.random.Generator) -> dict[str, float]:
    """Count points at which an error exceeds its Lipschitz bound."""
    points, data, scale = cloud
    n = data.shape[1]
    a, b = (torch.tensor(rng.normal(size=(n, n))) for _ in range(2))
    a = a / scale  # the error bends within the scale

    def wrong(z):
        return ((z @ a.mT).sin() @ b.mT).norm(dim=-1)

    steepest = torch.linalg.matrix_norm(a, 2) * torch.linalg.matrix_norm(b, 2)
    at_data = float(wrong(data).max())
    known = scale, float(steepest), at_data
    bound = lipschitz.bound_error(points, data, *known)
    hard = at_data + steepest * measure_gap(points, data)
    slack = 1e-9 * bound + 1e-7 * steepest * scale  # a root of rounding
    late = (wrong(points) > bound + slack) | (hard > bound + slack)
    return {"above the bound": int(late.sum())}


# book/planning/verification.md, section "Claims as numbers"
class Route(NamedTuple):
    """Hold a plan of 4 steps, a model's weights, and data of two kinds."""

    weights: tuple[Tensor, Tensor]
    pairs: Tensor  # of (x, u)
    triples: Tensor  # of (x, u, x')
    states: Tensor
    actions: Tensor
    scale: float

    def model(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the next state."""
        a, b = self.weights
        return (x @ a.mT + u @ b.mT).tanh()

    def far(self, data: Tensor, *parts: Tensor) -> Tensor:
        """Return three times the distance of a plan to data."""
        z = torch.cat(parts, dim=-1)
        return 3 * distances.smoothed_distance(z, data, self.scale).sum()

    def score(self, data: Tensor) -> planners.Score:
        """Return the exact score of data."""
        return lambda at, scale: distances.kernel_score(at, data, scale)


def draw_route(rng: np.random.Generator) -> Route:
    """Draw a plan and what it needs."""
    shapes = (2, 2), (2, 1), (9, 3), (9, 5), (1, 5, 2), (1, 4, 1)
    a, b, pairs, triples, states, actions = (
        torch.tensor(rng.normal(size=shape)) for shape in shapes
    )
    scale = float(rng.uniform(0.4, 2))
    return Route((a, b), pairs, triples, states, actions, scale)


def gradient_error(held: Callable, at: Tensor, objective: Callable) -> float:
    """Return the relative error of the gradient of `held` at a point."""
    free = at.clone().requires_grad_()
    (found,) = torch.autograd.grad(held(free), free)
    due = torch.zeros_like(at)
    for k in range(at.numel()):
        nudge = torch.zeros_like(at)
        nudge.view(-1)[k] = 1e-6
        rise = objective(at + nudge) - objective(at - nudge)
        due.view(-1)[k] = rise / 2e-6
    return float((found - due).norm() / due.norm())


# book/planning/verification.md, section "Claims as numbers"
def measure_shooting(route: Route) -> dict[str, float]:
    """Compare the gradient of shooting with central differences."""

    def along(u):
        x = planners.roll_out(route.model, route.states[:, 0], u)
        return x, x[:, -1].square().sum()

    def held(u):
        x, cost = along(u)
        z = torch.cat((x[:, :-1], u), dim=-1)
        score = route.score(route.pairs)
        return cost + 3 * planners.pull_to_data(z, score, route.scale).sum()

    def objective(u):
        x, cost = along(u)
        return cost + route.far(route.pairs, x[:, :-1], u)

    return {"shooting": gradient_error(held, route.actions, objective)}


def measure_transcription(route: Route) -> dict[str, float]:
    """Compare the gradients of both transcriptions, at the states."""
    pairs, triples, u = route.pairs, route.triples, route.actions

    def held(x, data, model=None):
        given = x, u, route.score(data), route.scale, 3.0, model, 5.0
        return planners.transcription_terms(*given).sum()

    def with_model(x):
        gaps = [x[:, t + 1] - route.model(x[:, t], u[:, t]) for t in range(4)]
        miss = torch.stack(gaps).square().sum()
        return route.far(pairs, x[:, :-1], u) + 5 * miss

    def without(x):
        return route.far(triples, x[:, :-1], u, x[:, 1:])

    return {
        "transcription (a)": gradient_error(
            lambda x: held(x, pairs, route.model), route.states, with_model
        ),
        "transcription (b)": gradient_error(
            lambda x: held(x, triples), route.states, without
        ),
    }


# book/planning/verification.md, section "A learned score"
def score_error(
    score: ScoreNetwork,
    points: Tensor,
    scale: float,
    generator: torch.Generator,
    count: int = 100,
) -> float:
    """Return the error of a learned score at noisy points, as a share.

    Args:
        score: of one seed.
        points: what it was learned from, (M, n).
        scale: sigma, in spreads of the data.
        generator: draws noisy points.
        count: how many of those.

    Eq. (score-error) of the chapter on score matching.
    """
    clean = (points - score.middle) / score.spread
    chosen = torch.randint(len(clean), (count,), generator=generator)
    noise = torch.randn(count, clean.shape[1], generator=generator)
    noisy, known = clean[chosen] + scale * noise, clean.double()
    due = torch.cat([
        distances.kernel_score(part.double(), known, scale)
        for part in noisy.split(50)
    ])
    found = score((noisy * score.spread + score.middle)[None], scale)[0]
    missed = found * score.spread - due
    return float((missed.square().sum() / due.square().sum()).sqrt())


def measure_learned(seed: int, updates: int) -> float:
    """Learn the score of a cart-pole's data; return its largest error."""
    recorded = record_cartpole(NARROW, 400_000, seed)
    points = torch.cat(recorded[:2], dim=1)
    score = train_score(
        points, settings=SCORE, seeds=1, seed=seed, updates=updates
    )
    dice, scales = torch.Generator().manual_seed(seed), (1.0, 0.63, 0.5, 0.4)
    return max(score_error(score, points, s, dice) for s in scales)


# book/planning/verification.md, section "All of it"
BARS = {
    "identity": ("Smoothed distance", "against the log density", 1e-10),
    "sandwich": ("Smoothed distance", "points outside the sandwich", 0),
    "gradient": ("Smoothed distance", "score, by differentiation", 1e-8),
    "curvature": ("Smoothed distance", "curvature, likewise", 1e-8),
    "steps up": ("Data stability", "mean shifts that go up", 0),
    "far minima": ("Data stability", "minima beyond sigma sqrt n", 0),
    "minima": ("Data stability", "minima looked at", None),
    "above the bound": ("Lipschitz bound", "points above it", 0),
    "shooting": ("Gradient of a plan", "shooting", 1e-5),
    "transcription (a)": ("Gradient of a plan", "transcription (a)", 1e-5),
    "transcription (b)": ("Gradient of a plan", "transcription (b)", 1e-5),
}
SUMMED = ("sandwich", "steps up", "far minima", "minima", "above the bound")


# book/planning/verification.md, section "All of it"
def verify_planning(
    problems: int = 50,
    seed: int = 0,
    watch: Callable = iter,
    updates: int = 4_000,
) -> dict:
    """Measure distance, stability, bound, gradients and a learned score.

    Args:
        problems: how many, each with a hundred points and one plan.
        seed: of the problems.
        watch: wraps the list of problems, to show progress.
        updates: of the learned score; 0 leaves it out.

    Returns:
        `problems`, `seed`, `cases` (points), `holds` (whether every bar
        does) and `rows` with name, quantity, value, bar and holds.

    Raises:
        ValueError: a bad count or seed.
    """
    problems = as_whole("problems", problems, 1)
    seed, found = as_whole("seed", seed), []
    for index in watch(range(problems)):
        rng = np.random.default_rng([seed, index])
        cloud, route = draw_cloud(rng, index % 4), draw_route(rng)
        found.append(
            measure_distance(cloud)
            | measure_valleys(cloud)
            | measure_bound(cloud, rng)
            | measure_shooting(route)
            | measure_transcription(route)
        )
    rows = []
    for key, (name, what, bar) in BARS.items():
        values = [each[key] for each in found]
        value = sum(values) if key in SUMMED else float(np.max(values))
        rows.append(make_row(name, what, "all", value, bar))
    if updates:
        told = "Learned score", "largest error of four scales", "cart-pole"
        rows.append(make_row(*told, measure_learned(seed, updates), 0.1))
    return {
        "problems": problems,
        "seed": seed,
        "cases": 100 * problems,
        "holds": all(row["holds"] is not False for row in rows),
        "rows": rows,
    }


# book/planning/verification.md, section "All of it"
def describe_planning(found: dict) -> str:
    """Return the result of `verify_planning` as a table for people."""
    lines, title = [f"{'':33}{'bar':>8}{'value':>10}"], None
    for row in found["rows"]:
        if row["name"] != title:
            title = row["name"]
            lines.append(title)
        whole = isinstance(row["value"], int)
        value = f"{row['value']}" if whole else f"{row['value']:.1e}"
        bar = "" if row["bar"] is None else f"{row['bar']:g}"
        mark = "!" * (row["holds"] is False)
        lines.append(f"  {row['quantity']:31}{bar:>8}{value + mark:>10}")
    failed = sum(row["holds"] is False for row in found["rows"])
    verdict = f"{failed} bars fail" if failed else "all bars hold"
    lines.append(f"{found['cases']} points, {verdict}")
    return "\n".join(lines)
