# Generated from book/learning/ablations.md by make sync. Edit the chapter, not this file.
"""Ablations of SMORe: take SMORe apart.

One part is taken out at a time: what that does to the fixed point, what it
does to training, and what a separate discriminator would change.
"""

__all__ = [
    "ascent_loss",
    "climb_score",
    "follow_policy",
    "mixture_backup_loss",
    "discriminator_loss",
    "classifier_reward",
    "REWARDS",
    "DiscriminatorConfig",
    "init_classified",
    "classified_losses",
    "DISCRIMINATOR",
    "EXTRACTIONS",
    "MAXIMA",
    "AblationConfig",
    "drop_contrast",
    "ablated_losses",
    "init_ablated",
    "ABLATED",
]


# book/learning/ablations.md, section "Ablations of SMORe: take SMORe apart"
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from smore_lit.learning.agent import AgentConfig, Losses, Networks, Sizes
from smore_lit.learning.extraction import (
    advantage_weights,
    copy_actions,
    init_twins,
    read_scores,
)
from smore_lit.learning.networks import Critic, hold
from smore_lit.learning.objectives import (
    check_flat,
    check_number,
    check_score,
    expectile_loss,
    mean_sum,
    regression_loss,
)
from smore_lit.learning.smore import (
    SMORE,
    SmoreConfig,
    init_networks,
    read_mixture,
    set_level,
)
from smore_lit.learning.trajectories import Batch


# book/learning/ablations.md, section "Without copying, without the expectile"
def ascent_loss(score: Tensor) -> Tensor:
    r"""Compute $-\min_k S_k(s, \pi(s, g), g)$, mean over the batch.

    Args:
        score: S at the policy's actions, (N, K, B); the critics held still.

    Returns:
        Shape (N,).

    Raises:
        ValueError: if score is not (N, K, B).

    Source: Lillicrap et al. (2016), the smaller of K critics.
    """
    check_score("score", score)
    return -score.amin(dim=1).mean(dim=-1)


# book/learning/ablations.md, section "Without copying, without the expectile"
def climb_score(networks: Networks, rho: Batch) -> Tensor:
    """Compute the loss (N,) of a policy that climbs a score held still."""
    actions = networks["policy"](rho.observations, rho.goals)
    given = rho.observations, actions, rho.goals
    return ascent_loss(hold(networks["score"], *given))


def follow_policy(
    networks: Networks, targets: Networks, rho: Batch
) -> Tensor:
    """Compute the loss (N,) of M as the slow score of the policy's action."""
    with torch.no_grad():
        actions = networks["policy"](rho.observations, rho.goals)
        score = targets["score"](rho.observations, actions, rho.goals)
    value = networks["value"](rho.observations, rho.goals)
    return expectile_loss(score.amin(dim=1) - value, 0.5)


# book/learning/ablations.md, section "Without the contrast"
def mixture_backup_loss(
    scores: tuple[Tensor, Tensor],
    rewards: tuple[Tensor, Tensor],
    values_next: tuple[Tensor, Tensor],
    *,
    beta: float,
    gamma: float,
    coefficient: float,
) -> Tensor:
    r"""Compute the regression of S on $r + \gamma M(s', g)$, q and rho mixed.

    Args:
        scores: S on goal transitions and on data, (N, K, B) each.
        rewards: r of the same transitions, (N, B) each, detached.
        values_next: M(s', g) after them, (N, B) each, detached.
        beta: share of q in the mixture, in [0, 1].
        gamma: discount, in [0, 1].
        coefficient: c of the square.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if a shape or a number does not fit.

    Source: square of Eq. 10 of Sikchi et al. (2024), a reward beside M.
    """
    check_number("beta", beta, 0.0, 1.0)
    check_number("coefficient", coefficient, 0.0, float("inf"))
    check_number("gamma", gamma, 0.0, 1.0)
    squares = []
    for score, reward, after in zip(scores, rewards, values_next, strict=True):
        check_score("score", score)
        check_flat("reward", reward, score)
        check_flat("value_next", after, score)
        squares.append(regression_loss(score, reward + gamma * after))
    on_q, on_rho = squares
    return coefficient * (beta * on_q + (1.0 - beta) * on_rho)


