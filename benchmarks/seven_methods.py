"""Train the paper's seven methods with their constants and with ours.

    python benchmarks/seven_methods.py [--gather] [TASK:PRESET:METHOD ...]

Each run is what `smore-lit train TASK --algo METHOD --preset PRESET --size
cpu --compile` does with the updates and seeds of `PLANS`; gofar-hindsight is
GoFAR with hindsight=0.8. Data come from data/, runs go to runs/, finished
runs are not run again, interrupted ones go on. Scores and times of the runs
that are finished are gathered in results/seven_methods_scores.csv and
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

PLANS = {
    "FetchPick": {"updates": 4_000, "seeds": 5},
    "FetchReach": {"updates": 2_000, "seeds": 3},
    "PointReach": {"updates": 2_000, "seeds": 3},
}
METHODS = ("smore", "gofar", "wgcsl", "gcsl", "crl", "am", "iql")
VARIANTS = {"gofar-hindsight": ("gofar", {"hindsight": 0.8})}
RUNS = [
    (task, preset, method)
    for task in PLANS
    for preset in PRESETS
    for method in (*METHODS, *VARIANTS)
]


def folder_of(task: str, preset: str, method: str):
    """Return where a run lives."""
    return ROOT / "runs" / f"seven-{task}-{preset}-{method}"


def run(name: str, preset: str, method: str) -> None:
    """Train one method under one preset."""
    task, plan = load_task(name), PLANS[name]
    algorithm, settings = VARIANTS.get(method, (method, {}))
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        algorithm,
        task=task,
        out=folder_of(name, preset, method),
        preset=preset,
        **plan,
        **settings,
        eval_every=plan["updates"] // 4,
        workers=0,
        compile=True,
    )


def gather() -> None:
    """Write scores and times of all finished runs to results/."""
    scores, times = [], []
    for task, preset, method in RUNS:
        folder = folder_of(task, preset, method)
        if not (folder / "summary.json").exists():
            continue
        label = {"preset": preset, "method": method}
        rows = read_table(folder / "scores.csv")
        scores += [{**label, **row} for row in rows]
        summary = json.loads((folder / "summary.json").read_text())
        kept = ("updates", "updates_per_second", "gflop_per_update")
        times.append(
            {"task": task, **label, "seeds": len(summary["seeds"])}
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
