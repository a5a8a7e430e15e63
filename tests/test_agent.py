"""The protocol: what every agent must keep, and the one update for all."""

import copy
import math
from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import nn

from samples import START, random_batch

from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    cosine,
    create_state,
    find_agent,
    flatten,
    list_agents,
    list_presets,
    make_config,
    update,
)
from smore_lit.learning.smore import SMORE

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(16, 16), batch_size=8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def batches(seeds, seed=0, size=8):
    rows = [100 * seed + index for index in range(seeds)]
    return [
        random_batch(SIZES, [start + row for row in rows], size)
        for start in (0, 50)
    ]


def started(agent=SMORE, seeds=(0, 1, 2), **settings):
    config = make_config(agent, **{**SMALL, **settings})
    return config, create_state(agent, config, SIZES, seeds)


@pytest.mark.parametrize(
    "settings, reason",
    [
        (dict(gama=0.9), "no setting 'gama'; known: gamma, "),
        (dict(gamma=1.0), r"gamma must be in \[0, 1\)"),
        (dict(gamma=float("nan")), "gamma"),
        (dict(gamma="0.9"), "gamma must be float, got '0.9'"),
        (dict(batch_size=0), "batch_size must be 1 or more"),
        (dict(batch_size=2.5), "batch_size must be int"),
        (dict(batch_size=True), "batch_size must be int"),
        (dict(hidden=()), "hidden must be one or more widths"),
        (dict(hidden=[16, 0]), "hidden must be"),
        (dict(hidden=[16.5]), "hidden must be a list of whole numbers"),
        (dict(hidden=16), "hidden must be a list of whole numbers"),
        (dict(learning_rate=0), "learning_rate must be in"),
        (dict(learning_rate=float("inf")), "learning_rate"),
        (dict(polyak=0.0), "polyak must be in"),
        (dict(hindsight=1.5), "hindsight must be in"),
    ],
)
def test_bad_settings_are_one_line(settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make_config(SMORE, **settings)
    assert "\n" not in str(caught.value)


def test_lists_and_whole_numbers_are_welcome():
    config = make_config(SMORE, hidden=[8, 8], gamma=0, polyak=1)
    assert config.hidden == (8, 8)
    assert type(config.gamma) is float and type(config.polyak) is float


def test_one_step_reads_the_parameters_from_before():
    config, state = started()
    _, apart = started()
    rho, q = batches(3)
    update(SMORE, config, state, rho, q, 10)
    given = apart.networks, apart.targets, rho, q, START
    losses, _ = SMORE.losses(config, *given)
    for key, loss in losses.items():
        parameters = list(
            apart.networks[key.removeprefix("loss_")].parameters()
        )
        gradients = torch.autograd.grad(
            loss.sum(), parameters, retain_graph=True
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
    torch.optim.Adam(
        apart.networks.parameters(), lr=config.learning_rate
    ).step()
    for (name, a), b in zip(
        state.networks.named_parameters(),
        apart.networks.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8, msg=name)


def test_rates_fall_only_where_the_agent_says():
    config, state = started()
    for done in range(5):
        update(SMORE, config, state, *batches(3, done), 4)
        rates = {g["name"]: g["lr"] for g in state.optimiser.param_groups}
        factor = (1 + math.cos(math.pi * min(done / 4, 1))) / 2
        assert rates.pop("policy") == pytest.approx(1e-3 * factor, abs=1e-12)
        assert set(rates.values()) == {1e-3}
    assert state.updates == 5
    assert cosine(0, 0) == 1.0 and cosine(1, 2) == pytest.approx(0.5)


@pytest.mark.parametrize("polyak", [0.25, 1.0])
def test_targets_follow_at_their_step(polyak):
    config, state = started(polyak=polyak)
    before = copy.deepcopy(state.targets["score"])
    update(SMORE, config, state, *batches(3), 10)
    for old, slow, new in zip(
        before.parameters(),
        state.targets["score"].parameters(),
        state.networks["score"].parameters(),
        strict=True,
    ):
        assert not torch.equal(old, new)
        torch.testing.assert_close(slow, old + polyak * (new - old))


def test_parameters_are_windows_on_one_vector():
    network = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    before = copy.deepcopy(network)
    vector = flatten(network)
    assert vector.shape == (32,) and (vector[32:] == 0).all()
    for a, b in zip(network.parameters(), before.parameters(), strict=True):
        assert torch.equal(a, b)
    vector += 1
    assert torch.equal(network[1].bias, before[1].bias + 1)
    network.load_state_dict(before.state_dict())
    assert torch.equal(vector[:15].view(5, 3), before[0].weight)


def test_a_state_that_took_over_another_trains_on_alone():
    config, state = started()
    update(SMORE, config, state, *batches(3), 10)
    _, other = started()
    other.load_state_dict(copy.deepcopy(state.state_dict()))
    before = [p.clone() for p in state.networks.parameters()]
    update(SMORE, config, other, *batches(3, 1), 10)
    for a, b in zip(before, state.networks.parameters(), strict=True):
        assert torch.equal(a, b)
    update(SMORE, config, state, *batches(3, 1), 10)
    for part in ("networks", "targets"):
        a, b = (getattr(s, part).state_dict() for s in (state, other))
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert state.updates == other.updates == 2


def test_names_and_seeds():
    assert find_agent("smore") is SMORE and find_agent(SMORE) is SMORE
    with pytest.raises(ValueError, match="unknown algorithm 'x'; known: .*sm"):
        find_agent("x")
    with pytest.raises(ValueError, match="at least one seed"):
        started(seeds=())


@dataclass(frozen=True)
class Nothing(AgentConfig):
    step: float = 1.0


def test_an_agent_of_ones_own_is_data_and_three_functions():
    def init(config, sizes, seeds):
        layer = nn.Module()
        layer.weight = nn.Parameter(torch.zeros(seeds, 1))
        return nn.ModuleDict({"pull": layer})

    def losses(config, networks, targets, rho, q, updates):
        weight = networks["pull"].weight[:, 0]
        clock = updates.expand(2)
        return {"loss_pull": (weight - config.step).square()}, {"now": clock}

    own = Agent("own", Nothing, init, (), (), losses, act=None)
    config = make_config(own, step=2, learning_rate=0.5)
    state = create_state(own, config, SIZES, [0, 1])
    measured = update(own, config, state, *batches(2), 10)
    assert measured["loss_pull"].tolist() == [4.0, 4.0]
    weights = state.networks["pull"].weight.flatten().tolist()
    assert weights == pytest.approx([0.5, 0.5])  # Adam's first step is lr
    assert measured["now"].tolist() == [0, 0]
    for due in (1, 2):
        measured = update(own, config, state, *batches(2), 10)
        assert measured["now"].tolist() == [due, due]


@pytest.mark.parametrize("name", ["loss_polciy", "policy", "loss_scaler"])
def test_a_loss_that_names_no_network_is_refused(name):
    config, state = started()

    def losses(*given):
        found, info = SMORE.losses(*given)
        return found | {name: found["loss_policy"]}, info

    before = state.vectors["policy"].clone()
    slip = replace(SMORE, name="slip", losses=losses)
    with pytest.raises(ValueError) as caught:
        update(slip, config, state, *batches(3), 10)
    assert str(caught.value) == (
        f"slip has a loss {name!r} for no network: call it loss_<network>;"
        " networks: score, value, policy"
    )
    assert torch.equal(state.vectors["policy"], before)
    assert state.updates == 0


# Presets


@pytest.mark.parametrize("name", sorted(list_agents()))
def test_every_preset_says_what_it_is(name):
    agent = find_agent(name)
    assert set(agent.presets) <= {"paper", "released"}
    assert list_presets(agent)[0] == "shared"
    assert make_config(agent, "shared") == agent.config()
    for preset, settings in agent.presets.items():
        config = make_config(agent, preset)
        assert config != agent.config()
        for setting, value in settings.items():
            assert getattr(config, setting) == value
        assert make_config(agent, preset, gamma=0.5).gamma == 0.5


@pytest.mark.parametrize(
    "name, preset, known",
    [
        ("smore", "published", "shared, paper, released"),
        ("gofar", "paper", "shared, released"),
        ("goal-bc", "released", "shared"),
    ],
)
def test_an_unknown_preset_is_one_line_that_lists_the_known(
    name, preset, known
):
    with pytest.raises(ValueError) as caught:
        make_config(find_agent(name), preset)
    due = f"{name} has no preset {preset!r}; it has: {known}"
    assert str(caught.value) == due


def test_smore_presets_train_what_their_names_say():
    objectives = {
        preset: make_config(SMORE, preset).objective
        for preset in list_presets(SMORE)
    }
    due = {"shared": "in-sample", "paper": "paper", "released": "released"}
    assert objectives == due
    paper, code = (make_config(SMORE, p) for p in ("paper", "released"))
    assert (paper.hidden, paper.batch_size) == ((256, 256), 512)
    assert (paper.temperature, paper.learning_rate) == (3.0, 3e-4)
    assert (paper.coefficient, paper.beta, paper.gamma) == (1.0, 0.5, 0.99)
    assert (code.hidden, code.batch_size) == ((256, 256, 256), 256)
    assert (code.temperature, code.learning_rate) == (3.0, 3e-4)
    assert not (paper.centred or paper.standardise or paper.ahead)
    assert not (code.centred or code.standardise or code.ahead)


def test_settings_without_a_part_are_judged_by_the_preset():
    """A preset may hold what another setting makes idle; a caller may not."""
    free = make_config(SMORE, "paper", action_free=True)
    assert free.action_free and free.temperature == 3.0
    same = make_config(SMORE, "paper", action_free=True, temperature=3.0)
    assert same == free
    for preset in ("shared", "paper"):
        for given in ({"temperature": 2.0}, {"expectile": 0.7}):
            with pytest.raises(ValueError, match="action_free has no"):
                make_config(SMORE, preset, action_free=True, **given)
    assert make_config(SMORE, action_free=True, temperature=1.5)
    with pytest.raises(ValueError, match="action_free has no temperature"):
        make_config(SMORE, action_free=True, temperature=3.0)


@pytest.mark.parametrize("name", sorted(list_agents()))
def test_no_preset_is_refused_for_what_the_caller_did_not_name(name):
    """Whatever switches settings off, no preset of any agent stands in."""
    agent = find_agent(name)
    switches = [
        given
        for given in (dict(action_free=True), dict(update="in-sample"))
        if set(given) <= set(agent.config.__dataclass_fields__)
        and name not in ("smore-ablated", "smore-discriminator")
    ]  # the two refuse action_free altogether
    for given in switches:
        idle = agent.config(**given).unread()
        assert idle
        for setting in idle:
            default = getattr(agent.config, setting)
            words = {"divergence": "kl", "advantage": "value"}
            words |= {"weights": "linear"}
            other = {bool: not default, float: 0.7}.get(type(default))
            other = words.get(setting, other)
            odd = replace(agent, presets={"odd": {setting: other}})
            assert getattr(make_config(odd, "odd", **given), setting) == other
            with pytest.raises(ValueError, match=f"has no {setting}"):
                make_config(agent, **given, **{setting: other})


def test_the_policy_rate_falls_only_if_the_configuration_says_so():
    for falls in (True, False):
        config, state = started(cosine=falls)
        for _ in range(5):
            update(SMORE, config, state, *batches(3), 10)
        rates = {g["name"]: g["lr"] for g in state.optimiser.param_groups}
        due = cosine(4, 10) if falls else 1.0
        assert rates["policy"] == pytest.approx(config.learning_rate * due)
        assert rates["score"] == rates["value"] == config.learning_rate


@pytest.mark.parametrize("name", sorted(list_agents()))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_setting_is_a_number_that_is_not_finite(name, value):
    agent = find_agent(name)
    for item in fields(agent.config):
        if type(item.default) is float:
            with pytest.raises(ValueError, match=item.name) as caught:
                make_config(agent, **{item.name: value})
            assert "\n" not in str(caught.value)
