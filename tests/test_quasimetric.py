"""QRL: the quasimetric, its losses by hand and in loops, and its claims."""

import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.quasimetric import (
    LARGEST,
    Measured,
    latent_distance,
    measure,
    multiplier_loss,
    push_loss,
    step_advantage,
    violation,
)
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)

SIZES = Sizes(5, 2, 3)
QRL = find_agent("qrl")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def start(seeds=(0, 1), double=False, **settings):
    settings = dict(hidden=(8, 8), latent=12, components=3) | settings
    config = make_config(QRL, **settings)
    state = create_state(QRL, config, SIZES, seeds)
    if double:
        state.networks.double()
    return config, state


def draw(seeds=(0, 1), size=8, **options):
    return random_batch(SIZES, seeds, size, **options)


def rows(*values):
    return torch.tensor([values], dtype=torch.float64)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


# Hand-worked numbers


def test_distance_by_hand():
    """Groups give max(2, -1) = 2 and max(-3, -4), cut at 0."""
    x, y = rows(0.0, 1.0, 3.0, 0.0), rows(2.0, 0.0, 0.0, -4.0)
    assert latent_distance(x, y, 2).item() == 1.0
    assert latent_distance(y, x, 2).item() == (1 + 4) / 2
    assert latent_distance(x, y, 1).item() == 2.0
    assert latent_distance(x, y, 4).item() == 2.0 / 4


def test_push_by_hand():
    loss = push_loss(rows(15.0, -1e9, 1e9), 15.0, 10.0)
    expected = (10 * math.log(2) + (15 + 1e9)) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_violation_by_hand():
    """Steps of 3, 1 and 0 exceed by 2, 0 and 0."""
    found = violation(rows(3.0, 1.0, 0.0), rows(0.0, 0.5, 1.0))
    assert found.item() == pytest.approx((4 + 0.25 + 1) / 3)


def test_multiplier_by_hand():
    level = torch.tensor([2.0, 2.0, -1.0, 3.0])
    broken = torch.tensor([0.25, 0.75, 0.0, 1e30])
    loss = multiplier_loss(level, broken, 0.5)
    torch.testing.assert_close(loss, torch.tensor([0.0, -1.0, -1.0, -3.0]))


def test_advantage_by_hand():
    """A step nearer, sideways, away; waiting at the goal, leaving it."""
    here = rows(3.0, 3.0, 3.0, 0.0, 0.0)
    after = rows(2.0, 3.0, 4.0, 0.0, 1.0)
    found = step_advantage(here, after)
    assert found.tolist() == [[0.0, -1.0, -2.0, 0.0, -1.0]]


# Plain loops


def loop_distance(x, y, components):
    size = len(x) // components
    total = 0.0
    for c in range(components):
        gaps = [y[j] - x[j] for j in range(c * size, (c + 1) * size)]
        total += max(0.0, *gaps) / components
    return total


def test_distance_against_loops():
    x, y = normal(2, 3, 7, 12)
    for components in (1, 3, 6, 12):
        found = latent_distance(x, y, components)
        expected = [
            [loop_distance(a, b, components) for a, b in zip(p, q)]
            for p, q in zip(x.tolist(), y.tolist())
        ]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_agent_losses_against_loops():
    """Every loss again, from the encoders' points and the policy's means."""
    config, state = start(double=True)
    rho = draw(dtype=torch.float64)
    with torch.no_grad():
        state.networks["multiplier"].level.copy_(torch.tensor([[0.0], [0.1]]))
    found, info = QRL.losses(config, state.networks, {}, rho, None, START)
    network, policy = state.networks["distance"], state.networks["policy"]
    x = network.states(rho.observations).tolist()
    z = network.states(rho.next_observations).tolist()
    g = network.goals(rho.goals).tolist()
    own = network.goals(rho.achieved).tolist()
    log_prob = policy.log_prob(
        policy(rho.observations, rho.goals), rho.actions
    ).tolist()
    for n, size in ((0, 8), (1, 8)):
        push = broken = copied = 0.0
        for b in range(size):
            far = loop_distance(x[n][b], g[n][b - 1], 3)
            step = loop_distance(x[n][b], z[n][b], 3)
            at = loop_distance(x[n][b], own[n][b], 3)
            here = loop_distance(x[n][b], g[n][b], 3)
            after = loop_distance(z[n][b], g[n][b], 3)
            push += 10 * math.log1p(math.exp((15 - far) / 10)) / size
            broken += (max(step - 1, 0) ** 2 + at**2) / size
            weight = math.exp(3 * (max(here - 1, 0) - after))
            copied -= min(weight, 100) * log_prob[n][b] / size
        level = (0.0, 1.0)[n]
        slack = 0.25**2
        rise = -level * (broken - slack) / (broken + slack)
        expected = {
            "loss_distance": push + math.exp(level) * broken,
            "loss_multiplier": rise,
            "loss_policy": copied,
        }
        for name, value in expected.items():
            assert found[name][n].item() == pytest.approx(value, abs=1e-6)
        assert info["violation"][n].item() == pytest.approx(broken)


