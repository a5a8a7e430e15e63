"""Actionable Models: losses by hand, by loops, and where they converge."""

import itertools
import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.actionable import (
    ActionableConfig,
    chain_goals,
    clipped_backup,
    conservative_loss,
    losses,
    push_down,
    score_actions,
)
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.scaling import Scaler, fit_scaler
from smore_lit.learning.trajectories import (
    Batch,
    Sampler,
    as_trajectories,
    draw_uniforms,
)

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=16, proposals=3)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def started(seeds=(4, 7), double=True, **settings):
    agent = find_agent("am")
    config = make_config(agent, **{**SMALL, **settings})
    state = create_state(agent, config, SIZES, seeds)
    if double:
        state.networks.double()
        state.targets.double()
        for number, slow in enumerate(state.targets.parameters()):
            slow += 0.01 * (1 + number)
    return agent, config, state


def draw(config, seeds=2, size=6, seed=0, dtype=torch.float64):
    rows = [100 * seed + index for index in range(seeds)]
    noise = config.draws(SIZES)
    return random_batch(SIZES, rows, size, noise=noise, dtype=dtype)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# Hand-worked numbers


def test_backup_by_hand():
    """Bound -4: -1 - 1.5, 0 - 1.5, clipped below, clipped above."""
    reached = torch.tensor([[0.0, 1.0, 0.0, 1.0]])
    value_next = torch.tensor([[-2.0, -2.0, -9.0, 3.0]])
    found = clipped_backup(reached, value_next, 0.75)
    assert found.tolist() == [[-2.5, -1.5, -4.0, 0.0]]


def test_every_return_lies_within_the_clip():
    rng = np.random.default_rng(0)
    for gamma in (0.0, 0.5, 0.98):
        rewards = -(rng.random((50, 400)) < 0.7).astype(float)
        value = np.zeros(50)
        for column in rewards.T[::-1]:
            value = column + gamma * value
            met = torch.from_numpy(column + 1)[None]
            before = torch.from_numpy((value - column) / max(gamma, 1e-9))
            if gamma:
                kept = clipped_backup(met, before[None], gamma)
                np.testing.assert_allclose(kept[0], value, atol=1e-9)


def test_push_by_hand():
    """Weights 1/4 and 3/4; equal scores weigh alike."""
    proposed = torch.tensor([[[[0.0, math.log(3.0)], [2.0, 2.0]]]])
    due = (0.75 * math.log(3) + 2.0) / 2
    assert push_down(proposed).item() == pytest.approx(due, rel=1e-6)


def test_loss_by_hand():
    """Errors 1 and -2 under one critic, 2 and 0 under the other."""
    score = torch.tensor([[[1.0, 3.0], [0.0, 1.0]]])
    target = torch.tensor([[2.0, 1.0]])
    proposed = torch.full((1, 2, 2, 4), -3.0)
    found = conservative_loss(score, target, proposed, 0.5)
    assert found.tolist() == [(1 + 4) / 2 + (4 + 0) / 2 - 0.5 * 6]


@pytest.mark.parametrize(
    "size, share, kept",
    [(5, 0.5, 3), (4, 0.5, 2), (1, 0.5, 1), (1, 1.0, 1), (2, 0.5, 1)],
)
def test_half_of_the_goals_are_those_of_the_row_above(size, share, kept):
    goals = torch.arange(2.0 * size).reshape(2, size, 1)
    new, reached = chain_goals(asked(goals, goals), share)
    for n, b in itertools.product(range(2), range(size)):
        own = n * size + b
        assert new[n, b] == (own if b < kept else own - 1)
        assert reached[n, b] == float(b < kept)


def test_all_or_none_may_be_exchanged():
    goals = torch.arange(4.0).reshape(1, 4, 1)
    rho = asked(goals, goals)
    assert torch.equal(chain_goals(rho, 0.0)[0], goals)
    new, never = chain_goals(rho, 1.0)
    assert new.flatten().tolist() == [3, 0, 1, 2] and not never.any()


def test_identical_goals_stay_reached_when_they_are_exchanged():
    goals = torch.zeros(1, 4, 1)
    new, reached = chain_goals(asked(goals, goals), 0.5)
    assert torch.equal(new, goals) and reached.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("scaled", [False, True])
