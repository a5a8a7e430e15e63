"""The command line: answers, and one line for every mistake."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import smore_lit
from smore_lit.appendix import answers, cli, doctor

ASSETS = Path(smore_lit.__file__).parent / "assets"
SMALL = (
    "--size tiny --seeds 2 --eval-episodes 2 --workers 0"
    " --hidden 8 8 --batch-size 8"
).split()
CLI = [sys.executable, "-m", "smore_lit.appendix.cli"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMORE_LIT_DATA", raising=False)


def call(*words):
    """Return the exit code of the command line with these words."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def snapshot(folder):
    """Read every file, but for byte code that Python writes."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    kept = (path for path in paths if "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() for path in kept}


def refuse(capfd, *words, code=2, changed=()):
    """Check that the words are refused in one line; return that line."""
    before = snapshot(".")
    capfd.readouterr()
    assert call(*words) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n"), err
    assert err.startswith("smore-lit: ") and "Traceback" not in err
    assert len(err) < 500
    after = snapshot(".")
    for name in changed:
        before.pop(name, None), after.pop(name, None)
    assert after == before
    return err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished small run, made once."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = ["train", "FetchReach", *SMALL, "--updates", "4", "--out", folder]
    assert call(*words) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the finished run, to be spoiled."""
    return shutil.copytree(trained, tmp_path / "run").relative_to(tmp_path)


@pytest.fixture
def root(tmp_path):
    """A copy of the tiny dataset, to be spoiled."""
    return shutil.copytree(ASSETS, tmp_path / "data").relative_to(tmp_path)


def answer(capfd, *words):
    """Return the JSON object that the words print, and nothing else."""
    capfd.readouterr()
    assert call(*words, "--json") == 0
    out, err = capfd.readouterr()
    assert err == ""
    return json.loads(out, parse_constant=pytest.fail)


# what works


def test_tasks(capfd):
    tasks = answer(capfd, "tasks")["tasks"]
    assert tasks[0]["name"] == "FetchReach" and tasks[0]["horizon"] == 50
    assert call("tasks") == 0
    assert "FetchReach" in capfd.readouterr().out


def test_data_info(capfd, root):
    found = answer(capfd, "data", "info", "FetchReach", "--size", "tiny")
    assert found["episodes"] == {"expert": 20, "random": 180}
    path = root / "FetchReach" / "tiny-10.json"
    found = answer(capfd, "data", "info", path, "--verify")
    assert found["verified"] and found["manifest"] == str(path)


def test_data_make_finds_what_is_made(capfd, root):
    before = snapshot(root)
    words = ["data", "make", "FetchReach", "--size", "tiny", "--root", root]
    found = answer(capfd, *words, "--workers", "0")
    assert found["manifest"] == str(root / "FetchReach" / "tiny-10.json")
    assert snapshot(root).keys() == before.keys()


