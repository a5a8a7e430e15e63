"""The agent's sampled losses are unbiased for their exact tabular sums.

The agent's own loss functions act on tables through one-hot inputs; the seed
axis holds independent batches. The exact objectives are plain sums.
"""

import numpy as np
import pytest
import torch
from torch import nn

from smore_lit.learning.divergence_losses import (
    action_free_loss,
    mixture_divergence_loss,
)
from smore_lit.learning.smore import (
    SmoreConfig,
    action_free_losses,
    losses,
    score_loss,
)
from smore_lit.learning.trajectories import Batch
from smore_lit.theory.divergences import find_divergence
from smore_lit.theory.duality import dual_objective
from smore_lit.theory.goal_transitions import soft_goal_transitions
from smore_lit.theory.occupancies import (
    draw_rows,
    random_mdp,
    random_policy,
    sample,
)

BATCHES, SIZE = 1_500, 32
EXCESS = {
    "chi2": (lambda y: y**2 / 4, lambda y: 1 + y / 2),
    "kl": (lambda y: np.exp(y) - 1 - y, np.exp),
    "hellinger": (lambda y: y**2 / (1 - y), lambda y: (1 - y) ** -2.0),
}


class Table(nn.Module):
    """A score, value or policy: one number or row per one-hot input."""

    def __init__(self, table, batches=BATCHES):
        super().__init__()
        table = torch.as_tensor(table)
        copies = table.expand(batches, *table.shape).clone()
        self.table = nn.Parameter(copies)


class Score(Table):
    def forward(self, s, a, g):  # a may be probabilities: S is linear in it
        return torch.einsum("nbs,nba,nbg,nksag->nkb", s, a, g, self.table)


class Value(Table):
    def forward(self, s, g):
        return torch.einsum("nbs,nbg,nsg->nb", s, g, self.table)


class Policy(Table):
    def forward(self, s, g):
        return torch.einsum("nbs,nbg,nsga->nba", s, g, self.table)

    def log_prob(self, means, actions):
        return (means * actions).sum(-1).log()


class World:
    """A random problem with tables for S, M and the policy."""

    def __init__(self, seed, deterministic=False):
        rng = np.random.default_rng(seed)
        self.mdp = random_mdp(rng, 4, 3, 2, 0.9, deterministic)
        shape = 4, 3, 2
        self.rho = rng.dirichlet(np.ones(24)).reshape(shape)
        self.q = soft_goal_transitions(self.mdp, 3.0)
        self.policy = random_policy(rng, self.mdp)
        # y = gamma M - S stays below 0.6, inside every domain
        self.value = rng.uniform(0, 0.6, size=(4, 2))
        self.score = rng.uniform(0, 2, size=(2, *shape))
        self.low = rng.uniform(0, 0.6, size=(4, 2))  # S(s, g)
        self.rng = rng

    def draw(self, law):
        n = BATCHES * SIZE
        s, a, g = sample(self.rng, law, n)
        after = draw_rows(self.rng, self.mdp.transitions[s, a])
        return s, a, after, g

    def batch(self, law):
        s, a, after, g = self.draw(law)
        one_hot = (
            torch.from_numpy(np.eye(size)[i].reshape(BATCHES, SIZE, size))
            for i, size in ((s, 4), (a, 3), (after, 4), (g, 2))
        )
        states, actions, following, goals = one_hot
        zero = torch.zeros(BATCHES, SIZE)
        unread = zero, zero, *[goals] * 3, states, zero[..., None][..., :0]
        return Batch(states, actions, following, goals, *unread)

    def networks(self):
        return nn.ModuleDict(
            {
                "score": Score(self.score),
                "value": Value(self.value),
                "policy": Policy(self.policy),
            }
        )

    def push(self, start):
        """Weights of S in the policy's terms, (S, A, G)."""
        enter = np.einsum("sat,sag->tg", self.mdp.transitions, self.q)
        weight = (1 - self.mdp.gamma) * start + self.mdp.gamma * enter
        return weight[:, None] * self.policy.transpose(0, 2, 1)

    def exact(self, name, objective, beta, c, start=None):
        """The loss and its gradient (K, S, A, G) as sums over everything."""
        start = self.rho.sum(axis=1) if start is None else start
        h, ratio = EXCESS[name]
        linear = -beta * self.q
        if objective == "paper":
            linear = linear + beta * self.push(start)
        mix = beta * self.q + (1 - beta) * self.rho
        total, slopes = 0.0, []
        for S in self.score:
            slope = linear.copy()
            total += (linear * S).sum()
            for t in range(4):
                p = mix * self.mdp.transitions[:, :, t, None]
                y = 4 * c * (self.mdp.gamma * self.value[t] - S)
                total += (p * h(y)).sum() / (4 * c)
                slope -= p * (ratio(y) - 1)
            slopes.append(slope)
        return total, np.stack(slopes)


