# Generated from book/baselines/weighted.md by make sync. Edit the chapter, not this file.
"""WGCSL: weigh what you copy.

WGCSL copies what GCSL copies and puts three weights on each action: nearer
goals, better actions and the best fifth of all actions count for more.
"""

__all__ = [
    "FORMS",
    "WeightedConfig",
    "PlainConfig",
    "step_discount",
    "clip_backup",
    "value_policy",
    "judge",
    "percentile",
    "best_weights",
    "best_percent",
    "losses",
    "init_weighted",
    "BENCHMARK_CODE",
    "ORIGINAL_CODE",
    "WGCSL",
    "WGCSL_PLAIN",
]


# book/baselines/weighted.md, section "WGCSL: weigh what you copy"
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from smore_lit.baselines.in_sample import sparse_reward
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
    weighted_likelihood_loss,
)
from smore_lit.learning.networks import Critic, GaussianPolicy
from smore_lit.learning.objectives import (
    check_flat,
    check_number,
    regression_loss,
)
from smore_lit.learning.trajectories import Batch


# book/baselines/weighted.md, section "Three weights on one action"
FORMS = ("original", "benchmark")


@dataclass(frozen=True)
class WeightedConfig(AgentConfig):
    """Hold the hyperparameters of WGCSL (Yang et al. 2022).

    Raises:
        ValueError: an unknown form, or a number out of its range.
    """

    cosine: bool = False  # the policy's learning rate stays
    form: str = "original"  # of reward, clip, advantage; or benchmark
    best: bool = True  # weigh advantages below a percentile down
    rise: float = 0.15  # percent that the percentile gains per update
    top: float = 80.0  # percentile at which it stays
    floor: float = 0.05  # weight of advantages below the percentile
    weight_clip: float = 10.0  # largest exponential of an advantage

    def __post_init__(self):
        super().__post_init__()
        if self.form not in FORMS:
            known = ", ".join(FORMS)
            raise ValueError(f"unknown form {self.form!r}; known: {known}")
        if self.hindsight == 0.0:
            raise ValueError(
                "hindsight must be above 0: the policy copies nothing else"
            )
        for name, high in (("rise", 100.0), ("top", 100.0), ("floor", 1.0)):
            check_number(name, getattr(self, name), 0.0, high)
        if not 0.0 < self.weight_clip < math.inf:
            raise ValueError(
                f"weight_clip must be positive, got {self.weight_clip}"
            )


@dataclass(frozen=True)
class PlainConfig(WeightedConfig):
    """Hold the hyperparameters of WGCSL as the GoFAR repository has it."""

    hindsight: float = 1.0  # only goals that were reached later
    form: str = "benchmark"  # of reward, clip, advantage; or original
    best: bool = False  # weigh advantages below a percentile down


# book/baselines/weighted.md, section "The discount: goals that come soon"
def step_discount(steps: Tensor, gamma: float) -> Tensor:
    r"""Return $\gamma^{f-t-1}$ for hindsight goals and 0 for asked ones.

    Args:
        steps: f - t of a hindsight goal, 0 of an asked one, (N, B).
        gamma: discount, in [0, 1].

    Returns:
        Shape (N, B), in [0, 1].

    Raises:
        ValueError: if steps is not (N, B) or gamma not in [0, 1].

    Source: discounted relabelling weight of Yang et al. (2022).
    """
    check_flat("steps", steps)
    check_number("gamma", gamma, 0.0, 1.0)
    weight = gamma ** (steps - 1.0).clamp(min=0.0)
    return torch.where(steps > 0, weight, 0.0)


# book/baselines/weighted.md, section "The advantage: a critic of the policy"
def clip_backup(
    reward: Tensor, value_next: Tensor, gamma: float, high: float
) -> Tensor:
    r"""Return $r + \gamma Q'$, clipped to what returns can be.

    Args:
        reward: r of transitions, (N, B).
        value_next: Q' at their next states, (N, B), detached.
        gamma: discount, in [0, 1).
        high: largest return; the smallest is $-1/(1-\gamma)$.

    Returns:
        Shape (N, B).

    Raises:
        ValueError: if a shape or gamma does not fit.

    Source: released code of Yang et al. (2022).
    """
    check_flat("reward", reward)
    check_flat("value_next", value_next, reward)
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma must lie in [0, 1), got {gamma!r}")
    backup = reward + gamma * value_next
    return backup.clamp(-1.0 / (1.0 - gamma), high)


# book/baselines/weighted.md, section "The advantage: a critic of the policy"
@torch.no_grad()
def value_policy(
    networks: Networks, states: Tensor, goals: Tensor
) -> Tensor:
    r"""Return the least $Q(s, \pi(s, g), g)$ of the critics, (N, B)."""
    actions = networks["policy"](states, goals)
    return networks["score"](states, actions, goals).amin(dim=1)


def judge(
    config: WeightedConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
) -> tuple[Tensor, Tensor]:
    """Return target y and advantage A of each transition, (N, B) each.

    Source: released code of Yang et al. (2022); for the benchmark form that
        of Ma et al. (2022), since its pull request 3.
    """
    after, gamma = (rho.next_observations, rho.goals), config.gamma
    original = config.form == "original"
    high = 1.0 / (1.0 - gamma) if original else 0.0
    reward = rho.reached if original else sparse_reward(rho.reached)
    target = clip_backup(reward, value_policy(targets, *after), gamma, high)
    value = value_policy(networks, rho.observations, rho.goals)
    if original:
        return target, reward + gamma * value_policy(networks, *after) - value
    return target, target - value.clamp(-1.0 / (1.0 - gamma), high)


