"""SMORe with parts out and in two parts: losses by hand, loops and tables."""

import math

import numpy as np
import pytest
import torch

from minimise import minimise
from samples import START, random_batch

from smore_lit.learning.ablations import (
    ABLATED,
    DISCRIMINATOR,
    AblationConfig,
    DiscriminatorConfig,
    ascent_loss,
    classifier_reward,
    climb_score,
    discriminator_loss,
    drop_contrast,
    follow_policy,
    mixture_backup_loss,
)
from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.objectives import in_sample_score_loss
from smore_lit.learning.smore import SMORE, score_loss, starting_level
from smore_lit.learning.trajectories import (
    Sampler,
    as_trajectories,
    find_hits,
)

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def started(agent, seeds=(4, 7), preset="shared", dtype=None, **settings):
    config = make_config(agent, preset, **SMALL, **settings)
    state = create_state(agent, config, SIZES, seeds)
    for part in (state.networks, state.targets) if dtype else ():
        part.to(dtype)
    return config, state


def draw(seeds=(0, 1), size=6, dtype=torch.float64):
    starts = (0, 100)
    return [
        random_batch(SIZES, [s + seed for seed in seeds], size, dtype=dtype)
        for s in starts
    ]


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def shake(state, by=0.1):
    """Move the targets away from the networks they copy."""
    for index, part in enumerate(state.targets.parameters()):
        part += by * randn(*part.shape, seed=index).to(part.dtype)


# Hand-worked numbers


def test_ascent_by_hand():
    score = torch.tensor([[[1.0, 5.0], [3.0, 2.0]], [[4.0, 0.0], [5.0, -6.0]]])
    assert ascent_loss(score).tolist() == [-1.5, 1.0]


def test_mixture_backup_by_hand():
    """Errors 1 + 1 - 3 on q and 0 + 2 - 1 on rho, at a share of a quarter."""
    one = torch.ones(1, 1, 1)
    scores, after = (3 * one, one), (2 * one[0], 4 * one[0])
    rewards = one[0], 0 * one[0]
    found = mixture_backup_loss(
        scores, rewards, after, beta=0.25, gamma=0.5, coefficient=2.0
    )
    assert found.tolist() == [2 * (0.25 * 1 + 0.75 * 1)]
    rewards = one[0], one[0]
    found = mixture_backup_loss(
        scores, rewards, after, beta=0.25, gamma=0.5, coefficient=2.0
    )
    assert found.tolist() == [2 * (0.25 * 1 + 0.75 * 4)]


def test_discriminator_by_hand():
    """Undecided costs log 2; odds of three to one cost log 4/3 and log 4."""
    zero = torch.zeros(2, 1, 3)
    found = discriminator_loss(zero, zero)
    assert found.tolist() == pytest.approx([math.log(2)] * 2)
    odds = torch.full((1, 1, 2), math.log(3.0))
    found = discriminator_loss(odds, odds)
    expected = (math.log(4 / 3) + math.log(4)) / 2
    assert found.tolist() == pytest.approx([expected])


def test_rewards_by_hand():
    logit = torch.tensor([[math.log(3.0), 0.0, -math.inf]])
    found = classifier_reward(logit)
    assert found.tolist()[0] == pytest.approx([0.75, 0.5, 0.0])
    found = classifier_reward(logit, "probability", 0.25)
    assert found.tolist()[0] == pytest.approx([1.5, 1.0, 0.0])
    assert torch.equal(classifier_reward(logit, "logit", 0.25), logit)


# Plain loops