def agree(samples, exact):
    """Check the mean of samples (N, ...) against exact, 3 errors wide.

    Single entries of a gradient may, rarely, lie beyond 3 standard errors;
    the loss and the gradient along its own direction may not.
    """
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(samples.mean(axis=0) - exact)
    if np.ndim(exact) == 0:
        assert off < 3 * error, (off, error)
        return
    still = error < 1e-15
    assert np.all(off[still] < 1e-12)
    z = off[~still] / error[~still]
    assert z.max() < 4.5 and np.mean(z < 3) >= 0.95, np.sort(z)[-5:]
    along = samples.reshape(len(samples), -1) @ exact.ravel()
    agree(along, np.sum(exact**2))


@pytest.mark.parametrize("objective", ["in-sample", "paper"])
@pytest.mark.parametrize("name", list(EXCESS))
@pytest.mark.parametrize("c", [0.25, 0.4])
def test_agent_loss_is_unbiased(name, objective, c):
    world = World(seed=1)
    config = SmoreConfig(
        divergence=name,
        objective=objective,
        gamma=0.9,
        beta=0.4,
        coefficient=c,
        ratio_cap=1e6,
    )
    networks = world.networks()
    rho, q = world.batch(world.rho), world.batch(world.q)
    loss = score_loss(config, networks, rho, q)[0]
    exact, slope = world.exact(name, objective, 0.4, c)
    agree(loss.detach().numpy(), exact)
    loss.sum().backward()
    agree(networks["score"].table.grad.numpy(), slope)
    assert networks["policy"].table.grad is None
    assert networks["value"].table.grad is None


def test_a_biased_loss_would_be_caught():
    """A share of q or a scale that is off by some percent is seen."""
    world = World(seed=1)
    config = SmoreConfig(
        divergence="kl", gamma=0.9, beta=0.4, coefficient=0.25
    )
    rho, q = world.batch(world.rho), world.batch(world.q)
    loss = score_loss(config, world.networks(), rho, q)[0].detach().numpy()
    for wrong in (dict(beta=0.42, c=0.25), dict(beta=0.4, c=0.27)):
        exact, _ = world.exact("kl", "in-sample", **wrong)
        with pytest.raises(AssertionError):
            agree(loss, exact)


@pytest.mark.parametrize("name", ["chi2", "kl", "hellinger"])
def test_the_paper_form_samples_theorem_one(name):
    """In a deterministic world, M = the policy's mean of S: Eq. 7 itself."""
    world = World(seed=2, deterministic=True)
    divergence, mdp = find_divergence(name), world.mdp
    world.score = world.score[:1] * 0.3
    world.value = np.einsum("sga,sag->sg", world.policy, world.score[0])
    shift = divergence.derivative(torch.ones((), dtype=torch.float64)).item()
    exact = dual_objective(
        divergence,
        mdp,
        world.policy,
        world.rho,
        world.q,
        0.4,
        world.score[0] - shift / (1 - mdp.gamma),
    )
    S, M, pi = world.networks().values()
    rho, q = world.batch(world.rho), world.batch(world.q)
    start = np.einsum("s,g->sg", mdp.start, mdp.goal_law)[:, None]
    d0 = world.batch(start / 3 * np.ones((1, 3, 1)))
    loss = mixture_divergence_loss(
        S(q.observations, q.actions, q.goals),
        S(rho.observations, rho.actions, rho.goals),
        M(q.next_observations, q.goals),
        M(rho.next_observations, rho.goals),
        S(d0.observations, pi(d0.observations, d0.goals), d0.goals),
        S(q.next_observations, pi(q.next_observations, q.goals), q.goals),
        divergence=divergence,
        beta=0.4,
        gamma=0.9,
    )
    agree(loss.detach().numpy(), exact)
    sums, _ = world.exact(name, "paper", 0.4, 0.25, start[:, 0])
    np.testing.assert_allclose(sums, exact, rtol=1e-12)


