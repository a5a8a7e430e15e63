"""Change one choice of SMORe at a time on FetchPush and FetchPick.

    python benchmarks/manipulation_trials.py [--gather] [NAME ...]

One seed each, as many updates as in manipulation.py. Data come from data/,
runs go to runs/, finished runs are not run again. Scores of the runs that are
finished are gathered in results/manipulation_trials.csv.
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
    "push-from-zero": ("FetchPush", {"centred": False}),
    "push-any-goal": ("FetchPush", {"ahead": 0.0}),
    "push-short-steps": ("FetchPush", PAPER_STEPS),
    "pick-soft": ("FetchPick", {"temperature": 1.0}),
}


def run(name: str) -> None:
    """Train one setting."""
    name_of_task, settings = RUNS[name]
    task = load_task(name_of_task)
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        task=task,
        out=ROOT / "runs" / name,
        settings=settings,
        updates=UPDATES[task.name],
        seeds=1,
        eval_every=UPDATES[task.name] // 4,
        workers=0,
        compile=True,
    )


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    rows = []
    for name in RUNS:
        folder = ROOT / "runs" / name
        if (folder / "summary.json").exists():
            rows += read_table(folder / "scores.csv")
    write_results("manipulation_trials", rows)


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else RUNS):
        run(chosen)
    gather()