def test_losses_against_loops():
    scores, rewards = randn(2, 3, 2, 7), randn(2, 3, 7, seed=1)
    after = randn(2, 3, 7, seed=2)
    beta, gamma, c = 0.3, 0.9, 0.4
    backup = mixture_backup_loss(
        scores, rewards, after, beta=beta, gamma=gamma, coefficient=c
    )
    cross, climbed = discriminator_loss(*scores), ascent_loss(scores[0])
    for n in range(3):
        square = entropy = best = 0.0
        for b in range(7):
            best -= min(scores[0, n, k, b].item() for k in range(2)) / 7
            for k in range(2):
                for part, share in ((0, beta), (1, 1 - beta)):
                    s = scores[part, n, k, b].item()
                    target = rewards[part, n, b] + gamma * after[part, n, b]
                    square += c * share * (target.item() - s) ** 2 / 7
                    d = 1 / (1 + math.exp(-s))
                    entropy -= 0.5 * math.log(1 - d if part else d) / 7
        assert backup[n].item() == pytest.approx(square, abs=1e-9)
        assert cross[n].item() == pytest.approx(entropy, abs=1e-9)
        assert climbed[n].item() == pytest.approx(best, abs=1e-9)


def test_gradients():
    scores = randn(2, 2, 2, 5, seed=3).requires_grad_()
    rewards, after = randn(2, 2, 5, seed=4), randn(2, 2, 5, seed=5)
    mixed = dict(beta=0.3, gamma=0.9, coefficient=0.4)
    check = torch.autograd.gradcheck
    assert check(
        lambda s: mixture_backup_loss(s, rewards, after, **mixed), scores
    )
    assert check(lambda s: discriminator_loss(s[0], s[1]), scores)
    assert check(ascent_loss, scores.detach()[0].requires_grad_())


def test_cross_entropy_is_stable():
    """A sure discriminator has finite loss and gradient, right or wrong."""
    logit = torch.tensor([[[-1e6, 1e6]]], requires_grad=True)
    discriminator_loss(logit, logit).sum().backward()
    assert logit.grad.tolist() == [[[-0.25, 0.25]]]
    for sign, expected in ((1, 0.0), (-1, 1e6)):
        sure = sign * torch.full((1, 1, 2), 1e6)
        assert discriminator_loss(sure, -sure).item() == expected


# The agent whose parts are out


def test_with_nothing_out_it_is_smore():
    parts = []
    for agent in (SMORE, ABLATED):
        config, state = started(agent)
        for moment in range(3):
            rho, q = draw((2 * moment, 2 * moment + 1), dtype=torch.float32)
            update(agent, config, state, rho, q, 3)
        parts.append([*state.networks.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*parts, strict=True))


@pytest.mark.parametrize(
    "settings, changed",
    [
        ({"extraction": "ascent"}, {"loss_policy"}),
        ({"maximum": "policy"}, {"loss_value"}),
        ({"contrast": False}, {"loss_score"}),
        (
            {"extraction": "ascent", "maximum": "policy", "contrast": False},
            {"loss_policy", "loss_value", "loss_score"},
        ),
    ],
)
@pytest.mark.parametrize("shared", [{}, {"beta": 0.9, "coefficient": 2.0}])
def test_an_option_changes_its_own_loss(settings, changed, shared):
    config, state = started(ABLATED, dtype=torch.float64, **settings, **shared)
    plain = make_config(SMORE, **SMALL, **shared)
    given = state.networks, state.targets, *draw(), START
    one, info = SMORE.losses(plain, *given)
    two, watched = ABLATED.losses(config, *given)
    assert {k for k in one if not torch.equal(one[k], two[k])} == changed
    assert info.keys() == watched.keys() and one.keys() == two.keys()


