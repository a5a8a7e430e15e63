# Generated from book/appendix/demo.md by make sync. Edit the chapter, not this file.
"""Demo: show that it works.

Data, training, a comparison with the paper, a curve and a film, in one call
that can be stopped and continued.
"""

__all__ = [
    "paper_score",
    "ceiling",
    "SHOWN",
    "data_scores",
    "compare",
    "write_note",
    "draw_curve",
    "film",
    "is_newer",
    "run_demo",
    "PLAN",
    "prepare",
    "tell",
    "describe_demo",
    "describe_cell",
]


# book/appendix/demo.md, section "Demo: show that it works"
import io
import json
import math
import sys
import time
from pathlib import Path

from smore_lit.appendix.answers import align
from smore_lit.appendix.figures import COLOURS, use_style
from smore_lit.data.datasets import (
    count_halves,
    load_dataset,
    make_dataset,
)
from smore_lit.worlds.pictures import record, save_gif
from smore_lit.worlds.tasks import Task, load_task
from smore_lit.running.evaluation import discount_rewards
from smore_lit.running.files import claim_folder, write_atomic
from smore_lit.running.results import read_results
from smore_lit.learning.training import Run, train


# book/appendix/demo.md, section "The paper's number"
def paper_score(task: str, algorithm: str = "SMORe") -> dict | None:
    """Return mean and std of Table 1 at 10 % expert data, or None.

    Source: Table 1 of Sikchi et al. (2024).
    """
    wanted = {
        "table": "table1",
        "task": task,
        "algorithm": algorithm,
        "expert_percent": 10,
    }
    for row in read_results("paper_tables"):
        if wanted.items() <= row.items():
            return {name: row[name] for name in ("mean", "std")}
    return None


# book/appendix/demo.md, section "Which discount"
def ceiling(gamma: float, horizon: int) -> float:
    r"""Return the largest discounted return of `horizon` steps.

    Source: $(1 - \gamma^T) / (1 - \gamma)$ of the chapter; T at discount 1.
    """
    if gamma == 1.0:
        return float(horizon)
    return (1.0 - gamma**horizon) / (1.0 - gamma)


# book/appendix/demo.md, section "The table"
SHOWN = {"return_099": 0.99, "return_098": 0.98}


def data_scores(task: Task, arrays: dict, experts: int) -> dict[str, dict]:
    """Return mean returns of the expert and the random episodes.

    Args:
        task: gives the reward.
        arrays: achieved_goals (E, T+1, G), desired_goals (E, G).
        experts: how many episodes, the first ones, are the expert's.
    """
    goals = arrays["desired_goals"][:, None]
    rewards = task.reward(arrays["achieved_goals"][:, 1:], goals)
    scores = discount_rewards(rewards)
    return {
        half: {name: float(scores[name][rows].mean()) for name in SHOWN}
        for half, rows in (
            ("expert", slice(experts)),
            ("random", slice(experts, None)),
        )
        if len(rewards[rows])
    }


# book/appendix/demo.md, section "The table"
def compare(task: Task, run: Run, halves: dict[str, dict]) -> dict:
    """Return the rows of the table, one cell or None per discount."""
    ours = []
    for name in SHOWN:
        score = run.summary["scores"][name]
        known = {k: v for k, v in score.items() if math.isfinite(v)}
        ours.append({k: known.get(k) for k in ("mean", "low", "high")})
    paper = paper_score(task.name)
    cells = [
        paper if paper and paper["mean"] <= ceiling(g, task.horizon) else None
        for g in SHOWN.values()
    ]
    table: dict[str, list] = {"SMORe, ours, mean [95 %]": ours}
    table["SMORe, paper, mean +- std"] = cells
    for half, scores in halves.items():
        label = f"{half} half of the data"
        table[label] = [{"mean": scores[name]} for name in SHOWN]
    limits = [ceiling(g, task.horizon) for g in SHOWN.values()]
    table["ceiling"] = [{"mean": limit} for limit in limits]
    return table


# book/appendix/demo.md, section "The table"
def write_note(run: Run) -> str:
    """Return the sentences below the table."""
    summary = run.summary
    success = summary["scores"]["success"]["mean"]
    text = (
        f"{summary['task']}: {len(summary['seeds'])} seeds,"
        f" {summary['updates']} updates, {summary['episodes']} episodes per"
        f" seed, success {success:.3f}."
    )
    paper = paper_score(run.task.name)
    if paper and paper["mean"] > ceiling(0.98, run.task.horizon):
        text += "\nThe paper's score is above the ceiling at 0.98,"
        text += " so it was counted at 0.99."
    return text


