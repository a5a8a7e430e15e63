"""The benchmark scripts' bookkeeping: which runs, and what is gathered."""

import json
import sys
from pathlib import Path

import pytest

from smore_lit.learning.agent import find_agent, make_config
from smore_lit.running.files import read_table

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("gathering", "seven_methods"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gathering
    import seven_methods

    folder = tmp_path / "results"
    folder.mkdir()
    for module in (gathering, seven_methods):
        monkeypatch.setattr(module, "results_folder", lambda: folder)
    return seven_methods


def test_methods_without_a_preset_are_left_out(script):
    runs = script.plan_runs("FetchPick", ("paper", "released"), script.METHODS)
    assert [m for _, preset, m in runs if preset == "paper"] == ["smore"]
    released = [m for _, preset, m in runs if preset == "released"]
    assert released == list(script.METHODS)


def test_every_variant_is_a_configuration(script):
    for algorithm, settings in script.VARIANTS.values():
        assert make_config(find_agent(algorithm), **settings)


def finish(root, preset, method, score):
    folder = root / "runs" / f"preset-FetchPick-{preset}-{method}"
    folder.mkdir(parents=True)
    summary = dict(seeds=[0], updates=5, updates_per_second=1.0)
    summary |= dict(gflop_per_update=1.0, wall_seconds=2.4)
    (folder / "summary.json").write_text(json.dumps(summary))
    text = f"task,seed,updates,return_099\nFetchPick,0,5,{score}\n"
    (folder / "scores.csv").write_text(text)


def test_gathering_keeps_rows_of_runs_made_elsewhere(script, tmp_path):
    finish(tmp_path, "released", "iql", 1.0)
    script.gather(tmp_path / "runs")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    finish(tmp_path, "released", "gofar", 2.0)
    finish(tmp_path, "paper", "smore", 3.0)
    script.gather(tmp_path / "runs")
    rows = read_table(tmp_path / "results" / "preset_scores.csv")
    found = {(r["preset"], r["method"]): r["return_099"] for r in rows}
    assert found == {
        ("released", "iql"): "1.0",
        ("released", "gofar"): "2.0",
        ("paper", "smore"): "3.0",
    }
    script.gather(tmp_path / "runs")
    assert len(read_table(tmp_path / "results" / "preset_scores.csv")) == 3
    times = read_table(tmp_path / "results" / "preset_times.csv")
    assert len(times) == 3 and times[0]["seconds"] == "2"
