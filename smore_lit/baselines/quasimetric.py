# Generated from book/baselines/quasimetric.md by make sync. Edit the chapter, not this file.
"""Quasimetric RL (QRL): add a method of your own.

QRL learns a distance in steps, without a reward and without a backup; this
book adds it in one file.
"""

__all__ = [
    "latent_distance",
    "push_loss",
    "violation",
    "multiplier_loss",
    "step_advantage",
    "QuasimetricConfig",
    "Distance",
    "Multiplier",
    "init_networks",
    "Measured",
    "measure",
    "LARGEST",
    "losses",
    "OGBENCH",
    "QRL",
]


# book/baselines/quasimetric.md, section "Quasimetric RL (QRL): add a method of your own"
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Losses,
    Networks,
    Sizes,
)
from smore_lit.learning.extraction import (
    act,
    advantage_weights,
    copy_actions,
)
from smore_lit.learning.networks import MLP, GaussianPolicy
from smore_lit.learning.objectives import check_flat, check_number
from smore_lit.learning.trajectories import Batch


# book/baselines/quasimetric.md, section "A distance by construction"
def latent_distance(x: Tensor, y: Tensor, components: int) -> Tensor:
    r"""Measure the quasimetric from latent points x to latent points y.

    Args:
        x, y: points, (..., K), of shapes that broadcast.
        components: C, how many groups the K numbers make; divides K.

    Returns:
        Shape (...), the mean over groups of the largest $(y_j - x_j)_+$.

    Raises:
        ValueError: if components does not divide K.

    Source: the asymmetric half of Liu et al. (2023); with groups of one
        number also intervals of Wang and Isola (2022).
    """
    if components < 1 or x.shape[-1] % components:
        raise ValueError(
            f"components must divide {x.shape[-1]}, got {components}"
        )
    gap = (y - x).unflatten(-1, (components, -1))
    return gap.amax(dim=-1).clamp(min=0.0).mean(dim=-1)


# book/baselines/quasimetric.md, section "The losses"
def push_loss(far: Tensor, offset: float, width: float) -> Tensor:
    """Compute the loss that pushes states and random goals apart.

    Args:
        far: distances to goals drawn apart from the states, (N, B), steps.
        offset: b, distance from which the push tires, in steps.
        width: w, over how many steps it does, positive.

    Returns:
        Shape (N,): mean over the batch, in steps.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: section 3.2 of Wang et al. (2023), with their code's constants.
    """
    check_flat("far", far)
    check_number("width", width, 1e-6, 1e6)
    return (width * softplus((offset - far) / width)).mean(dim=1)


# book/baselines/quasimetric.md, section "The losses"
def violation(step: Tensor, own: Tensor) -> Tensor:
    """Compute by how much the constraints are broken.

    Args:
        step: distances from s to s', (N, B), steps; 1 is allowed.
        own: distances from s to the goal phi(s), (N, B); 0 is allowed.

    Returns:
        Shape (N,): mean squared excess over the batch, both summed.

    Raises:
        ValueError: if a shape does not fit.

    Source: the QRL objective of Wang et al. (2023) for `step`; `own` is
        ours.
    """
    check_flat("step", step)
    check_flat("own", own, step)
    excess = (step - 1.0).clamp(min=0.0).square()
    return (excess + own.square()).mean(dim=1)


# book/baselines/quasimetric.md, section "The losses"
def multiplier_loss(
    log_multiplier: Tensor, broken: Tensor, epsilon: float
) -> Tensor:
    r"""Compute the loss that raises $\lambda$ while constraints are broken.

    Args:
        log_multiplier: $\log \lambda$, (N,).
        broken: the violation v, (N,), detached.
        epsilon: root of the violation that is allowed, in steps, positive.

    Returns:
        Shape (N,).

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: the dual of the QRL objective of Wang et al. (2023); the bound
        is ours.
    """
    check_flat("log_multiplier", log_multiplier[:, None])
    check_flat("broken", broken[:, None], log_multiplier[:, None])
    check_number("epsilon", epsilon, 1e-6, 1e6)
    slack = epsilon**2
    return -log_multiplier * (broken - slack) / (broken + slack)


# book/baselines/quasimetric.md, section "What a step is worth"
def step_advantage(here: Tensor, after: Tensor) -> Tensor:
    """Return what a step is worth, 0 at best.

    Args:
        here: distances from s to g, (N, B), steps.
        after: distances from s' to g, (N, B), steps.

    Returns:
        Shape (N, B), in steps.

    Raises:
        ValueError: if a shape does not fit.

    Source: the best advantage at a cost of 1 per step away from the goal.
    """
    check_flat("here", here)
    check_flat("after", after, here)
    return (here - 1.0).clamp(min=0.0) - after


# book/baselines/quasimetric.md, section "The agent"
@dataclass(frozen=True)
class QuasimetricConfig(AgentConfig):
    """Hold the hyperparameters of QRL; the discount is not used.

    Raises:
        ValueError: a number out of its range.
    """

    latent: int = 64  # K, numbers in a latent point
    components: int = 8  # C, groups of them; divides latent
    epsilon: float = 0.25  # root of the violation allowed, in steps
    offset: float = 15.0  # b, distance from which the push tires, in steps
    width: float = 10.0  # w, over how many steps it does
    multiplier: float = 1.0  # lambda at the start
    pace: float = 10.0  # learning rate of log lambda over the others'
    temperature: float = 3.0  # alpha in w = exp(alpha A), A in steps

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.components <= self.latent:
            raise ValueError(
                f"components must lie in 1 to latent, got {self.components}"
            )
        if self.latent % self.components:
            raise ValueError(
                f"latent must be a multiple of components, got {self.latent}"
            )
        for name in ("epsilon", "width", "multiplier", "pace", "temperature"):
            if not 1e-6 <= getattr(self, name) <= 1e6:
                raise ValueError(
                    f"{name} must lie between 1e-6 and 1e6,"
                    f" got {getattr(self, name)}"
                )
        if not 0.0 <= self.offset < math.inf:
            raise ValueError(
                f"offset must be finite and not negative, got {self.offset}"
            )


