"""Methods that only copy: losses by hand, in loops, and what they look at."""

import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.supervised import (
    CLONED,
    POLICY_LOSSES,
    BehaviourConfig,
    CloneConfig,
    GoalConfig,
    HindsightConfig,
    clone_losses,
    fit_of,
    make_clone,
)
from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    list_presets,
    make_config,
    update,
)
from smore_lit.learning.networks import GaussianPolicy
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import Batch, as_trajectories

NAMES = ("bc", "gcsl", "goal-bc")
SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=16)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def draw(seeds=2, size=6, seed=0, scale=1.0, dtype=torch.float32):
    rows = [100 * seed + index for index in range(seeds)]
    return random_batch(SIZES, rows, size, scale=scale, dtype=dtype)


def started(name, seeds=(4, 7), **settings):
    agent = find_agent(name)
    config = make_config(agent, **{**SMALL, **settings})
    return agent, config, create_state(agent, config, SIZES, seeds)


def weights_of(policy, seed):
    """Return the arrays of one seed: (weight, bias) per layer, log-std."""
    layers = [
        (layer.weight[seed].tolist(), layer.bias[seed, 0].tolist())
        for layer in policy.network.layers
    ]
    return layers, policy.log_std[seed, 0].tolist()


def mean_by_hand(layers, x):
    for depth, (weight, bias) in enumerate(layers):
        out = []
        for j in range(len(bias)):
            total = bias[j]
            for i in range(len(x)):
                total += x[i] * weight[i][j]
            out.append(total if depth == len(layers) - 1 else max(total, 0))
        x = out
    return [math.tanh(v) for v in x]


def loss_by_hand(policy, batch, seed, loss):
    layers, log_std = weights_of(policy, seed)
    size, total = batch.goals.shape[1], 0.0
    for b in range(size):
        x = [*batch.observations[seed, b].tolist()]
        mean = mean_by_hand(layers, x + batch.goals[seed, b].tolist())
        action = batch.actions[seed, b].tolist()
        for a, m, s in zip(action, mean, log_std, strict=True):
            if loss == "square":
                total += (a - m) ** 2 / len(action)
            else:
                z = (a - m) / math.exp(s)
                total += 0.5 * z * z + s + 0.5 * math.log(2 * math.pi)
    return total / size


@pytest.mark.parametrize("loss", POLICY_LOSSES)
@pytest.mark.parametrize("clone", CLONED)
def test_losses_against_loops(clone, loss):
    _, config, state = started("bc", clone=clone, loss=loss)
    networks = state.networks.double()
    with torch.no_grad():
        networks["policy"].log_std.add_(torch.tensor([0.3, -0.8]))
    rho, q = (draw(seed=k, dtype=torch.float64) for k in (0, 1))
    found, info = clone_losses(config, networks, {}, rho, q, START)
    batch = q if clone == "q" else rho
    for name, kind in (("loss_policy", loss), ("squared_error", "square")):
        values = found[name] if name in found else info[name]
        for seed in range(2):
            due = loss_by_hand(networks["policy"], batch, seed, kind)
            assert values[seed].item() == pytest.approx(due, abs=1e-6)


def test_worked_by_hand():
    policy = GaussianPolicy(1, 2, 2, (4,))
    batch = Batch(
        torch.zeros(1, 2, 1),
        torch.tensor([[[1.0, -1.0], [0.5, 0.0]]]),
        torch.zeros(1, 2, 1),
        torch.zeros(1, 2, 1),
        *torch.zeros(2, 1, 2),
        *torch.zeros(4, 1, 2, 1),
        torch.zeros(1, 2, 0),
    )
    fit, error = fit_of(policy, batch, "square")
    assert error.tolist() == [[1.0, 0.125]] and torch.equal(fit, -error)
    fit, _ = fit_of(policy, batch, "likelihood")
    due = [-1 - math.log(2 * math.pi), -0.125 - math.log(2 * math.pi)]
    np.testing.assert_allclose(fit[0].detach(), due, rtol=1e-6)
    with torch.no_grad():
        policy.log_std.fill_(math.log(2.0))
    fit, _ = fit_of(policy, batch, "likelihood")
    due = -0.25 - 2 * math.log(2) - math.log(2 * math.pi)
    assert fit[0, 0].item() == pytest.approx(due, rel=1e-6)


