"""The benchmark scripts: each is listed, and finds what it imports."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_finds_what_it_imports(name, monkeypatch):
    """Its main part does not run: that is another name than this."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    runpy.run_path(str(FOLDER / name), run_name="imported")
    for other in set(sys.modules) - before:
        if f"{other}.py" in SCRIPTS:
            del sys.modules[other]


def test_the_readme_lists_every_script():
    text = (FOLDER / "README.md").read_text()
    for name in SCRIPTS:
        assert name == "gathering.py" or f"`{name}`" in text


def test_a_cell_is_trained_once_and_read_again(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gathering

    from smore_lit.benchmark.grid import PROTOCOLS, Protocol
    from smore_lit.data.datasets import tiny_dataset

    short = Protocol("cpu", "tiny", 2, {"": 3}, 1, eval_episodes=1)
    monkeypatch.setitem(PROTOCOLS, "cpu", short)
    monkeypatch.setattr(gathering, "ROOT", tmp_path)
    tiny = tiny_dataset("FetchReach")
    monkeypatch.setattr(gathering, "load_dataset", lambda *_, **__: tiny)
    small = {"hidden": (8, 8), "batch_size": 8}
    first = gathering.train_cell("FetchReach", "bc", **small)
    stamp = (first.directory / "checkpoint.pt").stat().st_mtime_ns
    again = gathering.train_cell("FetchReach", "bc", **small)
    assert again.directory == first.directory and again.updates == 3
    assert (first.directory / "checkpoint.pt").stat().st_mtime_ns == stamp
    other = gathering.train_cell("FetchReach", "bc", (0.0, 0.0, 0.0), **small)
    assert other.directory != first.directory
    assert (other.sampler.data.desired_goals == 0).all()
    sys.modules.pop("gathering")
