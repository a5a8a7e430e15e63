# Generated from book/planning/planners.md by make sync. Edit the chapter, not this file.
"""Score-guided planning (SGP): descend cost and distance together.

A plan is a list of actions that is improved by gradient descent, on the cost
of the task and on the distance to data at once.
"""

__all__ = [
    "Dynamics",
    "Cost",
    "Score",
    "roll_out",
    "pull_to_data",
    "plain_fields",
    "Descent",
    "Plans",
    "shoot_plans",
    "check_plans",
    "as_costs",
    "check_costs",
    "transcription_terms",
    "shift_plan",
]


# book/planning/planners.md, section "Score-guided planning (SGP): descend cost and distance together"
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from smore_lit.planning.distances import as_real
from smore_lit.running.files import (
    as_number,
    as_plain,
    as_whole,
    check_ranges,
)


# book/planning/planners.md, section "The gradient needs the score only"
Dynamics = Callable[[Tensor, Tensor], Tensor]  # (B, n), (B, m) -> (B, n)
Cost = Callable[[Tensor, Tensor], Tensor]  # (B, T+1, n), (B, T, m) -> (B,)
Score = Callable[[Tensor, float], Tensor]  # (B, T, k), scale -> (B, T, k)


def roll_out(dynamics: Dynamics, starts: Tensor, actions: Tensor) -> Tensor:
    """Return the states (B, T+1, n) of actions (B, T, m) from (B, n)."""
    states = [starts]
    for action in actions.unbind(dim=1):
        states.append(dynamics(states[-1], action))
    return torch.stack(states, dim=1)


def pull_to_data(points: Tensor, score: Score, scale: float) -> Tensor:
    r"""Return (B,) whose gradient is that of $\sum_t d_\sigma(z_t)$.

    Args:
        points: of the plans, (B, T, k).
        score: of the data; it is not differentiated.
        scale: sigma, as the score counts it.

    Its value means nothing. Eq. (sgp-surrogate) of this chapter.
    """
    with torch.no_grad():
        slope = -(scale**2) * score(points.detach(), scale)
    return (slope * points).sum(dim=(-2, -1))


# book/planning/planners.md, section "Descend"
def plain_fields(held: Any) -> None:
    """Turn the numbers of a frozen dataclass into Python's own.

    Whole numbers may come as floats, and any from NumPy or torch. What a
    field should be is told by its default.

    Raises:
        ValueError: a field holds something else.
    """
    for entry in fields(held):
        name, kind = entry.name, type(entry.default)
        value = as_plain(getattr(held, name))
        if kind is int:
            value = as_whole(name, value, None)
        elif kind is float and type(value) is not float:
            value = as_number(name, value)
        elif kind is tuple:
            if not isinstance(value, list | tuple):
                due = "must be 1 or more whole numbers, such as (64, 64)"
                raise ValueError(f"{name} {due}, got {value!r:.80}")
            value = tuple(as_whole(name, each, None) for each in value)
        object.__setattr__(held, name, value)


# book/planning/planners.md, section "Descend"
@dataclass(frozen=True)
class Descent:
    """Say how a plan is improved.

    Raises:
        ValueError: a number out of its range.
    """

    steps: int = 300  # of Adam
    rate: float = 1e-2  # its learning rate
    beta: float = 1.0  # weight of the distance; 0 plans without the score
    largest: float = 1.0  # scale at the first step
    smallest: float = 0.1  # at the last, if 2 <= levels <= steps
    levels: int = 10  # of the scale

    def __post_init__(self):
        plain_fields(self)
        ranges = {
            "steps": (self.steps >= 1, "1 or more"),
            "rate": (0.0 < self.rate < math.inf, "positive and finite"),
            "beta": (0.0 <= self.beta < math.inf, "0 or more, and finite"),
            "smallest": (0.0 < self.smallest < math.inf, "positive"),
            "largest": (
                self.smallest <= self.largest < math.inf,
                f"smallest = {self.smallest} or more, and finite",
            ),
            "levels": (self.levels >= 1, "1 or more"),
        }
        check_ranges(self, ranges)

    def scale(self, step: int) -> float:
        """Return the scale at a step, Eq. (annealing-level)."""
        place = step * self.levels // self.steps / max(1, self.levels - 1)
        return self.largest * (self.smallest / self.largest) ** place


# book/planning/planners.md, section "Descend"
@dataclass
class Plans:
    """Hold B plans: states (B, T+1, n), actions (B, T, m) and costs (B,).

    `history` has the costs of the task before each step, (steps, B).
    """

    states: Tensor
    actions: Tensor
    costs: Tensor
    history: Tensor = field(repr=False)


