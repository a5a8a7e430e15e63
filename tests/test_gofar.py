"""GoFAR: losses by hand and in loops, the classifier, the dual it claims."""

import math

import cvxpy
import numpy as np
import pytest
import torch

from minimise import minimise
from samples import START, random_batch

from smore_lit.baselines.gofar import (
    GOFAR,
    Discriminator,
    GofarConfig,
    discriminator_loss,
    dual_value_loss,
    dual_weights,
    losses,
)
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.networks import initialise

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=6)
VARIANTS = {
    "released": {},
    "clipped": {"clipped": True},
    "residual": {"residual": True},
    "exact": {"clipped": True, "residual": True},
    "kl": {"divergence": "kl"},
    "kl-residual": {"divergence": "kl", "residual": True},
    "sparse": {"reward": "sparse"},
    "in-sample": {"update": "in-sample"},
    "in-sample-sparse": {"update": "in-sample", "reward": "sparse"},
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(*values):
    return torch.tensor([values], dtype=torch.float64)


def draw(seeds=(4, 7), size=6, scale=1.0, dtype=torch.float64, noise=1):
    return random_batch(
        SIZES, seeds, size, noise=noise, scale=scale, dtype=dtype
    )


def started(seeds=(4, 7), double=True, **settings):
    config = make_config(GOFAR, **{**SMALL, **settings})
    state = create_state(GOFAR, config, SIZES, seeds)
    if double:
        state.networks.double(), state.targets.double()
    with torch.no_grad():
        for index, target in enumerate(state.targets.parameters()):
            target.mul_(1.0 + 0.1 * (index % 3))  # apart from the network
    return config, state


# Hand-worked numbers


def test_classifier_by_hand():
    """Logits 0 and log 3 on goals, log 3 and 0 on data; slopes 5 and 0."""
    slope = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]], dtype=torch.float64)
    given = rows(0.0, math.log(3)), rows(math.log(3), 0.0)
    entropy = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 2
    for weight in (0.0, 0.01, 2.0):
        loss = discriminator_loss(*given, slope, weight)
        due = entropy + weight * (16 + 1) / 2
        assert loss.item() == pytest.approx(due, abs=1e-12)


def test_dual_by_hand():
    """Ratios 2, 0 and -2; the starts are worth 1 on average."""
    start, error = rows(0.0, 1.0, 2.0), rows(1.0, -1.0, -3.0)
    loss = dual_value_loss(start, error, gamma=0.75)
    assert loss.item() == 0.25 + (4 + 0 + 4) / 3
    loss = dual_value_loss(start, error, gamma=0.75, clipped=True)
    assert loss.item() == 0.25 + 4 / 3
    loss = dual_value_loss(start, error, gamma=0.75, divergence="kl")
    due = math.log((math.e + math.exp(-1) + math.exp(-3)) / 3)
    assert loss.item() == pytest.approx(0.25 + due, abs=1e-12)
    assert dual_weights(error).tolist() == [[2, 0, 0]]
    weights = dual_weights(rows(-1.0, 0.0, 5.0), "kl", 10.0)
    np.testing.assert_allclose(weights, [[math.exp(-1), 1, 10]])


def test_far_numbers_stay_finite():
    far = rows(1e6, -1e6)
    flat = torch.zeros(1, 2, 4, dtype=torch.float64, requires_grad=True)
    loss = discriminator_loss(-far, far, flat, 1.0)
    assert loss.item() == pytest.approx(1e6 + 1)
    loss.sum().backward()
    assert flat.grad.isfinite().all()
    kl = dual_value_loss(far, far, gamma=0.5, divergence="kl")
    assert kl.item() == pytest.approx(1e6 - math.log(2))
    assert dual_weights(far, "kl", 10.0).tolist() == [[pytest.approx(10), 0]]


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda: dual_value_loss(rows(1.0), rows(1, 2), gamma=0.9), "error"),
        (lambda: dual_value_loss(rows(1), rows(1), gamma=1.5), "gamma"),
        (
            lambda: dual_value_loss(
                rows(1), rows(1), gamma=0.9, divergence="js"
            ),
            "unknown divergence 'js'",
        ),
        (lambda: dual_weights(rows(1)[0]), "error must be"),
        (lambda: dual_weights(rows(1), "js"), "unknown divergence 'js'"),
        (lambda: dual_weights(rows(1), "kl", 0.0), "clip"),
        (
            lambda: discriminator_loss(rows(1), rows(1), rows(1), 0.1),
            r"slope must be \(1, 1, 'D'\)",
        ),
        (
            lambda: discriminator_loss(
                rows(1), rows(1), torch.zeros(1, 1, 2), -1.0
            ),
            "penalty_weight",
        ),
    ],
)
def test_wrong_arguments_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call()
    assert "\n" not in str(caught.value)