# book/appendix/demo.md, section "The curve and the film"
def draw_curve(task: Task, scores: list[dict], path: Path) -> None:
    """Draw the return at 0.99 of every seed against updates, as PNG.

    Args:
        task: names the figure and gives the ceiling.
        scores: rows of scores.csv, of any number of seeds.
        path: the file.
    """
    from matplotlib.figure import Figure

    use_style()
    axes = (figure := Figure()).subplots()
    for seed in sorted({row["seed"] for row in scores}):
        rows = [row for row in scores if row["seed"] == seed]
        x = [row["updates"] for row in rows]
        y = [row["return_099"] for row in rows]
        axes.plot(x, y, color=COLOURS["smore"], marker=".", alpha=0.6)
    axes.plot([], [], color=COLOURS["smore"], label="SMORe, one seed")
    paper = paper_score(task.name)
    if paper:
        axes.axhline(
            paper["mean"], color=COLOURS["paper"], ls="--", lw=1,
            label="SMORe, paper",
        )
    limit = ceiling(0.99, task.horizon)
    axes.axhline(limit, color=COLOURS["random"], lw=1, label="ceiling")
    axes.set(xlabel="updates", ylabel="return at 0.99", title=task.name)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())


# book/appendix/demo.md, section "The curve and the film"
def film(task: Task, run: Run, path: Path, episodes: int = 3) -> None:
    """Save a GIF of some episodes of the first seed's policy."""
    frames = []
    for seed in range(episodes):
        frames += record(task, run.policy.one(), seed)
    save_gif(frames, path)


def is_newer(path: Path, than: Path) -> bool:
    """Return whether `path` exists and was written after `than`."""
    return path.exists() and path.stat().st_mtime >= than.stat().st_mtime


# book/appendix/demo.md, section "All of it"
def run_demo(
    out: Path | str = "demo",
    size: str = "paper",
    workers: int = 2,
    **plan,
) -> dict:
    """Make data, train SMORe, compare, draw and film; report on stderr.

    Args:
        out: folder of everything that is written; continued when it exists.
        size: of the data, "paper", or "tiny" for a quick look.
        workers: simulator processes.
        plan: fields of `Plan` that shall differ from their defaults.

    Returns:
        What summary.json holds: table, note, summary of the run, files.

    Raises:
        ValueError, OSError, RuntimeError: as its steps do.
    """
    task, began = load_task("FetchReach"), time.perf_counter()
    experts = count_halves(task, size, 10.0)["expert"]
    out = claim_folder(out)
    data, run = prepare(task, out, size, workers, plan)
    tell("3 of 3", "compare, draw and film: some seconds")
    files = [out / n for n in ("learning_curve.png", "policy.gif")]
    draw_curve(task, run.scores, files[0])
    if not is_newer(files[1], run.directory / "checkpoint.pt"):
        film(task, run, files[1])
    files.append(out / "summary.json")
    values = {
        "discounts": list(SHOWN.values()),
        "table": compare(task, run, data_scores(task, data, experts)),
        "note": write_note(run),
        "run": {k: v for k, v in run.summary.items() if k != "scores"},
        "files": [str(path) for path in files],
    }
    write_atomic(files[2], json.dumps(values, indent=2) + "\n")
    seconds = time.perf_counter() - began
    tell("done", f"{int(seconds // 60)} min {int(seconds % 60)} s")
    return values


# book/appendix/demo.md, section "All of it"
PLAN = {"threads": 2}  # where the demonstration differs from `Plan`


def prepare(task: Task, out: Path, size: str, workers: int, plan: dict):
    """Return the data and the finished run, both below `out`."""
    tell("1 of 3", f"make {task.name} data in {out / 'data'}")
    root = out / "data"
    make_dataset(task, size, 10.0, 0, workers, root)
    data = load_dataset(task, size, 10.0, root)
    tell("2 of 3", f"train SMORe in {out / 'run'}, evaluating on the way")
    run = train(
        data,
        "smore",
        task,
        out / "run",
        workers=workers,
        progress=True,
        **PLAN | plan,
    )
    return data, run


def tell(step: str, message: str) -> None:
    """Print one line of progress on standard error."""
    print(f"[{step}] {message}", file=sys.stderr, flush=True)


# book/appendix/demo.md, section "All of it"
def describe_demo(values: dict) -> str:
    """Return what `run_demo` found as a text for people."""
    rows = [("return", *(f"at {gamma}" for gamma in values["discounts"]))]
    for name, cells in values["table"].items():
        rows.append((name, *map(describe_cell, cells)))
    text = f"\n{align(rows)}\n\n{values['note']}\n"
    return text + "\n".join(values["files"])


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