def test_exchanged_goals_are_tested_as_the_sampler_does(scaled):
    """Against distances in the task's own units, row by row."""
    rng = np.random.default_rng(0)
    paths = rng.normal(size=(30, 11, 3)) * [0.3, 1.0, 3.0]
    asked_for = rng.normal(size=(30, 3))
    data = as_trajectories(
        paths, rng.uniform(-1, 1, (30, 10, 2)), paths, asked_for
    )
    sampler, near = Sampler(data, 1.0, 2.0), 2.0
    draws = draw_uniforms([torch.Generator().manual_seed(1)], 400, 4)
    raw, _ = sampler(draws)
    rho, scaler = raw, Scaler(3, 3)
    if scaled:
        fit_scaler(scaler, data)
        rho = scaler(raw)
    goals, reached = chain_goals(rho, 0.5)
    after, goal = raw.next_observations[0].numpy(), raw.goals[0].numpy()
    for b in range(400):
        g = goal[b if b < 200 else b - 1]
        assert torch.equal(goals[0, b], scaler.goals(torch.tensor(g)))
        assert reached[0, b] == float(np.linalg.norm(after[b] - g) <= near)
    assert 20 < reached[0, 200:].sum() < 180


def test_without_a_tolerance_only_an_exact_hit_counts():
    goals = torch.tensor([0.1, 0.7, 0.7, 0.3]).reshape(1, 4, 1)
    rho = asked(goals, goals, near=0.0)
    assert chain_goals(rho, 1.0)[1].tolist() == [[0, 0, 1, 0]]


def test_a_goal_that_all_share_costs_nothing_at_the_goal():
    """All goals are one place and all stand there: every target is gamma Q."""
    _, config, state = started(gamma=0.5)
    rho = draw(config)
    here = torch.zeros_like(rho.goals)
    rho = rho._replace(
        goals=here, next_achieved=here, reached=torch.ones_like(rho.reached)
    )
    _, info = losses(config, state.networks, state.targets, rho, None, START)
    assert info["reached"].tolist() == [1, 1]


def flat(x):
    return Batch(*[x] * len(Batch._fields))


def asked(goals, after, near=0.5):
    """Return a batch of goals and the places after, numbers on a line."""
    met = ((after - goals).norm(dim=-1) <= near).to(goals.dtype)
    bounds = torch.full_like(goals, near)
    return Batch(*[goals] * 4, met, met, goals, after, bounds, goals, goals)


# Plain loops


def numbers_of(network, seed, critic=None):
    pick = (seed,) if critic is None else (seed, critic)
    return [
        (layer.weight[pick].detach().numpy(), layer.bias[pick][0].detach())
        for layer in network.network.layers
    ]


def run_layers(layers, x):
    for depth, (weight, bias) in enumerate(layers):
        x = x @ weight + bias.numpy()
        x = x if depth == len(layers) - 1 else np.maximum(x, 0)
    return x


def losses_by_loops(config, state, rho, seed):
    """Return both losses of one seed, one row and one number at a time."""
    arrays = {k: v[seed].numpy() for k, v in rho._asdict().items()}
    size = len(arrays["goals"])
    kept = size - int(config.chained * size)

    def parts(networks):
        policy = numbers_of(networks["policy"], seed)
        critics = [
            numbers_of(networks["score"], seed, k)
            for k in range(config.critics)
        ]
        return policy, critics

    policy, critics = parts(state.networks)
    slow_policy, slow_critics = parts(state.targets)
    score_loss, policy_loss = 0.0, 0.0
    for b in range(size):
        g = arrays["goals"][b if b < kept else b - 1]
        met = arrays["reached"][b]
        if b >= kept:
            gap = (arrays["next_achieved"][b] - g) / arrays["tolerance"][b]
            met = float((gap**2).sum() <= 1)
        r = met - 1.0
        s, after = arrays["observations"][b], arrays["next_observations"][b]

        def ask(critics, state, action, g=g):
            x = np.concatenate((state, action, g))
            return [run_layers(layers, x)[0] for layers in critics]

        following = np.tanh(run_layers(slow_policy, np.append(after, g)))
        y = r + config.gamma * min(ask(slow_critics, after, following))
        y = min(max(y, -1 / (1 - config.gamma)), 0.0)
        chosen = np.tanh(run_layers(policy, np.append(s, g)))
        policy_loss -= min(ask(critics, s, chosen)) / size
        proposals = 2 * arrays["noise"][b].reshape(config.proposals, -1) - 1
        asked = np.array([ask(critics, s, a) for a in proposals])
        for k, q in enumerate(ask(critics, s, arrays["actions"][b])):
            weights = np.exp(asked[:, k]) / np.exp(asked[:, k]).sum()
            push = (weights * asked[:, k]).sum()
            score_loss += ((y - q) ** 2 + config.conservative * push) / size
    return score_loss, policy_loss


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"critics": 2, "chained": 0.3},
        {"conservative": 0.0, "gamma": 0.5},
        {"conservative": 2.5, "chained": 1.0 / 6},
    ],
)
def test_losses_against_loops(settings):
    _, config, state = started(**settings)
    rho = draw(config)
    found, info = losses(
        config, state.networks, state.targets, rho, None, START
    )
    for seed in range(2):
        due = losses_by_loops(config, state, rho, seed)
        for name, value in zip(("loss_score", "loss_policy"), due):
            assert found[name][seed].item() == pytest.approx(value, abs=1e-6)
    assert torch.equal(info["score_policy"], -found["loss_policy"])


