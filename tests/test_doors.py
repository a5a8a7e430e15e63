"""What enters the package: names, dictionaries, numbers, damaged files."""

import argparse
import contextlib
import copy
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import smore_lit
from smore_lit.appendix import answers, cli, commands
from smore_lit.appendix.options import whole
from smore_lit.data import datasets, foreign
from smore_lit.worlds.pictures import record, save_gif
from smore_lit.learning import training
from smore_lit.running import evaluation
from smore_lit.learning.policies import load_policy, save_policy
from smore_lit.running.rollouts import Rollouts
from smore_lit.learning.smore import SmoreConfig
from smore_lit.learning.trajectories import (
    Trajectories,
    as_trajectories,
    scale_actions,
)

TASK = smore_lit.load_task("PointReach")
SMALL = dict(hidden=(8, 8), batch_size=8)
SHORT = dict(updates=2, seeds=2, eval_episodes=2, workers=0, device="cpu")


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(datasets.SIZES, "toy", 6)
    monkeypatch.setitem(datasets.SHARD, "toy", 3)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A toy dataset of points, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.SIZES, "toy", 6)
        patch.setitem(datasets.SHARD, "toy", 3)
        root = tmp_path_factory.mktemp("made")
        options = dict(expert_percent=50, workers=0, progress=False)
        return datasets.make_dataset(TASK, "toy", root=root, **options)


@pytest.fixture(scope="module")
def arrays(manifest):
    return datasets.read_dataset(manifest)


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory):
    """A finished small run with its files."""
    out = tmp_path_factory.mktemp("run") / "run"
    return training.train(arrays, "smore", TASK, out, settings=SMALL, **SHORT)


# names, dictionaries, paths


def test_a_name_is_a_task_and_a_dictionary_is_data(manifest, arrays, run):
    for data in (arrays, as_trajectories(arrays), manifest, manifest.parent):
        again = training.train(
            data, "smore", "PointReach", settings=SMALL, **SHORT
        )
        assert again.scores == run.scores
        assert again.description == run.description
    options = dict(seeds=run.seeds, episodes=2, workers=0)
    scores = evaluation.evaluate("PointReach", run.policy, **options)
    other = evaluation.evaluate(TASK, run.policy, **options)
    for name in scores:
        assert (scores[name] == other[name]).all()
    assert smore_lit.load_task(TASK) is TASK


@pytest.mark.parametrize("task", ["PointRaech", 5, ("PointReach",)])
def test_what_is_no_task_is_one_line(task, arrays):
    for call in (
        lambda: training.train(arrays, task=task),
        lambda: evaluation.evaluate(task, None, [0]),
        lambda: datasets.make_dataset(task),
        lambda: foreign.read_foreign("x", "d4rl", task),
    ):
        with pytest.raises(ValueError, match="unknown task") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spelling", ["~/r", "$HOME/r", "./x/../r", "r/"])
