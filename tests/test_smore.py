"""The SMORe agent: its losses against plain numpy, and what each one moves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from samples import START, random_batch

from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.smore import (
    OBJECTIVES,
    SMORE,
    TABLE_4,
    SmoreConfig,
    losses,
    starting_level,
)

SIZES, SEEDS, BATCH = Sizes(5, 2, 3), (4, 7), 6


@pytest.fixture
def batches():
    return [random_batch(SIZES, (k, k + 1), BATCH) for k in (0, 10)]


def state_of(config):
    state = create_state(SMORE, config, SIZES, SEEDS)
    with torch.no_grad():
        for parameter in state.targets.parameters():
            parameter.mul_(0.7)
    return state


def numbers(*tensors):
    return [t.detach().double().numpy() for t in tensors]


def bellman(value, score, gamma):
    return ((gamma * value[:, None] - score) ** 2).mean(axis=-1).sum(axis=-1)


def total(score):
    return score.mean(axis=-1).sum(axis=-1)


def expected_score_loss(config, networks, rho, q):
    S, M = networks["score"], networks["value"]
    s_q, s_rho, m_q, m_rho = numbers(
        S(q.observations, q.actions, q.goals),
        S(rho.observations, rho.actions, rho.goals),
        M(q.next_observations, q.goals),
        M(rho.next_observations, rho.goals),
    )
    gamma, beta = config.gamma, config.beta
    if config.objective == "released":
        return (
            -total(s_q)
            + 1e-4 * total(s_rho)
            + 0.5 * bellman(m_rho, s_rho, gamma)
        )
    if config.objective == "released-stable":
        step = (s_rho - (-2 + gamma * m_rho[:, None])) ** 2
        return (
            total((s_q - 2 / (1 - gamma)) ** 2)
            + (1 - gamma) * 1e-4 * total(s_rho**2)
            + 0.5 * total(step)
        )
    loss = -beta * total(s_q) + config.coefficient * (
        beta * bellman(m_q, s_q, gamma)
        + (1 - beta) * bellman(m_rho, s_rho, gamma)
    )
    if config.objective == "paper":
        pi = networks["policy"]
        a_start = pi(rho.observations, rho.goals)
        a_next = pi(q.next_observations, q.goals)
        start, following = numbers(
            S(rho.observations, a_start, rho.goals),
            S(q.next_observations, a_next, q.goals),
        )
        loss += beta * (1 - gamma) * total(start) + beta * gamma * total(
            following
        )
    return loss


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("coefficient", [0.25, 1.0])
def test_losses_against_numpy(objective, coefficient, batches):
    rho, q = batches
    config = make_config(
        SMORE,
        objective=objective,
        coefficient=coefficient,
        beta=0.3,
        hidden=(8, 8),
        temperature=2.0,
    )
    state = state_of(config)
    found, info = losses(config, state.networks, state.targets, rho, q, START)
    expected = expected_score_loss(config, state.networks, rho, q)
    score_loss = found["loss_score"].detach()
    np.testing.assert_allclose(score_loss, expected, rtol=2e-5, atol=1e-5)

    target = state.targets["score"](rho.observations, rho.actions, rho.goals)
    value = state.networks["value"](rho.observations, rho.goals)
    policy = state.networks["policy"]
    mean = policy(rho.observations, rho.goals)
    target, value, mean, action = numbers(target, value, mean, rho.actions)
    u = target.min(axis=1) - value
    lean = np.where(u > 0, config.expectile, 1 - config.expectile)
    np.testing.assert_allclose(
        found["loss_value"].detach(), (lean * u**2).mean(-1), rtol=2e-5
    )
    weights = np.minimum(np.exp(2.0 * u), 100.0)
    log_prob = -0.5 * ((action - mean) ** 2 + np.log(2 * np.pi)).sum(-1)
    np.testing.assert_allclose(
        found["loss_policy"].detach(),
        -(weights * log_prob).mean(-1),
        rtol=2e-5,
    )
    share = weights.sum(-1) ** 2 / (BATCH * (weights**2).sum(-1))
    np.testing.assert_allclose(info["effective_share"], share, rtol=2e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_loss_moves_one_network(objective, batches):
    config = make_config(SMORE, objective=objective, hidden=(8, 8))
    state = state_of(config)
    found, _ = losses(config, state.networks, state.targets, *batches, START)
    for name, loss in found.items():
        state.networks.zero_grad()
        loss.sum().backward(retain_graph=True)
        moved = {
            part
            for part, network in state.networks.items()
            if any(
                p.grad is not None and p.grad.any()
                for p in network.parameters()
            )
        }
        assert moved == {name.removeprefix("loss_")}
    assert all(p.grad is None for p in state.targets.parameters())


def test_acts_by_its_mean(batches):
    rho, _ = batches
    networks = create_state(SMORE, SmoreConfig(), SIZES, SEEDS).networks
    actions = SMORE.act(networks, rho.observations, rho.goals)
    mean = networks["policy"](rho.observations, rho.goals)
    assert torch.equal(actions, mean) and actions.abs().max() < 1


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"objective": "eq10"}, "known"),
        ({"beta": 0.0}, "beta"),
        ({"beta": 1.1}, "beta"),
        ({"expectile": 1.0}, "expectile"),
        ({"coefficient": 0.0}, "coefficient"),
        ({"temperature": float("nan")}, "temperature"),
        ({"weight_clip": -1.0}, "weight_clip"),
        ({"gamma": 1.0}, "gamma"),
        ({"divergence": "tv"}, "straight lines"),
        ({"divergence": "kl2"}, "known"),
        ({"ratio_cap": 1.0}, "ratio_cap"),
        ({"ratio_cap": float("inf")}, "ratio_cap"),
        ({"divergence": "kl", "objective": "released"}, "squares"),
        ({"action_free": True, "objective": "released-stable"}, "squares"),
        ({"action_free": True, "temperature": 1.0}, "no temperature"),
        ({"action_free": True, "expectile": 0.9}, "no expectile"),
    ],
)
def test_settings_out_of_range(settings, word):
    with pytest.raises(ValueError, match=word) as caught:
        make_config(find_agent("smore"), **settings)
    assert "\n" not in str(caught.value)


GENERAL = {
    "kl": {"divergence": "kl"},
    "kl-paper": {"divergence": "kl", "objective": "paper"},
    "hellinger": {"divergence": "hellinger", "ratio_cap": 3.0},
    "js": {"divergence": "js", "coefficient": 1.0},
    "free": {"action_free": True},
    "free-paper": {"action_free": True, "objective": "paper"},
    "free-kl": {"action_free": True, "divergence": "kl"},
}


@pytest.mark.parametrize("settings", GENERAL.values(), ids=GENERAL)
def test_other_divergences_train(settings, batches):
    config = make_config(SMORE, hidden=(8, 8), **settings)
    state = state_of(config)
    found, info = losses(
        config, state.networks, state.targets, *batches, START
    )
    assert all(x.shape == (2,) for x in (*found.values(), *info.values()))
    for name, loss in found.items():
        state.networks.zero_grad()
        loss.sum().backward(retain_graph=True)
        moved = {
            part
            for part, network in state.networks.items()
            if any(
                p.grad is not None and p.grad.any()
                for p in network.parameters()
            )
        }
        assert moved == {name.removeprefix("loss_")}
    before = [p.clone() for p in state.networks.parameters()]
    for _ in range(3):
        measured = update(SMORE, config, state, *batches, 3)
    assert all(x.isfinite().all() for x in measured.values())
    after = state.networks["policy"].parameters()
    assert any(not torch.equal(a, b) for a, b in zip(after, before[-7:]))
    rho, _ = batches
    actions = SMORE.act(state.networks, rho.observations, rho.goals)
    assert actions.shape == rho.actions.shape


@pytest.mark.parametrize("seeds", [(3,), (0, 1, 2)])
def test_score_and_value_start_at_their_mean(batches, seeds):
    config = SmoreConfig(hidden=(8, 8), beta=0.4, coefficient=0.25)
    assert starting_level(config) == pytest.approx(80.0)
    state = create_state(SMORE, config, SIZES, seeds)
    plain = SmoreConfig(hidden=(8, 8), centred=False)
    other = create_state(SMORE, plain, SIZES, seeds)
    for name, level in (("score", 80.0), ("value", 80.0), ("policy", 0.0)):
        for networks in (state.networks, state.targets):
            if name not in networks:
                continue
            last = networks[name].network.layers[-1].bias
            assert torch.equal(last, torch.full_like(last, level))
            rest = last - level
            last.data.copy_(rest)
            for a, b in zip(
                networks[name].parameters(), other.networks[name].parameters()
            ):
                assert torch.equal(a, b)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "paper"},
        {"objective": "released"},
        {"divergence": "kl"},
        {"action_free": True},
        {"centred": False},
    ],
)
def test_other_scores_start_at_zero(settings):
    assert starting_level(SmoreConfig(**settings)) == 0.0


def test_ratio_cap_is_idle_until_it_binds():
    """Same bits with any cap above the largest ratio; others below it."""
    batches = [random_batch(SIZES, (k, k + 1), BATCH) for k in (2, 52)]
    found = []
    for cap in (20.0, 1e30, 1.05):
        config = make_config(
            SMORE,
            hidden=(8, 8),
            divergence="kl",
            ratio_cap=cap,
            coefficient=0.25,
        )
        state = state_of(config)
        for _ in range(2):
            info = update(SMORE, config, state, *batches, 2)
        found.append((info["loss_score"], info["ratio_capped"]))
    assert torch.equal(found[0][0], found[1][0]) and not found[0][1].any()
    assert not torch.equal(found[0][0], found[2][0]) and found[2][1].all()


def chapter_table():
    """Return the rows of the table of presets in the chapter, as text."""
    chapter = Path(__file__).parents[1] / "book" / "learning" / "smore.md"
    text = chapter.read_text()
    lines = text[text.index("| | Table 4 |") :].split("\n\n")[0].splitlines()
    rows = [[x.strip() for x in row.strip("|").split("|")] for row in lines]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_the_table_of_presets_is_that_of_the_code():
    rows = chapter_table()
    assert len(rows) == 15
    for name, (printed, *cells) in rows.items():
        presets = ("paper", "released", "shared")
        for preset, cell in zip(presets, cells, strict=True):
            value = getattr(make_config(SMORE, preset), name)
            if cell:
                assert cell == str(value), (preset, name)
        if printed:
            assert printed == cells[0]
            assert str(TABLE_4[name]) == printed
    assert set(TABLE_4) == {name for name, row in rows.items() if row[0]}


def test_table_4_is_the_one_that_the_paper_prints():
    """The settings among the lines of Table 4, Sikchi et al. (2024)."""
    assert TABLE_4 == {
        "learning_rate": 3e-4,
        "hidden": (256, 256),
        "cosine": True,
        "gamma": 0.99,
        "batch_size": 512,
        "beta": 0.5,
        "temperature": 3.0,
    }
