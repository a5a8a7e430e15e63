# Generated from book/baselines/gofar.md by make sync. Edit the chapter, not this file.
"""GoFAR: match goals through a classifier.

GoFAR rewards a state by how much a classifier takes it for the goal, values
states by that reward, and copies the actions that did better than expected.
"""

__all__ = [
    "Discriminator",
    "discriminator_loss",
    "dual_value_loss",
    "dual_weights",
    "CHOICES",
    "GofarConfig",
    "check_choices",
    "init_networks",
    "read_reward",
    "losses",
    "in_sample_losses",
    "RELEASED",
    "GOFAR",
]


# book/baselines/gofar.md, section "GoFAR: match goals through a classifier"
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from smore_lit.baselines.in_sample import (
    IqlConfig,
    reward_losses,
    sparse_reward,
)
from smore_lit.baselines.supervised import fit_of
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
    effective_share,
    init_twins,
    weighted_likelihood_loss,
)
from smore_lit.learning.networks import MLP, GaussianPolicy, Value
from smore_lit.learning.objectives import check_flat, check_number
from smore_lit.learning.trajectories import Batch


# book/baselines/gofar.md, section "A classifier for goals"
class Discriminator(nn.Module):
    """Tell pairs (g, g) from pairs (phi(s), g), one network per seed.

    Source: released code of Ma et al. (2022).
    """

    def __init__(self, seeds: int, goal: int, hidden: Sequence[int]):
        super().__init__()
        sizes = (2 * goal, *hidden, 1)
        self.network = MLP((seeds,), sizes, activation=torch.tanh)

    def forward(self, achieved: Tensor, goals: Tensor) -> Tensor:
        """Map achieved and asked goals (N, B, G) to logits (N, B)."""
        return self.network(torch.cat((achieved, goals), dim=-1)).squeeze(-1)

    def slope(self, achieved: Tensor, goals: Tensor) -> Tensor:
        """Return the gradient of the logits in both inputs, (N, B, 2G)."""
        x, bends = torch.cat((achieved, goals), dim=-1), []
        layers: Any = self.network.layers
        *hidden, last = layers
        for layer in hidden:
            x = layer(x).tanh()
            bends.append(1.0 - x.square())
        slope = last.weight.mT
        for layer, bend in zip(hidden[::-1], bends[::-1], strict=True):
            slope = torch.bmm(slope * bend, layer.weight.mT)
        return slope


# book/baselines/gofar.md, section "A classifier for goals"
def discriminator_loss(
    logit_goal: Tensor,
    logit_data: Tensor,
    slope: Tensor,
    penalty_weight: float,
) -> Tensor:
    r"""Compute the cross-entropy of goals against data, and its penalty.

    Args:
        logit_goal: c(g, g), (N, B).
        logit_data: c(phi(s), g), (N, B).
        slope: gradient of c between the two, (N, B, D).
        penalty_weight: lambda, 0 for none.

    Returns:
        Shape (N,): means over the batch.

    Raises:
        ValueError: if a shape or the weight does not fit.

    Source: released code of Ma et al. (2022).
    """
    check_flat("logit_goal", logit_goal)
    check_flat("logit_data", logit_data, logit_goal)
    if slope.ndim != 3 or slope.shape[:2] != logit_goal.shape:
        raise ValueError(
            f"slope must be {(*logit_goal.shape, 'D')},"
            f" got {tuple(slope.shape)}"
        )
    check_number("penalty_weight", penalty_weight, 0.0, math.inf)
    gap = torch.linalg.vector_norm(slope, dim=-1) - 1.0
    entropy = -logsigmoid(logit_goal) - logsigmoid(-logit_data)
    return (entropy + penalty_weight * gap.square()).mean(dim=1)


