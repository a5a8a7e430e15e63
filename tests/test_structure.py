"""The package and the book have the shape that the colophon promises."""

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from smore_lit.appendix.literate import MAIN, is_definition, read_chapter

ROOT = Path(__file__).resolve().parents[1]
COLOPHON = (ROOT / "book/appendix/literate.md").read_text()
WINGS = re.findall(r"^\| `(\w+)` \|", COLOPHON, re.M)
MODULES = sorted(
    path
    for path in (ROOT / "smore_lit").rglob("*.py")
    if path.parent.name != "smore_lit"
)
CHAPTERS = sorted((ROOT / "book").rglob("*.md"))


def label(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_modules_only_define(path):
    source = path.read_text()
    if source.endswith(MAIN + "\n"):
        source = source.removesuffix(MAIN + "\n")
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        assert is_definition(node), f"line {node.lineno}"


def imported_wings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            names = [node.module]
            if node.module == "smore_lit":
                names = [f"smore_lit.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "smore_lit" and len(parts) > 1:
                yield parts[1]


def test_the_colophon_lists_every_room():
    chapters = {path.parent.name for path in ROOT.glob("book/*/*.md")}
    modules = {path.parent.name for path in ROOT.glob("smore_lit/*/*.py")}
    assert chapters | modules == set(WINGS)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_wings_import_only_downward(path):
    wing = path.relative_to(ROOT / "smore_lit").parts[0]
    assert wing in WINGS
    for other in imported_wings(path):
        assert other in WINGS, f"{other} is no wing"
        assert WINGS.index(other) <= WINGS.index(wing), f"{wing} -> {other}"


def import_graph():
    graph = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[name] = {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        }
    return graph


def test_no_baseline_imports_smore():
    """What baselines share with SMORe stands before both."""
    after = ("smore_lit.learning.smore", "smore_lit.learning.ablations")
    baselines = [path for path in MODULES if path.parent.name == "baselines"]
    assert len(baselines) >= 8
    for path in baselines:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                start = f"{getattr(node, 'module', '')}.".lstrip(".")
                for alias in node.names:
                    assert not f"{start}{alias.name}.".startswith(
                        tuple(f"{name}." for name in after)
                    ), label(path)


def test_modules_import_without_cycles():
    graph, done = import_graph(), set()

    def visit(name, above):
        assert name not in above, " -> ".join([*above, name])
        if name in graph and name not in done:
            for other in graph[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def run_cold(code):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return result, time.perf_counter() - start


HEAVY = [
    "gymnasium",
    "gymnasium_robotics",
    "imageio",
    "matplotlib",
    "mujoco",
    "sphinx",
]


def test_import_is_quick_and_silent():
    run_cold("import smore_lit")
    code = "import smore_lit, sys, json; print(json.dumps(list(sys.modules)))"
    result, seconds = run_cold(code)
    loaded = set(json.loads(result.stdout))
    assert seconds < 2.5
    assert not loaded & {*HEAVY, "torch", "numpy"}
    assert result.stderr == ""


def test_no_module_imports_what_it_may_not_need():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in MODULES
        if path.name != "__init__.py"
    ]
    code = (
        "import importlib, json, sys\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    result, _ = run_cold(code)
    assert not set(json.loads(result.stdout)) & set(HEAVY)
    assert result.stderr == ""


def test_unknown_public_name_is_an_attribute_error():
    import smore_lit

    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = smore_lit.trian
    assert set(smore_lit.PUBLIC) <= set(dir(smore_lit))


@pytest.mark.parametrize("name", __import__("smore_lit").PUBLIC)
def test_public_names_exist(name):
    import smore_lit

    assert callable(getattr(smore_lit, name))


def count_code_lines(source):
    """Count the lines of a cell, without docstrings and blank lines."""
    lines = set()
    for number, line in enumerate(source.splitlines(), start=1):
        if line.strip():
            lines.add(number)
    defines = ast.FunctionDef | ast.ClassDef
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, defines) and ast.get_docstring(node):
            first = node.body[0]
            lines -= set(range(first.lineno, first.end_lineno + 1))
    return len(lines)


def listed_chapters():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    rows = [row for part in toc["parts"] for row in part["chapters"]]
    return [toc["root"], *(row["file"] for row in rows)]


def test_contents_list_every_chapter_once():
    listed = [f"{name}.md" for name in listed_chapters()]
    pages = [*map(label, CHAPTERS), "genindex.md"]
    assert sorted(listed) == sorted(pages)


@pytest.mark.parametrize("path", CHAPTERS, ids=label)
def test_chapters_keep_the_house_style(path):
    chapter = read_chapter(label(path), path.read_text())
    first = chapter.cells[0].source
    assert re.match(r"\([a-z-]+\)=\n# ", first), "label above the title"
    assert chapter.summary, "italic line below the title"
    assert chapter.module.rpartition("/")[2][:-3].isidentifier()
    for cell in chapter.cells:
        if cell.kind == "code":
            count = count_code_lines(cell.source)
            assert count <= 40, f"cell at line {cell.line}: {count} lines"
            for line in cell.source.splitlines():
                assert len(line) <= 79, f"cell at line {cell.line}: {line}"
        elif cell.kind == "markdown":
            for alt, target in re.findall(r"!\[(.*?)\]\((.*?)\)", cell.source):
                assert alt, f"{target} has no alternative text"


@pytest.mark.parametrize("path", CHAPTERS, ids=label)
def test_chapters_need_no_place_in_a_checkout(path):
    """An installed package runs its notebooks in any folder."""
    text = path.read_text()
    for loop in re.findall(r"^ *while .*\n(?: .*\n)+", text, re.M):
        assert ".parent" not in loop
    assert not re.search(r"\bPath\(\"(\.\.|results|book)[\"/]", text)
    assert not re.search(r"Path\.cwd\(\)|getcwd", text)


def test_labels_are_unique():
    labels = ["genindex", "modindex", "search"]  # pages of Sphinx's own
    for path in CHAPTERS:
        labels += re.findall(r"^\(([\w-]+)\)=$", path.read_text(), re.M)
        labels += re.findall(r"^:label: (\S+)$", path.read_text(), re.M)
    twice = {name for name in labels if labels.count(name) > 1}
    assert not twice


def test_every_source_that_is_cited_is_listed():
    listed = (ROOT / "references.bib").read_text()
    listed = set(re.findall(r"^@\w+\{(.+),$", listed, re.M))
    for path in CHAPTERS:
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", path.read_text()):
            assert set(keys.split(",")) <= listed, f"{label(path)}: {keys}"


def test_nothing_names_a_machine():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    tracked = tracked or list(map(label, ROOT.rglob("*.*")))  # no git here
    pattern = re.compile(r"(?<![\w.-])/(?:work|root|tmp|home)/\w")
    for name in tracked:
        path = ROOT / name
        texts = (
            ".md",
            ".py",
            ".toml",
            ".yml",
            ".txt",
            ".cff",
            ".ipynb",
            ".json",
        )
        if (
            path.suffix in texts
            and path.exists()
            and name != label(Path(__file__))
        ):
            found = pattern.search(path.read_text())
            assert not found, f"{name}: {found[0]}"
