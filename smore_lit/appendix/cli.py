# Generated from book/appendix/cli.md by make sync. Edit the chapter, not this file.
"""Say it in one line.

Nine commands; each answers a person or a program, and each mistake gets one
line that says what to do.
"""

__all__ = [
    "Parser",
    "complain",
    "whole",
    "read_whole",
    "most_workers",
    "is_foreseen",
    "FULL",
    "IN_THE_WAY",
    "explain",
    "MORE",
    "ISSUES",
    "answer_error",
    "Answer",
    "plain",
    "align",
    "count",
    "show_tasks",
    "find_task",
    "make_data",
    "describe_data",
    "name_manifest",
    "assets",
    "find_data",
    "show_data",
    "import_data",
    "read_goal",
    "export_data",
    "parse_setting",
    "read_as",
    "PLANNED",
    "train_agent",
    "spell_out",
    "choose_manifest",
    "check_device",
    "describe_run",
    "score_table",
    "find_policy",
    "evaluate_policy",
    "write_rows",
    "film_policy",
    "VERIFIED",
    "verify_part",
    "PARTS",
    "find_version",
    "install",
    "PATIENCE",
    "IMPORTED_AS",
    "TRIALS",
    "open_first",
    "try_apart",
    "try_parts",
    "advise",
    "try_folder",
    "examine",
    "describe_health",
    "play_demo",
    "describe_cell",
    "build_parser",
    "add_command",
    "add_task",
    "add_data",
    "add_mixture",
    "add_workers",
    "add_data_commands",
    "add_import",
    "add_plan",
    "add_train",
    "add_policy_commands",
    "add_verify",
    "add_demo",
    "main",
    "KEPT",
    "interrupt",
    "read_words",
    "drop_output",
]


# book/appendix/cli.md, section "Say it in one line"
import argparse
import contextlib
import dataclasses
import dis
import errno
import importlib.metadata
import json
import math
import os
import platform
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import smore_lit
from smore_lit.worlds.tasks import (
    NOISE_MARK,
    TASKS,
    Task,
    load_task,
    with_noise,
)
from smore_lit.running.files import as_path, as_whole, package_folder


# book/appendix/cli.md, section "A parser that speaks once"
class Parser(argparse.ArgumentParser):
    """Read options; answer a mistake with one line and exit code 2."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str):
        """Print one line on standard error and exit with code 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def complain(message: str) -> None:
    """Print `message` as one line on standard error."""
    print(f"smore-lit: {' '.join(message.split())}", file=sys.stderr)


