"""Train the paper's seven methods on FetchPick, five seeds each.

    python benchmarks/seven_methods.py [--gather] [PRESET:METHOD ...]

Each run is what `smore-lit train FetchPick --algo METHOD --preset PRESET
--size cpu --seeds 5 --compile` does with the same number of updates. Data
come from data/, runs go to runs/, finished runs are not run again,
interrupted ones go on. Scores and times of the runs that are finished are
gathered in results/seven_methods_scores.csv and
results/seven_methods_times.csv.
"""

import json
import sys

from gathering import ROOT, write_results

from smore_lit.benchmark.datasets import load_dataset
from smore_lit.benchmark.tasks import load_task
from smore_lit.learning.agent import PRESETS
from smore_lit.learning.files import read_table
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

TASK, UPDATES, SEEDS = "FetchPick", 4_000, 5
METHODS = ("smore", "gofar", "wgcsl", "gcsl", "crl", "am", "iql")
RUNS = [(preset, method) for preset in PRESETS for method in METHODS]


def folder_of(preset: str, method: str):
    """Return where a run lives."""
    return ROOT / "runs" / f"seven-{TASK}-{preset}-{method}"


def run(preset: str, method: str) -> None:
    """Train one method under one preset."""
    task = load_task(TASK)
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        method,
        task=task,
        out=folder_of(preset, method),
        preset=preset,
        updates=UPDATES,
        seeds=SEEDS,
        eval_every=UPDATES // 4,
        workers=0,
        compile=True,
    )


def gather() -> None:
    """Write scores and times of all finished runs to results/."""
    scores, times = [], []
    for preset, method in RUNS:
        folder = folder_of(preset, method)
        if not (folder / "summary.json").exists():
            continue
        rows = read_table(folder / "scores.csv")
        scores += [{"preset": preset, **row} for row in rows]
        summary = json.loads((folder / "summary.json").read_text())
        kept = ("updates", "updates_per_second", "gflop_per_update")
        times.append(
            {"preset": preset, "algorithm": method}
            | {name: summary[name] for name in kept}
            | {"seconds": round(summary["wall_seconds"])}
        )
    write_results("seven_methods_scores", scores)
    write_results("seven_methods_times", times)


if __name__ == "__main__":
    wanted = [name.split(":") for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else RUNS):
        run(*chosen)
    gather()
