# Generated from book/learning/extraction.md by make sync. Edit the chapter, not this file.
"""Policy extraction: copy what scored well.

From a score to a policy: copy recorded actions, each with a weight that grows
with its score.
"""

__all__ = [
    "advantage_weights",
    "weighted_likelihood_loss",
    "init_twins",
    "act",
    "read_scores",
    "copy_actions",
    "effective_share",
    "ADVANTAGES",
    "WEIGHTS",
    "read_advantage",
    "weigh",
    "check_weights",
    "unread_weights",
]


# book/learning/extraction.md, section "Policy extraction: copy what scored well"
import math

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import AgentConfig, Losses, Networks, Sizes
from smore_lit.learning.networks import Critic, GaussianPolicy, Value
from smore_lit.learning.objectives import check_flat
from smore_lit.learning.trajectories import Batch


# book/learning/extraction.md, section "The loss of the policy"
def advantage_weights(
    advantage: Tensor, temperature: float, clip: float = 100.0
) -> Tensor:
    r"""Return $\min(e^{\alpha A}, \text{clip})$ without overflow.

    Args:
        advantage: A = S - M, (N, B), detached.
        temperature: alpha, which multiplies A; 0 for behaviour cloning.
        clip: largest weight, positive.

    Returns:
        Shape (N, B), in [0, clip].

    Raises:
        ValueError: if advantage is not (N, B) or a number does not fit.

    Source: weights of Eq. 11 of Sikchi et al. (2024); the clip is the
        released code's.
    """
    check_flat("advantage", advantage)
    if not (0.0 <= temperature < math.inf and 0.0 < clip < math.inf):
        raise ValueError(
            "temperature must be finite and not negative, clip finite and"
            f" positive, got {temperature!r} and {clip!r}"
        )
    exponent = (temperature * advantage).clamp(max=math.log(clip))
    return exponent.exp().clamp(max=clip)


# book/learning/extraction.md, section "The loss of the policy"
def weighted_likelihood_loss(log_prob: Tensor, weights: Tensor) -> Tensor:
    r"""Return $-\text{mean}(w \log\pi)$ over the batch.

    Args:
        log_prob: log pi(a | s, g) of actions in the data, (N, B).
        weights: one weight per sample, (N, B), detached.

    Returns:
        Shape (N,).

    Raises:
        ValueError: if the shapes are not one and the same (N, B).

    Source: Eq. 11 of Sikchi et al. (2024), sign corrected.
    """
    check_flat("log_prob", log_prob)
    check_flat("weights", weights, log_prob)
    return -(weights * log_prob).mean(dim=-1)


# book/learning/extraction.md, section "The networks"
def init_twins(
    config: AgentConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build twin critics, a value and a policy."""
    state, hidden = sizes.observation + sizes.goal, config.hidden
    return nn.ModuleDict(
        {
            "score": Critic(seeds, 2, state + sizes.action, hidden),
            "value": Value(seeds, state, hidden),
            "policy": GaussianPolicy(seeds, state, sizes.action, hidden),
        }
    )


def act(
    networks: Networks, observations: Tensor, goals: Tensor
) -> Tensor:
    """Return mean actions (N, B, A) at observations and goals (N, B, ·)."""
    return networks["policy"](observations, goals)


# book/learning/extraction.md, section "From scores to a loss"
def read_scores(
    networks: Networks, targets: Networks, rho: Batch
) -> tuple[Tensor, Tensor]:
    """Return the smaller slow score, detached, and the value, (N, B) each."""
    with torch.no_grad():
        target = targets["score"](rho.observations, rho.actions, rho.goals)
        target = target.amin(dim=1)  # smaller of the two critics  (N, B)
    return target, networks["value"](rho.observations, rho.goals)


# book/learning/extraction.md, section "From scores to a loss"
def copy_actions(
    networks: Networks, rho: Batch, weights: Tensor
) -> Losses:
    """Compute the policy's loss under weights (N, B), and their spread."""
    policy = networks["policy"]
    means = policy(rho.observations, rho.goals)
    log_prob = policy.log_prob(means, rho.actions)
    info = {
        "weight_mean": weights.mean(dim=1),
        "effective_share": effective_share(weights),
    }
    return {"loss_policy": weighted_likelihood_loss(log_prob, weights)}, info


def effective_share(weights: Tensor) -> Tensor:
    """Return which share (N,) of the samples carries the weights (N, B)."""
    largest = weights.amax(dim=1, keepdim=True).clamp(min=1e-30)
    share = weights / largest  # squares of small weights would vanish
    square = share.square().sum(dim=1).clamp(min=1e-30)
    return share.sum(dim=1).square() / (square * weights.shape[1])


# book/learning/extraction.md, section "Two advantages, two kinds of weights"
ADVANTAGES = ("score", "value")
WEIGHTS = ("exponential", "linear")


def read_advantage(
    config, target: Tensor, value: Tensor, following, reward=0.0
) -> Tensor:
    """Return the advantage (N, B), detached, as `config.advantage` says.

    Args:
        config: with `advantage`, "score" or "value", and gamma.
        target: slow score S of recorded actions, (N, B).
        value: M(s, g), (N, B).
        following: M(s', g), detached, (N, B); read by "value" alone.
        reward: r of the transition, (N, B); 0 where none is told.
    """
    if config.advantage == "score":
        return (target - value).detach()
    return reward + config.gamma * following - value.detach()


def weigh(config, advantage: Tensor) -> Tensor:
    """Return weights (N, B) of actions, as `config.weights` says."""
    if config.weights == "linear":
        return (config.offset + advantage).clamp(0.0, config.weight_clip)
    alpha, clip = config.temperature, config.weight_clip
    return advantage_weights(advantage, alpha, clip)


def check_weights(config) -> None:
    """Raise ValueError if advantage, weights or offset are none."""
    for name, known in (("advantage", ADVANTAGES), ("weights", WEIGHTS)):
        found = getattr(config, name)
        if found not in known:
            raise ValueError(
                f"unknown {name} {found!r}; known: {', '.join(known)}"
            )
    if not -math.inf < config.offset < math.inf:
        raise ValueError(f"offset must be finite, got {config.offset}")


def unread_weights(config) -> dict[str, str]:
    """Return which of temperature and offset the weights do not read."""
    name = "temperature" if config.weights == "linear" else "offset"
    return {name: f"weights {config.weights} have no {name}"}
