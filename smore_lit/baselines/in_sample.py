# Generated from book/baselines/in_sample.md by make sync. Edit the chapter, not this file.
"""Be told the reward.

Four methods that never ask for an action nobody took, and one line that
separates them from SMORe.
"""

__all__ = [
    "sparse_reward",
    "backup_loss",
    "InSampleConfig",
    "losses",
    "IqlConfig",
    "IQL",
]


# book/baselines/in_sample.md, section "Be told the reward"
import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import Agent, AgentConfig, Losses
from smore_lit.learning.objectives import (
    _check_flat,
    _check_number,
    _check_score,
    _total,
    advantage_weights,
    expectile_loss,
)
from smore_lit.learning.smore import act, copy_actions, init_twins, read_scores
from smore_lit.learning.trajectories import Batch


# book/baselines/in_sample.md, section "The reward and its backup"
def sparse_reward(reached: Tensor) -> Tensor:
    """Return 0 where the goal is reached and -1 elsewhere.

    Args:
        reached: 1 where phi(s') is within the tolerance of g, else 0, (N, B).

    Returns:
        Shape (N, B).

    Raises:
        ValueError: if reached is not (N, B).
    """
    _check_flat("reached", reached)
    return reached - 1.0


# book/baselines/in_sample.md, section "The reward and its backup"
def backup_loss(
    score: Tensor,
    reward: Tensor,
    value_next: Tensor,
    *,
    gamma: float,
    delta: float = math.inf,
) -> Tensor:
    r"""Compute the regression of Q on $r + \gamma V(s', g)$.

    Args:
        score: Q on transitions of the data, (N, K, B).
        reward: r of the same transitions, (N, B).
        value_next: V(s', g), (N, B), detached.
        gamma: discount, in [0, 1].
        delta: error at which the square becomes a straight line.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Eq. 6 of Kostrikov et al. (2022), two critics; the straight line
        is the code's of Garg et al. (2023).
    """
    _check_score("score", score)
    _check_flat("reward", reward, score)
    _check_flat("value_next", value_next, score)
    _check_number("gamma", gamma, 0.0, 1.0)
    _check_number("delta", delta, 0.0, math.inf)
    error = ((reward + gamma * value_next).unsqueeze(1) - score).abs()
    inner = error.clamp(max=delta)
    return _total(inner * (2.0 * error - inner))


# book/baselines/in_sample.md, section "One configuration, one loss"
@dataclass(frozen=True)
class InSampleConfig(AgentConfig):
    """Hold what the four methods share; each adds its value and weights.

    Raises:
        ValueError: a number out of its range.
    """

    huber = math.inf  # error from which the loss of Q is a straight line

    weight_clip: float = 100.0  # largest weight of one action

    def __post_init__(self):
        super().__post_init__()
        shared = {item.name for item in fields(AgentConfig)}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in shared or type(value) is not float:
                continue
            high = 1.0 if item.name == "expectile" else math.inf
            if not 0.0 < value < high:
                raise ValueError(
                    f"{item.name} must lie in (0, {high:g}), got {value}"
                )

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V from Q and V, (N, B) each, as (N,)."""
        raise NotImplementedError

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the weight of each action from its Q - V, (N, B)."""
        raise NotImplementedError


# book/baselines/in_sample.md, section "One configuration, one loss"
def losses(
    config: InSampleConfig,
    networks: nn.ModuleDict,
    targets: nn.ModuleDict,
    rho: Batch,
    q: Batch,
) -> Losses:
    """Compute the losses of Q, V and the policy, and what to watch of them.

    The goal transitions q are not used: the reward says what they would.
    """
    target, value = read_scores(networks, targets, rho)
    advantage = (target - value).detach()
    copying, spread = copy_actions(networks, rho, config.weigh(advantage))
    score = networks["score"](rho.observations, rho.actions, rho.goals)
    with torch.no_grad():
        following = networks["value"](rho.next_observations, rho.goals)
    given = score, sparse_reward(rho.reached), following
    backup = dict(gamma=config.gamma, delta=config.huber)
    total = {
        "loss_score": backup_loss(*given, **backup),
        "loss_value": config.value_loss(target, value),
    }
    info = {
        "reached": rho.reached.mean(dim=1),
        "score": score.mean(dim=(1, 2)),
        "value": value.mean(dim=1),
        "advantage_std": advantage.std(dim=1, correction=0),
    }
    return total | copying, info | spread


# book/baselines/in_sample.md, section "IQL"
@dataclass(frozen=True)
class IqlConfig(InSampleConfig):
    """Hold the hyperparameters of IQL, SMORe's own where they are the same."""

    expectile: float = 0.8  # tau, lean of V toward the best action
    temperature: float = 3.0  # sharpness of the policy's weights

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V, an expectile of Q."""
        return expectile_loss(target - value, self.expectile)

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the clipped exponential of the advantage."""
        return advantage_weights(
            advantage, self.temperature, self.weight_clip
        )


IQL = Agent(
    name="iql",
    config=IqlConfig,
    init=init_twins,
    targets=("score",),
    cosine=("policy",),
    losses=losses,
    act=act,
)
