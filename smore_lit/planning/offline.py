# Generated from book/planning/offline.md by make sync. Edit the chapter, not this file.
"""Offline planning: from arrays and a cost to a plan.

Recorded states, actions and next states become a model and a score; a cost
says what is wanted; five planners compete to get it.
"""

__all__ = [
    "PLANNERS",
    "PENALTIES",
    "Method",
    "OfflinePlanner",
    "plan_offline",
    "fit_plans",
    "scaled",
    "fit_planner",
    "list_transitions",
    "Replanner",
    "leave_data",
    "join_points",
    "Attempt",
    "Problem",
    "PROBLEMS",
    "find_problem",
]


# book/planning/offline.md, section "Offline planning: from arrays and a cost to a plan"
import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from smore_lit.learning.trajectories import as_trajectories, find_used
from smore_lit.planning.distances import as_real
from smore_lit.planning.fitting import as_options
from smore_lit.planning.models import ModelNetwork, as_transitions, train_model
from smore_lit.planning.planners import (
    Cost,
    Descent,
    Dynamics,
    Plans,
    Score,
    as_costs,
    check_plans,
    plain_fields,
    shift_plan,
    shoot_plans,
)
from smore_lit.planning.score_matching import (
    ScoreConfig,
    ScoreNetwork,
    train_score,
)
from smore_lit.planning.search import Search, as_seed, search_plans
from smore_lit.running.files import as_path, as_whole


# book/planning/offline.md, section "Five planners"
PLANNERS = ("sgp", "none", "ensemble", "cem", "mppi")
PENALTIES = ("distance", "ensemble")


@dataclass(frozen=True)
class Method:
    """Say how to plan.

    Raises:
        ValueError: an unknown name, or a number out of its range.
    """

    planner: str = "sgp"  # one of PLANNERS
    beta: float = 1.0  # weight of what a plan is charged; none ignores it
    penalty: str = "distance"  # what cem and mppi charge; or ensemble
    descent: Descent = Descent()  # of sgp, none and ensemble
    search: Search = Search()  # of cem and mppi

    def __post_init__(self):
        if self.planner not in PLANNERS:
            known = ", ".join(PLANNERS)
            raise ValueError(
                f"unknown planner {self.planner!r:.40}; known: {known}"
            )
        if self.penalty not in PENALTIES:
            known = ", ".join(PENALTIES)
            raise ValueError(
                f"unknown penalty {self.penalty!r:.40}; known: {known}"
            )
        searches = self.planner in ("cem", "mppi")
        if self.penalty != "distance" and not searches:
            raise ValueError(
                f"the planner {self.planner} has no penalty to choose: only"
                " cem and mppi have"
            )
        kinds = {"descent": Descent, "search": Search}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} must be a {kind.__name__}")
        plain_fields(self)
        if not 0.0 <= self.beta < math.inf:
            raise ValueError(f"beta must be 0 or more, got {self.beta}")


