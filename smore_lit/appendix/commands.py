# Generated from book/appendix/commands.md by make sync. Edit the chapter, not this file.
"""Inside the commands: from options to an answer.

One function for each command, from its options to its answer.
"""

__all__ = [
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
    "show_algorithms",
    "show_hyperparameters",
    "train_agent",
    "choose_manifest",
    "doubt_goals",
    "describe_run",
    "score_table",
    "find_policy",
    "evaluate_policy",
    "film_policy",
    "VERIFIED",
    "verify_part",
    "plan_problem",
    "describe_attempt",
    "claim_plan",
    "film_plans",
    "plan_table",
    "show_health",
    "play_demo",
    "train_grid",
    "expand_grid",
    "describe_grid",
    "write_report",
    "report_table",
]


# book/appendix/commands.md, section "Inside the commands: from options to an answer"
import dataclasses
import importlib.metadata
import json
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from smore_lit.appendix.answers import Answer, align, count, plain
from smore_lit.appendix.options import (
    describe_agents,
    describe_fields,
    given,
    show,
)
from smore_lit.running.files import (
    as_path,
    claim_folder,
    package_folder,
    write_atomic,
    write_rows,
)
from smore_lit.worlds.tasks import (
    NOISE_MARK,
    list_tasks,
    Task,
    load_task,
    with_noise,
)


# book/appendix/commands.md, section "Tasks"
def show_tasks(options) -> Answer:
    """List the tasks, their spaces, thresholds and sources."""
    tasks = list(list_tasks().values())
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


# book/appendix/commands.md, section "Data"
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


# book/appendix/commands.md, section "Data"
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


# book/appendix/commands.md, section "Data"
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


# book/appendix/commands.md, section "Data"
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
                f" --expert-percent {path.stem.rpartition('-')[2]}"
            )
        return path
    return shipped


def assets() -> Path:
    """Return the folder of data and policies inside the package."""
    return package_folder() / "assets"


# book/appendix/commands.md, section "Data"
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
    known = name.partition(NOISE_MARK)[0] in list_tasks()
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
        f"{name!r} is neither a task nor a manifest; known tasks:"
        f" {', '.join(list_tasks())}; one of your own is module:NAME"
    )


# book/appendix/commands.md, section "Data"
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


# book/appendix/commands.md, section "Data"
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


# book/appendix/commands.md, section "Data"
def export_data(options) -> Answer:
    """Write a dataset of ours in a public format."""
    from smore_lit.data.foreign import write_minari

    task, path = find_data(options)
    folder = write_minari(path, options.id, options.out, task)
    return Answer({"folder": folder}, str(folder))


# book/appendix/commands.md, section "Algorithms"
def show_algorithms(options) -> Answer:
    """List the algorithms, or the hyperparameters of one."""
    if options.algo is not None:
        return show_hyperparameters(options.algo)
    found = describe_agents()
    rows = [("algorithm", "presets", "hyperparameters of")]
    for agent in found:
        presets = " ".join(agent["presets"])
        rows.append((agent["name"], presets, agent["about"].rstrip(".")))
    return Answer({"algorithms": found}, align(rows))


def show_hyperparameters(name: str) -> Answer:
    """Return the hyperparameters of an algorithm, with all presets."""
    found = describe_fields(name)
    rows = [("option", *found[0]["values"], "what it is")]
    for field in found:
        cells = map(show, field["values"].values())
        rows.append((field["option"], *cells, field["help"]))
    values = {"algorithm": name, "hyperparameters": found}
    return Answer(values, align(rows))


# book/appendix/commands.md, section "Training"
def train_agent(options) -> Answer:
    """Train an algorithm, or go on with a run that was stopped."""
    task = find_task(options.task, options.noise)
    from smore_lit.data.datasets import read_dataset, store_goal
    from smore_lit.learning.agent import find_agent, make_config
    from smore_lit.learning.training import Plan, train
    from smore_lit.learning.trajectories import as_trajectories

    agent = find_agent(options.algo)
    settings, plan = given(options, agent.config), given(options, Plan)
    config = make_config(agent, options.preset, **settings)
    Plan(**plan)
    data = read_dataset(choose_manifest(task, options), task)
    if options.stored_goal is not None:
        data = store_goal(data, read_goal(options.stored_goal))
    if doubt := doubt_goals(data["desired_goals"], config.hindsight):
        print(f"smore-lit: {doubt}", file=sys.stderr)
    run = train(
        as_trajectories(data),
        agent,
        task,
        options.out or None,
        options.device,
        options.workers,
        sys.stderr.isatty(),
        settings,
        options.preset,
        logger=options.logger,
        runs="runs",
        **plan,
    )
    return describe_run(run.directory, run.summary)