def theorem_two(world, name, floor, start):
    """Printed (floor 0) or corrected dual and its gradient, by sums."""
    S, gamma, beta = world.low, world.mdp.gamma, 0.4
    mix = beta * world.q + (1 - beta) * world.rho
    total = beta * (1 - gamma) * (start * S).sum()
    slope = beta * (1 - gamma) * start
    after = np.einsum("sat,tg->sag", world.mdp.transitions, S)
    y = gamma * after - S[:, None]
    _, ratio = EXCESS[name]
    x = np.maximum(ratio(y), floor)
    f = (x - 1) ** 2 if name == "chi2" else x * np.log(x) - x + 1
    total += (mix * (x * y - f)).sum() - (1 - beta) * (world.rho * y).sum()
    flow = mix * x - (1 - beta) * world.rho
    slope = slope - flow.sum(axis=1)
    slope += gamma * np.einsum("sat,sag->tg", world.mdp.transitions, flow)
    return total, slope


@pytest.mark.parametrize("name", ["chi2", "kl"])
@pytest.mark.parametrize("corrected", [False, True])
def test_action_free_loss_is_unbiased(name, corrected):
    world = World(seed=3, deterministic=True)
    world.low *= 6  # large enough for floors to bind
    mix = 0.4 * world.q + 0.6 * world.rho
    floor = 0.6 * world.rho / mix if corrected else np.zeros_like(mix)
    S = Value(world.low)
    rho, q = world.batch(world.rho), world.batch(world.q)
    floors = [
        torch.einsum(
            "nbs,nba,nbg,sag->nb",
            batch.observations,
            batch.actions,
            batch.goals,
            torch.from_numpy(floor),
        ).unsqueeze(1)
        for batch in (q, rho)
    ]
    start = rho.observations, rho.goals
    loss = action_free_loss(
        S(q.observations, q.goals).unsqueeze(1),
        S(rho.observations, rho.goals).unsqueeze(1),
        S(q.next_observations, q.goals).unsqueeze(1),
        S(rho.next_observations, rho.goals).unsqueeze(1),
        S(*start).unsqueeze(1),
        divergence=find_divergence(name),
        beta=0.4,
        gamma=0.9,
        floor_q=floors[0],
        floor_rho=floors[1],
    )
    exact, slope = theorem_two(world, name, floor, world.rho.sum(axis=1))
    agree(loss.detach().numpy(), exact)
    loss.sum().backward()
    agree(S.table.grad.numpy(), slope)
    if corrected:
        printed, _ = theorem_two(world, name, 0.0, world.rho.sum(axis=1))
        assert abs(printed - exact) > 1e-3


@pytest.mark.parametrize("name", ["chi2", "kl"])
def test_action_free_agent_samples_theorem_two(name):
    world = World(seed=4, deterministic=True)
    config = SmoreConfig(
        divergence=name,
        action_free=True,
        objective="paper",
        gamma=0.9,
        beta=0.4,
        coefficient=0.25,
        ratio_cap=1e6,
    )
    networks = nn.ModuleDict(
        {"score": Value(world.low), "policy": Policy(world.policy)}
    )
    targets = nn.ModuleDict({"score": Value(world.low)})
    rho, q = world.batch(world.rho), world.batch(world.q)
    total, info = losses(config, networks, targets, rho, q, torch.tensor(0))
    exact, slope = theorem_two(world, name, 0.0, world.rho.sum(axis=1))
    agree(total["loss_score"].detach().numpy(), exact)
    total["loss_score"].sum().backward()
    agree(networks["score"].table.grad.numpy(), slope)
    S, mix = world.low, 0.4 * world.q + 0.6 * world.rho
    after = np.einsum("sat,tg->sag", world.mdp.transitions, S)
    ratio = EXCESS[name][1](0.9 * after - S[:, None])
    log_prob = np.log(world.policy).transpose(0, 2, 1)
    exact = -(mix * np.maximum(ratio, 0) * log_prob).sum()
    agree(total["loss_policy"].detach().numpy(), exact)
    agree(info["ratio_q"].numpy(), (world.q * ratio).sum())


def test_action_free_in_sample_reads_the_slow_copy():
    world = World(seed=5)
    config = SmoreConfig(
        action_free=True, gamma=0.9, beta=0.4, coefficient=0.25
    )
    networks = nn.ModuleDict(
        {"score": Value(world.low), "policy": Policy(world.policy)}
    )
    targets = nn.ModuleDict({"score": Value(world.value)})
    rho, q = world.batch(world.rho), world.batch(world.q)
    total, _ = action_free_losses(config, networks, targets, rho, q)
    world.score = np.repeat(world.low[None, :, None], 3, axis=2)
    exact, slope = world.exact("chi2", "in-sample", 0.4, 0.25)
    agree(total["loss_score"].detach().numpy(), exact)
    total["loss_score"].sum().backward()
    agree(networks["score"].table.grad.numpy(), slope[0].sum(axis=1))
    assert targets["score"].table.grad is None
