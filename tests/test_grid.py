"""The grid: expands as the paper's tables ask, survives what kills it."""

import re
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import smore_lit
from smore_lit.benchmark import cells, engines, grid
from smore_lit.learning.training import train
from smore_lit.running import results
from smore_lit.running.files import package_folder, read_table
from smore_lit.running.results import read_results

ASSETS = package_folder() / "assets"
TINY = dict(updates=6, seeds=2, eval_episodes=1)
SMALL = (("batch_size", 8), ("hidden", (8, 8)))


def small_jobs(algorithms=("smore", "iql", "gcsl"), **changes):
    """Return jobs of Table 1 on FetchReach with tiny networks."""
    jobs = grid.expand(
        ["table1"], "smoke", only=["FetchReach", *algorithms], **TINY | changes
    ).jobs
    return [
        dataclasses.replace(
            job, cell=dataclasses.replace(job.cell, settings=SMALL)
        )
        for job in jobs
    ]


def train_here(jobs, places, processes, tell):
    """An engine without processes, for tests that are not about them."""
    for job in jobs:
        tell(job, {})
        tell(job, engines.try_job(job, places))


def places(folder):
    return dict(
        runs=folder / "runs",
        root=ASSETS,
        store=folder / "store",
        write=lambda line: None,
    )


def content(folder):
    names = ("scores", "runs", "studies")
    tables = {name: read_table(folder / f"{name}.csv") for name in names}
    for row in tables["runs"]:
        for column in ("seconds", "updates_per_second", "hardware"):
            del row[column]
    return {
        name: sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
        for name, rows in tables.items()
    }


def test_help_names_every_protocol():
    from smore_lit.appendix import cli

    words = re.findall(r"\w+", cli.PROTOCOLS)
    assert [word for word in words if word != "or"] == list(grid.PROTOCOLS)


@pytest.mark.parametrize("name", cells.TABLES)
@pytest.mark.parametrize("protocol", grid.PROTOCOLS)
def test_every_table_expands_and_costs_something(name, protocol):
    found = grid.expand([name], protocol)
    speeds = grid.seconds_per_product()
    assert found.jobs
    for job in found.jobs:
        assert job.tables == (name,)
        assert 0 < grid.estimate_seconds(job, speeds) < float("inf")
        assert job.config and job.plan.threads == 1
    asked = {
        (row["task"], row["algorithm"], row["expert_percent"], row["beta"])
        for row in read_results("paper_tables")
        if row["table"] == name
    }
    tasks = {job.cell.task for job in found.jobs}
    tasks |= {line.partition(":")[0] for line in found.missing}
    if name != "figure2":
        assert tasks == {task for task, *_ in asked}


def test_every_task_of_table_1_exists_and_locomotion_has_fewer_episodes():
    found = grid.expand(["table1"])
    assert len(found.jobs) == 84 and not found.missing
    for job in found.jobs:
        long = "TgtVel" in job.cell.task
        assert job.plan.eval_episodes == (10 if long else 50)
        assert job.cell.expert_percent is None


def test_a_task_that_does_not_exist_is_named_as_missing():
    cell = cells.Cell("Juggle", "smore")
    assert "does not exist here yet" in grid.what_is_missing(cell, "SMORe")


def test_a_method_without_the_preset_is_named():
    found = grid.expand(["table1"], presets=["paper"], only=["FetchReach"])
    assert [job.cell.algorithm for job in found.jobs] == ["smore"]
    assert "GoFAR: has no preset paper" in found.missing


@pytest.mark.parametrize("name", ["bc", "goal-bc"])
def test_words_may_be_methods_of_a_study(name):
    found = grid.expand(["manipulation"], only=[name])
    assert {job.cell.algorithm for job in found.jobs} == {name}
    assert len(found.jobs) == len(cells.SHORT_TASKS)


def test_nothing_is_missing_that_was_not_asked_for():
    words = ["FetchReach", "smore", "gcsl"]
    found = grid.expand(["table1"], presets=["paper"], only=words)
    assert [job.cell.algorithm for job in found.jobs] == ["smore"]
    assert found.missing == ("GCSL: has no preset paper",)