# Plain loops


def forward(network, seed, x, activation):
    """Run one seed's perceptron on a list of numbers, unit by unit."""
    layers = network.network.layers
    norms = network.network.norms
    for depth, layer in enumerate(layers):
        weight = layer.weight[seed].detach().numpy()
        bias = layer.bias[seed, 0].detach().numpy()
        out = []
        for j in range(len(bias)):
            total = bias[j]
            for i in range(len(x)):
                total += x[i] * weight[i, j]
            out.append(total)
        if depth < len(layers) - 1:
            if len(norms):
                mean = sum(out) / len(out)
                spread = sum((v - mean) ** 2 for v in out) / len(out)
                scale = norms[depth].scale[seed, 0].detach().numpy()
                shift = norms[depth].shift[seed, 0].detach().numpy()
                out = [
                    (v - mean) / math.sqrt(spread + 1e-6) * k + b
                    for v, k, b in zip(out, scale, shift, strict=True)
                ]
            out = [activation(v) for v in out]
        x = out
    return x


def relu(v):
    return max(v, 0.0)


def steepness(network, seed, x, step=1e-5):
    """Return the length of the gradient in x, by central differences."""
    square = 0.0
    for i in range(len(x)):
        ends = []
        for side in (step, -step):
            moved = [*x[:i], x[i] + side, *x[i + 1 :]]
            ends.append(forward(network, seed, moved, math.tanh)[0])
        square += ((ends[0] - ends[1]) / (2 * step)) ** 2
    return math.sqrt(square)


def loop_classifier(config, network, batch, seed):
    total, logits = 0.0, []
    size = batch.goals.shape[1]
    for b in range(size):
        goal = batch.goals[seed, b].tolist()
        here = batch.achieved[seed, b].tolist()
        u = batch.noise[seed, b, 0].item()
        between = [u * g + (1 - u) * x for g, x in zip(goal, here)]
        yes = forward(network, seed, goal + goal, math.tanh)[0]
        no = forward(network, seed, here + goal, math.tanh)[0]
        steep = steepness(network, seed, between + goal)
        total += math.log(1 + math.exp(-yes)) + math.log(1 + math.exp(no))
        total += config.penalty_weight * (steep - 1) ** 2
        logits.append(no)
    return total / size, logits


def loop_dual(config, networks, targets, batch, seed, reward):
    size, policy = batch.goals.shape[1], networks["policy"]
    starts, errors, misses = [], [], []
    for b in range(size):
        goal = batch.goals[seed, b].tolist()

        def value(network, states, goal=goal, b=b):
            x = states[seed, b].tolist() + goal
            return forward(network, seed, x, relu)[0]

        net = networks["score"]
        ahead = net if config.residual else targets["score"]
        error = reward[b] + config.gamma * value(ahead, batch[2])
        errors.append(error - value(net, batch.observations))
        starts.append(value(net, batch.first_observations))
        mean = forward(
            policy, seed, batch.observations[seed, b].tolist() + goal, relu
        )
        action = batch.actions[seed, b].tolist()
        misses.append(
            sum((a - math.tanh(m)) ** 2 for a, m in zip(action, mean))
            / len(action)
        )
    first = (1 - config.gamma) * sum(starts) / size
    if config.divergence == "kl":
        value = first + math.log(sum(map(math.exp, errors)) / size)
        weights = [min(math.exp(e), config.kl_clip) for e in errors]
    else:
        ratios = [e + 1 for e in errors]
        kept = [max(r, 0) if config.clipped else r for r in ratios]
        value = first + sum(r * r for r in kept) / size
        weights = [max(r, 0) for r in ratios]
    copied = sum(w * m for w, m in zip(weights, misses)) / size
    return {"loss_score": value, "loss_policy": copied}


