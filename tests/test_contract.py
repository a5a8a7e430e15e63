"""What every method and variant must keep, whatever its losses are."""

import pytest
import torch

from samples import START, random_batch
from smore_lit.data.datasets import tiny_dataset
from smore_lit.worlds.tasks import list_tasks, load_task
from smore_lit.learning.agent import (
    Sizes,
    create_state,
    find_agent,
    list_agents,
    list_presets,
    make_config,
    update,
)
from smore_lit.learning.smore import OBJECTIVES
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.loop import Record

SIZES = Sizes(5, 2, 3)
SMALL = dict(hidden=(8, 8), batch_size=16)
OTHERS = {
    "smore": [
        *({"objective": name} for name in OBJECTIVES[1:]),
        {"divergence": "kl"},
        {"divergence": "js", "objective": "paper"},
        {"action_free": True},
        {"action_free": True, "divergence": "kl", "objective": "paper"},
        {"sampler": "released"},
        {"centred": False},
    ],
    "bc": [{"loss": "square"}],
    "sql": [{"paper_weights": True}],
    "eql": [{"paper_weights": True}],
    "wgcsl": [{"best": False}],
    "gofar": [
        {"clipped": True, "residual": True},
        {"divergence": "kl"},
        {"divergence": "kl", "residual": True},
        {"reward": "sparse"},
        {"update": "in-sample"},
    ],
    "smore-ablated": [
        {"extraction": "ascent"},
        {"extraction": "ascent", "maximum": "policy"},
        {"contrast": False},
    ],
    "smore-discriminator": [{"reward": "logit"}],
}


def cases():
    for name, agent in list_agents().items():
        for preset in list_presets(agent):
            yield pytest.param((name, preset, {}), id=f"{name}-{preset}")
        for own in OTHERS.get(name, ()):
            words = "-".join(f"{k}={v}" for k, v in own.items())
            yield pytest.param((name, "shared", own), id=f"{name}-{words}")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=cases())
def case(request):
    name, preset, own = request.param
    return find_agent(name), preset, SMALL | own


def start(case, seeds, sizes=SIZES):
    agent, preset, settings = case
    config = make_config(agent, preset, **settings)
    return agent, config, create_state(agent, config, sizes, seeds)


def draw(config, seeds, size=8, sizes=SIZES, scale=1.0):
    """Return rho and q whose slices n depend on seeds[n] alone."""
    given = dict(noise=config.draws(sizes), scale=scale)
    return [
        random_batch(sizes, [seed + start for seed in seeds], size, **given)
        for start in (0, 10_000)
    ]


def test_networks_lead_with_seeds_and_targets_are_fixed(case):
    agent, config, state = start(case, (0, 1, 2))
    for parameter in state.networks.parameters():
        assert parameter.shape[0] == 3
    assert set(agent.targets) | set(agent.cosine) <= set(state.networks)
    assert not any(p.requires_grad for p in state.targets.parameters())


def test_losses_are_pure_and_one_number_per_seed(case):
    agent, config, state = start(case, (0, 1, 2))
    batches = draw(config, (0, 1, 2))
    before = {k: v.clone() for k, v in state.networks.state_dict().items()}
    found = [
        agent.losses(config, state.networks, state.targets, *batches, START)
        for _ in range(2)
    ]
    numbers = [{**losses, **info} for losses, info in found]
    for name, value in numbers[0].items():
        assert value.shape == (3,) and value.isfinite().all(), name
        assert torch.equal(value, numbers[1][name]), name
    assert numbers[0].keys() == {*found[0][0], *found[0][1]}
    for name, value in state.networks.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_method_says_whether_it_reads_q(case):
    """What q holds moves the losses of all that do not refuse `near`."""
    agent, config, state = start(case, (0, 1))
    rho, q = draw(config, (0, 1))
    given = config, state.networks, state.targets
    losses, _ = agent.losses(*given, rho, q, START)
    other = q._replace(goals=q.goals + 1, actions=q.actions / 2)
    moved, _ = agent.losses(*given, rho, other, START)
    same = all(torch.equal(losses[name], moved[name]) for name in losses)
    assert same is ("near" in config.unread())


