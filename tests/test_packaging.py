"""What is built can be installed, run and tested far from the checkout."""

import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import installation

import smore_lit

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module")
def built(folder):
    return installation.build_wheel(folder)


@pytest.fixture(scope="module")
def source(built, folder):
    (archive,) = folder.glob("*.tar.gz")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


@pytest.fixture(scope="module")
def python(built, folder):
    return installation.install(built, folder / "environment")


def test_wheel_holds_what_the_chapters_read(built):
    names = set(zipfile.ZipFile(built).namelist())
    for part in ("results", "assets"):
        for path in (ROOT / "smore_lit" / part).rglob("*.*"):
            if path.is_file():
                assert path.relative_to(ROOT).as_posix() in names
    assert "smore_lit/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "smore_lit",
        f"smore_lit-{smore_lit.__version__}.dist-info",
    }


def test_metadata_say_who_when_and_where(built):
    (name,) = (
        n for n in zipfile.ZipFile(built).namelist() if n.endswith("METADATA")
    )
    text = zipfile.ZipFile(built).read(name).decode()
    head = text.partition("\n\n")[0]
    assert f"Version: {smore_lit.__version__}\n" in head
    assert "Classifier: Typing :: Typed" in head and "Keywords: " in head
    labels = re.findall(r"^Project-URL: (\w+),", head, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(labels) == set(project["urls"]) >= {"Changelog", "Issues"}


def test_the_installed_package_answers_in_an_empty_folder(python, tmp_path):
    code = (
        "import smore_lit\n"
        "from smore_lit.running.files import read_chapters, results_folder\n"
        "assert (results_folder() / 'scores.csv').is_file()\n"
        "assert read_chapters() == {}\n"
        "print(smore_lit.__version__)"
    )
    found = installation.call(python, "-c", code, cwd=tmp_path)
    assert found.strip() == smore_lit.__version__
    command = python.with_name("smore-lit")
    words = ("data", "info", "FetchReach", "--size", "tiny", "--verify")
    assert "verified" in installation.call(command, *words, cwd=tmp_path)


@pytest.mark.weekly
def test_chapters_run_in_an_empty_folder(python, tmp_path):
    """One that draws results and one that reads the chapters' sources."""
    names = ["book/learning/scaling.ipynb", "book/appendix/deviations.ipynb"]
    report = installation.run_notebooks(python, tmp_path / "empty", names)
    assert "2 passed" in report


def count(report):
    return int(re.search(r"(\d+) tests collected", report)[1])


@pytest.mark.weekly
def test_source_distribution_can_be_tested(source):
    collect = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--co")
    options = dict(PYTHONPATH=str(source))
    there = installation.call(
        sys.executable, *collect, "tests", cwd=source, **options
    )
    tests = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert {path.name for path in (source / "tests").iterdir()} == tests
    assert count(there) > 1000
    quick = ("tests/test_environment.py", "tests/test_readme.py")
    report = installation.call(
        sys.executable,
        *collect[:-1],
        *quick,
        "-k",
        "not python_runs",
        cwd=source,
        **options,
    )
    assert " passed" in report and "failed" not in report
