# Generated from book/baselines/in_sample.md by make sync. Edit the chapter, not this file.
"""IQL, SQL, EQL, XQL: be told the reward.

Four methods that are told the reward and judge only actions of the data: each
regresses Q on the reward, sets V between the mean and the largest Q, and
copies what lies above V.
"""

__all__ = [
    "sparse_reward",
    "backup_loss",
    "InSampleConfig",
    "reward_losses",
    "losses",
    "IqlConfig",
    "MAZES",
    "IQL",
    "sparse_value_loss",
    "exponential_value_loss",
    "gumbel_value_loss",
    "SqlConfig",
    "EqlConfig",
    "XqlConfig",
    "SLOW",
    "STEADY",
    "SQL",
    "EQL",
    "XQL",
]


# book/baselines/in_sample.md, section "IQL, SQL, EQL, XQL: be told the reward"
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from smore_lit.learning.agent import (
    PAPER_STEPS,
    Agent,
    AgentConfig,
    Losses,
    Networks,
)
from smore_lit.learning.extraction import (
    act,
    advantage_weights,
    check_weights,
    copy_actions,
    init_twins,
    read_advantage,
    read_scores,
    unread_weights,
    weigh,
)
from smore_lit.learning.objectives import (
    check_flat,
    check_number,
    check_score,
    expectile_loss,
    mean_sum,
)
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
    check_flat("reached", reached)
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
    check_score("score", score)
    check_flat("reward", reward, score)
    check_flat("value_next", value_next, score)
    check_number("gamma", gamma, 0.0, 1.0)
    check_number("delta", delta, 0.0, math.inf)
    error = ((reward + gamma * value_next).unsqueeze(1) - score).abs()
    inner = error.clamp(max=delta)
    return mean_sum(inner * (2.0 * error - inner))


# book/baselines/in_sample.md, section "One configuration, one loss"
@dataclass(frozen=True)
class InSampleConfig(AgentConfig, ABC):
    """Hold what the four methods share; each adds its value and weights.

    Raises:
        ValueError: a number out of its range.
    """

    huber = math.inf  # error from which the loss of Q is a straight line
    advantage = "score"  # Q - V

    weight_clip: float = 100.0  # largest weight of one action

    def __post_init__(self):
        super().__post_init__()
        known = {item.name for item in fields(AgentConfig)} | {"offset"}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in known or type(value) is not float:
                continue
            high = 1.0 if item.name == "expectile" else math.inf
            if not 0.0 < value < high:
                raise ValueError(
                    f"{item.name} must lie in (0, {high:g}), got {value}"
                )

    @abstractmethod
    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V from Q and V, (N, B) each, as (N,)."""

    @abstractmethod
    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the weight of each action from its Q - V, (N, B)."""


# book/baselines/in_sample.md, section "One configuration, one loss"
def reward_losses(
    config: InSampleConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    reward: Tensor,
) -> Losses:
    """Compute the losses of Q, V and the policy on a reward (N, B).

    Source: Eqs. 5 to 7 of Kostrikov et al. (2022); V and weights are the
        configuration's.
    """
    target, value = read_scores(networks, targets, rho)
    with torch.no_grad():
        following = networks["value"](rho.next_observations, rho.goals)
    told = target, value, following, reward
    advantage = read_advantage(config, *told)
    copying, spread = copy_actions(networks, rho, config.weigh(advantage))
    score = networks["score"](rho.observations, rho.actions, rho.goals)
    given = score, reward, following
    backup = backup_loss(*given, gamma=config.gamma, delta=config.huber)
    total = {
        "loss_score": backup,
        "loss_value": config.value_loss(target, value),
    }
    info = {
        "score": score.mean(dim=(1, 2)),
        "value": value.mean(dim=1),
        "advantage_std": advantage.std(dim=1, correction=0),
    }
    return total | copying, info | spread


