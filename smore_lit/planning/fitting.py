# Generated from book/planning/fitting.md by make sync. Edit the chapter, not this file.
"""Fitting: train any network on the loop of this package.

What a planner learns from data are networks with one loss; they train as the
agents do.
"""

__all__ = [
    "Fitted",
    "NetworkLearner",
    "as_table",
    "measure_spread",
    "as_options",
    "describe_fit",
    "fit",
]


# book/planning/fitting.md, section "Fitting: train any network on the loop of this package"
import abc
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import cosine
from smore_lit.learning.networks import initialise
from smore_lit.learning.training import library_versions
from smore_lit.planning.distances import as_real
from smore_lit.running.checkpoints import fill_generators, fill_optimiser
from smore_lit.running.files import as_path
from smore_lit.running.identity import digest_code
from smore_lit.running.loop import Schedule, fix_products, hold, run_loop


# book/planning/fitting.md, section "A learner"
@dataclasses.dataclass
class Fitted:
    """Hold what training changes, for one network per seed."""

    network: Any  # a module with methods of its own
    optimiser: torch.optim.Optimizer
    generators: list[torch.Generator]
    updates: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser, generators and number of updates."""
        return {
            "updates": self.updates,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generators": [g.get_state() for g in self.generators],
        }

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.network.load_state_dict(content["network"])
        fill_optimiser(self.optimiser, content["optimiser"])
        fill_generators(self.generators, content["generators"])
        self.updates = int(content["updates"])


# book/planning/fitting.md, section "A learner"
class NetworkLearner(Fitted, abc.ABC):
    """Train one network for each of N seeds by Adam on one loss.

    Args:
        network: parameters lead with N; its weights are filled here.
        rate: learning rate, which falls to 0 along half a cosine.
        schedule: how long, and which seeds.

    A subclass says what the loss is.
    """

    def __init__(self, network: nn.Module, rate: float, schedule: Schedule):
        self.rate, self.schedule = rate, schedule
        self.seeds = schedule.all_seeds
        initialise(network, self.seeds)
        optimiser = torch.optim.Adam(network.parameters(), rate)
        generators = [torch.Generator().manual_seed(s) for s in self.seeds]
        super().__init__(network, optimiser, generators)

    @abc.abstractmethod
    def loss(self) -> Tensor:
        """Draw a batch for each seed; return their losses (N,)."""

    def step(self) -> dict[str, Tensor]:
        """Take one update; return the loss of each seed, (N,)."""
        loss = self.loss()
        falling = cosine(self.updates, self.schedule.updates)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * falling
        self.optimiser.zero_grad()
        loss.sum().backward()
        self.optimiser.step()
        self.updates += 1
        return {"loss": loss.detach()}


# book/planning/fitting.md, section "A learner"
def as_table(name: str, values: Any) -> Tensor:
    """Return numbers to learn from as float32 (M, n), without a gradient.

    Raises:
        ValueError: fewer than two rows, numbers that are not real and
            finite, or a column that varies too little for float32.
    """
    values = as_real(name, values).detach()
    table = values.float()
    if table.ndim != 2 or len(table) < 2 or table.shape[1] == 0:
        raise ValueError(
            f"{name} must be a table (M, n) of two rows or more, got"
            f" {tuple(table.shape)}"
        )
    if not bool(table.isfinite().all()):
        raise ValueError(f"{name} must hold no NaN and no infinity")
    wide = values if values.dtype == torch.float64 else table
    spread, varies = wide.std(dim=0, correction=0), wide != wide[0]
    small = spread < 1e-5 * wide.abs().amax(dim=0)
    lost = varies.any(dim=0) & small
    for column in lost.nonzero().flatten().tolist():
        raise ValueError(
            f"column {column} of {name} varies by less than 1e-5 of its size,"
            " too little for float32: subtract an offset from it first"
        )
    return table


def measure_spread(values: Tensor, name: str) -> Tensor:
    """Return the standard deviations (n,) of values (M, n).

    Raises:
        ValueError: a column of `name` never varies.
    """
    still = (values == values[0]).all(dim=0).nonzero().flatten().tolist()
    if still:
        raise ValueError(
            f"column {still[0]} of {name} never varies: leave it out"
        )
    return values.std(dim=0, correction=0)


# book/planning/fitting.md, section "A run"
def as_options(kind: type, fields: Mapping[str, Any], what: str) -> Any:
    """Return an object of a class of settings with these fields.

    Raises:
        ValueError: an unknown field, or a value out of its range.
    """
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"unknown option of {what}: {error}") from None


# book/planning/fitting.md, section "A run"
def describe_fit(
    learner: NetworkLearner, config: Any, data: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Return what tells this run from any other, as plain values.

    Args:
        learner: before its first update.
        config: a dataclass of settings.
        data: what it learns from, by name.
    """
    plan, digest = learner.schedule, hashlib.sha256()
    for name, tensor in sorted(data.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    known = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(config).items()
    }
    kind = type(learner)
    return {
        "what": kind.__name__,
        "config": known,
        "plan": {"updates": plan.updates, "threads": plan.threads},
        "precision": plan.precision,
        "seeds": list(learner.seeds),
        "data": digest.hexdigest(),
        "code": digest_code({"learner": kind}, [NetworkLearner.__module__]),
        "versions": library_versions(),
    }


# book/planning/fitting.md, section "A run"
def fit(
    make_learner: Callable[[], NetworkLearner],
    config: Any,
    data: Mapping[str, Tensor],
    schedule: Schedule,
    out: Path | str | None = None,
    progress: bool = False,
) -> Any:
    """Train a learner until its schedule ends; return its network.

    Args:
        make_learner: returns one that has taken no update.
        config, data: what describes it, see `describe_fit`.
        schedule: how long, with which products.
        out: folder for config.json, metrics.csv and checkpoint.pt; an
            interrupted run there goes on to the same bits (on CPU).
        progress: show a progress bar on standard error.

    Raises:
        ValueError: a folder of another run.
        OSError: `out` cannot be written.
        FloatingPointError: the loss became NaN or infinite.
    """
    folder = None if out is None else as_path(out)
    with fix_products(schedule):
        learner = make_learner()
        known = describe_fit(learner, config, data)
        with hold(learner, known, folder, schedule.updates) as record:
            run_loop(record, schedule, progress=progress)
    return learner.network.requires_grad_(False)