def test_ascent_follows_the_slope_of_the_smaller_critic():
    """The policy's gradient is the action's, by differences, through it."""
    config, state = started(ABLATED, dtype=torch.float64, extraction="ascent")
    rho, _ = draw()
    networks = state.networks
    loss = climb_score(networks, rho)

    def smaller(actions):
        with torch.no_grad():
            given = rho.observations, actions, rho.goals
            return networks["score"](*given).amin(dim=1)

    actions = networks["policy"](rho.observations, rho.goals)
    expected = -smaller(actions).mean(dim=1)
    torch.testing.assert_close(loss, expected)
    slope, step = torch.zeros_like(actions), 1e-6
    for i in range(SIZES.action):
        by = step * torch.eye(SIZES.action, dtype=torch.float64)[i]
        high, low = smaller(actions + by), smaller(actions - by)
        slope[..., i] = (high - low) / (2 * step) / actions.shape[1]
    weights = list(networks["policy"].network.parameters())
    found = torch.autograd.grad(loss.sum(), weights, retain_graph=True)
    due = torch.autograd.grad(actions, weights, -slope)
    for one, two in zip(found, due, strict=True):
        torch.testing.assert_close(one, two, atol=1e-8, rtol=1e-5)
    held = torch.autograd.grad(
        loss.sum(), list(networks["score"].parameters()), allow_unused=True
    )
    assert all(gradient is None for gradient in held)


def test_maximum_is_the_slow_score_of_the_policy():
    config, state = started(ABLATED, dtype=torch.float64, maximum="policy")
    shake(state)
    rho, _ = draw()
    networks, targets = state.networks, state.targets
    actions = networks["policy"](rho.observations, rho.goals)
    given = rho.observations, actions, rho.goals
    slow, fast = targets["score"](*given), networks["score"](*given)
    assert not torch.allclose(slow, fast)
    value = networks["value"](rho.observations, rho.goals)
    due = (torch.minimum(slow[:, 0], slow[:, 1]) - value).square() / 2
    torch.testing.assert_close(
        follow_policy(networks, targets, rho), due.mean(dim=1)
    )


def test_without_contrast_the_third_term_is_gone():
    settings = dict(contrast=False, beta=0.3, coefficient=0.7)
    config, state = started(ABLATED, dtype=torch.float64, **settings)
    rho, q = draw()
    whole, _ = score_loss(config, state.networks, rho, q)
    score_q = state.networks["score"](q.observations, q.actions, q.goals)
    third = -0.3 * score_q.mean(dim=-1).sum(dim=-1)
    found = drop_contrast(config, state.networks, rho, q)
    torch.testing.assert_close(found, whole - third)


def test_without_contrast_everything_fades():
    """Descent on the losses brings scores and advantages to zero."""
    settings = dict(contrast=False, gamma=0.5, polyak=1.0)
    config, state = started(ABLATED, learning_rate=3e-3, **settings)
    rho, q = draw(size=32, dtype=torch.float32)
    sizes = []
    for _ in range(400):
        found = update(ABLATED, config, state, rho, q, 400)
        sizes.append(found["score_rho"].abs().max().item())
    assert found["advantage_std"].max() < 0.1 < sizes[0]
    assert sizes[-1] < 0.1 * max(sizes)


@pytest.mark.parametrize(
    "agent, settings, level",
    [
        (SMORE, {}, 50.0),
        (ABLATED, {}, 50.0),
        (ABLATED, {"beta": 0.9}, 90.0),
        (ABLATED, {"contrast": False}, 0.0),
        (ABLATED, {"extraction": "ascent"}, 50.0),
        (DISCRIMINATOR, {}, 50.0),
        (DISCRIMINATOR, {"coefficient": 0.25, "gamma": 0.9}, 10.0),
        (DISCRIMINATOR, {"centred": False}, 0.0),
        (DISCRIMINATOR, {"reward": "logit"}, 0.0),
    ],
)
def test_where_scores_and_values_start(agent, settings, level):
    _, state = started(agent, **settings)
    for name in ("score", "value"):
        bias = state.networks[name].network.layers[-1].bias
        torch.testing.assert_close(bias, torch.full_like(bias, level))
        slow = state.targets.get_parameter("score.network.layers.2.bias")
        torch.testing.assert_close(slow, torch.full_like(slow, level))


# The agent in two parts


