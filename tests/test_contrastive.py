"""Contrastive RL: losses by hand and by loops, limits, and settings."""

import itertools
import math

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.baselines.contrastive import (
    CRL,
    RELEASED,
    ContrastiveConfig,
    ContrastiveCritic,
    contrastive_loss,
    contrastive_policy_loss,
    exchange_goals,
    losses,
    watch_logits,
)
from smore_lit.baselines.supervised import GCSL
from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
)
from smore_lit.learning.networks import GaussianPolicy, initialise
from smore_lit.learning.training import choose_sampler
from smore_lit.learning.trajectories import as_trajectories

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=16, representation=4)
F64 = torch.float64


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def draw(size=6, seed=0, seeds=2):
    rows = [100 * seed + index for index in range(seeds)]
    return random_batch(SIZES, rows, size, dtype=F64)


def started(**settings):
    config = make_config(CRL, **{**SMALL, **settings})
    state = create_state(CRL, config, SIZES, (4, 7))
    return config, state.networks.double()


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def loss_by_hand(logits):
    """Add up the binary cross-entropies of one seed, (K, B, B)."""
    total = 0.0
    for matrix in logits:
        size = len(matrix)
        for i, j in itertools.product(range(size), range(size)):
            x = matrix[i][j]
            total += softplus(-x if i == j else x) / size**2
    return total


def run_mlp(mlp, lead, x):
    layers = [
        [part.detach()[lead].numpy() for part in (layer.weight, layer.bias)]
        for layer in mlp.layers
    ]
    for depth, (weight, bias) in enumerate(layers):
        x = np.array(x) @ weight + bias[0]
        x = x if depth == len(layers) - 1 else np.maximum(x, 0)
    return x


def critic_by_hand(critic, seed, k, state, action, goal):
    pair = run_mlp(critic.pairs, (seed, k), np.concatenate([state, action]))
    return float(pair @ run_mlp(critic.goals, (seed, k), goal))


def test_two_rows_by_hand():
    three = math.log(3.0)
    logits = torch.tensor([[[[three, -three], [0.0, 0.0]]]])
    due = (2 * math.log(4 / 3) + 2 * math.log(2)) / 4
    assert contrastive_loss(logits).item() == pytest.approx(due, rel=1e-6)
    twins = logits.expand(1, 2, 2, 2)
    assert contrastive_loss(twins).item() == pytest.approx(2 * due, rel=1e-6)


def test_one_row_has_no_negatives():
    logits = torch.tensor([[[[2.0]]]], dtype=F64)
    assert contrastive_loss(logits).item() == pytest.approx(softplus(-2.0))
    watched = watch_logits(logits)
    assert watched["logit_own"].item() == 2.0
    assert watched["logit_other"].item() == 0.0
    assert watched["accuracy"].item() == 1.0


@pytest.mark.parametrize("scale", [1.0, 50.0, 1e6])
def test_loss_against_loops(scale):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(3, 2, 5, 5, generator=generator, dtype=F64)
    due = [loss_by_hand(part) for part in logits.tolist()]
    np.testing.assert_allclose(contrastive_loss(logits), due, rtol=1e-9)
    assert contrastive_loss(logits.float()).isfinite().all()


def test_policy_loss_by_hand():
    log_prob = torch.tensor([[-1.0, -3.0]])
    score = torch.tensor([[2.0, 6.0]])
    found = contrastive_policy_loss(log_prob, score, 0.25)
    assert found.item() == pytest.approx(0.25 * 2.0 - 0.75 * 4.0)
    assert contrastive_policy_loss(log_prob, score, 1.0).item() == 2.0
    assert contrastive_policy_loss(log_prob, score, 0.0).item() == -4.0


def test_gradients_of_the_pure_losses():
    generator = torch.Generator().manual_seed(1)
    options = dict(generator=generator, dtype=F64, requires_grad=True)
    logits = torch.randn(2, 2, 4, 4, **options)
    assert torch.autograd.gradcheck(contrastive_loss, (logits,))
    pair = torch.randn(2, 4, **options), torch.randn(2, 4, **options)
    assert torch.autograd.gradcheck(
        lambda a, b: contrastive_policy_loss(a, b, 0.05), pair
    )


