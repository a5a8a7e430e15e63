# Generated from book/learning/policies.md by make sync. Edit the chapter, not this file.
"""Policies: load a policy and act.

From a file to actions, here and on a robot without this package.
"""

__all__ = [
    "describe",
    "Policy",
    "check_input",
    "load_policy",
    "DESCRIPTION",
    "save_policy",
    "single_policy",
    "Actor",
    "trace_policy",
]


# book/learning/policies.md, section "Policies: load a policy and act"
import dataclasses
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    find_agent,
    read_settings,
)
from smore_lit.learning.scaling import Scaler
from smore_lit.running.checkpoints import (
    MISFITS,
    last_line,
    read_checkpoint,
    save_checkpoint,
)
from smore_lit.running.files import (
    as_path,
    as_plain,
    check_shape,
    write_atomic,
)


# book/learning/policies.md, section "What the networks are rebuilt from"
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


# book/learning/policies.md, section "A policy to act with"
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
        scaler: Any = self.networks["scaler"]
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
        write_atomic(path, trace_policy(self, form, seed))


# book/learning/policies.md, section "A policy to act with"
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


# book/learning/policies.md, section "A policy to act with"
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


# book/learning/policies.md, section "A policy to act with"
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


# book/learning/policies.md, section "A policy to act with"
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
    content = {"networks": chosen.state_dict()}
    save_checkpoint(path, content, policy.description)


# book/learning/policies.md, section "Export a policy"
def single_policy(policy: Policy, seed: int | None = None) -> Policy:
    """Return the policy of one seed alone, on the CPU.

    Args:
        policy: of N seeds.
        seed: which training seed; the first when left out.

    Raises:
        ValueError: `seed` was not trained.
    """
    index = policy.index(seed)
    saved = {
        name: value.cpu() if name.startswith("scaler.")
        else value[index : index + 1].cpu()
        for name, value in policy.networks.state_dict().items()
    }  # every other parameter leads with its seed
    one = policy.description | {"seeds": [policy.seeds[index]]}
    return _build(one, saved, policy.agent)


class Actor(nn.Module):
    """Act as one seed of a policy does, on tensors alone."""

    def __init__(self, policy: Policy, seed: int | None = None):
        super().__init__()
        alone = single_policy(policy, seed)
        self.networks, self.decide = alone.networks, alone.agent.act

    def forward(self, observations: Tensor, goals: Tensor) -> Tensor:
        """Map observations (B, O) and goals (B, G) to actions (B, A)."""
        scaler: Any = self.networks["scaler"]
        inputs = scaler.observations(observations), scaler.goals(goals)
        actions = self.decide(self.networks, *(x[None] for x in inputs))
        return actions[0].clamp(-1, 1)


# book/learning/policies.md, section "Export a policy"
def trace_policy(policy: Policy, form: str, seed: int | None) -> bytes:
    """Return one seed of `policy` as a file of TorchScript.

    Raises:
        ValueError: another form, no such seed, or a record that acts
            otherwise.
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
        actor = Actor(policy, seed).eval()
        traced = torch.jit.freeze(torch.jit.trace(actor, tuple(small)))
        found = traced(*large).numpy()
        torch.jit.save(traced, buffer)
    many = (x.expand(len(policy.seeds), -1, -1) for x in large)
    gap = np.abs(policy(*many)[policy.index(seed)] - found).max()
    if not gap <= 1e-6:
        raise ValueError(
            f"{policy.agent.name} cannot be exported: its record acts"
            f" otherwise, by {gap:.2g}"
        )
    return buffer.getvalue()