def test_a_run_is_found_by_any_spelling(
    spelling, arrays, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").mkdir()
    options = dict(settings=SMALL, **SHORT)
    first = training.train(arrays, "smore", TASK, spelling, **options)
    again = training.train(arrays, "smore", TASK, Path("r"), **options)
    assert again.summary == first.summary
    assert load_policy(spelling).seeds == (0, 1)
    assert sorted(os.listdir(tmp_path)) == ["r", "x"]


def test_a_finished_run_and_its_data_are_read_behind_links(
    manifest, run, tmp_path
):
    (tmp_path / "data").symlink_to(manifest.parents[1])
    (tmp_path / "run").symlink_to(run.directory)
    again = training.train(
        tmp_path / "data" / "PointReach",
        "smore",
        TASK,
        tmp_path / "run",
        settings=SMALL,
        **SHORT,
    )
    assert again.summary == run.summary


def test_making_data_where_none_can_be_written_simulates_nothing(
    tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(datasets, "collect", pytest.fail)
    for root in ("file", "file/below", "/proc/nowhere"):
        with pytest.raises(OSError):
            datasets.make_dataset(TASK, "toy", root=tmp_path / root, workers=0)


def test_linked_data_are_extended_where_they_lie(manifest, tmp_path):
    before = datasets.read_dataset(manifest)
    (tmp_path / "PointReach").symlink_to(manifest.parent)
    options = dict(expert_percent=50, workers=0, progress=False)
    path = datasets.make_dataset(TASK, "toy", root=tmp_path, **options)
    assert path.samefile(manifest)
    after = datasets.read_dataset(path)
    assert all((after[name] == before[name]).all() for name in before)


# actions


def test_no_door_lets_wide_actions_in(arrays, manifest):
    wide = arrays | {"actions": 5 * arrays["actions"]}
    by_hand = Trajectories(
        *(torch.tensor(wide[name]) for name in datasets.ARRAYS),
        torch.full((6,), 50),
    )
    shard = {name: rows[:3] for name, rows in wide.items()}
    content = datasets.pack(shard)
    for call in (
        lambda: as_trajectories(wide),
        lambda: training.train(wide, settings=SMALL),
        lambda: training.train(by_hand, settings=SMALL),
        lambda: datasets.parse_shard(content, TASK, 3, 50),
        lambda: scale_actions(wide["actions"]),
    ):
        with pytest.raises(ValueError, match=r"actions reach \d") as caught:
            call()
        assert "action_low" in str(caught.value)
    nearly = arrays | {"actions": arrays["actions"] * np.float32(1 + 1e-7)}
    content = datasets.pack({name: rows[:3] for name, rows in nearly.items()})
    found = datasets.parse_shard(content, TASK, 3, 50)["actions"]
    assert np.abs(found).max() <= 1


# numbers

ONE = [np.int64, np.int32, np.float64, np.float32, np.array, torch.tensor]


@pytest.mark.parametrize("kind", ONE)
def test_plans_and_settings_take_numbers_as_loops_give_them(kind):
    fields = {
        name: value
        for name, value in vars(training.Plan()).items()
        if type(value) is int
    }
    plan = training.Plan(
        **{name: kind(value) for name, value in fields.items()},
        compile=np.True_,
        precision=np.str_("high"),
    )
    assert plan == training.Plan(compile=True, precision="high")
    for value in vars(plan).values():
        assert type(value) in (int, bool) or isinstance(value, str)
    smore = training.find_agent("smore")
    settings = {
        "gamma": np.float32(0.98),
        "batch_size": kind(64),
        "hidden": np.array([64, 32]),
        "standardise": np.False_,
    }
    config = training.make_config(smore, **settings)
    assert config == SmoreConfig(
        gamma=0.98, batch_size=64, hidden=(64, 32), standardise=False
    )
    json.dumps(vars(config))


def test_a_run_told_in_numpy_is_the_same_run(arrays, run, tmp_path):
    plan = {
        name: np.int64(value)
        for name, value in SHORT.items()
        if name != "device"
    }
    settings = dict(hidden=np.array([8, 8]), batch_size=np.float64(8))
    again = training.train(
        arrays, "smore", TASK, tmp_path, settings=settings, **plan
    )
    assert again.description == run.description
    for name in ("config.json", "metrics.csv", "scores.csv"):
        kept = (run.directory / name).read_bytes()
        assert (tmp_path / name).read_bytes() == kept


@pytest.mark.parametrize("kind", ONE)
def test_evaluation_takes_numbers_as_loops_give_them(kind, run):
    plain = evaluation.evaluate(TASK, run.policy, [0, 1], 2, 3, 0)
    for seeds in (np.arange(2), torch.arange(2), [kind(0), kind(1)], range(2)):
        found = evaluation.evaluate(
            TASK, run.policy, seeds, kind(2), kind(3), workers=kind(0)
        )
        assert (found["return_1"] == plain["return_1"]).all()
    state = np.zeros(2)
    action = run.policy.one(1)(state, state)
    assert (run.policy.one(kind(1))(state, state) == action).all()


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.array])
def test_datasets_take_numbers_as_loops_give_them(kind, manifest, tmp_path):
    path = datasets.make_dataset(
        "PointReach",
        "toy",
        kind(50),
        kind(0),
        kind(0),
        str(tmp_path),
        progress=False,
    )
    assert path.read_bytes() == manifest.read_bytes()
    found = datasets.load_dataset("PointReach", "toy", kind(50), tmp_path)
    assert len(found["actions"]) == 6


