"""Seeds trained together equal seeds trained apart."""

import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import find_agent, make_config, update
from smore_lit.learning.training import Plan, start_run
from smore_lit.learning.trajectories import as_trajectories

UPDATES = 100
SMALL = dict(batch_size=64, hidden=(64, 64))
FIELDS = ("observations", "actions", "achieved_goals", "desired_goals")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    recorded = tiny_dataset("FetchReach")
    return as_trajectories(*(recorded[name] for name in FIELDS))


def train(data, seed, seeds, **settings):
    """Return every trained number with its seed axis first, by name."""
    agent = find_agent("smore")
    config = make_config(agent, **settings)
    plan = Plan(updates=UPDATES, seeds=seeds, seed=seed)
    run = start_run(data, agent, config, plan, load_task("FetchReach"))
    for _ in range(UPDATES):
        measured = run.step()
    state = run.state
    numbers = dict(state.networks.named_parameters())
    numbers |= {f"target {k}": v for k, v in state.targets.named_parameters()}
    for network, vector in state.vectors.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            values, start = state.optimiser.state[vector][moment], 0
            for name, parameter in state.networks[network].named_parameters():
                part = values[start : start + parameter.numel()]
                numbers[f"{moment} {network} {name}"] = part.view_as(parameter)
                start += parameter.numel()
    return {k: v.detach() for k, v in {**numbers, **measured}.items()}


def compare(together, apart):
    """Return the largest difference between a group and its seeds alone."""
    gaps = {}
    for n, alone in enumerate(apart):
        assert alone.keys() == together.keys()
        for name, value in alone.items():
            assert torch.isfinite(value).all(), name
            gap = (together[name][n] - value[0]).abs().max().item()
            gaps[name] = max(gap, gaps.get(name, 0.0))
    return max(gaps.values())


@pytest.mark.weekly
def test_three_seeds_of_the_default_size(data):
    together = train(data, 0, 3)
    assert compare(together, [train(data, n, 1) for n in range(3)]) <= 1e-5


@pytest.mark.weekly
def test_ten_seeds(data):
    together = train(data, 5, 10, **SMALL)
    apart = [train(data, 5 + n, 1, **SMALL) for n in range(10)]
    assert compare(together, apart) <= 1e-5
    weights = together["policy.network.layers.0.weight"]
    for n in range(1, 10):
        assert not torch.equal(weights[0], weights[n])


@pytest.mark.parametrize(
    "settings",
    [
        dict(objective="released", sampler="released", initialiser="xavier"),
        dict(objective="released-stable"),
        dict(objective="paper", standardise=False),
    ],
    ids=lambda settings: settings["objective"],
)
def test_three_seeds_of_other_settings(data, settings):
    settings = SMALL | settings
    together = train(data, 0, 3, **settings)
    apart = [train(data, n, 1, **settings) for n in range(3)]
    assert compare(together, apart) <= 1e-5


def test_same_seeds_give_the_same_bits(data):
    first, again = (train(data, 1, 3, **SMALL) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, again[name]), name


def test_one_bad_seed_harms_no_other(data):
    agent = find_agent("smore")
    config = make_config(agent, **SMALL)
    plan = Plan(updates=3, seeds=3, seed=0)
    results = []
    for factor in (1.0, float("nan")):
        run = start_run(data, agent, config, plan)
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            uniforms = torch.rand(
                3, 64, run.sampler.columns, generator=generator
            ).double()
            rho, q = run.sampler(uniforms)
            rho.actions[1] *= factor
            update(agent, config, run.state, rho, q, 3)
        results.append(dict(run.state.networks.named_parameters()))
    for name, value in results[0].items():
        spoiled = results[1][name]
        assert torch.equal(value[[0, 2]], spoiled[[0, 2]]), name
    assert not all(torch.isfinite(v[1]).all() for v in results[1].values())
