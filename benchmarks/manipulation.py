"""Train SMORe and its yardsticks on every task of fifty steps.

    python benchmarks/manipulation.py [--gather] [TASK:METHOD ...]

Each run is what `smore-lit train TASK --algo METHOD --size cpu --compile`
does, with three seeds; cloning is not compiled. Data come from data/, runs go
to runs/, finished runs are not run again, interrupted ones go on. Scores and
times of the runs that are finished are gathered in
results/manipulation_scores.csv and results/manipulation_times.csv.
"""

import json
import sys

import fetchreach_objectives
from gathering import ROOT, write_results

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.running.files import read_table
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


def folder_of(task: str, method: str):
    """Return where a run lives; SMORe on FetchReach has five seeds."""
    if (task, method) == ("FetchReach", "smore"):
        return ROOT / "runs" / "objective-default"
    return ROOT / "runs" / f"manipulation-{task}-{method}"


def run(name: str, method: str) -> None:
    """Train one method on one task; those that only copy get 2,000."""
    if (name, method) == ("FetchReach", "smore"):
        return fetchreach_objectives.run("default")
    task = load_task(name)
    updates = UPDATES[name]
    if method not in ("smore", "iql"):
        updates = 2_000
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        method,
        task=task,
        out=folder_of(name, method),
        updates=updates,
        seeds=3,
        eval_every=updates // 4,
        workers=0,
        compile=method in ("smore", "iql"),
    )


def share_at_the_end(folder):
    """Return the mean effective share of the weights, empty for cloning."""
    rows = read_table(folder / "metrics.csv")
    last = max(int(row["updates"]) for row in rows)
    shares = [
        float(row["effective_share"])
        for row in rows
        if int(row["updates"]) == last and row.get("effective_share")
    ]
    return round(sum(shares) / len(shares), 3) if shares else ""


def gather() -> None:
    """Write scores and times of all finished runs to results/."""
    scores, times = [], []
    for task, method in RUNS:
        folder = folder_of(task, method)
        if not (folder / "summary.json").exists():
            continue
        scores += read_table(folder / "scores.csv")
        summary = json.loads((folder / "summary.json").read_text())
        times.append(
            {
                "task": task,
                "algorithm": method,
                "seeds": len(summary["seeds"]),
                "updates": summary["updates"],
                "seconds": round(summary["wall_seconds"]),
                "updates_per_second": round(summary["updates_per_second"], 1),
                "effective_share": share_at_the_end(folder),
            }
        )
    write_results("manipulation_scores", scores)
    write_results("manipulation_times", times)


if __name__ == "__main__":
    wanted = [name.split(":") for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else RUNS):
        run(*chosen)
    gather()