@pytest.mark.parametrize(
    "changes",
    [dict(updates=2.5), dict(updates=True), dict(seeds="2"), dict(seed=-1),
     dict(seed=np.nan), dict(workers=-1), dict(workers=None),
     dict(compile=1)],
    ids=str,
)  # fmt: skip
def test_what_is_no_number_is_refused_before_training(changes, arrays):
    with pytest.raises(ValueError, match=next(iter(changes))) as caught:
        training.train(arrays, settings=SMALL, **(SHORT | changes))
    assert "\n" not in str(caught.value)


def test_the_command_line_reads_whole_floats_too():
    read = whole(1)
    assert read("1e4") == 10_000 and read("2000.0") == 2000
    words = "train FetchReach --batch-size 5e2".split()
    assert cli.build_parser().parse_args(words).batch_size == 500
    for text in ("1.5", "0.0", "nan", "inf", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)


def test_films_and_rollouts_take_numbers_as_loops_give_them(tmp_path):
    def act(observation, goal):
        return np.zeros(4)

    frames = record("FetchReach", act, np.int64(0), True)
    assert len(frames) == 51
    assert save_gif(frames[:2], f"{tmp_path}//a.gif").stat().st_size
    with Rollouts(TASK.make, np.int64(2), np.int64(0)) as pool:
        first = pool.reset(np.arange(2))["observation"]
        assert (pool.reset([0.0, np.int64(1)])["observation"] == first).all()
        with pytest.raises(ValueError, match="a seed must be a whole number"):
            pool.reset([2.7])


# intervals


@pytest.mark.parametrize("name", evaluation.METRICS)
def test_intervals_stay_in_the_possible_range(name):
    low, high = evaluation.possible(name, 50)
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows = np.where(rng.random((3, 20, 50)) < rng.random(), 0.0, 1.0)
        reached = rows <= 0.5
        parts = reached, rows, reached[..., -1]
        scores = evaluation.score_episodes(*parts)[name].mean(1)
        found = evaluation.interval(scores, within=(low, high))
        wide = evaluation.interval(scores)
        assert low <= found["low"] <= found["mean"] <= found["high"] <= high
        assert found["low"] == max(wide["low"], low)
        assert found["high"] == min(wide["high"], high)


def test_a_run_reports_no_impossible_interval(run):
    for name, score in run.summary["scores"].items():
        low, high = evaluation.possible(name, TASK.horizon)
        assert low <= score["low"] <= score["high"] <= high


def test_points_have_no_unit_in_the_list_of_tasks(capsys):
    assert cli.main(["tasks"]) == 0
    out = capsys.readouterr().out
    (line,) = (row for row in out.splitlines() if row.startswith("PointReach"))
    assert "  1  " in line and "1 1" not in line
    assert "0.05 m" in out and "0.06 rad" in out


# damaged files

JUNK = [None, [], {}, "x", "a\nb", -1, 0, 1.5, math.nan, math.inf, True,
        10**30, [None], {"a": None}]  # fmt: skip


def places(value, here=()):
    """Yield the path of every value inside nested JSON."""
    if here:
        yield here
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*here, key))


def mutants(value, limit=400):
    """Yield copies of nested JSON with one part deleted or replaced."""
    rng = np.random.default_rng(0)
    chosen = [(p, j) for p in places(value) for j in (..., *range(len(JUNK)))]
    rng.shuffle(chosen := [*map(tuple, chosen)])
    yield from ([], "text", 3, None)
    for place, junk in chosen[:limit]:
        spoiled = copy.deepcopy(value)
        inner = spoiled
        for key in place[:-1]:
            inner = inner[key]
        if junk is ...:
            del inner[place[-1]]
        else:
            inner[place[-1]] = JUNK[junk]
        yield spoiled


