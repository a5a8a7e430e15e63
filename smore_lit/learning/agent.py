# Generated from book/learning/agent.md by make sync. Edit the chapter, not this file.
"""Agent protocol: say what an agent is.

An algorithm is a configuration, networks, losses and a way to act; everything
else is shared.
"""

__all__ = [
    "PAPER_STEPS",
    "AgentConfig",
    "read_settings",
    "as_setting",
    "list_presets",
    "make_config",
    "Sizes",
    "Networks",
    "Losses",
    "Agent",
    "State",
    "create_state",
    "flatten",
    "bind",
    "update",
    "descend",
    "differentiate",
    "Tensors",
    "tensors_of",
    "fill_gradients",
    "check_names",
    "cosine",
    "AGENT_PACKAGES",
    "list_agents",
    "find_agent",
]


# book/learning/agent.md, section "Agent protocol: say what an agent is"
import copy
import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from smore_lit.running.checkpoints import fill_optimiser
from smore_lit.running.files import as_plain, as_whole
from smore_lit.learning.networks import initialise
from smore_lit.learning.scaling import Scaler
from smore_lit.learning.trajectories import Batch


# book/learning/agent.md, section "The hyperparameters all agents share"
PAPER_STEPS = {"learning_rate": 3e-4, "polyak": 0.005}


