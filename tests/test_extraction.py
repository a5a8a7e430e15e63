"""Policy extraction: weights, likelihood, and what the chapter claims."""

import math

import numpy as np
import pytest
import torch

from samples import random_batch

from smore_lit.learning.agent import AgentConfig, Sizes
from smore_lit.learning.extraction import (
    act,
    advantage_weights,
    copy_actions,
    effective_share,
    init_twins,
    read_scores,
    weighted_likelihood_loss,
)


def test_weights_by_hand_and_without_overflow():
    advantage = torch.tensor([[0.0, 1.0, -2.0, 1.0e30, -1.0e30, 1.6]])
    weights = advantage_weights(advantage, 3.0)
    expected = [1.0, math.e**3, math.e**-6, 100.0, 0.0, 100.0]
    assert torch.allclose(weights, torch.tensor([expected]))
    assert weights.max() <= 100 and torch.isfinite(weights).all()
    assert torch.equal(advantage_weights(advantage, 0.0), torch.ones(1, 6))
    assert advantage_weights(advantage, 3.0, clip=2.0).max().item() <= 2.0
    random = torch.randn(3, 50, dtype=torch.float64)
    plain = (2.0 * random).exp().clamp(max=100.0)
    assert torch.allclose(advantage_weights(random, 2.0), plain)


def test_likelihood_by_hand_and_its_sign():
    log_prob = torch.tensor([[-1.0, -2.0], [0.5, 0.0]], requires_grad=True)
    weights = torch.tensor([[3.0, 1.0], [2.0, 7.0]])
    loss = weighted_likelihood_loss(log_prob, weights)
    assert torch.allclose(loss, torch.tensor([2.5, -0.5]))
    loss.sum().backward()
    assert torch.allclose(log_prob.grad, -weights / 2)


VALUE = torch.zeros(2, 5)
BAD = {
    "advantage": lambda: advantage_weights(torch.zeros(2, 2, 5), 3.0),
    "temperature": lambda: advantage_weights(VALUE, -1.0),
    "clip": lambda: advantage_weights(VALUE, 3.0, clip=0.0),
    "likelihood": lambda: weighted_likelihood_loss(VALUE, torch.zeros(2, 1)),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_bad_input_is_one_line(call):
    with pytest.raises(ValueError) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_multiplies_the_advantage(temperature):
    """Descent on the loss ends at the policy that the chapter derives."""
    generator = np.random.default_rng(0)
    mu, A = generator.dirichlet(np.ones(4)), generator.standard_normal(4)
    taken = np.repeat(np.arange(4), np.round(mu * 10_000).astype(int))
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    weights = advantage_weights(torch.tensor(A[taken][None]), temperature, 1e9)
    fit = torch.optim.LBFGS(
        [logits], max_iter=500, line_search_fn="strong_wolfe"
    )

    def closure():
        fit.zero_grad()
        log_prob = logits.log_softmax(0)[taken][None]
        loss = weighted_likelihood_loss(log_prob, weights).sum()
        loss.backward()
        return loss

    fit.step(closure)
    due = np.bincount(taken) * np.exp(temperature * A)
    found = logits.softmax(0).detach().numpy()
    np.testing.assert_allclose(found, due / due.sum(), atol=1e-4)


def test_effective_share_by_hand():
    weights = torch.tensor([[3.0] * 4, [1.0, 1.0, 0.0, 0.0], [0.0] * 4])
    assert effective_share(weights).tolist() == [1.0, 0.5, 0.0]
    assert effective_share(1e-25 * weights[:2]).tolist() == [1.0, 0.5]


def test_scores_are_the_slow_smaller_ones_and_the_policy_alone_moves():
    sizes = Sizes(5, 2, 3)
    networks = init_twins(AgentConfig(hidden=(8,)), sizes, 2)
    slow = init_twins(AgentConfig(hidden=(8,)), sizes, 2)
    for part in (networks, slow):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter)
    rho = random_batch(sizes, (0, 1), 6)
    given = rho.observations, rho.actions, rho.goals
    target, value = read_scores(networks, slow, rho)
    pair = slow["score"](*given)
    assert torch.equal(target, torch.minimum(pair[:, 0], pair[:, 1]))
    assert not target.requires_grad and value.requires_grad
    losses, info = copy_actions(networks, rho, torch.ones(2, 6))
    assert info["effective_share"].tolist() == [1.0, 1.0]
    losses["loss_policy"].sum().backward()
    for name, network in networks.items():
        moved = any(p.grad is not None for p in network.parameters())
        assert moved == (name == "policy")
    actions = act(networks, rho.observations, rho.goals)
    assert actions.shape == rho.actions.shape