def check_damage(path, use, value=None):
    """Check that `use` answers, or refuses in one line naming the file."""
    whole, refused, accepted = path.read_bytes(), 0, 0
    spoiled = [json.dumps(m).encode() for m in mutants(json.loads(whole))]
    cuts = np.random.default_rng(0).integers(0, len(whole) - 2, 20)
    spoiled += [whole[:cut] for cut in cuts]
    for content in spoiled:
        path.write_bytes(content)
        try:
            use()
            accepted += 1
        except ValueError as error:
            line = str(error)
            assert str(path) in line or str(path.parent) in line, line
            assert "\n" not in line and len(line) < 500
            refused += 1
    path.write_bytes(whole)
    use()
    return refused, accepted


@pytest.fixture
def own(run, tmp_path):
    """A copy of the run, to be spoiled."""
    for path in run.directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def train_again(arrays, out):
    again = training.train(arrays, "smore", TASK, out, settings=SMALL, **SHORT)
    answer = commands.describe_run(out, again.summary)
    json.dumps(answers.plain(answer.values), allow_nan=False)


def test_a_spoiled_summary_is_one_line_and_deleting_it_helps(own, arrays):
    path = own / "summary.json"

    def use():
        summary = training.read_summary(path)
        commands.describe_run(own, summary)

    refused, _ = check_damage(path, use)
    assert refused > 200
    for key in json.loads(path.read_bytes()):
        whole = json.loads(path.read_bytes())
        del whole[key]
        path.write_text(json.dumps(whole))
        with pytest.raises(ValueError, match=f"lacks {key}") as caught:
            train_again(arrays, own)
        assert str(path) in str(caught.value)
        assert "delete it" in str(caught.value)
        path.unlink()
        train_again(arrays, own)


def test_a_spoiled_configuration_is_one_line(own, arrays):
    smore = training.find_agent("smore")
    config = training.make_config(smore, **SMALL)
    plan = training.Plan(**{k: SHORT[k] for k in list(SHORT)[:3]})

    def use():
        data = as_trajectories(arrays)
        run = training.start_run(data, smore, config, plan, TASK)
        updates = run.plan.updates
        with training.hold(run, run.description, own, updates):
            pass

    refused, _ = check_damage(own / "config.json", use)
    assert refused > 200


def test_a_spoiled_manifest_is_one_line(manifest):
    def use():
        commands.describe_data(manifest, datasets.dataset_info(manifest))
        with contextlib.suppress(OSError):
            datasets.read_dataset(manifest)

    refused, _ = check_damage(manifest, use)
    assert refused > 200


def test_a_spoiled_ledger_is_one_line_or_heals(manifest):
    ledger = manifest.parent / "expert" / "ledger.json"
    options = dict(expert_percent=50, workers=0, progress=False)
    root = manifest.parents[1]

    def use():
        path = datasets.make_dataset(TASK, "toy", root=root, **options)
        assert path == manifest

    refused, _ = check_damage(ledger, use)
    assert refused > 50


def test_a_spoiled_description_of_a_checkpoint_is_one_line(run, tmp_path):
    path = tmp_path / "policy.pt"
    save_policy(path, run.policy, ["policy"])
    content = torch.load(path, weights_only=True)
    refused = 0
    for description in mutants(content["description"], 150):
        torch.save(content | {"description": description}, path)
        try:
            commands.find_policy(path)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("junk", ["x", "", "nan", "1e999", "1,2"])
def test_a_spoiled_score_is_one_line(junk, own, arrays):
    path = own / "scores.csv"
    whole = path.read_text()
    score = whole.splitlines()[1].split(",")[5]
    path.write_text(whole.replace(f",{score},", f",{junk},", 1))
    with pytest.raises(ValueError) as caught:
        train_again(arrays, own)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
