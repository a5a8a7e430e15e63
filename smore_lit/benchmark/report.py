# Generated from book/benchmark/report.md by make sync. Edit the chapter, not this file.
"""Reports: a table of the paper beside ours.

From raw scores in the store to a table with intervals, tests and the paper's
own numbers, in four formats, and to learning curves.
"""

__all__ = [
    "METRIC_OF",
    "RETURNS",
    "COLUMNS",
    "Report",
    "report",
    "name_column",
    "read_printed",
    "check_study",
    "what_lacks",
    "group_scores",
    "metric_on",
    "at_last",
    "summarise",
    "mark_best",
    "spell",
    "write_md",
    "write_tex",
    "write_csv",
    "write_html",
    "FORMATS",
    "format_report",
    "spell_score",
    "beside_paper",
    "draw_intervals",
    "unfinished",
    "aggregate",
    "complete",
    "normalise",
    "draw_curves",
    "save_figure",
    "draw_profiles",
]


# book/benchmark/report.md, section "Reports: a table of the paper beside ours"
import csv
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smore_lit.benchmark.cells import Cell, cells_of
from smore_lit.benchmark.grid import (
    SHORT,
    Job,
    estimate_seconds,
    expand,
    seconds_per_product,
)
from smore_lit.benchmark.statistics import (
    compare_with_best,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)
from smore_lit.running.evaluation import interval, possible
from smore_lit.running.files import as_path, results_folder
from smore_lit.running.results import read_results, read_store, select
from smore_lit.worlds.tasks import load_task


# book/benchmark/report.md, section "What a row says"
METRIC_OF = {  # what a table of the paper prints
    "discounted_return": "return_099",
    "success_rate": "success",
    "final_distance": "final_distance",
}
RETURNS = "return_098", "return_099", "return_0999"
COLUMNS = (
    "task",
    "method",
    "seeds",
    "updates",
    "mean",
    "std",
    "low",
    "high",
    "best",
    *RETURNS,
    "p",
    "star",
    "paper",
    "paper_std",
)


