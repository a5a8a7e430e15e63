"""Killed anywhere, a run goes on to the same bits; looking changes nothing."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.running import files
from smore_lit.learning.agent import find_agent, make_config
from smore_lit.running.checkpoints import read_checkpoint
from smore_lit.running.files import Table, read_table
from smore_lit.learning.training import (
    Plan,
    Run,
    count_flops,
    start_run,
    train,
)
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.loop import PRECISIONS

ROOT = Path(__file__).resolve().parents[1]
SMALL = dict(hidden=(16, 16), batch_size=16)
SHORT = dict(
    updates=60,
    seeds=2,
    eval_every=20,
    eval_episodes=2,
    log_every=5,
    checkpoint_every=10,
)


class World:
    """A hand without a simulator: it goes where it is told."""

    def reset(self, seed):
        rng = np.random.default_rng(seed)
        self.hand = rng.uniform(-0.15, 0.15, 3)
        self.goal = rng.uniform(-0.15, 0.15, 3)
        return self.state(), {}

    def state(self):
        return dict(
            observation=np.concatenate((self.hand, np.zeros(7))),
            achieved_goal=self.hand.copy(),
            desired_goal=self.goal,
        )

    def step(self, action):
        self.hand = self.hand + 0.03 * np.asarray(action[:3], np.float64)
        return self.state(), 0.0, False, False, {}

    def close(self):
        pass


class Reach:
    name, threshold, horizon = "Reach", 0.05, 6
    observation_size, action_size, goal_size = 10, 4, 3

    def make(self):
        return World()

    def distance(self, achieved, desired):
        return np.linalg.norm(achieved - desired, axis=-1)

    def reward(self, achieved, desired):
        return (self.distance(achieved, desired) <= self.threshold) * 1.0

    success = reward


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    return as_trajectories(**tiny_dataset("FetchReach"))


def run_short(data, out=None, task=None, **changes):
    options = {**SHORT, "settings": SMALL, "workers": 0, **changes}
    return train(data, "smore", task or Reach(), out, "cpu", **options)


@pytest.mark.parametrize("precision", [None, *PRECISIONS])
def test_products_are_as_precise_as_the_plan_says(
    data, monkeypatch, precision
):
    """Whatever the process had set; and that is set again afterwards."""
    seen, step = [], Run.step

    def look(run):
        seen.append(torch.get_float32_matmul_precision())
        return step(run)

    monkeypatch.setattr(Run, "step", look)
    given = {} if precision is None else {"precision": precision}
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        run = run_short(data, updates=2, seeds=1, **given)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {precision or "highest"}
    asked = run.description["plan"].get("precision", "highest")
    assert asked == (precision or "highest")


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_depend_on_the_plan_and_not_on_the_process(data, threads):
    wide = dict(hidden=(256, 256), batch_size=512)
    options = dict(updates=5, seeds=1, settings=wide, threads=threads)
    before, found = torch.get_num_threads(), []
    try:
        for around in (1, 2):
            torch.set_num_threads(around)
            run = run_short(data, **options)
            assert torch.get_num_threads() == around
            found.append(run.state.vectors)
    finally:
        torch.set_num_threads(before)
    assert run.description["plan"]["threads"] == threads
    for name, vector in found[0].items():
        assert torch.equal(vector, found[1][name])


def find_values(content):
    """Flatten a checkpoint into comparable values."""
    if isinstance(content, dict):
        return {k: find_values(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [find_values(v) for v in content]
    if isinstance(content, torch.Tensor):
        return content.shape, content.dtype, content.numpy().tobytes()
    return content


def assert_same_run(one, other):
    for name in ("config.json", "metrics.csv", "scores.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    contents = [read_checkpoint(d / "checkpoint.pt") for d in (one, other)]
    first, second = map(find_values, contents)
    assert first == second
    strays = [p.name for p in other.iterdir() if p.name.startswith(".")]
    assert strays == []
    summaries = [
        json.loads((d / "summary.json").read_text()) for d in (one, other)
    ]
    for summary in summaries:
        summary.pop("wall_seconds"), summary.pop("updates_per_second")
    assert summaries[0] == summaries[1]


SCRIPT = """
import sys
import torch
from smore_lit import as_trajectories, load_task, tiny_dataset, train
torch.set_num_threads(1)
data = as_trajectories(**tiny_dataset("FetchReach"))
train(data, "smore", load_task("FetchReach"), sys.argv[1], "cpu", workers=0,
      settings=dict(hidden=(16, 16), batch_size=16), updates=300, seeds=2,
      eval_every=200, eval_episodes=1, log_every=5, checkpoint_every=20)
