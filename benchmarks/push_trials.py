"""Take one choice at a time away from SMORe on FetchPush.

    python benchmarks/push_trials.py [--gather] [NAME ...]

One seed each, as many updates as in manipulation.py. Data come from data/,
runs go to runs/, finished runs are not run again. Scores of the runs that are
finished are gathered in results/push_trials.csv.
"""

import sys

from gathering import ROOT, write_results
from manipulation import UPDATES

from smore_lit.benchmark.datasets import load_dataset
from smore_lit.benchmark.tasks import load_task
from smore_lit.learning.agent import PAPER_STEPS
from smore_lit.learning.files import read_table
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

RUNS = {
    "from-zero": {"centred": False},
    "any-goal": {"ahead": 0.0},
    "short-steps": PAPER_STEPS,
}


def folder_of(name: str):
    """Return where a run lives."""
    return ROOT / "runs" / f"push-{name}"


def run(name: str) -> None:
    """Train one setting."""
    task = load_task("FetchPush")
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        task=task,
        out=folder_of(name),
        settings=RUNS[name],
        updates=UPDATES["FetchPush"],
        seeds=1,
        eval_every=UPDATES["FetchPush"] // 4,
        workers=0,
        compile=True,
    )


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    rows = []
    for name in RUNS:
        if (folder_of(name) / "summary.json").exists():
            rows += read_table(folder_of(name) / "scores.csv")
    write_results("push_trials", rows)


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else RUNS):
        run(chosen)
    gather()
