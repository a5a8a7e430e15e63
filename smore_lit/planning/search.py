# Generated from book/planning/search.md by make sync. Edit the chapter, not this file.
"""CEM and MPPI: plan without gradients.

Draw many plans around the present one, see what they cost, and move to the
cheap ones.
"""

__all__ = [
    "Search",
    "draw_plans",
    "cost_plans",
    "search_plans",
    "move_to_elites",
    "move_by_weights",
]


# book/planning/search.md, section "CEM and MPPI: plan without gradients"
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smore_lit.planning.planners import (
    Cost,
    Dynamics,
    Plans,
    check_costs,
    check_plans,
    roll_out,
)
from smore_lit.running.files import check_ranges


# book/planning/search.md, section "What both share"
@dataclass(frozen=True)
class Search:
    """Say how plans are searched.

    Raises:
        ValueError: a number out of its range.
    """

    steps: int = 60  # moves of the mean
    samples: int = 128  # K, plans drawn for each
    elites: int = 12  # of CEM: how many of them are kept
    temperature: float = 1.0  # lambda of MPPI, in units of the cost

    def __post_init__(self):
        ranges = {
            "steps": (self.steps >= 1, "1 or more"),
            "samples": (self.samples >= 2, "2 or more"),
            "elites": (
                2 <= self.elites <= self.samples,
                f"2 to samples = {self.samples}",
            ),
            "temperature": (0.0 < self.temperature < math.inf, "positive"),
        }
        check_ranges(self, ranges)


# book/planning/search.md, section "What both share"
def draw_plans(
    means: Tensor, widths: Tensor, count: int, generators
) -> Tensor:
    """Draw plans (B, K, T, m) around means (B, T, m), widths alike.

    Each of the B plans has a generator of its own.
    """
    shape = count, *means.shape[1:]
    kind = means.dtype
    noise = [torch.randn(shape, generator=g, dtype=kind) for g in generators]
    return means.unsqueeze(1) + widths.unsqueeze(1) * torch.stack(noise)


def cost_plans(
    dynamics: Dynamics, cost: Cost, starts: Tensor, drawn: Tensor
) -> Tensor:
    """Return the costs (B, K) of plans (B, K, T, m); NaN counts as inf."""
    actions = drawn.flatten(0, 1)
    states = roll_out(
        dynamics, starts.repeat_interleave(drawn.shape[1], dim=0), actions
    )
    costs = cost(states, actions).view(drawn.shape[:2])
    return costs.nan_to_num(nan=math.inf, posinf=math.inf)


# book/planning/search.md, section "Path integrals"
def search_plans(
    dynamics: Dynamics,
    cost: Cost,
    starts: Tensor,
    actions: Tensor,
    widths: Tensor,
    how: Search,
    seeds: Sequence[int],
    weigh: bool = False,
) -> Plans:
    """Improve plans by CEM, or by MPPI.

    Args:
        dynamics, cost, starts, actions: as for `shoot_plans`.
        widths: standard deviations of the noise of each action, (m,).
        how: samples, elites, temperature.
        seeds: one for each of the B plans.
        weigh: weigh all plans (MPPI); else keep the elites (CEM).

    Returns:
        The mean plans after the last step.

    Raises:
        ValueError: shapes that do not agree, a plan of no step, or numbers
            that are not finite.
        FloatingPointError: all plans of a draw, or the last mean, have
            costs that are NaN or infinite.

    Source: Rubinstein (1999); Williams et al. (2017), Eq. (mppi-update).
    """
    check_plans(starts, actions)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    means, history = actions.detach(), []
    spreads = widths.to(means).expand_as(means)
    move = move_by_weights if weigh else move_to_elites
    with torch.no_grad():
        for step in range(how.steps):
            drawn = draw_plans(means, spreads, how.samples, generators)
            costs = cost_plans(dynamics, cost, starts, drawn)
            history.append(check_costs(costs.amin(dim=1), step))
            means, spreads = move(means, spreads, drawn, costs, how)
        states = roll_out(dynamics, starts, means)
        costs = check_costs(cost(states, means), how.steps)
    return Plans(states, means, costs, torch.stack(history))


# book/planning/search.md, section "Path integrals"
def move_to_elites(
    means: Tensor, widths: Tensor, drawn: Tensor, costs: Tensor, how: Search
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the cheapest plans, both (B, T, m)."""
    best = costs.topk(how.elites, dim=1, largest=False).indices
    kept = drawn.take_along_dim(best[:, :, None, None], dim=1)
    return kept.mean(dim=1), kept.std(dim=1, correction=0)


def move_by_weights(
    means: Tensor, widths: Tensor, drawn: Tensor, costs: Tensor, how: Search
) -> tuple[Tensor, Tensor]:
    """Return the mean of all plans by Eq. (mppi-update), and the widths."""
    noise = drawn - means.unsqueeze(1)
    lean = (means / widths.square()).unsqueeze(1) * noise
    weights = (-costs / how.temperature - lean.sum(dim=(-2, -1))).softmax(1)
    return means + (weights[:, :, None, None] * noise).sum(dim=1), widths
