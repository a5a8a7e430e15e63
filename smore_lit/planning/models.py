# Generated from book/planning/models.md by make sync. Edit the chapter, not this file.
"""Learned dynamics: predict the next state.

A model is a network that predicts how the state changes; several of them,
trained apart, are an ensemble.
"""

__all__ = [
    "ModelConfig",
    "ModelNetwork",
    "first_member",
    "as_transitions",
    "ModelLearner",
    "train_model",
]


# book/planning/models.md, section "Learned dynamics: predict the next state"
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smore_lit.learning.networks import MLP
from smore_lit.planning.fitting import (
    NetworkLearner,
    as_options,
    as_table,
    fit,
    measure_spread,
)
from smore_lit.planning.planners import plain_fields
from smore_lit.running.files import check_ranges
from smore_lit.running.loop import Schedule


# book/planning/models.md, section "A network for the change"
@dataclass(frozen=True)
class ModelConfig:
    """Hold what shapes a model and its training.

    Raises:
        ValueError: a number out of its range.
    """

    hidden: tuple[int, ...] = (128, 128, 128)  # widths of hidden layers
    batch_size: int = 1024  # transitions per update
    learning_rate: float = 1e-3  # Adam; falls to 0 along half a cosine

    def __post_init__(self):
        plain_fields(self)
        ranges = {
            "hidden": (self.hidden and min(self.hidden) >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "learning_rate": (0.0 < self.learning_rate < 1.0, "in (0, 1)"),
        }
        check_ranges(self, ranges)


# book/planning/models.md, section "A network for the change"
class ModelNetwork(nn.Module):
    """Predict the next state, one network for each of N members.

    Args:
        seeds: N.
        states, actions: n and m, how many numbers each has.
        config: widths.

    Source: Eq. (model-network) of this chapter.
    """

    middle: Tensor
    spread: Tensor
    drift: Tensor
    reach: Tensor

    def __init__(
        self, seeds: int, states: int, actions: int, config: ModelConfig
    ):
        super().__init__()
        widths = (states + actions, *config.hidden, states)
        self.network = MLP((seeds,), widths, activation=nn.functional.silu)
        self.register_buffer("middle", torch.zeros(states + actions))
        self.register_buffer("spread", torch.ones(states + actions))
        self.register_buffer("drift", torch.zeros(states))
        self.register_buffer("reach", torch.ones(states))

    def settle(self, points: Tensor, change: Tensor) -> None:
        """Take the scale of inputs and changes; ValueError if none."""
        n = change.shape[1]
        self.middle.copy_(points.mean(dim=0))
        states, actions = points[:, :n], points[:, n:]
        parts = (states, "states"), (actions, "actions")
        self.spread.copy_(torch.cat([measure_spread(*p) for p in parts]))
        self.drift.copy_(change.mean(dim=0))
        self.reach.copy_(measure_spread(change, "the change of states"))

    def change(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return the standardised change (N, B, n)."""
        points = torch.cat((states, actions), dim=-1)
        return self.network((points - self.middle) / self.spread)

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Map (N, B, n) and (N, B, m), or one for all N, to (N, B, n)."""
        change = self.change(states, actions)
        return states + self.drift + self.reach * change


# book/planning/models.md, section "A network for the change"
def first_member(model: ModelNetwork) -> ModelNetwork:
    """Return a copy that holds the first member only."""
    alone = copy.deepcopy(model)
    alone.network.lead = (1,)
    for parameter in alone.parameters():
        parameter.data = parameter.data[:1].clone()
    return alone


# book/planning/models.md, section "Training"
def as_transitions(states, actions, next_states) -> tuple[Tensor, ...]:
    """Return states (M, n), actions (M, m) and next states, as float32.

    Raises:
        ValueError: shapes that do not agree, or what `as_table` refuses.
    """
    named = dict(states=states, actions=actions, next_states=next_states)
    found = {name: as_table(name, part) for name, part in named.items()}
    x, u, after = found.values()
    if not len(x) == len(u) == len(after) or x.shape != after.shape:
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in found.items())
        raise ValueError(f"these are no transitions: {shapes}")
    return x, u, after


# book/planning/models.md, section "Training"
class ModelLearner(NetworkLearner):
    """Learn the dynamics in transitions, one network per member."""

    def __init__(
        self,
        transitions: tuple[Tensor, ...],
        config: ModelConfig,
        schedule: Schedule,
        network: type[ModelNetwork] = ModelNetwork,
    ):
        self.x, self.u, after = transitions
        self.batch_size = config.batch_size
        sizes = self.x.shape[1], self.u.shape[1]
        net = network(schedule.seeds, *sizes, config)
        points, change = torch.cat((self.x, self.u), dim=1), after - self.x
        net.settle(points, change)
        self.due = (change - net.drift) / net.reach
        super().__init__(net, config.learning_rate, schedule)

    def loss(self) -> Tensor:
        """Draw transitions for each member; return the losses (N,)."""
        size, count = (self.batch_size,), len(self.x)
        rows = torch.stack(
            [torch.randint(count, size, generator=g) for g in self.generators]
        )
        found = self.network.change(self.x[rows], self.u[rows])
        return (found - self.due[rows]).square().mean(dim=(1, 2))


# book/planning/models.md, section "Training"
def train_model(
    states,
    actions,
    next_states,
    out: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
    network: type[ModelNetwork] = ModelNetwork,
    **schedule,
) -> ModelNetwork:
    """Learn the dynamics in recorded transitions.

    Args:
        states, actions, next_states: (M, n), (M, m) and (M, n).
        out: folder of the run, see `fit`.
        settings: fields of `ModelConfig` that differ from its defaults.
        progress: show a progress bar on standard error.
        network: what learns, built as `ModelNetwork` is.
        schedule: fields of `Schedule`; its seeds are the members.

    Returns:
        The network: network(states, actions) is (N, B, n).

    Raises:
        ValueError: data, settings or a schedule that make no sense, or a
            folder of another run.
        OSError: `out` cannot be written.
        FloatingPointError: the loss became NaN or infinite.
    """
    config = as_options(ModelConfig, settings or {}, "a model")
    planned = as_options(Schedule, schedule, "a model")
    found = as_transitions(states, actions, next_states)
    data = dict(zip(("states", "actions", "next_states"), found, strict=True))
    return fit(
        lambda: ModelLearner(found, config, planned, network),
        config, data, planned, out, progress,
    )
