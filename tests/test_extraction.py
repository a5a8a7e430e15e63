"""Policy extraction: weights, likelihood, and what the chapter claims."""

import math

import numpy as np
import pytest
import torch

from samples import random_batch

from smore_lit.learning.agent import (
    AgentConfig,
    Sizes,
    find_agent,
    make_config,
)
from smore_lit.learning.extraction import (
    act,
    advantage_weights,
    copy_actions,
    effective_share,
    init_twins,
    read_advantage,
    read_scores,
    weigh,
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


CHOICES = [
    (advantage, weights)
    for advantage in ({}, {"advantage": "value"})
    for weights in (
        {},
        {"weights": "linear"},
        {"weights": "linear", "offset": 0.0, "weight_clip": 0.7},
    )
]


@pytest.mark.parametrize("name", ["smore", "iql"])
@pytest.mark.parametrize("choice", CHOICES)
def test_weights_of_every_choice_against_numpy(name, choice):
    """The policy's gradient is that of a loss written out here."""
    agent, sizes = find_agent(name), Sizes(5, 2, 3)
    config = make_config(agent, hidden=[8], **choice[0] | choice[1])
    networks, slow = (agent.init(config, sizes, 2) for _ in range(2))
    for part in (networks, slow):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    rho, q = (random_batch(sizes, seeds, 6) for seeds in ((0, 1), (2, 3)))
    total, _ = agent.losses(config, networks, slow, rho, q, torch.tensor(0))
    given = rho.observations, rho.actions, rho.goals
    S = slow["score"](*given).amin(dim=1).detach().numpy()
    M, after = (
        networks["value"](x, rho.goals).detach().numpy()
        for x in (rho.observations, rho.next_observations)
    )
    A = S - M
    if config.advantage == "value":
        reward = rho.reached.numpy() - 1 if name == "iql" else 0.0
        A = reward + 0.99 * after - M
    w = np.exp(1.5 * A).clip(0, 100)
    if config.weights == "linear":
        w = np.clip(config.offset + A, 0, config.weight_clip)
    policy = networks["policy"]
    means = policy(rho.observations, rho.goals)
    log_prob = policy.log_prob(means, rho.actions).detach().numpy()
    due = -(w * log_prob).mean(axis=1)
    found = total["loss_policy"].detach().numpy()
    np.testing.assert_allclose(found, due, rtol=1e-4)
    total["loss_policy"].sum().backward()
    for part, network in networks.items():
        moved = any(p.grad is not None for p in network.parameters())
        assert moved == (part == "policy")


def test_advantages_by_hand():
    config = make_config(find_agent("iql"), gamma=0.5, advantage="value")
    S, M, after = (torch.tensor([[x]]) for x in (9.0, 2.0, 6.0))
    assert read_advantage(config, S, M, after, -1.0).item() == 0.0
    plain = make_config(find_agent("iql"))
    assert read_advantage(plain, S, M, None).item() == 7.0
    cut = make_config(find_agent("iql"), weights="linear", offset=-1.0)
    assert weigh(cut, torch.tensor([[0.5, 4.0]])).tolist() == [[0.0, 3.0]]


REFUSED = {
    "advantage": ("iql", {"advantage": "q"}),
    "weights": ("smore", {"weights": "square"}),
    "offset must": ("smore", {"weights": "linear", "offset": math.inf}),
    "linear have no temp": ("iql", {"weights": "linear", "temperature": 3.0}),
    "exponential have no offset": ("smore", {"offset": 2.0}),
    "action_free has no w": (
        "smore",
        {"action_free": True, "weights": "linear"},
    ),
    "ascent copies no": (
        "smore-ablated",
        {"extraction": "ascent", "weights": "linear"},
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_choices_that_make_no_sense_are_one_line(reason):
    name, settings = REFUSED[reason]
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(find_agent(name), **settings)
    assert "\n" not in str(caught.value)


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