@pytest.mark.parametrize(
    "words, message",
    [
        (dict(tables=["table3"]), "unknown table"),
        (dict(tables=["table1"], protocol="quick"), "unknown protocol"),
        (dict(tables=["table1"], presets=["mine"]), "unknown preset"),
        (dict(tables=["table1"], only=["FetchJuggle"]), "no task or method"),
        (dict(tables=["table1"], shard=(3, 2)), "shard 3/2"),
        (dict(tables=["table1"], shard=(0, 2)), "shard 0/2"),
        (dict(tables=["table1"], updates=-1), "updates"),
        (dict(tables=["table1"], colour=1), "colour"),
        (dict(tables=["foo"]), "unknown study 'foo'; known: .*manipulation"),
        (dict(tables=["table1"], only=["smore-ablated"]), "in table1; known"),
        (dict(tables=["table1"], only=["bc"]), "no task or method 'bc'"),
        (dict(tables=["manipulation"], only=["crl"]), "known: .*goal-bc"),
        (
            dict(tables=["table1"], presets=["paper"], only=["gcsl"]),
            "nothing is left of table1 .GCSL: has no preset paper",
        ),
        (
            dict(tables=["speeds", "trials"], only=["FetchPush", "iql"]),
            "nothing is left of speeds and trials",
        ),
    ],
)
def test_wrong_words_are_one_line(words, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        grid.expand(**words)
    assert "\n" not in str(caught.value)


def test_shared_cells_are_one_job_that_names_all_its_tables():
    jobs = grid.expand(["table1", "table10", "table12"]).jobs
    whole = [job for job in jobs if job.cell.label == "shared smore"]
    assert len({job.cell.task for job in whole}) == len(whole) == 8
    told = "shared smore hindsight=1.0"  # recorded goals say nothing
    runs = {job.cell.task for job in jobs if job.cell.label == told}
    assert len(runs) == 4 and all("TgtVel" in task for task in runs)
    assert any(job.tables == ("table1", "table10", "table12") for job in whole)


def test_one_run_by_grid_and_by_hand(tmp_path):
    (job,) = small_jobs(["iql"])
    where = places(tmp_path) | {"engine": train_here}
    assert not engines.run_grid([job], **where).failed
    (folder,) = (p for p in (tmp_path / "runs").iterdir() if p.name != "logs")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    data = smore_lit.tiny_dataset("FetchReach")
    again = train(data, runs=tmp_path / "runs", workers=0, **job.arguments())
    assert again.directory.samefile(folder)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}


def test_nothing_is_trained_twice_and_failures_have_a_log(tmp_path):
    jobs, where = small_jobs(), places(tmp_path) | {"engine": train_here}
    first = engines.run_grid(jobs, **where)
    assert len(first.done) == 3 and not first.failed
    whole = content(tmp_path / "store")
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("checkpoint.pt")}
    cell = dataclasses.replace(jobs[0].cell, settings=(("gamma", 2.0),))
    bad = dataclasses.replace(jobs[0], cell=cell)
    second = engines.run_grid([*jobs, bad], **where)
    assert set(second.done) == set(jobs) and set(second.failed) == {bad}
    assert "gamma" in second.failed[bad]["failed"]
    assert "Traceback" in Path(second.failed[bad]["log"]).read_text()
    assert content(tmp_path / "store") == whole
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_a_run_of_other_code_is_stale(tmp_path, monkeypatch):
    jobs = small_jobs(["gcsl"])
    engines.run_grid(jobs, **places(tmp_path) | {"engine": train_here})
    store = tmp_path / "store"
    assert engines.find_done(jobs, store) == set(jobs)
    monkeypatch.setattr(
        "smore_lit.learning.training.digest_agent", lambda agent: {"x": "y"}
    )
    assert engines.find_done(jobs, store) == set()


