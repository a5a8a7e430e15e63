"""Train the paper's seven methods with their constants and with ours.

    python benchmarks/seven_methods.py [--gather] [TASK:PRESET:METHOD ...]

Each run is what `smore-lit train TASK --algo METHOD --preset PRESET --size
cpu --compile` does with the updates and seeds of `PLANS`, or a variant of it:
SMORe on its way from the published constants to ours, and trained for longer;
four methods that draw all transitions alike; GoFAR with hindsight goals.
Data come from data/, runs go to runs/, finished runs are not run again,
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

METHODS = ("smore", "gofar", "wgcsl", "gcsl", "crl", "am", "iql")
PLANS = {
    "FetchPick": dict(updates=4_000, seeds=5, eval_every=1_000),
    "FetchReach": dict(updates=2_000, seeds=3, eval_every=500),
    "PointReach": dict(updates=2_000, seeds=3, eval_every=500),
}
AHEAD = dict(ahead=0.8)
RATES = AHEAD | dict(learning_rate=1e-3, polyak=0.02)
INPUTS = RATES | dict(standardise=True)
START = INPUTS | dict(centred=True, coefficient=0.5)
LONG = dict(updates=16_000, seeds=1, eval_every=2_000)
LADDER = {
    "smore-ahead": ("smore", AHEAD, dict(seeds=3)),
    "smore-rates": ("smore", RATES, dict(seeds=3)),
    "smore-inputs": ("smore", INPUTS, dict(seeds=3)),
    "smore-start": ("smore", START, dict(seeds=3)),
    "smore-long": ("smore", {}, LONG),
}
ALIKE = {
    f"{method}-alike": (method, dict(ahead=0.0), dict(seeds=3))
    for method in ("smore", "gofar", "gcsl", "iql")
}
HINDSIGHT = {"gofar-hindsight": ("gofar", dict(hindsight=0.8), {})}
VARIANTS = LADDER | ALIKE | HINDSIGHT
RUNS = [("FetchPick", preset, m) for preset in PRESETS for m in METHODS]
RUNS += [("FetchPick", "paper", variant) for variant in LADDER]
RUNS += [("FetchPick", "shared", variant) for variant in ALIKE]
for easy in ("FetchReach", "PointReach"):
    for algorithm in ("smore", "gofar", "gcsl", "iql"):
        RUNS += [(easy, preset, algorithm) for preset in PRESETS]
    RUNS += [(easy, "shared", variant) for variant in HINDSIGHT]


def folder_of(task: str, preset: str, method: str):
    """Return where a run lives."""
    return ROOT / "runs" / f"seven-{task}-{preset}-{method}"


def run(name: str, preset: str, method: str) -> None:
    """Train one method or variant under one preset."""
    task = load_task(name)
    algorithm, settings, changes = VARIANTS.get(method, (method, {}, {}))
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        algorithm,
        task=task,
        out=folder_of(name, preset, method),
        settings=settings,
        preset=preset,
        workers=0,
        compile=True,
        **PLANS[name] | changes,
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