def test_two_parts_start_from_smores_weights():
    _, one = started(SMORE)
    _, two = started(DISCRIMINATOR)
    for name, part in one.networks.named_parameters():
        assert torch.equal(part, two.networks.get_parameter(name)), name
    assert set(two.networks) - set(one.networks) == {"discriminator"}
    config = make_config(DISCRIMINATOR)
    level = starting_level(make_config(SMORE))
    assert level == 0.25 / (config.coefficient * (1 - config.gamma))


@pytest.mark.parametrize("reward", ["probability", "logit"])
def test_two_parts_against_numpy(reward):
    settings = dict(reward=reward, coefficient=0.7)
    config, state = started(DISCRIMINATOR, dtype=torch.float64, **settings)
    shake(state)
    rho, q = draw()
    networks, targets = state.networks, state.targets
    given = networks, targets, rho, q, START
    found, info = DISCRIMINATOR.losses(config, *given)
    with torch.no_grad():
        outputs = {}
        for key, batch in (("rho", rho), ("q", q)):
            given = batch.observations, batch.actions, batch.goals
            logit = networks["discriminator"](*given)[:, 0].numpy()
            ahead = networks["value"](batch.next_observations, batch.goals)
            score = networks["score"](*given).numpy()
            outputs[key] = logit, ahead.numpy(), score
        given = rho.observations, rho.actions, rho.goals
        slow = targets["score"](*given).numpy().min(axis=1)
        value = networks["value"](rho.observations, rho.goals).numpy()
        means = networks["policy"](rho.observations, rho.goals)
        log_prob = networks["policy"].log_prob(means, rho.actions).numpy()
    square, cross = np.zeros(2), np.zeros(2)
    for key, sign in (("rho", 1), ("q", -1)):
        logit, ahead, score = outputs[key]
        pays = 1 / (1 + np.exp(-logit)) / (2 * 0.7)
        pays = logit if reward == "logit" else pays
        error = (pays + 0.99 * ahead)[:, None] - score
        square += 0.7 * 0.5 * (error**2).mean(axis=2).sum(axis=1)
        cross += 0.5 * np.log1p(np.exp(sign * logit)).mean(axis=1)
    A = slow - value
    lean = np.where(A < 0, 1 - config.expectile, config.expectile)
    weights = np.minimum(np.exp(config.temperature * A), 100)
    due = {
        "loss_score": square,
        "loss_discriminator": cross,
        "loss_value": (lean * A**2).mean(axis=1),
        "loss_policy": -(weights * log_prob).mean(axis=1),
    }
    assert found.keys() == due.keys()
    for name, expected in due.items():
        actual = found[name].detach().numpy()
        np.testing.assert_allclose(actual, expected, rtol=1e-9, err_msg=name)
    share = 1 / (1 + np.exp(-outputs["q"][0]))
    np.testing.assert_allclose(info["probability_q"].detach(), share.mean(1))


# What was derived


def counted(seed=0, size=9, samples=300):
    """Return samples of q and rho and their counts at each x."""
    rng = np.random.default_rng(seed)
    at_q = np.minimum(*rng.integers(size, size=(2, samples)))
    at_rho = rng.integers(size, size=samples)
    counts = [np.bincount(i, minlength=size) for i in (at_q, at_rho)]
    assert min(map(np.min, counts)) > 0
    return at_q, at_rho, *counts


def test_labels_and_their_mean_differ_by_their_noise():
    at_q, at_rho, q, rho = counted()
    c, D = 0.3, q / (q + rho)
    u = np.random.default_rng(1).normal(1, 1, len(D))
    after = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 1, 300)))
    at = torch.from_numpy(u)[np.stack((at_q, at_rho))][:, None]
    scores = (at + 0.9 * after)[:, :, None]
    paid = torch.ones(1, 300, dtype=torch.float64) / (2 * c)
    mean = torch.from_numpy(D / (2 * c))
    given = dict(beta=0.5, gamma=0.9, coefficient=c)
    labelled = mixture_backup_loss(scores, (paid, 0 * paid), after, **given)
    meant = mixture_backup_loss(
        scores, (mean[at_q][None], mean[at_rho][None]), after, **given
    )
    noise = ((q + rho) / (q + rho).sum()) @ (D * (1 - D)) / (4 * c)
    torch.testing.assert_close(labelled - meant, torch.tensor([noise]))
    smore = in_sample_score_loss(scores[0], scores[1], *after, **given)
    constant = 0.5 * 0.9 * after[0].mean(dim=1) + 0.5 / (4 * c)
    torch.testing.assert_close(labelled - smore, constant)


