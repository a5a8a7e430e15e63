"""A run is known by what it does, and its folder has one owner."""

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import smore_lit
from smore_lit.data.datasets import tiny_dataset
from smore_lit.running import identity
from smore_lit.learning.agent import find_agent, list_agents
from smore_lit.running.files import read_table
from smore_lit.learning.training import digest_agent, train
from smore_lit.learning.trajectories import as_trajectories

PACKAGE = Path(smore_lit.__file__).parent
SMALL = {"hidden": (8, 8), "batch_size": 8}
SHORT = dict(updates=20, seeds=2, settings=SMALL, workers=0, log_every=5)
STEADY = SHORT | {"settings": SMALL | {"cosine": False}}


@pytest.fixture(scope="module")
def data():
    return as_trajectories(**tiny_dataset("FetchReach"))


def files(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


@pytest.mark.parametrize(
    "other, same",
    [
        ("def f(x):\n    return 2 * x  # twice", True),
        ('"""Doc."""\ndef f(x):\n    """Doc."""\n    return (2 *\n x)', True),
        ("def f(x):\n    return 3 * x", False),
        ("def f(x):\n    return x * 2", False),
        ("def f(x, y=0):\n    return 2 * x", False),
        ("import os\ndef f(x):\n    return 2 * x", False),
        ('def f(x):\n    return 2 * x\n"""No docstring."""', False),
    ],
)
def test_a_digest_sees_what_runs(other, same):
    digest = identity.digest_source
    assert (digest("def f(x):\n    return 2 * x") == digest(other)) == same


def test_a_body_of_a_docstring_alone():
    digest = identity.digest_source
    assert digest('def f():\n    "a"') == digest("def f():\n    pass")


IMPORTS = """
import json, sys, smore_lit.learning.training
found = {}
for name, homes in json.loads(sys.argv[1]).items():
    for module in [m for m in sys.modules if m.startswith("smore_lit")]:
        del sys.modules[module]
    for module in ("smore_lit.learning.training", *homes):
        __import__(module)
    loaded = [m for m in sys.modules if m.startswith("smore_lit.")]
    found[name] = [m for m in loaded if m.count(".") == 2]
print(json.dumps(found))
"""


def test_the_digest_covers_what_an_agent_imports():
    """Python itself says which modules of the package get loaded."""
    agents, parts = list_agents(), ("config", "init", "losses", "act")
    homes = {
        name: [getattr(agent, part).__module__ for part in parts]
        for name, agent in agents.items()
    }
    words = [sys.executable, "-c", IMPORTS, json.dumps(homes)]
    done = subprocess.run(words, text=True, capture_output=True, check=True)
    for name, loaded in json.loads(done.stdout).items():
        covered = set(digest_agent(agents[name]))
        assert covered | {*identity.CLERKS} == set(loaded), name
        assert not covered & {*identity.CLERKS}, name


def test_the_digest_of_a_function_without_a_file():
    def one(config, networks, targets, rho, q):
        return 1 * rho, {}

    def same(config, networks, targets, rho, q):
        return 1 * rho, {}

    def other(config, networks, targets, rho, q):
        return 0 * rho, {}

    digests = []
    for losses in (one, same, other):
        losses.__module__ = "__nowhere__"
        losses = functools.partial(losses)
        agent = dataclasses.replace(find_agent("bc"), losses=losses)
        digests.append(digest_agent(agent))
    first, second, third = digests
    assert first == second != third
    changed = {name for name in first if first[name] != third[name]}
    assert changed == {"__nowhere__.losses"}


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Copy the package, so that a test may spoil it."""
    shutil.copytree(PACKAGE, tmp_path / "smore_lit")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "smore_lit"


def command(*more):
    words = "train FetchReach --size tiny --seeds 1 --updates 3 --workers 0"
    words = [*words.split(), "--eval-episodes", "1", "--set", "hidden=8,8"]
    return subprocess.run(
        [sys.executable, "-m", "smore_lit.appendix.cli", *words, *more],
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        text=True,
        capture_output=True,
    )


def test_other_code_does_not_hand_back_old_scores(copied):
    assert command().returncode == 0
    (run,) = Path("runs").iterdir()
    before = files(run)
    losses = copied / "learning" / "objectives.py"
    text = losses.read_text()
    line = "    return (weight * "
    assert line in text
    losses.write_text(text.replace(line, "    return 0 * (weight * "))
    found = command()
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert "other code of smore_lit.learning.objectives" in found.stderr
    assert files(run) == before


def test_other_words_of_an_error_keep_what_is_trained(copied):
    assert command().returncode == 0
    (run,) = Path("runs").iterdir()
    before = files(run)
    clerk = copied / "running" / "files.py"
    text = clerk.read_text()
    assert "must be" in text
    clerk.write_text(text.replace("must be", "has to be"))
    found = command()
    assert found.returncode == 0, found.stderr
    assert files(run) == before


def test_one_run_however_it_is_asked_for(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = train(data, "bc", runs="runs", **SHORT)
    place = first.directory.absolute()
    before = files(place)
    small = {"batch_size": np.int64(8), "hidden": [8, 8]}
    options = SHORT | {"settings": small}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    agent = find_agent("bc")
    for words in (
        dict(algorithm="bc", runs="../runs"),
        dict(algorithm=agent, runs=tmp_path / "runs"),
        dict(algorithm=agent, runs=b"../runs", log_every=7, threads=1),
    ):
        again = train(tiny_dataset("FetchReach"), **options | words)
        assert again.directory.samefile(place)
    assert files(place) == before
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        dict(seed=1),
        dict(seeds=3),
        dict(updates=21),
        dict(threads=2),
        dict(precision="high"),
        dict(settings=SMALL | {"gamma": 0.9}),
        dict(algorithm="gcsl"),
    ],
)
def test_another_run_has_another_name(data, tmp_path, change):
    for words in ({}, change):
        train(data, runs=tmp_path, **{"algorithm": "bc", **SHORT, **words})
    assert len(list(tmp_path.iterdir())) == 2


def test_differences_are_named_with_both_values():
    found = {"a": 1, "b": {"c": [1], "d": {"e": None}}, "old": "x"}
    wanted = {"a": 2, "b": {"c": [1], "d": {"e": 0.5}}, "new": True}
    assert identity.list_differences(found, wanted) == [
        "a is 1 there and 2 here",
        "b.d.e is None there and 0.5 here",
        "new is None there and True here",
        "old is 'x' there and None here",
    ]
    both = {"algorithm": "bc"}
    found, wanted = found | both, wanted | both
    with pytest.raises(ValueError, match="; and 1 more. Choose") as caught:
        identity.check_same(Path("here"), found, wanted)
    assert "\n" not in str(caught.value)
    identity.check_same(Path("here"), found, dict(found))


@pytest.mark.parametrize("code", [None, "x", [], {}])
def test_a_folder_without_digests_is_refused(data, tmp_path, code):
    train(data, "bc", out=tmp_path, **SHORT)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    content.pop("code")
    path.write_text(json.dumps(content | ({"code": code} if code else {})))
    with pytest.raises(ValueError, match="trained by other code"):
        train(data, "bc", out=tmp_path, **SHORT)


def test_other_versions_are_told(data, tmp_path, monkeypatch):
    run = train(data, "bc", out=tmp_path, **SHORT)
    monkeypatch.setattr(smore_lit, "__version__", "9.9")
    with pytest.raises(
        ValueError, match="versions.smore_lit is .* there and '9.9' here"
    ):
        train(data, "bc", out=tmp_path, **SHORT)
    monkeypatch.undo()
    assert train(data, "bc", out=tmp_path, **SHORT).summary == run.summary


def test_a_start_that_failed_leaves_its_folder_free(data, tmp_path):
    train(data, "bc", out=tmp_path / "whole", **SHORT)
    started = tmp_path / "started"
    started.mkdir()
    shutil.copy(tmp_path / "whole" / "config.json", started)
    names = ["task", "algorithm", "seed", "updates"]
    (started / "scores.csv").write_text(",".join(names) + "\n")  # no row
    train(data, "gcsl", out=started, **SHORT)
    with pytest.raises(ValueError, match="algorithm is 'gcsl' there"):
        train(data, "bc", out=started, **SHORT)


def test_a_longer_run_goes_on_to_the_same_bits(data, tmp_path):
    first = train(data, out=tmp_path / "a", **STEADY)
    grown = train(data, out=tmp_path / "a", **STEADY | {"updates": 35})
    whole = train(data, out=tmp_path / "b", **STEADY | {"updates": 35})
    assert first.state.updates == 20
    assert grown.summary["updates"] == whole.summary["updates"] == 35
    for name, vector in whole.state.vectors.items():
        assert torch.equal(vector, grown.state.vectors[name])
    rows = [read_table(tmp_path / n / "metrics.csv") for n in "ab"]
    assert rows[0] == rows[1]
    for _ in range(2):  # finished: handed back
        again = train(data, out=tmp_path / "a", **STEADY | {"updates": 35})
        assert again.summary == grown.summary
    before = files(tmp_path / "a")
    with pytest.raises(ValueError, match="holds 35 updates of this run, more"):
        train(data, out=tmp_path / "a", **STEADY)
    assert files(tmp_path / "a") == before


def test_a_longer_run_that_was_killed_before_its_summary(data, tmp_path):
    train(data, out=tmp_path, **STEADY)
    old = (tmp_path / "summary.json").read_bytes()
    train(data, out=tmp_path, **STEADY | {"updates": 35})
    (tmp_path / "summary.json").write_bytes(old)
    run = train(data, out=tmp_path, **STEADY | {"updates": 35})
    assert run.summary["updates"] == 35


def test_long_values_are_shown_where_they_differ():
    there, here = list(range(100)), [*range(99), 7]
    (line,) = identity.list_differences({"seeds": there}, {"seeds": here})
    assert "98, 99]" in line and "98, 7]" in line and len(line) < 120


def test_a_finished_run_is_read_beside_one_that_grows(data, tmp_path):
    """Who reads takes away no file that the owner is about to rename."""
    run = train(data, out=tmp_path, **STEADY)
    part = tmp_path / ".checkpoint.pt.part"
    with identity.own_folder(tmp_path):
        part.write_text("half")
        assert train(data, out=tmp_path, **STEADY).summary == run.summary
        assert part.exists()
    train(data, out=tmp_path, **STEADY | {"updates": 35})
    assert not part.exists()


HOLDER = """
import sys, time
from smore_lit.running.identity import own_folder
with own_folder(sys.argv[1]):
    print("mine", flush=True)
    time.sleep(120)
"""


def test_a_second_process_is_told_who_owns_a_folder(data, tmp_path):
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "mine\n"
        line = f"in use by process {first.pid} on .*choose another folder"
        with pytest.raises(ValueError, match=line):
            train(data, "bc", out=tmp_path, **SHORT)
        assert not (tmp_path / "metrics.csv").exists()
        first.send_signal(signal.SIGKILL)
    run = train(data, "bc", out=tmp_path, **SHORT)
    assert run.summary["updates"] == 20
    assert len(read_table(tmp_path / "metrics.csv")) == 2 * 20 / 5
    assert not [p for p in tmp_path.iterdir() if p.name[0] == "."]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_finished_run_is_read_where_nothing_may_be_written(data, tmp_path):
    run = train(data, "bc", out=tmp_path, **SHORT)
    tmp_path.chmod(0o500)
    assert train(data, "bc", out=tmp_path, **SHORT).summary == run.summary


def test_an_owner_that_fails_gives_its_folder_back(data, tmp_path):
    with pytest.raises(RuntimeError):
        with identity.own_folder(tmp_path):
            raise RuntimeError
    with identity.own_folder(tmp_path) as folder:
        assert folder == tmp_path
        with pytest.raises(ValueError, match=f"process {os.getpid()} on"):
            with identity.own_folder(tmp_path):
                pass