@pytest.mark.parametrize(
    "name", [k for k in VARIANTS if not k.startswith("in-sample")]
)
def test_losses_against_loops(name):
    config, state = started(penalty_weight=0.7, **VARIANTS[name])
    networks, targets, rho = state.networks, state.targets, draw()
    found, info = losses(config, networks, targets, rho, rho, START)
    for seed in range(2):
        due, reward = {}, (rho.reached[seed] - 1).tolist()
        if config.reward == "discriminator":
            due["loss_discriminator"], reward = loop_classifier(
                config, networks["discriminator"], rho, seed
            )
        due |= loop_dual(config, networks, targets, rho, seed, reward)
        assert set(due) == set(found)
        for key, value in due.items():
            assert found[key][seed].item() == pytest.approx(value, abs=1e-6)


def test_the_hybrid_against_loops():
    """Q on the logit, V an expectile, the rest IQL's and tested there."""
    config, state = started(update="in-sample", expectile=0.7)
    networks, targets, rho = state.networks, state.targets, draw()
    found, _ = losses(config, networks, targets, rho, rho, START)
    for seed in range(2):
        due, reward = loop_classifier(
            config, networks["discriminator"], rho, seed
        )
        assert found["loss_discriminator"][seed].item() == pytest.approx(due)
        with torch.no_grad():
            given = rho.observations, rho.actions, rho.goals
            Q, slow = networks["score"](*given), targets["score"](*given)
            V = networks["value"](rho.observations, rho.goals)
            after = networks["value"](rho.next_observations, rho.goals)
        backup = lean = 0.0
        for b in range(6):
            told = reward[b] + config.gamma * after[seed, b].item()
            for k in range(2):
                backup += (told - Q[seed, k, b].item()) ** 2 / 6
            u = slow[seed, :, b].min().item() - V[seed, b].item()
            lean += (0.7 if u > 0 else 0.3) * u * u / 6
        assert found["loss_score"][seed].item() == pytest.approx(backup)
        assert found["loss_value"][seed].item() == pytest.approx(lean)


# Gradients


def test_gradients_of_the_losses_by_finite_differences():
    torch.manual_seed(0)
    start, error = torch.randn(2, 2, 7, dtype=torch.float64)
    start.requires_grad_(), error.requires_grad_()
    for options in ({}, {"clipped": True}, {"divergence": "kl"}):
        assert torch.autograd.gradcheck(
            lambda *x, o=options: dual_value_loss(*x, gamma=0.9, **o),
            (start, error),
        )
    slope = torch.randn(2, 7, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *x: discriminator_loss(*x, 0.3), (start, error, slope)
    )


@pytest.mark.parametrize("name", ["released", "exact", "kl", "in-sample"])
def test_gradients_of_the_weights_by_finite_differences(name):
    """Detached parts are held where they were: they are no variables."""
    config, state = started(penalty_weight=0.5, **VARIANTS[name])
    networks, targets, rho = state.networks, state.targets, draw()
    found, _ = losses(config, networks, targets, rho, rho, START)
    step = 1e-6
    for key in ("loss_discriminator", "loss_score"):
        network = networks[key.removeprefix("loss_")]
        parts = list(network.parameters())
        slopes = torch.autograd.grad(
            found[key].sum(), parts, retain_graph=True, allow_unused=True
        )
        for part, slope in zip(parts, slopes, strict=True):
            place = part.data.view(-1)
            index = place.numel() // 2
            ends = []
            for side in (step, -step):
                place[index] += side
                again, _ = losses(config, networks, targets, rho, rho, START)
                place[index] -= side
                ends.append(again[key].sum().item())
            due = (ends[0] - ends[1]) / (2 * step)
            slope = 0.0 if slope is None else slope.reshape(-1)[index].item()
            assert slope == pytest.approx(due, rel=1e-4, abs=1e-6), key