# Gradients


def test_gradients():
    distances = (2.0 + normal(3, 5)).requires_grad_()
    others = (1.0 + normal(3, 5, seed=1)).requires_grad_()
    check = torch.autograd.gradcheck
    assert check(lambda d: push_loss(d, 3.0, 2.0), distances)
    assert check(violation, (distances, others))
    assert check(step_advantage, (distances, others))
    x, y = normal(2, 4, 6, seed=2).requires_grad_().unbind()
    assert check(lambda x, y: latent_distance(x, y, 2), (x, y))
    level, broken = normal(3, seed=3), normal(3, seed=4).abs()
    level.requires_grad_()
    assert check(lambda a: multiplier_loss(a, broken, 0.3), level)


def test_the_multiplier_has_the_games_sign_and_zero():
    epsilon = 0.3
    for broken in (0.0, 0.05, epsilon**2, 0.1, 10.0, 1e12):
        level = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        given = torch.tensor([broken], dtype=torch.float64)
        multiplier_loss(level, given, epsilon).sum().backward()
        game = broken - epsilon**2  # the slope in lambda, to be climbed
        assert np.sign(-level.grad.item()) == np.sign(game)
        assert abs(level.grad.item()) <= 1.0


def test_the_multiplier_rises_while_constraints_break_and_falls_after():
    for epsilon, sign in ((1e-3, 1), (1e3, -1)):
        config, state = start(epsilon=epsilon)
        before = state.networks["multiplier"]().detach().clone()
        for _ in range(5):
            measured = update(QRL, config, state, draw(), draw(), 5)
        after = state.networks["multiplier"]().detach()
        assert (sign * (after - before) > 0).all()
        expected = 5 * config.pace * config.learning_rate
        np.testing.assert_allclose((after - before).abs(), expected, rtol=0.1)
        assert (measured["violation"] >= 0).all()


def test_the_multiplier_counts_for_a_bounded_amount():
    config, state = start()
    with torch.no_grad():
        state.networks["multiplier"].level.fill_(100.0)
    _, info = QRL.losses(config, state.networks, {}, draw(), None, START)
    np.testing.assert_allclose(info["multiplier"], LARGEST, rtol=1e-5)


# The claims of the chapter


def closed(costs):
    costs = costs.copy()
    np.fill_diagonal(costs, 0.0)
    for k in range(len(costs)):
        costs = np.minimum(costs, costs[:, k, None] + costs[k])
    return costs


@pytest.mark.parametrize("components", [1, 4, 12])
def test_it_is_a_quasimetric(components):
    points = normal(30, 12, seed=5)
    d = latent_distance(points[:, None], points, components)
    assert (d >= 0).all() and d.diagonal().eq(0).all()
    ways = d[:, :, None] + d[None]
    assert (d[:, None] <= ways + 1e-12).all()
    assert not torch.allclose(d, d.T)


def test_any_quasimetric_can_be_embedded():
    rng = np.random.default_rng(0)
    for n in (2, 5, 9):
        ways = torch.from_numpy(closed(rng.uniform(0, 5, (n, n))))
        points = ways.T
        found = latent_distance(points[:, None], points, 1)
        torch.testing.assert_close(found, ways)


def test_admissible_distances_never_exceed_the_least_steps():
    """Scale any latent points until the constraints hold, then compare."""
    rng = np.random.default_rng(1)
    for seed in range(20):
        states, goals = 6, 2
        n = states + goals
        phi = rng.integers(goals, size=states)
        costs = np.full((n, n), np.inf)
        arcs = [tuple(rng.integers(states, size=2)) for _ in range(14)]
        for s, after in arcs:
            costs[s, after] = 1.0
        points = normal(n, 8, seed=seed)
        for s in range(states):  # a goal lies below all that achieve it
            costs[s, states + phi[s]] = 0.0
            goal = points[states + phi[s]]
            points[states + phi[s]] = torch.minimum(goal, points[s])
        d = latent_distance(points[:, None], points, 2).numpy()
        longest = max(d[s, after] for s, after in arcs)
        d = d / max(longest, 1e-9)
        least = closed(costs)[:states, states:]
        assert (d[:states, states:] <= least + 1e-9).all()


