"""What the README says can be done can be done."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from smore_lit.appendix.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def lines(start):
    found = "".join(blocks("sh")).splitlines()
    return [line for line in found if line.startswith(start)]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, tmp_path):
    quick = re.sub(r"updates=\d+", "updates=2, eval_episodes=2", code)
    assert quick != code
    script = tmp_path / "readme.py"
    script.write_text(quick)
    result = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "m left" in result.stdout


@pytest.mark.parametrize("line", lines("smore-lit"))
def test_commands_are_understood(line):
    options = build_parser().parse_args(shlex.split(line)[1:])
    assert callable(options.answer)


@pytest.mark.parametrize("line", lines("make"))
def test_make_targets_exist(line):
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_links_lead_somewhere(target):
    assert target.startswith("https://") or (ROOT / target).exists()


def test_citation_is_that_of_the_bibliography():
    (ours,) = blocks("bibtex")
    theirs = (ROOT / "references.bib").read_text()
    for field in ("title", "author", "year"):
        value = re.search(rf"{field}\s*=\s*\{{(.*?)\}},?$", ours, re.M)[1]
        assert value in " ".join(theirs.split())
