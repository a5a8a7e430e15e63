# Generated from book/learning/smore.md by make sync. Edit the chapter, not this file.
"""Learn the score, then follow it.

Three small networks, three losses, one step on all of them.
"""

__all__ = [
    "OBJECTIVES",
    "SmoreConfig",
    "init_networks",
    "act",
    "score_loss",
    "policy_scores",
    "losses",
    "SMORE",
]


# book/learning/smore.md, section "Learn the score, then follow it"
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import Agent, AgentConfig, Losses, Sizes
from smore_lit.learning.networks import Critic, GaussianPolicy, Value
from smore_lit.learning.objectives import (
    advantage_weights,
    expectile_loss,
    in_sample_score_loss,
    mixture_score_loss,
    released_score_loss,
    released_stable_score_loss,
    weighted_likelihood_loss,
)
from smore_lit.learning.trajectories import Batch


# book/learning/smore.md, section "Hyperparameters"
OBJECTIVES = ("in-sample", "paper", "released", "released-stable")


@dataclass(frozen=True)
class SmoreConfig(AgentConfig):
    """Hold the hyperparameters of SMORe, Table 4 of the paper where it speaks.

    Raises:
        ValueError: an unknown objective, or a number out of its range.
    """

    objective: str = "in-sample"  # loss of the score; see OBJECTIVES
    beta: float = 0.5  # share of q in the mixture
    coefficient: float = 0.25  # c, weight of the Bellman term
    expectile: float = 0.8  # tau, lean of M toward the best action
    temperature: float = 3.0  # alpha, sharpness of the policy's weights
    weight_clip: float = 100.0  # largest weight of one action

    def __post_init__(self):
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise ValueError(
                f"unknown objective {self.objective!r}; known: {known}"
            )
        if not 0.0 < self.beta <= 1.0:
            raise ValueError(f"beta must lie in (0, 1], got {self.beta}")
        if not 0.0 < self.expectile < 1.0:
            raise ValueError(
                f"expectile must lie in (0, 1), got {self.expectile}"
            )
        for name in ("coefficient", "temperature", "weight_clip"):
            value = getattr(self, name)
            if not value > 0.0:
                raise ValueError(f"{name} must be positive, got {value}")


# book/learning/smore.md, section "Networks"
def init_networks(
    config: SmoreConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build the twin critics S, the value M and the policy."""
    state, hidden = sizes.observation + sizes.goal, config.hidden
    return nn.ModuleDict(
        {
            "score": Critic(seeds, 2, state + sizes.action, hidden),
            "value": Value(seeds, state, hidden),
            "policy": GaussianPolicy(seeds, state, sizes.action, hidden),
        }
    )


def act(
    networks: nn.ModuleDict, observations: Tensor, goals: Tensor
) -> Tensor:
    """Return mean actions (N, B, A) at observations and goals (N, B, ·)."""
    return networks["policy"](observations, goals)


# book/learning/smore.md, section "The loss of the score"
def score_loss(
    config: SmoreConfig, networks: nn.ModuleDict, rho: Batch, q: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the configured objective of S on one batch of rho and one of q.

    Returns:
        The loss (N,), and the scores of rho and of q, each (N, 2, B).
    """
    size = rho.goals.shape[1]
    pairs = zip(rho, q, strict=True)
    both = Batch(*(torch.cat(pair, dim=1) for pair in pairs))
    score = networks["score"](both.observations, both.actions, both.goals)
    score_rho, score_q = score.split(size, dim=-1)
    with torch.no_grad():
        value_next = networks["value"](both.next_observations, both.goals)
    next_rho, next_q = value_next.split(size, dim=-1)
    gamma = config.gamma
    mixture = score_q, score_rho, next_q, next_rho
    data = score_q, score_rho, next_rho
    mixed = dict(beta=config.beta, coefficient=config.coefficient)
    if config.objective == "released":
        loss = released_score_loss(*data, gamma=gamma)
    elif config.objective == "released-stable":
        loss = released_stable_score_loss(*data, gamma=gamma)
    elif config.objective == "paper":
        policy = policy_scores(networks, rho, q)
        loss = mixture_score_loss(*mixture, *policy, gamma=gamma, **mixed)
    else:
        loss = in_sample_score_loss(*mixture, gamma=gamma, **mixed)
    return loss, score_rho, score_q


def policy_scores(
    networks: nn.ModuleDict, rho: Batch, q: Batch
) -> tuple[Tensor, Tensor]:
    """Score the policy's actions, at s of rho and at s' of q, (N, 2, B)."""
    states = torch.cat((rho.observations, q.next_observations), dim=1)
    goals = torch.cat((rho.goals, q.goals), dim=1)
    with torch.no_grad():
        actions = networks["policy"](states, goals)
    score = networks["score"](states, actions, goals)
    return score.tensor_split(2, dim=-1)


# book/learning/smore.md, section "All three losses"
def losses(
    config: SmoreConfig,
    networks: nn.ModuleDict,
    targets: nn.ModuleDict,
    rho: Batch,
    q: Batch,
) -> Losses:
    """Compute the losses of S, M and the policy, and what to watch of them.

    Source: Eqs. 9 to 11 of Sikchi et al. (2024), deviations 2 to 5.
    """
    with torch.no_grad():
        target = targets["score"](rho.observations, rho.actions, rho.goals)
        target = target.amin(dim=1)  # smaller of the two critics  (N, B)
    value = networks["value"](rho.observations, rho.goals)
    advantage = (target - value).detach()
    weights = advantage_weights(
        advantage, config.temperature, config.weight_clip
    )
    policy = networks["policy"]
    means = policy(rho.observations, rho.goals)
    log_prob = policy.log_prob(means, rho.actions)
    loss_score, score_rho, score_q = score_loss(config, networks, rho, q)
    total = {
        "loss_score": loss_score,
        "loss_value": expectile_loss(target - value, config.expectile),
        "loss_policy": weighted_likelihood_loss(log_prob, weights),
    }
    info = {
        "score_q": score_q.mean(dim=(1, 2)),
        "score_rho": score_rho.mean(dim=(1, 2)),
        "advantage_std": advantage.std(dim=1),
        "weight_mean": weights.mean(dim=1),
        "effective_share": weights.sum(dim=1).square()
        / (weights.square().sum(dim=1) * weights.shape[1]),
    }
    return total, info


# book/learning/smore.md, section "All three losses"
SMORE = Agent(
    name="smore",
    config=SmoreConfig,
    init=init_networks,
    targets=("score",),
    cosine=("policy",),
    losses=losses,
    act=act,
)
