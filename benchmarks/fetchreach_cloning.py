"""Train the methods that only copy on FetchReach and keep their scores.

    python benchmarks/fetchreach_cloning.py [NAME ...]

Data come from data/, runs go to runs/, finished runs are not run again.
All their scores so far are gathered in results/supervised_scores.csv.
"""

import csv
import io
import sys
from pathlib import Path

from smore_lit.benchmark.datasets import load_dataset
from smore_lit.benchmark.tasks import load_task
from smore_lit.learning.files import read_table, write_atomic
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

ROOT = Path(__file__).resolve().parents[1]
RUNS = ("bc", "gcsl", "goal-bc")


def run(name: str) -> None:
    """Train one method with three seeds."""
    task = load_task("FetchReach")
    train(
        as_trajectories(**load_dataset(task, root=ROOT / "data")),
        name,
        task=task,
        out=ROOT / "runs" / f"cloning-{name}",
        updates=2_000,
        seeds=3,
        eval_every=500,
    )


def gather() -> None:
    """Write the rows of all runs to results/."""
    rows = []
    for name in RUNS:
        path = ROOT / "runs" / f"cloning-{name}" / "scores.csv"
        rows += read_table(path) if path.exists() else []
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(ROOT / "results" / "supervised_scores.csv", text.getvalue())


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        run(chosen)
    gather()