# book/baselines/in_sample.md, section "One configuration, one loss"
def losses(
    config: InSampleConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute all losses on the task's reward, and what to watch of them.

    The goal transitions q are not used: the reward says what they would.
    """
    reward = sparse_reward(rho.reached)
    total, info = reward_losses(config, networks, targets, rho, reward)
    return total, {"reached": rho.reached.mean(dim=1)} | info


# book/baselines/in_sample.md, section "IQL: a mean that leans"
@dataclass(frozen=True)
class IqlConfig(InSampleConfig):
    """Hold the hyperparameters of IQL, SMORe's own where they are the same."""

    expectile: float = 0.8  # tau, lean of V toward the best action
    temperature: float = 1.5  # alpha in w = exp(alpha A): multiplies A
    advantage: str = "score"  # Q - V; or value, r + gamma V(s') - V(s)
    weights: str = "exponential"  # exp(alpha A); or linear, b + A cut at 0
    offset: float = 1.0  # b of linear weights

    def __post_init__(self):
        super().__post_init__()
        check_weights(self)

    def unread(self) -> dict[str, str]:
        """Return what the weights do not read."""
        return super().unread() | unread_weights(self)

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V, an expectile of Q."""
        return expectile_loss(target - value, self.expectile)

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the weights that the configuration names."""
        return weigh(self, advantage)


# book/baselines/in_sample.md, section "IQL: a mean that leans"
MAZES = {**PAPER_STEPS, "batch_size": 256, "ahead": 0.0, "standardise": False}
IQL = Agent(
    name="iql",
    config=IqlConfig,
    init=init_twins,
    targets=("score",),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={
        "released": {**MAZES, "expectile": 0.9, "temperature": 10.0},
    },
)


# book/baselines/in_sample.md, section "SQL and EQL: pay for leaving the data"
def sparse_value_loss(target: Tensor, value: Tensor, alpha: float) -> Tensor:
    r"""Compute $(1 + A/2\alpha)_+^2 + V/\alpha$, the loss of V in SQL.

    Args:
        target: Q at actions of the data, (N, B), detached.
        value: V at their states, (N, B).
        alpha: price of leaving the data, positive.

    Returns:
        Shape (N,): mean over the batch.

    Raises:
        ValueError: if a shape or alpha does not fit.

    Source: Xu et al. (2023), sparse Q-learning.
    """
    _check_pair(target, value, alpha)
    weights = (1.0 + (target - value) / (2.0 * alpha)).clamp(min=0.0)
    return (weights.square() + value / alpha).mean(dim=1)


# book/baselines/in_sample.md, section "SQL and EQL: pay for leaving the data"
def _check_pair(target: Tensor, value: Tensor, scale: float):
    check_flat("target", target)
    check_flat("value", value, target)
    if not 0.0 < scale < math.inf:
        raise ValueError(f"alpha must be positive and finite, got {scale!r}")


# book/baselines/in_sample.md, section "SQL and EQL: pay for leaving the data"
def _tame(exponent: Tensor, cap: float) -> tuple[Tensor, Tensor]:
    """Return capped exponents (N, B) and the largest, -1 or more, (N, 1)."""
    if not 0.0 < cap:
        raise ValueError(f"cap must be positive, got {cap!r}")
    exponent = exponent.clamp(max=cap)
    top = exponent.detach().amax(dim=1, keepdim=True).clamp(min=-1.0)
    return exponent, top


# book/baselines/in_sample.md, section "SQL and EQL: pay for leaving the data"
def exponential_value_loss(
    target: Tensor, value: Tensor, alpha: float, cap: float = 5.0
) -> Tensor:
    r"""Compute $e^{A/\alpha} + V/\alpha$, the loss of V in EQL, tamed.

    Args:
        target: Q at actions of the data, (N, B), detached.
        value: V at their states, (N, B).
        alpha: price of leaving the data, positive.
        cap: largest exponent; infinite for none.

    Returns:
        Shape (N,): mean over the batch times $e^{-m}$, m its top exponent.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Xu et al. (2023), exponential Q-learning; cap and factor are
        their code's.
    """
    _check_pair(target, value, alpha)
    exponent, top = _tame((target - value) / alpha, cap)
    grown = (exponent - top).exp() + (-top).exp() * value / alpha
    return grown.mean(dim=1)


# book/baselines/in_sample.md, section "XQL: the largest of many errors"
def gumbel_value_loss(diff: Tensor, scale: float, cap: float = 7.0) -> Tensor:
    r"""Compute $e^z - z - 1$, $z = A/\beta$, the loss of V in XQL, tamed.

    Args:
        diff: A = Q - V, (N, B); Q detached.
        scale: beta of the Gumbel law, positive.
        cap: largest z; infinite for none.

    Returns:
        Shape (N,): mean over the batch times $e^{-m}$, m its top z.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: Garg et al. (2023), Gumbel regression; cap and factor are their
        code's.
    """
    check_flat("diff", diff)
    if not 0.0 < scale < math.inf:
        raise ValueError(f"scale must be positive and finite, got {scale!r}")
    z, top = _tame(diff / scale, cap)
    return ((z - top).exp() - (z + 1.0) * (-top).exp()).mean(dim=1)


# book/baselines/in_sample.md, section "Three more agents"
@dataclass(frozen=True)
class SqlConfig(InSampleConfig):
    """Hold the hyperparameters of SQL, those of its authors' mazes."""

    alpha: float = 0.1  # price of leaving the data
    paper_weights: bool = False  # 1 + A / (2 alpha) instead of A, cut at 0

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V, the multiplier under chi-square."""
        return sparse_value_loss(target, value, self.alpha)

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the positive part of the advantage, clipped."""
        if self.paper_weights:
            advantage = 1.0 + advantage / (2.0 * self.alpha)
        return advantage.clamp(0.0, self.weight_clip)


@dataclass(frozen=True)
class EqlConfig(InSampleConfig):
    """Hold the hyperparameters of EQL, those of its authors' mazes."""

    alpha: float = 0.5  # price of leaving the data
    cap: float = 5.0  # largest exponent in the loss of V
    paper_weights: bool = False  # e^(A / alpha) instead of e^(10 A / alpha)

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V, the multiplier under KL."""
        return exponential_value_loss(target, value, self.alpha, self.cap)

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the clipped exponential of the advantage."""
        sharpness = (1.0 if self.paper_weights else 10.0) / self.alpha
        return advantage_weights(advantage, sharpness, self.weight_clip)


# book/baselines/in_sample.md, section "Three more agents"
@dataclass(frozen=True)
class XqlConfig(InSampleConfig):
    """Hold the hyperparameters of XQL, usual ones of its authors' mazes."""

    scale: float = 0.6  # beta of the Gumbel law
    cap: float = 7.0  # largest exponent in the loss of V
    temperature: float = 10.0  # alpha in w = exp(alpha A): multiplies A
    huber: float = 20.0  # error from which the loss of Q is a straight line

    def value_loss(self, target: Tensor, value: Tensor) -> Tensor:
        """Compute the loss of V, a Gumbel regression."""
        return gumbel_value_loss(target - value, self.scale, self.cap)

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the clipped exponential of the advantage."""
        return advantage_weights(
            advantage, self.temperature, self.weight_clip
        )


SLOW = {**MAZES, "learning_rate": 2e-4}
STEADY = {**MAZES, "cosine": False}
SQL = replace(IQL, name="sql", config=SqlConfig, presets={"released": SLOW})
EQL = replace(IQL, name="eql", config=EqlConfig, presets={"released": SLOW})
XQL = replace(IQL, name="xql", config=XqlConfig, presets={"released": STEADY})
