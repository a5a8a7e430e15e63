"""The exporter refuses, repairs and repeats as the colophon says."""

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from smore_lit.appendix import literate
from smore_lit.appendix.literate import (
    check,
    main,
    plain_prose,
    read_chapter,
    sync,
    tangle,
    weave,
)

ROOT = Path(__file__).resolve().parents[1]
PATH = "book/learning/double.md"
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
---

(doubling)=
# Double a number

*Twice as much.*

"""


def cell(source, tags=""):
    option = f":tags: [{tags}]\n" if tags else ""
    return f"```{{code-cell}} ipython3\n{option}{source}\n```\n\n"


def chapter(*cells):
    return read_chapter(PATH, HEADER + "".join(cells))


DOUBLE = cell("def double(x):\n    return 2 * x", "export")


def checkout(folder, *cells):
    file = folder / PATH
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEADER + "".join(cells))
    return folder


def test_this_repository_is_in_step():
    assert check(ROOT) == []


def test_every_notebook_is_valid_and_empty():
    for file in (ROOT / "book").rglob("*.ipynb"):
        notebook = nbformat.read(file, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        for c in notebook.cells:
            if c.cell_type == "code":
                assert c.outputs == [] and c.execution_count is None


def test_code_passes_through_unchanged():
    source = 'x = "a  b"  # kept\n\n\n@property\ndef f(self):\n    r"""\\d"""'
    module = tangle(chapter(cell(source, "export")))
    assert source in module
    assert '# book/learning/double.md, section "Double a number"' in module


def test_module_head():
    module = tangle(
        chapter(DOUBLE, "## Now\n\n", cell("_a, B = 1, 2", "export"))
    )
    assert module.startswith(
        "# Generated from book/learning/double.md by make sync. "
        "Edit the chapter, not this file.\n"
        '"""Double a number.\n\nTwice as much.\n"""\n\n'
        '__all__ = ["double", "B"]\n'
    )
    assert 'section "Now"' in module


def test_futures_are_hoisted_and_merged():
    one = cell("from __future__ import annotations\nimport math", "export")
    two = cell(
        "from __future__ import (\n    division,\n    annotations,\n)\n\n"
        "def f(x: Later):\n    return math.pi * x",
        "export",
    )
    module = tangle(chapter(one, two))
    assert module.count("__future__") == 1
    assert "from __future__ import annotations, division\n" in module
    compile(module, "double.py", "exec")


def test_only_a_future_import_leaves_no_empty_block():
    only = cell("from __future__ import annotations", "export")
    module = tangle(chapter(only, DOUBLE))
    assert module.count("# book/") == 1


def test_raw_docstring_where_the_summary_has_latex():
    text = HEADER.replace("Twice as much.", r"Twice $\alpha$.") + DOUBLE
    assert '\nr"""Double a number.' in tangle(read_chapter(PATH, text))


def test_main_can_be_run_but_does_not_run_in_the_notebook():
    made = chapter(cell("def main():\n    return 0", "export"))
    assert tangle(made).endswith(literate.MAIN + "\n")
    assert "__main__" not in weave(made)


def test_no_export_no_module():
    assert tangle(chapter(cell("1 + 1"))) is None


def test_long_all_is_broken():
    rows = "\n".join(f"A_LONG_CONSTANT_{i} = {i}" for i in range(9))
    module = tangle(chapter(cell(rows, "export")))
    assert max(map(len, module.splitlines()[1:])) <= 79
    namespace = {}
    exec(module, namespace)
    assert len(namespace["__all__"]) == 9


