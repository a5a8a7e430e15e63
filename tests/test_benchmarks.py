"""The benchmark scripts' bookkeeping: which runs they plan."""

import sys
from pathlib import Path

import pytest

from smore_lit.learning.agent import find_agent, make_config

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("gathering", "seven_methods"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import seven_methods

    return seven_methods


def test_methods_without_a_preset_are_left_out(script):
    runs = script.plan_runs("FetchPick", ("paper", "released"), script.METHODS)
    assert [m for _, preset, m in runs if preset == "paper"] == ["smore"]
    released = [m for _, preset, m in runs if preset == "released"]
    assert released == list(script.METHODS)


def test_every_variant_is_a_configuration(script):
    for algorithm, settings in script.VARIANTS.values():
        assert make_config(find_agent(algorithm), **settings)
