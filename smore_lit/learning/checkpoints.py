# Generated from book/learning/checkpoints.md by make sync. Edit the chapter, not this file.
"""Save a run so that it can go on.

Networks, targets, optimiser, generators and step, in one file that runs no
code when opened.
"""

__all__ = [
    "FORMAT",
    "save_checkpoint",
    "describe",
    "check_archive",
    "find_tensors",
    "read_checkpoint",
    "MISFITS",
    "restore",
    "last_line",
    "Policy",
    "check_input",
    "load_policy",
    "DESCRIPTION",
    "save_policy",
    "Actor",
    "trace_policy",
]


# book/learning/checkpoints.md, section "Save a run so that it can go on"
import copy
import dataclasses
import io
import textwrap
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    State,
    find_agent,
    read_settings,
)
from smore_lit.running.files import (
    as_path,
    as_plain,
    check_shape,
    write_atomic,
)
from smore_lit.learning.scaling import Scaler


# book/learning/checkpoints.md, section "What a run remembers"
FORMAT = "smore_lit checkpoint 1"


def save_checkpoint(
    path: Path | str,
    state: State,
    generators: Sequence[torch.Generator],
    description: dict,
) -> None:
    """Write everything that continuing a run needs, atomically.

    Args:
        path: the file.
        state: networks, targets, optimiser and number of updates.
        generators: one for each seed.
        description: plain values that say which run this is.

    Raises:
        OSError: the file cannot be written; an older one stands untouched.
    """
    content = {
        "format": FORMAT,
        "description": description,
        "updates": state.updates,
        "networks": state.networks.state_dict(),
        "targets": state.targets.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "generators": [g.get_state() for g in generators],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


# book/learning/checkpoints.md, section "What a run remembers"
def describe(
    agent: Agent,
    config: AgentConfig,
    sizes: Sizes,
    seeds: Sequence[int],
    **more,
) -> dict:
    """Return the plain values from which `load_policy` rebuilds the networks.

    Tuples become lists, so that the values survive JSON unchanged.
    """
    settings = dataclasses.asdict(config)
    return {
        "algorithm": agent.name,
        "config": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in settings.items()
        },
        "sizes": list(sizes),
        "seeds": list(seeds),
        **more,
    }


# book/learning/checkpoints.md, section "Open it without trusting it"
def check_archive(path: Path) -> int:
    """Return the size of an archive in bytes; refuse one that claims more.

    Raises:
        ValueError: one that unfolds, or has a part with a wrong checksum.
        zipfile.BadZipFile: not a whole archive.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > size:
            raise ValueError(f"it claims {claimed} bytes in a file of {size}")
        if broken := archive.testzip():
            raise ValueError(f"the checksum of {broken} is wrong")
    return size


def find_tensors(content) -> Iterator[Tensor]:
    """Yield every tensor in nested dictionaries, lists and tuples."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from find_tensors(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from find_tensors(value)


# book/learning/checkpoints.md, section "Open it without trusting it"
def read_checkpoint(path: Path | str) -> dict:
    """Read a checkpoint without running anything that is in it.

    Raises:
        ValueError: not a whole checkpoint of this package.
        OSError: no such file, or one that cannot be read.
    """
    try:
        path = as_path(path)
        size = check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        held = sum(t.numel() * t.element_size() for t in find_tensors(content))
        if held > size:
            raise ValueError(f"it claims {held} bytes in a file of {size}")
    except OSError:
        raise
    except Exception as error:
        told = type(error) is ValueError
        reason = str(error) if told else type(error).__name__
        raise ValueError(
            f"{path} is no readable checkpoint ({reason}):"
            " it is damaged or unsafe; train again or restore it"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a {FORMAT!r}: was it made by this package?"
        )
    if not isinstance(content.get("description"), dict):
        raise ValueError(f"{path} has no description: train again")
    return content


# book/learning/checkpoints.md, section "Go on to the same bits"
MISFITS = (
    AttributeError,
    KeyError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)  # what a file of another shape may raise


def restore(
    content: dict, state: State, generators: Sequence[torch.Generator]
) -> None:
    """Fill `state` and `generators` in place from a checkpoint's content.

    Raises:
        ValueError: the checkpoint belongs to other networks or seeds, or is
            damaged; nothing was changed.
    """
    spare = [torch.Generator(g.device) for g in generators]
    try:
        _fill(content, copy.deepcopy(state), spare)
        _fill(content, state, generators)
    except MISFITS as error:
        raise ValueError(
            f"the checkpoint does not fit this run: {last_line(error)}"
        ) from error


