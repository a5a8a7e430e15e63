"""Files are whole or absent; tables are cut back to what can be trusted."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from smore_lit.running.files import (
    Table,
    as_number,
    as_path,
    as_plain,
    as_whole,
    check_shape,
    claim_folder,
    read_json,
    read_table,
    sweep,
    write_atomic,
)

COLUMNS = ["updates", "seed", "loss"]


def rows(*updates):
    return [dict(updates=u, seed=0, loss=1 / (u + 1)) for u in updates]


def updates_in(path):
    return [int(row["updates"]) for row in read_table(path)]


def test_text_and_bytes_are_written_readable(tmp_path):
    write_atomic(tmp_path / "a", "text\u2713")
    write_atomic(str(tmp_path / "b"), b"\x00\xff")
    assert (tmp_path / "a").read_text() == "text\u2713"
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path, monkeypatch, where, error
):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, where, fail)
    with pytest.raises(type(error)):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_none_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    for folder in ("file", "absent"):
        with pytest.raises(OSError):
            write_atomic(tmp_path / folder / "x", "new")


def test_a_killed_writer_leaves_a_whole_file_and_a_stray_that_is_swept(
    tmp_path,
):
    path = tmp_path / "file"
    script = (
        "import sys\n"
        "from smore_lit.running.files import write_atomic\n"
        "for k in range(10**6):\n"
        "    write_atomic(sys.argv[1], bytes([k % 256]) * 3_000_000)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    for delay in (0.0, 0.003, 0.007, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", script, path], env=environment
        )
        path.unlink(missing_ok=True)
        while not path.exists():
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        content = path.read_bytes()
        assert len(content) == 3_000_000 and len(set(content)) == 1
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_table_is_cut_back(tmp_path):
    path = tmp_path / "t.csv"
    Table(path, COLUMNS).append(rows(10, 20, 30))
    whole = path.read_bytes()
    with path.open("a") as file:
        file.write("40,0,0.1\n50,0,0.0")
    assert updates_in(path) == [10, 20, 30, 40]
    table = Table(path, COLUMNS, keep=20)
    assert updates_in(path) == [10, 20]
    table.append(rows(30))
    assert path.read_bytes() == whole
    assert float(read_table(path)[2]["loss"]) == 1 / 31
    Table(path, COLUMNS)
    assert path.read_text() == "updates,seed,loss\n"


@pytest.mark.parametrize("cut", range(1, 30))
def test_any_torn_tail_gives_the_same_table(tmp_path, cut):
    path = tmp_path / "t.csv"
    Table(path, COLUMNS).append(rows(10, 20, 30))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = [u for u in updates_in(path)]
    table = Table(path, COLUMNS, keep=10)
    assert kept[:1] in ([], [10])
    if kept:
        table.append(rows(20, 30))
        assert path.read_bytes() == whole


def test_a_table_that_is_right_is_not_touched(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    Table(path, COLUMNS).append(rows(10, 20))

    def fail(*_):
        raise OSError(30, "read-only")

    monkeypatch.setattr(os, "replace", fail)
    Table(path, COLUMNS, keep=20)
    with pytest.raises(OSError):
        Table(path, COLUMNS, keep=10)
    assert updates_in(path) == [10, 20]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"updates,other\n1,2\n", "other columns"),
        (b"updates,seed,loss\n1,2\n3,4,5\n", "broken row"),
        (b"updates,seed,loss\n1,2,3,4\n", "broken row"),
        (b"updates,seed,loss\nx,2,3\n", "does not count updates"),
        (b"\xff\xfe\x00\n\x01\n", "damaged"),
    ],
)
def test_strange_tables_are_refused_and_kept(tmp_path, content, reason):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        Table(path, COLUMNS, keep=9)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"upda", b"updates,seed,loss"])
def test_an_empty_table_begins_anew(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    Table(path, COLUMNS, keep=9).append(rows(1))
    assert updates_in(path) == [1]


def test_a_full_disk_reaches_the_caller_and_keeps_the_rows(tmp_path):
    path = tmp_path / "t.csv"
    script = (
        "import resource, signal, sys\n"
        "from smore_lit.running.files import Table\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "table = Table(sys.argv[1], ['updates', 'loss'])\n"
        "for u in range(1000):\n"
        "    table.append([{'updates': u, 'loss': 0.5}])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, path],
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("OSError")
    found = updates_in(path)
    assert found == list(range(len(found))) and len(found) > 50


# paths


@pytest.mark.parametrize(
    "spelling",
    ["runs", "./runs", "x/../runs", "runs/", "~/runs", "$BASE/runs",
     "${BASE}/runs", Path("runs"), Path("~/runs"), b"runs"],
)  # fmt: skip
def test_paths_are_read_as_a_shell_reads_them(spelling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BASE", str(tmp_path))
    (tmp_path / "x").mkdir()
    assert claim_folder(spelling).samefile(tmp_path / "runs")
    assert sorted(os.listdir(tmp_path)) == ["runs", "x"]
    assert os.listdir(tmp_path / "runs") == []


@pytest.mark.parametrize("name", ["a b", "\u00fcn\u00ef", "a$UNSET_b", "x~"])
def test_names_that_only_look_special_stay(name, tmp_path):
    write_atomic(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("path", [None, 3, "", b"", ["a"], True])
def test_what_is_no_path_is_one_line(path):
    with pytest.raises(ValueError, match="path must") as caught:
        as_path(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_claimed_is_named(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError) as caught:
        claim_folder(tmp_path / place)
    assert str(tmp_path / place) in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_links_go_on_to_be_links(tmp_path):
    for name in ("there", "nowhere"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(name)
        if name == "there":
            (tmp_path / name).write_text("old")
        write_atomic(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / name).read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_atomic(pipe, "text")
    reader.join(10)
    assert found == ["text"] and pipe.is_fifo()


@pytest.mark.parametrize("where", ["absent/file", "file/below", "folder"])
def test_errors_name_the_file_and_not_the_temporary_one(where, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        write_atomic(tmp_path / where, "text")
    assert caught.value.filename == str(tmp_path / where)
    assert ".part" not in str(caught.value)


# numbers


@pytest.mark.parametrize(
    "kind", [int, float, np.int8, np.uint16, np.int64, np.float16, np.float32,
             np.float64, np.array, torch.tensor],
)  # fmt: skip
def test_whole_numbers_of_any_kind(kind):
    found = as_whole("it", kind(7), 1)
    assert type(found) is int and found == 7
    found = as_number("it", kind(7))
    assert type(found) is float and found == 7.0


@pytest.mark.parametrize(
    "value",
    [True, np.True_, torch.tensor(True), 2.5, np.float32(2.5), np.nan, np.inf,
     "7", b"7", None, [7], np.array([7]), np.array("7"), 7 + 0j, -1],
    ids=repr,
)  # fmt: skip
def test_what_is_no_whole_number_is_one_line(value):
    with pytest.raises(ValueError, match="seeds must be a whole") as caught:
        as_whole("seeds", value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, np.nan, -np.inf, "1", None, 10**400])
def test_what_is_no_number_is_one_line(value):
    with pytest.raises(ValueError, match="gamma must be a finite") as caught:
        as_number("gamma", value)
    assert len(str(caught.value)) < 200


def test_short_floats_mean_the_decimals_they_print():
    for kind in (np.float16, np.float32):
        for text in ("0.1", "0.98", "3e-04", "2.5"):
            assert as_number("it", kind(text)) == float(text)
    assert as_number("it", torch.tensor(0.1)) == 0.1
    assert as_number("it", np.float64(1 / 3)) == 1 / 3
    mixed = (np.int64(1), [np.float32(0.1), torch.tensor([2, 3])], "a", None)
    assert as_plain(mixed) == (1, [0.1, [2, 3]], "a", None)


# what may have been damaged


SHAPE = {"n": int, "x": (float, None), "names": [str], "parts": {...: [int]}}


@pytest.mark.parametrize(
    "value, word",
    [
        ([], "it cannot be"),
        ({"n": 1, "x": 1, "names": []}, "it lacks parts"),
        ({"n": True}, "lacks x"),
        ({"n": True, "x": 1, "names": [], "parts": {}}, "n cannot be True"),
        ({"n": 1.0, "x": 1, "names": [], "parts": {}}, "n cannot be 1.0"),
        ({"n": 1, "x": "1", "names": [], "parts": {}}, "x cannot be '1'"),
        ({"n": 1, "x": float("nan"), "names": [], "parts": {}}, "be nan"),
        ({"n": 1, "x": 10**400, "names": [], "parts": {}}, "x cannot be 1000"),
        ({"n": 1, "x": 1, "names": {}, "parts": {}}, "names cannot be {}"),
        ({"n": 1, "x": 1, "names": ["a", 1], "parts": {}}, "names[1] cannot"),
        ({"n": 1, "x": 1, "names": ["a\n"], "parts": {}}, "names[0] cannot"),
        ({"n": 1, "x": 1, "names": [], "parts": {"p": [None]}}, "parts.p[0]"),
    ],
    ids=range(12),
)
def test_shapes_name_the_place(value, word):
    with pytest.raises(ValueError) as caught:
        check_shape(value, SHAPE)
    assert word in str(caught.value)


def test_shapes_that_fit():
    for x in (None, 1, 1.5):
        value = {"n": 1, "x": x, "names": ["a"], "parts": {"p": []}, "z": 1}
        check_shape(value, SHAPE)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 10**5, b"1" * 10**4, b"null",
                b" " * 2**21, b'{"n": 1e999}', b'{"n": "\\ud800"}'],
    ids=range(9),
)  # fmt: skip
def test_json_that_is_damaged_is_one_line(content, tmp_path):
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_json(path, {"n": int}, "delete it")
    line = str(caught.value)
    assert line.startswith(f"{path} is damaged: delete it (")
    assert "\n" not in line and line.isprintable() and len(line) < 400