BAD_CELLS = {
    "typo": (cell("x = 1", "exports"), "unknown tag 'exports'; did you mean"),
    "far tag": (cell("x = 1", "zzz"), "unknown tag 'zzz'"),
    "no brackets": (
        cell("x = 1").replace("ipython3\n", "ipython3\n:tags: export\n"),
        "tags without brackets",
    ),
    "call": (cell("print(1)", "export"), "would run at import"),
    "subscript": (cell("D = {}\nD[1] = 2", "export"), "would run at import"),
    "attribute": (cell("import os\nos.x = 2", "export"), "would run at"),
    "loop": (cell("for i in []:\n    pass", "export"), "would run at import"),
    "assert": (cell("assert True", "export"), "would run at import"),
    "star": (cell("from os import *", "export"), "would run at import"),
    "augmented": (cell("x = 1\nx += 1", "export"), "would run at import"),
    "in a class": (
        cell("class C:\n    print(1)", "export"),
        "would run at import",
    ),
    "syntax": (cell("x = 1\ndef f(:", "export"), "line 2 of the cell"),
    "magic": (cell("%matplotlib inline", "export"), "magic"),
    "cell magic": (cell("%%time\nx = 1", "export"), "magic"),
    "shell": (cell("!ls", "export"), "magic"),
    "twice": (DOUBLE + DOUBLE, "double is already defined at line 13"),
    "twice in one": (cell("x = 1\nx = 2", "export"), "x is already defined"),
    "tab": (cell("if 1:\n\tx = 1"), "tab"),
    "carriage return": ("line\rline\n", "carriage return"),
    "yaml": (
        "```{code-cell} ipython3\n---\na: [\n---\nx = 1\n```\n",
        "not readable as MyST",
    ),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_chapter_is_one_line_and_exit_code_2(name, tmp_path, capsys):
    bad, message = BAD_CELLS[name]
    checkout(tmp_path)
    file = tmp_path / PATH
    file.write_bytes((HEADER + bad).encode())
    for action in ("sync", "check"):
        assert main([action, "--root", str(tmp_path)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(PATH) and message in lines[0]
    assert not (tmp_path / "smore_lit").exists()


@pytest.mark.parametrize(
    "text, message",
    [
        ("# Title\n", "no jupytext header"),
        ("", "no jupytext header"),
        (HEADER.replace("myst\n---", "myst"), "header not closed"),
        (HEADER.replace("# Double", "Double"), "no title"),
    ],
)
def test_chapter_without_head(text, message):
    with pytest.raises(ValueError, match=message):
        read_chapter(PATH, text)


def test_bad_bytes_and_missing_folder(tmp_path, capsys):
    assert main(["check", "--root", str(tmp_path)]) == 2
    assert "no folder 'book'" in capsys.readouterr().err
    checkout(tmp_path)
    (tmp_path / PATH).write_bytes(b"\xff\xfe")
    assert main(["check", "--root", str(tmp_path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_line_ends_of_windows_are_no_difference(tmp_path):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    paths = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    assert {path.suffix for path in paths} >= {".md", ".ipynb", ".py"}
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = [path.read_bytes() for path in paths]
    assert check(tmp_path) == [] and sync(tmp_path) == []
    assert [path.read_bytes() for path in paths] == before
    (twin,) = (path for path in paths if path.name == "double.py")
    twin.write_bytes(twin.read_bytes().replace(b"2 * x", b"x + x"))
    assert len(check(tmp_path)) == 1


def test_a_clone_by_git_for_windows_is_whole(tmp_path):
    origin = tmp_path / "origin"
    origin.mkdir()
    checkout(origin, DOUBLE)
    sync(origin)
    shutil.copy(ROOT / ".gitattributes", origin)

    def git(*words):
        subprocess.run(["git", *map(str, words)], check=True)

    git("init", "-q", origin)
    git("-C", origin, "add", ".")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    git("-C", origin, *who, "commit", "-q", "-m", "all")
    clone = tmp_path / "clone"
    git("clone", "-q", "-c", "core.autocrlf=true", origin, clone)
    assert check(clone) == []
    for path in clone.rglob("*.*"):
        if path.is_file() and ".git" not in path.parts:
            assert b"\r" not in path.read_bytes(), path


def test_name_that_is_no_module(tmp_path):
    checkout(tmp_path)
    (tmp_path / PATH).rename(tmp_path / "book/learning/two-fold.md")
    sync(tmp_path)
    (tmp_path / "book/learning/two-fold.md").write_text(HEADER + DOUBLE)
    with pytest.raises(ValueError, match="rename it"):
        sync(tmp_path)


def test_one_bad_chapter_does_not_stop_the_others(tmp_path):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    bad = tmp_path / "book/learning/bad.md"
    bad.write_text(HEADER + cell("print(1)", "export"))
    (tmp_path / PATH).write_text(HEADER + DOUBLE.replace("2 *", "3 *"))
    with pytest.raises(ValueError, match="bad.md"):
        sync(tmp_path)
    assert "3 * x" in (tmp_path / "smore_lit/learning/double.py").read_text()


def test_a_broken_chapter_keeps_its_last_twins(tmp_path):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    checkout(tmp_path, DOUBLE + cell("print(1)", "export"))
    with pytest.raises(ValueError):
        sync(tmp_path)
    for twin in ("double.py", "__init__.py"):
        assert (tmp_path / "smore_lit/learning" / twin).exists()


@pytest.mark.parametrize(
    "twin", ["smore_lit/learning/double.py", "book/learning/double.ipynb"]
)
def test_an_edited_twin_is_named_with_its_chapter(twin, tmp_path, capsys):
    checkout(tmp_path, DOUBLE)
    assert main(["sync", "--root", str(tmp_path)]) == 0
    assert main(["check", "--root", str(tmp_path)]) == 0
    capsys.readouterr()
    file = tmp_path / twin
    file.write_text(file.read_text() + "\n")
    assert main(["check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        f"{twin} differs from its chapter: "
        "edit book/learning/double.md, then run make sync\n"
    )
    assert sync(tmp_path) == [twin]
    file.unlink()
    assert check(tmp_path) == [f"{twin} is missing: run make sync"]


def test_orphans(tmp_path):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    other = tmp_path / "smore_lit/learning/other.py"
    other.write_text("x = 1\n")
    assert check(tmp_path) == [
        "smore_lit/learning/other.py has no chapter: "
        "write book/learning/other.md, or delete it"
    ]
    assert sync(tmp_path) == [] and other.exists()
    other.unlink()
    (tmp_path / PATH).unlink()
    assert len(check(tmp_path)) == 3
    assert len(sync(tmp_path)) == 3
    assert check(tmp_path) == []
    assert not list((tmp_path / "smore_lit").rglob("*.py"))


def test_sync_twice_changes_nothing_and_gives_the_same_bytes(tmp_path):
    checkout(tmp_path, DOUBLE, cell("double(2)"))
    first = sync(tmp_path)
    texts = {name: (tmp_path / name).read_bytes() for name in first}
    assert sync(tmp_path) == []
    for name in first:
        (tmp_path / name).unlink()
    assert sync(tmp_path) == first
    assert texts == {name: (tmp_path / name).read_bytes() for name in first}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    twin = tmp_path / "smore_lit/learning/double.py"
    before = twin.read_bytes()
    checkout(tmp_path, DOUBLE.replace("2 *", "3 *"))

    def fail(*names):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    assert main(["sync", "--root", str(tmp_path)]) == 2
    assert twin.read_bytes() == before
    assert not [p for p in tmp_path.rglob("*.tmp")]


def test_written_files_have_ordinary_permissions(tmp_path):
    checkout(tmp_path, DOUBLE)
    sync(tmp_path)
    mode = stat.S_IMODE(
        (tmp_path / "smore_lit/learning/double.py").stat().st_mode
    )
    assert mode & stat.S_IRUSR and not mode & stat.S_IXUSR


def test_identifiers_survive_an_insertion_and_differ_for_equal_cells():
    twice = cell("1 + 1")
    before = json.loads(weave(chapter(twice, DOUBLE, twice)))
    after = json.loads(weave(chapter(cell("0"), twice, DOUBLE, twice)))
    old = [c["id"] for c in before["cells"]]
    assert len(set(old)) == len(old)
    assert set(old) <= {c["id"] for c in after["cells"]}


def test_install_cell_only_where_the_package_is_imported():
    address = "https://example.org/repo"
    plain = json.loads(weave(chapter(DOUBLE), address))
    assert not any("%pip" in "".join(c["source"]) for c in plain["cells"])
    uses = chapter(cell("from smore_lit.learning.double import double"))
    woven = json.loads(weave(uses, address))
    first = next(c for c in woven["cells"] if c["cell_type"] == "code")
    source = "".join(first["source"])
    assert f"git+{address}" in source
    ast.parse(source.replace("%pip", "pass  # "))
    assert "%pip" not in weave(uses)


@pytest.mark.parametrize(
    "myst, plain",
    [
        ("(label)=\n# Title", "# Title"),
        ("see {eq}`loss`", "see (loss)"),
        ("see {ref}`the text <x>`", "see the text"),
        ("{cite:t}`knuth` wove", "[knuth] wove"),
        ("```{math}\n:label: a\nx\n```", "$$\nx \\tag{a}\n$$"),
        (
            "```{math}\nx\n```\nand\n```{math}\ny\n```",
            "$$\nx\n$$\nand\n$$\ny\n$$",
        ),
        (
            "```{dropdown} Solution\nYes.\n```",
            "<details><summary>Solution</summary>\n\nYes.\n\n</details>",
        ),
        (
            "````{dropdown} Why\n```{math}\nx\n```\n````",
            "<details><summary>Why</summary>\n\n$$\nx\n$$\n\n</details>",
        ),
        ("```{figure} a.png\n:alt: A\nWords.\n```", "![A](a.png)\n\nWords."),
        (":::{note}\nMind.\n:::", "> Mind."),
        ("```python\nx = 1\n```", "```python\nx = 1\n```"),
    ],
)
def test_prose_for_notebook_viewers(myst, plain):
    assert plain_prose(myst) == plain


def test_runs_as_a_program(tmp_path):
    checkout(tmp_path, DOUBLE)
    result = subprocess.run(
        [sys.executable, "-m", "smore_lit.appendix.literate", "sync"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0 and result.stderr == ""
    assert "smore_lit/learning/double.py" in result.stdout
