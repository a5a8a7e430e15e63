# Generated from book/learning/smore.md by make sync. Edit the chapter, not this file.
"""SMORe: learn the score, then follow it.

Three small networks, three losses, one step on all of them.
"""

__all__ = [
    "OBJECTIVES",
    "WEIGHING",
    "WITH_ACTIONS",
    "SmoreConfig",
    "check_combination",
    "read_mixture",
    "score_loss",
    "DATA",
    "MIXTURE",
    "POLICY",
    "SHAPE",
    "CHI2",
    "GENERAL",
    "SCORE_LOSSES",
    "numbers_of",
    "shape_of",
    "policy_scores",
    "value_loss",
    "policy_loss",
    "losses",
    "differences",
    "watch_ratios",
    "set_level",
    "init_networks",
    "starting_level",
    "action_free_losses",
    "action_free_score_loss",
    "TABLE_4",
    "UNTOUCHED",
    "PRINTED",
    "RELEASED",
    "SMORE",
]


# book/learning/smore.md, section "SMORe: learn the score, then follow it"
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smore_lit.learning.agent import (
    PAPER_STEPS,
    Agent,
    AgentConfig,
    Losses,
    Networks,
    Sizes,
)
from smore_lit.learning.divergence_losses import (
    TRAINABLE,
    action_free_loss,
    best_ratio,
    find_trainable,
    in_sample_divergence_loss,
    mixture_divergence_loss,
)


# book/learning/smore.md, section "SMORe: learn the score, then follow it"
from smore_lit.learning.extraction import (
    act,
    check_weights,
    copy_actions,
    effective_share,
    init_twins,
    read_advantage,
    read_scores,
    unread_weights,
    weigh,
    weighted_likelihood_loss,
)
from smore_lit.learning.networks import GaussianPolicy, Value
from smore_lit.learning.objectives import (
    expectile_loss,
    in_sample_score_loss,
    mixture_score_loss,
    released_score_loss,
    released_stable_score_loss,
)
from smore_lit.learning.trajectories import Batch


# book/learning/smore.md, section "Hyperparameters"
OBJECTIVES = ("in-sample", "paper", "released", "released-stable")
WEIGHING = ("temperature", "advantage", "weights", "offset")
WITH_ACTIONS = ("expectile", *WEIGHING)


# book/learning/smore.md, section "Hyperparameters"
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
    temperature: float = 1.5  # alpha in w = exp(alpha A): multiplies A
    weight_clip: float = 100.0  # largest weight of one action
    advantage: str = "score"  # S - M; or value, gamma M(s') - M(s)
    weights: str = "exponential"  # exp(alpha A); or linear, b + A cut at 0
    offset: float = 1.0  # b of linear weights
    divergence: str = "chi2"  # what S matches by; kl, hellinger or js
    action_free: bool = False  # S of states and goals alone
    ratio_cap: float = 20.0  # largest density ratio; chi2 with actions: none
    centred: bool = True  # S and M set out from the mean of their reward

    def __post_init__(self):
        super().__post_init__()
        check_combination(self)
        check_weights(self)
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
        """Return what scores without actions, or the weights, do not read."""
        if not self.action_free:
            return unread_weights(self)
        reason = "action_free has no {}: coefficient sets its sharpness"
        return {name: reason.format(name) for name in WITH_ACTIONS}


# book/learning/smore.md, section "Hyperparameters"
def check_combination(config: SmoreConfig) -> None:
    """Raise ValueError if settings of `config` contradict each other."""
    find_trainable(config.divergence)
    if config.objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise ValueError(
            f"unknown objective {config.objective!r}; known: {known}"
        )
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


# book/learning/smore.md, section "The score"
def read_mixture(
    networks: Networks, rho: Batch, q: Batch
) -> dict[str, Tensor]:
    """Return S (N, 2, B) and M(s', g) (N, B), detached, on rho and on q."""
    pairs = zip(rho, q, strict=True)
    both = Batch(*(torch.cat(pair, dim=1) for pair in pairs))
    score = networks["score"](both.observations, both.actions, both.goals)
    with torch.no_grad():
        value_next = networks["value"](both.next_observations, both.goals)
    score_rho, score_q = score.tensor_split(2, dim=-1)
    next_rho, next_q = value_next.tensor_split(2, dim=-1)
    return {
        "score_q": score_q,
        "score_rho": score_rho,
        "value_next_q": next_q,
        "value_next_rho": next_rho,
    }