# book/baselines/gofar.md, section "The dual"
def dual_value_loss(
    start: Tensor,
    error: Tensor,
    *,
    gamma: float,
    divergence: str = "chi2",
    clipped: bool = False,
) -> Tensor:
    r"""Compute the dual's loss of V from its Bellman errors.

    Args:
        start: V(s_0, g) where episodes start, (N, B).
        error: $e = R + \gamma V(s', g) - V(s, g)$, (N, B).
        gamma: discount, in [0, 1].
        divergence: "chi2" for the mean of $(e + 1)^2$, "kl" for the
            logarithm of the mean of $e^e$.
        clipped: take $(e + 1)_+^2$, for ratios that are not negative.

    Returns:
        Shape (N,): means over the batch.

    Raises:
        ValueError: if a shape, gamma or the divergence does not fit.

    Source: Ma et al. (2022), the constants of their released code.
    """
    check_flat("start", start)
    check_flat("error", error, start)
    check_number("gamma", gamma, 0.0, 1.0)
    first = (1.0 - gamma) * start.mean(dim=1)
    if divergence == "kl":
        return first + error.logsumexp(dim=1) - math.log(error.shape[1])
    if divergence != "chi2":
        raise ValueError(f"unknown divergence {divergence!r}: chi2 or kl")
    ratio = error + 1.0
    ratio = ratio.clamp(min=0.0) if clipped else ratio
    return first + ratio.square().mean(dim=1)


# book/baselines/gofar.md, section "The dual"
def dual_weights(
    error: Tensor, divergence: str = "chi2", clip: float = 10.0
) -> Tensor:
    r"""Return the weight of each action from its Bellman error.

    Args:
        error: e, (N, B), detached.
        divergence: "chi2" for $(e + 1)_+$, "kl" for $\min(e^e, \text{clip})$.
        clip: largest weight under KL.

    Returns:
        Shape (N, B).

    Raises:
        ValueError: if the shape, the divergence or the clip does not fit.

    Source: released code of Ma et al. (2022).
    """
    check_flat("error", error)
    if divergence == "kl":
        return advantage_weights(error, 1.0, clip)
    if divergence != "chi2":
        raise ValueError(f"unknown divergence {divergence!r}: chi2 or kl")
    return (error + 1.0).clamp(min=0.0)


# book/baselines/gofar.md, section "The agent"
CHOICES = {
    "divergence": ("chi2", "kl"),
    "reward": ("discriminator", "sparse"),
    "update": ("dual", "in-sample"),
}


@dataclass(frozen=True)
class GofarConfig(AgentConfig):
    """Hold the hyperparameters of GoFAR.

    Raises:
        ValueError: an unknown choice, choices that contradict each other,
            or a number out of its range.
    """

    hindsight: float = 0.0  # only goals that were asked for
    divergence: str = "chi2"  # charge for leaving the data; or kl
    reward: str = "discriminator"  # its logit; or sparse, told
    update: str = "dual"  # or in-sample: expectile, exponential weights
    clipped: bool = False  # chi2: ratios that are not negative
    residual: bool = False  # differentiate V(s', g), not a slow copy
    penalty_weight: float = 0.01  # lambda, of the classifier's slope
    kl_clip: float = 10.0  # largest weight of one action under kl
    expectile: float = 0.8  # in-sample: tau, lean of V
    temperature: float = 3.0  # in-sample: alpha in w = exp(alpha A)
    weight_clip: float = 100.0  # in-sample: largest weight of one action

    def __post_init__(self):
        super().__post_init__()
        check_choices(self)
        if not 0.0 < self.expectile < 1.0:
            raise ValueError(
                f"expectile must lie in (0, 1), got {self.expectile}"
            )
        for name in ("kl_clip", "temperature", "weight_clip"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be positive and finite,"
                    f" got {getattr(self, name)}"
                )

    def unread(self) -> dict[str, str]:
        """Return what only the dual reads."""
        dual = ("divergence", "clipped", "residual")
        names = dual if self.update == "in-sample" else ()
        reason = "update in-sample has no {}: leave it as it is"
        return super().unread() | {n: reason.format(n) for n in names}

    def draws(self, sizes: Sizes) -> int:
        """Return 1, where between data and goal the penalty is taken."""
        return int(self.reward == "discriminator")


# book/baselines/gofar.md, section "The agent"
def check_choices(config: GofarConfig) -> None:
    """Raise ValueError if a choice is unknown or contradicts another."""
    for name, known in CHOICES.items():
        if getattr(config, name) not in known:
            raise ValueError(
                f"unknown {name} {getattr(config, name)!r};"
                f" known: {', '.join(known)}"
            )
    if not 0.0 <= config.penalty_weight < math.inf:
        raise ValueError(
            "penalty_weight must be finite and not negative,"
            f" got {config.penalty_weight}"
        )
    if config.divergence == "kl" and config.clipped:
        raise ValueError("clipped is for chi2: ratios of kl are positive")


