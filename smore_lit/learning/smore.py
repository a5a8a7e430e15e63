# Generated from book/learning/smore.md by make sync. Edit the chapter, not this file.
"""Learn the score, then follow it.

Three small networks, three losses, one step on all of them.
"""

__all__ = [
    "OBJECTIVES",
    "SmoreConfig",
    "check_combination",
    "init_twins",
    "set_level",
    "init_networks",
    "act",
    "starting_level",
    "score_loss",
    "shape_of",
    "policy_scores",
    "read_scores",
    "copy_actions",
    "effective_share",
    "losses",
    "watch_ratios",
    "action_free_losses",
    "action_free_score_loss",
    "TABLE_4",
    "UNTOUCHED",
    "PRINTED",
    "RELEASED",
    "SMORE",
]


# book/learning/smore.md, section "Learn the score, then follow it"
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import (
    PAPER_STEPS,
    Agent,
    AgentConfig,
    Losses,
    Sizes,
)
from smore_lit.learning.divergence_losses import (
    action_free_loss,
    best_ratio,
    find_trainable,
    in_sample_divergence_loss,
    mixture_divergence_loss,
)
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
    """Hold the hyperparameters of SMORe; its presets have the published ones.

    Raises:
        ValueError: an unknown objective, or a number out of its range.
    """

    objective: str = "in-sample"  # loss of the score; or paper, released
    beta: float = 0.5  # share of q in the mixture
    coefficient: float = 0.5  # c, weight of the Bellman term
    expectile: float = 0.8  # tau, lean of M toward the best action
    temperature: float = 1.5  # alpha, sharpness of the policy's weights
    weight_clip: float = 100.0  # largest weight of one action
    divergence: str = "chi2"  # what S matches by; kl, hellinger or js
    action_free: bool = False  # S of states and goals alone
    ratio_cap: float = 20.0  # largest density ratio; chi2 with actions: none
    centred: bool = True  # S and M set out from the mean of their reward

    def __post_init__(self):
        super().__post_init__()
        check_combination(self)
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
            if not 0.0 < value < math.inf:
                raise ValueError(
                    f"{name} must be positive and finite, got {value}"
                )

    def unread(self) -> dict[str, str]:
        """Return temperature and expectile, which need actions."""
        reason = "action_free has no {}: coefficient sets its sharpness"
        names = ("temperature", "expectile") if self.action_free else ()
        return {name: reason.format(name) for name in names}


# book/learning/smore.md, section "Hyperparameters"
def check_combination(config: SmoreConfig) -> None:
    """Raise ValueError if settings of `config` contradict each other."""
    find_trainable(config.divergence)
    if not 1.0 < config.ratio_cap < float("inf"):
        raise ValueError(
            f"ratio_cap must be above 1 and finite, got {config.ratio_cap}"
        )
    general = config.action_free or config.divergence != "chi2"
    if general and config.objective.startswith("released"):
        raise ValueError(
            f"objective {config.objective!r} is made of squares of S(s, a, g):"
            " use in-sample or paper with another divergence or action_free"
        )


# book/learning/smore.md, section "Networks"
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


def set_level(networks: nn.ModuleDict, level: float) -> None:
    """Let "score" and "value" set out from `level`."""
    for name in ("score", "value"):
        last = networks[name].network.layers[-1]
        nn.init.constant_(last.bias, level)


