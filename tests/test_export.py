"""A policy leaves the house: it acts the same where the package is not."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import find_agent, list_agents, make_config
from smore_lit.learning.policies import Policy, describe
from smore_lit.learning.scaling import Scaler
from smore_lit.learning.training import sizes_of
from smore_lit.learning.trajectories import as_trajectories

FRESH = """
import sys

sys.modules["smore_lit"] = None  # whoever imports it fails
import numpy as np
import torch

actor = torch.jit.load("actor.pt")
inputs = np.load("inputs.npz")
pair = (torch.from_numpy(inputs[name]) for name in ("states", "goals"))
np.save("actions.npy", actor(*pair).numpy())
"""
DATA = as_trajectories(**tiny_dataset("FetchReach"))


def make_policy(name, seeds=(3, 5, 8)):
    agent = find_agent(name)
    config, sizes = make_config(agent, hidden=(32, 32)), sizes_of(DATA)
    torch.manual_seed(0)
    networks = agent.init(config, sizes, len(seeds))
    for parameter in networks.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    scaler = networks["scaler"] = Scaler(sizes.observation, sizes.goal)
    for value in scaler.buffers():
        value.uniform_(0.5, 2)
    about = describe(agent, config, sizes, seeds)
    return Policy(agent, config, sizes, networks, seeds, about)


def draw(count):
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((count, n)) for n in (10, 3))
    return [row.astype(np.float32) for row in rows]


@pytest.mark.parametrize("name", sorted(list_agents()))
def test_every_agent_is_exported_with_its_seed_and_its_scaler(name, tmp_path):
    policy = make_policy(name)
    pair = draw(11)
    due = policy(*(np.repeat(x[None], 3, 0) for x in pair))
    assert np.abs(due[0] - due[2]).max() > 1e-3
    for seed, index in ((None, 0), (8, 2)):
        policy.export(tmp_path / "actor.pt", seed=seed)
        actor = torch.jit.load(tmp_path / "actor.pt")
        found = actor(*map(torch.from_numpy, pair)).numpy()
        assert found.dtype == np.float32 and np.abs(found).max() <= 1
        assert np.allclose(found, due[index], rtol=0, atol=1e-6)


def test_a_fresh_process_without_the_package_acts_the_same(tmp_path):
    policy = make_policy("smore")
    policy.export(tmp_path / "actor.pt", "torchscript", 5)
    states, goals = draw(23)
    np.savez(tmp_path / "inputs.npz", states=states, goals=goals)
    result = subprocess.run(
        [sys.executable, "-I", "-c", FRESH],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "actions.npy")
    due = policy(*(np.repeat(x[None], 3, 0) for x in (states, goals)))[1]
    assert np.allclose(found, due, rtol=0, atol=1e-6)


def test_other_forms_and_seeds_are_one_line(tmp_path):
    policy = make_policy("smore")
    with pytest.raises(ValueError, match="unknown form 'onnx'"):
        policy.export(tmp_path / "a.onnx", "onnx")
    with pytest.raises(ValueError, match="seed 4 was not trained"):
        policy.export(tmp_path / "a.pt", seed=4)
    assert not list(tmp_path.iterdir())
