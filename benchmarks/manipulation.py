"""Train SMORe and its yardsticks on every task of fifty steps.

    python benchmarks/manipulation.py [TASK:METHOD ...]

Each run is what `smore-lit train TASK --algo METHOD --size cpu --compile`
does, with three seeds; cloning is not compiled. SMORe on FetchReach is that
of fetchreach_objectives.py, with five. Data come from data/, runs go to runs/,
finished runs are not run again, interrupted ones go on. They are added to
smore_lit/results/ as the study "manipulation".
"""

import sys

import fetchreach_objectives
from gathering import ROOT

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.running.results import add_run
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

UPDATES = {
    "FetchReach": 2_000,
    "Reacher": 2_000,
    "SawyerReach": 2_000,
    "SawyerDoor": 2_000,
    "FetchPush": 8_000,
    "FetchPick": 4_000,
    "FetchSlide": 10_000,
    "HandReach": 6_000,
}
METHODS = ("smore", "iql", "bc", "gcsl", "goal-bc")
RUNS = [(task, method) for task in UPDATES for method in METHODS]


def run(name: str, method: str) -> None:
    """Train one method on one task; those that only copy get 2,000."""
    if (name, method) == ("FetchReach", "smore"):
        folder = fetchreach_objectives.run("default")
    else:
        task = load_task(name)
        updates = UPDATES[name]
        if method not in ("smore", "iql"):
            updates = 2_000
        folder = train(
            as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
            method,
            task=task,
            runs=ROOT / "runs",
            updates=updates,
            seeds=3,
            eval_every=updates // 4,
            workers=0,
            compile=method in ("smore", "iql"),
        ).directory
    add_run(folder, "manipulation", method)


if __name__ == "__main__":
    wanted = [name.split(":") for name in sys.argv[1:]]
    for chosen in wanted or RUNS:
        run(*chosen)