def test_train_and_eval_agree(capfd, run):
    summary = json.loads((run / "summary.json").read_text())
    words = ["eval", run, "--episodes", "2", "--workers", "0"]
    found = answer(capfd, *words, "--out", "scores.csv")
    last = summary["scores"]
    for name, score in found["scores"].items():
        assert score["mean"] == pytest.approx(last[name]["mean"], rel=1e-6)
    with open("scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["0", "1"]


def test_finished_run_is_not_trained_again(capfd, run):
    before = snapshot(run)
    words = ["train", "FetchReach", *SMALL, "--updates", "4", "--out", run]
    found = answer(capfd, *words)
    assert found["updates"] == 4 and found["directory"] == str(run)
    assert snapshot(run) == before


def test_train_names_its_folder(capfd):
    words = ["train", "FetchReach", *SMALL, "--seeds", "1", "--updates", "1"]
    found = answer(capfd, *words, "--gamma", "0.9")
    assert re.fullmatch(
        "runs/FetchReach-smore-[0-9a-f]{12}", found["directory"]
    )
    assert found["scores"]["return_099"]["low"] is None
    before = snapshot("runs")
    assert call(*words, "--set", "gamma=.90", "--set", "polyak=0.02") == 0
    assert "needs 2 seeds" in capfd.readouterr().out
    assert snapshot("runs") == before
    assert call(*words) == 0
    assert len(list(Path("runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "doubted"),
    [
        ("--stored-goal 1,1,1", True),
        ("--stored-goal 1,1,1 --hindsight 1", False),
        ("--stored-goal 1,1,1 --hindsight 0", False),
        ("", False),
    ],
)
def test_labels_that_are_all_the_same_are_doubted(capfd, words, doubted):
    words = f"train FetchReach --updates 1 {words}".split()
    assert call(*words, *SMALL, "--checkpoint-every", "1") == 0
    found = capfd.readouterr().err
    line = "smore-lit: all 200 episodes store the same goal, and 20% of"
    assert found.startswith(line) if doubted else found == ""


def test_train_by_another_divergence_without_actions(capfd):
    words = ["train", "FetchReach", *SMALL, "--updates", "4"]
    words += ["--divergence", "kl", "--action-free"]
    found = answer(capfd, *words)
    assert found["setting"].endswith("divergence=kl action_free=True")
    capfd.readouterr()
    assert call("eval", found["directory"], *"--episodes 1".split()) == 0


def test_video(capfd, run):
    found = answer(capfd, "video", run, "--out", "a.gif", "--drawing")
    assert found == {"file": "a.gif", "frames": 51}
    assert Path("a.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.skipif(
    not (ASSETS / "FetchReach" / "policy.pt").exists(), reason="none ships"
)
def test_shipped_policy_reaches(capfd):
    words = ["eval", "builtin", "--episodes", "3", "--workers", "0"]
    found = answer(capfd, *words)
    assert found["scores"]["success"]["mean"] == 1.0
    assert found["scores"]["return_099"]["mean"] > 34


def test_doctor(capfd):
    found = answer(capfd, "doctor")
    assert found["smore_lit"] == smore_lit.__version__
    assert found["packages"]["mujoco"]
    assert set(found["failing"]) <= {"renderer"}
    assert "torch" in doctor.describe_health(found)


def test_doctor_sees_what_is_missing(monkeypatch, capfd):
    monkeypatch.setattr(doctor, "PARTS", {"no-such-package": "plot"})
    Path("file").write_text("")
    monkeypatch.setattr(doctor, "TRIALS", dict.fromkeys(doctor.TRIALS, ""))
    found = answer(capfd, "doctor", "--root", "file")
    text = "\n".join(found["missing"])
    assert 'no-such-package: pip install "smore_lit[plot]"' in text
    assert "cannot write file" in text


def test_doctor_reads_a_root_as_a_shell_does(monkeypatch, capfd):
    monkeypatch.setattr(doctor, "PARTS", {})
    monkeypatch.setattr(doctor, "TRIALS", dict.fromkeys(doctor.TRIALS, ""))
    Path("home", "x").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    found = answer(capfd, "doctor", "--root", "~/x")
    assert found["data_root"] == str(Path("home", "x").absolute())
    assert not Path("~").exists()


def test_data_of_two_tasks_at_once_are_refused(capfd):
    words = "data info FetchReach --task PointReach --size tiny".split()
    assert "two tasks" in refuse(capfd, *words)
    words[3:5] = ["--task", "FetchReach"]
    assert answer(capfd, *words)["task"] == "FetchReach"


def test_demo_goes_on_and_compares(capfd):
    words = "demo --out demo --size tiny --workers 0 --updates 2 --seeds 2"
    words = [*words.split(), "--eval-episodes", "2"]
    shutil.copytree(ASSETS, "demo/data")
    assert call(*words) == 0
    out, err = capfd.readouterr()
    assert "35.08 +- 0.54" in out and "ceiling" in out
    assert "[done]" in err
    values = json.loads(Path("demo/summary.json").read_text())
    assert call(*words, "--json") == 0
    assert json.loads(capfd.readouterr().out) == values
    for name in ("learning_curve.png", "policy.gif"):
        assert Path("demo", name).stat().st_size > 1000


def test_paper_number_is_read_from_the_tables():
    from smore_lit.appendix.demo import paper_score

    assert paper_score("FetchReach") == {"mean": 35.08, "std": 0.54}


def test_help_is_quick_and_lists_everything():
    code = (
        "import sys\n"
        "from smore_lit.appendix.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'numpy', 'gymnasium', 'matplotlib'}\n"
        "assert not slow & set(sys.modules)"
    )
    words = [sys.executable, "-c", code]
    help_text = subprocess.run(
        words, capture_output=True, text=True, check=True
    ).stdout
    names = "tasks data algorithms train eval video verify doctor demo"
    for name in [*names.split(), "completion"]:
        assert name in help_text


def show_help(capfd, *words):
    """Return the help of a command at 80 columns, spaces made one."""
    capfd.readouterr()
    assert call(*words, "--help") == 0
    out, err = capfd.readouterr()
    assert err == "" and max(map(len, out.splitlines())) <= 80
    return " ".join(out.split())


def test_every_field_is_an_option_with_type_default_and_help(
    capfd, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    text = show_help(capfd, "train")
    for line in (
        "--checkpoint-every INT updates between checkpoints (default 500)",
        "--learning-rate FLOAT Adam, all networks (default 0.001)",
        "--hidden INT [INT ...] widths of hidden layers (default 256 256)",
        "--cosine, --no-cosine the policy's learning rate falls to 0 as it"
        " trains (default on)",
        "--expectile FLOAT",
    ):
        assert line in text
    text = show_help(capfd, "train", "--algo", "gofar")
    assert "--kl-clip FLOAT" in text and "--objective" not in text
    assert "--hindsight FLOAT only goals that were asked for" in text
    text = show_help(capfd, "train", "--preset=paper")
    assert "--learning-rate FLOAT Adam, all networks (default 0.0003)" in text
    assert "--log-every INT" in show_help(capfd, "demo")


def test_every_algorithm_has_an_option_for_every_field():
    from smore_lit.appendix.options import flag, given
    from smore_lit.learning.agent import list_agents
    from smore_lit.learning.training import Plan

    for name, agent in list_agents().items():
        for preset in ("shared", *agent.presets):
            words = f"train FetchReach --algo {name} --preset {preset}".split()
            options = cli.build_parser().parse_args(words)
            assert given(options, agent.config) == given(options, Plan) == {}
            wanted = vars(agent.config())
            for field, value in wanted.items():
                if isinstance(value, bool):
                    words += [flag(field if value else f"no_{field}")]
                else:
                    values = value if isinstance(value, tuple) else (value,)
                    words += [flag(field), *map(str, values)]
            options = cli.build_parser().parse_args(words)
            found = given(options, agent.config)
            assert found == wanted | {"hidden": list(wanted["hidden"])}


def test_set_is_another_spelling_of_an_option():
    from smore_lit.appendix.options import given
    from smore_lit.learning.smore import SmoreConfig

    for words, found in {
        "--set gamma=0.9": {"gamma": 0.9},
        "--set=hidden=8,4": {"hidden": [8, 4]},
        "--set action_free=True --set batch_size=5e2": {
            "action_free": True,
            "batch_size": 500,
        },
        "--set centred=false --gamma .9": {"centred": False, "gamma": 0.9},
        "--set gamma=0.8 --set gamma=0.9": {"gamma": 0.9},
    }.items():
        words = ["train", *words.split(), "FetchReach"]
        options = cli.build_parser().parse_args(words)
        assert given(options, SmoreConfig) == found
        assert options.task == "FetchReach"


def test_algorithms(capfd):
    from smore_lit.learning.agent import find_agent, list_agents, make_config

    found = answer(capfd, "algorithms")["algorithms"]
    assert [row["name"] for row in found] == list(list_agents())
    assert all(row["about"] and row["chapter"] for row in found)
    assert found[0]["presets"] == ["shared", "paper", "released"]
    found = answer(capfd, "algorithms", "gofar")
    config = make_config(find_agent("gofar"), "released")
    values = {
        row["name"]: row["values"]["released"]
        for row in found["hyperparameters"]
    }
    assert values == vars(config) | {"hidden": list(config.hidden)}
    assert all(row["help"] for row in found["hyperparameters"])
    assert call("algorithms", "gofar") == 0
    assert "--kl-clip" in capfd.readouterr().out
    assert call("algorithms") == 0
    assert "behaviour cloning" in capfd.readouterr().out


def complete(script, *words):
    """Return what bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    lines = (
        script,
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}",
        "set -- $(complete -p smore-lit)",
        'while [ "$1" != -F ]; do shift; done',
        f"$2 smore-lit '{words[-1]}' '{words[-2]}'",
        'echo "${COMPREPLY[@]}"',
    )
    result = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


@pytest.fixture(scope="module")
def script():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert call("completion", "bash") == 0
    return out.getvalue()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    "words, offered",
    [
        ("smore-lit tr", "train"),
        ("smore-lit data ", "make info import export"),
        ("smore-lit data make Fetch", "FetchReach FetchPush"),
        ("smore-lit train --task Fetch", "FetchReach FetchPush"),
        ("smore-lit train --algo go", "gofar goal-bc"),
        ("smore-lit train --preset ", "shared paper released"),
        ("smore-lit train --le", "--learning-rate"),
        ("smore-lit train --kl", "--kl-clip"),
        ("smore-lit train --no-c", "--no-cosine --no-compile --no-centred"),
        ("smore-lit algorithms wg", "wgcsl wgcsl-plain"),
    ],
)
def test_bash_completes(script, words, offered):
    found = complete(script, *words.split(" "))
    assert found >= set(offered.split())
    start = words.split(" ")[-1]
    assert all(word.startswith(start) for word in found)


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_completion_for_every_shell(shell, capfd):
    found = answer(capfd, "completion", shell)
    for word in ("train", "doctor", "FetchReach", "gofar", "learning-rate"):
        assert word in found["script"]
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=found["script"].encode(), check=1)


# mistakes in words

WRONG = {
    "": "required",
    "data": "required",
    "trian FetchReach": "invalid choice",
    "tasks --jsn": "unrecognized",
    "train": "required",
    "train FetchMoon": "unknown task",
    "data make FetchMoon": "unknown task",
    "data info FetchMoon": "neither a task nor a manifest",
    "train FetchReach --size tiny --algo smoer": "unknown algorithm",
    "train FetchReach --size tiny --set gama=1": "gama=1",
    "train FetchReach --size tiny --stored-goal 1": "3 finite numbers, got [1",
    "train FetchReach --size tiny --stored-goal 0,nan,0": "got [0.0, nan",
    "train FetchReach --size tiny --stored-goal reached": "got 'reached'",
    "train FetchReach --size tiny --stored-goal there": "wants numbers",
    "train FetchReach --size tiny --set gamma": "name=value",
    "train FetchReach --size tiny --set": "expected one argument",
    "train FetchReach --size tiny --set gamma=high": "--gamma: must be a fin",
    "train FetchReach --size tiny --set hidden=64,": "--hidden: must be a w",
    "train FetchReach --size tiny --set cosine=maybe": "true or false",
    "train FetchReach --size tiny --set temperature=-1": "temperature must",
    "train FetchReach --size tiny --gama 1": "--gama 1 (see smore-lit train -",
    "train FetchReach --size tiny --gamma": "expected one argument",
    "train FetchReach --size tiny --gamma high": "must be a finite number",
    "train FetchReach --size tiny --gamma 1": "gamma must",
    "train FetchReach --size tiny --batch-size 1.5": "must be a whole number",
    "train FetchReach --size tiny --hidden 64 x": "must be a whole number",
    "train --hidden 64 FetchReach --size tiny": "must be a whole number",
    "train FetchReach --size tiny --hidden 0": "hidden must be",
    "train FetchReach --size tiny --temperature -1": "temperature must",
    "train FetchReach --size tiny --learning-rate inf": "finite number",
    "train FetchReach --size tiny --objective best": "objective",
    "train FetchReach --size tiny --standardise yes": "unrecognized",
    "train FetchReach --size tiny --algo bc --temperature 1": (
        "--temperature 1 (see smore-lit train --algo bc --help)"
    ),
    "train FetchReach --size tiny --algo": "expected one argument",
    "train FetchReach --size tiny --preset best": "no preset",
    "train FetchReach --size tiny --divergence tv": "straight lines",
    "train FetchReach --size tiny --divergence best": "known: chi2",
    "train FetchReach --size tiny --divergence kl --set divergence=js": (
        "drop --divergence or --set"
    ),
    "train FetchReach --size tiny --action-free --expectile 0.9": (
        "no expectile"
    ),
    "train FetchReach --size tiny --sampler best": "sampler",
    "train FetchReach --size tiny --initialiser best": "initialis",
    "train FetchReach --size tiny --seeds 0": "1 or more",
    "train FetchReach --size tiny --updates -5": "1 or more",
    "train FetchReach --size tiny --updates many": "whole number",
    "train FetchReach --size tiny --seed -1": "0 or more",
    "train FetchReach --size tiny --eval-episodes 0": "1 or more",
    "train FetchReach --size tiny --log-every 0": "1 or more",
    "demo --size tiny --updates 0": "1 or more",
    "demo --gamma 0.9": "unrecognized",
    "algorithms smoer": "unknown algorithm",
    "algorithms smore gofar": "unrecognized",
    "completion": "required",
    "completion csh": "invalid choice",
    "train FetchReach --size huge": "unknown size",
    "train FetchReach": "make it with",
    "train FetchReach --size tiny --root nowhere": "make it with",
    "train FetchReach --expert-percent 101": "from 0 to 100",
    "train FetchReach --expert-percent nan": "from 0 to 100",
    "train FetchReach --expert-percent some": "invalid float",
    "train FetchReach --size tiny --device tpu": "invalid choice",
    "data make FetchReach --workers -1": "0 to",
    "data make FetchReach --workers 1000000": "0 to",
    "data make FetchReach --seed 0.5": "whole number",
    "eval nowhere": "no policy",
    "eval .": "no policy",
    "video nowhere --out a.gif": "no policy",
    "video nowhere": "required",
    "video nowhere --out a.avi": ".gif or .mp4",
    "video nowhere --out no/folder/a.gif": "no folder",
    "demo --size huge": "unknown size",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words(words, capfd):
    assert WRONG[words] in refuse(capfd, *words.split())


def test_cuda_is_refused_where_there_is_none(capfd, monkeypatch):
    import torch

    empty = torch.empty

    def none_here(*sizes, device=None, **options):
        if device == "cuda":
            raise RuntimeError("no driver")
        return empty(*sizes, device=device, **options)

    monkeypatch.setattr(torch, "empty", none_here)
    words = ["train", "FetchReach", *SMALL, "--device", "cuda"]
    assert "no device 'cuda' here" in refuse(capfd, *words)


# spoiled data


def spoil_shard(root, change, honest=True):
    """Rewrite the first shard; `honest` also corrects the manifest."""
    manifest = root / "FetchReach" / "tiny-10.json"
    content = json.loads(manifest.read_text())
    entry = content["shards"][0]
    path = root / "FetchReach" / entry["file"]
    data = change(path.read_bytes())
    path.write_bytes(data)
    if honest:
        entry["bytes"] = len(data)
        entry["sha256"] = hashlib.sha256(data).hexdigest()
        manifest.write_text(json.dumps(content))


def edited(name, edit):
    """Return a change of shard bytes that edits one of its arrays."""

    def change(data):
        arrays = dict(np.load(io.BytesIO(data)))
        arrays[name] = edit(arrays[name])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    return change


def put(value):
    def edit(array):
        array = array.copy()
        array.flat[3] = value
        return array

    return edit


SPOILED = {
    "empty": (lambda data: b"", True, ""),
    "truncated": (lambda data: data[:-1000], False, "bytes long"),
    "flipped": (
        lambda data: data[:-5000] + bytes([data[-5000] ^ 1]) + data[-4999:],
        False,
        "checksum",
    ),
    "no archive": (lambda data: bytes(len(data)), True, ""),
    "shape": (edited("actions", lambda a: a[:, :-1]), True, "expected"),
    "dtype": (edited("actions", lambda a: a > 0), True, "expected"),
    "NaN": (edited("observations", put(np.nan)), True, "NaN"),
    "infinity": (edited("desired_goals", put(np.inf)), True, "NaN"),
    "actions too large": (edited("actions", put(7.0)), True, "[-1, 1]"),
    "other goals": (edited("achieved_goals", put(9.0)), True, "phi"),
    "objects": (
        edited("actions", lambda a: np.array([{}], dtype=object)),
        True,
        "",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_shard(name, root, capfd):
    change, honest, word = SPOILED[name]
    spoil_shard(root, change, honest)
    words = ["train", "FetchReach", *SMALL, "--root", root]
    line = refuse(capfd, *words)
    assert word in line and "/" in line
    words = ["data", "info", "FetchReach", "--size", "tiny", "--root", root]
    refuse(capfd, *words, "--verify")


MANIFESTS = {
    "no JSON": lambda text: text[:100],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "a number": lambda text: "3",
    "deep": lambda text: "[" * 100_000,
    "no keys": lambda text: '{"format": 1}',
    "half the keys": lambda text: json.dumps(
        {k: v for k, v in json.loads(text).items() if k != "behaviour"}
    ),
    "outside": lambda text: text.replace("random/epi", "../../epi"),
    "absolute": lambda text: text.replace("random/epi", "/etc/epi"),
    "unknown task": lambda text: text.replace('"FetchReach"', '"Moon"'),
    "negative": lambda text: text.replace('"used": 20', '"used": -20'),
    "too many": lambda text: text.replace('"used": 20', '"used": 2000000'),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_spoiled_manifest(name, root, capfd):
    path = root / "FetchReach" / "tiny-10.json"
    path.write_text(MANIFESTS[name](path.read_text()))
    assert "tiny-10.json" in refuse(capfd, "data", "info", path)


def test_missing_shard(root, capfd):
    shard = next((root / "FetchReach" / "random").glob("*.npz"))
    shard.unlink()
    refuse(capfd, "train", "FetchReach", *SMALL, "--root", root)


def test_data_of_another_seed_are_kept(root, capfd):
    words = ["data", "make", "FetchReach", "--size", "tiny", "--root", root]
    assert "another --root" in refuse(capfd, *words, "--seed", "7")


def test_data_root_is_a_file(capfd):
    Path("data").write_text("mine")
    words = ["data", "make", "FetchReach", "--size", "tiny"]
    assert "data" in refuse(capfd, *words, "--workers", "0")


# verification


def test_verify_theory(capfd):
    words = ["verify", "theory", "--problems", "1", "--seed", "3"]
    found = answer(capfd, *words)
    assert found["part"] == "theory" and found["holds"] is True
    assert found["problems"] == 1 and found["seed"] == 3
    assert {"numpy", "scipy", "torch"} == set(found["versions"])
    for row in found["rows"]:
        assert row["holds"] is (None if row["bar"] is None else True)
    assert call(*words) == 0
    text = capfd.readouterr().out
    assert "Theorem 1" in text and "bars hold" in text


def test_verify_planning(capfd):
    words = ["verify", "planning", "--problems", "2", "--seed", "3"]
    assert call(*words) == 0
    text = capfd.readouterr().out
    assert "200 points, all bars hold" in text
    found = answer(capfd, *words)
    assert found["holds"] and found["cases"] == 200 and found["seed"] == 3
    assert {row["name"] for row in found["rows"]} >= {"Lipschitz bound"}


def test_verify_says_no_with_exit_code_1(capfd, monkeypatch):
    from smore_lit.theory import verification

    monkeypatch.setitem(
        verification.QUANTITIES, "t1.gap", ("Theorem 1", "relative gap", -1.0)
    )
    words = ["verify", "theory", "--problems", "1"]
    assert call(*words) == 1
    out, err = capfd.readouterr()
    assert "!" in out and "bars fail" in out and err == ""
    assert call(*words, "--json") == 1
    out, err = capfd.readouterr()
    assert json.loads(out)["holds"] is False and err == ""


@pytest.mark.parametrize(
    "words",
    [
        ["verify"],
        ["verify", "everything"],
        ["verify", "theory", "--problems", "0"],
        ["verify", "theory", "--problems", "-3"],
        ["verify", "theory", "--problems", "many"],
        ["verify", "theory", "--problems", "1.5"],
        ["verify", "theory", "--problems", "10001"],
        ["verify", "theory", "--seed", "-1"],
        ["verify", "theory", "--seed", "0.5"],
        ["verify", "theory", "again"],
    ],
)
def test_verify_refuses(capfd, words):
    refuse(capfd, *words)


def test_verify_names_the_parts_it_knows(capfd):
    assert "known: theory" in refuse(capfd, "verify", "theorie")


# spoiled checkpoints


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def rewritten(change):
    """Return an edit of a checkpoint's file that edits its content."""
    import torch

    def edit(path):
        content = torch.load(path, weights_only=True)
        content = change(content) or content
        torch.save(content, path)

    return edit


def described(**changes):
    return rewritten(lambda content: content["description"].update(changes))


def poisoned(content):
    networks = content["networks"]
    for name in networks:
        if name.startswith("policy"):
            networks[name] = networks[name] * float("nan")


def pickled(path):
    import pickle

    path.write_bytes(pickle.dumps(Hostile()))


CHECKPOINTS = {
    "garbage": lambda path: path.write_bytes(b"\x80garbage" * 99),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-700]),
    "hostile pickle": pickled,
    "hostile archive": rewritten(lambda content: Hostile()),
    "hostile inside": rewritten(lambda c: c.update(networks=Hostile())),
    "other format": rewritten(lambda content: {"weights": 1}),
    "a list": rewritten(lambda content: [1, 2]),
    "no description": rewritten(lambda c: {k: c[k] for k in ("format",)}),
    "flat description": rewritten(lambda c: c.update(description="x")),
    "unknown task": described(task="FetchMoon"),
    "no task": described(task=None),
    "task of no name": described(task=["FetchReach"]),
    "unknown agent": described(algorithm="smoer"),
    "agent of no name": described(algorithm=3),
    "bad config": described(config={"gamma": "high"}),
    "flat config": described(config=7),
    "other sizes": described(sizes=[25, 4, 3]),
    "no sizes": described(sizes=None),
    "other seeds": described(seeds=[0, 1, 2]),
    "no seeds": described(seeds=[]),
    "no networks": rewritten(lambda c: c.update(networks={})),
    "odd networks": rewritten(lambda c: c.update(networks={3: 4})),
    "no policy": rewritten(
        lambda c: c.update(
            networks={
                k: v for k, v in c["networks"].items() if k[:6] != "policy"
            }
        )
    ),
    "NaN": rewritten(poisoned),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_spoiled_checkpoint(name, run, capfd):
    CHECKPOINTS[name](run / "checkpoint.pt")
    refuse(capfd, "eval", run, "--episodes", "1", "--workers", "0")
    refuse(capfd, "video", run, "--out", "a.gif")
    assert not Path("owned").exists()


def test_checkpoint_of_another_task(tmp_path, capfd):
    import torch

    from smore_lit.learning.training import train
    from smore_lit.learning.trajectories import as_trajectories

    noise = np.random.default_rng(0).uniform(-1, 1, (4, 6, 2))
    data = as_trajectories(noise, noise[:, 1:], noise, noise[:, 0])
    train(data, out="other", updates=1, seeds=1, device="cpu")
    path = Path("other/checkpoint.pt")
    content = torch.load(path, weights_only=True)
    content["description"]["task"] = "FetchReach"
    torch.save(content, path)
    assert "another task" in refuse(capfd, "eval", "other")


# spoiled runs and places


def retrain(run, *words):
    return ["train", "FetchReach", *SMALL, "--updates", "4", "--out", run] + [
        *words
    ]


RUNS = {
    "other seeds": (lambda run: None, ["--seeds", "3"]),
    "other updates": (lambda run: None, ["--updates", "9"]),
    "other setting": (lambda run: None, ["--gamma", "0.9"]),
    "no JSON": (lambda run: (run / "config.json").write_text("{"), []),
    "config a list": (lambda run: (run / "config.json").write_text("[]"), []),
    "broken scores": (
        lambda run: (run / "scores.csv").write_text("a,b\n1\n2,3\n"),
        [],
    ),
    "other checkpoint": (
        lambda run: described(seeds=[5, 6])(run / "checkpoint.pt"),
        [],
    ),
    "damaged checkpoint": (
        lambda run: (run / "checkpoint.pt").write_bytes(b"PK"),
        [],
    ),
    "summary no JSON": (
        lambda run: (run / "summary.json").write_text("{"),
        [],
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_spoiled_run(name, run, capfd):
    spoil, words = RUNS[name]
    spoil(run)
    refuse(capfd, *retrain(run, *words))


def test_out_is_a_file(capfd):
    Path("mine").write_text("mine")
    assert "mine" in refuse(capfd, *retrain("mine"))
    assert "mine" in refuse(capfd, *retrain("mine/run"))


def test_score_file_cannot_be_written(run, capfd):
    words = ["eval", run, "--episodes", "1", "--workers", "0", "--out"]
    assert "no folder" in refuse(capfd, *words, "no/folder/a.csv")
    Path("a.csv").mkdir()
    refuse(capfd, *words, "a.csv")


def test_film_cannot_be_written(run, capfd):
    Path("a.gif").mkdir()
    refuse(capfd, "video", run, "--drawing", "--out", "a.gif")
    assert Path("a.gif").is_dir()


def test_divergence_is_one_line(capfd):
    words = retrain("run", "--coefficient", "1e38", "--updates", "20")
    changed = [f"run/{n}" for n in ("config.json", "scores.csv")]
    assert "not finite" in refuse(capfd, *words, changed=changed)


def test_missing_package_is_one_line(run, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    line = refuse(capfd, "video", run, "--drawing", "--out", "a.gif")
    assert "pip install" in line


@pytest.mark.parametrize("workers", ["0", "1"])
def test_simulator_that_does_not_load_is_one_line(
    run, root, capfd, monkeypatch, workers
):
    """As MUJOCO_GL=osmesa does it without the library."""
    Path("fake/gymnasium").mkdir(parents=True)
    code = "None.glGetError"
    Path("fake/gymnasium/__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(Path("fake").absolute()))
    monkeypatch.delitem(sys.modules, "gymnasium", raising=False)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    shutil.copytree(root, "part")
    Path("part/FetchReach/expert/episodes-000000-000020.npz").unlink()
    made = ["data", "make", "FetchReach", "--size", "tiny", "--root", "part"]
    train = ["train", "FetchReach", *SMALL, "--out", "new"]
    changed = ["new/config.json", "new/scores.csv"]
    for words in (
        ["eval", run, "--episodes", "1"],
        made,
        train,
        ["demo", "--size", "tiny", "--out", "new"],
    ):
        words = [*words, "--workers", workers]
        shutil.rmtree("new", ignore_errors=True)
        if words[0] == "demo":
            assert call(*words) == 2
            line = capfd.readouterr().err.splitlines()[-1]
        else:
            line = refuse(capfd, *words, changed=changed)
        assert "MUJOCO_GL=osmesa fails here: unset it" in line
    assert not Path("new/metrics.csv").exists()
    refuse(capfd, "video", run, "--out", "a.gif")


def fake_part(name, code):
    """Install a package of this name, whose import runs `code`."""
    folder = Path("fake", f"{name}-1.0.dist-info")
    folder.mkdir(parents=True)
    folder.joinpath("METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    Path("fake", f"{name}.py").write_text(code)


def test_doctor_survives_parts_that_raise_die_and_hang(capfd, monkeypatch):
    fake_part("sound", "")
    fake_part("raising", "None.glGetError")
    fake_part("dying", "import os; os.abort()")
    fake_part("hanging", "import time; time.sleep(999)")
    monkeypatch.syspath_prepend(str(Path("fake").absolute()))
    names = ["sound", "raising", "dying", "hanging", "absent"]
    monkeypatch.setattr(doctor, "PARTS", dict.fromkeys(names, "plot"))
    trials = dict.fromkeys(doctor.TRIALS, "None.glGetError")
    monkeypatch.setattr(doctor, "TRIALS", trials)
    monkeypatch.setattr(doctor, "PATIENCE", 10)
    found = answer(capfd, "doctor")
    assert found["packages"] == dict.fromkeys(names[:4], "1.0") | {
        "absent": None
    }
    assert set(found["failing"]) == {*names[1:4], *trials}
    text = "\n".join(found["missing"])
    for line in (
        "raising fails: AttributeError",
        "dying fails: ends its process (SIGABRT)",
        "hanging fails: does not answer within 10 seconds",
        'absent: pip install "smore_lit[plot]"',
        "simulator fails: AttributeError",
    ):
        assert line in text
    assert found["drawing"] == "nothing" and found["device"] == "none"
    assert found["data_root"] is None and found["datasets"] == []
    assert "1.0, fails" in doctor.describe_health(found)


FAULTS = {
    "RuntimeError": RuntimeError("mat1 and mat2\ncannot be multiplied"),
    "ZeroDivisionError": ZeroDivisionError("division by zero"),
    "KeyError": KeyError("observation"),
    "TypeError": TypeError("not callable"),
    "ValueError": ValueError("operands could not be broadcast"),
    "AssertionError": AssertionError(),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_ours_is_not_told_as_a_mistake(
    name, run, capfd, monkeypatch
):
    from smore_lit.running import evaluation

    def fail(*arguments):
        raise FAULTS[name]

    monkeypatch.setattr(evaluation, "evaluate", fail)
    words = ["eval", run, "--episodes", "1", "--workers", "0"]
    line = refuse(capfd, *words, code=3)
    assert line.startswith(f"smore-lit: {name}: ")
    assert "SMORE_LIT_TRACEBACK=1" in line
    monkeypatch.setenv("SMORE_LIT_TRACEBACK", "1")
    assert call(*words) == 3
    err = capfd.readouterr().err
    assert err.startswith("Traceback") and "in fail" in err
    assert err.splitlines()[-1] == line.strip()


def test_a_mistake_shows_where_it_was_noticed_if_asked(capfd, monkeypatch):
    monkeypatch.setenv("SMORE_LIT_TRACEBACK", "1")
    assert call("eval", "nowhere") == 2
    err = capfd.readouterr().err
    assert err.startswith("Traceback") and "find_policy" in err


def test_a_missing_module_of_ours_is_a_fault():
    with pytest.raises(ImportError) as caught:
        import smore_lit.nothing  # noqa: F401
    assert not answers.is_foreseen(caught.value)
    with pytest.raises(ImportError) as caught:
        import no_such_package  # noqa: F401
    assert answers.is_foreseen(caught.value)


@pytest.mark.parametrize("words", [["tasks"], ["--help"], ["tasks", "--json"]])
def test_a_closed_pipe_ends_quietly(words):
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [*CLI, *words], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert result.stderr == ""
    unheard = words == ["--help"]  # argparse may drop what it cannot write
    assert result.returncode == 128 + signal.SIGPIPE or unheard


def test_failing_worker_is_one_line(run, capfd, monkeypatch):
    Path("fake").mkdir()
    Path("fake/gymnasium.py").write_text("raise ImportError('no\\nluck')")
    monkeypatch.syspath_prepend(str(Path("fake").absolute()))
    words = ["eval", run, "--episodes", "1", "--workers", "1"]
    assert "worker 1 of 1 failed" in refuse(capfd, *words)


# interruptions


def test_interrupted_write_keeps_the_old_file(run, capfd, monkeypatch):
    Path("a.csv").write_text("old")

    def interrupt(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    words = ["eval", run, "--episodes", "1", "--workers", "0"]
    line = refuse(capfd, *words, "--out", "a.csv", code=130)
    assert "interrupted" in line


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, marks=pytest.mark.weekly), signal.SIGTERM],
)
def test_interrupted_training_goes_on(trained, capfd, number):
    words = retrain("run", "--updates", "150", "--log-every", "20")
    words = [str(word) for word in words]

    def listen():  # a test that runs in the background ignores SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        [*CLI, *words], stderr=subprocess.PIPE, text=True, preexec_fn=listen
    )
    while not Path("run/metrics.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.count("\n") == 1 and "goes on" in err
    assert Path("run/checkpoint.pt").exists()
    assert not Path("run/summary.json").exists()
    assert answer(capfd, *words)["updates"] == 150
    words[words.index("run")] = "whole"
    assert answer(capfd, *words)["updates"] == 150
    for name in ("scores.csv", "metrics.csv"):
        one, other = (Path(d, name).read_bytes() for d in ("run", "whole"))
        assert one == other


# full disks


def refuse_in_process(words, limit=None, **options):
    """Run the words in a process that may write `limit` bytes per file."""

    def fill_disk():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = subprocess.run(
        [*CLI, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=fill_disk,
        **options,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert "space" in result.stderr
    return result.stderr


def test_full_standard_output():
    with open("/dev/full", "w") as full:
        refuse_in_process(["tasks"], stdout=full)


def test_full_disk_while_training(run):
    before = snapshot(run)
    (run / "checkpoint.pt").unlink()
    (run / "summary.json").unlink()
    refuse_in_process(retrain(run), limit=10_000)
    after = snapshot(run)
    assert before[f"{run}/config.json"] == after[f"{run}/config.json"]
    assert f"{run}/checkpoint.pt" not in after
    assert not [name for name in after if "/." in name]


def test_full_disk_while_making_data(root):
    first, *_, last = sorted((root / "FetchReach" / "random").glob("*.npz"))
    last.unlink()
    before = snapshot(root)
    words = ["data", "make", "FetchReach", "--size", "tiny", "--root", root]
    refuse_in_process([*words, "--workers", "0"], limit=10_000)
    assert snapshot(root) == before


def test_full_disk_while_filming(run):
    Path("a.gif").write_text("old")
    words = ["video", run, "--drawing", "--out", "a.gif"]
    refuse_in_process(words, limit=10_000)
    assert Path("a.gif").read_text() == "old"