def test_a_run_is_done_only_with_the_last_score_of_each_seed(tmp_path):
    (job,) = small_jobs(["gcsl"])
    where = places(tmp_path) | {"engine": train_here}
    engines.run_grid([job], **where)
    store = tmp_path / "store"
    path, whole = store / "scores.csv", content(store)
    header, *lines = path.read_text().splitlines(keepends=True)
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("checkpoint.pt")}
    for left in (None, "", header, header + "".join(lines[:-1])):
        path.unlink() if left is None else path.write_text(left)
        assert engines.find_done([job], store) == set()
        assert not engines.run_grid([job], **where).failed
        assert content(store) == whole
        assert engines.find_done([job], store) == {job}
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_a_run_that_went_on_leaves_the_shorter_job_done(tmp_path):
    from dataclasses import replace

    (job,) = small_jobs(["wgcsl"])
    assert not getattr(job.config, "cosine", False)
    plan = replace(job.plan, updates=2 * job.plan.updates)
    longer = replace(job, plan=plan, study="longer")
    where, store = (
        places(tmp_path) | {"engine": train_here},
        tmp_path / "store",
    )
    for each in (job, longer):
        assert not engines.run_grid([each], **where).failed
        done = engines.find_done([job, longer], store)
        assert done == ({job} if each is job else {job, longer})
    assert len(results.read_results("runs", store)) == 1


def test_a_damaged_store_is_refused_before_anything_is_trained(tmp_path):
    (job,) = small_jobs(["gcsl"])
    store, told = tmp_path / "store", []
    store.mkdir()
    for name, text in (
        ("scores", "run,seed\na,1\n"),
        ("studies", "study,task,label,run\ns,t,l,gone\n"),
        ("runs", "\ufeffrun,task\na,b\n"),
    ):
        (store / f"{name}.csv").write_text(text)
        with pytest.raises(ValueError, match=f"{name}.csv.*restore"):
            engines.find_done([job], store)
        with pytest.raises(ValueError, match=f"{name}.csv.*restore"):
            engines.run_grid(
                [job], **places(tmp_path) | {"engine": told.append}
            )
        (store / f"{name}.csv").unlink()
    assert not told and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("which", ["store", "runs"])
@pytest.mark.parametrize("place", ["afile", "/proc/x", "afile/below"])
def test_places_that_cannot_be_written_end_a_grid_at_once(
    which, place, tmp_path, capfd
):
    (tmp_path / "afile").touch()
    words = "grid --table 1 --protocol smoke --only FetchReach gcsl".split()
    where = {"store": tmp_path / "store", "runs": tmp_path / "runs"}
    where[which] = tmp_path / place
    for name, folder in where.items():
        words += [f"--{name}", folder]
    assert call(*words, "--root", ASSETS) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and place.split("/")[-1] in err


def test_a_log_that_cannot_be_written_leaves_the_reason(tmp_path):
    (tmp_path / "afile").touch()
    (job,) = small_jobs(["gcsl"])
    runs = tmp_path / "afile"
    where = engines.Places(ASSETS, runs, tmp_path / "store", runs / "logs")
    found = engines.try_job(job, where)
    assert found["log"] == "" and "afile" in found["failed"]


def test_a_cell_may_store_another_goal(tmp_path):
    (job,) = small_jobs(["gcsl"])
    cell = dataclasses.replace(job.cell, stored_goal=0.0)
    assert cell.label == f"{job.cell.label} stored_goal=0"
    job = dataclasses.replace(job, cell=cell)
    where = engines.Places(ASSETS, tmp_path, tmp_path, tmp_path / "logs")
    found = engines.try_job(job, where)
    assert "a stored goal of these data is 3 finite" in found["failed"]


def listen():  # a test that runs in the background ignores SIGINT
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_one_line(tmp_path):
    words = [sys.executable, "-m", "smore_lit.appendix.cli", "grid"]
    words += "--table 1 --protocol smoke --updates 900000".split()
    words += ["--processes", "1"]
    words += ["--only", "FetchReach", "gcsl", "--root", str(ASSETS)]
    words += ["--runs", str(tmp_path / "runs")]
    words += ["--store", str(tmp_path / "store")]
    for waits in (lambda: list(tmp_path.glob("runs/*/metrics.csv")), None):
        process = subprocess.Popen(
            words,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=listen,
        )
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            started = f"/proc/{process.pid}/task/{process.pid}/children"
            if waits() if waits else Path(started).read_text().strip():
                break
            time.sleep(0.05)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.count("\n") == 1 and "interrupted: " in err