def _fill(content, state, generators) -> None:
    state.networks.load_state_dict(content["networks"])
    state.targets.load_state_dict(content["targets"])
    optimiser = state.optimiser
    optimiser.load_state_dict(content["optimiser"])
    for parameter, averages in optimiser.state.items():
        for name, average in averages.items():
            if average.ndim and average.shape != parameter.shape:
                raise ValueError(f"{name} of the optimiser has another shape")
    saved = content["generators"]
    for generator, place in zip(generators, saved, strict=True):
        if place.shape != generator.get_state().shape:
            raise ValueError(
                "its random numbers are those of another kind of device: "
                "go on with the version and device that wrote it, or train "
                "again"
            )
        generator.set_state(place)
    if type(content["updates"]) is not int or content["updates"] < 0:
        raise ValueError("updates must be a whole number, 0 or more")
    state.updates = content["updates"]


# book/learning/checkpoints.md, section "Go on to the same bits"
def last_line(error: Exception) -> str:
    """Return the last line of an error's text, where the reason stands."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[-1], 200)


# book/learning/checkpoints.md, section "A policy to act with"
@dataclass(frozen=True)
class Policy:
    """Act with the trained networks of N seeds.

    Fields:
        agent, config, sizes: what was trained.
        networks: the networks; those that acting does not need may be absent.
        seeds: the training seeds.
        description: what the checkpoint says about itself.
    """

    agent: Agent
    config: AgentConfig
    sizes: Sizes
    networks: nn.ModuleDict
    seeds: tuple[int, ...]
    description: dict

    @torch.no_grad()
    def __call__(self, observations, goals) -> np.ndarray:
        """Map observations (N, B, O) and goals (N, B, G) to actions (N, B, A).

        Actions are clipped to [-1, 1].

        Raises:
            ValueError: shapes that do not fit, or numbers that are not finite.
        """
        observations = check_input(self, "observations", observations)
        goals = check_input(self, "goals", goals)
        scaler = self.networks["scaler"]
        inputs = scaler.observations(observations), scaler.goals(goals)
        actions = self.agent.act(self.networks, *inputs)
        return actions.clamp(-1, 1).cpu().numpy()

    def index(self, seed: int | None = None) -> int:
        """Return the place of `seed` on the seed axis; 0 when left out.

        Raises:
            ValueError: `seed` was not trained.
        """
        if seed is None:
            return 0
        seed = as_plain(seed)
        if seed not in self.seeds:
            raise ValueError(
                f"seed {seed} was not trained; trained: {self.seeds}"
            )
        return self.seeds.index(seed)

    def one(self, seed: int | None = None):
        """Return a function (observation (O,), goal (G,)) -> action (A,).

        Args:
            seed: which training seed acts; the first when left out.

        Raises:
            ValueError: `seed` was not trained.
        """
        index, count = self.index(seed), len(self.seeds)

        def act(observation, goal) -> np.ndarray:
            pair = [np.asarray(x)[None, None] for x in (observation, goal)]
            return self(*(x.repeat(count, 0) for x in pair))[index, 0]

        return act

    def export(self, path, form="torchscript", seed: int | None = None):
        """Write one seed's policy as a file that needs PyTorch alone.

        Args:
            path: the file; `torch.jit.load` reads it.
            form: "torchscript".
            seed: which training seed acts; the first when left out.

        Raises:
            ValueError: another form, or `seed` was not trained.
            OSError: the file cannot be written.
        """
        write_atomic(path, trace_policy(self, form, self.index(seed)))


# book/learning/checkpoints.md, section "A policy to act with"
def check_input(policy: Policy, name: str, array) -> Tensor:
    """Return `array` on the device of `policy`; see `Policy.__call__`."""
    sizes, count = policy.sizes, len(policy.seeds)
    size = sizes.goal if name == "goals" else sizes.observation
    array = torch.as_tensor(np.asarray(array), dtype=torch.float32)
    if array.ndim != 3 or array.shape[::2] != (count, size):
        shape, due = tuple(array.shape), f"({count}, B, {size})"
        raise ValueError(f"{name} must be {due}, got {shape}")
    if not array.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")
    return array.to(next(policy.networks.parameters()).device)


# book/learning/checkpoints.md, section "A policy to act with"
def load_policy(path: Path | str, agent: str | Agent | None = None) -> Policy:
    """Load the networks of a checkpoint to act with.

    Args:
        path: a checkpoint, or the directory of a run that holds one.
        agent: needed for an agent that is not part of the package.

    Raises:
        ValueError: not a checkpoint, or one that does not fit its agent.
        OSError: no such file, or one that cannot be read.
    """
    path = as_path(path)
    path = path / "checkpoint.pt" if path.is_dir() else path
    content = read_checkpoint(path)
    try:
        policy = _build(content["description"], content["networks"], agent)
        _rehearse(policy)
    except MISFITS as error:
        raise ValueError(
            f"{path} does not fit its agent: {last_line(error)}"
        ) from error
    return policy


# book/learning/checkpoints.md, section "A policy to act with"
DESCRIPTION = {"algorithm": str, "config": {}, "sizes": [int], "seeds": [int]}


def _build(description: dict, saved: dict, agent) -> Policy:
    check_shape(description, DESCRIPTION)
    agent = find_agent(agent or description["algorithm"])
    config = agent.config(**read_settings(agent, description["config"]))
    sizes, seeds = Sizes(*description["sizes"]), tuple(description["seeds"])
    with torch.device("meta"):
        networks = agent.init(config, sizes, len(seeds))
        networks["scaler"] = Scaler(sizes.observation, sizes.goal)
    held = {name.split(".")[0] for name in saved}
    networks = nn.ModuleDict({k: networks[k] for k in networks if k in held})
    networks.load_state_dict(saved, assign=True)
    return Policy(agent, config, sizes, networks.float(), seeds, description)


def _rehearse(policy: Policy) -> None:
    lead, sizes = (len(policy.seeds), 1), policy.sizes
    observations = np.zeros((*lead, sizes.observation))
    actions = policy(observations, np.zeros((*lead, sizes.goal)))
    if actions.shape != (*lead, sizes.action):
        raise ValueError(f"it acts in shape {actions.shape}")
    if not np.isfinite(actions).all():
        raise ValueError("its weights hold NaN or infinity")


# book/learning/checkpoints.md, section "A policy to act with"
def save_policy(
    path: Path | str, policy: Policy, networks: Sequence[str]
) -> None:
    """Write the named networks of a policy as a small checkpoint to act with.

    The scaler of its inputs goes with them.

    Raises:
        ValueError: a network that the policy does not have.
        OSError: the file cannot be written.
    """
    missing = [name for name in networks if name not in policy.networks]
    if missing:
        known = ", ".join(policy.networks)
        raise ValueError(f"no network {missing[0]!r}; known: {known}")
    names = [*networks, "scaler"]
    chosen = nn.ModuleDict({name: policy.networks[name] for name in names})
    content = {
        "format": FORMAT,
        "description": policy.description,
        "networks": chosen.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


# book/learning/checkpoints.md, section "Let a policy leave the house"
class Actor(nn.Module):
    """Act as one seed of a policy does, on tensors alone."""

    def __init__(self, policy: Policy, index: int):
        super().__init__()
        held = policy.networks.state_dict()
        saved = {
            name: value.cpu() if name.startswith("scaler.")
            else value[index : index + 1].cpu()
            for name, value in held.items()
        }  # every parameter leads with its seed
        one = policy.description | {"seeds": [policy.seeds[index]]}
        alone = _build(one, saved, policy.agent)
        self.networks, self.decide = alone.networks, alone.agent.act

    def forward(self, observations: Tensor, goals: Tensor) -> Tensor:
        """Map observations (B, O) and goals (B, G) to actions (B, A)."""
        scaler = self.networks["scaler"]
        inputs = scaler.observations(observations), scaler.goals(goals)
        actions = self.decide(self.networks, *(x[None] for x in inputs))
        return actions[0].clamp(-1, 1)


# book/learning/checkpoints.md, section "Let a policy leave the house"
def trace_policy(policy: Policy, form: str, index: int) -> bytes:
    """Return the seed at `index` of `policy` as a file of TorchScript.

    Raises:
        ValueError: another form, or a record that acts otherwise.
    """
    if form != "torchscript":
        raise ValueError(f"unknown form {form!r}: write torchscript")
    draw, sizes = torch.Generator().manual_seed(0), policy.sizes
    small, large = (
        [
            torch.randn(count, size, generator=draw)
            for size in (sizes.observation, sizes.goal)
        ]
        for count in (2, 7)
    )
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # on TorchScript's age
        actor = Actor(policy, index).eval()
        traced = torch.jit.freeze(torch.jit.trace(actor, tuple(small)))
        found = traced(*large).numpy()
        torch.jit.save(traced, buffer)
    many = (x.expand(len(policy.seeds), -1, -1) for x in large)
    gap = np.abs(policy(*many)[index] - found).max()
    if not gap <= 1e-6:
        raise ValueError(
            f"{policy.agent.name} cannot be exported: its record acts"
            f" otherwise, by {gap:.2g}"
        )
    return buffer.getvalue()
