"""Networks with a seed axis against one network per seed."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from smore_lit.learning.networks import (
    INITIALISERS,
    MLP,
    Critic,
    GaussianPolicy,
    LayerNorm,
    Linear,
    Value,
    initialise,
)

SEEDS, BATCH, STATE, ACTION, GOAL = 4, 9, 10, 4, 3
HIDDEN = (32, 16)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


def fill(network, seed=0):
    """Fill every parameter, biases and norms too, with random numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.5 * noise)
    return network


def forward_alone(mlp, index, x):
    """Apply the stack at one leading index with plain functions."""
    for k, layer in enumerate(mlp.layers):
        x = x @ layer.weight[index] + layer.bias[index]
        if k < len(mlp.layers) - 1:
            if mlp.norms:
                norm = mlp.norms[k]
                scale, shift = norm.scale[index][0], norm.shift[index][0]
                x = functional.layer_norm(
                    x, x.shape[-1:], scale, shift, eps=1e-6
                )
            x = x.clamp(min=0)
    return x


def batch():
    return (
        normal(SEEDS, BATCH, STATE, seed=1),
        normal(SEEDS, BATCH, ACTION, seed=2),
        normal(SEEDS, BATCH, GOAL, seed=3),
    )


@pytest.mark.parametrize("outputs", [1, 2, 7])
@pytest.mark.parametrize("lead", [(1,), (4,), (4, 2), (2, 3, 2)])
def test_linear_equals_torch(lead, outputs):
    layer = fill(Linear(lead, 5, outputs))
    x = normal(math.prod(lead), BATCH, 5)
    y = layer(x)
    weights = layer.weight.flatten(0, -3)
    biases = layer.bias.flatten(0, -3)
    for n in range(math.prod(lead)):
        expected = functional.linear(x[n], weights[n].mT, biases[n, 0])
        torch.testing.assert_close(y[n], expected)


def test_layer_norm_equals_torch():
    norm = fill(LayerNorm((3, 2), 16))
    x = 3 + 5 * normal(6, BATCH, 16)
    for n, y in enumerate(norm(x)):
        scale = norm.scale.flatten(0, -3)[n, 0]
        shift = norm.shift.flatten(0, -3)[n, 0]
        expected = functional.layer_norm(x[n], (16,), scale, shift, eps=1e-6)
        torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("sizes", [(7, 3), (7, 16, 1), (7, 16, 1, 8, 2)])
def test_mlp_equals_a_loop_over_seeds(sizes, normalise):
    network = fill(MLP((SEEDS, 2), sizes, normalise))
    x = normal(SEEDS, 2, BATCH, 7)
    y = network(x)
    assert y.shape == (SEEDS, 2, BATCH, sizes[-1])
    for n in range(SEEDS):
        for k in range(2):
            expected = forward_alone(network, (n, k), x[n, k])
            torch.testing.assert_close(y[n, k], expected)


def test_mlp_does_not_change_its_input():
    x = normal(SEEDS, BATCH, 7)
    before = x.clone()
    fill(MLP((SEEDS,), (7, 16, 1)))(x)
    assert torch.equal(x, before)


def test_both_critics_read_the_same_batch():
    states, actions, goals = batch()
    critic = fill(Critic(SEEDS, 2, STATE + ACTION + GOAL, HIDDEN))
    scores = critic(states, actions, goals)
    assert scores.shape == (SEEDS, 2, BATCH)
    for n in range(SEEDS):
        x = torch.cat((states[n], actions[n], goals[n]), dim=-1)
        for k in range(2):
            expected = forward_alone(critic.network, (n, k), x)[:, 0]
            torch.testing.assert_close(scores[n, k], expected)


def test_value_normalises_and_policy_does_not():
    states, _, goals = batch()
    value = fill(Value(SEEDS, STATE + GOAL, HIDDEN))
    policy = fill(GaussianPolicy(SEEDS, STATE + GOAL, ACTION, HIDDEN))
    assert len(value.network.norms) == 2 and not policy.network.norms
    v, mean = value(states, goals), policy(states, goals)
    assert v.shape == (SEEDS, BATCH)
    assert mean.shape == (SEEDS, BATCH, ACTION)
    for n in range(SEEDS):
        x = torch.cat((states[n], goals[n]), dim=-1)
        alone = forward_alone(value.network, n, x)[:, 0]
        torch.testing.assert_close(v[n], alone)
        alone = forward_alone(policy.network, n, x).tanh()
        torch.testing.assert_close(mean[n], alone)


def test_log_density_by_hand():
    policy = GaussianPolicy(1, 2, 2, (4,))
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([[[math.log(2.0), 0.0]]]))
    means, actions = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[2.0, 1.0]]])
    expected = -0.5 - math.log(2.0) - math.log(2 * math.pi)
    assert policy.log_prob(means, actions).item() == pytest.approx(expected)


