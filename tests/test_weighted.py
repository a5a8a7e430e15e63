"""WGCSL: weights and losses by hand, in loops, and a rising percentile."""

import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.weighted import (
    PlainConfig,
    WeightedConfig,
    best_percent,
    best_weights,
    clip_backup,
    judge,
    percentile,
    value_policy,
    step_discount,
)
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.extraction import weighted_likelihood_loss
from smore_lit.learning.objectives import regression_loss

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=8)
VARIANTS = {
    "wgcsl": {},
    "wgcsl-flat": {"best": False},
    "wgcsl-late": {"rise": 100.0, "top": 60.0, "gamma": 0.5},
    "wgcsl-plain": {},
    "wgcsl-plain-best": {"best": True},
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=VARIANTS)
def variant(request):
    name = request.param.removesuffix("-flat").removesuffix("-late")
    return find_agent(name.removesuffix("-best")), VARIANTS[request.param]


def started(variant, seeds=(4, 7), **settings):
    agent, own = variant
    config = make_config(agent, **{**SMALL, **own, **settings})
    return agent, config, create_state(agent, config, SIZES, seeds)


def draw(rows=(0, 1), size=9, dtype=torch.float64, scale=1.0):
    batch = random_batch(SIZES, rows, size, dtype=dtype, scale=scale)
    steps = batch.steps - 4.0  # a fifth of random steps are asked goals
    return batch._replace(steps=steps.clamp(min=0.0))


def ready(variant, updates=3, **settings):
    """Return agent, config, networks and targets after some updates."""
    agent, config, state = started(variant, **settings)
    for moment in range(updates):
        rho = draw((10 * moment, 10 * moment + 5), dtype=torch.float32)
        update(agent, config, state, rho, rho, updates)
    return agent, config, state.networks.double(), state.targets.double()


# Hand-worked numbers


def rows(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_discount_by_hand():
    found = step_discount(rows(1.0, 3.0, 0.0), 0.9)
    np.testing.assert_allclose(found, [[1.0, 0.81, 0.0]], rtol=1e-12)
    assert step_discount(rows(1.0, 2.0, 0.0), 0.0).tolist() == [[1, 0, 0]]
    assert step_discount(rows(9.0, 0.0), 1.0).tolist() == [[1, 0]]


def test_backup_by_hand():
    """Returns lie in [-2, 2], or [-2, 0], at a discount of one half."""
    value = rows(1.0, 9.0, -9.0)
    found = clip_backup(rows(1.0, 1.0, 0.0), value, 0.5, 2.0)
    assert found.tolist() == [[1.5, 2.0, -2.0]]
    found = clip_backup(rows(0.0, -1.0, -1.0), value, 0.5, 0.0)
    assert found.tolist() == [[0.0, 0.0, -2.0]]


def test_regression_by_hand():
    score = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]]])
    target = torch.tensor([[2.0, 1.0], [3.0, -1.0]])
    assert regression_loss(score, target).tolist() == [2.5, 5.0]


def test_percentile_by_hand():
    values, every = rows(3.0, 1.0, 2.0, 5.0, 4.0), rows(1, 1, 1, 1, 1) > 0
    for percent, due in ((0, 1), (50, 3), (80, 4.2), (100, 5)):
        assert percentile(values, every, rows(percent)[0]).item() == due
    some = rows(1, 0, 1, 1, 0) > 0  # 3, 2 and 5
    for percent, due in ((0, 2), (50, 3), (75, 4), (100, 5)):
        assert percentile(values, some, rows(percent)[0]).item() == due


def test_best_weights_by_hand():
    values, every = rows(3.0, 1.0, 2.0, 5.0, 4.0), rows(1, 1, 1, 1, 1) > 0
    found = best_weights(values, every, rows(50.0)[0], 0.05)
    assert found.tolist() == [[1.0, 0.05, 0.05, 1.0, 1.0]]
    assert (best_weights(values, every, rows(0.0)[0], 0.05) == 1).all()


def test_percent_by_hand():
    config = WeightedConfig(rise=0.5, top=60.0)
    found = best_percent(config, torch.tensor([0, 10, 50, 900]))
    assert found.tolist() == [0.0, 5.0, 25.0, 60.0]


# Percentiles against numpy


