# Generated from book/baselines/contrastive.md by make sync. Edit the chapter, not this file.
"""Contrastive RL (CRL): climb a classifier of futures.

A classifier learns which goals an episode went on to reach, and the policy
takes the action that makes its goal likeliest.
"""

__all__ = [
    "ContrastiveCritic",
    "contrastive_loss",
    "contrastive_policy_loss",
    "ContrastiveConfig",
    "exchange_goals",
    "init_networks",
    "losses",
    "watch_logits",
    "RELEASED",
    "CRL",
]


# book/baselines/contrastive.md, section "Contrastive RL (CRL): climb a classifier of futures"
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Losses,
    Networks,
    Sizes,
)
from smore_lit.learning.extraction import act
from smore_lit.learning.networks import MLP, GaussianPolicy, hold
from smore_lit.learning.objectives import check_flat, check_number
from smore_lit.learning.trajectories import Batch


# book/baselines/contrastive.md, section "A classifier of pairs"
class ContrastiveCritic(nn.Module):
    """Score pairs of state and action against goals by an inner product.

    Args:
        seeds, critics: the leading axes N and K of all parameters.
        sizes: of observations, actions and goals.
        hidden: widths of the hidden layers of both encoders.
        representation: R, how many numbers an encoding has.
    """

    def __init__(
        self,
        seeds: int,
        critics: int,
        sizes: Sizes,
        hidden: Sequence[int],
        representation: int,
    ):
        super().__init__()
        lead, inputs = (seeds, critics), sizes.observation + sizes.action
        self.pairs = MLP(lead, (inputs, *hidden, representation))
        self.goals = MLP(lead, (sizes.goal, *hidden, representation))

    def encode(
        self, states: Tensor, actions: Tensor, goals: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the encodings of pairs and of goals, (N, K, B, R) each."""
        pairs = torch.cat((states, actions), dim=-1).unsqueeze(1)
        return self.pairs(pairs), self.goals(goals.unsqueeze(1))

    def forward(
        self, states: Tensor, actions: Tensor, goals: Tensor
    ) -> Tensor:
        """Map (N, B, O), (N, B, A), (N, B, G) to f of each row (N, K, B)."""
        pairs, goals = self.encode(states, actions, goals)
        return (pairs * goals).sum(dim=-1)


# book/baselines/contrastive.md, section "A classifier of pairs"
def contrastive_loss(logits: Tensor) -> Tensor:
    """Compute the binary cross-entropy of telling own goals from others'.

    Args:
        logits: f of row i's state and action with row j's goal,
            (N, K, B, B); the diagonal holds each row's own goal.

    Returns:
        Shape (N,): mean over the matrix, summed over critics.

    Raises:
        ValueError: if logits are not (N, K, B, B) or empty.

    Source: binary NCE of Eysenbach et al. (2022), the batch as negatives.
    """
    shape = tuple(logits.shape)
    if len(shape) != 4 or 0 in shape or shape[2] != shape[3]:
        raise ValueError(
            "logits must be (seeds, critics, batch, batch) and not empty,"
            f" got shape {shape}"
        )
    own = torch.eye(shape[-1], dtype=logits.dtype, device=logits.device)
    loss = binary_cross_entropy_with_logits(
        logits, own.expand_as(logits), reduction="none"
    )
    return loss.mean(dim=(2, 3)).sum(dim=1)


# book/baselines/contrastive.md, section "A policy that climbs and copies"
def contrastive_policy_loss(
    log_prob: Tensor, score: Tensor, bc: float
) -> Tensor:
    """Compute the loss of a policy that climbs a critic and copies a little.

    Args:
        log_prob: log-density of the recorded actions, (N, B).
        score: critic at the policy's own actions, (N, B).
        bc: share of copying, in [0, 1].

    Returns:
        Shape (N,): mean over the batch.

    Raises:
        ValueError: if a shape or bc does not fit.

    Source: actor loss of Eysenbach et al. (2022), offline.
    """
    check_flat("log_prob", log_prob)
    check_flat("score", score, log_prob)
    check_number("bc", bc, 0.0, 1.0)
    return (-bc * log_prob - (1.0 - bc) * score).mean(dim=1)


# book/baselines/contrastive.md, section "The agent"
@dataclass(frozen=True)
class ContrastiveConfig(AgentConfig):
    """Hold the hyperparameters of contrastive RL in its offline form.

    The discount is in the draw of goals, `future`; `gamma` plays no part.

    Raises:
        ValueError: a number out of its range.
    """

    hindsight: float = 1.0  # only goals that were reached later
    future: float = 0.99  # gamma of the draw of goals
    representation: int = 64  # numbers in an encoding, rank of the critic
    critics: int = 2  # the policy believes the smallest
    bc: float = 0.05  # c, share of copying in the policy's loss
    random_goals: float = 0.0  # share of the policy's goals from strangers

    def __post_init__(self):
        super().__post_init__()
        for name in ("representation", "critics"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be 1 or more, got {getattr(self, name)}"
                )
        for name in ("bc", "random_goals"):
            check_number(name, getattr(self, name), 0.0, 1.0)


# book/baselines/contrastive.md, section "The agent"
def exchange_goals(goals: Tensor, share: float) -> Tensor:
    """Give the first rows the goal of the row before.

    Args:
        goals: shape (N, B, G).
        share: how many of the B rows, in [0, 1], rounded.

    Returns:
        Shape (N, B, G); the first row's new goal is the last row's.
    """
    count = round(share * goals.shape[1])
    return torch.cat(
        (goals.roll(1, dims=1)[:, :count], goals[:, count:]), dim=1
    )


def init_networks(
    config: ContrastiveConfig, sizes: Sizes, seeds: int
) -> nn.ModuleDict:
    """Build the two encoders, as one critic, and the policy."""
    inputs, hidden = sizes.observation + sizes.goal, config.hidden
    critic = ContrastiveCritic(
        seeds, config.critics, sizes, hidden, config.representation
    )
    policy = GaussianPolicy(seeds, inputs, sizes.action, hidden)
    return nn.ModuleDict({"critic": critic, "policy": policy})


# book/baselines/contrastive.md, section "The agent"
def losses(
    config: ContrastiveConfig,
    networks: Networks,
    targets: Networks,
    rho: Batch,
    q: Batch,
    updates: Tensor,
) -> Losses:
    """Compute the losses of critic and policy, and what to watch of them.

    The goal transitions q are not used.

    Source: Eysenbach et al. (2022), binary NCE and the offline actor.
    """
    critic, policy = networks["critic"], networks["policy"]
    states, actions = rho.observations, rho.actions
    encoded = critic.encode(states, actions, rho.goals)
    pairs, goals = (x.flatten(0, 1) for x in encoded)
    logits = torch.bmm(pairs, goals.mT).unflatten(0, encoded[0].shape[:2])
    asked = exchange_goals(rho.goals, config.random_goals)
    means = policy(states, asked)
    score = hold(critic, states, means, asked).amin(dim=1)
    log_prob = policy.log_prob(means, actions)
    climbing = contrastive_policy_loss(log_prob, score, config.bc)
    total = {"loss_critic": contrastive_loss(logits), "loss_policy": climbing}
    error = (means - actions).square().mean(dim=(1, 2))
    info = {"score": score.mean(dim=1), "squared_error": error}
    return total, info | watch_logits(logits)


# book/baselines/contrastive.md, section "The agent"
def watch_logits(logits: Tensor) -> dict[str, Tensor]:
    """Measure logits (N, K, B, B): of own goals, of others', and accuracy.

    The accuracy is the share of rows whose own goal has the largest logit.
    """
    size = logits.shape[-1]
    own = logits.diagonal(dim1=2, dim2=3)  # (N, K, B)
    others = logits.sum(dim=(2, 3)) - own.sum(dim=2)
    first = (own >= logits.amax(dim=-1)).to(logits.dtype)
    return {
        "logit_own": own.mean(dim=(1, 2)),
        "logit_other": others.mean(dim=1) / max(size * (size - 1), 1),
        "accuracy": first.mean(dim=(1, 2)),
    }


# book/baselines/contrastive.md, section "The agent"
RELEASED: dict = {
    "hidden": (1024, 1024),
    "batch_size": 1024,
    "initialiser": "xavier",
    "learning_rate": 3e-4,
    "hindsight": 1.0,
    "ahead": 0.0,
    "future": 0.99,
    "representation": 16,
    "critics": 2,
    "bc": 0.05,
    "random_goals": 0.0,
    "standardise": False,
    "cosine": False,
}
CRL = Agent(
    name="crl",
    config=ContrastiveConfig,
    init=init_networks,
    targets=(),
    cosine=("policy",),
    losses=losses,
    act=act,
    presets={"released": RELEASED},
)
