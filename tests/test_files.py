"""Files are whole or absent; tables are cut back to what can be trusted."""

import os
import signal
import subprocess
import sys
import time

import pytest

from smore_lit.learning.files import Table, read_table, sweep, write_atomic

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
        "from smore_lit.learning.files import write_atomic\n"
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
        "from smore_lit.learning.files import Table\n"
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
