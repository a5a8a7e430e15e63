# Generated from book/appendix/doctor.md by make sync. Edit the chapter, not this file.
"""Doctor: find out what is missing.

Each part is tried in a process of its own, and what fails gets a line of
advice.
"""

__all__ = [
    "PARTS",
    "find_version",
    "install",
    "PATIENCE",
    "IMPORTED_AS",
    "OPEN",
    "TRIALS",
    "open_first",
    "try_apart",
    "try_parts",
    "advise",
    "try_folder",
    "examine",
    "describe_health",
]


# book/appendix/doctor.md, section "Doctor: find out what is missing"
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import smore_lit
from smore_lit.appendix.answers import align
from smore_lit.running.files import as_path, package_folder
from smore_lit.worlds.tasks import list_tasks


# book/appendix/doctor.md, section "What is installed"
PARTS = {
    "numpy": "",
    "torch": "",
    "tqdm": "",
    "scipy": "",
    "shtab": "",
    "gymnasium": "robotics",
    "gymnasium-robotics": "robotics",
    "metaworld": "robotics",
    "mujoco": "robotics",
    "pillow": "robotics",
    "imageio-ffmpeg": "pip install imageio-ffmpeg, only for MP4",
    "h5py": "datasets",
    "minari": "datasets",
    "matplotlib": "plot",
    "jupytext": "notebooks",
}


# book/appendix/doctor.md, section "What is installed"
def find_version(name: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def install(name: str) -> str:
    """Return the command that installs a package of PARTS."""
    extra = PARTS[name]
    ask = f"[{extra}]" if extra else ""
    return extra if " " in extra else f'pip install "smore_lit{ask}"'


# book/appendix/doctor.md, section "What works"
PATIENCE = 120  # seconds to wait for one part
IMPORTED_AS = {"pillow": "PIL"}  # where it is not the package's name
OPEN = "from smore_lit.appendix.doctor import open_first\n"
TRIALS = {
    "device": "import torch; print(torch.cuda.get_device_name()"
    " if torch.cuda.is_available() else 'cpu')",
    "data": "from smore_lit.data.datasets import data_root\n"
    "print(data_root())",
    "simulator": f"{OPEN}open_first()",
    "renderer": f"{OPEN}open_first(draw=True)",
}


def open_first(draw: bool = False) -> None:
    """Open the first task, and draw it if asked; raise what goes wrong."""
    from smore_lit.worlds.pictures import open_camera

    task = next(iter(list_tasks().values()))
    world = open_camera(task, False)[0] if draw else task.make()
    world.close()


# book/appendix/doctor.md, section "What works"
def try_apart(code: str) -> tuple[str, str]:
    """Run Python code in a process of its own.

    Returns:
        What it printed, and why it failed, empty if it did not.
    """
    paths = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=os.environ | {"PYTHONPATH": paths},
        )
    except subprocess.TimeoutExpired:
        return "", f"does not answer within {PATIENCE} seconds"
    if done.returncode < 0:
        cause = signal.Signals(-done.returncode).name
        return "", f"ends its process ({cause})"
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return "", lines[-1]
    return done.stdout.strip(), ""


# book/appendix/doctor.md, section "What works"
def try_parts() -> tuple[dict[str, str | None], dict[str, tuple[str, str]]]:
    """Return versions by package, and what each part answered when tried."""
    versions = {name: find_version(name) for name in PARTS}
    trials = {
        name: f"import {IMPORTED_AS.get(name, name.replace('-', '_'))}"
        for name, found in versions.items()
        if found
    }
    trials |= TRIALS
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(try_apart, trials.values())
        return versions, dict(zip(trials, answers))


# book/appendix/doctor.md, section "What to do about it"
def advise(versions: dict, answers: dict) -> list[str]:
    """Return one line for each part that is missing or fails."""
    missing = [name for name, found in versions.items() if not found]
    lines = [f"{name}: {install(name)}" for name in missing]
    for name, (_, failure) in answers.items():
        cure = ""
        if name == "renderer":
            cure = "; on Debian: apt install libegl1 libgl1"
        elif name == "mujoco" and os.environ.get("MUJOCO_GL"):
            cure = f"; try without MUJOCO_GL={os.environ['MUJOCO_GL']}"
        if failure:
            lines.append(f"{name} fails: {failure}{cure}")
    return lines


def try_folder(root: Path) -> str:
    """Return advice if no file can be written below `root`, else ""."""
    home = root.absolute()
    places = filter(Path.exists, (home, *home.parents))
    place = next(places, home)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return ""
    return f"data: cannot write {root}: set SMORE_LIT_DATA or use --root"


# book/appendix/doctor.md, section "The report"
def examine(root: Path | str | None = None) -> dict:
    """Return versions, renderer, device, data, and what is missing.

    Args:
        root: folder of the data; None: the one that commands would use.
    """
    versions, answers = try_parts()
    advice = advise(versions, answers)
    place = root or answers["data"][0]  # none if its trial fails
    home = as_path(place) if place else None
    advice += filter(None, [try_folder(home) if home else None])
    failing = {n for n, (_, failure) in answers.items() if failure}
    drawing = "nothing" if "simulator" in failing else "stick figures"
    drawing = drawing if "renderer" in failing else "rendered scenes"
    shipped = sorted((package_folder() / "assets").glob("*/policy.pt"))
    return {
        "smore_lit": smore_lit.__version__,
        "python": platform.python_version(),
        "packages": versions,
        "failing": sorted(failing),
        "device": answers["device"][0] or "none",
        "cores": os.cpu_count(),
        "drawing": drawing,
        "data_root": home,
        "datasets": sorted(map(str, home.glob("*/*.json") if home else ())),
        "policies": [path.parent.name for path in shipped],
        "missing": advice,
    }


# book/appendix/doctor.md, section "The report"
def describe_health(values: dict) -> str:
    """Return what `examine` found as lines for people."""
    names = ("python", "smore_lit", "device", "cores", "drawing", "data_root")
    rows = [(name, values[name] or "none") for name in names]
    for name, found in values["packages"].items():
        fails = ", fails" if name in values["failing"] else ""
        rows.append((name, f"{found}{fails}" if found else "missing"))
    for name in ("datasets", "policies"):
        rows.append((name, ", ".join(values[name]) or "none yet"))
    missing = values["missing"] or ["nothing is missing"]
    return "\n".join([align(rows), "", *missing])