@dataclass(frozen=True)
class AgentConfig:
    """Hold the hyperparameters every agent has.

    Raises:
        ValueError: a number out of its range.
    """

    gamma: float = 0.99  # discount of training
    batch_size: int = 512  # transitions of rho, and as many of q, per update
    hidden: tuple[int, ...] = (256, 256)  # widths of hidden layers
    initialiser: str = "orthogonal"  # weights at the start; or xavier
    learning_rate: float = 1e-3  # Adam, all networks
    polyak: float = 0.02  # step of target networks toward networks
    sampler: str = "corrected"  # how goals are drawn; or released
    hindsight: float = 0.8  # share of goals from the episode's own future
    near: bool = False  # q: all transitions that reach the goal, not its own
    ahead: float = 0.8  # least share of draws with a goal still ahead
    future: float = 1.0  # a goal k steps on is drawn like future ** k
    standardise: bool = True  # inputs on the scale of the data
    cosine: bool = True  # the policy's learning rate falls to 0 as it trains

    def __post_init__(self):
        ranges = {
            "gamma": (0.0 <= self.gamma < 1.0, "in [0, 1)"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "hidden": (
                self.hidden and min(self.hidden) >= 1,
                "one or more widths, each 1 or more",
            ),
            "learning_rate": (0.0 < self.learning_rate < 1.0, "in (0, 1)"),
            "polyak": (0.0 < self.polyak <= 1.0, "in (0, 1]"),
            "hindsight": (0.0 <= self.hindsight <= 1.0, "in [0, 1]"),
            "ahead": (0.0 <= self.ahead <= 1.0, "in [0, 1]"),
            "future": (0.0 < self.future <= 1.0, "in (0, 1]"),
        }
        for name, (fits, due) in ranges.items():
            if not fits:
                raise ValueError(
                    f"{name} must be {due}, got {getattr(self, name)}"
                )

    def draws(self, sizes: "Sizes") -> int:
        """Return how many uniforms per sample the losses want as noise."""
        return 0

    def unread(self) -> dict[str, str]:
        """Return the settings that play no part here, and why, by name."""
        return {"near": "a method that does not read q has no near"}


# book/learning/agent.md, section "The hyperparameters all agents share"
def read_settings(agent: "Agent", settings: Mapping[str, Any]) -> dict:
    """Check the names and types of settings of `agent`.

    Lists become tuples, whole numbers become floats where a float is due.

    Raises:
        ValueError: an unknown setting, or a value of the wrong type.
    """
    known = {f.name: f for f in dataclasses.fields(agent.config)}
    values = {}
    for name, value in settings.items():
        if name not in known:
            names = ", ".join(known)
            raise ValueError(
                f"{agent.name} has no setting {name!r}; known: {names}"
            )
        values[name] = as_setting(name, value, type(known[name].default))
    return values


def as_setting(name: str, value: Any, kind: type) -> Any:
    """Return `value` as a setting of this type; ValueError if it is none."""
    found = as_plain(value)
    try:
        if kind is float and type(found) in (int, float):
            return float(found)  # its range is the configuration's affair
        if kind is int:
            return as_whole(name, found, None)
        if kind is tuple and type(found) in (list, tuple):
            return tuple(as_whole(name, part, None) for part in found)
        if type(found) is kind:
            return found
    except ValueError:
        pass
    due = "a list of whole numbers" if kind is tuple else kind.__name__
    raise ValueError(f"{name} must be {due}, got {value!r:.80}")


# book/learning/agent.md, section "The hyperparameters all agents share"
def list_presets(agent: "Agent") -> tuple[str, ...]:
    """Return the names of the presets that `agent` has."""
    return ("shared", *agent.presets)


def make_config(
    agent: "Agent", preset: str = "shared", **settings
) -> AgentConfig:
    """Build the configuration of `agent` with some settings changed.

    Lists become tuples, whole numbers become floats where a float is due.

    Args:
        agent: whose configuration.
        preset: "shared" sets out from the defaults of this book, any other
            from the settings that the agent has under that name.
        settings: what differs from the preset.

    Raises:
        ValueError: an unknown preset or setting, a value of the wrong type
            or range, or one that would change nothing.
    """
    if preset not in list_presets(agent):
        known = ", ".join(list_presets(agent))
        raise ValueError(
            f"{agent.name} has no preset {preset!r}; it has: {known}"
        )
    base = read_settings(agent, agent.presets.get(preset, {}))
    named = read_settings(agent, settings)
    config = agent.config(**base | named)
    for name, reason in config.unread().items():
        due = base.get(name, getattr(agent.config, name))
        if named.get(name, due) != due:
            raise ValueError(reason)
    return config


# book/learning/agent.md, section "The protocol"
class Sizes(NamedTuple):
    """Count the numbers in one observation, one action and one goal."""

    observation: int
    action: int
    goal: int


class Networks(Protocol):
    """Find a network by its name, as a module dictionary does.

    Its type is left open, since networks have methods of their own.
    """

    def __getitem__(self, name: str, /) -> Any: ...


Losses = tuple[dict[str, Tensor], dict[str, Tensor]]


# book/learning/agent.md, section "The protocol"
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
            half a cosine, if the configuration says so; all others keep
            theirs.
        losses: (config, networks, targets, rho, q, updates) -> losses (N,)
            to be minimised and measurements (N,), each by name; the loss
            of a network is called "loss_" and the network's name. `updates`
            is how many were taken so far, int64 of shape ().
        act: (networks, observations, goals) -> actions (N, B, A).
        presets: by name, settings that differ from the defaults, as far
            as the configuration knows them: "paper" for what a paper
            prints, "released" for what the published code does.
    """

    name: str
    config: type[AgentConfig]
    init: Callable[[Any, Sizes, int], nn.ModuleDict]
    targets: tuple[str, ...]
    cosine: tuple[str, ...]
    losses: Callable[
        [Any, nn.ModuleDict, nn.ModuleDict, Batch, Batch, Tensor], Losses
    ]
    act: Callable[[nn.ModuleDict, Tensor, Tensor], Tensor]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# book/learning/agent.md, section "One update for all"
@dataclass
class State:
    """Hold all that an update changes, besides the random generators.

    Fields:
        networks, targets: their parameters are views of the vectors.
        vectors, slow: one vector for each network, one for each target.
        optimiser: Adam on the vectors.
        updates: how many were taken.
    """

    networks: nn.ModuleDict
    targets: nn.ModuleDict
    vectors: dict[str, Tensor]
    slow: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    updates: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return networks, targets, optimiser and number of updates."""
        return {
            "updates": self.updates,
            "networks": self.networks.state_dict(),
            "targets": self.targets.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.networks.load_state_dict(content["networks"])
        self.targets.load_state_dict(content["targets"])
        fill_optimiser(self.optimiser, content["optimiser"])
        self.updates = as_whole("updates", content["updates"])


# book/learning/agent.md, section "One update for all"
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
    networks["scaler"] = Scaler(sizes.observation, sizes.goal)
    networks.to(device)
    targets = {name: copy.deepcopy(networks[name]) for name in agent.targets}
    return bind(networks, nn.ModuleDict(targets).requires_grad_(False))


# book/learning/agent.md, section "One update for all"
def flatten(network: nn.Module) -> Tensor:
    """Lay the parameters of `network` end to end, in place.

    Returns:
        A vector of which each parameter is now a view; zeros fill it up to
        a multiple of 16 numbers.
    """
    parts = list(network.parameters())
    sizes = [part.numel() for part in parts]
    vector = parts[0].new_zeros(sum(sizes) + -sum(sizes) % 16).detach()
    places = vector[: sum(sizes)].split(sizes)
    for part, place in zip(parts, places, strict=True):
        place = place.view_as(part).copy_(part.detach())
        part.data = place
    vector.grad = torch.zeros_like(vector)
    return vector


def bind(networks: nn.ModuleDict, targets: nn.ModuleDict) -> State:
    """Return the state of an optimiser that has not stepped yet."""
    learnt = {k: v for k, v in networks.items() if k != "scaler"}
    vectors = {name: flatten(network) for name, network in learnt.items()}
    slow = {name: flatten(target) for name, target in targets.items()}
    groups = [{"params": [x], "name": name} for name, x in vectors.items()]
    optimiser = torch.optim.Adam(groups, fused=True)
    return State(networks, targets, vectors, slow, optimiser)


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

    Args:
        agent, config: what is trained.
        state: changed in place.
        rho, q: one batch of each, (N, B, ·), on the networks' scale.
        total_updates: length of training, which the cosine needs.

    Returns:
        Losses and measurements by name, each (N,), detached.
    """
    measured = differentiate(agent, config, state, rho, q)
    descend(agent, config, state, total_updates)
    return measured


def descend(
    agent: Agent, config: AgentConfig, state: State, total_updates: int
) -> None:
    """Take the step for which the gradients stand beside the vectors."""
    rate = config.learning_rate
    falls = agent.cosine if config.cosine else ()
    falling = rate * cosine(state.updates, total_updates)
    for group in state.optimiser.param_groups:
        group["lr"] = falling if group["name"] in falls else rate
    state.optimiser.step()
    for name, slow in state.slow.items():
        slow.lerp_(state.vectors[name], config.polyak)
    state.updates += 1


# book/learning/agent.md, section "One update for all"
def differentiate(
    agent: Agent, config: AgentConfig, state: State, rho: Batch, q: Batch
) -> dict[str, Tensor]:
    """Write the gradient of the sum of all losses beside each vector.

    Returns:
        Losses and measurements by name, each (N,), detached.

    Raises:
        ValueError: a loss that is not called after a network.
    """
    return fill_gradients(agent, config, *tensors_of(state), rho, q)


Tensors = tuple[Any, nn.ModuleDict, dict[str, Any], Tensor]


def tensors_of(state: State) -> Tensors:
    """Return networks, targets, gradients by name and the count of updates."""
    gradients = {name: vector.grad for name, vector in state.vectors.items()}
    device = next(iter(state.vectors.values())).device
    updates = torch.full((), state.updates, device=device)
    return state.networks, state.targets, gradients, updates


# book/learning/agent.md, section "One update for all"
def fill_gradients(
    agent: Agent,
    config: AgentConfig,
    networks: nn.ModuleDict,
    targets: nn.ModuleDict,
    gradients: dict[str, Tensor],
    updates: Tensor,
    rho: Batch,
    q: Batch,
) -> dict[str, Tensor]:
    """Do what `differentiate` does, with the tensors of a state."""
    losses, info = agent.losses(config, networks, targets, rho, q, updates)
    check_names(agent, losses, gradients)
    total = torch.stack(list(losses.values())).sum()
    parts = {name: [*networks[name].parameters()] for name in gradients}
    found = iter(
        torch.autograd.grad(
            total,
            [part for network in parts.values() for part in network],
            allow_unused=True,
            materialize_grads=True,
        )
    )
    for name, network in parts.items():
        pieces = [next(found).flatten() for _ in network]
        size = sum(piece.numel() for piece in pieces)
        torch.cat(pieces, out=gradients[name][:size])
    return {name: x.detach() for name, x in {**losses, **info}.items()}


def check_names(
    agent: Agent, losses: Mapping[str, Tensor], networks: Mapping[str, Any]
) -> None:
    """Raise ValueError if a loss is not called loss_<network>."""
    for name in losses:
        if name not in {f"loss_{network}" for network in networks}:
            known = ", ".join(networks)
            raise ValueError(
                f"{agent.name} has a loss {name!r} for no network: call it"
                f" loss_<network>; networks: {known}"
            )


# book/learning/agent.md, section "Slow copies and falling rates"
def cosine(updates: int, total: int) -> float:
    """Return the factor, 1 to 0, on a falling learning rate."""
    progress = min(updates / max(total, 1), 1.0)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


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
