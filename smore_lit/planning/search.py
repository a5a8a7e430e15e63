# Generated from book/planning/search.md by make sync. Edit the chapter, not this file.
"""CEM and MPPI: plan without gradients.

Draw many plans around the present one, see what they cost, and move to the
cheap ones.
"""

__all__ = [
    "Search",
    "draw_plans",
    "cost_plans",
    "seed_plans",
    "as_seed",
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
    as_costs,
    check_costs,
    check_plans,
    plain_fields,
    roll_out,
)
from smore_lit.running.files import as_whole, check_ranges


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
        plain_fields(self)
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
    costs = as_costs(cost(states, actions), actions).view(drawn.shape[:2])
    return costs.nan_to_num(nan=math.inf, posinf=math.inf)


# book/planning/search.md, section "What both share"
def seed_plans(seeds: Sequence[int], count: int) -> list[torch.Generator]:
    """Return a generator for each of `count` plans.

    Raises:
        ValueError: seeds that are no whole numbers, or not one per plan.
    """
    reason = f"seeds must be a list of {count}, one for each plan"
    try:
        listed = [as_seed("a seed", seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"{reason}, got {seeds!r:.80}") from None
    if len(listed) != count:
        raise ValueError(f"{reason}, got {len(listed)}")
    return [torch.Generator().manual_seed(seed) for seed in listed]


def as_seed(name: str, value) -> int:
    """Return a seed as an integer, 0 or more and below 2^63."""
    seed = as_whole(name, value)
    if seed >= 2**63:
        raise ValueError(f"{name} must be below 2^63, got {seed}")
    return seed


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
        ValueError: shapes or a number of seeds that do not agree, no plan
            or one of no step, or numbers that are not finite.
        FloatingPointError: all plans of a draw, or the last mean, have
            costs that are NaN or infinite.

    Source: Rubinstein (1999); Williams et al. (2017), Eq. (mppi-update).
    """
    starts, means = check_plans(starts, actions)
    generators, history = seed_plans(seeds, len(means)), []
    spreads = widths.to(means).expand_as(means)
    move = move_by_weights if weigh else move_to_elites
    with torch.no_grad():
        for step in range(how.steps):
            drawn = draw_plans(means, spreads, how.samples, generators)
            costs = cost_plans(dynamics, cost, starts, drawn)
            history.append(check_costs(costs.amin(dim=1), means, step))
            means, spreads = move(means, spreads, drawn, costs, how)
        states = roll_out(dynamics, starts, means)
        costs = check_costs(cost(states, means), means, how.steps)
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