def test_advantage_is_bounded_by_the_excess_of_the_step():
    _, state = start(double=True)
    rho = draw(size=200, dtype=torch.float64)
    with torch.no_grad():
        found = measure(state.networks["distance"], rho)
    assert isinstance(found, Measured)
    advantage = step_advantage(found.here, found.after)
    excess = (found.step - 1.0).clamp(min=0.0)
    assert (advantage <= excess + 1e-12).all()


def test_the_game_finds_least_steps_on_a_one_way_ring():
    """Six states around, one way, two to a goal: the next is 1, behind 4."""
    size, goals, epsilon = 6, 3, 0.05
    points = normal(size + goals, 36).requires_grad_()
    level = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([points, level], lr=0.02)
    s = torch.arange(size)
    for _ in range(800):
        d = latent_distance(points[:, None], points, 4)
        broken = violation(
            d[s, (s + 1) % size][None], d[s, size + s // 2][None]
        )
        push = push_loss(d[:size, size:].reshape(1, -1), 15.0, 10.0)
        rise = multiplier_loss(level, broken.detach(), epsilon)
        adam.zero_grad()
        (push + level.detach().exp() * broken + rise).sum().backward()
        adam.step()
    s, g = np.indices((size, goals))
    least = np.minimum((2 * g - s) % size, (2 * g + 1 - s) % size)
    found = d[:size, size:].detach().numpy()
    np.testing.assert_allclose(found, least, atol=0.3)
    assert level.item() > 0


# Bad input


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda x: latent_distance(x, x, 2), "components must divide 3"),
        (lambda x: latent_distance(x, x, 0), "components must divide 3"),
        (lambda x: push_loss(x[0], 1.0, 1.0), "far must be"),
        (lambda x: push_loss(x, 1.0, 0.0), "width must lie"),
        (lambda x: violation(x, x[:, :2]), "own has shape"),
        (lambda x: step_advantage(x[0], x), "here must be"),
        (lambda x: multiplier_loss(x[0], x[0], 0.0), "epsilon must lie"),
        (lambda x: multiplier_loss(x[0], x[0, :2], 0.1), "broken has shape"),
    ],
)
def test_bad_shapes_and_numbers_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call(rows(1.0, 2.0, 3.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"components": 0}, "components must lie in 1 to latent"),
        ({"components": 128}, "components must lie in 1 to latent"),
        ({"components": 7}, "latent must be a multiple of components"),
        ({"epsilon": 0.0}, "epsilon must lie between"),
        ({"epsilon": float("nan")}, "epsilon must lie between"),
        ({"width": -1.0}, "width must lie between"),
        ({"multiplier": 0.0}, "multiplier must lie between"),
        ({"pace": float("inf")}, "pace must lie between"),
        ({"temperature": 0.0}, "temperature must lie between"),
        ({"offset": -1.0}, "offset must be finite and not negative"),
        ({"offset": float("inf")}, "offset must be finite"),
        ({"expectile": 0.7}, "no setting 'expectile'"),
    ],
)
def test_bad_settings_are_one_line(settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(QRL, **settings)
    assert "\n" not in str(caught.value)


# The agent


def test_released_preset_builds():
    config = make_config(QRL, "released")
    assert (config.hidden, config.latent) == ((512, 512, 512), 512)
    assert config.epsilon**2 == pytest.approx(0.05)
    state = create_state(QRL, config, SIZES, (0,))
    assert state.networks["multiplier"]().item() == 0.0
    assert state.networks["distance"](*given(draw((0,)))).shape == (1, 8)


def given(rho):
    return rho.observations, rho.goals


def test_goal_transitions_and_rewards_are_not_read():
    config, state = start()
    rho = draw()
    blind = rho._replace(
        reached=torch.full_like(rho.reached, torch.nan),
        steps=torch.full_like(rho.steps, torch.nan),
        first_observations=torch.full_like(rho.observations, torch.nan),
    )
    one, _ = QRL.losses(config, state.networks, {}, rho, rho, START)
    two, _ = QRL.losses(config, state.networks, {}, blind, None, START)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_of_one_is_its_own_random_goal():
    config, state = start((0,))
    with torch.no_grad():
        found = measure(state.networks["distance"], draw((0,), 1))
    assert torch.equal(found.far, found.here)