"""


def start(folder, script=SCRIPT):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", script, folder]

    def listen():  # a test that runs in the background ignores SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        preexec_fn=listen,
    )


def logged(folder):
    path = folder / "metrics.csv"
    rows = read_table(path) if path.exists() else []
    return int(rows[-1]["updates"]) if rows else 0


@pytest.mark.weekly
def test_ten_kills_leave_the_same_bits(tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    process = start(alone)
    assert process.wait() == 0, process.stderr.read()
    rng = np.random.default_rng(7)
    points = sorted(5 * rng.choice(np.arange(1, 59), 10, replace=False))
    reached = []
    for point in points:
        process = start(killed)
        while logged(killed) < point and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
        reached.append(logged(killed))
    assert reached[-1] < 300, "the last kill must come before the end"
    process = start(killed)
    assert process.wait() == 0, process.stderr.read()
    assert_same_run(alone, killed)


def live(task):
    """Run `task` in a forked process; return its wait status."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            task()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def arm(kind, count):
    """Make this process die at the count-th event of a kind."""
    calls = iter(range(1, 10**6))

    def die_after(action=lambda: None):
        if next(calls) == count:
            action()
            os.kill(os.getpid(), signal.SIGKILL)

    replace, fsync, append = os.replace, os.fsync, Table.append

    def half_append(table, rows):
        rows = list(rows)
        text = table._format(rows)

        def write_half():
            with table.path.open("a") as file:
                file.write(text[: len(text) * 2 // 3])

        die_after(write_half)
        append(table, rows)

    def before_rename(*paths):
        die_after()
        replace(*paths)

    def after_rename(*paths):
        replace(*paths)
        die_after()

    def before_sync(handle):
        die_after()
        fsync(handle)

    if kind == "half a row":
        Table.append = half_append
    elif kind == "before a rename":
        files.os.replace = before_rename
    elif kind == "after a rename":
        files.os.replace = after_rename
    else:
        files.os.fsync = before_sync


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_short(data, folder)
    return folder


@pytest.mark.parametrize(
    "kind, counts",
    [
        ("half a row", (1, 4, 5, 15)),
        ("before a rename", (1, 2, 3, 4, 9, 10)),
        ("after a rename", (1, 2, 3, 4, 9)),
        ("before a sync", (1, 3, 7, 16, 24)),
    ],
)
def test_a_kill_at_any_write_leaves_the_same_bits(
    data, undisturbed, tmp_path, kind, counts
):
    for count in counts:
        folder = tmp_path / str(count)

        def doomed(folder=folder, count=count):
            arm(kind, count)
            run_short(data, folder)

        assert live(doomed) == signal.SIGKILL, count
        assert live(doomed) in (signal.SIGKILL, 0)
        run_short(data, folder)
        assert_same_run(undisturbed, folder)


def test_a_forced_stop_is_resumable(data, undisturbed, tmp_path, monkeypatch):
    from smore_lit.learning import training

    calls = iter(range(10**6))
    real = training.descend

    def interrupted(*arguments):
        if next(calls) == 33:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "descend", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_short(data, tmp_path)
    run_short(data, tmp_path)
    assert_same_run(undisturbed, tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint(
    data, undisturbed, tmp_path, monkeypatch
):
    from smore_lit.running import loop

    calls = iter(range(10**6))
    real = loop.save_checkpoint

    def full(*arguments):
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", full)
        with pytest.raises(OSError, match="No space"):
            run_short(data, tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["updates"] == 20
    run_short(data, tmp_path)
    assert_same_run(undisturbed, tmp_path)


def test_looking_more_often_changes_nothing(data):
    seldom = run_short(data, eval_every=60)
    often = run_short(
        data, eval_every=7, eval_episodes=3, log_every=1, eval_seed=5
    )
    weights = [run.state.networks.state_dict() for run in (seldom, often)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    for a, b in zip(seldom.generators, often.generators, strict=True):
        assert torch.equal(a.get_state(), b.get_state())
    assert len(seldom.scores) == 2 and len(often.scores) == 18


def test_files_do_not_matter_and_workers_do_not_matter(data, undisturbed):
    rows = read_table(undisturbed / "scores.csv")
    for workers in (0, 2):
        run = run_short(data, workers=workers)
        found = [{k: str(v) for k, v in row.items()} for row in run.scores]
        assert found == rows


def test_a_finished_run_is_returned_at_once(data, undisturbed, monkeypatch):
    from smore_lit.learning import training
    from smore_lit.running import loop

    def never(*_):
        raise AssertionError("trained, played or wrote again")

    before = {p: p.stat().st_mtime_ns for p in undisturbed.iterdir()}
    for name in ("descend", "evaluate", "write_atomic"):
        monkeypatch.setattr(training, name, never)
    monkeypatch.setattr(loop, "save_checkpoint", never)
    monkeypatch.setattr(loop, "write_atomic", never)
    monkeypatch.setattr(files, "write_atomic", never)
    run = run_short(data, undisturbed)
    assert run.state.updates == 60 and len(run.scores) == 6
    assert run.scores[-1]["updates"] == 60
    assert run.summary["updates_per_second"] > 0
    observations = np.zeros((2, 1, 10)), np.zeros((2, 1, 3))
    assert run.policy(*observations).shape == (2, 1, 4)
    assert before == {p: p.stat().st_mtime_ns for p in undisturbed.iterdir()}


def test_what_the_files_say(data, undisturbed):
    metrics = read_table(undisturbed / "metrics.csv")
    assert [r["updates"] for r in metrics[::2]] == [
        str(5 * k) for k in range(1, 13)
    ]
    assert {r["seed"] for r in metrics} == {"0", "1"}
    scores = read_table(undisturbed / "scores.csv")
    assert scores[0]["task"] == "Reach" and scores[0]["algorithm"] == "smore"
    assert scores[0]["setting"] == "batch_size=16 hidden=(16, 16)"
    assert "torch 2" in scores[0]["versions"]
    summary = json.loads((undisturbed / "summary.json").read_text())
    last = [float(r["return_099"]) for r in scores[-2:]]
    assert summary["scores"]["return_099"]["mean"] == pytest.approx(
        np.mean(last)
    )


def test_one_seed_has_no_interval_and_plain_json(data, tmp_path):
    for _ in range(2):
        run = run_short(data, tmp_path, seeds=1, updates=10)
        assert np.isnan(run.summary["scores"]["success"]["low"])
    text = (tmp_path / "summary.json").read_text()
    assert "NaN" not in text and '"low": null' in text


def test_no_task_trains_without_evaluation(data, tmp_path):
    run = train(data, out=tmp_path, updates=10, settings=SMALL, seeds=1)
    assert run.scores == [] and run.summary["scores"] == {}
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize(
    "changes, key",
    [
        (dict(updates=61), "plan.updates is 60 there and 61 here"),
        (dict(threads=2), "plan.threads is 1 there and 2 here"),
        (dict(precision="high"), "plan.precision is None there and 'high'"),
        (dict(seed=1), r"seeds is \[0, 1\] there and \[1, 2\] here"),
        (
            dict(settings={**SMALL, "gamma": 0.98}),
            "config.gamma is 0.99 there and 0.98 here",
        ),
    ],
)
def test_the_folder_of_another_run_is_refused(data, undisturbed, changes, key):
    before = {p: p.read_bytes() for p in undisturbed.iterdir()}
    with pytest.raises(ValueError, match=f"another run: {key}") as caught:
        run_short(data, undisturbed, **changes)
    assert "\n" not in str(caught.value)
    assert before == {p: p.read_bytes() for p in undisturbed.iterdir()}


def test_other_data_are_another_run(data, undisturbed):
    arrays = tiny_dataset("FetchReach")
    arrays["actions"] = arrays["actions"].copy()
    arrays["actions"][3, 4, 0] += 1e-3
    with pytest.raises(ValueError, match="another run: data is"):
        run_short(as_trajectories(**arrays), undisturbed)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null"])
def test_a_damaged_description_is_refused(data, tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        run_short(data, tmp_path)
    assert (tmp_path / "config.json").read_bytes() == content


def test_a_damaged_checkpoint_is_refused_and_kept(data, undisturbed, tmp_path):
    for path in undisturbed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    half = (undisturbed / "checkpoint.pt").read_bytes()[:5000]
    (tmp_path / "checkpoint.pt").write_bytes(half)
    with pytest.raises(ValueError, match="no readable checkpoint"):
        run_short(data, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == half
    scores = (undisturbed / "scores.csv").read_bytes()
    assert (tmp_path / "scores.csv").read_bytes() == scores


def test_a_broken_number_stops_the_run_before_it_is_saved(
    data, tmp_path, monkeypatch
):
    from smore_lit.learning import training

    real = training.descend

    def breaks(agent, config, state, *rest):
        if state.updates == 12:
            with torch.no_grad():
                state.networks["value"].network.layers[0].weight[1] = torch.nan
        return real(agent, config, state, *rest)

    monkeypatch.setattr(training, "descend", breaks)
    with pytest.raises(FloatingPointError, match="not finite after 15") as no:
        run_short(data, tmp_path)
    assert "\n" not in str(no.value)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["updates"] == 10
    with pytest.raises(FloatingPointError, match="not finite after 20"):
        run_short(data, tmp_path / "b", log_every=50, checkpoint_every=20)
    assert not (tmp_path / "b" / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    "options, reason",
    [
        (dict(updates=0), "updates must be a whole number, 1 or more"),
        (dict(updates=2.5), "updates must be"),
        (dict(seeds=0), "seeds must be"),
        (dict(seed=-1), "seed must be a whole number, 0 or more"),
        (dict(eval_every=0), "eval_every must be"),
        (dict(checkpoint_every=True), "checkpoint_every must be"),
        (dict(epochs=3), "unknown option of training: .*'epochs'"),
        (dict(settings=dict(sampler="best")), "unknown sampler 'best'"),
        (dict(settings=dict(initialiser="ones")), "unknown initialisation"),
    ],
)
def test_bad_options_are_one_line(data, options, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        run_short(data, **options)
    assert "\n" not in str(caught.value)


def test_devices_tasks_and_folders_that_do_not_fit(data, tmp_path):
    with pytest.raises(ValueError, match="no device 'gpu' here"):
        train(data, device="gpu", updates=1)

    class Other(Reach):
        goal_size = 2

    with pytest.raises(ValueError, match="the data have .* but Reach needs"):
        run_short(data, task=Other())
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        run_short(data, tmp_path / "file" / "run")


def test_batches_are_drawn_on_the_cpu_and_moved_to_the_data(data):
    """A stand-in for an accelerator: data without numbers, on "meta"."""
    from smore_lit.learning.training import uniforms_of

    agent = find_agent("smore")
    config = make_config(agent, hidden=(16,), batch_size=8)
    run, other = (start_run(data, agent, config, Plan(seeds=2)) for _ in "12")
    assert {g.device.type for g in run.generators} == {"cpu"}
    far = dataclasses.replace(data, observations=data.observations.to("meta"))
    run.sampler = SimpleNamespace(columns=run.sampler.columns, data=far)

    there = uniforms_of(run, run.generators)
    here = uniforms_of(other, other.generators)
    assert (there.device.type, here.device.type) == ("meta", "cpu")
    assert there.shape == here.shape
    for one, two in zip(run.generators, other.generators, strict=True):
        assert torch.equal(one.get_state(), two.get_state())


STOPPED = SCRIPT.replace("every=5,", "every=1,").replace("=20)", "=1000)")
STOPPED = STOPPED.replace("updates=300", "updates=100")


@pytest.mark.weekly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, number):
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    assert start(alone, STOPPED).wait() == 0
    process = start(stopped, STOPPED)
    while logged(stopped) < 7:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() in (-number, 1)  # 1: Python shows the interrupt
    content = read_checkpoint(stopped / "checkpoint.pt")
    assert content["updates"] == logged(stopped) < 100
    assert start(stopped, STOPPED).wait() == 0
    assert_same_run(alone, stopped)


def test_a_second_signal_is_obeyed_at_once_and_threads_hold_none():
    from smore_lit.running.loop import hold_signals

    before = signal.default_int_handler  # not so in the background
    outer = signal.signal(signal.SIGINT, before)
    with pytest.raises(KeyboardInterrupt), hold_signals() as stopped:
        signal.raise_signal(signal.SIGINT)
        assert stopped == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with hold_signals() as stopped:
        signal.raise_signal(signal.SIGINT)
    assert stopped == []
    signal.signal(signal.SIGINT, before)
    held = []

    def elsewhere():
        with hold_signals() as stopped:
            held.append(signal.getsignal(signal.SIGINT) is before)
            assert stopped == []

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, outer)
    assert held == [True]


def test_a_missing_simulator_shows_before_the_first_update(
    data, tmp_path, monkeypatch
):
    from smore_lit.learning import training

    class Closed(Reach):
        def make(self):
            raise ValueError("no simulator here")

    monkeypatch.setattr(training, "descend", pytest.fail)
    with pytest.raises(ValueError, match="no simulator here"):
        run_short(data, tmp_path, Closed())


def test_floating_point_work_is_counted_without_a_trace(data):
    agent = find_agent("smore")
    config = make_config(agent, hidden=(16,), batch_size=8)
    run = start_run(data, agent, config, Plan(seeds=2))
    before = find_values(run.state.networks.state_dict())
    states = [g.get_state() for g in run.generators]
    flops = count_flops(run)
    assert find_values(run.state.networks.state_dict()) == before
    assert run.state.updates == 0
    for generator, state in zip(run.generators, states, strict=True):
        assert torch.equal(generator.get_state(), state)
    one = start_run(data, agent, config, Plan(seeds=1))
    assert flops == 2 * count_flops(one) > 0


def test_tensorboard_shows_the_rows_and_changes_nothing(data, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    plain = run_short(data, tmp_path / "plain")
    drawn = run_short(data, tmp_path / "drawn", logger="tensorboard")
    assert drawn.scores == plain.scores
    events = EventAccumulator(str(tmp_path / "drawn" / "tensorboard"))
    events.Reload()
    for row in drawn.scores:
        name = f"scores/return_099/seed {row['seed']}"
        found = {e.step: e.value for e in events.Scalars(name)}
        assert found[row["updates"]] == pytest.approx(row["return_099"])
    rows = read_table(tmp_path / "drawn" / "metrics.csv")
    found = events.Scalars("metrics/loss_policy/seed 1")
    assert [e.value for e in found] == pytest.approx(
        [float(row["loss_policy"]) for row in rows if row["seed"] == "1"]
    )


def test_loggers_are_known_and_need_a_folder(data, tmp_path, monkeypatch):
    import sys

    with pytest.raises(ValueError, match="unknown logger 'x'; known: csv, t"):
        run_short(data, logger="x")
    with pytest.raises(ValueError, match="needs a folder: give out"):
        run_short(data, logger="tensorboard")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="TensorBoard is not installed: pip"):
        run_short(data, tmp_path, logger="tensorboard")