GRID = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_grid import places, small_jobs
from smore_lit.benchmark import engines
folder = Path(sys.argv[1])
jobs = small_jobs(updates=40)
campaign = engines.run_grid(jobs, processes=2, **places(folder))
raise SystemExit(len(campaign.failed))
"""


def start_grid(folder):
    code = GRID.format(tests=str(Path(__file__).parent))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], env=environment
    )


def kill_often(folder, times, rng):
    for _ in range(times):
        process = start_grid(folder)
        with_time = time.monotonic() + rng.uniform(1.0, 12.0)
        while process.poll() is None and time.monotonic() < with_time:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(1.5)  # its processes see that it is gone


@pytest.mark.parametrize(
    "times", [1, pytest.param(10, marks=pytest.mark.weekly)]
)
def test_killed_at_random_points_the_store_is_the_same(tmp_path, times):
    kill_often(tmp_path / "killed", times, random.Random(times))
    assert start_grid(tmp_path / "killed").wait() == 0
    where = places(tmp_path / "whole") | {"engine": train_here}
    assert not engines.run_grid(small_jobs(updates=40), **where).failed
    found = content(tmp_path / "killed" / "store")
    assert found == content(tmp_path / "whole" / "store")
    assert len(found["studies"]) == 3


@pytest.mark.weekly
def test_two_grids_on_one_store_lose_and_double_nothing(tmp_path):
    pair = [start_grid(tmp_path / "both") for _ in range(2)]
    for process in pair:
        process.wait()
    assert start_grid(tmp_path / "both").wait() == 0
    assert start_grid(tmp_path / "alone").wait() == 0
    found = content(tmp_path / "both" / "store")
    assert found == content(tmp_path / "alone" / "store")


# the command line


def call(*words):
    from smore_lit.appendix.cli import main

    return main(list(map(str, words)))


@pytest.mark.parametrize("number", ["1", "2", *map(str, range(6, 17))])
def test_dry_run_of_each_table(number, capfd):
    words = "grid --protocol full --dry-run --json --table".split()
    assert call(*words, number) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["jobs"] and found["core_hours"] > 100
    assert {job["seeds"] for job in found["jobs"]} == {10}


def test_a_dry_run_counts_what_is_left(tmp_path, capfd):
    words = "grid --table 1 --protocol cpu --only FetchReach --dry-run --json"
    hours = {}
    for name, more in (("left", ()), ("all", ("--store", tmp_path))):
        assert call(*words.split(), *more) == 0
        found = json.loads(capfd.readouterr().out)
        jobs, hours[name] = found["jobs"], found["core_hours"]
        due = sum(j["core_seconds"] for j in jobs if not j["done"]) / 3600
        assert hours[name] == pytest.approx(due)
        if name == "all":
            assert not any(job["done"] for job in jobs)
    assert hours["left"] <= hours["all"]


def test_dry_run_of_the_figure(capfd):
    words = "grid --protocol full --dry-run --json --figure 2".split()
    assert call(*words) == 0
    jobs = json.loads(capfd.readouterr().out)["jobs"]
    assert len(jobs) == 21 and all("noise" in job["job"] for job in jobs)


@pytest.mark.parametrize(
    "words, message",
    [
        ("grid", "--table"),
        ("grid --table 3", "invalid choice"),
        ("grid --table 1 --protocol quick", "unknown protocol"),
        ("grid --table 1 --shard 2", "write it as 1/4"),
        ("grid --table 1 --shard 5/4", "shard 5/4"),
        ("grid --table 1 --only FetchJuggle", "no task or method"),
        ("grid --table 1 --seeds 0", "--seeds"),
        ("report", "--table"),
        ("report --table 1 --format xls", "invalid choice"),
    ],
)
def test_mistakes_are_one_line(words, message, capfd):
    try:
        code = call(*words.split())
    except SystemExit as error:
        code = error.code
    out, err = capfd.readouterr()
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and message in err


def test_grid_and_report_by_the_command_line(tmp_path, capfd):
    places = ["--store", tmp_path / "store", "--root", ASSETS]
    words = ["grid", "--table", "1", "--protocol", "smoke", "--updates", "2"]
    words += ["--seeds", "2", "--only", "FetchReach", "gcsl", "iql"]
    words += [*places, "--runs", tmp_path / "runs"]
    assert call(*words, "--json") == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["done"] == 2 and "2 of 2 ended" in err
    study = "grid smoke seeds=2 updates=2"
    words = ["report", "--table", "1", "--study", study]
    words += ["--protocol", "smoke", "--store", tmp_path / "store"]
    assert call(*words, "--json", "--out", tmp_path / "report") == 0
    found = json.loads(capfd.readouterr().out)
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == {"GCSL", "IQL"} and len(found["missing"]) == 82
    assert rows["IQL"]["paper"] == 34.43 and rows["IQL"]["seeds"] == 2
    scores = [
        row["return_099"]
        for row in smore_lit_scores(tmp_path / "store", study, "iql")
    ]
    assert np.isclose(rows["IQL"]["mean"], np.mean(scores))
    ends = sorted(Path(name).name for name in found["files"])
    assert ends == [
        "table1-curves.png",
        "table1-curves.svg",
        "table1-profiles.png",
        "table1-profiles.svg",
        "table1.csv",
        "table1.html",
        "table1.md",
        "table1.tex",
    ]
    for name in found["files"]:
        assert Path(name).stat().st_size > 100
    for form in ("md", "tex", "csv", "html"):
        assert call(*words, "--format", form) == 0
        assert "34.43" in capfd.readouterr().out


def write_store(folder, ends, study="grid smoke"):
    """Write a store of one run of GCSL; ends: updates by seed."""
    plan = {"seeds": [1000, 1001, 1002], "updates": 50}
    run = dict.fromkeys(results.TABLES["runs"], "") | {"run": "r"}
    run |= {"task": "FetchReach", "algorithm": "gcsl", "config": {}}
    label = {"study": study, "task": "FetchReach", "run": "r"}
    rows = {
        "runs": [run | {"plan": plan}],
        "studies": [label | {"label": "shared gcsl"}],
        "scores": [
            dict.fromkeys(results.TABLES["scores"], seed - 990.0)
            | {"run": "r", "seed": seed, "updates": updates}
            for seed, end in ends.items()
            for updates in range(25, end + 1, 25)
        ],
    }
    folder.mkdir(exist_ok=True)
    for name, lines in rows.items():
        text = results.format_rows(results.TABLES[name], lines)
        (folder / f"{name}.csv").write_text(text)


def test_a_report_counts_rows_that_stand_twice_once(tmp_path):
    from smore_lit.benchmark.report import report

    write_store(tmp_path, dict.fromkeys((1000, 1001, 1002), 50))
    before = report("table1", "smoke", store=tmp_path)
    assert before.rows[0]["seeds"] == 3
    for name in ("scores", "studies", "runs"):
        path = tmp_path / f"{name}.csv"
        header, *lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *lines, *lines]))
    assert report("table1", "smoke", store=tmp_path).rows == before.rows


@pytest.mark.parametrize(
    "ends, lack",
    [
        ({1000: 50, 1001: 25, 1002: 25}, "seed 1001 ends at 25 of 50"),
        ({1000: 50, 1001: 50}, "seed 1002 ends at 0 of 50"),
        ({1000: 25, 1001: 25, 1002: 25}, "seed 1000 ends at 25 of 50"),
    ],
)
def test_a_report_says_which_seed_is_not_whole(ends, lack, tmp_path):
    from smore_lit.benchmark import report

    write_store(tmp_path, ends)
    found = report.report("table1", "smoke", store=tmp_path)
    assert not found.rows and len(found.missing) == 84
    assert f"FetchReach GCSL ({lack} updates)" in found.missing
    (rows,) = report.group_scores("grid smoke", tmp_path).values()
    with pytest.raises(ValueError, match=lack):
        report.at_last(rows, "return_099")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--store", "nonexist"], "nonexist is no folder"),
        (["--store", "store/runs.csv"], "runs.csv is no folder"),
        (["--store", "store", "--study", "foo"], "known: grid smoke"),
        (["--study", "foo"], "unknown study 'foo'; known: "),
    ],
)
def test_a_report_needs_a_store_and_a_study(
    words, message, tmp_path, capfd, monkeypatch
):
    write_store(tmp_path / "store", {1000: 50})
    monkeypatch.chdir(tmp_path)
    assert call("report", "--table", "1", *words) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


@pytest.mark.parametrize("name", ["runs", "scores", "studies"])
def test_a_report_of_a_damaged_store_is_a_mistake_of_one_line(
    name, tmp_path, capfd
):
    write_store(tmp_path, {1000: 50})
    path = tmp_path / f"{name}.csv"
    path.write_text(path.read_text().replace("run", "ran", 1))
    for words in (["report"], ["grid", "--dry-run"]):
        words += ["--table", "1", "--protocol", "smoke", "--store", tmp_path]
        assert call(*words) == 2
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1
        assert f"{name}.csv has no column 'run': restore" in err


def test_a_run_that_went_on_is_not_taken_for_the_shorter_one():
    from smore_lit.benchmark import report

    rows = [
        {"seed": 1, "updates": n, "plan": {"seeds": [1], "updates": 6}}
        for n in (2, 6)
    ]
    assert report.what_lacks(rows) == report.what_lacks(rows, 6) == ""
    assert report.what_lacks(rows, 2) == " (seed 1 ends at 6 of 2 updates)"


@pytest.mark.parametrize("metric", ["return_099", "final_distance"])
def test_a_report_has_the_p_value_of_each_rival_and_a_star(metric):
    from scipy.stats import mannwhitneyu

    from smore_lit.benchmark import report

    sign = -1.0 if metric == "final_distance" else 1.0
    scores = {
        "SMORe": np.array([5.0, 6, 7, 8, 9]),
        "IQL": np.array([1.0, 2, 3, 4, 4.5]),
        "GCSL": np.array([0.0, 1.5, 2.5, 3.5, 5.5]),
    }
    known = {("FetchReach", m): sign * x for m, x in scores.items()}
    known["Reacher", "IQL"] = np.ones(5)
    known |= {("PointReach", name): np.zeros(5) for name in ("IQL", "GCSL")}
    known["FetchReach", "twin"] = known["FetchReach", "IQL"]
    rows = [
        {"task": task, "method": method, "run": method, "star": False}
        for task, method in known
    ]
    twin = rows.pop()
    report.mark_best(rows + [twin | {"run": "IQL"}], known, metric)
    raw = [
        mannwhitneyu(scores["SMORe"], scores[name]).pvalue
        for name in ("IQL", "GCSL")
    ]
    assert raw[0] < raw[1]
    due = {"IQL": 2 * raw[0], "GCSL": max(2 * raw[0], raw[1])}
    best, *others = rows[:3]
    alone, *tied = rows[3:]
    assert best["p"] is None and best["star"]
    assert {row["method"]: row["p"] for row in others} == pytest.approx(due)
    assert not any(row["star"] for row in (*others, alone, *tied))
    assert not any("p" in row for row in (alone, *tied))
    words = "grid cpu", "shared", None, metric, tuple(rows), (), ()
    text = report.format_report(report.Report("table1", *words, scores))
    assert f"| {due['IQL']:.3f} |" in text


def test_distances_are_not_divided_by_what_they_have_not():
    from smore_lit.benchmark import report

    scores = {("FetchReach", name): np.ones(3) for name in ("SMORe", "IQL")}
    given = "s", "shared", None
    for metric, count in (("return_099", 2), ("final_distance", 0)):
        found = report.Report("table11", *given, metric, (), (), (), scores)
        assert len(report.aggregate(found)) == count
        (axes,) = report.draw_profiles(found, {}).axes
        assert len(axes.lines) == count


def smore_lit_scores(store, study, algorithm):
    from smore_lit.running.results import select

    return select(folder=store, study=study, algorithm=algorithm, updates=2)


# Ray


RAY = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import ray
from ray.cluster_utils import Cluster
from test_grid import places, small_jobs
from smore_lit.benchmark import engines
folder = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1))
second = cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
jobs = small_jobs(updates=40)
told = []

def write(line):
    told.append(line)
    if len(told) == 1 and sys.argv[2] == "kill":
        cluster.remove_node(second, allow_graceful=False)

where = places(folder) | dict(write=write, engine=engines.train_by_ray)
campaign = engines.run_grid(jobs, processes=2, **where)
raise SystemExit(len(campaign.failed))
"""


@pytest.mark.weekly
@pytest.mark.parametrize("how", ["kill", "leave"])
def test_ray_on_two_nodes_loses_and_doubles_nothing(tmp_path, how):
    pytest.importorskip("ray")
    code = RAY.format(tests=str(Path(__file__).parent))
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    words = [sys.executable, "-c", code, str(tmp_path / "ray"), how]
    done = subprocess.run(words, env=environment, timeout=900)
    assert done.returncode == 0
    assert start_grid(tmp_path / "local").wait() == 0
    found = content(tmp_path / "ray" / "store")
    assert found == content(tmp_path / "local" / "store")