# The classifier


def test_slope_is_the_gradient_of_the_logit():
    network = Discriminator(3, 2, (7, 5, 6))
    initialise(network, [0, 1, 2])
    network = network.double()
    pair = torch.randn(2, 3, 4, 2, dtype=torch.float64).requires_grad_()
    found = network.slope(*pair)
    assert found.shape == (3, 4, 4)
    (due,) = torch.autograd.grad(network(*pair).sum(), pair, create_graph=True)
    torch.testing.assert_close(found, torch.cat(due.unbind(), -1))
    weights = [*network.parameters()][:-1]
    one = torch.autograd.grad(found.pow(3).sum(), weights)
    two = torch.autograd.grad(due.pow(3).sum(), weights)
    torch.testing.assert_close(one, two)


def test_the_logit_at_its_best_is_the_log_ratio():
    rng = np.random.default_rng(0)
    yes, no = 1 + rng.multinomial(40, np.ones(5) / 5, size=2)
    at_goal, at_data = (
        torch.arange(5).repeat_interleave(torch.tensor(x)) for x in (yes, no)
    )
    flat = torch.zeros(1, 45, 1, dtype=torch.float64)

    def loss(logits):
        given = logits[at_goal][None], logits[at_data][None]
        return discriminator_loss(*given, flat, 0.0)

    found = minimise(loss, 5)
    np.testing.assert_allclose(found, np.log(yes / no), atol=1e-6)


def test_the_penalty_is_nought_for_a_distance():
    x, g = torch.randn(2, 1, 9, 3, dtype=torch.float64).requires_grad_()
    cone = -(x - g).norm(dim=-1) / 2**0.5
    slope = torch.cat(torch.autograd.grad(cone.sum(), (x, g)), -1)
    none = torch.zeros(1, 9, dtype=torch.float64)
    loss = discriminator_loss(none, none, slope, 1e6)
    assert loss.item() == pytest.approx(2 * math.log(2))


def test_the_penalty_is_taken_between_data_and_goal():
    """At noise 1 it is taken at the goal, at noise 0 at the data."""
    config, state = started(penalty_weight=1.0)
    network, rho = state.networks["discriminator"], draw()
    for noise, place in ((0.0, rho.achieved), (1.0, rho.goals)):
        there = rho._replace(noise=torch.full_like(rho.noise, noise))
        found, _ = losses(
            config, state.networks, state.targets, there, there, START
        )
        due = discriminator_loss(
            network(rho.goals, rho.goals),
            network(rho.achieved, rho.goals),
            network.slope(place, rho.goals),
            1.0,
        )
        torch.testing.assert_close(found["loss_discriminator"], due)


# The dual


STATES, ACTIONS, GAMMA = 4, 3, 0.8


def small_world(seed=0):
    """Return rewards, successors and counts of a world with one goal."""
    rng = np.random.default_rng(seed)
    after = rng.integers(STATES, size=(STATES, ACTIONS))
    counts = 1 + rng.multinomial(24, rng.dirichlet(np.ones(12)))
    return rng.normal(size=STATES), after, counts.reshape(STATES, ACTIONS)


def table_loss(V, world, slow=None, **options):
    reward, after, counts = world
    s, a = (
        x.repeat(counts.ravel())
        for x in np.indices(counts.shape).reshape(2, -1)
    )
    ahead = V if slow is None else slow
    error = torch.as_tensor(reward)[s] + GAMMA * ahead[after[s, a]] - V[s]
    start = V[np.arange(len(s)) % STATES]
    return dual_value_loss(start[None], error[None], gamma=GAMMA, **options)


def solve_dual(world, **options):
    """Return the best V of the table and the dual's value there."""
    V = minimise(lambda V: table_loss(V, world, **options), STATES)
    return V.numpy(), table_loss(V, world, **options).item()