def test_watched_logits_by_hand():
    logits = torch.tensor([[[[3.0, 1.0], [5.0, 2.0]], [[1.0, 2.0], [0, 4.0]]]])
    watched = {k: v.item() for k, v in watch_logits(logits).items()}
    assert watched["logit_own"] == pytest.approx((3 + 2 + 1 + 4) / 4)
    assert watched["logit_other"] == pytest.approx((1 + 5 + 2 + 0) / 4)
    assert watched["accuracy"] == pytest.approx(2 / 4)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_agent_losses_against_loops(share):
    config, networks = started(bc=0.3, random_goals=share)
    rho, q = draw(seed=0), draw(seed=1)
    found, info = losses(config, networks, {}, rho, q, START)
    critic, policy = networks["critic"], networks["policy"]
    size = rho.goals.shape[1]
    for seed in range(2):
        s, a, g = (
            part[seed].numpy()
            for part in (rho.observations, rho.actions, rho.goals)
        )
        logits = [
            [
                [
                    critic_by_hand(critic, seed, k, s[i], a[i], g[j])
                    for j in range(size)
                ]
                for i in range(size)
            ]
            for k in range(2)
        ]
        due = loss_by_hand(logits)
        assert found["loss_critic"][seed].item() == pytest.approx(due, 1e-9)
        spread = np.exp(policy.log_std.detach()[seed, 0].numpy())
        total, climbed = 0.0, 0.0
        for i in range(size):
            goal = g[i - 1] if i < round(share * size) else g[i]
            x = np.concatenate([s[i], goal])
            mean = np.tanh(run_mlp(policy.network, (seed,), x))
            z = (a[i] - mean) / spread
            density = -0.5 * z**2 - np.log(spread * np.sqrt(2 * np.pi))
            score = min(
                critic_by_hand(critic, seed, k, s[i], mean, goal)
                for k in range(2)
            )
            climbed += score / size
            total -= (0.3 * density.sum() + 0.7 * score) / size
        assert found["loss_policy"][seed].item() == pytest.approx(total, 1e-9)
        assert info["score"][seed].item() == pytest.approx(climbed, 1e-9)


@pytest.mark.parametrize("name", ["critic", "policy"])
def test_gradients_by_finite_differences(name):
    config, networks = started(bc=0.3, random_goals=0.5)
    rho, q = draw(seed=0), draw(seed=1)

    def value():
        return losses(config, networks, {}, rho, q, START)[0][
            f"loss_{name}"
        ].sum()

    parameters = list(networks[name].parameters())
    slopes = torch.autograd.grad(value(), parameters)
    rng, step = np.random.default_rng(0), 1e-6
    for parameter, slope in zip(parameters, slopes, strict=True):
        flat = parameter.data.view(-1)
        for k in rng.choice(len(flat), min(4, len(flat)), replace=False):
            around = []
            for sign in (1, -1):
                flat[k] += sign * step
                around.append(value().item())
                flat[k] -= sign * step
            due = (around[0] - around[1]) / (2 * step)
            found = slope.reshape(-1)[k].item()
            assert found == pytest.approx(due, rel=1e-5, abs=1e-7)


def test_the_policy_goes_up_the_critic_it_believes():
    config, networks = started(bc=0.0)
    rho = draw()
    found, _ = losses(config, networks, {}, rho, rho, START)
    slopes = torch.autograd.grad(
        found["loss_policy"].sum(), networks["policy"].network.parameters()
    )
    means = networks["policy"](rho.observations, rho.goals)
    actions = means.detach().requires_grad_()
    score = networks["critic"](rho.observations, actions, rho.goals)
    (up,) = torch.autograd.grad(score.amin(dim=1).sum(), actions)
    due = torch.autograd.grad(
        means,
        networks["policy"].network.parameters(),
        -up / means.shape[1],
    )
    for a, b in zip(slopes, due, strict=True):
        torch.testing.assert_close(a, b)