# book/benchmark/report.md, section "What a row says"
@dataclass(frozen=True)
class Report:
    """Hold the rows of a table, what is not there yet, and raw scores."""

    table: str
    study: str
    preset: str
    store: Path | str | None
    metric: str
    rows: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]
    due: tuple[Job, ...]  # what would fill them
    scores: dict[tuple[str, str], np.ndarray]  # (task, method) -> (n,)

    @property
    def by_cell(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the rows by task and method."""
        return {(row["task"], row["method"]): row for row in self.rows}

    @property
    def methods(self) -> list[str]:
        """Return the methods that have a row on some task."""
        return list(dict.fromkeys(row["method"] for row in self.rows))

    @property
    def whole(self) -> list[str]:
        """Return the tasks on which all of these methods have a row."""
        known = self.by_cell
        tasks = dict.fromkeys(task for task, _ in known)
        return [
            t for t in tasks if all((t, m) in known for m in self.methods)
        ]


# book/benchmark/report.md, section "What a row says"
def report(
    name: str,
    protocol: str = "cpu",
    preset: str = "shared",
    store: Path | str | None = None,
    study: str | None = None,
) -> Report:
    """Return what the store has for a table of the paper.

    Args:
        name: from `TABLES`.
        protocol, preset: of the grid.
        store: folder of the results; None: those inside the package.
        study: instead of the grid's own, such as "grid cpu updates=40".

    Raises:
        ValueError: an unknown name, no store, or a damaged one.
    """
    jobs = {j.cell: j for j in expand([name], protocol, [preset]).jobs}
    ends = {} if study else {c: j.plan.updates for c, j in jobs.items()}
    check_study(study, store)
    study = study or f"grid {protocol}"
    metric, printed = read_printed(name)
    known = group_scores(study, store)
    rows: list[dict] = []
    missing: dict[str, Job | None] = {}
    scores = {}
    for cell, method in dict.fromkeys(cells_of(name, preset)):
        method = name_column(method, cell)
        found = known.get((cell.task, cell.label))
        lack = what_lacks(found, ends.get(cell)) if found else ""
        if cell not in jobs or not found or lack:
            missing[f"{cell.task} {method}{lack}"] = jobs.get(cell)
            continue
        headline = metric_on(cell.task, metric)
        scores[cell.task, method] = at_last(found, headline)
        rows.append(
            {"task": cell.task, "method": method}
            | summarise(found, headline, cell.task)
            | printed.get((cell.task, method), {})
        )
    mark_best(rows, scores, metric)
    due = tuple(dict.fromkeys(filter(None, missing.values())))
    asked = name, study, preset, store, metric
    return Report(*asked, tuple(rows), tuple(missing), due, scores)


# book/benchmark/report.md, section "What a row says"
def name_column(method: str, cell: Cell) -> str:
    """Return the name of a column, with what tells it from others."""
    changes = dict(cell.settings)
    parts = [method]
    if "beta" in changes:
        parts.append(f"beta {changes['beta']:g}")
    if cell.expert_percent is not None:
        parts.append(f"{cell.expert_percent:g} %")
    return ", ".join(parts)


def read_printed(name: str) -> tuple[str, dict]:
    """Return the metric of a table of the paper, and its numbers."""
    metric, found = "return_099", {}
    for row in read_results("paper_tables"):
        if row["table"] == name:
            metric = METRIC_OF[row["metric"]]
            beta, percent = row["beta"], row["expert_percent"]
            settings = () if beta in (None, 0.5) else (("beta", beta),)
            percent = None if percent in (None, 10) else float(percent)
            cell = Cell(row["task"], "", "", settings, percent)
            column = name_column(row["algorithm"], cell)
            found[row["task"], column] = {
                name: None if np.isnan(row[key]) else row[key]
                for name, key in (("paper", "mean"), ("paper_std", "std"))
            }
    return metric, found


# book/benchmark/report.md, section "What a row says"
def check_study(study: str | None, store) -> None:
    """Raise ValueError if there is no such store, or no such study in it."""
    place = results_folder() if store is None else as_path(store)
    if not place.is_dir():
        raise ValueError(f"{place} is no folder: name that of a grid's store")
    known = sorted({row["study"] for row in read_store(place)["studies"]})
    if study is not None and study not in known:
        names = ", ".join(known) or "none"
        raise ValueError(f"unknown study {study!r:.40}; known: {names}")


def what_lacks(rows: list[dict], due: int | None = None) -> str:
    """Return which seed of a run ends too early or late; empty if none.

    Args:
        rows: scores of one run.
        due: at how many updates; None: where the run itself was to end.
    """
    ends: dict[int, int] = {}
    for row in rows:
        ends[row["seed"]] = max(row["updates"], ends.get(row["seed"], 0))
    plan = rows[0]["plan"]
    for seed in dict.fromkeys((*plan["seeds"], *ends)):
        end, wanted = ends.get(seed, 0), due or plan["updates"]
        if end != wanted:
            return f" (seed {seed} ends at {end:,} of {wanted:,} updates)"
    return ""


# book/benchmark/report.md, section "What a row says"
def group_scores(study: str, store) -> dict[tuple[str, str], list[dict]]:
    """Return the rows of a study's scores by task and label."""
    groups: dict[tuple[str, str], list[dict]] = {}
    if study in {row["study"] for row in read_store(store)["studies"]}:
        for row in select(folder=store, study=study):
            groups.setdefault((row["task"], row["label"]), []).append(row)
    return groups


def metric_on(task: str, metric: str) -> str:
    """Return the metric of a table on one task: long ones discount less."""
    long = load_task(task).horizon > SHORT
    return "return_0999" if metric == "return_099" and long else metric


def at_last(rows: list[dict], metric: str) -> np.ndarray:
    """Return the scores (n,) of the last evaluation, one for each seed.

    Raises:
        ValueError: a seed ends before or after the plan of the run.
    """
    if lack := what_lacks(rows):
        reason = "not every seed has its last score"
        raise ValueError(f"{reason}{lack}: train the run again")
    last = max(row["updates"] for row in rows)
    ended = sorted(
        (r for r in rows if r["updates"] == last), key=lambda r: r["seed"]
    )
    return np.array([row[metric] for row in ended], dtype=float)


def summarise(rows: list[dict], metric: str, task: str) -> dict[str, Any]:
    """Return the numbers of one row of a report."""
    last = at_last(rows, metric)
    span = interval(
        last.tolist(), within=possible(metric, load_task(task).horizon)
    )
    low_is_good = metric == "final_distance"
    seeds: dict[int, list[float]] = {}
    for row in rows:
        seeds.setdefault(row["seed"], []).append(row[metric])
    best = [min(v) if low_is_good else max(v) for v in seeds.values()]
    return {
        "run": rows[0]["run"],
        "seeds": len(last),
        "updates": max(row["updates"] for row in rows),
        **span,
        "best": float(np.mean(best)),
        **{name: float(at_last(rows, name).mean()) for name in RETURNS},
        "star": False,
    }


# book/benchmark/report.md, section "What a row says"
def mark_best(rows: list[dict], scores: dict, metric: str) -> None:
    """Set p-values, and the star of each task's best method if it earns one.

    Args:
        rows: of a report; those of tasks without a best stay as they are.
            Columns that are one run count as one rival.
        scores: (n,) by task and method.
        metric: what they are, since a distance is better if it is low.
    """
    sign = -1.0 if metric == "final_distance" else 1.0
    for task in {row["task"] for row in rows}:
        there = [row for row in rows if row["task"] == task]
        here = {
            row["run"]: sign * scores[task, row["method"]] for row in there
        }
        means = sorted(x.mean() for x in here.values())
        if len(here) < 2 or means[-1] == means[-2]:
            continue
        best, p_values = compare_with_best(here)
        second = max(p_values, key=lambda run: here[run].mean())
        for row in there:
            row["p"] = p_values.get(row["run"])
            row["star"] = row["run"] == best and p_values[second] < 0.05


# book/benchmark/report.md, section "Four formats"
def spell(value: Any, digits: int = 2) -> str:
    """Return a cell of a table as text; what is not there is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "*" if value else ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{digits}f}"


def write_md(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_tex(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a LaTeX tabular."""

    def line(cells):
        marks = str.maketrans({c: f"\\{c}" for c in "%_&#"})
        return " & ".join(cell.translate(marks) for cell in cells) + r" \\"

    body = "\n".join(map(line, rows))
    columns = "l" * len(header)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n{line(header)}\n\\hline\n"
        f"{body}\n\\end{{tabular}}\n"
    )