# book/learning/ablations.md, section "A discriminator of its own"
def discriminator_loss(logit_q: Tensor, logit_rho: Tensor) -> Tensor:
    r"""Compute the cross-entropy of telling q from rho, half of each.

    Args:
        logit_q: log-odds of q on goal transitions, (N, K, B).
        logit_rho: the same on transitions of the data, (N, K, B).

    Returns:
        Shape (N,): mean over the batch, summed over K discriminators.

    Raises:
        ValueError: if a shape does not fit.

    Source: Eq. 1 of Goodfellow et al. (2014), q the real samples.
    """
    check_score("logit_q", logit_q)
    check_score("logit_rho", logit_rho, logit_q)
    missed, mistaken = softplus(-logit_q), softplus(logit_rho)
    return 0.5 * (mean_sum(missed) + mean_sum(mistaken))


# book/learning/ablations.md, section "A discriminator of its own"
def classifier_reward(
    logit: Tensor, reward: str = "probability", coefficient: float = 0.5
) -> Tensor:
    r"""Return the reward that a discriminator implies.

    Args:
        logit: log-odds of q, (N, B), detached.
        reward: "probability" for $D / (2c)$, or "logit".
        coefficient: c.

    Returns:
        Shape (N, B).

    Raises:
        ValueError: if logit is not (N, B).

    Source: pointwise minimiser of the in-sample loss at beta = 1/2; the
        logit is the reward of Ma et al. (2022).
    """
    check_flat("logit", logit)
    if reward == "logit":
        return logit
    return torch.sigmoid(logit) / (2.0 * coefficient)


# book/learning/ablations.md, section "Its networks"
REWARDS = ("probability", "logit")


@dataclass(frozen=True)
class DiscriminatorConfig(AgentConfig):
    """Hold the hyperparameters of SMORe in two parts, SMORe's own values.

    Raises:
        ValueError: an unknown reward, or a number out of its range.
    """

    weight_clip: float = 100.0  # largest weight of one action
    expectile: float = 0.8  # tau, lean of M toward the best action
    temperature: float = 1.5  # alpha in w = exp(alpha A): multiplies A
    reward: str = "probability"  # of coming from q; or logit, its log-odds
    coefficient: float = 0.5  # c: a sure goal transition is paid 1 / (2 c)
    centred: bool = True  # S and M set out from the mean of their reward

    def unread(self) -> dict[str, str]:
        """Return nothing: the discriminator reads q, and so `near`."""
        return {}

    def __post_init__(self):
        super().__post_init__()
        if self.reward not in REWARDS:
            raise ValueError(
                f"unknown reward {self.reward!r}; known: {', '.join(REWARDS)}"
            )
        for name in ("weight_clip", "expectile", "temperature", "coefficient"):
            high = 1.0 if name == "expectile" else math.inf
            value = getattr(self, name)
            if not 0.0 < value < high:
                raise ValueError(
                    f"{name} must lie in (0, {high:g}), got {value}"
                )