# book/baselines/weighted.md, section "The best advantages"
def percentile(values: Tensor, counted: Tensor, percent: Tensor) -> Tensor:
    """Return a percentile of the counted values of each seed.

    Args:
        values: finite numbers, (N, B).
        counted: which of them count, bool, (N, B); if none, the result is
            the least number there is.
        percent: which percentile, 0 to 100, (N,).

    Returns:
        Shape (N,), linear between the two neighbours.

    Raises:
        ValueError: if values or counted does not fit.

    Source: best-advantage weight of Yang et al. (2022).
    """
    check_flat("values", values)
    check_flat("counted", counted, values)
    least = torch.finfo(values.dtype).min
    ranked = torch.where(counted, values, least).sort(dim=1).values
    number = counted.sum(dim=1)
    rank = percent / 100.0 * (number - 1).clamp(min=0)
    last = values.shape[1] - 1
    below = (last + 1 - number + rank.floor().long()).clamp(max=last)
    pair = torch.stack((below, (below + 1).clamp(max=last)), dim=1)
    low, high = ranked.gather(1, pair).unbind(dim=1)
    return low + (rank - rank.floor()) * (high - low)


# book/baselines/weighted.md, section "The best advantages"
def best_weights(
    advantage: Tensor, counted: Tensor, percent: Tensor, floor: float
) -> Tensor:
    r"""Return $\epsilon(A)$: 1 from the percentile on, `floor` below it.

    Args:
        advantage: A, (N, B), detached.
        counted: which advantages count, bool, (N, B).
        percent: the percentile, 0 to 100, (N,).
        floor: weight below it.

    Returns:
        Shape (N, B).

    Raises:
        ValueError: if a shape does not fit.

    Source: best-advantage weight of Yang et al. (2022).
    """
    threshold = percentile(advantage, counted, percent).unsqueeze(1)
    below = advantage < threshold
    return torch.ones_like(advantage).masked_fill(below, floor)


# book/baselines/weighted.md, section "A percentile that rises"
def best_percent(config: WeightedConfig, updates: Tensor) -> Tensor:
    """Return the percentile after so many updates, in percent."""
    return (config.rise * updates).clamp(max=config.top)


# book/baselines/weighted.md, section "All losses"
def losses(
    config: WeightedConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of critic and policy, and what to watch.

    The goal transitions q are not used; asked goals are for the critic.

    Source: Yang et al. (2022); form and best are the configuration's.
    """
    target, advantage = judge(config, networks, targets, rho)
    score = networks["score"](rho.observations, rho.actions, rho.goals)
    weights = step_discount(rho.steps, config.gamma)
    weights = weights * advantage_weights(advantage, 1.0, config.weight_clip)
    total, info = {"loss_score": regression_loss(score, target)}, {}
    later = rho.steps > 0
    if config.best:
        percent = best_percent(config, updates).expand(len(advantage))
        weights = weights * best_weights(
            advantage, later, percent, config.floor
        )
        info["percent"] = percent
    fit, error = fit_of(networks["policy"], rho, "square")
    size = later.shape[1]
    number = later.sum(dim=1, keepdim=True).clamp(min=1)
    shares = weights * (size / number)  # the mean is over hindsight goals
    total["loss_policy"] = weighted_likelihood_loss(fit, shares)
    info |= {
        "reached": rho.reached.mean(dim=1),
        "score": score.mean(dim=(1, 2)),
        "advantage_std": advantage.std(dim=1, correction=0),
        "squared_error": error.mean(dim=1),
        "weight_mean": shares.mean(dim=1),
        "effective_share": effective_share(weights),
    }
    return total, info


# book/baselines/weighted.md, section "All losses"
def init_weighted(
    config: WeightedConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build one critic and the policy."""
    state, hidden = sizes.observation + sizes.goal, config.hidden
    score = Critic(seeds, 1, state + sizes.action, hidden)
    policy = GaussianPolicy(seeds, state, sizes.action, hidden)
    return nn.ModuleDict({"score": score, "policy": policy})


# book/baselines/weighted.md, section "All losses"
BENCHMARK_CODE = {
    "gamma": 0.98,
    "batch_size": 512,
    "hidden": (256, 256, 256),
    "initialiser": "xavier",
    "learning_rate": 5e-4,
    "polyak": 0.0025,
    "hindsight": 1.0,
    "ahead": 0.0,
}
ORIGINAL_CODE = BENCHMARK_CODE | {
    "polyak": 0.005,
    "hindsight": 0.8,
    "rise": 0.01,
}
WGCSL = Agent(
    name="wgcsl",
    config=WeightedConfig,
    init=init_weighted,
    targets=("score", "policy"),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"released": ORIGINAL_CODE},
)
WGCSL_PLAIN = replace(
    WGCSL,
    name="wgcsl-plain",
    config=PlainConfig,
    presets={"released": BENCHMARK_CODE},
)