def init_networks(
    config: SmoreConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build S, M and the policy; a score without actions is its own M."""
    if not config.action_free:
        networks = init_twins(config, sizes, seeds)
        set_level(networks, starting_level(config))
        return networks
    state, hidden = sizes.observation + sizes.goal, config.hidden
    policy = GaussianPolicy(seeds, state, sizes.action, hidden)
    score = Value(seeds, state, hidden)
    return nn.ModuleDict({"score": score, "policy": policy})


def act(
    networks: nn.ModuleDict, observations: Tensor, goals: Tensor
) -> Tensor:
    """Return mean actions (N, B, A) at observations and goals (N, B, ·)."""
    return networks["policy"](observations, goals)


# book/learning/smore.md, section "Where the score starts"
def starting_level(config: SmoreConfig) -> float:
    """Return the level from which S and M set out.

    It is the mean reward of the in-sample loss over the mixture, received
    for ever; 0 for the losses that pay nothing, or we know not what.
    """
    known = config.objective == "in-sample" and config.divergence == "chi2"
    if config.centred and known and not config.action_free:
        mean = config.beta / (2.0 * config.coefficient)
        return mean / (1.0 - config.gamma)
    return 0.0


# book/learning/smore.md, section "The loss of the score"
def score_loss(
    config: SmoreConfig, networks: nn.ModuleDict, rho: Batch, q: Batch
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the configured objective of S on one batch of rho and one of q.

    Returns:
        The loss (N,), the scores of rho and of q, each (N, 2, B), and
        M(s', g) after rho, then q, (N, 2B).
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
    policy = ()
    if config.objective == "paper":
        policy = policy_scores(networks, rho, q)
    if config.objective == "released":
        loss = released_score_loss(*data, gamma=gamma)
    elif config.objective == "released-stable":
        loss = released_stable_score_loss(*data, gamma=gamma)
    elif config.divergence == "chi2":
        pick = mixture_score_loss if policy else in_sample_score_loss
        loss = pick(*mixture, *policy, gamma=gamma, **mixed)
    else:
        pick = in_sample_divergence_loss
        pick = mixture_divergence_loss if policy else pick
        mixed |= shape_of(config)
        loss = pick(*mixture, *policy, gamma=gamma, **mixed)
    return loss, score_rho, score_q, value_next


# book/learning/smore.md, section "The loss of the score"
def shape_of(config: SmoreConfig) -> dict:
    """Return the divergence of the configuration as the losses want it."""
    divergence = find_trainable(config.divergence)
    return dict(divergence=divergence, cap=config.ratio_cap)


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
def read_scores(
    networks: nn.ModuleDict, targets: nn.ModuleDict, rho: Batch
) -> tuple[Tensor, Tensor]:
    """Return the smaller slow score, detached, and the value, (N, B) each."""
    with torch.no_grad():
        target = targets["score"](rho.observations, rho.actions, rho.goals)
        target = target.amin(dim=1)  # smaller of the two critics  (N, B)
    return target, networks["value"](rho.observations, rho.goals)


def copy_actions(
    networks: nn.ModuleDict, rho: Batch, weights: Tensor
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
    if config.action_free:
        return action_free_losses(config, networks, targets, rho, q)
    target, value = read_scores(networks, targets, rho)
    advantage = (target - value).detach()
    weights = advantage_weights(
        advantage, config.temperature, config.weight_clip
    )
    copying, spread = copy_actions(networks, rho, weights)
    loss_score, *scores, value_next = score_loss(config, networks, rho, q)
    score_rho, score_q = scores
    total = {
        "loss_score": loss_score,
        "loss_value": expectile_loss(target - value, config.expectile),
    }
    info = {
        "score_q": score_q.mean(dim=(1, 2)),
        "score_rho": score_rho.mean(dim=(1, 2)),
        "advantage_std": advantage.std(dim=1, correction=0),
    }
    total, info = total | copying, info | spread
    if config.divergence != "chi2":
        y = config.gamma * value_next[:, None] - torch.cat(scores, dim=-1)
        info |= watch_ratios(config, y)
    return total, info


# book/learning/smore.md, section "All three losses"
def watch_ratios(config: SmoreConfig, y: Tensor) -> dict[str, Tensor]:
    """Measure the density ratios at y (N, K, 2B), first rho, then q."""
    shape = shape_of(config)
    ratio = best_ratio(4.0 * config.coefficient * y, **shape)
    ratio_rho, ratio_q = ratio.tensor_split(2, dim=-1)
    every = ratio.flatten(1)
    return {
        "ratio_q": ratio_q.mean(dim=(1, 2)),
        "ratio_rho": ratio_rho.mean(dim=(1, 2)),
        "ratio_max": every.amax(dim=1),
        "ratio_capped": (every >= config.ratio_cap).float().mean(dim=1),
        "ratio_share": effective_share(every),
    }


# book/learning/smore.md, section "Without actions"
def action_free_losses(
    config: SmoreConfig,
    networks: nn.ModuleDict,
    targets: nn.ModuleDict,
    rho: Batch,
    q: Batch,
) -> Losses:
    """Compute the losses of S(s, g) and the policy, and what to watch.

    Source: Theorem 2 of Sikchi et al. (2024), as printed.
    """
    size, gamma = rho.goals.shape[1], config.gamma
    both = Batch(*(torch.cat(x, dim=1) for x in zip(rho, q, strict=True)))
    here = both.observations, both.goals
    after = both.next_observations, both.goals
    with torch.no_grad():
        target, target_next = targets["score"](*here), targets["score"](*after)
    score, following = networks["score"](*here), target_next
    if config.objective == "paper":
        following = networks["score"](*after)
    score_rho, score_q = score.unsqueeze(1).split(size, dim=-1)
    loss = action_free_score_loss(config, score_rho, score_q, following)
    slow = (gamma * target_next - target).unsqueeze(1)
    watched = watch_ratios(config, slow)
    scale = 4.0 * config.coefficient
    ratio = best_ratio(scale * slow.squeeze(1), **shape_of(config))
    share = torch.full_like(ratio, 2.0 * config.beta)
    share[:, :size] = 2.0 * (1.0 - config.beta)
    weights = share * ratio.clamp(max=config.weight_clip)
    policy = networks["policy"]
    log_prob = policy.log_prob(policy(*here), both.actions)
    total = {
        "loss_score": loss,
        "loss_policy": weighted_likelihood_loss(log_prob, weights),
    }
    info = {
        "score_q": score_q.mean(dim=(1, 2)),
        "score_rho": score_rho.mean(dim=(1, 2)),
        "weight_mean": weights.mean(dim=1),
    }
    return total, info | watched


# book/learning/smore.md, section "Without actions"
def action_free_score_loss(
    config: SmoreConfig, score_rho: Tensor, score_q: Tensor, following: Tensor
) -> Tensor:
    """Compute the loss of S(s, g) from scores at s and at s', (N,).

    Args:
        config: says which objective and divergence.
        score_rho, score_q: S(s, g), each (N, 1, B).
        following: S(s', g) after rho, then q, (N, 2B).
    """
    next_rho, next_q = following.tensor_split(2, dim=-1)
    shape = dict(beta=config.beta, gamma=config.gamma, **shape_of(config))
    shape["coefficient"] = config.coefficient
    given = score_q, score_rho
    if config.objective == "in-sample":
        return in_sample_divergence_loss(*given, next_q, next_rho, **shape)
    given += next_q.unsqueeze(1), next_rho.unsqueeze(1), score_rho
    return action_free_loss(*given, **shape)


# book/learning/smore.md, section "Without actions"
TABLE_4 = {
    "gamma": 0.99,
    "batch_size": 512,
    "hidden": (256, 256),
    "learning_rate": 3e-4,
    "beta": 0.5,
    "temperature": 3.0,
    "cosine": True,
}
UNTOUCHED = {"centred": False, "ahead": 0.0, "standardise": False}
PRINTED = {
    **TABLE_4,
    **UNTOUCHED,
    "objective": "paper",
    "coefficient": 1.0,
    "expectile": 0.8,
    "polyak": PAPER_STEPS["polyak"],
}
RELEASED = {
    **PAPER_STEPS,
    **UNTOUCHED,
    "objective": "released",
    "hidden": (256, 256, 256),
    "batch_size": 256,
    "expectile": 0.8,
    "temperature": 3.0,
}
SMORE = Agent(
    name="smore",
    config=SmoreConfig,
    init=init_networks,
    targets=("score",),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"paper": PRINTED, "released": RELEASED},
)