def test_discriminator_settles_at_the_log_ratio():
    at_q, at_rho, q, rho = counted()

    def loss(h):
        return discriminator_loss(h[at_q][None, None], h[at_rho][None, None])

    h = minimise(loss, len(q))
    np.testing.assert_allclose(h, np.log(q / rho), atol=1e-6)
    found = classifier_reward(h[None], "probability", 0.25)
    np.testing.assert_allclose(found[0], 2 * q / (q + rho), atol=1e-6)


def test_both_ways_have_one_fixed_point():
    """A line of cells, gradients of both losses at the solved scores."""
    after = np.array([[max(s - 1, 0), s, min(s + 1, 4)] for s in range(5)])
    rng = np.random.default_rng(3)
    q = rng.integers(0, 4, (5, 3)) * (after == 0)
    q[0, 0], rho = 2, rng.integers(1, 5, (5, 3))
    D, M = q / (q + rho), np.zeros(5)
    for _ in range(600):
        S = D + 0.9 * M[after]
        for _ in range(4):
            w = rho * np.where(S > M[:, None], 0.8, 0.2)
            M = (w * S).sum(1) / w.sum(1)
    x = np.arange(15)
    rows = [np.repeat(x, k.ravel()) for k in (q, rho)]
    table = torch.from_numpy(S.ravel()).requires_grad_()
    scores = [table[r][None, None] for r in rows]
    ahead = [torch.from_numpy(M[after].ravel()[r])[None] for r in rows]
    beta = q.sum() / (q.sum() + rho.sum())
    given = dict(beta=beta, gamma=0.9, coefficient=0.5)
    with np.errstate(divide="ignore"):
        logit = torch.from_numpy(np.log(q / rho).ravel())
    pays = [classifier_reward(logit[r][None]) for r in rows]
    for loss in (
        in_sample_score_loss(*scores, *ahead, **given),
        mixture_backup_loss(scores, pays, ahead, **given),
    ):
        (slope,) = torch.autograd.grad(loss.sum(), table, retain_graph=True)
        assert slope.abs().max() < 1e-9


def test_ratio_of_hindsight():
    """Chances of the sampler, pair by pair, against the formula."""
    T = 12
    rho, q = np.zeros((2, T, T + 1))
    for t in range(T):
        for f in range(t + 1, T + 1):
            rho[t, f] += 1 / (T * (T - t))
            q[f - 1, f] += 1 / (T * (T - t))
    f = np.arange(1, T + 1)
    H = np.concatenate(([0], np.cumsum(1 / f)))
    due = (T - f + 1) * (H[T] - H[T - f])
    np.testing.assert_allclose(q[f - 1, f] / rho[f - 1, f], due)