def test_rows_of_the_critic_are_its_diagonal():
    critic = ContrastiveCritic(3, 2, SIZES, (8,), 4)
    initialise(critic, range(3))
    batch = random_batch(SIZES, range(3), 6)
    given = batch.observations, batch.actions, batch.goals
    pairs, goals = critic.encode(*given)
    assert pairs.shape == goals.shape == (3, 2, 6, 4)
    matrix = pairs @ goals.mT
    torch.testing.assert_close(critic(*given), matrix.diagonal(dim1=2, dim2=3))
    ranks = torch.linalg.matrix_rank(matrix.double(), rtol=1e-5)
    assert (ranks <= 4).all()


def log_ratio(joint):
    return np.log(joint / (joint.sum(1, keepdims=True) * joint.sum(0)))


@pytest.mark.parametrize("batch", [2, 3])
def test_every_batch_counted_the_optimum_is_the_log_ratio(batch):
    """The gradient of the expected loss vanishes at f*, not beside it."""
    joint = np.random.default_rng(0).dirichlet(np.ones(6)).reshape(2, 3)
    rows = np.array(list(itertools.product(range(6), repeat=batch)))
    chance = torch.from_numpy(joint.ravel()[rows].prod(1))
    pair, goal = rows // 3, rows % 3

    def slope(shift):
        table = torch.from_numpy(log_ratio(joint) - shift).requires_grad_()
        logits = table[pair[:, :, None], goal[:, None, :]][:, None]
        loss = (chance * contrastive_loss(logits)).sum()
        return torch.autograd.grad(loss, table)[0].abs().max().item()

    assert slope(math.log(batch - 1)) < 1e-12
    assert slope(math.log(batch)) > 1e-3