# book/baselines/quasimetric.md, section "The agent"
class Distance(nn.Module):
    """Encode states and goals into one latent space, and measure there."""

    def __init__(self, config: QuasimetricConfig, sizes: Sizes, seeds: int):
        super().__init__()
        self.components = config.components
        shape = *config.hidden, config.latent
        lead = (seeds,)
        self.states = MLP(lead, (sizes.observation, *shape), normalise=True)
        self.goals = MLP(lead, (sizes.goal, *shape), normalise=True)

    def forward(self, states: Tensor, goals: Tensor) -> Tensor:
        """Map (N, B, O), (N, B, G) to distances (N, B) in steps."""
        return self.between(self.states(states), self.goals(goals))

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Map latent points, (N, B, K) each, to distances (N, B)."""
        return latent_distance(x, y, self.components)


# book/baselines/quasimetric.md, section "The agent"
class Multiplier(nn.Module):
    """Hold one multiplier per seed."""

    def __init__(self, config: QuasimetricConfig, seeds: int):
        super().__init__()
        self.first, self.pace = math.log(config.multiplier), config.pace
        self.level = nn.Parameter(torch.zeros(seeds, 1))

    def forward(self) -> Tensor:
        """Return log lambda (N,)."""
        return (self.first + self.pace * self.level).squeeze(-1)


# book/baselines/quasimetric.md, section "The agent"
def init_networks(
    config: QuasimetricConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build the distance, the policy and the multiplier."""
    inputs, hidden = sizes.observation + sizes.goal, config.hidden
    policy = GaussianPolicy(seeds, inputs, sizes.action, hidden)
    distance = Distance(config, sizes, seeds)
    multiplier = Multiplier(config, seeds)
    return nn.ModuleDict(
        {"distance": distance, "policy": policy, "multiplier": multiplier}
    )


# book/baselines/quasimetric.md, section "The agent"
class Measured(NamedTuple):
    """Hold the distances of a batch, (N, B) each, in steps."""

    step: Tensor  # from s to s'
    own: Tensor  # from s to phi(s)
    far: Tensor  # from s to the goal of the next row
    here: Tensor  # from s to g, detached
    after: Tensor  # from s' to g, detached


def measure(distance: Distance, rho: Batch) -> Measured:
    """Measure all distances of a batch that the losses want."""
    size = rho.goals.shape[1]
    states = torch.cat((rho.observations, rho.next_observations), dim=1)
    goals = torch.cat((rho.goals, rho.achieved), dim=1)
    x, following = distance.states(states).split(size, dim=1)
    goal, own = distance.goals(goals).split(size, dim=1)
    between = distance.between
    return Measured(
        step=between(x, following),
        own=between(x, own),
        far=between(x, goal.roll(1, dims=1)),
        here=between(x.detach(), goal.detach()),
        after=between(following.detach(), goal.detach()),
    )


# book/baselines/quasimetric.md, section "The agent"
LARGEST = 1e6  # what lambda counts for at most


def losses(
    config: QuasimetricConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of distance, multiplier and policy.

    The goal transitions q are not used, nor are slow copies.

    Source: Wang et al. (2023); the policy as Park et al. (2025) offer it.
    """
    found = measure(networks["distance"], rho)
    broken = violation(found.step, found.own)
    level = networks["multiplier"]()
    factor = level.detach().clamp(max=math.log(LARGEST)).exp()
    advantage = step_advantage(found.here, found.after)
    weights = advantage_weights(advantage, config.temperature)
    copying, spread = copy_actions(networks, rho, weights)
    push = push_loss(found.far, config.offset, config.width)
    given = level, broken.detach(), config.epsilon
    total = {
        "loss_distance": push + factor * broken,
        "loss_multiplier": multiplier_loss(*given),
    }
    info = {
        "violation": broken,
        "multiplier": factor,
        "distance_far": found.far.mean(dim=1),
        "distance_step": found.step.mean(dim=1),
        "distance_own": found.own.mean(dim=1),
        "advantage": advantage.mean(dim=1),
    }
    return total | copying, info | spread


# book/baselines/quasimetric.md, section "The agent"
OGBENCH = {
    "hidden": (512, 512, 512),
    "initialiser": "xavier",
    "learning_rate": 3e-4,
    "batch_size": 1024,
    "hindsight": 1.0,
    "ahead": 0.0,
    "standardise": False,
    "cosine": False,
    "latent": 512,
    "components": 64,
    "epsilon": math.sqrt(0.05),
    "offset": 500.0,
    "width": 100.0,
    "multiplier": 1.0,
    "pace": 1.0,
}


# book/baselines/quasimetric.md, section "The agent"
QRL = Agent(
    name="qrl",
    config=QuasimetricConfig,
    init=init_networks,
    targets=(),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"released": OGBENCH},
)