# book/appendix/cli.md, section "A parser that speaks once"
def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`.

    The reader raises argparse.ArgumentTypeError, which the parser prints.
    """
    bound = "or more" if most is None else f"to {most}"

    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            value = read_whole(text)
            if least <= value and (most is None or value <= most):
                return value
        raise argparse.ArgumentTypeError(
            f"must be a whole number, {least} {bound}, got {text!r}"
        )

    return read


def read_whole(text: str) -> int:
    """Read "500" or "5e2" as a whole number; ValueError if it is none."""
    try:
        return int(text)
    except ValueError:
        return as_whole("it", float(text), None)


def most_workers() -> int:
    """Return how many simulator processes this machine is trusted with."""
    return max(8, 4 * (os.cpu_count() or 1))


# book/appendix/cli.md, section "What went wrong, and what to do"
def is_foreseen(error: BaseException) -> bool:
    """Tell whether an error answers the user, or else is a fault."""
    if isinstance(error, ImportError):
        return not (error.name or "").startswith("smore_lit")
    if isinstance(error, OSError | MemoryError):
        return True
    if not isinstance(error, ValueError | FloatingPointError):
        return False
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    frame = place.tb_frame
    raised = frame.f_code.co_code[place.tb_lasti]
    home, name = frame.f_globals, frame.f_globals["__name__"]
    ours = home is globals() or name.startswith("smore_lit.")
    return ours and raised == dis.opmap["RAISE_VARARGS"]


# book/appendix/cli.md, section "What went wrong, and what to do"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def explain(error: BaseException) -> str:
    """Return one line that says what went wrong and what to do."""
    text = str(error) or type(error).__name__
    if isinstance(error, ImportError):
        return f'{text}: pip install "smore_lit[all]"'
    if not isinstance(error, OSError) or not error.errno:
        return text
    if error.strerror != os.strerror(error.errno):
        return error.strerror or text
    place = ""
    if error.filename is not None:
        place = f"cannot use {os.fsdecode(error.filename)}: "
    if error.errno in FULL:
        advice = "free some space or choose another folder"
    elif error.errno in IN_THE_WAY:
        advice = "something else stands there; choose another path"
    else:
        advice = "check the path and who may use it"
    return f"{place}{error.strerror}: {advice}"


# book/appendix/cli.md, section "What went wrong, and what to do"
MORE = "SMORE_LIT_TRACEBACK"  # if set, tracebacks are shown
ISSUES = "https://github.com/smore-lit/smore_lit/issues"


def answer_error(error: BaseException) -> int:
    """Print one line on an error, or its traceback if asked; return the code.

    Returns:
        2 for a mistake that a user can mend, 3 for a fault.
    """
    if os.environ.get(MORE):
        traceback.print_exception(error)
    if is_foreseen(error):
        complain(explain(error))
        return 2
    complain(
        f"{type(error).__name__}: {error}: this was not foreseen;"
        f" {MORE}=1 shows where it happened, {ISSUES} is where to tell us"
    )
    return 3


# book/appendix/cli.md, section "One answer, two forms"
class Answer(NamedTuple):
    """Hold what a command found: values for `--json`, text without."""

    values: dict
    text: str
    code: int = 0  # of the exit; 1 for an answer that is a no


def plain(value: Any) -> Any:
    """Return `value` in types that JSON has; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def align(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as lines, each column as wide as it needs."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def count(number: int, noun: str) -> str:
    """Return "1 seed" or "2 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# book/appendix/cli.md, section "Tasks"
def show_tasks(options) -> Answer:
    """List the tasks, their spaces, thresholds and sources."""
    tasks = list(TASKS.values())
    if options.task:
        tasks = [find_task(options.task)]
    values = [dataclasses.asdict(task) for task in tasks]
    head = ("task", "s", "a", "g", "T", "threshold", "source")
    rows = [
        (
            task.name,
            task.observation_size,
            task.action_size,
            task.goal_size,
            task.horizon,
            f"{task.threshold:g} {task.unit}".removesuffix(" 1"),
            task.source,
        )
        for task in tasks
    ]
    return Answer({"tasks": values}, align([head, *rows]))


# book/appendix/cli.md, section "Data"
def find_task(name: str, noise: float = 0.0) -> Task:
    """Return the task that a name and `--noise` mean.

    Raises:
        ValueError: no such task or noise, or noise twice.
    """
    if ":" in name and "" not in sys.path:
        sys.path.insert(0, "")
    task = load_task(name)
    if noise and task.action_noise:
        raise ValueError(f"{name} has noise already: drop --noise")
    return with_noise(task, noise) if noise else task


def make_data(options) -> Answer:
    """Generate a dataset, or what is missing of it."""
    from smore_lit.data.datasets import dataset_info, make_dataset

    task = find_task(options.task, options.noise)
    path = make_dataset(
        task,
        options.size,
        options.expert_percent,
        options.seed,
        options.workers,
        options.root,
        sys.stderr.isatty(),
    )
    return describe_data(path, dataset_info(path, task))


def describe_data(path: Path, manifest: dict) -> Answer:
    """Return what a manifest says."""
    found, published = manifest["behaviour"], manifest["published"]
    rows = [("mean over episodes", *found["names"])]
    for half in manifest["episodes"]:
        for label, numbers in (("here", found), ("published", published)):
            if half in numbers:
                cells = (f"{x:.3f}" for x in numbers[half])
                rows.append((f"{half}, {label}", *cells))
    counts = ", ".join(f"{n} {h}" for h, n in manifest["episodes"].items())
    shipped = path.resolve().is_relative_to(assets().resolve())
    place = f"{path.name} of the package" if shipped else path
    head = f"{place}: {manifest['task']}, {counts} episodes"
    made = ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())
    text = f"{head}\n{align(rows)}\nmade with {made}"
    if "goals" in manifest:
        text += f"\ngoals: {manifest['goals']}"
    return Answer({"manifest": path, **manifest}, text)


# book/appendix/cli.md, section "Data"
def name_manifest(task: Task, options) -> Path:
    """Return the manifest that the options name.

    Raises:
        ValueError: that dataset has not been made; the line says how.
    """
    from smore_lit.data.datasets import manifest_path

    chosen = task, options.size, options.expert_percent
    path = manifest_path(*chosen, options.root)
    shipped = manifest_path(*chosen, assets())
    if path.exists() or not shipped.exists() or options.root:
        if not path.exists():
            raise ValueError(
                f"no dataset {path}: make it with smore-lit data make"
                f" {task.name} --size {options.size}"
                f" --expert-percent {options.expert_percent:g}"
            )
        return path
    return shipped


def assets() -> Path:
    """Return the folder of data and policies inside the package."""
    return package_folder() / "assets"


# book/appendix/cli.md, section "Data"
def find_data(options) -> tuple[Task | None, Path]:
    """Return the task and the manifest that `data` and `--task` name.

    The task is None where only a manifest is given.

    Raises:
        ValueError: they name no data.
    """
    from smore_lit.data.datasets import find_manifest

    given = options.task and find_task(options.task, options.noise)
    if options.data is None and given:
        return given, name_manifest(given, options)
    name = options.data or ""
    known = name.partition(NOISE_MARK)[0] in TASKS
    if name and not known and as_path(name).exists():
        return given, find_manifest(name)
    if known or ":" in name:
        task = find_task(name, options.noise)
        if given and given.name != task.name:
            raise ValueError(
                f"two tasks: {name} and --task {options.task}; give one"
            )
        return task, name_manifest(task, options)
    raise ValueError(
        f"{name!r} is neither a task nor a manifest;"
        f" known tasks: {', '.join(TASKS)}; one of your own is module:NAME"
    )


# book/appendix/cli.md, section "Data"
def show_data(options) -> Answer:
    """Describe a dataset from its manifest; check its bytes if asked."""
    from smore_lit.data.datasets import dataset_info, read_dataset

    task, path = find_data(options)
    answer = describe_data(path, dataset_info(path, task))
    if options.verify:
        read_dataset(path, task)
        answer.values["verified"] = True
        answer = answer._replace(text=f"{answer.text}\nall bytes verified")
    return answer


# book/appendix/cli.md, section "Data"
def import_data(options) -> Answer:
    """Keep a public file as a dataset of ours."""
    from smore_lit.data.datasets import dataset_info
    from smore_lit.data.foreign import import_dataset

    goal, task = options.goal, find_task(options.task)
    path = import_dataset(
        options.file,
        options.format,
        task,
        options.out,
        options.expert,
        options.expert_percent,
        options.root,
        steps=options.steps,
        goal=None if goal is None else read_goal(goal),
        clip=options.clip,
    )
    return describe_data(path, dataset_info(path, task))


def read_goal(text: str) -> list[float] | str:
    """Read "11", "1.3,0.7,0.5" or "reached"; ValueError if it is none."""
    if text == "reached":
        return text
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--goal wants numbers, got {text!r}") from None


# book/appendix/cli.md, section "Data"
def export_data(options) -> Answer:
    """Write a dataset of ours in a public format."""
    from smore_lit.data.foreign import write_minari

    task, path = find_data(options)
    folder = write_minari(path, options.id, options.out, task)
    return Answer({"folder": folder}, str(folder))


# book/appendix/cli.md, section "Training"
def parse_setting(config: type, text: str) -> tuple[str, Any]:
    """Split "name=value" and read the value as `config` would have it.

    Args:
        config: a dataclass with a default for every field.
        text: such as "gamma=0.98" or "hidden=128,128".

    Raises:
        ValueError: no such setting, or not a value of its type.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    known = {f.name: f.default for f in dataclasses.fields(config)}
    if not equals or name not in known:
        raise ValueError(
            f"--set wants name=value, got {text!r}; names:"
            f" {', '.join(known)}"
        )
    try:
        return name, read_as(type(known[name]), value)
    except (ValueError, KeyError):
        kind = type(known[name]).__name__
        raise ValueError(f"{name} must be {kind}, got {value!r}") from None


# book/appendix/cli.md, section "Training"
def read_as(kind: type, text: str) -> Any:
    """Read `text` as a value of `kind`; a tuple holds whole numbers.

    Raises:
        ValueError, KeyError: it is no such value, or not finite.
    """
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    if kind is tuple:
        return tuple(read_whole(part) for part in text.split(","))
    value = read_whole(text) if kind is int else kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError
    return value


# book/appendix/cli.md, section "Training"
PLANNED = (
    "updates",
    "seeds",
    "seed",
    "eval_every",
    "eval_episodes",
    "threads",
)


def train_agent(options) -> Answer:
    """Train an algorithm, or go on with a run that was stopped."""
    task = find_task(options.task, options.noise)
    from smore_lit.data.datasets import read_dataset
    from smore_lit.learning.agent import find_agent, make_config
    from smore_lit.learning.training import train
    from smore_lit.learning.trajectories import as_trajectories

    agent = find_agent(options.algo)
    options.set = [*options.set, *spell_out(options)]
    pairs = [parse_setting(agent.config, text) for text in options.set]
    make_config(agent, options.preset, **dict(pairs))
    plan = {n: getattr(options, n) for n in (*PLANNED, "compile")}
    plan = {name: n for name, n in plan.items() if n is not None}
    data = read_dataset(choose_manifest(task, options), task)
    run = train(
        as_trajectories(**data),
        agent,
        task,
        options.out or None,
        check_device(options.device),
        options.workers,
        sys.stderr.isatty(),
        dict(pairs),
        options.preset,
        runs="runs",
        **plan,
    )
    return describe_run(run.directory, run.summary)


# book/appendix/cli.md, section "Training"
def spell_out(options) -> list[str]:
    """Return `--divergence` and `--action-free` as words of `--set`.

    Raises:
        ValueError: the same setting is given both ways.
    """
    words = []
    if options.divergence is not None:
        words.append(f"divergence={options.divergence}")
    if options.action_free:
        words.append("action_free=true")
    given = {text.partition("=")[0].strip() for text in options.set}
    for word in words:
        name = word.partition("=")[0]
        if name in given:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{name} is given twice: drop {option} or --set")
    return words


# book/appendix/cli.md, section "Training"
def choose_manifest(task: Task, options) -> Path:
    """Return the manifest that `--manifest`, or else the mixture, names.

    Raises:
        ValueError: there is none, or it is of another task.
    """
    from smore_lit.data.datasets import dataset_info, find_manifest

    if options.manifest is None:
        return name_manifest(task, options)
    path = find_manifest(options.manifest)
    dataset_info(path, task)
    return path


# book/appendix/cli.md, section "Training"
def check_device(name: str | None) -> str | None:
    """Return `name`; raise ValueError if it is CUDA and there is none."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device here: use --device cpu")
    return name


def describe_run(out: Path, summary: dict) -> Answer:
    """Return what a finished run found."""
    head = (
        f"{out}: {summary['task']}, {summary['algorithm']},"
        f" {count(len(summary['seeds']), 'seed')},"
        f" {count(summary['updates'], 'update')},"
        f" {count(summary['episodes'], 'episode')} each"
    )
    text = f"{head}\n{score_table(summary['scores'])}"
    return Answer({"directory": out, **summary}, text)


def score_table(scores: dict[str, dict[str, float]]) -> str:
    """Return one line per metric: mean and 95 % interval over seeds."""
    rows = [("metric", "mean", "95 % interval over seeds")]
    for name, score in scores.items():
        low, high = score["low"], score["high"]
        known = low is not None and not math.isnan(low)
        interval = f"{low:.3f} to {high:.3f}" if known else "needs 2 seeds"
        rows.append((name, f"{score['mean']:.3f}", interval))
    return align(rows)


# book/appendix/cli.md, section "Evaluation"
def find_policy(place: str, name: str | None = None):
    """Return (task, policy) of a run's folder, a checkpoint, or "builtin".

    Args:
        place: of the policy.
        name: of its task; None: the one that the checkpoint names.

    Raises:
        ValueError: there is none, or it cannot act in a task we know.
    """
    path = as_path(place)
    if place == "builtin":
        path = assets() / next(iter(TASKS)) / "policy.pt"
    if path.is_dir():
        path = path / "checkpoint.pt"
    if not path.exists():
        raise ValueError(
            f"no policy {path}: name a folder that smore-lit train wrote"
        )
    from smore_lit.learning.policies import load_policy

    policy = load_policy(path)
    name = name or policy.description.get("task")
    if not isinstance(name, str):
        raise ValueError(f"{path} was trained without a task: say --task")
    task = find_task(name)
    sizes = (task.observation_size, task.action_size, task.goal_size)
    if tuple(policy.sizes) != sizes:
        raise ValueError(
            f"{path} acts on sizes {tuple(policy.sizes)}, but {task.name}"
            f" has {sizes}: it belongs to another task"
        )
    return task, policy


# book/appendix/cli.md, section "Evaluation"
def evaluate_policy(options) -> Answer:
    """Play episodes with a trained policy and print its scores."""
    task, policy = find_policy(options.policy, options.task)
    from smore_lit.running.evaluation import (
        METRICS,
        evaluate,
        interval,
        possible,
    )

    if options.out and not as_path(options.out).parent.is_dir():
        raise ValueError(f"no folder {as_path(options.out).parent}: make it")
    scores = evaluate(
        task,
        policy,
        policy.seeds,
        options.episodes,
        options.seed,
        options.workers,
    )
    rows = [
        {"task": task.name, "algorithm": policy.agent.name, "seed": seed}
        | {name: float(scores[name][index].mean()) for name in METRICS}
        | {"episodes": options.episodes, "eval_seed": options.seed}
        for index, seed in enumerate(policy.seeds)
    ]
    if options.out:
        write_rows(options.out, rows)
    means = {
        name: interval(
            [row[name] for row in rows], within=possible(name, task.horizon)
        )
        for name in METRICS
    }
    head = f"{options.policy}: {task.name}, {policy.agent.name},"
    head += f" {count(len(rows), 'seed')},"
    head += f" {count(options.episodes, 'episode')} each"
    values = {"task": task.name, "scores": means, "seeds": rows}
    return Answer(values, f"{head}\n{score_table(means)}")


# book/appendix/cli.md, section "Evaluation"
def write_rows(path: Path | str, rows: list[dict]) -> None:
    """Write `rows`, all with the same keys, as a CSV file, atomically."""
    import csv
    import io

    from smore_lit.running.files import write_atomic

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue())


# book/appendix/cli.md, section "Film"
def film_policy(options) -> Answer:
    """Film episodes of a trained policy as GIF or MP4."""
    out = as_path(options.out)
    if out.suffix not in (".gif", ".mp4"):
        raise ValueError(f"--out must end in .gif or .mp4, got {out.name!r}")
    if not out.parent.is_dir():
        raise ValueError(f"no folder {out.parent}: make it")
    task, policy = find_policy(options.policy, options.task)
    from smore_lit.worlds.pictures import record, save_gif, save_mp4

    frames = []
    for seed in range(options.seed, options.seed + options.episodes):
        drawing = True if options.drawing else None
        frames += record(task, policy.one(), seed, drawing)
    save = save_gif if out.suffix == ".gif" else save_mp4
    save(frames, out)
    text = f"{out}: {count(options.episodes, 'episode')}"
    return Answer({"file": out, "frames": len(frames)}, text)


# book/appendix/cli.md, section "Verification"
VERIFIED = ("theory",)


def verify_part(options) -> Answer:
    """Measure every claim of a part of the book against its bar."""
    if options.part not in VERIFIED:
        raise ValueError(
            f"unknown part {options.part!r}; known: {', '.join(VERIFIED)}"
        )
    from tqdm import tqdm

    from smore_lit.theory.verification import (
        describe_verification,
        verify_theory,
    )

    def watch(drawn: list) -> Iterable:
        silent = not sys.stderr.isatty()
        return tqdm(drawn, "problems", leave=False, disable=silent)

    found = verify_theory(options.problems, options.seed, watch)
    names = "numpy", "scipy", "torch"
    versions = {n: importlib.metadata.version(n) for n in names}
    values = {"part": options.part, "versions": versions, **found}
    return Answer(values, describe_verification(found), 1 - found["holds"])


# book/appendix/cli.md, section "Doctor"
PARTS = {
    "numpy": "",
    "torch": "",
    "tqdm": "",
    "scipy": "",
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


# book/appendix/cli.md, section "Doctor"
PATIENCE = 120  # seconds to wait for one part
IMPORTED_AS = {"pillow": "PIL"}  # where it is not the package's name
TRIALS = {
    "device": "import torch; print(torch.cuda.get_device_name()"
    " if torch.cuda.is_available() else 'cpu')",
    "data": "from smore_lit.data.datasets import data_root\n"
    "print(data_root())",
    "simulator": "from smore_lit.appendix.cli import open_first\nopen_first()",
    "renderer": "from smore_lit.appendix.cli import open_first\n"
    "open_first(draw=True)",
}


def open_first(draw: bool = False) -> None:
    """Open the first task, and draw it if asked; raise what goes wrong."""
    from smore_lit.worlds.pictures import open_camera

    task = next(iter(TASKS.values()))
    world = open_camera(task, False)[0] if draw else task.make()
    world.close()


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


# book/appendix/cli.md, section "Doctor"
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


# book/appendix/cli.md, section "Doctor"
def examine(options) -> Answer:
    """Report versions, renderer, device, data, and what is missing."""
    versions, answers = try_parts()
    advice = advise(versions, answers)
    place = options.root or answers["data"][0]  # none if its trial fails
    root = as_path(place) if place else None
    advice += filter(None, [root and try_folder(root)])
    failing = {n for n, (_, failure) in answers.items() if failure}
    drawing = "nothing" if "simulator" in failing else "stick figures"
    drawing = drawing if "renderer" in failing else "rendered scenes"
    policies = [p.parent.name for p in sorted(assets().glob("*/policy.pt"))]
    values = {
        "smore_lit": smore_lit.__version__,
        "python": platform.python_version(),
        "packages": versions,
        "failing": sorted(failing),
        "device": answers["device"][0] or "none",
        "cores": os.cpu_count(),
        "drawing": drawing,
        "data_root": root,
        "datasets": sorted(map(str, root.glob("*/*.json") if root else ())),
        "policies": policies,
        "missing": advice,
    }
    return Answer(values, describe_health(values))


# book/appendix/cli.md, section "Doctor"
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


# book/appendix/cli.md, section "The whole story in one command"
def play_demo(options) -> Answer:
    """Make data, train, compare with the paper, draw and film."""
    if not sys.stderr.isatty():  # a log wants few lines of progress
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    from smore_lit.appendix.demo import run_demo

    plan = {n: getattr(options, n) for n in PLANNED}
    plan = {name: n for name, n in plan.items() if n is not None}
    values = run_demo(options.out, options.size, options.workers, **plan)
    head = ("return", *(f"at {gamma}" for gamma in values["discounts"]))
    rows = [head]
    for name, cells in values["table"].items():
        rows.append((name, *map(describe_cell, cells)))
    text = f"\n{align(rows)}\n\n{values['note']}\n"
    return Answer(values, text + "\n".join(values["files"]))


def describe_cell(cell: dict | None) -> str:
    """Return a number of the demo's table with what is known of its error."""
    if cell is None:
        return "-"
    text = f"{cell['mean']:.2f}"
    if cell.get("std") is not None:
        return f"{text} +- {cell['std']:.2f}"
    if cell.get("low") is not None:
        return f"{text} [{cell['low']:.2f}, {cell['high']:.2f}]"
    return text


# book/appendix/cli.md, section "Commands and options"
def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="smore-lit",
        description="Offline goal-conditioned reinforcement learning.",
        epilog=f"Every command has its own --help. {MORE}=1 shows tracebacks.",
    )
    parser.add_argument(
        "--version", action="version", version=smore_lit.__version__
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )
    tasks = add_command(commands, "tasks", show_tasks)
    tasks.add_argument("--task", metavar="NAME", help="this one only")
    data = commands.add_parser("data", help="make and inspect datasets")
    add_data_commands(
        data.add_subparsers(dest="action", metavar="ACTION", required=True)
    )
    add_train(commands)
    add_policy_commands(commands)
    add_verify(commands)
    doctor = add_command(commands, "doctor", examine)
    doctor.add_argument("--root", metavar="DIR", help="of the data")
    add_demo(commands)
    return parser


# book/appendix/cli.md, section "Commands and options"
def add_command(commands, name: str, answer: Callable, goes_on=False):
    """Add a command that `answer` serves and return its parser.

    Args:
        commands: what `add_subparsers` returned.
        name: of the command.
        answer: (options) -> Answer; its docstring is the help.
        goes_on: the same command finishes what was interrupted.
    """
    help_text = answer.__doc__.splitlines()[0]
    parser = commands.add_parser(name, help=help_text, description=help_text)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object"
    )
    parser.set_defaults(answer=answer, goes_on=goes_on)
    return parser


def add_task(parser) -> None:
    """Add TASK, which may also be given as --task TASK."""
    group = parser.add_mutually_exclusive_group(required=True)
    options = dict(metavar="TASK", help="module:NAME for one of your own")
    group.add_argument(
        "task", nargs="?", default=argparse.SUPPRESS, **options
    )  # left out, it must not overwrite what --task said
    group.add_argument("--task", **options)


def add_data(parser) -> None:
    """Add what names data: a task, a manifest, or --task for either."""
    parser.add_argument("data", metavar="TASK|MANIFEST", nargs="?")
    parser.add_argument(
        "--task", metavar="TASK", help="module:NAME of your own world"
    )


def add_mixture(parser) -> None:
    """Add the options that name a dataset."""
    add = parser.add_argument
    add("--size", default="paper", help="paper, cpu or tiny")
    add("--expert-percent", type=float, default=10.0, metavar="PERCENT")
    add("--noise", type=float, default=0.0, metavar="STD", help="of actions")
    add("--root", metavar="DIR", help="else $SMORE_LIT_DATA, else data")


def add_workers(parser) -> None:
    """Add the option that says how many processes simulate."""
    parser.add_argument(
        "--workers",
        type=whole(0, most_workers()),
        default=2,
        metavar="N",
        help="simulator processes; 0 simulates in this one",
    )


# book/appendix/cli.md, section "Commands and options"
def add_data_commands(commands) -> None:
    """Add `data make`, `data info`, `data import` and `data export`."""
    parser = add_command(commands, "make", make_data, goes_on=True)
    add_task(parser)
    add_mixture(parser)
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N")
    add_workers(parser)
    parser = add_command(commands, "info", show_data)
    add_data(parser)
    add_mixture(parser)
    parser.add_argument(
        "--verify", action="store_true", help="read and check every byte"
    )
    add_import(add_command(commands, "import", import_data))
    parser = add_command(commands, "export", export_data)
    add_data(parser)
    parser.add_argument("--to", choices=["minari"], default="minari")
    parser.add_argument("--id", metavar="NAME", help="ends with -v0 or so")
    parser.add_argument("--out", metavar="DIR", help="else Minari's own")
    add_mixture(parser)


def add_import(parser) -> None:
    """Add the options of `data import`."""
    add = parser.add_argument
    add("file", metavar="FILE")
    add("--format", required=True, help="buffer, d4rl, minari or ogbench")
    add("--task", required=True, metavar="NAME")
    add("--expert", metavar="FILE", help="with expert episodes, to mix in")
    add("--expert-percent", type=float, default=10.0, metavar="PERCENT")
    add("--steps", type=whole(1), metavar="N", help="cut equal pieces")
    add("--goal", metavar="X,Y,...|reached", help="left out: the file's own")
    add("--clip", action="store_true", help="actions to [-1, 1]")
    add("--out", metavar="DIR", help="left out: ROOT/TASK/FORMAT")
    add("--root", metavar="DIR", help="else $SMORE_LIT_DATA, else data")


def add_plan(parser, names: Iterable[str]) -> None:
    """Add options of the plan; left out, `Plan` has the say."""
    for name in names:
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=whole(0 if name == "seed" else 1),
            metavar="N",
            help="left out: as in the training chapter",
        )


# book/appendix/cli.md, section "Commands and options"
def add_train(commands) -> None:
    """Add `train`."""
    parser = add_command(commands, "train", train_agent, goes_on=True)
    add = parser.add_argument
    add_task(parser)
    add("--algo", default="smore", metavar="NAME")
    add_plan(parser, PLANNED)
    add_mixture(parser)
    add("--manifest", metavar="FILE", help="data by their manifest instead")
    add("--out", metavar="DIR", help="left out: runs/, named after the run")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter; may be repeated",
    )
    add(
        "--preset",
        default="shared",
        metavar="NAME",
        help="shared, the same for all; paper or released, where there is one",
    )
    add(
        "--divergence",
        metavar="NAME",
        help="what the score matches by: chi2, kl, hellinger or js",
    )
    add(
        "--action-free",
        action="store_true",
        help="learn the score without actions",
    )
    add(
        "--compile",
        action="store_true",
        default=None,
        help="with a C++ compiler: slower to start, then faster",
    )
    add("--device", choices=("cpu", "cuda"), help="left out: cuda if any")
    add_workers(parser)


# book/appendix/cli.md, section "Commands and options"
def add_policy_commands(commands) -> None:
    """Add `eval` and `video`."""
    where = "folder of a run, a checkpoint, or builtin"
    for name, answer in (("eval", evaluate_policy), ("video", film_policy)):
        parser = add_command(commands, name, answer)
        add = parser.add_argument
        add("policy", metavar="DIR|builtin", help=where)
        add("--task", metavar="TASK", help="left out: the one of its training")
        add("--seed", type=whole(0), default=0, metavar="N")
        if name == "eval":
            add("--episodes", type=whole(1), default=50, metavar="N")
            add_workers(parser)
            add("--out", metavar="FILE", help="also write a CSV file")
        else:
            add("--episodes", type=whole(1, 50), default=1, metavar="N")
            add("--out", required=True, metavar="FILE", help=".gif or .mp4")
            add("--drawing", action="store_true", help="draw, do not render")


def add_verify(commands) -> None:
    """Add `verify`."""
    parser = add_command(commands, "verify", verify_part)
    add = parser.add_argument
    add("part", metavar="PART", help="theory")
    add(
        "--problems",
        type=whole(1, 10_000),
        default=50,
        metavar="N",
        help="random problems, about a second each",
    )
    add("--seed", type=whole(0), default=0, metavar="N")


def add_demo(commands) -> None:
    """Add `demo`."""
    parser = add_command(commands, "demo", play_demo, goes_on=True)
    parser.add_argument("--out", default="demo", metavar="DIR")
    parser.add_argument("--size", default="paper", help="paper or tiny")
    add_plan(parser, PLANNED)
    add_workers(parser)


# book/appendix/cli.md, section "Main"
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line; those of the process if None.

    Returns:
        The exit code: 0, 1 if a bar fails, 2 after a mistake, 3 after a
        fault of ours, 130, 141 and 143 after an interruption, a closed pipe
        and SIGTERM, as shells count them.
    """
    options = None
    if arguments is None:  # the process is ours
        signal.signal(signal.SIGTERM, interrupt)
    try:
        options = read_words(arguments)
        values, text, code = options.answer(options)
        if options.json:
            text = json.dumps(plain(values), allow_nan=False)
        print(text, flush=True)
        return code
    except KeyboardInterrupt as error:
        goes_on = options is not None and options.goes_on
        complain(f"interrupted: {KEPT if goes_on else 'no result'}")
        return 128 + (error.args or (signal.SIGINT,))[0]
    except BrokenPipeError:
        drop_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        code = answer_error(error)
        drop_output()
        return code


# book/appendix/cli.md, section "Main"
KEPT = "what was saved is kept, and the same command goes on from it"


def interrupt(number: int, frame) -> None:
    """Answer a signal as Ctrl-C is answered."""
    raise KeyboardInterrupt(number)


def read_words(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options that the words mean; help is written at once."""
    try:
        return build_parser().parse_args(arguments)
    finally:
        sys.stdout.flush()


# book/appendix/cli.md, section "Main"
def drop_output() -> None:
    """Send what a stuck output still holds to nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    raise SystemExit(main())