# book/appendix/commands.md, section "Training"
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


# book/appendix/commands.md, section "Training"
def doubt_goals(stored, share: float) -> str:
    """Return what speaks against a share of stored goals, or nothing.

    Args:
        stored: the goal of each episode, (E, G).
        share: of goals that are taken in hindsight.
    """
    if not 0.0 < share < 1.0 or len(stored) < 2:
        return ""
    if (stored != stored[0]).any():
        return ""
    return (
        f"all {len(stored)} episodes store the same goal, and"
        f" {1.0 - share:.0%} of the labels repeat it, which tells no episode"
        " from another: consider --hindsight 1"
    )


# book/appendix/commands.md, section "Training"
def describe_run(out: Path | None, summary: dict) -> Answer:
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


# book/appendix/commands.md, section "Evaluation"
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
        path = assets() / next(iter(list_tasks())) / "policy.pt"
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


# book/appendix/commands.md, section "Evaluation"
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


# book/appendix/commands.md, section "Film"
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


# book/appendix/commands.md, section "Verification"
VERIFIED = {
    "theory": ("verify_theory", "describe_verification"),
    "planning": ("verify_planning", "describe_planning"),
}


def verify_part(options) -> Answer:
    """Measure claims of a part of the book against their bars."""
    if options.part not in VERIFIED:
        raise ValueError(
            f"unknown part {options.part!r}; known: {', '.join(VERIFIED)}"
        )
    from tqdm import tqdm

    name = f"smore_lit.{options.part}.verification"
    module = importlib.import_module(name)
    verify, describe = (
        getattr(module, each) for each in VERIFIED[options.part]
    )

    def watch(drawn: Iterable) -> Iterable:
        silent = not sys.stderr.isatty()
        return tqdm(drawn, "problems", leave=False, disable=silent)

    found = verify(options.problems, options.seed, watch)
    names = "numpy", "scipy", "torch"
    versions = {n: importlib.metadata.version(n) for n in names}
    values = {"part": options.part, "versions": versions, **found}
    return Answer(values, describe(found), 1 - found["holds"])


# book/appendix/commands.md, section "Planning"
def plan_problem(options) -> Answer:
    """Plan with recorded data, carry it out, and compare."""
    from smore_lit.planning.offline import find_problem, Method
    from smore_lit.running.loop import Schedule, fix_products

    problem = find_problem(options.problem)
    asked = given(options, Method)
    method = dataclasses.replace(problem.method, **asked)
    several = "ensemble" in (method.planner, method.penalty)
    members = options.members or (3 if several else None)
    if several and members == 1:
        raise ValueError("one model cannot disagree: give --members 2 or more")
    counted = {"members": members} if members else {}
    out, silent = options.out, not sys.stderr.isatty()
    folder = None if out is None else claim_plan(out, problem.name)
    known = problem.learn(
        options.seed, updates=options.updates, out=folder,
        progress=not silent, **counted,
    )
    with fix_products(Schedule()):  # one thread
        found = problem.attempt(known, method, options.seed)
    rows = [describe_attempt(each) for each in found]
    values = {
        "problem": problem.name,
        "planner": method.planner,
        "beta": method.beta,
        "seed": options.seed,
        "attempts": rows,
    }
    if folder is not None:
        values["films"] = film_plans(problem, found, folder, method.planner)
        text = json.dumps(plain(values), indent=2) + "\n"
        write_atomic(folder / f"{method.planner}.json", text)
    return Answer(values, plan_table(values))


# book/appendix/commands.md, section "Planning"
def describe_attempt(attempt) -> dict:
    """Return what came of a plan, as plain values."""
    names = "label", "model_cost", "true_cost", "outside", "success", "seconds"
    return {name: getattr(attempt, name) for name in names}


