"""IQL, SQL, EQL, XQL: losses by hand and by loops, and the contract."""

import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.in_sample import (
    backup_loss,
    exponential_value_loss,
    gumbel_value_loss,
    sparse_reward,
    sparse_value_loss,
)
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
)
from smore_lit.learning.objectives import expectile_loss

SIZES = Sizes(5, 2, 3)
VARIANTS = {
    "iql": {},
    "sql": {},
    "eql": {},
    "xql": {},
    "sql-paper": {"paper_weights": True},
    "eql-paper": {"paper_weights": True},
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return find_agent(request.param[:3]), VARIANTS[request.param]


def start(variant, seeds, sizes=SIZES, **settings):
    agent, own = variant
    settings = dict(hidden=(8, 8), **own) | settings
    config = make_config(agent, **settings)
    return agent, config, create_state(agent, config, sizes, seeds)


def draw(seeds, size=8, sizes=SIZES, scale=1.0):
    """Return a batch whose slice n depends on seeds[n] alone."""
    return random_batch(sizes, seeds, size, scale=scale)


def rows(*values):
    return torch.tensor([values], dtype=torch.float64)


# Hand-worked numbers


def test_reward_by_hand():
    assert sparse_reward(rows(1.0, 0.0)).tolist() == [[0.0, -1.0]]


def test_backup_by_hand():
    """Targets 0 and 1 against 1 and 3, then against 0 and 4."""
    score = torch.tensor([[[1.0, 3.0], [0.0, 4.0]]])
    given = score, rows(-1.0, 0.0), rows(2.0, 2.0)
    assert backup_loss(*given, gamma=0.5) == (1 + 4) / 2 + (0 + 9) / 2
    bent = backup_loss(*given, gamma=0.5, delta=2.0)
    assert bent == (1 + 4) / 2 + (0 + 2 * (2 * 3 - 2)) / 2


def test_sparse_value_by_hand():
    """Weights 1 + 1 = 2 and 1 - 3, which is cut at 0."""
    loss = sparse_value_loss(rows(1.0, -1.0), rows(0.0, 2.0), 0.5)
    assert loss == ((4 + 0) + (0 + 4)) / 2


def test_exponential_value_by_hand():
    """Exponents 2 and -2, the top is 2."""
    loss = exponential_value_loss(rows(1.0, 0.0), rows(0.0, 1.0), 0.5)
    expected = (1 + math.exp(-4) + 2 * math.exp(-2)) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-15)
    capped = exponential_value_loss(rows(1.0), rows(0.5), 0.5, cap=0.25)
    assert capped.item() == pytest.approx(1 + math.exp(-0.25))
    low = exponential_value_loss(rows(-2.0), rows(0.0), 1.0)
    assert low.item() == pytest.approx(math.exp(-1))


def test_gumbel_value_by_hand():
    assert gumbel_value_loss(rows(0.0), 0.5) == 0
    loss = gumbel_value_loss(rows(0.5, -0.5), 0.5)
    expected = (math.e - 2 + math.exp(-1)) / math.e / 2
    assert loss.item() == pytest.approx(expected)
    capped = gumbel_value_loss(rows(9.0), 1.0)
    assert capped.item() == pytest.approx(1 - 8 * math.exp(-7))


@pytest.mark.parametrize(
    "name, settings, expected",
    [
        ("iql", {}, [math.exp(-3), math.exp(0.3), 100]),
        ("sql", {}, [0, 0.2, 100]),
        ("sql", {"paper_weights": True, "alpha": 2.0}, [0.5, 1.05, 51]),
        ("eql", {}, [math.exp(-40), math.exp(4), 100]),
        ("eql", {"paper_weights": True}, [math.exp(-4), math.exp(0.4), 100]),
        ("xql", {}, [math.exp(-20), math.exp(2), 100]),
    ],
)
def test_weights_by_hand(name, settings, expected):
    config = make_config(find_agent(name), **settings)
    found = config.weigh(rows(-2.0, 0.2, 200.0)).ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


# Plain loops


def loop_backup(score, reward, following, gamma, delta):
    totals = []
    for n in range(len(score)):
        total = 0.0
        for k in range(score.shape[1]):
            for b in range(score.shape[2]):
                u = reward[n, b] + gamma * following[n, b] - score[n, k, b]
                if abs(u) <= delta:
                    total += u**2 / score.shape[2]
                else:
                    total += delta * (2 * abs(u) - delta) / score.shape[2]
        totals.append(total)
    return totals