def write_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def write_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a table of HTML."""

    def line(cells, kind):
        marked = (f"<{kind}>{html.escape(c)}</{kind}>" for c in cells)
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>\n{line(header, 'th')}\n{body}\n</table>\n"


# book/benchmark/report.md, section "Four formats"
FORMATS: dict[str, Callable] = {
    "md": write_md,
    "tex": write_tex,
    "csv": write_csv,
    "html": write_html,
}


def format_report(found: Report, form: str = "md") -> str:
    """Return a report as text.

    Raises:
        ValueError: an unknown format.
    """
    if form not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"unknown format {form!r:.40}; known: {known}")
    digits = {"p": 3}
    rows = [
        [spell(row.get(name), digits.get(name, 2)) for name in COLUMNS]
        for row in found.rows
    ]
    return FORMATS[form](COLUMNS, rows)


# book/benchmark/report.md, section "A page of the book"
def spell_score(row: Mapping[str, Any]) -> str:
    """Return mean, standard deviation and star of a row of a report."""
    star = " *" * row["star"]
    return f"{row['mean']:.1f} ± {row['std']:.1f}{star}"


def beside_paper(
    found: Report, tasks: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return header and lines of our scores and the paper's means.

    Args:
        found: a report.
        tasks: two columns for each, ours and the paper's.
    """
    rows, lines = found.by_cell, []
    for method in found.methods:
        here = [rows.get((task, method)) for task in tasks]
        if any(here):
            cells = (
                (spell_score(row), spell(row.get("paper"), 1))
                if row else ("", "")
                for row in here
            )
            lines.append([method, *(text for pair in cells for text in pair)])
    heads = (text for task in tasks for text in (task, "paper"))
    return ["", *heads], lines