# book/planning/offline.md, section "What a plan is charged"
@dataclass
class OfflinePlanner:
    """Hold what was learned from transitions, and plan with it.

    Fields:
        model: predicts next states, one prediction for each of N members.
        score: of recorded states and actions side by side, one seed.
        points: some of those, (M, n + m).
    """

    model: ModelNetwork
    score: ScoreNetwork
    points: Tensor

    def dynamics(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return the mean prediction (B, n) of all members."""
        return self.model(states, actions).mean(dim=0)

    def guide(self, points: Tensor, scale: float) -> Tensor:
        """Return the score at points of plans, (B, T, n + m)."""
        flat = points.flatten(0, 1).unsqueeze(0)
        return self.score(flat, scale).view_as(points)

    def distance(
        self, states: Tensor, actions: Tensor, scale: float
    ) -> Tensor:
        """Return the smoothed distance of plans to `points`, (B,)."""
        middle, spread = self.score.middle, self.score.spread
        points = torch.cat((states[:, :-1], actions), dim=-1)
        known = (self.points - middle) / spread
        gaps = torch.cdist((points - middle) / spread, known)
        exponents = -0.5 * (gaps / scale).square()
        return -(scale**2) * exponents.logsumexp(dim=-1).sum(dim=-1)

    def disagreement(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return Eq. (disagreement) of this chapter for plans, (B,).

        Raises:
            ValueError: the model has one member.
        """
        before, taken = states[:, :-1].flatten(0, 1), actions.flatten(0, 1)
        found = self.model(before, taken) / self.model.reach
        if len(found) < 2:
            raise ValueError(
                "one model cannot disagree: learn two members or more"
            )
        spread = found.var(dim=0, correction=0).sum(dim=-1)
        return spread.view(actions.shape[:2]).sum(dim=-1)


# book/planning/offline.md, section "What a plan is charged"
def plan_offline(
    known: OfflinePlanner,
    starts,
    actions,
    cost: Cost,
    method: Method,
    seeds: Sequence[int],
) -> Plans:
    """Plan with what was learned.

    Args:
        known: model, score and points.
        starts: states (B, n).
        actions: to begin with, (B, T, m).
        cost: of the task.
        method: which planner, and how.
        seeds: of the noise of cem and mppi, one for each plan.

    Returns:
        The plans, with the costs of the task alone.

    Raises:
        ValueError: sizes or a number of seeds that do not agree, numbers
            that are not finite, or a cost of another shape or, where one
            is needed, without a gradient.
        FloatingPointError: a cost became NaN or infinite.
    """
    starts, actions = fit_plans(known, starts, actions)
    widths = known.score.spread[-actions.shape[-1] :]
    by_members = "ensemble" in (method.planner, method.penalty)

    def charged(x: Tensor, u: Tensor) -> Tensor:
        costs = as_costs(cost(x, u), u)
        if by_members:
            return costs + method.beta * known.disagreement(x, u)
        scale = method.descent.smallest
        return costs + method.beta * known.distance(x, u, scale)

    if method.planner in ("cem", "mppi"):
        asked = charged if method.beta else cost
        weigh = method.planner == "mppi"
        found = search_plans(
            known.dynamics, asked, starts, actions, widths,
            method.search, seeds, weigh,
        )
    else:
        beta = method.beta * (method.planner == "sgp")
        asked = charged if method.planner == "ensemble" else cost
        dynamics, asked, guide = scaled(known, asked, widths)
        how = dataclasses.replace(method.descent, beta=beta)
        start = actions / widths
        found = shoot_plans(dynamics, asked, guide, starts, start, how)
        found.actions = found.actions * widths
    with torch.no_grad():
        costs = as_costs(cost(found.states, found.actions), found.actions)
    return dataclasses.replace(found, costs=costs)


# book/planning/offline.md, section "What a plan is charged"
def fit_plans(
    known: OfflinePlanner, starts, actions
) -> tuple[Tensor, Tensor]:
    """Return starts (B, n) and actions (B, T, m) as the planner needs them.

    Raises:
        ValueError: other sizes than it learned, or what `check_plans`
            refuses.
    """
    starts, actions = check_plans(starts, actions)
    both, n = len(known.score.spread), known.model.reach.numel()
    due, got = (n, both - n), (starts.shape[-1], actions.shape[-1])
    if due != got:
        raise ValueError(
            f"the planner has states of n = {n} and actions of m ="
            f" {both - n} numbers, but starts have {got[0]} and actions"
            f" {got[1]}"
        )
    kind = known.score.spread.dtype
    return starts.to(kind), actions.to(kind)


# book/planning/offline.md, section "What a plan is charged"
def scaled(
    known: OfflinePlanner, cost: Cost, widths: Tensor
) -> tuple[Dynamics, Cost, Score]:
    """Return dynamics, cost and score of actions in units of widths (m,)."""
    m = len(widths)

    def dynamics(x: Tensor, u: Tensor) -> Tensor:
        return known.dynamics(x, u * widths)

    def guide(points: Tensor, scale: float) -> Tensor:
        units = torch.ones_like(points[0, 0])
        units[-m:] = widths
        return known.guide(points * units, scale) * units

    return dynamics, lambda x, u: cost(x, u * widths), guide


# book/planning/offline.md, section "From arrays"
def fit_planner(
    states,
    actions,
    next_states,
    out: Path | str | None = None,
    members: int = 1,
    updates: int = 3_000,
    seed: int = 0,
    model: Mapping[str, Any] | None = None,
    score: Mapping[str, Any] | None = None,
    reference: int = 1_000,
    progress: bool = False,
) -> OfflinePlanner:
    """Learn model and score of recorded transitions.

    Args:
        states, actions, next_states: (M, n), (M, m) and (M, n).
        out: folder for both runs; interrupted ones go on.
        members: how many models, trained apart.
        updates: of each network.
        seed: of weights and batches.
        model, score: fields of `ModelConfig` and `ScoreConfig`.
        reference: how many recorded points distances are taken to.
        progress: show progress bars on standard error.

    Raises:
        ValueError: data or settings that make no sense.
        OSError: `out` cannot be written.
        FloatingPointError: a loss became NaN or infinite.
    """
    seed = as_seed("seed", seed)
    members = as_whole("members", members, 1)
    reference = as_whole("reference", reference, 1)
    x, u, after = as_transitions(states, actions, next_states)
    as_options(ScoreConfig, score or {}, "a score")  # before the model trains
    how: dict[str, Any] = dict(updates=updates, seed=seed, progress=progress)
    here, there = (
        None if out is None else as_path(out) / name
        for name in ("model", "score")
    )
    learned = train_model(
        x, u, after, here, settings=model, seeds=members, **how
    )
    points = torch.cat((x, u), dim=1)
    found = train_score(points, there, settings=score, seeds=1, **how)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(points), generator=generator)[:reference]
    return OfflinePlanner(learned, found, points[rows])