@pytest.mark.parametrize("raw, used", [(-9.0, -5.0), (0.3, 0.3), (7.0, 2.0)])
def test_log_density_equals_torch_and_is_clamped(raw, used):
    policy = GaussianPolicy(SEEDS, 2, ACTION, (4,))
    with torch.no_grad():
        policy.log_std.fill_(raw)
    means, actions = (normal(SEEDS, BATCH, ACTION, seed=s) for s in (1, 2))
    reference = torch.distributions.Normal(means, math.exp(used))
    expected = reference.log_prob(actions).sum(dim=-1)
    found = policy.log_prob(means, actions)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    inside = -5.0 <= raw <= 2.0
    assert (policy.log_std.grad != 0).all().item() is inside


@pytest.mark.parametrize(
    "build",
    [
        lambda: Critic(SEEDS, 2, STATE + ACTION + GOAL, HIDDEN),
        lambda: Value(SEEDS, STATE + ACTION + GOAL, HIDDEN),
        lambda: GaussianPolicy(SEEDS, STATE + ACTION + GOAL, 2, HIDDEN),
    ],
    ids=["critic", "value", "policy"],
)
def test_seeds_do_not_mix(build):
    states, actions, goals = batch()
    network = fill(build())
    if isinstance(network, Critic):
        y = network(states, actions, goals)
    else:
        y = network(states, torch.cat((actions, goals), dim=-1))
    losses = y.square().flatten(1).mean(dim=1)
    parameters = list(network.network.parameters())
    whole = torch.autograd.grad(losses.sum(), parameters, retain_graph=True)
    for m in range(SEEDS):
        slopes = torch.autograd.grad(losses[m], parameters, retain_graph=True)
        for slope, total in zip(slopes, whole, strict=True):
            others = [n for n in range(SEEDS) if n != m]
            assert (slope[others] == 0).all()
            assert torch.equal(slope[m], total[m])
        assert all((slope[m] != 0).any() for slope in slopes)


@pytest.mark.parametrize("scheme", INITIALISERS)
def test_a_seed_starts_alike_alone_and_among_ten(scheme):
    def start(seeds):
        networks = nn.ModuleDict(
            {
                "score": Critic(len(seeds), 2, 17, HIDDEN),
                "value": Value(len(seeds), 13, HIDDEN),
                "policy": GaussianPolicy(len(seeds), 13, 4, HIDDEN),
            }
        )
        initialise(networks, seeds, scheme)
        return networks.state_dict()

    among = start(range(10))
    for seed in (0, 3, 9):
        alone = start([seed])
        for name, value in alone.items():
            assert torch.equal(among[name][seed], value[0]), name
    first = among["score.network.layers.0.weight"]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0, 0], first[0, 1])


def test_biases_start_at_zero_and_norms_at_one():
    value = Value(3, 5, HIDDEN)
    initialise(value, [0, 1, 2])
    for layer in value.network.layers:
        assert (layer.bias == 0).all()
    for norm in value.network.norms:
        assert (norm.scale == 1).all() and (norm.shift == 0).all()


@pytest.mark.parametrize("inputs, outputs", [(64, 64), (64, 16), (16, 64)])
def test_orthogonal_weights(inputs, outputs):
    layer = Linear((3, 2), inputs, outputs)
    initialise(layer, [5, 6, 7])
    weight = layer.weight.detach()
    if inputs < outputs:
        weight = weight.mT
    gram = weight.mT @ weight
    expected = 2 * torch.eye(min(inputs, outputs)).expand_as(gram)
    torch.testing.assert_close(gram, expected, atol=1e-5, rtol=0)


def test_xavier_weights():
    layer = Linear((5,), 200, 100)
    initialise(layer, range(5), "xavier")
    limit = math.sqrt(6 / 300)
    assert layer.weight.abs().max() <= limit
    assert layer.weight.var().item() == pytest.approx(2 / 300, rel=0.02)


def test_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="unknown initialisation 'zeros'"):
        initialise(Linear((1,), 2, 2), [0], "zeros")


@pytest.mark.parametrize("seeds", [[], [0], [0, 1, 2]])
def test_wrong_number_of_seeds_is_refused(seeds):
    with pytest.raises(ValueError, match=f"hold 2 seeds, got {len(seeds)}"):
        initialise(Linear((2,), 2, 2), seeds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_networks_agree_across_devices():
    states, actions, goals = batch()
    critic = fill(Critic(SEEDS, 2, STATE + ACTION + GOAL, HIDDEN))
    here = critic(states, actions, goals)
    there = critic.cuda()(states.cuda(), actions.cuda(), goals.cuda())
    torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-3)
