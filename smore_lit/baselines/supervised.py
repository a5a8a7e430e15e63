# Generated from book/baselines/supervised.md by make sync. Edit the chapter, not this file.
"""Behaviour cloning, GCSL: clone without a score.

Three methods that copy recorded actions and differ only in which pairs of
state and goal they copy them for.
"""

__all__ = [
    "CLONED",
    "POLICY_LOSSES",
    "CloneConfig",
    "BehaviourConfig",
    "HindsightConfig",
    "GoalConfig",
    "fit_of",
    "clone_losses",
    "init_policy",
    "make_clone",
    "RELEASED",
    "BC",
    "GCSL",
    "GOAL_BC",
]


# book/baselines/supervised.md, section "Behaviour cloning, GCSL: clone without a score"
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Losses,
    Networks,
    Sizes,
)
from smore_lit.learning.extraction import act, weighted_likelihood_loss
from smore_lit.learning.networks import GaussianPolicy
from smore_lit.learning.trajectories import Batch


# book/baselines/supervised.md, section "Differences from SMORe"
CLONED = ("rho", "q")
POLICY_LOSSES = ("likelihood", "square")


@dataclass(frozen=True)
class CloneConfig(AgentConfig):
    """Hold the hyperparameters of the methods that only copy.

    Raises:
        ValueError: an unknown batch or loss, or a number out of its range.
    """

    clone: str = "rho"  # which batch is copied: rho, the data, or q
    loss: str = "likelihood"  # or square, the published form

    def unread(self) -> dict[str, str]:
        """Return what the copy of rho does not read."""
        return {} if self.clone == "q" else super().unread()

    def __post_init__(self):
        super().__post_init__()
        for name, known in (("clone", CLONED), ("loss", POLICY_LOSSES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r};"
                    f" known: {', '.join(known)}"
                )


# book/baselines/supervised.md, section "Differences from SMORe"
@dataclass(frozen=True)
class BehaviourConfig(CloneConfig):
    """Hold the hyperparameters of behaviour cloning."""

    hindsight: float = 0.0  # only goals that were asked for


@dataclass(frozen=True)
class HindsightConfig(CloneConfig):
    """Hold the hyperparameters of GCSL (Ghosh et al. 2021)."""

    hindsight: float = 1.0  # only goals that were reached later


@dataclass(frozen=True)
class GoalConfig(CloneConfig):
    """Hold the hyperparameters of cloning the goal transitions."""

    clone: str = "q"  # each transition with the goal that it enters


# book/baselines/supervised.md, section "One loss"
def fit_of(
    policy: GaussianPolicy, batch: Batch, loss: str
) -> tuple[Tensor, Tensor]:
    r"""Compute how well the policy fits each recorded action.

    Args:
        policy: gives means and, for "likelihood", log-densities.
        batch: transitions, (N, B, ·).
        loss: "likelihood" for $\log \pi$, "square" for minus the error.

    Returns:
        The fit and the squared error averaged over the A numbers of an
        action, each (N, B).
    """
    means = policy(batch.observations, batch.goals)
    error = (batch.actions - means).square().mean(dim=-1)
    if loss == "square":
        return -error, error
    return policy.log_prob(means, batch.actions), error


# book/baselines/supervised.md, section "One loss"
def clone_losses(
    config: CloneConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the loss of the policy on the batch that is copied.

    Source: Ghosh et al. (2021) for `square` on rho with hindsight goals.
    """
    batch = q if config.clone == "q" else rho
    fit, error = fit_of(networks["policy"], batch, config.loss)
    loss = weighted_likelihood_loss(fit, torch.ones_like(fit))
    return {"loss_policy": loss}, {"squared_error": error.mean(dim=1)}


# book/baselines/supervised.md, section "One loss"
def init_policy(
    config: CloneConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build the policy, the only network there is."""
    inputs = sizes.observation + sizes.goal
    policy = GaussianPolicy(seeds, inputs, sizes.action, config.hidden)
    return nn.ModuleDict({"policy": policy})


# book/baselines/supervised.md, section "One loss"
def make_clone(name: str, config: type[CloneConfig], **presets) -> Agent:
    """Return the agent that copies as `config` says."""
    parts = init_policy, (), ("policy",), clone_losses, act
    return Agent(name, config, *parts, presets)


RELEASED: dict = {
    "loss": "square",
    "hidden": (256, 256, 256),
    "initialiser": "xavier",
    "learning_rate": 5e-4,
    "ahead": 0.0,
    "cosine": False,
}
BC = make_clone("bc", BehaviourConfig, released=RELEASED)
GCSL = make_clone("gcsl", HindsightConfig, released=RELEASED)
GOAL_BC = make_clone("goal-bc", GoalConfig)