# book/planning/offline.md, section "From arrays"
def list_transitions(episodes) -> tuple[Tensor, Tensor, Tensor]:
    """Return states, actions and next states of episodes, one row each.

    Args:
        episodes: what `as_trajectories` takes, such as a dictionary of
            arrays or the path of a dataset. Padding is left out.

    Raises:
        ValueError: data that are no episodes.
    """
    known = as_trajectories(episodes)
    used = find_used(known)
    before, after = known.observations[:, :-1], known.observations[:, 1:]
    return before[used], known.actions[used], after[used]


# book/planning/offline.md, section "In the world"
@dataclass
class Replanner:
    """Act by planning again at every step (MPC).

    Fields:
        known: what was learned.
        cost: of the task.
        method: which planner, and how it improves what is left of a plan.
        length: steps of a plan.
        first: steps of descent, or moves of a search, for the first plan.
    """

    known: OfflinePlanner
    cost: Cost
    method: Method
    length: int = 10
    first: int = 60
    left: Tensor | None = field(default=None, init=False, repr=False)
    asked: int = field(default=0, init=False, repr=False)

    def plan(self, states) -> Plans:
        """Plan from states (B, n), with what is left of the last plans.

        Raises:
            ValueError: other than (B, n), or not finite, or B has changed.
            FloatingPointError: a cost became NaN or infinite.
        """
        method, both = self.method, len(self.known.score.spread)
        size = self.known.model.reach.numel()
        states = as_real("states", states)
        if states.ndim != 2 or states.shape[1] != size:
            raise ValueError(
                f"states must be (B, n) with n = {size}, got"
                f" {tuple(states.shape)}"
            )
        count = len(states)
        if self.left is None:
            start = torch.zeros(count, self.length, both - size)
            change = dataclasses.replace
            method = change(
                method,
                descent=change(method.descent, steps=self.first),
                search=change(method.search, steps=self.first),
            )
        else:
            start = self.left
        seeds = range(self.asked, self.asked + count)
        found = plan_offline(
            self.known, states, start, self.cost, method, seeds
        )
        self.left, self.asked = shift_plan(found.actions), self.asked + count
        return found

    def __call__(self, states) -> Tensor:
        """Map states (B, n) to actions (B, m), the first of their plans."""
        return self.plan(states).actions[:, 0]


