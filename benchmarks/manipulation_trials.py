"""Change one choice of SMORe at a time on FetchPush.

    python benchmarks/manipulation_trials.py [--gather] [NAME ...]

"soft", "middle" and "sharp" change the temperature alone; the rest are at
temperature 3, and but for "from-zero" have one seed where the others have
three. As many updates as in manipulation.py.
Data come from data/, runs go to runs/, finished runs are not run again.
Scores of the runs that are finished are gathered in
results/manipulation_trials.csv.
"""

import sys

from gathering import ROOT, write_results
from manipulation import UPDATES

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import PAPER_STEPS
from smore_lit.running.files import read_table
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

TASK = "FetchPush"
RUNS = {
    "soft": {"temperature": 1.0},
    "middle": {"temperature": 2.0},
    "sharp": {},
    "from-zero": {"centred": False},
    "any-goal": {"ahead": 0.0},
    "short-steps": PAPER_STEPS,
}


def run(name: str) -> None:
    """Train one setting."""
    task = load_task(TASK)
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        task=task,
        out=ROOT / "runs" / f"push-{name}",
        settings={"temperature": 3.0, **RUNS[name]},
        updates=UPDATES[TASK],
        seeds=1 if name in ("any-goal", "short-steps") else 3,
        eval_every=UPDATES[TASK] // 4,
        workers=0,
        compile=True,
    )


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    rows = []
    for name in RUNS:
        folder = ROOT / "runs" / f"push-{name}"
        if (folder / "summary.json").exists():
            rows += read_table(folder / "scores.csv")
    write_results("manipulation_trials", rows)


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else RUNS):
        run(chosen)
    gather()
