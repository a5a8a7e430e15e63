"""Change one choice of SMORe at a time on FetchPush.

    python benchmarks/manipulation_trials.py [NAME ...]

"soft", "middle" and "sharp" change the temperature alone; the rest are at
temperature 3, and but for "from-zero" have one seed where the others have
three. As many updates as in manipulation.py.
Data come from data/, runs go to runs/, finished runs are not run again.
They are added to smore_lit/results/ as the study "push trials".
"""

import sys

from gathering import ROOT
from manipulation import UPDATES

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import PAPER_STEPS
from smore_lit.running.results import add_run
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
    done = train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        task=task,
        runs=ROOT / "runs",
        settings={"temperature": 3.0, **RUNS[name]},
        updates=UPDATES[TASK],
        seeds=1 if name in ("any-goal", "short-steps") else 3,
        eval_every=UPDATES[TASK] // 4,
        workers=0,
        compile=True,
    )
    add_run(done.directory, "push trials", name)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        run(chosen)
