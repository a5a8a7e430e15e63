"""The store of results: what goes in comes out, once, whatever happens."""

import json
import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.training import train
from smore_lit.running import results
from smore_lit.running.evaluation import METRICS
from smore_lit.running.files import read_table, results_folder
from smore_lit.running.identity import name_run
from smore_lit.running.results import (
    TABLES,
    add_run,
    format_rows,
    read_results,
    read_store,
    select,
)

SMALL = dict(hidden=(16, 16), batch_size=16)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs of two seeds each."""
    data = tiny_dataset("FetchReach")
    plan = dict(updates=4, seeds=2, eval_every=2, eval_episodes=2, workers=0)
    plan |= dict(log_every=2, device="cpu", task="FetchReach")
    folder = tmp_path_factory.mktemp("runs")
    return [
        train(data, "bc", runs=folder, settings=SMALL | more, **plan)
        for more in ({}, {"cosine": False})
    ]


def test_what_goes_in_comes_out(runs, tmp_path):
    for run, label in zip(runs, ("falls", "stays"), strict=True):
        name = add_run(run.directory, "rates", label, tmp_path, metrics=True)
        assert name == name_run(run.description)
        assert run.directory.name.endswith(name)
    for run, cosine in zip(runs, (True, False), strict=True):
        rows = select(folder=tmp_path, cosine=cosine)
        asked = [
            {key: row[key] for key in ("seed", "updates", *METRICS)}
            for row in run.scores
        ]
        found = [{key: row[key] for key in asked[0]} for row in rows]
        assert found == asked and len(rows) == 4
        row = rows[0]
        assert row["config"]["hidden"] == [16, 16]
        assert row["plan"]["seeds"] == [0, 1] and row["plan"]["updates"] == 4
        assert row["versions"] == run.summary["versions"]
        assert row["hardware"] == run.summary["hardware"]
        assert row["code"] == name_run(run.description["code"])
    assert len(select(folder=tmp_path, hidden=(16, 16))) == 8
    (stays,) = select("runs", tmp_path, study="rates", label="stays")
    assert stays["config"]["cosine"] is False
    rows = select("metrics", tmp_path, label={"stays", "other"})
    kept = read_table(runs[1].directory / "metrics.csv")
    assert [row["loss_policy"] for row in rows] == [
        float(row["loss_policy"]) for row in kept
    ]
    with pytest.raises(ValueError, match="no run has 'hiden'"):
        select(folder=tmp_path, hiden=(16, 16))


def test_other_code_is_seen(runs, tmp_path):
    add_run(runs[0].directory, "s", "l", tmp_path)
    (row,) = select("runs", tmp_path)
    code = dict(runs[0].description["code"])
    assert row["code"] == name_run(code)
    code["smore_lit.learning.objectives"] = "other"
    assert row["code"] != name_run(code)


def test_adding_again_doubles_nothing(runs, tmp_path):
    for _ in range(2):
        for run in runs:
            add_run(run.directory, "s", str(run.config.cosine), tmp_path)
    for name, count in (("runs", 2), ("scores", 8), ("studies", 2)):
        assert len(read_results(name, tmp_path)) == count
    add_run(runs[0].directory, "other", "first", tmp_path)
    assert len(read_results("studies", tmp_path)) == 3
    assert len(select(folder=tmp_path)) == 8
    add_run(runs[1].directory, "other", "first", tmp_path)
    (row,) = select("runs", tmp_path, study="other")
    assert row["config"]["cosine"] is False


@pytest.mark.parametrize("order", ["short first", "long first"])
def test_a_run_that_went_on_leaves_the_shorter_one_in_its_place(
    order, runs, tmp_path
):
    short, store = runs[1], tmp_path / "store"
    longer = train(
        tiny_dataset("FetchReach"),
        "bc",
        "FetchReach",
        settings=vars(short.config),
        runs=tmp_path / "runs",
        **vars(short.plan) | {"updates": 8},
    )
    assert longer.directory.name == short.directory.name
    asked = [(short, "short"), (longer, "long")]
    add_run(short.directory, "s", "alone", tmp_path / "alone", metrics=True)
    for run, label in asked if order == "short first" else asked[::-1]:
        add_run(run.directory, "s", label, store, metrics=True)
    for table in ("scores", "metrics"):
        for label, end in (("short", 4), ("long", 8)):
            rows = select(table, store, study="s", label=label)
            assert max(row["updates"] for row in rows) == end
            assert {row["plan"]["updates"] for row in rows} == {end}
            assert len(rows) == end
        alone = read_results(table, tmp_path / "alone")
        names = set(alone[0]) - {"seconds"}
        found = select(table, store, label="short")
        assert [{n: row[n] for n in names} for row in found] == [
            {n: row[n] for n in names} for row in alone
        ]
    (row,) = read_results("runs", store)
    assert row["plan"]["updates"] == 8
    assert len(select("runs", store, label="short", updates=4)) == 1
    assert not select("runs", store, label="short", updates=8)


def test_a_damaged_plan_is_told_before_a_run_is_added(runs, tmp_path):
    add_run(runs[0].directory, "s", "a", tmp_path)
    path = tmp_path / "runs.csv"
    path.write_text(path.read_text().replace('""updates""', '""up""'))
    before = [read_table(tmp_path / f"{n}.csv") for n in ("scores", "runs")]
    with pytest.raises(ValueError, match="runs.csv, line 2: plan lacks"):
        add_run(runs[0].directory, "s", "a", tmp_path)
    after = [read_table(tmp_path / f"{n}.csv") for n in ("scores", "runs")]
    assert before == after


@pytest.mark.parametrize("what", ["code", "versions"])
def test_a_shorter_run_of_other_code_replaces_a_longer_one(
    what, runs, tmp_path, monkeypatch
):
    describe = results.describe_finished

    def older(folder):
        return describe(folder) | {what: "older"}

    with monkeypatch.context() as patch:
        patch.setattr(results, "describe_finished", older)
        for run, label in zip(runs, ("first", "second"), strict=True):
            add_run(run.directory, "s", label, tmp_path, metrics=True)
    for name in ("scores", "metrics"):
        path = tmp_path / f"{name}.csv"
        rows = read_table(path)
        more = [
            row | {"updates": "8"} for row in rows if row["updates"] == "4"
        ]
        path.write_text(format_rows(rows[0], rows + more))
    path = tmp_path / "runs.csv"
    path.write_text(
        path.read_text().replace('""updates"": 4', '""updates"": 8')
    )
    add_run(runs[0].directory, "s", "first", tmp_path)
    first, second = (name_run(run.description) for run in runs)
    assert max(r["updates"] for r in select(folder=tmp_path, run=first)) == 4
    assert max(r["updates"] for r in select(folder=tmp_path, run=second)) == 8
    assert not select("metrics", tmp_path, run=first)
    assert select("metrics", tmp_path, run=second)
    rows = {row["run"]: row for row in read_results("runs", tmp_path)}
    assert rows[first]["plan"]["updates"] == 4
    assert rows[first][what] == describe(runs[0].directory)[what]
    assert rows[second][what] == "older"


def test_a_label_without_updates_stands_for_the_whole_run(runs, tmp_path):
    add_run(runs[0].directory, "s", "a", tmp_path)
    path = tmp_path / "studies.csv"
    whole = select(folder=tmp_path, study="s", updates=4)
    (row,) = read_table(path)
    for change in ({"updates": ""}, {"updates": None}):
        row |= change
        columns = [name for name in row if row[name] is not None]
        path.write_text(format_rows(columns, [row]))
        assert select(folder=tmp_path, study="s", updates=4) == whole
    add_run(runs[1].directory, "s", "b", tmp_path)
    assert [r["updates"] for r in read_results("studies", tmp_path)] == [
        None,
        4,
    ]


def test_a_writer_that_dies_between_two_files(runs, tmp_path, monkeypatch):
    add_run(runs[0].directory, "s", "a", tmp_path)
    before = select(folder=tmp_path)
    write, calls = results.write_atomic, []

    def dies(path, text):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_atomic", dies)
        with pytest.raises(OSError, match="No space"):
            add_run(runs[1].directory, "s", "b", tmp_path)
    assert select(folder=tmp_path) == before
    add_run(runs[1].directory, "s", "b", tmp_path)
    assert len(select(folder=tmp_path)) == 8
    assert len(read_results("scores", tmp_path)) == 8


@pytest.mark.parametrize("after", ["studies", "runs", "scores"])
@pytest.mark.parametrize("asked", [{}, {"study": "s"}])
def test_a_run_is_added_while_another_process_reads(
    asked, after, runs, tmp_path, monkeypatch
):
    add_run(runs[0].directory, "s", "a", tmp_path)
    read = results.read_results

    def read_slowly(name, folder=None):
        rows = read(name, folder)
        if name == after:
            add_run(runs[1].directory, "s", "b", tmp_path)
        return rows

    monkeypatch.setattr(results, "read_results", read_slowly)
    if asked:
        assert len(select(folder=tmp_path, **asked)) == 4
    else:
        assert len(results.read_store(tmp_path)["studies"]) == 1


def test_many_writers_wait_for_each_other(runs, tmp_path):
    store = tmp_path / "store"
    with get_context("fork").Pool(6) as pool:
        waiting = [
            pool.apply_async(add_run, (runs[n % 2].directory, "s", n, store))
            for n in range(12)
        ]
        names = [each.get(60) for each in waiting]
    assert len(set(names)) == 2
    assert sorted(row["label"] for row in read_results("studies", store)) == (
        sorted(map(str, range(12)))
    )
    assert len(select(folder=store)) == 8
    assert not [p for p in store.iterdir() if p.suffix != ".csv"]


def test_bad_input_is_one_line(runs, tmp_path):
    with pytest.raises(ValueError, match="holds no finished run: train it"):
        add_run(tmp_path, "s", "l", tmp_path / "store")
    with pytest.raises(ValueError, match="no results 'moon'; known: .*runs"):
        read_results("moon")
    with pytest.raises(ValueError, match="no results 'runs'; known: none"):
        select(folder=tmp_path)
    for name, key in (("summary", "updates"), ("config", "data")):
        broken = tmp_path / name
        broken.mkdir()
        for path in runs[0].directory.glob("*.[jc]s*"):
            content = path.read_text()
            if path.stem == name:
                value = json.loads(content)
                del value[key]
                content = json.dumps(value)
            (broken / path.name).write_text(content)
        with pytest.raises(ValueError, match=f"lacks {key}") as caught:
            add_run(broken, "s", "l", tmp_path / "store")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def change(path, edit):
    """Rewrite a table by a function of its rows as text."""
    rows = edit(read_table(path))
    path.write_text(format_rows(rows[0], rows))


def first(**cells):
    """Return an edit that changes cells of the first row."""
    return lambda rows: [rows[0] | cells, *rows[1:]]


def without(column):
    """Return an edit that drops a column."""
    return lambda rows: [
        {k: v for k, v in row.items() if k != column} for row in rows
    ]


@pytest.mark.parametrize("table", ["runs", "scores", "metrics", "studies"])
def test_rows_that_a_merge_left_twice_count_once(table, runs, tmp_path):
    add_run(runs[0].directory, "s", "l", tmp_path, metrics=True)
    every = ("runs", "scores", "metrics")
    before = [select(name, tmp_path, study="s") for name in every]
    change(tmp_path / f"{table}.csv", lambda rows: [*rows, *rows[::-1]])
    assert before == [select(name, tmp_path, study="s") for name in every]


@pytest.mark.parametrize(
    "table, cells",
    [
        ("runs", {"hardware": "another"}),
        ("scores", {"return_099": "0.125"}),
        ("studies", {"run": "second"}),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    table, cells, runs, tmp_path
):
    add_run(runs[0].directory, "s", "l", tmp_path)
    path = tmp_path / f"{table}.csv"
    change(path, lambda rows: [*rows, rows[0] | cells])
    line = len(read_table(path)) + 1
    with pytest.raises(ValueError, match="contradicts another") as caught:
        select(folder=tmp_path, study="s")
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert "\n" not in str(caught.value)


DAMAGE = [
    *(("runs", without(c), c) for c in ("run", "config", "plan")),
    *(("scores", without(c), c) for c in ("seed", "updates", "return_099")),
    *(("studies", without(c), c) for c in ("study", "label")),
    *(
        ("scores", first(return_099=text), "line 2: return_099")
        for text in ("nan", "inf", "-inf", "", "high")
    ),
    ("scores", first(seed="one"), "line 2: seed"),
    ("scores", first(updates=""), "line 2: updates"),
    ("runs", first(config="[1]"), "line 2: config"),
    ("runs", first(config="{"), "line 2: "),
    ("runs", first(plan=""), "line 2: plan"),
    ("runs", first(plan="{}"), "line 2: plan lacks"),
    ("studies", first(run="gone"), "run 'gone' is not in runs.csv"),
]


@pytest.mark.parametrize("table, edit, message", DAMAGE)
def test_a_damaged_store_is_one_line(table, edit, message, runs, tmp_path):
    add_run(runs[0].directory, "s", "l", tmp_path)
    path = tmp_path / f"{table}.csv"
    change(path, edit)
    for read in (
        lambda: select(folder=tmp_path, study="s"),
        lambda: read_store(tmp_path),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            read()
        assert str(path) in str(caught.value)
        assert "from version control" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_named(runs, tmp_path):
    add_run(runs[0].directory, "s", "l", tmp_path)
    for name in ("runs", "scores", "studies"):
        path = tmp_path / f"{name}.csv"
        whole = path.read_bytes()
        path.write_bytes(b"\xef\xbb\xbf" + whole)
        with pytest.raises(ValueError, match="byte order mark"):
            select(folder=tmp_path, study="s")
        files = {p: p.read_bytes() for p in tmp_path.glob("*.csv")}
        with pytest.raises(ValueError, match=f"{name}.csv.*byte order mark"):
            add_run(runs[1].directory, "s", "k", tmp_path)
        assert files == {p: p.read_bytes() for p in tmp_path.glob("*.csv")}
        path.write_bytes(whole)


def test_a_table_that_is_gone_is_to_be_restored(runs, tmp_path):
    add_run(runs[0].directory, "s", "l", tmp_path)
    (tmp_path / "runs.csv").unlink()
    with pytest.raises(ValueError, match="restore .*runs.csv from version"):
        select(folder=tmp_path)


def test_digests_are_no_numbers():
    assert results.parse_cell("run", "12e456789012") == "12e456789012"
    assert results.parse_cell("seed", "12") == 12
    assert results.parse_cell("success", "0.5") == 0.5
    assert results.parse_cell("success", "") is None
    assert results.parse_cell("config", '{"a": [1]}') == {"a": [1]}


def test_the_committed_store_holds_together():
    folder = results_folder()
    known = {row["run"] for row in read_table(folder / "runs.csv")}
    for name, keys in (
        ("runs", ("run",)),
        ("scores", ("run", "seed", "updates")),
        ("metrics", ("run", "seed", "updates")),
        ("studies", ("study", "task", "label")),
    ):
        rows = read_table(folder / f"{name}.csv")
        assert set(TABLES[name]) <= set(rows[0])
        found = [tuple(row[key] for key in keys) for row in rows]
        assert len(set(found)) == len(found)
        assert {row["run"] for row in rows} <= known
    scored = {row["run"] for row in read_table(folder / "scores.csv")}
    asked = {row["run"] for row in read_table(folder / "studies.csv")}
    assert scored == asked == known


def test_every_file_of_results_is_explained():
    text = (results_folder() / "README.md").read_text()
    for name in os.listdir(results_folder()):
        assert name == "README.md" or f"`{name}`" in text, name
    for script in Path(__file__).parents[1].glob("benchmarks/*.py"):
        if (
            script.stem != "gathering"
            and f"benchmarks/{script.name}" not in text
        ):
            assert "results" not in script.read_text().split('"""')[1], script