def loop_value(kind, target, value, scale, cap):
    totals = []
    for q_row, v_row in zip(target, value):
        z = [min((q - v) / scale, cap) for q, v in zip(q_row, v_row)]
        factor = math.exp(-max(-1.0, *z)) / len(z)
        total = 0.0
        for q, v, e in zip(q_row, v_row, z):
            if kind == "sql":
                weight = max(0.0, 1 + (q - v) / (2 * scale))
                total += (weight**2 + v / scale) / len(z)
            elif kind == "eql":
                total += factor * (math.exp(e) + v / scale)
            else:
                total += factor * (math.exp(e) - e - 1)
        totals.append(total)
    return totals


VALUE_LOSSES = {
    "sql": lambda q, v, a, cap: sparse_value_loss(q, v, a),
    "eql": exponential_value_loss,
    "xql": lambda q, v, a, cap: gumbel_value_loss(q - v, a, cap),
}


def pair(seed, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    shape = 2, 3, 7
    return spread * torch.randn(
        *shape, dtype=torch.float64, generator=generator
    )


@pytest.mark.parametrize("delta", [math.inf, 1.5])
def test_backup_against_loops(delta):
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(3, 2, 7, dtype=torch.float64, generator=generator)
    reward, following = pair(1)
    found = backup_loss(score, reward, following, gamma=0.9, delta=delta)
    expected = loop_backup(
        score.numpy(), reward.numpy(), following.numpy(), 0.9, delta
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", VALUE_LOSSES)
@pytest.mark.parametrize("scale, cap", [(0.3, 5.0), (1.7, 0.5), (4.0, 7.0)])
def test_values_against_loops(kind, scale, cap):
    target, value = pair(2)
    found = VALUE_LOSSES[kind](target, value, scale, cap)
    expected = loop_value(kind, target.tolist(), value.tolist(), scale, cap)
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Gradients


@pytest.mark.parametrize("delta", [math.inf, 1.5])
def test_backup_gradient(delta):
    score = pair(3)[:, :2].clone().requires_grad_()
    reward, following = pair(4)[:, :2]

    def loss(score):
        return backup_loss(score, reward, following, gamma=0.9, delta=delta)

    assert torch.autograd.gradcheck(loss, score)


@pytest.mark.parametrize("kind", VALUE_LOSSES)
@pytest.mark.parametrize("cap", [0.5, math.inf])
def test_value_gradient(kind, cap, step=1e-6):
    """Exact up to the factor, through which no gradient runs."""
    target, value = pair(5)
    value.requires_grad_()
    VALUE_LOSSES[kind](target, value, 0.8, cap).sum().backward()
    z = ((target - value.detach()) / 0.8).clamp(max=cap)
    factor = (-z.amax(dim=1, keepdim=True).clamp(min=-1.0)).exp()
    if kind == "sql":
        factor = torch.ones_like(factor)

    def plain(v):
        v = v.detach()
        z = ((target - v) / 0.8).clamp(max=cap)
        if kind == "sql":
            weight = (1 + (target - v) / 1.6).clamp(min=0)
            return weight**2 + v / 0.8
        return z.exp() + v / 0.8 if kind == "eql" else z.exp() - z - 1

    slope = (plain(value + step) - plain(value - step)) / (2 * step)
    expected = factor * slope / value.shape[1]
    torch.testing.assert_close(value.grad, expected, atol=1e-7, rtol=1e-6)


def test_value_gradient_where_the_factor_rests():
    target, value = pair(6)
    value = (value.abs() + target + 5.0).requires_grad_()
    for kind, loss in VALUE_LOSSES.items():
        assert torch.autograd.gradcheck(
            lambda v, loss=loss: loss(target, v, 1.0, 5.0), value
        ), kind


# Bad input


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda x: sparse_reward(x[0]), "reached must be"),
        (lambda x: backup_loss(x, x, x, gamma=0.9), "score must be"),
        (lambda x: sparse_value_loss(x, x[:, :2], 1.0), "value has shape"),
        (lambda x: sparse_value_loss(x, x, 0.0), "alpha must be positive"),
        (lambda x: exponential_value_loss(x, x, 1.0, 0.0), "cap must be"),
        (lambda x: exponential_value_loss(x, x, math.nan), "alpha must be"),
        (lambda x: gumbel_value_loss(x[0], 1.0), "diff must be"),
        (lambda x: gumbel_value_loss(x, math.inf), "scale must be"),
        (
            lambda x: backup_loss(x[:, None], x, x, gamma=1.5),
            "gamma must lie",
        ),
    ],
)
def test_bad_shapes_and_numbers_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call(rows(1.0, 2.0, 3.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, settings, reason",
    [
        ("iql", {"expectile": 1.0}, "expectile must lie in"),
        ("iql", {"temperature": -1.0}, "temperature must lie in"),
        ("iql", {"weight_clip": 0.0}, "weight_clip must lie in"),
        ("iql", {"gamma": 1.0}, "gamma must be"),
        ("sql", {"alpha": 0.0}, "alpha must lie in"),
        ("eql", {"cap": float("nan")}, "cap must lie in"),
        ("xql", {"scale": float("inf")}, "scale must lie in"),
        ("iql", {"huber": 1.0}, "no setting 'huber'"),
        ("iql", {"terminal": True}, "no setting 'terminal'"),
    ],
)
def test_bad_settings_are_one_line(name, settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(find_agent(name), **settings)
    assert "\n" not in str(caught.value)


def test_goal_transitions_are_not_read(variant):
    agent, config, state = start(variant, (0,))
    rho = draw((0,))
    one, _ = agent.losses(
        config, state.networks, state.targets, rho, rho, START
    )
    two, _ = agent.losses(
        config, state.networks, state.targets, rho, None, START
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


# The fixed point of a small world

GOAL, CELLS, GAMMA = 0, 5, 0.9
NEXT = np.array([[max(s - 1, 0), s, min(s + 1, 4)] for s in range(CELLS)])
SHARE = np.array([0.2, 0.3, 0.5])


def best_level(kind, q, scale):
    """Return V at one state by bisection of its stationarity condition."""

    def excess(v):
        if kind == "iql":
            lean = np.where(q > v, scale, 1 - scale)
            return (SHARE * lean * (q - v)).sum()
        if kind == "sql":
            return (SHARE * np.maximum(1 + (q - v) / (2 * scale), 0)).sum() - 1
        return (SHARE * np.exp((q - v) / scale)).sum() - 1

    low, high = q.min() - 1.0, q.max() + 1.0
    for _ in range(80):
        v = (low + high) / 2
        low, high = (v, high) if excess(v) > 0 else (low, v)
    return v


def solve(kind, scale):
    reward = (NEXT == GOAL) - 1.0
    V = np.zeros(CELLS)
    for _ in range(400):
        Q = reward + GAMMA * V[NEXT]
        V = np.array([best_level(kind, q, scale) for q in Q])
    return Q, V


@pytest.mark.parametrize(
    "kind, scale",
    [("iql", 0.8), ("sql", 0.1), ("sql", 1.0), ("eql", 0.5), ("xql", 0.6)],
)
def test_the_losses_meet_at_the_fixed_point(kind, scale):
    """At the solution every gradient is zero; nearby it is not."""
    Q, V = (torch.from_numpy(x) for x in solve(kind, scale))
    copies = (SHARE * 10).astype(int)
    s = np.repeat(np.arange(CELLS), 10)
    a = np.tile(np.repeat(np.arange(3), copies), CELLS)
    reward = sparse_reward(torch.from_numpy((NEXT[s, a] == GOAL) + 0.0)[None])

    def slopes(Q, V):
        Q, V = Q.clone().requires_grad_(), V.clone().requires_grad_()
        score, following = Q[s, a][None, None], V.detach()[NEXT[s, a]][None]
        loss = backup_loss(score, reward, following, gamma=GAMMA)
        target, value = Q.detach()[s, a][None], V[s][None]
        if kind == "iql":
            loss = loss + expectile_loss(target - value, scale)
        else:
            loss = loss + VALUE_LOSSES[kind](target, value, scale, math.inf)
        loss.sum().backward()
        return max(Q.grad.abs().max().item(), V.grad.abs().max().item())

    assert slopes(Q, V) < 1e-9
    assert slopes(Q, V + 0.1) > 1e-3
    assert V[GOAL] <= 0 and (V[1:] < V[:-1]).all()


def test_the_best_policy_has_the_value_of_its_distance():
    """As the expectile nears 1, V is -(1 - gamma^d) / (1 - gamma)."""
    _, V = solve("iql", 1 - 1e-9)
    steps = np.maximum(np.arange(CELLS) - 1, 0)
    exact = -(1 - GAMMA**steps) / (1 - GAMMA)
    np.testing.assert_allclose(V, exact, atol=1e-6)
