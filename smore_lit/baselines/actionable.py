# Generated from book/baselines/actionable.md by make sync. Edit the chapter, not this file.
"""Actionable Models (AM): chain goals across episodes.

Q-learning on a told reward, with two additions: half of the transitions get
goals of other episodes, and actions that nobody took are marked down.
"""

__all__ = [
    "clipped_backup",
    "push_down",
    "conservative_loss",
    "chain_goals",
    "ActionableConfig",
    "score_actions",
    "losses",
    "init_networks",
    "RELEASED",
    "AM",
]


# book/baselines/actionable.md, section "Actionable Models (AM): chain goals across episodes"
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smore_lit.baselines.in_sample import sparse_reward
from smore_lit.baselines.weighted import clip_backup, value_policy
from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Losses,
    Networks,
    Sizes,
)
from smore_lit.learning.extraction import act
from smore_lit.learning.networks import Critic, GaussianPolicy, hold
from smore_lit.learning.objectives import (
    check_flat,
    check_number,
    check_score,
    mean_sum,
    regression_loss,
)
from smore_lit.learning.trajectories import Batch, reaches


# book/baselines/actionable.md, section "A Q that follows the policy"
def clipped_backup(
    reached: Tensor, value_next: Tensor, gamma: float
) -> Tensor:
    r"""Return $r + \gamma \bar Q(s', \bar\pi(s', g), g)$, clipped, (N, B).

    Args:
        reached: 1 where phi(s') is within the tolerance of g, else 0, (N, B).
        value_next: the slow Q after the transition, (N, B), detached.
        gamma: discount, in [0, 1).

    Raises:
        ValueError: if a shape or the discount does not fit.

    Source: Chebotar et al. (2021); reward and clip are those of the code
        released with Ma et al. (2022).
    """
    return clip_backup(sparse_reward(reached), value_next, gamma, 0.0)


# book/baselines/actionable.md, section "Push down what nobody tried"
def push_down(proposed: Tensor) -> Tensor:
    r"""Compute $\sum_j w_j Q(s, \tilde a_j, g)$, w the softmax, detached.

    Args:
        proposed: Q at proposed actions, (N, K, B, P): P of them for each of
            B rows, under K critics.

    Returns:
        Shape (N,): mean over the batch, summed over critics.

    Raises:
        ValueError: if proposed is not (N, K, B, P) or empty.

    Source: Chebotar et al. (2021), the mean over the drawn action.
    """
    if proposed.ndim != 4 or 0 in proposed.shape:
        raise ValueError(
            "proposed must be (seeds, critics, batch, proposals) and not"
            f" empty, got shape {tuple(proposed.shape)}"
        )
    weights = proposed.detach().softmax(dim=-1)
    return mean_sum((weights * proposed).sum(dim=-1))


# book/baselines/actionable.md, section "Push down what nobody tried"
def conservative_loss(
    score: Tensor, target: Tensor, proposed: Tensor, weight: float
) -> Tensor:
    r"""Compute the regression of Q on its targets plus the push.

    Args:
        score: Q at actions of the data, (N, K, B).
        target: y of the same rows, (N, B), detached.
        proposed: Q at proposed actions, (N, K, B, P).
        weight: c, not negative.

    Returns:
        Shape (N,): means over the batch, summed over critics.

    Raises:
        ValueError: if a shape or the weight does not fit.

    Source: the loss of Q in Chebotar et al. (2021), in the form of the code
        released with Ma et al. (2022).
    """
    check_score("score", score)
    check_number("weight", weight, 0.0, math.inf)
    if proposed.shape[:-1] != score.shape:
        raise ValueError(
            f"proposed has shape {tuple(proposed.shape)}, expected"
            f" {tuple(score.shape)} and the proposals"
        )
    return regression_loss(score, target) + weight * push_down(proposed)


# book/baselines/actionable.md, section "The goal of the row above"
def chain_goals(rho: Batch, share: float) -> tuple[Tensor, Tensor]:
    """Give the last rows of a batch the goal of the row above them.

    Args:
        rho: transitions and their goals.
        share: which part of the rows changes its goal, in [0, 1]; rounded
            down, and none of a batch of one.

    Returns:
        Goals (N, B, G), and 1 where phi(s') is within tolerance of them,
        else 0, (N, B).

    Raises:
        ValueError: if a shape or the share does not fit.

    Source: goal chaining of Chebotar et al. (2021).
    """
    check_flat("reached", rho.reached)
    check_number("share", share, 0.0, 1.0)
    goals, size = rho.goals, rho.reached.shape[1]
    if goals.ndim != 3 or goals.shape[:2] != rho.reached.shape:
        raise ValueError(
            f"goals have shape {tuple(goals.shape)}, expected"
            f" {tuple(rho.reached.shape)} and the size of a goal"
        )
    kept = size - int(share * size) if size > 1 else 1
    other = goals.roll(1, dims=1)
    met = reaches(rho.next_achieved, other, rho.tolerance)
    return (
        torch.cat((goals[:, :kept], other[:, kept:]), dim=1),
        torch.cat((rho.reached[:, :kept], met[:, kept:]), dim=1),
    )