def shoot_plans(
    dynamics: Dynamics,
    cost: Cost,
    score: Score,
    starts: Tensor,
    actions: Tensor,
    descent: Descent,
) -> Plans:
    """Improve plans by single shooting.

    Args:
        dynamics: the model.
        cost: of the task, for each plan.
        score: of recorded states and actions side by side.
        starts: states (B, n).
        actions: to begin with, (B, T, m).
        descent: how.

    Returns:
        The plans after the last step.

    Raises:
        ValueError: shapes that do not agree, no plan or one of no step,
            numbers that are not finite, or a cost without a gradient.
        FloatingPointError: a cost became NaN or infinite.

    Source: Suh et al. (2023).
    """
    starts, actions = check_plans(starts, actions)
    actions = actions.clone().requires_grad_()
    adam = torch.optim.Adam([actions], descent.rate)
    history = []
    for step in range(descent.steps):
        states = roll_out(dynamics, starts, actions)
        costs = check_costs(cost(states, actions), actions, step)
        total = costs
        if descent.beta:
            points = torch.cat((states[:, :-1], actions), dim=-1)
            pull = pull_to_data(points, score, descent.scale(step))
            total = total + descent.beta * pull
        (actions.grad,) = torch.autograd.grad(total.sum(), actions)
        adam.step()
        history.append(costs.detach())
    final = actions.detach()
    states = roll_out(dynamics, starts, final).detach()
    costs = check_costs(cost(states, final), final, descent.steps)
    return Plans(states, final, costs.detach(), torch.stack(history))


# book/planning/planners.md, section "Descend"
def check_plans(starts: Any, actions: Any) -> tuple[Tensor, Tensor]:
    """Return starts (B, n) and actions (B, T, m); ValueError if none."""
    starts = as_real("starts", starts).detach()
    actions = as_real("actions", actions).detach()
    shapes = f"{tuple(starts.shape)} and {tuple(actions.shape)}"
    if starts.ndim != 2 or actions.ndim != 3 or len(starts) != len(actions):
        raise ValueError(
            f"starts must be (B, n) and actions (B, T, m), got {shapes}"
        )
    if len(starts) == 0:
        raise ValueError("there is no plan: starts and actions are empty")
    if actions.shape[1] == 0:
        raise ValueError("a plan needs one step or more, got a horizon of 0")
    if not bool(starts.isfinite().all() and actions.isfinite().all()):
        raise ValueError("starts and actions must hold no NaN or infinity")
    return starts, actions


# book/planning/planners.md, section "Descend"
def as_costs(costs: Any, actions: Tensor) -> Tensor:
    """Return costs (B,) of the kind of actions (B, T, m).

    Raises:
        ValueError: anything else, or costs without a gradient where the
            actions ask for one.
    """
    due, whole = tuple(actions.shape[:1]), isinstance(costs, Tensor)
    if not whole or costs.shape != due or costs.is_complex():
        got = type(costs).__name__
        if whole:
            got = f"{tuple(costs.shape)} of {costs.dtype}"
        reason = f"a cost must return a tensor (B,) = {due}, got {got}"
        raise ValueError(reason)
    if actions.requires_grad and not costs.requires_grad:
        raise ValueError(
            "this cost has no gradient in the plan: use cem or mppi, or"
            " write it with torch alone (no detach, no_grad or NumPy)"
        )
    return costs.to(actions.dtype)


def check_costs(costs: Any, actions: Tensor, step: int) -> Tensor:
    """Return `as_costs`; FloatingPointError if one is NaN or infinite."""
    costs = as_costs(costs, actions)
    if not bool(costs.isfinite().all()):
        raise FloatingPointError(
            f"the cost of a plan is not finite at step {step}: lower the"
            " rate, or look at the model and the cost"
        )
    return costs


# book/planning/planners.md, section "Direct transcription"
def transcription_terms(
    states: Tensor,
    actions: Tensor,
    score: Score,
    scale: float,
    beta: float,
    dynamics: Dynamics | None = None,
    penalty: float = 1.0,
) -> Tensor:
    """Return (B,) whose gradient is that of what (a) or (b) adds to the cost.

    Args:
        states, actions: (B, T+1, n) and (B, T, m), the variables; but
            hold the first state at the start, for nothing here does.
        score: of (x, u) with a model, of (x, u, x') without.
        scale, beta: of the smoothed distance, and its weight.
        dynamics: the model of (a); None takes (b).
        penalty: alpha of (a).
    """
    parts = [states[:, :-1], actions]
    if dynamics is None:
        parts.append(states[:, 1:])
    points = torch.cat(parts, dim=-1)
    total = beta * pull_to_data(points, score, scale)
    if dynamics is not None:
        before = states[:, :-1].flatten(0, 1)
        after = dynamics(before, actions.flatten(0, 1))
        gap = states[:, 1:] - after.view_as(states[:, 1:])
        total = total + penalty * gap.square().sum(dim=(-2, -1))
    return total


# book/planning/planners.md, section "Plan again at every step"
def shift_plan(actions: Tensor) -> Tensor:
    """Return actions (B, T, m) one step on, the last one repeated."""
    return torch.cat((actions[:, 1:], actions[:, -1:]), dim=1)