@pytest.mark.parametrize("loss", POLICY_LOSSES)
@pytest.mark.parametrize("clone", CLONED)
def test_gradients_by_finite_differences(clone, loss):
    _, config, state = started("gcsl", clone=clone, loss=loss)
    networks = state.networks.double()
    rho, q = (draw(seed=k, dtype=torch.float64) for k in (0, 1))

    def value():
        return clone_losses(config, networks, {}, rho, q, START)[0][
            "loss_policy"
        ]

    parameters = list(networks["policy"].parameters())
    gradients = torch.autograd.grad(
        value().sum(), parameters, allow_unused=True
    )
    rng, step = np.random.default_rng(0), 1e-6
    for parameter, gradient in zip(parameters, gradients, strict=True):
        gradient = (
            torch.zeros_like(parameter) if gradient is None else gradient
        )
        flat = parameter.data.view(-1)
        for k in rng.choice(len(flat), min(4, len(flat)), replace=False):
            around = []
            for sign in (1, -1):
                flat[k] += sign * step
                around.append(value().sum().item())
                flat[k] -= sign * step
            due = (around[0] - around[1]) / (2 * step)
            found = gradient.reshape(-1)[k].item()
            assert found == pytest.approx(due, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loss", POLICY_LOSSES)
def test_only_one_batch_is_looked_at(name, loss):
    agent, config, _ = started(name, loss=loss)
    copied = 1 if name == "goal-bc" else 0
    first = [draw(seed=0), draw(seed=1)]
    ends = []
    for changed in (None, 1 - copied, copied):
        batches = list(first)
        if changed is not None:
            batches[changed] = draw(seed=9)
        state = create_state(agent, config, SIZES, (4, 7))
        for _ in range(3):
            update(agent, config, state, *batches, 3)
        ends.append(state.vectors["policy"].clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@pytest.mark.parametrize("name", NAMES)
def test_next_states_and_hits_do_not_matter(name):
    agent, config, state = started(name)
    rho, q = draw(seed=0), draw(seed=1)
    blank = [
        batch._replace(
            next_observations=torch.full_like(batch.observations, torch.nan),
            reached=torch.full_like(batch.reached, torch.nan),
        )
        for batch in (rho, q)
    ]
    one = agent.losses(config, state.networks, state.targets, rho, q, START)
    other = agent.losses(config, state.networks, state.targets, *blank, START)
    assert torch.equal(one[0]["loss_policy"], other[0]["loss_policy"])


def test_square_leaves_the_spread_alone():
    agent, config, state = started("bc", loss="square")
    for _ in range(3):
        update(agent, config, state, draw(seed=0), draw(seed=1), 3)
    assert (state.networks["policy"].log_std == 0).all()


def test_defaults():
    assert BehaviourConfig().hindsight == 0.0
    assert HindsightConfig().hindsight == 1.0
    assert GoalConfig().hindsight == CloneConfig().hindsight == 0.8
    assert BehaviourConfig().clone == HindsightConfig().clone == "rho"
    assert GoalConfig().clone == "q"
    for name in ("bc", "gcsl"):
        config = make_config(find_agent(name), "released")
        assert config.loss == "square" and config.hidden == (256, 256, 256)
        assert config.ahead == 0.0 and not config.cosine
    assert list_presets(find_agent("goal-bc")) == ("shared",)
    assert make_clone("mine", CloneConfig).act is find_agent("smore").act


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"clone": "d"}, "unknown clone 'd'; known: rho, q"),
        ({"loss": "huber"}, "unknown loss 'huber'; known: likelihood"),
        ({"hindsight": 1.5}, "hindsight"),
        ({"beta": 0.5}, "no setting 'beta'"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_bad_settings_are_one_line(name, settings, word):
    with pytest.raises(ValueError, match=word) as caught:
        make_config(find_agent(name), **settings)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def data():
    return as_trajectories(**tiny_dataset("FetchReach"))


def run_short(data, name, out=None, updates=20, **settings):
    return train(
        data,
        name,
        None,
        out,
        "cpu",
        settings={**SMALL, **settings},
        updates=updates,
        seeds=2,
        log_every=5,
        checkpoint_every=5,
    )


def test_gcsl_without_hindsight_is_bc(data):
    ends = [
        run_short(data, name, **settings).state.vectors["policy"]
        for name, settings in (
            ("bc", {}),
            ("gcsl", {"hindsight": 0.0}),
            ("gcsl", {}),
        )
    ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
