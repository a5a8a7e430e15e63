# Generated from book/learning/agent.md by make sync. Edit the chapter, not this file.
"""Say what an agent is.

An algorithm is a configuration, networks, losses and a way to act; everything
else is shared.
"""

__all__ = [
    "AgentConfig",
    "Sizes",
    "make_config",
    "Losses",
    "Agent",
    "State",
    "create_state",
    "update",
    "move",
    "AGENT_PACKAGES",
    "list_agents",
    "find_agent",
]


# book/learning/agent.md, section "Say what an agent is"
import copy
import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from smore_lit.learning.networks import initialise
from smore_lit.learning.trajectories import Batch


# book/learning/agent.md, section "The hyperparameters all agents share"
@dataclass(frozen=True)
class AgentConfig:
    """Hold the hyperparameters every agent has."""

    gamma: float = 0.99  # discount of training
    batch_size: int = 512  # transitions of rho, and as many of q, per update
    hidden: tuple[int, ...] = (256, 256)  # widths of hidden layers
    initialiser: str = "orthogonal"  # weights at the start; or xavier
    learning_rate: float = 3e-4  # Adam, all networks
    polyak: float = 0.005  # step of target networks toward networks
    sampler: str = "corrected"  # how goals are drawn; or released
    hindsight: float = 0.8  # share of goals from the episode's own future

    def __post_init__(self):
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"gamma must lie in [0, 1), got {self.gamma}")
        if not 0.0 < self.polyak <= 1.0:
            raise ValueError(f"polyak must lie in (0, 1], got {self.polyak}")
        if not self.learning_rate > 0.0:
            raise ValueError(
                f"learning_rate must be positive, got {self.learning_rate}"
            )
        if self.batch_size < 1 or not self.hidden or min(self.hidden) < 1:
            raise ValueError("batch_size and every width in hidden must be 1 or more")


# book/learning/agent.md, section "The hyperparameters all agents share"
class Sizes(NamedTuple):
    """Count the numbers in one observation, one action and one goal."""

    observation: int
    action: int
    goal: int


# book/learning/agent.md, section "The hyperparameters all agents share"
def make_config(agent: "Agent", **settings) -> AgentConfig:
    """Build the configuration of `agent` with some settings changed.

    Lists become tuples, whole numbers become floats where a float is due.

    Raises:
        ValueError: an unknown setting, or a value of the wrong type or range.
    """
    known = {f.name: f for f in dataclasses.fields(agent.config)}
    values = {}
    for name, value in settings.items():
        if name not in known:
            raise ValueError(
                f"{agent.name} has no setting {name!r}; known: {', '.join(known)}"
            )
        kind = type(known[name].default)
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple and isinstance(value, list):
            value = tuple(value)
        if type(value) is not kind:
            raise ValueError(f"{name} must be {kind.__name__}, got {value!r}")
        values[name] = value
    return agent.config(**values)


# book/learning/agent.md, section "The protocol"
Losses = tuple[dict[str, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Agent:
    """Describe an algorithm.

    Fields:
        name: how the command line and result files call it.
        config: a frozen dataclass of hyperparameters, an `AgentConfig`.
        init: (config, sizes, seeds) -> networks; a module dictionary whose
            parameters lead with the seed axis; weights are filled later.
        targets: names of the networks that have a slow target copy.
        cosine: names of the networks whose learning rate falls to 0 along
            half a cosine; all others keep theirs.
        losses: (config, networks, targets, rho, q) -> losses (N,) to be
            minimised, by name, and measurements (N,), by name.
        act: (networks, observations, goals) -> actions (N, B, A).
    """

    name: str
    config: type[AgentConfig]
    init: Callable[[Any, Sizes, int], nn.ModuleDict]
    targets: tuple[str, ...]
    cosine: tuple[str, ...]
    losses: Callable[[Any, nn.ModuleDict, nn.ModuleDict, Batch, Batch], Losses]
    act: Callable[[nn.ModuleDict, Tensor, Tensor], Tensor]


# book/learning/agent.md, section "One update for all"
@dataclass
class State:
    """Hold all that an update changes, besides the random generators."""

    networks: nn.ModuleDict
    targets: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    updates: int = 0


def create_state(
    agent: Agent,
    config: AgentConfig,
    sizes: Sizes,
    seeds: Sequence[int],
    device: str | torch.device = "cpu",
) -> State:
    """Build networks, targets and optimiser for `seeds`, ready to train.

    Raises:
        ValueError: no seed, or an unknown initialiser.
    """
    if not len(seeds):
        raise ValueError("at least one seed is needed")
    networks = agent.init(config, sizes, len(seeds))
    initialise(networks, seeds, config.initialiser)
    networks.to(device)
    targets = nn.ModuleDict({k: copy.deepcopy(networks[k]) for k in agent.targets})
    targets.requires_grad_(False)
    groups = [
        {"params": list(network.parameters()), "name": name}
        for name, network in networks.items()
    ]
    optimiser = torch.optim.Adam(groups, lr=config.learning_rate, foreach=True)
    return State(networks, targets, optimiser)


# book/learning/agent.md, section "One update for all"
def update(
    agent: Agent,
    config: AgentConfig,
    state: State,
    rho: Batch,
    q: Batch,
    total_updates: int,
) -> dict[str, Tensor]:
    """Take one optimisation step on all losses of all seeds at once.

    The sum over seeds of per-seed losses has, for the parameters of one seed,
    the gradient of that seed's loss alone: seeds never mix.

    Returns:
        Losses and measurements by name, each (N,), detached.
    """
    progress = min(state.updates / max(total_updates, 1), 1.0)
    for group in state.optimiser.param_groups:
        if group["name"] in agent.cosine:
            decay = 0.5 * (1.0 + math.cos(math.pi * progress))
            group["lr"] = config.learning_rate * decay
    losses, info = agent.losses(config, state.networks, state.targets, rho, q)
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    state.optimiser.step()
    for name, target in state.targets.items():
        move(target, state.networks[name], config.polyak)
    state.updates += 1
    return {name: value.detach() for name, value in {**losses, **info}.items()}


@torch.no_grad()
def move(target: nn.Module, network: nn.Module, step: float) -> None:
    """Move each parameter of `target` the fraction `step` toward `network`."""
    old, new = list(target.parameters()), list(network.parameters())
    torch._foreach_lerp_(old, new, step)


# book/learning/agent.md, section "Finding an agent by its name"
AGENT_PACKAGES = ("smore_lit.learning", "smore_lit.baselines")


def list_agents() -> dict[str, Agent]:
    """Return every `Agent` defined in the package, by name."""
    found = {}
    for package in AGENT_PACKAGES:
        try:
            path = importlib.import_module(package).__path__
        except ModuleNotFoundError:
            continue
        for entry in pkgutil.iter_modules(path):
            module = importlib.import_module(f"{package}.{entry.name}")
            for value in vars(module).values():
                if isinstance(value, Agent):
                    found[value.name] = value
    return found


def find_agent(name: str | Agent) -> Agent:
    """Return the agent called `name`; an `Agent` is returned as it is.

    Raises:
        ValueError: no agent of that name.
    """
    if isinstance(name, Agent):
        return name
    agents = list_agents()
    if name not in agents:
        known = ", ".join(sorted(agents))
        raise ValueError(f"unknown algorithm {name!r}; known: {known}")
    return agents[name]