# Gradients


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_gradient_of_the_loss(weight):
    """The push has the slope of the log of the sum of exponentials."""
    score, target = normal(2, 2, 5), normal(2, 5, seed=1)
    proposed = normal(2, 2, 5, 4, seed=2).requires_grad_()
    score.requires_grad_()
    conservative_loss(score, target, proposed, weight).sum().backward()

    def potential(score, proposed):
        square = (target[:, None] - score).square().mean(dim=2).sum(dim=1)
        push = proposed.logsumexp(dim=3).mean(dim=2).sum(dim=1)
        return square + weight * push

    assert torch.autograd.gradcheck(potential, (score, proposed))
    other = [x.detach().clone().requires_grad_() for x in (score, proposed)]
    potential(*other).sum().backward()
    torch.testing.assert_close(score.grad, other[0].grad)
    torch.testing.assert_close(proposed.grad, other[1].grad)


def test_gradients_of_the_agent_by_differences(step=1e-6):
    """The policy climbs; the push's slope is that of its potential."""
    _, config, state = started(critics=2)
    rho = draw(config)

    def value(name):
        given = config, state.networks, state.targets, rho, None, START
        if name == "loss_policy":
            return losses(*given)[0][name]
        goals, _ = chain_goals(rho, config.chained)
        critic = state.networks["score"]
        _, proposed = score_actions(config, critic, rho, goals)
        plain = losses(*given)[0][name] - push_down(proposed)
        return plain + proposed.logsumexp(dim=-1).mean(dim=-1).sum(dim=-1)

    rng = np.random.default_rng(0)
    for name in ("loss_score", "loss_policy"):
        network = state.networks[name.removeprefix("loss_")]
        loss, _ = losses(
            config, state.networks, state.targets, rho, None, START
        )
        parameters = list(network.network.parameters())
        slopes = torch.autograd.grad(loss[name].sum(), parameters)
        for parameter, slope in zip(parameters, slopes, strict=True):
            flat = parameter.data.view(-1)
            for index in rng.integers(len(flat), size=3):
                kept = flat[index].item()
                ends = []
                for way in (step, -step):
                    flat[index] = kept + way
                    with torch.no_grad():
                        ends.append(value(name).sum().item())
                flat[index] = kept
                due = (ends[0] - ends[1]) / (2 * step)
                found = slope.reshape(-1)[index].item()
                assert found == pytest.approx(due, abs=1e-6)


def test_the_drawn_proposal_has_the_same_mean_and_more_noise():
    proposed = normal(1, 1, 1, 5).requires_grad_()
    (mean,) = torch.autograd.grad(push_down(proposed).sum(), proposed)
    weights = proposed.detach().flatten().softmax(dim=0)
    drawn = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(mean.flatten(), weights @ drawn)
    spread = (weights @ (drawn - weights).square()).sum()
    assert spread.item() == pytest.approx(1 - weights.square().sum().item())


# What the derivation claims


