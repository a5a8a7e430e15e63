"""Every chapter has the form that CONTRIBUTING asks for."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from smore_lit.appendix.literate import read_chapter

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PARTS = {
    part["caption"]: [row["file"] for row in part["chapters"]]
    for part in TOC["parts"]
}
CHAPTERS = {
    name: read_chapter(f"{name}.md", (ROOT / f"{name}.md").read_text())
    for name in [TOC["root"], *sum(PARTS.values(), [])]
    if name != "genindex"
}
PICTURED = ("Start", "Theory", "Method", "Baselines", "Experiments")
SEARCHED = {
    "score-guided planning": "planning/planners",
    "MPC": "planning/planners",
    "kernel density": "planning/distances",
    "mean shift": "planning/stability",
    "Lipschitz bound": "planning/lipschitz",
    "denoising score matching": "planning/score_matching",
    "GoFAR": "baselines/gofar",
    "IQL": "baselines/in_sample",
    "SQL": "baselines/in_sample",
    "EQL": "baselines/in_sample",
    "XQL": "baselines/in_sample",
    "WGCSL": "baselines/weighted",
    "GCSL": "baselines/supervised",
    "behavior cloning": "baselines/supervised",
    "contrastive RL": "baselines/contrastive",
    "actionable models": "baselines/actionable",
    "QRL": "baselines/quasimetric",
    "SMORe": "learning/smore",
    "ablation": "learning/ablations",
    "PointReach": "worlds/points",
    "PointRooms": "worlds/points",
    "Reacher": "worlds/reacher",
    "SawyerReach": "worlds/sawyer",
    "SawyerDoor": "worlds/sawyer",
    "FetchReach": "worlds/tasks",
    "FetchPush": "worlds/pushing",
    "FetchPick": "worlds/pushing",
    "FetchSlide": "worlds/pushing",
    "HandReach": "worlds/hand",
    "Theorem 1": "theory/duality",
    "Theorem 2": "theory/action_free",
    "Proposition 1": "theory/goal_transitions",
    "Proposition 2": "theory/mixtures",
    "duality": "theory/duality",
    "mixture": "theory/mixtures",
    "occupancy": "theory/occupancies",
    "errata": "theory/errata",
    "own data": "start/own_data",
    "install": "start/installation",
    "command line": "start/command_line",
}


def plain(source):
    """Return a cell without the magics of IPython."""
    return re.sub(r"^%", "#", source, flags=re.M)


def code_cells(chapter):
    return [cell for cell in chapter.cells if cell.kind == "code"]


def folded(cell):
    tags = cell.metadata.get("tags", [])
    return any(tag.startswith(("hide", "remove")) for tag in tags)


def prompt(cell):
    return cell.metadata.get("mystnb", {}).get("code_prompt_show", "")


def prose(chapter):
    text = "\n".join(c.source for c in chapter.cells if c.kind == "markdown")
    text = re.sub(
        r"^```\{(?:math|index)\}.*?^```", "", text, flags=re.M | re.S
    )
    return re.sub(r"^(`{3,}|:).*$", "", text, flags=re.M)


def visible_lines(chapter):
    sources = (c.source for c in code_cells(chapter) if not folded(c))
    return sum(bool(line.strip()) for s in sources for line in s.splitlines())


def density(names):
    words = sum(len(prose(CHAPTERS[name]).split()) for name in names)
    return words / max(1, sum(visible_lines(CHAPTERS[n]) for n in names))


def lines_of(nodes):
    return sum(node.end_lineno - node.lineno + 1 for node in nodes)


def role(cell):
    """Return what a cell does, if that alone says that it is folded."""
    body = ast.parse(plain(cell.source)).body
    imports = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
    if 2 * lines_of(imports) > lines_of(body):
        return "imports"
    if "export" in cell.metadata.get("tags", []):
        return None
    if "image" in cell.metadata.get("mystnb", {}):
        return "figure"
    last = body and body[-1]
    prints = "print(" in cell.source or isinstance(last, ast.Expr)
    asserts = any(
        isinstance(n, ast.Assert) for n in ast.walk(ast.parse(cell.source))
    )
    return "check" if asserts and not prints else None


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_that_only_serves_is_folded_under_a_label(name):
    for cell in code_cells(CHAPTERS[name]):
        found, label = role(cell), prompt(cell)
        place = f"cell at line {cell.line}"
        if found:
            assert folded(cell), f"{place}: fold it"
        if found == "check":
            assert re.match(r"(Checked|Code): \S+ \S+", label), place
        if folded(cell) and "hide-input" in cell.metadata["tags"]:
            assert label and "???" not in label, f"{place}: say what is folded"


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_have_a_name_a_caption_and_an_alternative_text(name):
    chapter = CHAPTERS[name]
    for cell in code_cells(chapter):
        draws = re.search(
            r"\bplt\.(subplots|figure|show)\(|\bImage\(", cell.source
        )
        exported = "export" in cell.metadata.get("tags", [])
        settings = cell.metadata.get("mystnb", {})
        if draws and not exported and "plt.close" not in cell.source:
            place = f"cell at line {cell.line}"
            figure = settings.get("figure", {})
            assert len(figure.get("caption", "").split()) >= 5, place
            assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), (
                place
            )
            assert len(settings.get("image", {}).get("alt", "").split()) > 4, (
                place
            )
    text = (ROOT / chapter.path).read_text()
    for block in re.findall(r"^```\{image\}.*?^```", text, re.M | re.S):
        raise AssertionError(f"use figure with a caption: {block}")
    for block in re.findall(r"^```\{figure\}(.*?)^```", text, re.M | re.S):
        assert ":alt: " in block and block.rstrip().splitlines()[-1][:1] != ":"


def test_names_of_figures_are_unique():
    text = "".join((ROOT / c.path).read_text() for c in CHAPTERS.values())
    names = re.findall(r"^(?: +|:)name: (fig-\S+)$", text, re.M)
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("name", sum((PARTS.get(p, []) for p in PICTURED), []))
def test_a_picture_comes_before_long_code(name):
    """The browser measures pixels; here: few visible lines stand before."""
    lines = 0
    for cell in CHAPTERS[name].cells:
        picture = "{figure}" in cell.source or "fig-" in str(cell.metadata)
        if picture or "```{figure}" in cell.source:
            break
        if cell.kind == "code" and not folded(cell):
            lines += len(cell.source.splitlines())
    else:
        raise AssertionError("no figure")
    assert lines <= 25, f"{lines} lines of code before the first figure"


@pytest.mark.parametrize("name", PARTS.get("Theory", []))
def test_no_chapter_of_theory_is_mostly_code(name):
    assert density([name]) >= 7


@pytest.mark.parametrize("part", ["Theory", "Method"])
def test_words_outweigh_visible_code(part):
    assert density(PARTS[part]) >= 10


@pytest.mark.parametrize(
    "name", ["book/learning/smore", *PARTS.get("Baselines", [])]
)
def test_a_method_has_quick_facts_and_an_algorithm(name):
    text = (ROOT / CHAPTERS[name].path).read_text()
    facts = re.search(
        r":class: .*quick-facts.*?^(`{3,}|:{3,})", text, re.M | re.S
    )
    assert facts, "no quick facts"
    for word in ("Needs", "Learns", "Constants", "Shines", "Fails", "Source"):
        assert f"**{word}" in facts[0], word
    if name == "book/learning/ablations":
        return  # parts of SMORe, no algorithm of its own
    assert "{prf:algorithm}" in text


def test_statements_of_the_theory_stand_in_boxes():
    text = "".join(
        (ROOT / CHAPTERS[name].path).read_text() for name in PARTS["Theory"]
    )
    boxes = re.findall(r"\{prf:(\w+)\} (.*)", text)
    kinds = [kind for kind, _ in boxes]
    assert kinds.count("definition") >= 3
    assert {"proposition", "theorem", "lemma"} <= set(kinds)
    titles = " ".join(title.lower() for _, title in boxes)
    for name in (
        "occupancy",
        "goal-transition",
        "mixture",
        "proposition 1",
        "proposition 2",
        "theorem 1",
        "theorem 2",
        "expectile",
    ):
        assert name in titles, name


@pytest.mark.parametrize("query, page", SEARCHED.items())
def test_what_people_search_for_is_a_main_entry_of_its_page(query, page):
    """Sphinx puts the pages of main index entries before all others."""
    owners = [
        name
        for name in CHAPTERS
        for block in re.findall(
            r"^```\{index\} (.*)$",
            (ROOT / f"{name}.md").read_text(),
            re.M,
        )
        if f"! {query.lower()}"
        in [e.strip().lower() for e in block.split(",")]
    ]
    assert owners == [f"book/{page}"]


def test_nothing_was_lost():
    sources = [c.source for ch in CHAPTERS.values() for c in code_cells(ch)]
    asserts = sum(
        isinstance(node, ast.Assert)
        for source in sources
        for node in ast.walk(ast.parse(plain(source)))
    )
    solved = sum(
        len(re.findall(r"^```\{dropdown\} Solution", c.source, re.M))
        for chapter in CHAPTERS.values()
        for c in chapter.cells
    )
    assert asserts >= 1_132 and solved >= 133


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_exercise_has_a_solution(name):
    text = (ROOT / f"{name}.md").read_text().partition("## Exercises")[2]
    pattern = r"^```\{dropdown\} Solution\n(.*?)^```"
    solutions = re.findall(pattern, text, re.M | re.S)
    asked = re.sub(pattern, "", text, flags=re.M | re.S)
    answers = [max(1, len(re.findall(r"^\d+\. ", s, re.M))) for s in solutions]
    assert sum(answers) >= len(re.findall(r"^\d+\. ", asked, re.M))