def best_occupancy(world, divergence):
    """Solve the primal as a program of its own."""
    reward, after, counts = world
    rho = (counts / counts.sum()).ravel()
    enter = np.zeros((STATES, STATES * ACTIONS))
    leave = np.zeros_like(enter)
    for s in range(STATES):
        for a in range(ACTIONS):
            leave[s, s * ACTIONS + a] = 1
            enter[after[s, a], s * ACTIONS + a] = 1
    d = cvxpy.Variable(len(rho), nonneg=True)
    flow = leave @ d == (1 - GAMMA) / STATES + GAMMA * enter @ d
    if divergence == "kl":
        charge = cvxpy.sum(cvxpy.kl_div(d, rho))
    else:
        square = cvxpy.square(cvxpy.multiply(1 / rho, d) - 1)
        charge = 0.25 * (rho @ square) - 0.75
    earned = np.repeat(reward, ACTIONS) @ d
    program = cvxpy.Problem(cvxpy.Maximize(earned - charge), [flow])
    program.solve(solver="CLARABEL")
    return d.value.reshape(STATES, ACTIONS), program.value


@pytest.mark.parametrize("divergence", ["chi2", "kl"])
def test_the_weights_are_those_of_the_best_occupancy(divergence):
    options = dict(divergence=divergence, clipped=divergence == "chi2")
    for seed in range(3):
        world = small_world(seed)
        reward, after, counts = world
        V, dual = solve_dual(world, **options)
        d, primal = best_occupancy(world, divergence)
        assert dual == pytest.approx(primal, abs=1e-6)
        e = torch.as_tensor(reward[:, None] + GAMMA * V[after] - V[:, None])
        weights = dual_weights(e.reshape(1, -1), divergence, 1e6)
        found = counts / counts.sum() * weights.reshape(e.shape).numpy()
        np.testing.assert_allclose(found / found.sum(), d, atol=2e-4)
        if divergence == "chi2":
            assert found.sum() == pytest.approx(0.5, abs=1e-6)


def test_the_signed_square_lets_occupancies_be_negative():
    signed, clipped = (
        [solve_dual(small_world(seed), clipped=c)[1] for seed in range(6)]
        for c in (False, True)
    )
    gaps = np.subtract(signed, clipped)
    assert gaps.min() > -1e-9 and gaps.max() > 1e-3


def test_with_a_frozen_target_it_evaluates_the_data():
    for seed in range(3):
        world = small_world(seed)
        reward, after, counts = world
        mu = counts / counts.sum(axis=1, keepdims=True)
        rho = counts.sum(axis=1) / counts.sum()
        chain = np.zeros((STATES, STATES))
        for s in range(STATES):
            for a in range(ACTIONS):
                chain[s, after[s, a]] += mu[s, a]
        gain = reward + 1 - (1 - GAMMA) / STATES / (2 * rho)
        V = np.linalg.solve(np.eye(STATES) - GAMMA * chain, gain)
        V = torch.as_tensor(V).requires_grad_()
        table_loss(V, world, slow=V.detach()).sum().backward()
        assert V.grad.abs().max() < 1e-12
        moved = V.detach().clone().requires_grad_()
        table_loss(moved, world).sum().backward()
        assert moved.grad.abs().max() > 1e-3


def test_kl_with_a_frozen_target_falls_for_ever():
    world = small_world()
    V = torch.randn(STATES, dtype=torch.float64)
    still, raised = (
        table_loss(V + t, world, slow=V, divergence="kl") for t in (0, 7)
    )
    torch.testing.assert_close(raised, still - 7 * GAMMA)
    still, raised = (table_loss(V + t, world, divergence="kl") for t in (0, 7))
    torch.testing.assert_close(raised, still)