def solve_levels(mu, y, c, rounds=4000):
    """Descend on the exported loss at one state, all pairs of proposals."""
    actions = len(mu)
    pairs = list(itertools.product(range(actions), repeat=2))
    pairs = torch.tensor(pairs * sum(mu))
    taken = torch.arange(actions).repeat_interleave(torch.tensor(mu))
    taken = taken.repeat_interleave(actions**2)
    share = torch.tensor(mu, dtype=torch.float64) / sum(mu)
    Q = torch.zeros(actions, dtype=torch.float64)
    for _ in range(rounds):
        Q.requires_grad_()
        given = Q[taken][None, None], y[taken][None], Q[pairs][None, None]
        (slope,) = torch.autograd.grad(conservative_loss(*given, c).sum(), Q)
        Q = (Q - 0.3 * slope / (2 * share)).detach()
        if slope.abs().max() < 1e-12:
            break
    return Q.numpy(), share.numpy()


@pytest.mark.parametrize("c", [0.3, 1.0])
def test_fixed_point_is_marked_down_by_the_ratio_of_shares(c):
    y = torch.tensor([-1.0, -3.0, -2.5], dtype=torch.float64)
    Q, share = solve_levels([1, 3, 2], y, c)
    v = np.zeros(3)
    for i, j in itertools.product(range(3), repeat=2):
        both = np.exp([Q[i], Q[j]])
        v[i] += both[0] / both.sum() / 9
        v[j] += both[1] / both.sum() / 9
    np.testing.assert_allclose(Q, y.numpy() - c / 2 * v / share, atol=1e-9)
    assert (share * (y.numpy() - Q)).sum() == pytest.approx(c / 2)


@pytest.mark.parametrize("taken, better", [(3, False), (5, True)])
def test_a_rare_better_action_loses_below_a_fifth(taken, better):
    y = torch.tensor([0.0, -1.0], dtype=torch.float64)
    Q, _ = solve_levels([taken, 20 - taken], y, 1.0)
    assert (Q[0] > Q[1]) == better


def test_an_action_nobody_took_falls_for_ever():
    Q = torch.zeros(2, dtype=torch.float64)
    target = torch.zeros(1, 1, dtype=torch.float64)
    depths = []
    for count in range(2000):
        Q.requires_grad_()
        given = Q[:1][None, None], target, Q[None, None, None]
        (slope,) = torch.autograd.grad(conservative_loss(*given, 1.0)[0], Q)
        assert slope[1] > 0
        Q = (Q - 0.2 * slope).detach()
        if count in (499, 999, 1999):
            depths.append(Q[1].item())
    falls = np.diff(depths)
    assert (falls < -0.5).all()
    np.testing.assert_allclose(falls, -math.log(2), atol=0.05)


def test_a_batch_of_transitions_has_no_end():
    """The unrolled fixed point of the backup ends in the last state's Q."""
    gamma, length, end = 0.9, 5, -3.7
    value = torch.tensor([[end]], dtype=torch.float64)
    for _ in range(length):
        value = clipped_backup(torch.zeros_like(value), value, gamma)
    due = -sum(gamma**k for k in range(length)) + gamma**length * end
    assert value.item() == pytest.approx(due)


def test_goal_transitions_are_not_read():
    _, config, state = started()
    rho = draw(config)
    other = draw(config, seed=3)
    one, _ = losses(config, state.networks, state.targets, rho, rho, START)
    two, _ = losses(config, state.networks, state.targets, rho, other, START)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_both_slow_copies_are_read():
    _, config, state = started()
    rho = draw(config)

    def target():
        given = config, state.networks, state.targets, rho, None, START
        return losses(*given)[1]["target"]

    before = target()
    for name in ("score", "policy"):
        state.targets[name].network.layers[0].weight.data += 0.1
        after = target()
        assert not torch.equal(before, after), name
        before = after


def test_more_than_one_critic_believes_the_least():
    _, config, state = started(critics=2, conservative=0.0)
    bias = state.networks["score"].network.layers[-1].bias
    bias.data[:, 1] -= 100.0
    rho = draw(config)
    _, info = losses(config, state.networks, state.targets, rho, None, START)
    assert (info["score_policy"] < -50).all()


def test_proposals_are_the_noise_of_the_batch():
    _, config, state = started()
    rho = draw(config)
    critic = state.networks["score"]
    score, proposed = score_actions(config, critic, rho, rho.goals)
    assert score.shape == (2, 1, 6) and proposed.shape == (2, 1, 6, 3)
    action = 2 * rho.noise[:, :, 2:4] - 1
    second = critic(rho.observations, action, rho.goals)
    torch.testing.assert_close(proposed[..., 1], second)
    alone = critic(rho.observations, rho.actions, rho.goals)
    torch.testing.assert_close(score, alone)


