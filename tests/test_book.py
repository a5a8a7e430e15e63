"""The book is rendered from what nbmake executed, and from nothing else."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from jupyter_cache import get_cache
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

from smore_lit.appendix.literate import read_chapter, weave

ROOT = Path(__file__).resolve().parents[1]
CONFTEST = ROOT / "book" / "conftest.py"
TWINS = sorted((ROOT / "book").rglob("*.ipynb"))
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

(title)=
# Title

```{code-cell} ipython3
:tags: [hide-input]
import os
import smore_lit
print(os.getcwd(), os.environ["OMP_NUM_THREADS"])
```

```{code-cell} ipython3
answer = 6 * 7
assert answer == 42
```
"""


def read_as_the_build_does(text):
    return read_myst_markdown_notebook(
        text, MdParserConfig(), add_source_map=True
    )


def hashed(cache, notebook):
    return cache.create_hashed_notebook(notebook)[1]


@pytest.fixture(scope="module")
def conftest():
    spec = importlib.util.spec_from_file_location("book_conftest", CONFTEST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_build_looks_up_what_nbmake_executes(path, conftest, tmp_path):
    cache = get_cache(tmp_path)
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.metadata["execution"] = {"shell.execute_reply": "now"}
    conftest.leave_chapter_cells(notebook)
    text = path.with_suffix(".md").read_text()
    chapter = read_as_the_build_does(text)
    assert hashed(cache, notebook) == hashed(cache, chapter)


def test_keeps_what_passes_and_shows_what_fails(tmp_path):
    book = tmp_path / "book"
    (book / "part").mkdir(parents=True)
    shutil.copy(CONFTEST, book)
    texts = {"good": CHAPTER, "bad": CHAPTER.replace("== 42", "== 43")}
    texts["loud"] = CHAPTER.replace(
        "assert answer",
        'import warnings; warnings.warn("look")\nassert answer',
    )
    texts["dead"] = CHAPTER.replace("assert answer", "os.kill(os.getpid(), 9)")
    for name, text in texts.items():
        chapter = read_chapter(f"book/part/{name}.md", text)
        notebook = weave(chapter, "https://github.com/nobody/nothing")
        (book / "part" / f"{name}.ipynb").write_text(notebook)
    before = (book / "part" / "good.ipynb").read_text()
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + ["--nbmake", "--keep-executed=kept", "book/"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "assert answer == 43" in result.stdout
    assert "AssertionError" in result.stdout
    assert "the page would show:" in result.stdout
    assert "UserWarning: look" in result.stdout
    assert "Kernel died" in result.stdout
    assert "3 failed, 1 passed" in result.stdout
    assert (book / "part" / "good.ipynb").read_text() == before
    (kept,) = (tmp_path / "kept").rglob("*.ipynb")
    assert kept == tmp_path / "kept" / "part" / "good.ipynb"

    cache = get_cache(tmp_path / "cache")
    cache.cache_notebook_file(kept, check_validity=False)
    chapter = read_as_the_build_does(CHAPTER)
    _, merged = cache.merge_match_into_notebook(chapter)
    first = next(cell for cell in merged.cells if cell.cell_type == "code")
    assert first.outputs[0].text == f"{book / 'part'} 1\n"
    assert first.metadata == {"tags": ["hide-input"]}


def test_what_kernels_share_is_silent_and_not_ours(conftest):
    code = "import sys; from importlib import import_module as load\n"
    code += f"for name in {conftest.PRELOADED}: load(name)\n"
    code += "print([name for name in sys.modules if name[:9] == 'smore_lit'])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_build_by_hand_executes_every_chapter():
    text = (ROOT / "_config.yml").read_text()
    settings = yaml.safe_load(text)
    assert settings["execute"]["execute_notebooks"] == "force"
    assert not settings["execute"]["allow_errors"]
    assert text.count("execute_notebooks: force") == 1
    recipe = (ROOT / "Makefile").read_text()
    assert "s/execute_notebooks: force/execute_notebooks: cache/" in recipe


def test_two_processes_hand_out_other_ports(conftest, monkeypatch):
    drawn = []
    for number in (7, 8):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        find = conftest.own_ports()
        drawn.append({find(None, "127.0.0.1") for _ in range(60)})
    assert len(drawn[0]) == len(drawn[1]) == 60
    assert not drawn[0] & drawn[1]
    with socket.socket() as taken:
        port = min(drawn[1])
        taken.bind(("127.0.0.1", port))
        again = conftest.own_ports()
        assert port not in {again(None, "127.0.0.1") for _ in range(90)}
