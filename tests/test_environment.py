"""The metadata files agree with one another."""

import ast
import ctypes
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import smore_lit
from smore_lit.appendix import literate
from smore_lit.appendix.literate import read_chapter
from smore_lit.worlds import tasks

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"pytorch-cpu": "torch"}


def split(requirement):
    name, bounds = re.fullmatch(
        r"([\w.-]+)\s*(.*)", requirement.split(";")[0].strip()
    ).groups()
    return CONDA_NAMES.get(name, name).lower(), bounds.replace(" ", "")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {normal(name): pin for name, pin in map(split, lines)}


def all_requirements():
    extras = [
        r for name, rows in EXTRAS.items() if name != "all" for r in rows
    ]
    return [*PROJECT["dependencies"], *extras]


def test_conda_environment_asks_for_what_the_package_asks_for():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    rows = environment["dependencies"]
    pip = next(row["pip"] for row in rows if isinstance(row, dict))
    assert "-e ." in pip
    asked = [row for row in rows if isinstance(row, str)]
    asked = [row for row in asked + pip if row not in ("pip", "-e .")]
    asked = dict(split(row) for row in asked)
    assert asked.pop("python") == "=3.11"
    wanted = PROJECT["dependencies"] + [
        row
        for extra in ("robotics", "datasets", "plot", "notebooks")
        for row in EXTRAS[extra]
    ]
    assert asked == dict(map(split, wanted))


def test_all_is_the_union_of_the_extras():
    """But for Ray, which is large and of use on several machines only."""
    (row,) = EXTRAS["all"]
    named = set(re.search(r"\[(.*)\]", row)[1].split(","))
    assert named == set(EXTRAS) - {"all", "ray"}


def test_every_requirement_is_pinned_within_its_range():
    from packaging.specifiers import SpecifierSet

    pinned = pins()
    for name, bounds in map(split, all_requirements()):
        pin = pinned[normal(name)]
        assert pin.startswith("=="), name
        allowed = SpecifierSet(bounds)
        assert allowed.contains(pin[2:], prereleases=True), (name, pin, bounds)


def test_constraints_pin_and_name_no_host_or_folder():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.!-]+", line), line
    assert pins()["torch"] == "==2.13.0"
    assert pins()["mujoco"] == "==3.3.0"


def test_python_range():
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [v for v in range(9, 16) if f"3.{v}" in allowed] == [11, 12, 13]
    assert "{}.{}".format(*sys.version_info) in allowed


def test_one_version_and_one_repository():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    repository = PROJECT["urls"]["Repository"]
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    assert citation["version"] == smore_lit.__version__
    changes = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (.+)$", changes, re.M)[1]
    assert newest == smore_lit.__version__
    assert config["repository"]["url"] == repository
    assert citation["repository-code"] == repository


def test_the_notebooks_install_all_that_they_import():
    found = set()
    for path in (ROOT / "book").rglob("*.md"):
        name = path.relative_to(ROOT).as_posix()
        for cell in read_chapter(name, path.read_text()).cells:
            if cell.kind != "code":
                continue
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import):
                    found |= {a.name.split(".")[0] for a in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split(".")[0])
    found -= set(sys.stdlib_module_names) | {"smore_lit"}
    found -= {"ray"}  # imported when asked for, no chapter runs it
    asked = [*PROJECT["dependencies"]]
    for extra in literate.EXTRAS.split(","):
        asked += EXTRAS[extra]
    asked = {normal(split(row)[0]) for row in asked}
    brought = {
        "ipython": "ipykernel",
        "matplotlib-inline": "ipykernel",
        "mpmath": "sympy",
        "pil": "pillow",
    }
    for module in found:
        name = normal(module)
        assert brought.get(name, name) in asked, module


def test_supported_mujoco_is_that_of_the_requirements():
    (bounds,) = (b for n, b in map(split, EXTRAS["robotics"]) if n == "mujoco")
    low, high = (".".join(map(str, numbers)) for numbers in tasks.MUJOCO)
    assert bounds == f">={low}.0,<{high}"


@pytest.mark.parametrize("name", ["mujoco", "jupyter-book"])
def test_installed_version_is_the_pinned_one(name):
    assert f"=={version(name)}" == pins()[name]


FAULTS = """
import resource
import numpy as np
import smore_lit

def turn():
    parts = [np.ones(400_000) for _ in range(10)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = [turn() for _ in range(3)][-1]
print(([turn() for _ in range(10)][-1] - before) // 10)
"""


@pytest.mark.parametrize(
    "name, value",
    [
        (None, None),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072"),
    ],
)
def test_freed_memory_is_kept_unless_asked_otherwise(name, value):
    """Pages that the system must clear, for 32 MB asked for again."""
    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("needs glibc")
    environment = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MALLOC_", "GLIBC_"))
    }
    if name:
        environment[name] = value
    words = [sys.executable, "-c", FAULTS]
    done = subprocess.run(words, capture_output=True, env=environment)
    pages = int(done.stdout)
    assert (pages > 5_000) if name else (pages < 100)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("smore_lit", marks=pytest.mark.weekly),
        "smore_lit.learning.training",
    ],
)
@pytest.mark.parametrize("asked", [None, "ACTIVE"])
def test_threads_that_wait_do_not_spin_unless_asked_to(first, asked):
    environment = {k: v for k, v in os.environ.items() if k[:4] != "OMP_"}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"}
    environment.pop("GOMP_SPINCOUNT", None)
    if asked:
        environment["OMP_WAIT_POLICY"] = asked
    code = f"import {first}, torch; torch.ones(1)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    ).stderr
    assert f"OMP_WAIT_POLICY = '{asked or 'PASSIVE'}'" in shown
    assert ("GOMP_SPINCOUNT = '50000'" in shown) == (asked is None)