# Bad input


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda x: clipped_backup(x[0], x, 0.9), "reached must be"),
        (lambda x: clipped_backup(x, x[:, :2], 0.9), "value_next has shape"),
        (lambda x: clipped_backup(x, x, 1.0), "gamma must lie in"),
        (lambda x: push_down(x), "proposed must be"),
        (
            lambda x: conservative_loss(x, x, x, 1.0),
            "score must be",
        ),
        (
            lambda x: conservative_loss(x[None], x, x[None, None], 1.0),
            "proposed has shape",
        ),
        (
            lambda x: conservative_loss(x[None], x, x[None, ..., None], -1.0),
            "weight must lie",
        ),
        (lambda x: chain_goals(flat(x), 0.5), "goals have shape"),
        (lambda x: chain_goals(flat(x), 1.5), "share must lie"),
    ],
)
def test_bad_shapes_and_numbers_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call(torch.zeros(1, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"chained": 1.5}, "chained must be in"),
        ({"chained": float("nan")}, "chained must be in"),
        ({"conservative": -1.0}, "conservative must be 0 or more"),
        ({"conservative": float("inf")}, "conservative must be 0 or more"),
        ({"proposals": 0}, "proposals must be 1 or more"),
        ({"proposals": 2.5}, "proposals must be int"),
        ({"critics": 0}, "critics must be 1 or more"),
        ({"gamma": 1.0}, "gamma must be"),
        ({"expectile": 0.8}, "no setting 'expectile'"),
    ],
)
def test_bad_settings_are_one_line(settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(find_agent("am"), **settings)
    assert "\n" not in str(caught.value)


def test_a_batch_without_noise_is_one_line():
    _, config, state = started()
    rho = random_batch(SIZES, (0, 1), 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="noise must hold 6 numbers"):
        losses(config, state.networks, state.targets, rho, None, START)


def test_presets():
    agent = find_agent("am")
    shared, code = (make_config(agent, p) for p in ("shared", "released"))
    assert shared == ActionableConfig() and shared.hindsight == 1.0
    assert shared.draws(Sizes(10, 4, 3)) == 40
    assert (code.gamma, code.polyak, code.ahead) == (0.98, 0.0025, 0.0)
    assert code.hidden == (256, 256, 256) and code.batch_size == 512
    assert code.initialiser == "xavier" and code.learning_rate == 1e-3
    assert (code.hindsight, code.chained, code.critics) == (1.0, 0.5, 1)
    assert not code.cosine


# The contract, in short


@pytest.mark.parametrize("size, scale", [(1, 1.0), (512, 1.0), (8, 1e6)])
def test_any_batch_stays_finite(size, scale):
    agent, config, state = started(double=False)
    for moment in range(3):
        rho = random_batch(
            SIZES, (moment, 9), size, noise=config.draws(SIZES), scale=scale
        )
        measured = update(agent, config, state, rho, rho, 3)
        for name, value in measured.items():
            assert value.shape == (2,) and value.isfinite().all(), name
    assert all(p.isfinite().all() for p in state.networks.parameters())


def test_seeds_do_not_mix():
    def weights(seeds):
        agent, config, state = started(seeds, double=False)
        noise = config.draws(SIZES)
        for moment in range(3):
            rows = [100 * moment + seed for seed in seeds]
            rho = random_batch(SIZES, rows, noise=noise)
            update(agent, config, state, rho, rho, 3)
        return list(state.networks.parameters())

    together, alone = weights((0, 1, 2)), weights((1,))
    for one, two in zip(together, alone, strict=True):
        assert torch.equal(one[1:2], two)


def test_each_loss_moves_its_own_network_only():
    _, config, state = started()
    named = dict(state.networks.named_parameters())
    found, _ = losses(
        config, state.networks, state.targets, draw(config), None, START
    )
    for key, loss in found.items():
        slopes = torch.autograd.grad(
            loss.sum(), named.values(), retain_graph=True, allow_unused=True
        )
        moved = {
            name.split(".")[0]
            for name, slope in zip(named, slopes, strict=True)
            if slope is not None and slope.abs().sum() > 0
        }
        assert moved == {key.removeprefix("loss_")}