# The agent


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"divergence": "js"}, "unknown divergence 'js'; known: chi2, kl"),
        ({"reward": "dense"}, "unknown reward 'dense'"),
        ({"update": "both"}, "unknown update 'both'"),
        ({"penalty_weight": -0.1}, "penalty_weight must be finite"),
        ({"penalty_weight": math.nan}, "penalty_weight must be finite"),
        ({"kl_clip": 0.0}, "kl_clip must be positive"),
        ({"temperature": math.inf}, "temperature must be positive"),
        ({"weight_clip": -1.0}, "weight_clip must be positive"),
        ({"expectile": 1.0}, r"expectile must lie in \(0, 1\)"),
        ({"divergence": "kl", "clipped": True}, "clipped is for chi2"),
        ({"update": "in-sample", "divergence": "kl"}, "has no divergence"),
        ({"update": "in-sample", "clipped": True}, "has no clipped"),
        ({"update": "in-sample", "residual": True}, "has no residual"),
        ({"hindsight": 1.5}, "hindsight must be in"),
        ({"clipped": 1}, "clipped must be bool"),
    ],
)
def test_bad_settings_are_one_line(settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(GOFAR, **settings)
    assert "\n" not in str(caught.value)


def test_defaults_and_the_published_settings():
    assert find_agent("gofar").config is GofarConfig
    config = make_config(GOFAR)
    assert (config.hindsight, config.penalty_weight) == (0.0, 0.01)
    assert (config.gamma, config.hidden) == (0.99, (256, 256))
    code = make_config(GOFAR, "released")
    assert (code.gamma, code.hidden) == (0.98, (256, 256, 256))
    assert (code.initialiser, code.ahead) == ("xavier", 0.0)
    assert code.polyak == pytest.approx(0.05 / 20) and not code.cosine
    state = create_state(GOFAR, code, SIZES, [0])
    assert len(state.networks["discriminator"].network.layers) == 4


@pytest.mark.parametrize("name", VARIANTS)
def test_networks_losses_and_chance_of_each_variant(name):
    config, state = started(double=False, **VARIANTS[name])
    due = {"score", "policy"}
    due |= {"value"} if config.update == "in-sample" else set()
    due |= {"discriminator"} if config.reward == "discriminator" else set()
    assert set(state.networks) == due | {"scaler"}
    noise = config.draws(SIZES)
    assert noise == int(config.reward == "discriminator")
    for size, scale in ((1, 1.0), (6, 1e6)):
        rho = draw(size=size, scale=scale, dtype=torch.float32, noise=noise)
        measured = update(GOFAR, config, state, rho, rho, 10)
        for key, value in measured.items():
            assert value.shape == (2,) and value.isfinite().all(), key
        assert {k for k in measured if "loss" in k} == {
            f"loss_{k}" for k in due
        }
    for parameter in state.networks.parameters():
        assert parameter.isfinite().all()


@pytest.mark.parametrize("name", VARIANTS)
def test_each_loss_moves_its_own_network(name):
    config, state = started(**VARIANTS[name])
    named = dict(state.networks.named_parameters())
    found, _ = losses(
        config, state.networks, state.targets, draw(), draw(), START
    )
    for key, loss in found.items():
        slopes = torch.autograd.grad(
            loss[1], named.values(), retain_graph=True, allow_unused=True
        )
        moved = set()
        for place, slope in zip(named, slopes, strict=True):
            if slope is not None and slope.any():
                assert not slope[0].any(), (key, place)
                moved.add(place.split(".")[0])
        assert moved == {key.removeprefix("loss_")}


@pytest.mark.parametrize("name", ["released", "in-sample"])
def test_the_batch_of_q_is_not_looked_at(name):
    config, state = started(**VARIANTS[name])
    rho = draw()
    nowhere = type(rho)(*(torch.full_like(x, torch.nan) for x in rho))
    given = config, state.networks, state.targets, rho
    one, two = (losses(*given, q, START)[0] for q in (rho, nowhere))
    for key in one:
        assert torch.equal(one[key], two[key])


def test_losses_and_gradients_are_the_same_when_traced():
    """The tracer of torch.compile, without a C++ compiler."""
    config, state = started(double=False)
    rho = draw(dtype=torch.float32)
    given = config, state.networks, state.targets, rho, rho, START
    traced = torch.compile(losses, dynamic=False, backend="aot_eager")
    parts = list(state.networks.parameters())
    both = []
    for function in (losses, traced):
        total = sum(x.sum() for x in function(*given)[0].values())
        both.append(torch.autograd.grad(total, parts, allow_unused=True))
    for one, two in zip(*both, strict=True):
        if one is not None:
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
