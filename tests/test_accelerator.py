"""The accelerator script, with small numbers and no accelerator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.running.files import read_table
from smore_lit.learning.trajectories import as_trajectories

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import accelerator

    return accelerator


@pytest.mark.parametrize("algorithm", ["smore", "gofar", "iql"])
def test_the_captured_update_is_the_update(accelerator, algorithm):
    data = as_trajectories(**tiny_dataset("FetchReach"))
    plain, replayed = (
        accelerator.begin(data, algorithm, 2, "cpu", updates=8)
        for _ in range(2)
    )
    captured = accelerator.Captured(replayed, "cpu")
    for old, new in zip(replayed.generators, plain.generators):
        old.set_state(new.get_state())  # it drew once, to know the shape
    for _ in range(4):
        plain.step()
        captured()
    assert replayed.state.updates == plain.state.updates == 4
    for kind in ("vectors", "slow"):
        for name, vector in getattr(plain.state, kind).items():
            other = getattr(replayed.state, kind)[name]
            # the learning rate of the captured one has single precision,
            # and one step of Adam is 1e-3
            assert torch.allclose(vector, other, rtol=0, atol=2e-5)


@pytest.mark.weekly
def test_the_whole_script_runs_on_a_cpu_in_small(tmp_path):
    words = (
        "--device cpu --minutes 0.2 --updates 4 --looks 2 --tasks PointReach"
        " --seeds 2 --size tiny --counts 1 --workers 0"
    )
    places = ["--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    subprocess.run(
        [sys.executable, "accelerator.py", *words.split(), *places],
        cwd=BENCHMARKS,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
        check=True,
        timeout=280,
    )
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert found["failed"] == {}
    assert max(found["agreement"]["largest_difference"].values()) == 0.0
    assert found["checkpoints"] == {"cpu to cpu": True}
    assert {row["way"] for row in found["speed"]} == {"plain", "captured"}
    rows = read_table(tmp_path / "accelerator_scores.csv")
    assert len(rows) == 3 * 2 * 2  # methods, seeds, looks
    assert {row["algorithm"] for row in rows} == {"smore", "gofar", "iql"}