# book/learning/ablations.md, section "Its networks"
def init_classified(
    config: DiscriminatorConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build SMORe's networks and, after them, a discriminator."""
    networks = init_twins(config, sizes, seeds)
    if config.centred and config.reward == "probability":
        level = 0.25 / (config.coefficient * (1.0 - config.gamma))
        set_level(networks, level)
    networks["discriminator"] = Critic(seeds, 1, sum(sizes), config.hidden)
    return networks


# book/learning/ablations.md, section "Its networks"
def classified_losses(
    config: DiscriminatorConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of discriminator, S, M and the policy.

    Source: a discriminator for a reward as in Ma et al. (2022), S, M and
        the policy as in Eqs. 5 to 7 of Kostrikov et al. (2022).
    """
    target, value = read_scores(networks, targets, rho)
    advantage = (target - value).detach()
    alpha, clip = config.temperature, config.weight_clip
    weights = advantage_weights(advantage, alpha, clip)
    copying, spread = copy_actions(networks, rho, weights)
    both = Batch(*(torch.cat(x, dim=1) for x in zip(rho, q, strict=True)))
    given = both.observations, both.actions, both.goals
    logit = networks["discriminator"](*given)
    logit_rho, logit_q = logit.tensor_split(2, dim=-1)
    reward = logit.detach().squeeze(1)
    reward = classifier_reward(reward, config.reward, config.coefficient)
    with torch.no_grad():
        following = networks["value"](both.next_observations, both.goals)
    backup = reward + config.gamma * following
    square = regression_loss(networks["score"](*given), backup)
    total = {
        "loss_discriminator": discriminator_loss(logit_q, logit_rho),
        "loss_score": config.coefficient * square,
        "loss_value": expectile_loss(target - value, config.expectile),
    }
    info = {
        "probability_q": logit_q.sigmoid().mean(dim=(1, 2)),
        "probability_rho": logit_rho.sigmoid().mean(dim=(1, 2)),
        "reward": reward.mean(dim=1),
        "advantage_std": advantage.std(dim=1, correction=0),
    }
    return total | copying, info | spread


# book/learning/ablations.md, section "Its networks"
DISCRIMINATOR = replace(
    SMORE,
    name="smore-discriminator",
    config=DiscriminatorConfig,
    init=init_classified,
    losses=classified_losses,
    presets={},
)


# book/learning/ablations.md, section "SMORe with parts out"
EXTRACTIONS = ("awr", "ascent")
MAXIMA = ("expectile", "policy")


@dataclass(frozen=True)
class AblationConfig(SmoreConfig):
    """Hold the hyperparameters of SMORe, and which of its parts are out.

    Raises:
        ValueError: an unknown part, or one that SMORe as configured lacks.
    """

    extraction: str = "awr"  # or ascent: the policy climbs the score
    maximum: str = "expectile"  # or policy: M is S at the policy's action
    contrast: bool = True  # False drops -beta E_q[S] from the score's loss

    def unread(self) -> dict[str, str]:
        """Return what only copies of actions read."""
        reason = "extraction ascent copies no actions: it has no {}"
        climbing = self.extraction == "ascent"
        names = ("advantage", "weights", "offset") if climbing else ()
        return super().unread() | {n: reason.format(n) for n in names}

    def __post_init__(self):
        super().__post_init__()
        for name, known in (("extraction", EXTRACTIONS), ("maximum", MAXIMA)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r};"
                    f" known: {', '.join(known)}"
                )
        if self.action_free:
            raise ValueError("action_free has no S(s, a, g): use smore")
        square = self.objective == "in-sample" and self.divergence == "chi2"
        if not self.contrast and not square:
            raise ValueError(
                "contrast=False is for objective in-sample, divergence chi2,"
                f" got {self.objective!r} and {self.divergence!r}"
            )


# book/learning/ablations.md, section "SMORe with parts out"
def drop_contrast(
    config: AblationConfig, networks: Networks, rho: Batch, q: Batch
) -> Tensor:
    """Compute the loss (N,) of S with a reward of zero everywhere."""
    terms = read_mixture(networks, rho, q)
    scores = terms["score_q"], terms["score_rho"]
    after = terms["value_next_q"], terms["value_next_rho"]
    nothing = torch.zeros_like(after[0])
    given = scores, (nothing, nothing), after
    beta, gamma, scale = config.beta, config.gamma, config.coefficient
    return mixture_backup_loss(
        *given, beta=beta, gamma=gamma, coefficient=scale
    )


# book/learning/ablations.md, section "SMORe with parts out"
def ablated_losses(
    config: AblationConfig,
    networks: nn.ModuleDict,
    targets: nn.ModuleDict,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute SMORe's losses, with those replaced whose part is out.

    Source: Table 16 of Sikchi et al. (2024) for two of the three.
    """
    total, info = SMORE.losses(config, networks, targets, rho, q, updates)
    if config.extraction == "ascent":
        total["loss_policy"] = climb_score(networks, rho)
    if config.maximum == "policy":
        total["loss_value"] = follow_policy(networks, targets, rho)
    if not config.contrast:
        total["loss_score"] = drop_contrast(config, networks, rho, q)
    return total, info


# book/learning/ablations.md, section "SMORe with parts out"
def init_ablated(
    config: AblationConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build SMORe's networks, at 0 where no contrast pays a reward."""
    if not config.contrast:
        config = replace(config, centred=False)
    return init_networks(config, sizes, seeds)


ABLATED = replace(
    SMORE,
    name="smore-ablated",
    config=AblationConfig,
    init=init_ablated,
    losses=ablated_losses,
)
