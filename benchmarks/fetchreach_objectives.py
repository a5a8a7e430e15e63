"""Train SMORe on FetchReach under each of its objectives and keep the scores.

All but the first are compared at the step sizes of the paper and the
coefficient of its Eq. 8, and start the score at zero.

    python benchmarks/fetchreach_objectives.py [NAME ...]

Data come from data/, runs go to runs/, finished runs are not run again. They
are added to smore_lit/results/ as the study "objectives".
"""

import sys
from pathlib import Path

from gathering import ROOT

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import PAPER_STEPS
from smore_lit.running.results import add_run
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

PAPER_RUNS = {
    "in-sample": {},
    "in-sample-1": {"coefficient": 1.0},
    "paper": {"objective": "paper", "coefficient": 1.0},
    "paper-025": {"objective": "paper"},
    "released": {"objective": "released"},
    "stable": {"objective": "released-stable"},
    "raw": {"standardise": False},
    "cloning": {"temperature": 1e-3},
    "hot": {"temperature": 12.0},
    "cool": {"temperature": 0.75},
    "released-hot": {"objective": "released", "temperature": 12.0},
    "released-cool": {"objective": "released", "temperature": 0.75},
}
PAPER = {
    **PAPER_STEPS,
    "coefficient": 0.25,
    "temperature": 3.0,
    "centred": False,
}
RUNS = {"default": {}}
for name, settings in PAPER_RUNS.items():
    RUNS[name] = {**PAPER, **settings}


def run(name: str) -> Path:
    """Train one setting; the default gets five seeds, the others three."""
    task = load_task("FetchReach")
    done = train(
        as_trajectories(**load_dataset(task, root=ROOT / "data")),
        task=task,
        runs=ROOT / "runs",
        settings=RUNS[name],
        updates=2_000,
        seeds=5 if name in ("default", "in-sample") else 3,
        eval_every=500,
        workers=0,
        compile=True,
    )
    add_run(done.directory, "objectives", name, metrics=True)
    return done.directory


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        run(chosen)
