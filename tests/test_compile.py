"""Compiled training equals training as it stands, to rounding."""

import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from smore_lit.appendix.options import describe_agents
from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.loop import Record

compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
SMALL = dict(batch_size=32, hidden=(16, 16))


@pytest.fixture(scope="module")
def data():
    return as_trajectories(**tiny_dataset("FetchReach"))


def weights(data, out=None, **plan):
    plan = dict(seeds=2, log_every=5, checkpoint_every=5) | plan
    run = train(data, out=out, settings=SMALL, **plan)
    return dict(run.state.networks.named_parameters())


@compiler
def test_compiled_and_not_agree_and_a_stopped_run_goes_on(data, tmp_path):
    plain = weights(data, updates=10)
    counters.clear()
    whole = weights(data, updates=10, compile=True)
    assert not counters["graph_break"]  # derivatives included
    for name, value in plain.items():
        torch.testing.assert_close(
            whole[name], value, rtol=1e-3, atol=1e-5, msg=name
        )

    class Stop(Exception):
        pass

    def stop(record, measured, save=Record.save):
        save(record, measured)
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "save", stop)
        with pytest.raises(Stop):
            weights(data, tmp_path, updates=10, compile=True)
    again = weights(data, tmp_path, updates=10, compile=True)
    for name, value in whole.items():
        assert torch.equal(again[name], value), name


@compiler
@pytest.mark.weekly
@pytest.mark.parametrize("algorithm", [a["name"] for a in describe_agents()])
def test_every_method_compiles(data, algorithm):
    plain, whole = (
        train(data, algorithm, settings=SMALL, seeds=2, updates=3, compile=on)
        for on in (False, True)
    )
    pairs = zip(
        plain.state.networks.named_parameters(),
        whole.state.networks.parameters(),
        strict=True,
    )
    for (name, due), found in pairs:
        torch.testing.assert_close(found, due, rtol=1e-3, atol=1e-5, msg=name)


def test_without_a_compiler_there_is_one_line(data, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="needs the C.. compiler no-such"):
        weights(data, updates=1, compile=True)


def test_compile_is_yes_or_no(data):
    with pytest.raises(ValueError, match="compile must be a bool, got 1"):
        weights(data, updates=1, compile=1)
