"""Build the package, install it far from the checkout, run chapters there.

    python tests/installation.py [NOTEBOOK ...]

Executes the notebooks, by default all of them, from the installed wheel in
an empty folder, as on Colab: no file of the checkout can be found there.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = "from setuptools.build_meta import build_{0} as b; b({1!r})"
LEFT = (".git", ".venv", "_build", "build", "data", "demo", "runs")


def call(*words, cwd: Path, **variables) -> str:
    """Run a program without a way back to the checkout; return its output."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{words[:4]} failed:\n{done.stdout}")
    return done.stdout


def build_sdist(folder: Path) -> Path:
    """Build the source distribution and return it, unpacked, in `folder`."""
    copy = folder / "copy"
    passing = shutil.ignore_patterns("__pycache__", "*.egg-info")

    def ignore(place, names):
        left = LEFT if Path(place) == ROOT else ()
        return passing(place, names) | ({*left} & {*names})

    shutil.copytree(ROOT, copy, ignore=ignore)
    call(sys.executable, "-c", BUILD.format("sdist", ".."), cwd=copy)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    shutil.rmtree(copy)
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def build_wheel(folder: Path) -> Path:
    """Build the wheel as installers do, from the source distribution."""
    source = build_sdist(folder)
    call(sys.executable, "-c", BUILD.format("wheel", ".."), cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment that holds the wheel.

    Other packages are those of this environment; what it holds as links to a
    checkout it does not pass on.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = call(python, "-c", where, cwd=folder).strip()
    pip = (sys.executable, "-m", "pip", "--python", python, "install")
    call(*pip, "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    own = sysconfig.get_path("purelib")
    Path(site, "borrowed.pth").write_text(f"{own}\n")
    found = "import smore_lit; print(smore_lit.__file__)"
    path = call(python, "-c", found, cwd=folder).strip()
    assert Path(path).is_relative_to(site), path
    return python


def run_notebooks(python: Path, folder: Path, names: list[str]) -> str:
    """Execute notebooks in an otherwise empty `folder`; return the report."""
    folder.mkdir()
    for name in names:
        target = folder / Path(name).relative_to("book")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    options = ("-q", "-p", "no:cacheprovider", "--nbmake", "--durations=5")
    return call(
        *(python, "-m", "pytest", *options, "--nbmake-timeout=600", "."),
        cwd=folder,
        OMP_NUM_THREADS="1",
        JUPYTER_PATH="",
    )


def main(names: list[str]) -> None:
    """Build, install and run."""
    every = sorted((ROOT / "book").rglob("*.ipynb"))
    every = [path.relative_to(ROOT).as_posix() for path in every]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        python = install(build_wheel(folder), folder / "environment")
        print(run_notebooks(python, folder / "empty", names or every))


if __name__ == "__main__":
    main(sys.argv[1:])