def test_without_hindsight_q_holds_reached_goals_only():
    data = as_trajectories(**tiny_dataset("FetchReach"))
    uniforms = torch.rand(
        2,
        400,
        4,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    rho, q = Sampler(data, 0.0, 0.05)(uniforms)
    reached = data.desired_goals[find_hits(data, 0.05)[:, 0].unique()]
    among = (q.goals[:, :, None] == reached).all(-1).any(-1)
    assert among.all() and (q.reached == 1).all()
    asked = (rho.goals[:, :, None] == data.desired_goals).all(-1).any(-1)
    assert asked.all() and len(reached) < len(data.desired_goals)


def test_a_linear_score_explodes_where_the_data_fall_short():
    """One Bellman fit of S = w a at one action, by the exported loss."""

    def fit(w, at, taken, gamma=0.9):
        w = torch.tensor(w, dtype=torch.float64, requires_grad=True)
        score, after = (w * taken).expand(1, 1, 1), (w.detach() * at)
        loss = mixture_backup_loss(
            (score, score),
            (torch.ones(1, 1).double(), torch.ones(1, 1).double()),
            (after.expand(1, 1), after.expand(1, 1)),
            beta=0.5,
            gamma=gamma,
            coefficient=0.5,
        )
        (slope,) = torch.autograd.grad(loss.sum(), w)
        return (w - slope / taken**2).item()  # Newton's step on a parabola

    for taken, grows in ((0.8, True), (0.95, False)):
        w, v = 1.0, 1.0
        for _ in range(300):
            w, v = fit(w, 1.0, taken), fit(v, taken, taken)
        assert v * taken == pytest.approx(10.0)
        if grows:
            assert w > 1e12
        else:
            assert w == pytest.approx(1 / (taken - 0.9), rel=1e-6)


# Bad input and presets


@pytest.mark.parametrize(
    "agent, settings, reason",
    [
        (ABLATED, {"extraction": "climb"}, "unknown extraction 'climb'; know"),
        (ABLATED, {"maximum": "max"}, "unknown maximum 'max'; known: expect"),
        (ABLATED, {"contrast": 0}, "contrast must be bool"),
        (ABLATED, {"action_free": True}, "action_free has no"),
        (
            ABLATED,
            {"contrast": False, "objective": "paper"},
            "contrast=False is for objective in-sample",
        ),
        (
            ABLATED,
            {"contrast": False, "divergence": "kl"},
            "contrast=False is for objective in-sample",
        ),
        (ABLATED, {"beta": 0.0}, "beta must lie in"),
        (DISCRIMINATOR, {"reward": "odds"}, "unknown reward 'odds'; known: p"),
        (DISCRIMINATOR, {"coefficient": 0.0}, "coefficient must lie in"),
        (DISCRIMINATOR, {"expectile": 1.0}, "expectile must lie in"),
        (DISCRIMINATOR, {"beta": 0.5}, "no setting 'beta'"),
    ],
)
def test_bad_settings_are_one_line(agent, settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(agent, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda x: ascent_loss(x), "score must be"),
        (lambda x: discriminator_loss(x, x), "logit_q must be"),
        (
            lambda x: discriminator_loss(
                x[:, None], x[:, None].repeat(2, 1, 1)
            ),
            "logit_rho has",
        ),
        (lambda x: classifier_reward(x[0]), "logit must be"),
        (
            lambda x: mixture_backup_loss(
                (x, x), (x, x), (x, x), beta=0.5, gamma=0.9, coefficient=1.0
            ),
            "score must be",
        ),
        (
            lambda x: mixture_backup_loss(
                (x, x), (x, x), (x, x), beta=1.5, gamma=0.9, coefficient=1.0
            ),
            "beta must lie",
        ),
        (
            lambda x: mixture_backup_loss(
                (x, x), (x, x), (x, x), beta=0.5, gamma=0.9, coefficient=-1.0
            ),
            "coefficient must lie",
        ),
    ],
)
def test_bad_shapes_and_numbers_are_one_line(call, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        call(torch.ones(1, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("agent", [ABLATED, DISCRIMINATOR])
def test_presets(agent):
    assert find_agent(agent.name).config.__name__ == agent.config.__name__
    for preset, settings in agent.presets.items():
        one, two = make_config(agent, preset), make_config(SMORE, preset)
        for name in settings:
            assert getattr(one, name) == getattr(two, name), name
    assert agent.presets == (SMORE.presets if agent is ABLATED else {})
    shared, smore = agent.config(), SMORE.config()
    for name in ("expectile", "temperature", "weight_clip", "coefficient"):
        assert getattr(shared, name) == getattr(smore, name)
    assert AblationConfig().contrast is True
    assert DiscriminatorConfig().reward == "probability"