# book/planning/offline.md, section "In the world"
def leave_data(known: OfflinePlanner, states, actions) -> np.ndarray:
    """Tell which states (M, n) and actions (M, m) left the data, (M,).

    They have when the nearest of the planner's recorded points is farther,
    in spreads of the data, than the nearest other is for 99 % of those.

    Raises:
        ValueError: sizes that do not agree, numbers that are not finite,
            or a planner that holds a single point.
    """
    middle, spread = known.score.middle, known.score.spread
    points = join_points(known, states, actions)
    data = (known.points - middle) / spread
    gaps = torch.cdist(data, data).fill_diagonal_(torch.inf).amin(dim=1)
    at = (points - middle) / spread
    far = torch.cdist(at, data).amin(dim=1)
    return (far > gaps.quantile(0.99)).numpy()


# book/planning/offline.md, section "In the world"
def join_points(known: OfflinePlanner, states, actions) -> Tensor:
    """Return states (M, n) and actions (M, m) side by side, as float32.

    Raises:
        ValueError: see `leave_data`.
    """
    x = as_real("states", states).detach().float()
    u = as_real("actions", actions).detach().float()
    both, n = len(known.score.spread), known.model.reach.numel()
    rows = x.shape[0] if x.ndim else 1
    if (x.shape, u.shape) != ((rows, n), (rows, both - n)):
        raise ValueError(
            f"states must be (M, {n}) and actions (M, {both - n}), got"
            f" {tuple(x.shape)} and {tuple(u.shape)}"
        )
    points = torch.cat((x, u), dim=-1)
    if not bool(points.isfinite().all()):
        raise ValueError("states and actions must hold no NaN or infinity")
    if len(known.points) < 2:
        raise ValueError(
            "the planner holds one recorded point, which has no nearest"
            " other: fit it with reference=2 or more"
        )
    return points


# book/planning/offline.md, section "A problem"
@dataclass(frozen=True)
class Attempt:
    """Hold what came of one plan.

    Fields:
        label: which of several goals; empty where there is one.
        model_cost, true_cost: of the task, as planned and as it came.
        outside: share of steps that leave the data, in the world.
        success: whether the task was done, in the world.
        seconds: of processor time, spent on planning.
        planned, real: states as planned and as they came, (T+1, n).
        actions: that were taken, (T, m).
    """

    label: str
    model_cost: float
    true_cost: float
    outside: float
    success: bool
    seconds: float
    planned: Tensor = field(repr=False)
    real: Tensor = field(repr=False)
    actions: Tensor = field(repr=False)


class Problem(Protocol):
    """Describe a problem of offline planning.

    Fields:
        name: how the command line calls it.
        method: the constants chosen for it.
        updates: of each network that it learns.
    """

    name: str
    method: Method
    updates: int

    def learn(
        self,
        seed: int,
        members: int = 1,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> OfflinePlanner:
        """Record data and learn from them, all by one seed."""

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Plan and carry it out, once for each goal."""

    def draw(self, attempt: Attempt) -> list[np.ndarray]:
        """Return pictures (H, W, 3) of a plan and of what came of it."""


# book/planning/offline.md, section "A problem"
PROBLEMS = {
    "cartpole": ("cartpole", "CartPole"),
    "hole": ("pixels", "Hole"),
    "hopper": ("running", "hop"),
    "locomotion": ("running", "Running"),
    "pixels": ("pixels", "Pixels"),
    "pushing": ("pushing", "BoxPushing"),
}


def find_problem(name: str) -> Problem:
    """Return a problem of this book; ValueError if there is none."""
    if name not in PROBLEMS:
        known = ", ".join(PROBLEMS)
        raise ValueError(f"unknown problem {name!r:.40}; known: {known}")
    place, kind = PROBLEMS[name]
    module = importlib.import_module(f"smore_lit.planning.{place}")
    return getattr(module, kind)()