@pytest.mark.parametrize("size", [1, 2, 7, 512])
def test_percentile_against_numpy(size):
    rng = np.random.default_rng(size)
    values = rng.normal(size=(6, size)) * 10.0 ** rng.integers(-3, 6, (6, 1))
    counted = rng.random((6, size)) < 0.7
    counted[:, 0] = True
    percent = rng.uniform(0, 100, 6)
    percent[:2] = 0.0, 100.0
    found = percentile(*map(torch.from_numpy, (values, counted, percent)))
    due = [np.percentile(v[c], p) for v, c, p in zip(values, counted, percent)]
    np.testing.assert_allclose(found, due, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_percentile_of_nothing_and_of_one_number(dtype):
    values = torch.tensor([[1.0, 2.0]], dtype=dtype)
    percent = torch.tensor([50.0], dtype=dtype)
    none = percentile(values, values > 9, percent)
    assert none.isfinite().all() and none < -1e30
    same = torch.full((1, 5), 1 / 3, dtype=dtype)
    for p in (0.0, 33.3, 80.0):
        found = best_weights(same, same > 0, p * torch.ones(1), 0.05)
        assert found.dtype == dtype and (found == 1).all()


# Plain loops


def network_by_hand(mlp, seed, x):
    """Return the outputs of an MLP (N, ·) or (N, 1, ·) of one seed."""
    for depth, layer in enumerate(mlp.layers):
        weight, bias = layer.weight[seed], layer.bias[seed]
        while weight.ndim > 2:
            weight, bias = weight[0], bias[0]
        out = bias[0].tolist()
        for j in range(len(out)):
            for i in range(len(x)):
                out[j] += x[i] * weight[i, j].item()
        last = depth == len(mlp.layers) - 1
        x = out if last else [max(v, 0.0) for v in out]
    return x


def value_by_hand(networks, seed, state, goal, action=None):
    if action is None:
        output = network_by_hand(
            networks["policy"].network, seed, state + goal
        )
        action = [math.tanh(v) for v in output]
    inputs = state + action + goal
    return network_by_hand(networks["score"].network, seed, inputs)[0], action


def losses_by_hand(config, networks, targets, batch, seed, count):
    gamma = config.gamma
    low, lift = -1 / (1 - gamma), float(config.form == "original")
    high = -low if lift else 0.0
    errors, later, weights, misses = [], [], [], []
    for b in range(batch.goals.shape[1]):
        state, action, after, goal = (
            part[seed, b].tolist() for part in batch[:4]
        )
        reward = batch.reached[seed, b].item() - 1.0 + lift
        slow, _ = value_by_hand(targets, seed, after, goal)
        target = min(max(reward + gamma * slow, low), high)
        score, _ = value_by_hand(networks, seed, state, goal, action)
        errors.append((target - score) ** 2)
        value, mean = value_by_hand(networks, seed, state, goal)
        if lift:
            follow, _ = value_by_hand(networks, seed, after, goal)
            advantage = reward + gamma * follow - value
        else:
            advantage = target - min(max(value, low), high)
        left = batch.steps[seed, b].item()
        if left > 0:
            later.append(advantage)
            grown = min(math.exp(min(advantage, 50)), config.weight_clip)
            weights.append(gamma ** (left - 1) * grown)
            gaps = [(x - m) ** 2 for x, m in zip(action, mean)]
            misses.append(sum(gaps) / len(gaps))
    if config.best and later:
        p = min(config.rise * count, config.top)
        bar = np.percentile(later, p)
        weights = [
            w * (1.0 if x >= bar else config.floor)
            for w, x in zip(weights, later)
        ]
    policy = sum(w * m for w, m in zip(weights, misses)) / max(len(later), 1)
    return sum(errors) / len(errors), policy


@pytest.mark.parametrize("count", [0, 3])
def test_losses_against_loops(variant, count):
    agent, config, networks, targets = ready(variant, count)
    rho, given = draw((21, 22)), torch.tensor(count)
    found, info = agent.losses(config, networks, targets, rho, None, given)
    assert (rho.steps == 0).any() and (rho.steps > 0).any()
    for seed in range(2):
        score, policy = losses_by_hand(
            config, networks, targets, rho, seed, count
        )
        assert found["loss_score"][seed].item() == pytest.approx(score)
        assert found["loss_policy"][seed].item() == pytest.approx(policy)


# Gradients


def test_regression_gradient():
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(2, 1, 5, dtype=torch.float64, generator=generator)
    target = torch.randn(2, 5, dtype=torch.float64, generator=generator)
    given = score.requires_grad_(), target
    assert torch.autograd.gradcheck(regression_loss, given)


@pytest.mark.parametrize("name", ["score", "policy"])
def test_gradients_by_finite_differences(variant, name, step=1e-6):
    """With weights and targets held, as detached terms are."""
    agent, config, networks, targets = ready(variant)
    rho, given = draw((31, 32)), torch.tensor(3)
    key = f"loss_{name}"
    found, info = agent.losses(config, networks, targets, rho, None, given)
    parameters = [
        p for p in networks[name].parameters() if p.shape[-2:] != (1, 2)
    ]
    gradients = torch.autograd.grad(
        found[key].sum(), parameters, allow_unused=True
    )
    target, advantage = judge(config, networks, targets, rho)
    fixed = {"score": target, "policy": advantage}[name]
    rng = np.random.default_rng(0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            gradient = torch.zeros_like(parameter)
        place = parameter.data.view(-1)
        for k in rng.choice(len(place), min(3, len(place)), replace=False):
            around = []
            for sign in (1, -1):
                place[k] += sign * step
                around.append(held(name, config, networks, rho, fixed))
                place[k] -= sign * step
            due = (around[0] - around[1]) / (2 * step)
            value = gradient.reshape(-1)[k].item()
            assert value == pytest.approx(due, rel=1e-5, abs=1e-7)


def held(name, config, networks, rho, fixed):
    """Return the sum of a loss over seeds, its targets given."""
    if name == "score":
        score = networks["score"](rho.observations, rho.actions, rho.goals)
        return (score[:, 0] - fixed).square().mean(dim=1).sum().item()
    later = rho.steps > 0
    weights = fixed.exp().clamp(max=config.weight_clip)
    weights = weights * config.gamma ** (rho.steps - 1) * later
    if config.best:
        for n in range(len(fixed)):
            p = min(config.rise * 3, config.top)
            bar = np.percentile(fixed[n][later[n]], p)
            weights[n] *= torch.where(fixed[n] >= bar, 1.0, config.floor)
    means = networks["policy"](rho.observations, rho.goals)
    error = (means - rho.actions).square().mean(dim=-1)
    return ((weights * error).sum(1) / later.sum(1)).sum().item()


# What the chapter claims


def test_asked_goals_are_for_the_critic_alone(variant):
    agent, config, networks, targets = ready(variant)
    rho = draw((41, 42))
    asked = (rho.steps == 0).unsqueeze(-1)
    other = rho._replace(actions=torch.where(asked, -rho.actions, rho.actions))
    one, _ = agent.losses(config, networks, targets, rho, None, START)
    two, _ = agent.losses(config, networks, targets, other, None, START)
    assert torch.equal(one["loss_policy"], two["loss_policy"])
    assert (one["loss_score"] != two["loss_score"]).all()


def test_a_batch_without_hindsight_leaves_the_policy_alone(variant):
    agent, config, networks, targets = ready(variant)
    rho = draw((51, 52))
    rho = rho._replace(steps=torch.zeros_like(rho.steps))
    found, info = agent.losses(config, networks, targets, rho, None, START)
    assert (found["loss_policy"] == 0).all()
    assert all(x.isfinite().all() for x in info.values())
    parameters = list(networks["policy"].parameters())
    gradients = torch.autograd.grad(
        found["loss_policy"].sum(), parameters, allow_unused=True
    )
    assert all(g is None or (g == 0).all() for g in gradients)


def test_the_mean_is_over_hindsight_goals(variant):
    """Asked goals beside them leave the policy's loss as it is."""
    agent, config, networks, targets = ready(variant)
    rho = draw((61, 62), 6)
    rho = rho._replace(steps=torch.full_like(rho.steps, 2.0))
    asked = draw((63, 64), 5)
    asked = asked._replace(steps=torch.zeros_like(asked.steps))
    both = type(rho)(*(torch.cat(x, 1) for x in zip(rho, asked, strict=True)))
    alone, joined = (
        agent.losses(config, networks, targets, x, None, START)[0]
        for x in (rho, both)
    )
    torch.testing.assert_close(alone["loss_policy"], joined["loss_policy"])


def test_both_forms_have_the_same_advantage_where_q_is_lifted():
    """Q of the original is that of the benchmark form plus 1/(1 - gamma)."""
    agent = find_agent("wgcsl")
    settings = dict(SMALL, best=False, gamma=0.9)
    one = make_config(agent, **settings)
    two = make_config(agent, form="benchmark", **settings)
    state = create_state(agent, one, SIZES, (0, 1))
    networks = state.networks.double()
    rho = draw((71, 72))
    with torch.no_grad():
        bias = networks["score"].network.layers[-1].bias
        bias -= 5.0  # between -10 and 0, where no clip is felt
    target, advantage = judge(two, networks, networks, rho)
    with torch.no_grad():
        bias += 10.0
    lifted, other = judge(one, networks, networks, rho)
    torch.testing.assert_close(lifted, target + 10.0)
    torch.testing.assert_close(other, advantage)


def test_the_critic_asks_for_the_policys_actions():
    agent = find_agent("wgcsl")
    config = make_config(agent, **SMALL)
    networks = create_state(agent, config, SIZES, (0, 1)).networks.double()
    rho = draw((81, 82))
    changed = rho._replace(actions=-rho.actions)
    one, two = (judge(config, networks, networks, x) for x in (rho, changed))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    value = value_policy(networks, rho.observations, rho.goals)
    actions = networks["policy"](rho.observations, rho.goals)
    due = networks["score"](rho.observations, actions, rho.goals)[:, 0]
    assert torch.equal(value, due.detach()) and not value.requires_grad


# The percentile


def test_the_percentile_rises_with_the_updates(variant):
    """Also in a run that is taken up again: no network counts."""
    agent, config, state = started(variant)
    assert set(state.networks) == {"score", "policy", "scaler"}
    state.updates = 60
    for done in range(60, 75):
        rho = draw((done, done + 1), dtype=torch.float32)
        measured = update(agent, config, state, rho, rho, 80)
        due = min(config.rise * done, config.top)
        assert ("percent" in measured) == config.best
        if config.best:
            found = measured["percent"].tolist()
            assert found == pytest.approx([due, due])


# Bad input and presets


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda x: step_discount(x[0], 0.9), "steps must be"),
        (lambda x: step_discount(x, 1.5), "gamma must lie"),
        (lambda x: clip_backup(x, x[:, :1], 0.9, 0.0), "value_next has"),
        (lambda x: clip_backup(x, x, 1.0, 0.0), "gamma must lie"),
        (lambda x: regression_loss(x, x), "score must be"),
        (lambda x: regression_loss(x[:, None], x[:, :2]), "target has"),
        (lambda x: percentile(x[0], x[0] > 0, x[0]), "values must be"),
        (lambda x: percentile(x, x[:, :2] > 0, x[0]), "counted has"),
        (lambda x: weighted_likelihood_loss(x, x[:, :1]), "weights has"),
    ],
)
def test_bad_shapes_and_numbers_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call(rows(1.0, 2.0, 3.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"form": "new"}, "unknown form 'new'; known: original, benchmark"),
        ({"hindsight": 0.0}, "hindsight must be above 0"),
        ({"rise": -0.1}, "rise must lie between 0 and 100"),
        ({"top": 101.0}, "top must lie between 0 and 100"),
        ({"floor": 1.5}, "floor must lie between 0 and 1"),
        ({"floor": float("nan")}, "floor must lie"),
        ({"weight_clip": 0.0}, "weight_clip must be positive"),
        ({"weight_clip": float("inf")}, "weight_clip must be positive"),
        ({"best": 1}, "best must be bool"),
        ({"gamma": 1.0}, "gamma must be"),
    ],
)
@pytest.mark.parametrize("name", ["wgcsl", "wgcsl-plain"])
def test_bad_settings_are_one_line(name, settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(find_agent(name), **settings)
    assert "\n" not in str(caught.value)


def test_presets():
    original, plain = find_agent("wgcsl"), find_agent("wgcsl-plain")
    shared = WeightedConfig()
    assert (shared.form, shared.best, shared.hindsight) == (
        "original",
        True,
        0.8,
    )
    assert (shared.rise, shared.top, shared.floor) == (0.15, 80.0, 0.05)
    shared = PlainConfig()
    assert (shared.form, shared.best, shared.hindsight) == (
        "benchmark",
        False,
        1.0,
    )
    for agent, polyak in ((original, 0.005), (plain, 0.0025)):
        config = make_config(agent, "released")
        assert config.hidden == (256, 256, 256) and config.ahead == 0.0
        assert (config.gamma, config.learning_rate) == (0.98, 5e-4)
        assert config.polyak == polyak and config.batch_size == 512
        assert agent.targets == ("score", "policy") and not config.cosine
        assert not agent.config().cosine
    assert make_config(original, "released").rise == 0.01
    assert original.losses is plain.losses