# book/baselines/actionable.md, section "The agent"
@dataclass(frozen=True)
class ActionableConfig(AgentConfig):
    """Hold the hyperparameters of Actionable Models.

    Raises:
        ValueError: a number out of its range.
    """

    hindsight: float = 1.0  # all goals from the own future, then exchanged
    chained: float = 0.5  # share of the batch that exchanges its goals
    conservative: float = 1.0  # c, weight of the push on proposed actions
    proposals: int = 10  # uniform actions per row among which to push
    critics: int = 1  # trained side by side; the least is believed

    def __post_init__(self):
        super().__post_init__()
        ranges = {
            "chained": (0.0 <= self.chained <= 1.0, "in [0, 1]"),
            "conservative": (
                0.0 <= self.conservative < math.inf,
                "0 or more and finite",
            ),
            "proposals": (self.proposals >= 1, "1 or more"),
            "critics": (self.critics >= 1, "1 or more"),
        }
        for name, (fits, due) in ranges.items():
            if not fits:
                raise ValueError(
                    f"{name} must be {due}, got {getattr(self, name)}"
                )

    def draws(self, sizes: Sizes) -> int:
        """Return the numbers that make the proposed actions of one row."""
        return self.proposals * sizes.action


# book/baselines/actionable.md, section "The agent"
def score_actions(
    config: ActionableConfig, critic: Critic, rho: Batch, goals: Tensor
) -> tuple[Tensor, Tensor]:
    """Score recorded actions (N, K, B) and proposed ones (N, K, B, P).

    Raises:
        ValueError: if the batch does not bring the noise for P actions.
    """
    recorded = rho.actions.unsqueeze(2)  # (N, B, 1, A)
    size, held = recorded.shape[-1], rho.noise.shape[-1]
    if held != config.proposals * size:
        raise ValueError(
            f"noise must hold {config.proposals * size} numbers a row,"
            f" got {held}"
        )
    uniform = rho.noise.unflatten(-1, (config.proposals, size))
    actions = torch.cat((recorded, 2.0 * uniform - 1.0), dim=2)
    repeated = [
        x.unsqueeze(2).expand(-1, -1, actions.shape[2], -1)
        for x in (rho.observations, goals)
    ]
    states, goals = (x.flatten(1, 2) for x in repeated)
    scores = critic(states, actions.flatten(1, 2), goals)
    scores = scores.unflatten(-1, (-1, actions.shape[2]))
    return scores[..., 0], scores[..., 1:]


# book/baselines/actionable.md, section "The agent"
def losses(
    config: ActionableConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of Q and the policy, and what to watch of them.

    The goal transitions q are not used.

    Source: Chebotar et al. (2021); the numbered list of the chapter says
        what differs.
    """
    goals, reached = chain_goals(rho, config.chained)
    following = value_policy(targets, rho.next_observations, goals)
    target = clipped_backup(reached, following, config.gamma)
    score, proposed = score_actions(config, networks["score"], rho, goals)
    chosen = networks["policy"](rho.observations, goals)
    climbed = hold(networks["score"], rho.observations, chosen, goals)
    climbed = climbed.amin(dim=1)  # the least of the critics  (N, B)
    given = score, target, proposed, config.conservative
    total = {
        "loss_score": conservative_loss(*given),
        "loss_policy": -climbed.mean(dim=1),
    }
    info = {
        "reached": reached.mean(dim=1),
        "target": target.mean(dim=1),
        "score": score.mean(dim=(1, 2)),
        "score_proposed": proposed.mean(dim=(1, 2, 3)),
        "score_policy": climbed.mean(dim=1),
    }
    return total, info


# book/baselines/actionable.md, section "The agent"
def init_networks(
    config: ActionableConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build Q and the policy."""
    state, hidden = sizes.observation + sizes.goal, config.hidden
    inputs = state + sizes.action
    return nn.ModuleDict(
        {
            "score": Critic(seeds, config.critics, inputs, hidden),
            "policy": GaussianPolicy(seeds, state, sizes.action, hidden),
        }
    )


RELEASED = {
    "hidden": (256, 256, 256),
    "initialiser": "xavier",
    "learning_rate": 1e-3,
    "batch_size": 512,
    "gamma": 0.98,
    "polyak": 0.0025,
    "hindsight": 1.0,
    "ahead": 0.0,
    "cosine": False,
}
AM = Agent(
    name="am",
    config=ActionableConfig,
    init=init_networks,
    targets=("score", "policy"),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"released": RELEASED},
)