def test_a_large_sample_agrees():
    """Rows drawn by chance push f* nowhere, up to their noise."""
    rng = np.random.default_rng(3)
    joint = rng.dirichlet(np.ones(12)).reshape(4, 3)
    table = torch.from_numpy(log_ratio(joint) - math.log(15))
    table.requires_grad_()
    rows = rng.choice(12, size=(20_000, 16), p=joint.ravel())
    logits = table[rows[:, :, None] // 3, rows[:, None, :] % 3][:, None]
    loss = contrastive_loss(logits).mean()
    (slope,) = torch.autograd.grad(loss, table)
    assert slope.abs().max() < 2e-4


def test_copying_lets_go_above_its_slope():
    """At c = 1/2 and variance 1/3 the largest slope held is 0.87."""
    policy = GaussianPolicy(2, 1, 1, (1,))
    rise = torch.tensor([[0.5], [1.2]])
    actions = torch.tensor([[1.0], [-1.0]]).expand(2, 2, 1) / 3**0.5
    push = torch.zeros(2, 1, 1, requires_grad=True)
    optimiser = torch.optim.Adam([push, policy.log_std], 0.03)
    for _ in range(800):
        means = push.tanh().expand(-1, 2, 1)
        log_prob = policy.log_prob(means, actions)
        loss = contrastive_policy_loss(log_prob, rise * means[..., 0], 0.5)
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    held, gone = push.tanh().flatten().tolist()
    due = (1 - math.sqrt(1 - 4 * 0.5**2 / 3)) / (2 * 0.5)
    assert held == pytest.approx(due, abs=1e-3)
    assert gone > 0.95


def test_exchanged_goals():
    goals = torch.arange(4.0).view(1, 4, 1)
    rows = {0.0: [0, 1, 2, 3], 0.5: [3, 0, 2, 3], 1.0: [3, 0, 1, 2]}
    for share, due in rows.items():
        assert exchange_goals(goals, share).flatten().tolist() == due
    assert exchange_goals(goals[:, :1], 1.0).flatten().tolist() == [0]


def test_copying_alone_is_gcsl():
    config, networks = started(bc=1.0)
    rho = draw()
    found, _ = losses(config, networks, {}, rho, rho, START)
    due, _ = GCSL.losses(GCSL.config(), networks, {}, rho, rho, START)
    torch.testing.assert_close(found["loss_policy"], due["loss_policy"])


def test_what_is_not_looked_at():
    """Not q, the next state, hits, steps, phi(s), nor s_0."""
    config, networks = started()
    rho = draw()
    blank = rho._replace(
        **{
            name: torch.full_like(getattr(rho, name), torch.nan)
            for name in rho._fields
            if name not in ("observations", "actions", "goals")
        }
    )
    nowhere = type(rho)(*(torch.full_like(x, torch.nan) for x in rho))
    one, _ = losses(config, networks, {}, rho, rho, START)
    other, _ = losses(config, networks, {}, blank, nowhere, START)
    for name, value in one.items():
        assert torch.equal(value, other[name])


def test_defaults_and_the_published_settings():
    config = ContrastiveConfig()
    assert (config.hindsight, config.future, config.bc) == (1.0, 0.99, 0.05)
    assert (config.critics, config.representation) == (2, 64)
    assert config.random_goals == 0.0 and config.hidden == (256, 256)
    released = make_config(CRL, "released")
    for name, value in RELEASED.items():
        assert getattr(released, name) == value
    small = make_config(CRL, "released", hidden=(8,))
    state = create_state(CRL, small, SIZES, (0,))
    assert set(state.networks) == {"critic", "policy", "scaler"}
    assert not state.targets
    assert find_agent("crl").presets == {"released": RELEASED}


def test_released_settings_are_the_offline_ones_of_the_authors():
    """google-research, contrastive_rl/lp_contrastive.py, lines 146 to 160."""
    config = make_config(CRL, "released")
    assert (config.representation, config.hidden) == (16, (1024, 1024))
    assert (config.batch_size, config.critics) == (1024, 2)
    assert (config.bc, config.random_goals) == (0.05, 0.0)
    assert (config.learning_rate, config.future) == (3e-4, 0.99)
    assert not config.cosine and not config.standardise
    state = create_state(CRL, config, SIZES, (0,))
    sizes = {x.shape for x in state.networks["critic"].parameters()}
    assert (1, 2, 1024, 16) in sizes and (1, 2, 1024, 1024) in sizes


def test_goals_are_drawn_by_the_discount():
    data = as_trajectories(**tiny_dataset("FetchReach"))
    sampler = choose_sampler(data, ContrastiveConfig(future=0.5), None)
    rho, _ = sampler(torch.rand(1, 4000, 4, dtype=F64))
    assert sampler.discount == 0.5 and sampler.hindsight == 1.0
    assert 1.8 < rho.steps.mean() < 2.2


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"bc": 1.5}, "bc must lie between 0 and 1, got 1.5"),
        ({"bc": float("nan")}, "bc"),
        ({"random_goals": -0.1}, "random_goals must lie between 0 and 1"),
        ({"representation": 0}, "representation must be 1 or more, got 0"),
        ({"critics": 0}, "critics must be 1 or more, got 0"),
        ({"future": 0.0}, "future"),
        ({"expectile": 0.8}, "no setting 'expectile'"),
    ],
)
def test_bad_settings_are_one_line(settings, word):
    with pytest.raises(ValueError, match=word) as caught:
        make_config(CRL, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "shape", [(2, 3, 3), (1, 1, 3, 4), (0, 2, 3, 3), (1, 1, 0, 0)]
)
def test_bad_logits_are_refused(shape):
    with pytest.raises(ValueError, match="logits must be .seeds, critics"):
        contrastive_loss(torch.zeros(shape))


def test_bad_policy_terms_are_refused():
    flat = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="score has shape"):
        contrastive_policy_loss(flat, torch.zeros(2, 4), 0.05)
    with pytest.raises(ValueError, match="log_prob must be"):
        contrastive_policy_loss(torch.zeros(2), flat, 0.05)
    with pytest.raises(ValueError, match="bc must lie between"):
        contrastive_policy_loss(flat, flat, 2.0)