# book/benchmark/report.md, section "A page of the book"
def draw_intervals(found: Report, tasks: Sequence[str], colours: Mapping):
    """Return a figure of means, their intervals and the paper's means.

    Args:
        found: a report.
        tasks: panels, four in a row.
        colours: of methods, by name; the others are grey.
    """
    import matplotlib.pyplot as plt

    places = {method: place for place, method in enumerate(found.methods)}
    high = -(-len(tasks) // 4)
    fig, axes = plt.subplots(
        high,
        min(4, len(tasks)),
        squeeze=False,
        sharey=True,
        figsize=(8.0, (0.8 + 0.3 * len(places)) * high),
    )
    for ax in axes.flat[len(tasks) :]:
        ax.axis("off")
    for ax, task in zip(axes.flat, tasks):
        for row in (row for row in found.rows if row["task"] == task):
            place = places[row["method"]]
            colour = colours.get(row["method"], "0.5")
            ax.plot([row["low"], row["high"]], [place] * 2, color=colour, lw=2)
            ax.plot(row["mean"], place, "o", color=colour)
            if (mean := row.get("paper")) is not None:
                ax.plot(mean, place, "D", mfc="none", color="0.4", ms=5)
        ax.set_title(task, fontsize=9)
        metric = metric_on(task, found.metric).replace("_", " ")
        ax.set_xlabel(metric.replace("return 0", "at 0."))
    axes[0, 0].set_yticks(range(len(places)), list(places))
    axes[0, 0].invert_yaxis()
    return fig


# book/benchmark/report.md, section "A page of the book"
def unfinished(found: Report) -> tuple[list[str], list[list[str]]]:
    """Return header and lines of the jobs that a report still lacks."""
    speeds = seconds_per_product()
    tasks: dict[str, list[Job]] = {}
    for job in found.due:
        tasks.setdefault(job.cell.task, []).append(job)
    lines = []
    for task, jobs in tasks.items():
        hours = sum(estimate_seconds(job, speeds) for job in jobs) / 3_600
        updates = f"{jobs[0].plan.updates:,}"
        lines.append([task, str(len(jobs)), updates, f"{hours:.1f}"])
    return ["task", "cells", "updates", "hours of one core"], lines


# book/benchmark/report.md, section "All tasks in one number"
def aggregate(found: Report) -> list[dict[str, Any]]:
    """Return one row for each method that has scores on all tasks.

    Columns: method, tasks, iqm, low and high (95 %, seeds drawn within
    tasks), and over_first: the mean over tasks of the probability that a
    seed of it beats one of the first method.
    """
    tasks, whole = complete(found)
    rows = []
    for method in whole:
        parts = normalise(found, tasks, method)
        low, high = stratified_bootstrap(parts, interquartile_mean)
        wins = [
            probability_of_improvement(x, y)
            for x, y in zip(parts, normalise(found, tasks, whole[0]))
        ]
        rows.append({
            "method": method,
            "tasks": len(tasks),
            "iqm": interquartile_mean(np.concatenate(parts)),
            "low": low,
            "high": high,
            "over_first": float(np.mean(wins)),
        })
    return rows


def complete(found: Report) -> tuple[list[str], list[str]]:
    """Return the tasks, and the methods that have scores on all of them.

    Distances have no highest value to divide by, so they have no method.
    """
    if found.metric == "final_distance":
        return [], []
    tasks = list(dict.fromkeys(task for task, _ in found.scores))
    methods = dict.fromkeys(method for _, method in found.scores)
    whole = [
        m for m in methods if all((task, m) in found.scores for task in tasks)
    ]
    return tasks, whole


def normalise(found: Report, tasks: list[str], method: str) -> list:
    """Return a method's scores on each task, 1 the highest possible."""
    return [
        found.scores[task, method]
        / possible(metric_on(task, found.metric), load_task(task).horizon)[1]
        for task in tasks
    ]


# book/benchmark/report.md, section "Curves"
def draw_curves(study: str, tasks: Sequence[str], labels: dict, store=None):
    """Return a figure of learning curves, one panel for each task.

    Args:
        study: of the store.
        tasks: panels.
        labels: for each label of the study, its name and how to draw it.
        store: folder of the results; None: those inside the package.
    """
    import matplotlib.pyplot as plt

    groups = group_scores(study, store)
    wide = min(4, len(tasks))
    high = -(-len(tasks) // wide)
    fig, axes = plt.subplots(
        high, wide, squeeze=False, figsize=(2.1 * wide + 0.6, 1.9 * high)
    )
    for ax in axes.flat[len(tasks) :]:
        ax.set_visible(False)
    for ax, task in zip(axes.flat, tasks):
        metric = metric_on(task, "return_099")
        for label, (title, look) in labels.items():
            rows = groups.get((task, label), [])
            updates = sorted({row["updates"] for row in rows})
            means = [
                np.mean([r[metric] for r in rows if r["updates"] == u])
                for u in updates
            ]
            ax.plot(updates, means, label=title, **look)
        ax.set_title(task, fontsize=9)
        ax.tick_params(labelsize=7)
    handles, names = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=4)
    return fig


def save_figure(figure, path: Path | str) -> list[Path]:
    """Write a figure as PNG and as SVG; return both paths."""
    stem = as_path(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    found = [stem.with_suffix(end) for end in (".png", ".svg")]
    for place in found:
        figure.savefig(place, bbox_inches="tight")
    return found


# book/benchmark/report.md, section "Profiles"
def draw_profiles(found: Report, looks: dict):
    """Return a figure of performance profiles over all tasks of a report.

    Args:
        found: of returns or successes.
        looks: for each method, how to draw it.
    """
    import matplotlib.pyplot as plt

    tasks, whole = complete(found)
    levels = np.linspace(0, 1, 201)
    fig, ax = plt.subplots(figsize=(6.4, 2.6))
    for method in whole:
        parts = np.concatenate(normalise(found, tasks, method))
        shares = performance_profile(parts, levels)
        ax.plot(levels, shares, label=method, **looks.get(method, {}))
    ax.set(xlabel="share of the highest return", ylabel="share of runs")
    if whole:
        ax.legend(fontsize=8)
    return fig