# book/baselines/gofar.md, section "The agent"
def init_networks(
    config: GofarConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build V and the policy, or SMORe's networks, and the classifier."""
    state, hidden = sizes.observation + sizes.goal, config.hidden
    if config.update == "in-sample":
        networks = init_twins(config, sizes, seeds)
    else:
        policy = GaussianPolicy(seeds, state, sizes.action, hidden)
        score = Value(seeds, state, hidden)
        networks = nn.ModuleDict({"score": score, "policy": policy})
    if config.reward == "discriminator":
        networks["discriminator"] = Discriminator(seeds, sizes.goal, hidden)
    return networks


# book/baselines/gofar.md, section "The agent"
def read_reward(
    config: GofarConfig, networks: Networks, rho: Batch
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Return the reward (N, B), detached, and losses and measurements.

    Source: released code of Ma et al. (2022); the logit itself, where they
        subtract two logarithms.
    """
    if config.reward == "sparse":
        return sparse_reward(rho.reached), {}, {}
    network = networks["discriminator"]
    between = rho.achieved.lerp(rho.goals, rho.noise[..., :1])
    logit_goal = network(rho.goals, rho.goals)
    logit_data = network(rho.achieved, rho.goals)
    loss = discriminator_loss(
        logit_goal,
        logit_data,
        network.slope(between, rho.goals),
        config.penalty_weight,
    )
    info = {
        "logit_goal": logit_goal.mean(dim=1),
        "logit_data": logit_data.mean(dim=1),
    }
    return logit_data.detach(), {"loss_discriminator": loss}, info


# book/baselines/gofar.md, section "The agent"
def losses(
    config: GofarConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of V, the policy and the classifier.

    The goal transitions q are not used: goals stand for themselves.

    Source: Ma et al. (2022), the constants of their released code.
    """
    reward, total, info = read_reward(config, networks, rho)
    if config.update == "in-sample":
        given = config, networks, targets, rho, reward
        own, measured = in_sample_losses(*given)
        return total | own, info | measured
    network = networks["score"]
    value = network(rho.observations, rho.goals)
    start = network(rho.first_observations, rho.goals)
    if config.residual:
        following = network(rho.next_observations, rho.goals)
    else:
        with torch.no_grad():
            following = targets["score"](rho.next_observations, rho.goals)
    error = reward + config.gamma * following - value
    kind = config.divergence
    weights = dual_weights(error.detach(), kind, config.kl_clip)
    fit, square = fit_of(networks["policy"], rho, "square")
    total["loss_score"] = dual_value_loss(
        start, error, gamma=config.gamma, divergence=kind,
        clipped=config.clipped,
    )
    total["loss_policy"] = weighted_likelihood_loss(fit, weights)
    return total, info | {
        "value": value.mean(dim=1),
        "error_std": error.std(dim=1, correction=0),
        "weight_mean": weights.mean(dim=1),
        "effective_share": effective_share(weights),
        "squared_error": square.mean(dim=1),
    }


# book/baselines/gofar.md, section "The agent"
def in_sample_losses(
    config: GofarConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    reward: Tensor,
) -> Losses:
    """Compute the losses of Q, V and the policy on a reward (N, B).

    Source: Table 13 of Sikchi et al. (2024), "expectile loss+AWR"; the form is
        that of Kostrikov et al. (2022).
    """
    iql = IqlConfig(
        gamma=config.gamma,
        expectile=config.expectile,
        temperature=config.temperature,
        weight_clip=config.weight_clip,
    )
    return reward_losses(iql, networks, targets, rho, reward)


# book/baselines/gofar.md, section "The agent"
RELEASED = {
    "gamma": 0.98,
    "hidden": (256, 256, 256),
    "initialiser": "xavier",
    "learning_rate": 1e-3,
    "polyak": 0.0025,
    "batch_size": 512,
    "ahead": 0.0,
    "cosine": False,
}
GOFAR = Agent(
    name="gofar",
    config=GofarConfig,
    init=init_networks,
    targets=("score",),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"released": RELEASED},
)