def claim_plan(out, name: str) -> Path:
    """Return a folder for plans of one problem, whatever planner.

    Raises:
        ValueError: it holds plans of another problem.
        OSError: it cannot be written.
    """
    folder = claim_folder(out)
    note = folder / "problem"
    held = note.read_text() if note.exists() else name
    if held != name:
        raise ValueError(
            f"{folder} holds plans of {held:.40}, not of {name}: choose"
            " another folder"
        )
    write_atomic(note, name)
    return folder


def film_plans(problem, found, folder: Path, planner: str) -> list[Path]:
    """Write a GIF for each attempt; return their paths."""
    from smore_lit.worlds.pictures import save_gif

    return [
        save_gif(
            problem.draw(each),
            folder / f"{planner}{'-' * bool(each.label)}{each.label}.gif",
        )
        for each in found
    ]


def plan_table(values: dict) -> str:
    """Return what came of plans as a table."""
    head = f"{values['problem']}, {values['planner']}"
    if values["planner"] != "none":
        head += f", beta {values['beta']:g}"
    rows = [["", "as planned", "in the world", "outside", "done", "seconds"]]
    for row in values["attempts"]:
        done = "yes" if row["success"] else "no"
        costs = f"{row['model_cost']:.3g}", f"{row['true_cost']:.3g}"
        shares = f"{row['outside']:.0%}", done, f"{row['seconds']:.1f}"
        rows.append([row["label"] or "cost", *costs, *shares])
    return f"{head}\n{align(rows)}"


# book/appendix/commands.md, section "Doctor and demo"
def show_health(options) -> Answer:
    """Report versions, renderer, device, data, and what is missing."""
    from smore_lit.appendix.doctor import describe_health, examine

    values = examine(options.root)
    return Answer(values, describe_health(values))


def play_demo(options) -> Answer:
    """Make data, train, compare with the paper, draw and film."""
    if not sys.stderr.isatty():  # a log wants few lines of progress
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    from smore_lit.appendix.demo import describe_demo, run_demo
    from smore_lit.learning.training import Plan

    plan = given(options, Plan)
    Plan(**plan)
    values = run_demo(options.out, options.size, options.workers, **plan)
    return Answer(values, describe_demo(values))


# book/appendix/commands.md, section "The grid and its reports"
def train_grid(options) -> Answer:
    """Train the runs of the paper's tables, as many at a time as cores."""
    from smore_lit.benchmark.engines import ENGINES, run_grid

    found = expand_grid(options)
    if options.dry_run:
        return describe_grid(found, options.store)
    campaign = run_grid(
        found.jobs,
        options.runs,
        options.root,
        options.store,
        options.processes,
        lambda line: print(line, file=sys.stderr, flush=True),
        ENGINES[options.engine],
    )
    failed = [
        {"job": job.title, **answer} for job, answer in campaign.failed.items()
    ]
    values = {
        "done": len(campaign.done),
        "failed": failed,
        "missing": list(found.missing),
    }
    lines = [f"{len(campaign.done)} of {len(found.jobs)} runs are done"]
    lines += [
        f"failed: {each['job']}: {each['failed']} ({each['log']})"
        for each in failed
    ]
    lines += [f"missing: {line}" for line in found.missing]
    return Answer(values, "\n".join(lines), int(bool(failed)))


# book/appendix/commands.md, section "The grid and its reports"
def expand_grid(options):
    """Return the jobs of `grid`; raise ValueError if none is asked for."""
    from smore_lit.benchmark.cells import STUDIES, TABLES
    from smore_lit.benchmark.grid import expand

    tables = [f"table{n}" for n in options.table or ()]
    tables += [f"figure{n}" for n in options.figure or ()]
    tables += options.study or ()
    if not tables:
        known = ", ".join(name.removeprefix("table") for name in TABLES[:-1])
        own = ", ".join(STUDIES)
        raise ValueError(
            f"say --table and one of {known}, --figure 2, or --study and one"
            f" of {own}"
        )
    first, _, last = options.shard.partition("/")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--shard {options.shard!r:.20}: write it as 1/4")
    names = ("seeds", "seed", "updates")
    changes = {n: getattr(options, n) for n in names if getattr(options, n)}
    return expand(
        tables,
        options.protocol,
        options.preset,
        options.only,
        (int(first), int(last)),
        **changes,
    )