@pytest.mark.parametrize("name", sorted(list_agents()))
def test_near_is_refused_where_q_is_not_read(name):
    agent = find_agent(name)
    if name in ("smore", "smore-ablated", "smore-discriminator", "goal-bc"):
        assert make_config(agent, near=True).near
        return
    with pytest.raises(ValueError, match="does not read q has no near"):
        make_config(agent, near=True)


def test_a_loss_moves_its_own_network_and_seed(case):
    agent, config, state = start(case, (0, 1, 2))
    named = dict(state.networks.named_parameters())
    batches = draw(config, (0, 1, 2))
    losses, _ = agent.losses(
        config, state.networks, state.targets, *batches, START
    )
    assert {f"loss_{name}" for name in state.vectors} == set(losses)
    for key, loss in losses.items():
        gradients = torch.autograd.grad(
            loss[1], named.values(), retain_graph=True, allow_unused=True
        )
        moved = set()
        for parameter, gradient in zip(named, gradients, strict=True):
            if gradient is not None and gradient.abs().sum() > 0:
                moved.add(parameter.split(".")[0])
                assert (gradient[[0, 2]] == 0).all(), (key, parameter)
        assert moved == {key.removeprefix("loss_")}


def test_seeds_are_independent_and_repeat_their_bits(case):
    def weights(seeds):
        agent, config, state = start(case, seeds)
        for moment in range(4):
            rows = [100 * moment + seed for seed in seeds]
            update(agent, config, state, *draw(config, rows), 4)
        parts = state.networks, state.targets
        return [p for part in parts for p in part.parameters()]

    together, again = weights(range(10)), weights(range(10))
    alone = weights((3,))
    for one, two, three in zip(together, again, alone, strict=True):
        assert torch.equal(one, two) and torch.equal(one[3:4], three)


@pytest.mark.parametrize("size", [1, 512])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_any_batch_and_extreme_inputs_stay_finite(case, size, scale):
    agent, config, state = start(case, (0, 1))
    for moment in range(3):
        rho, q = draw(config, (moment, 7), size, scale=scale)
        measured = update(agent, config, state, rho, q, 3)
        for name, value in measured.items():
            assert value.shape == (2,) and value.isfinite().all(), name
    assert all(p.isfinite().all() for p in state.networks.parameters())
    actions = agent.act(state.networks, rho.observations, rho.goals)
    assert actions.shape == rho.actions.shape and actions.abs().max() <= 1


def test_sizes_of_every_task(case):
    tasks = map(load_task, list_tasks())
    known = {(t.observation_size, t.action_size, t.goal_size) for t in tasks}
    assert len(known) > 5
    for sizes in (Sizes(*one) for one in sorted(known)):
        agent, config, state = start(case, (0,), sizes)
        batches = draw(config, (0,), 4, sizes)
        measured = update(agent, config, state, *batches, 1)
        assert all(x.isfinite().all() for x in measured.values())
        actions = agent.act(
            state.networks, batches[0].observations, batches[0].goals
        )
        assert actions.shape == (1, 4, sizes.action)


def test_a_stopped_run_goes_on_to_the_same_bits(case, tmp_path, monkeypatch):
    agent, preset, settings = case
    data = as_trajectories(**tiny_dataset("FetchReach"))
    plan = dict(updates=6, seeds=2, checkpoint_every=3, log_every=2)
    plan |= dict(settings=settings, preset=preset)
    save = Record.save

    class Stop(Exception):
        pass

    def stop(record, measured):
        save(record, measured)
        raise Stop

    whole = train(data, agent, out=tmp_path / "whole", **plan)
    with monkeypatch.context() as patch:
        patch.setattr(Record, "save", stop)
        with pytest.raises(Stop):
            train(data, agent, out=tmp_path / "cut", **plan)
    again = train(data, agent, out=tmp_path / "cut", **plan)
    for part in ("networks", "targets", "optimiser"):
        one, two = (getattr(run.state, part) for run in (whole, again))
        one, two = one.state_dict(), two.state_dict()
        if part == "optimiser":
            one, two = one["state"], two["state"]
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    for name in ("config.json", "metrics.csv"):
        texts = [(tmp_path / x / name).read_bytes() for x in ("whole", "cut")]
        assert texts[0] == texts[1]
