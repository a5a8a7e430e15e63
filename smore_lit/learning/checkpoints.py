# Generated from book/learning/checkpoints.md by make sync. Edit the chapter, not this file.
"""Save a run so that it can go on.

Networks, targets, optimiser, generators and step, in one file that runs no
code when opened.
"""

__all__ = [
    "FORMAT",
    "save_checkpoint",
    "read_checkpoint",
    "restore",
    "Policy",
    "describe",
    "load_policy",
    "save_policy",
]


# book/learning/checkpoints.md, section "Save a run so that it can go on"
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    State,
    create_state,
    find_agent,
    make_config,
)
from smore_lit.learning.files import write_atomic


# book/learning/checkpoints.md, section "What is in the file"
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


def read_checkpoint(path: Path | str) -> dict:
    """Read a checkpoint without running anything that is in it.

    Raises:
        ValueError: not a whole checkpoint of this package.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path} is no readable checkpoint ({type(error).__name__}):"
            " it is damaged or unsafe; train again or restore it"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a {FORMAT!r}: was it made by this package?")
    return content


# book/learning/checkpoints.md, section "What is in the file"
def restore(
    content: dict, state: State, generators: Sequence[torch.Generator]
) -> None:
    """Fill `state` and `generators` in place from a checkpoint's content.

    Raises:
        ValueError: the checkpoint belongs to other networks or seeds.
    """
    try:
        state.networks.load_state_dict(content["networks"])
        state.targets.load_state_dict(content["targets"])
        state.optimiser.load_state_dict(content["optimiser"])
        for generator, saved in zip(generators, content["generators"], strict=True):
            generator.set_state(saved)
        state.updates = content["updates"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"the checkpoint does not fit this run: {reason}") from error


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
        device = next(self.networks.parameters()).device
        inputs = []
        for name, array, size in (
            ("observations", observations, self.sizes.observation),
            ("goals", goals, self.sizes.goal),
        ):
            array = torch.as_tensor(np.asarray(array), dtype=torch.float32)
            if array.ndim != 3 or array.shape[::2] != (len(self.seeds), size):
                raise ValueError(
                    f"{name} must be ({len(self.seeds)}, B, {size}),"
                    f" got {tuple(array.shape)}"
                )
            if not array.isfinite().all():
                raise ValueError(f"{name} holds NaN or infinity")
            inputs.append(array.to(device))
        return self.agent.act(self.networks, *inputs).clamp(-1, 1).cpu().numpy()

    def one(self, seed: int | None = None):
        """Return a function (observation (O,), goal (G,)) -> action (A,).

        Args:
            seed: which training seed acts; the first when left out.

        Raises:
            ValueError: `seed` was not trained.
        """
        seed = self.seeds[0] if seed is None else seed
        if seed not in self.seeds:
            raise ValueError(f"seed {seed} was not trained; trained: {self.seeds}")
        index, count = self.seeds.index(seed), len(self.seeds)

        def act(observation, goal) -> np.ndarray:
            pair = [np.asarray(x)[None, None].repeat(count, 0) for x in (observation, goal)]
            return self(*pair)[index, 0]

        return act


# book/learning/checkpoints.md, section "A policy to act with"
def describe(
    agent: Agent,
    config: AgentConfig,
    sizes: Sizes,
    seeds: Sequence[int],
    **more,
) -> dict:
    """Return the plain values from which `load_policy` rebuilds the networks."""
    return {
        "algorithm": agent.name,
        "config": dataclasses.asdict(config),
        "sizes": list(sizes),
        "seeds": list(seeds),
        **more,
    }


def load_policy(path: Path | str, agent: str | Agent | None = None) -> Policy:
    """Load the networks of a checkpoint to act with.

    Args:
        path: a checkpoint, or the directory of a run that holds one.
        agent: needed for an agent that is not part of the package.

    Raises:
        ValueError: not a checkpoint, or one that does not fit its agent.
    """
    path = Path(path)
    path = path / "checkpoint.pt" if path.is_dir() else path
    content = read_checkpoint(path)
    try:
        description = content["description"]
        agent = find_agent(agent or description["algorithm"])
        config = make_config(agent, **description["config"])
        sizes, seeds = Sizes(*description["sizes"]), tuple(description["seeds"])
        networks = create_state(agent, config, sizes, seeds).networks
        saved = content["networks"]
        held = {name for name in networks if any(k.startswith(f"{name}.") for k in saved)}
        networks = nn.ModuleDict({k: v for k, v in networks.items() if k in held})
        networks.load_state_dict(saved)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit its agent: {reason}") from error
    return Policy(agent, config, sizes, networks, seeds, description)


def save_policy(path: Path | str, policy: Policy, networks: Sequence[str]) -> None:
    """Write the named networks of a policy as a small checkpoint to act with."""
    chosen = nn.ModuleDict({name: policy.networks[name] for name in networks})
    content = {
        "format": FORMAT,
        "description": policy.description,
        "networks": chosen.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())