# book/learning/smore.md, section "The score"
def score_loss(
    config: SmoreConfig, networks: Networks, rho: Batch, q: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the configured loss of S (N,), and what to watch of it.

    Source: the chapters on objectives and on divergences.
    """
    terms = read_mixture(networks, rho, q)
    info = {
        "score_q": terms["score_q"].mean(dim=(1, 2)),
        "score_rho": terms["score_rho"].mean(dim=(1, 2)),
    }
    if config.divergence != "chi2":
        info |= watch_ratios(config, differences(config.gamma, **terms))
    loss, reads = SCORE_LOSSES[config.objective, config.divergence]
    known = terms | numbers_of(config)
    if "score_start" in reads:
        known |= policy_scores(networks, rho, q)
    return loss(**{name: known[name] for name in reads}), info


# book/learning/smore.md, section "The score"
DATA = ("score_q", "score_rho", "value_next_rho", "gamma")
MIXTURE = (*DATA, "value_next_q", "beta", "coefficient")
POLICY = (*MIXTURE, "score_start", "score_next")
SHAPE = ("divergence", "cap")
CHI2: dict[tuple[str, str], tuple[Callable, tuple]] = {
    ("in-sample", "chi2"): (in_sample_score_loss, MIXTURE),
    ("paper", "chi2"): (mixture_score_loss, POLICY),
    ("released", "chi2"): (released_score_loss, DATA),
    ("released-stable", "chi2"): (released_stable_score_loss, DATA),
}
GENERAL: dict[str, tuple[Callable, tuple]] = {
    "in-sample": (in_sample_divergence_loss, MIXTURE + SHAPE),
    "paper": (mixture_divergence_loss, POLICY + SHAPE),
}
SCORE_LOSSES = {
    (objective, divergence): loss
    for objective, loss in GENERAL.items()
    for divergence in TRAINABLE
} | CHI2


# book/learning/smore.md, section "The score"
def numbers_of(config: SmoreConfig) -> dict:
    """Return the numbers and the divergence that a loss of S may read."""
    mixed = dict(beta=config.beta, coefficient=config.coefficient)
    return dict(gamma=config.gamma, **mixed, **shape_of(config))


def shape_of(config: SmoreConfig) -> dict:
    """Return the divergence of the configuration as the losses want it."""
    divergence = find_trainable(config.divergence)
    return dict(divergence=divergence, cap=config.ratio_cap)


def policy_scores(
    networks: Networks, rho: Batch, q: Batch
) -> dict[str, Tensor]:
    """Score the policy's actions, at s of rho and at s' of q, (N, 2, B)."""
    states = torch.cat((rho.observations, q.next_observations), dim=1)
    goals = torch.cat((rho.goals, q.goals), dim=1)
    with torch.no_grad():
        actions = networks["policy"](states, goals)
    score = networks["score"](states, actions, goals)
    start, following = score.tensor_split(2, dim=-1)
    return {"score_start": start, "score_next": following}


# book/learning/smore.md, section "The value and the policy"
def value_loss(config: SmoreConfig, target: Tensor, value: Tensor) -> Tensor:
    """Compute the loss (N,) of M from slow scores and M, (N, B) each.

    Source: Eq. 9 of Sikchi et al. (2024), deviation 3.
    """
    return expectile_loss(target - value, config.expectile)


def policy_loss(
    config: SmoreConfig, networks: Networks, rho: Batch, advantage: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss (N,) of the policy from advantages (N, B), detached.

    Source: Eq. 11 of Sikchi et al. (2024), deviation 3.
    """
    copying, spread = copy_actions(networks, rho, weigh(config, advantage))
    return copying["loss_policy"], spread


# book/learning/smore.md, section "All three together"
def losses(
    config: SmoreConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of S, M and the policy, and what to watch of them.

    Source: Eqs. 9 to 11 of Sikchi et al. (2024), deviations 2 to 5.
    """
    if config.action_free:
        return action_free_losses(config, networks, targets, rho, q)
    target, value = read_scores(networks, targets, rho)
    following = None
    if config.advantage == "value":
        with torch.no_grad():
            following = networks["value"](rho.next_observations, rho.goals)
    advantage = read_advantage(config, target, value, following)
    loss_score, watched = score_loss(config, networks, rho, q)
    loss_policy, copied = policy_loss(config, networks, rho, advantage)
    total = {
        "loss_score": loss_score,
        "loss_value": value_loss(config, target, value),
        "loss_policy": loss_policy,
    }
    spread = {"advantage_std": advantage.std(dim=1, correction=0)}
    return total, watched | spread | copied


# book/learning/smore.md, section "All three together"
def differences(
    gamma: float,
    score_q: Tensor,
    score_rho: Tensor,
    value_next_q: Tensor,
    value_next_rho: Tensor,
) -> Tensor:
    r"""Return $\gamma M(s', g) - S$, first of rho, then of q, (N, K, 2B)."""
    score = torch.cat((score_rho, score_q), dim=-1)
    value_next = torch.cat((value_next_rho, value_next_q), dim=-1)
    return gamma * value_next[:, None] - score


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


# book/learning/smore.md, section "Networks"
def set_level(networks: Networks, level: float) -> None:
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


# book/learning/smore.md, section "Without actions"
def action_free_losses(
    config: SmoreConfig,
    networks: Networks,
    targets: Networks,
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
    after = next_q.unsqueeze(1), next_rho.unsqueeze(1)
    return action_free_loss(*given, *after, score_rho, **shape)


# book/learning/smore.md, section "Presets: what was published"
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
