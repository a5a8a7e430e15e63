"""The loop trains any learner; a spec says which run is meant."""

import dataclasses
import multiprocessing
import pickle
from pathlib import Path

import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.training import Plan, train, train_spec
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.checkpoints import (
    Line,
    find_tensors,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from smore_lit.running.files import read_table
from smore_lit.running.loop import Schedule, hold, run_loop

SCHEDULE = Schedule(40, seeds=2, log_every=3, checkpoint_every=10)
SMALL = dict(hidden=(16, 16), batch_size=16)


def bits(learner):
    tensors = find_tensors(learner.state_dict())
    return [t.detach().numpy().tobytes() for t in tensors]


def fit(folder=None, schedule=SCHEDULE, looks=(), learner=None):
    learner = learner or Line(schedule.all_seeds)
    held = hold(learner, {"what": "a line"}, folder, schedule.updates)
    with held as record:
        taken, seconds = run_loop(record, schedule, looks)
    assert seconds > 0
    return learner, taken


@pytest.mark.parametrize("value", ["High", "bf16", "", 1, None, ["high"]])
def test_an_unknown_precision_is_refused(value):
    with pytest.raises(ValueError, match="one of highest, high, medium, got"):
        Schedule(precision=value)


def test_a_line_is_found():
    learner, taken = fit(schedule=Schedule(400, seeds=3))
    assert taken == 400
    due = torch.tensor([2.0, -1.0]).expand(3, 2)
    torch.testing.assert_close(
        learner.line["ab"].detach(), due, atol=0.05, rtol=0
    )


@pytest.mark.parametrize("stop", [1, 9, 10, 11, 39, 40])
def test_a_line_goes_on_to_the_same_bits(tmp_path, stop):
    class Stop(Exception):
        pass

    def look(measured):
        raise Stop

    whole, _ = fit(tmp_path / "whole")
    with pytest.raises(Stop):
        fit(tmp_path / "cut", looks=[(stop, look)])
    again, taken = fit(tmp_path / "cut")
    assert taken == 40 - (stop - 1) // 10 * 10  # from the last checkpoint
    assert bits(again) == bits(whole)
    one, two = (tmp_path / n / "metrics.csv" for n in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()
    rows = read_table(one)
    assert [row["updates"] for row in rows[::2]] == [
        str(n) for n in [*range(3, 40, 3), 40]
    ]


def test_looks_come_between_rows_and_checkpoint(tmp_path):
    seen = []

    def look(measured):
        rows = read_table(tmp_path / "metrics.csv")
        saved = (tmp_path / "checkpoint.pt").exists()
        seen.append((int(rows[-1]["updates"]), saved, set(measured)))

    fit(tmp_path, Schedule(6, seeds=1, log_every=6), [(6, look)])
    assert seen == [(6, False, {"loss"})]


def test_another_learner_is_refused_and_nothing_changed(tmp_path):
    learner, _ = fit()
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, learner.state_dict(), {})
    other = Line((0, 1, 2))
    before = bits(other)
    with pytest.raises(ValueError, match="does not fit this run"):
        restore(read_checkpoint(path), other)
    assert bits(other) == before


def test_a_broken_number_is_not_saved(tmp_path):
    class Broken(Line):
        def step(self):
            measured = super().step()
            return measured | {"other": measured["loss"] / 0 * 0}

    with pytest.raises(FloatingPointError, match="other is not finite"):
        fit(tmp_path, learner=Broken((0, 1)))
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.fixture(scope="module")
def data():
    return as_trajectories(**tiny_dataset("FetchReach"))


def train_apart(spec, data, runs):
    torch.set_num_threads(1)
    return str(train_spec(spec, data, runs=runs).directory)


def test_a_spec_is_trained_by_another_process_into_the_same_folder(
    data, tmp_path
):
    options = dict(settings=SMALL, seeds=2, updates=4, device="cpu")
    here = train(data, "iql", runs=tmp_path / "here", **options)
    task = train(data, "iql", "FetchReach", eval_episodes=1, **options)
    assert here.spec.folder != task.spec.folder
    sent = pickle.loads(pickle.dumps(task.spec))
    assert sent.folder == task.spec.folder
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        words = here.spec, data, tmp_path / "there"
        folder = Path(pool.apply(train_apart, words))
    assert folder.name == here.directory.name == here.spec.folder
    one, two = (
        read_checkpoint(place / "checkpoint.pt")["networks"]
        for place in (folder, here.directory)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_spec_wants_its_own_data(data):
    options = dict(settings=SMALL, seeds=1, updates=1, device="cpu")
    spec = train(data, "bc", **options).spec
    other = dataclasses.replace(data, actions=-data.actions)
    with pytest.raises(ValueError, match="not the data of that run"):
        train_spec(spec, other)
    longer = dataclasses.replace(spec, plan=Plan(2, seeds=1))
    assert train_spec(longer, data).updates == 2
