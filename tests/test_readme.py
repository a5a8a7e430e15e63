"""What the README says can be done can be done."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from smore_lit.appendix.cli import build_parser
from smore_lit.appendix.demo import paper_score
from smore_lit.running.evaluation import interval
from smore_lit.running.results import read_results, select

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


OURS = re.compile(
    r"https://(?:github\.com/smore-lit/smore_lit/blob"
    r"|raw\.githubusercontent\.com/smore-lit/smore_lit)/main/"
)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_links_lead_somewhere_wherever_the_text_is_shown(target):
    assert target.startswith("https://"), "an index resolves no other link"
    if OURS.match(target):
        assert (ROOT / OURS.sub("", target)).exists()


def test_the_book_compares_with_others_in_the_same_words():
    def section(text):
        return re.search(r"^## Beside others\n(.*?)^## ", text, re.M | re.S)[1]

    ours = section(TEXT)
    assert ours == section((ROOT / "book" / "intro.md").read_text())
    rows = [row.count("|") for row in ours.splitlines() if row[:1] == "|"]
    assert len(rows) > 10 and set(rows) == {7}


def test_citation_is_that_of_the_bibliography():
    (ours,) = blocks("bibtex")
    theirs = (ROOT / "references.bib").read_text()
    for field in ("title", "author", "year"):
        value = re.search(rf"{field}\s*=\s*\{{(.*?)\}},?$", ours, re.M)[1]
        assert value in " ".join(theirs.split())


def test_scores_are_those_of_the_results():
    rows = select(study="objectives", label="default")
    last = max(row["updates"] for row in rows)
    rows = [row for row in rows if row["updates"] == last]
    assert len(rows) == 5 and f"{last:,} updates" in TEXT
    for column in ("return_099", "return_098"):
        span = interval([row[column] for row in rows])
        text = "{mean:.2f} ({low:.2f} to {high:.2f})".format(**span)
        assert text in TEXT
    success = sum(row["success"] for row in rows) / len(rows)
    assert f"| {success:.3f} |" in TEXT
    paper = paper_score("FetchReach")
    (done,) = (
        row["mean"]
        for row in read_results("paper_tables")
        if (row["metric"], row["algorithm"]) == ("success_rate", "SMORe")
        and row["task"] == "FetchReach"
    )
    mean = f"{paper['mean']:.2f} ± {paper['std']:.2f}"
    assert f"| {mean} | | {done:.1f} |" in TEXT