# book/appendix/commands.md, section "The grid and its reports"
def describe_grid(found, store) -> Answer:
    """Return what would be trained, and about how long it would take."""
    from smore_lit.benchmark.engines import find_done
    from smore_lit.benchmark.grid import estimate_seconds, seconds_per_product
    from smore_lit.running.files import results_folder

    speeds = seconds_per_product()
    place = results_folder() if store is None else as_path(store)
    done = find_done(found.jobs, place)
    jobs = [
        {
            "job": job.title,
            "tables": list(job.tables),
            "updates": job.plan.updates,
            "seeds": job.plan.seeds,
            "data": job.size,
            "done": job in done,
            "core_seconds": round(estimate_seconds(job, speeds), 1),
        }
        for job in found.jobs
    ]
    total = sum(j["core_seconds"] for j in jobs if not j["done"]) / 3600
    cores = os.cpu_count() or 1
    values = {
        "jobs": jobs,
        "missing": list(found.missing),
        "core_hours": total,
        "hours_here": total / cores,
    }
    head = ("job", "updates", "seeds", "minutes")
    rows = []
    for j in jobs:
        minutes = "done" if j["done"] else f"{j['core_seconds'] / 60:.1f}"
        rows.append((j["job"], j["updates"], j["seeds"], minutes))
    lines = [align([head, *rows])]
    lines += [f"missing: {line}" for line in found.missing]
    lines.append(
        f"{count(len(jobs), 'run')}, {len(done)} done; the rest takes about"
        f" {total:,.1f} hours of one core, {total / cores:,.1f} on"
        f" {count(cores, 'core')}"
    )
    return Answer(values, "\n".join(lines))


# book/appendix/commands.md, section "The grid and its reports"
def write_report(found, folder: str) -> list[str]:
    """Write the tables and figures of a report; list the files.

    Raises:
        OSError: the folder cannot be written.
    """
    from matplotlib import pyplot as plt

    from smore_lit.appendix.figures import COLOURS, use_style
    from smore_lit.benchmark import report
    from smore_lit.benchmark.cells import cells_of
    from smore_lit.running.files import write_atomic

    place = as_path(folder)
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for form in report.FORMATS:
        files.append(place / f"{found.table}.{form}")
        write_atomic(files[-1], report.format_report(found, form))
    labels, looks = {}, {}
    for cell, method in cells_of(found.table, found.preset):
        colour = COLOURS.get(cell.algorithm, COLOURS["paper"])
        column = report.name_column(method, cell)
        looks[column] = {
            "color": colour,
            "ls": "--" if cell.settings else "-",
        }
        labels[cell.label] = column, looks[column]
    tasks = list(dict.fromkeys(row["task"] for row in found.rows))
    if tasks:
        use_style()
        figure = report.draw_curves(found.study, tasks, labels, found.store)
        files += report.save_figure(figure, place / f"{found.table}-curves")
        figure = report.draw_profiles(found, looks)
        files += report.save_figure(figure, place / f"{found.table}-profiles")
        plt.close("all")
    return [str(path) for path in files]


# book/appendix/commands.md, section "The grid and its reports"
def report_table(options) -> Answer:
    """Print a table of the paper from the store, ours beside theirs."""
    from smore_lit.benchmark import report

    name = f"table{options.table}"
    found = report.report(
        name, options.protocol, options.preset, options.store, options.study
    )
    text = report.format_report(found, options.format)
    together = report.aggregate(found)
    values = {
        "table": name,
        "study": found.study,
        "metric": found.metric,
        "rows": list(found.rows),
        "together": together,
        "missing": list(found.missing),
        "files": [],
    }
    if options.out:
        values["files"] = write_report(found, options.out)
    if found.missing and options.format == "md":
        missing = ", ".join(found.missing)
        text += f"\n{count(len(found.missing), 'run')} missing: {missing}\n"
    return Answer(values, text.rstrip("\n"))
