"""Train the paper's seven methods with their presets, one by one.

    python benchmarks/seven_methods.py [--task TASK] [--presets NAME ...]
        [--methods NAME ...] [--data DIR] [--updates N] [--seeds N] [--gather]

Each run is what `smore-lit train TASK --algo METHOD --preset PRESET --size
cpu --compile` does with the updates and seeds of `PLANS`, or a variant of it
from `VARIANTS`; a method without a preset of that name is left out. Runs go
to runs/, finished runs are not run again, interrupted ones go on, and after
each of them scores and times are gathered in preset_scores.csv and
preset_times.csv of smore_lit/results/, where rows of runs made elsewhere stay.

seven_methods_scores.csv and seven_methods_times.csv there are of an earlier
state of the code and are not written any more; the chapter says what of.
"""

import argparse
import json
from pathlib import Path

from gathering import ROOT, write_results

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import find_agent, list_presets
from smore_lit.running.files import read_table, results_folder
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

METHODS = ("smore", "gofar", "wgcsl", "gcsl", "crl", "am", "iql")
PRESETS = ("released", "paper", "shared")
PLANS = {
    "FetchPick": dict(updates=4_000, seeds=5, eval_every=1_000),
    "FetchReach": dict(updates=2_000, seeds=3, eval_every=500),
    "PointReach": dict(updates=2_000, seeds=3, eval_every=500),
}
TABLE_4 = dict(  # with the in-sample loss, the foot of the ladder
    learning_rate=3e-4,
    polyak=0.005,
    temperature=3.0,
    ahead=0.0,
    standardise=False,
    centred=False,
    coefficient=0.25,
)
AHEAD = TABLE_4 | dict(ahead=0.8)
RATES = AHEAD | dict(learning_rate=1e-3, polyak=0.02)
INPUTS = RATES | dict(standardise=True)
START = INPUTS | dict(centred=True, coefficient=0.5)
VARIANTS = {
    "smore-table4": ("smore", TABLE_4),
    "smore-ahead": ("smore", AHEAD),
    "smore-rates": ("smore", RATES),
    "smore-inputs": ("smore", INPUTS),
    "smore-start": ("smore", START),
    "smore-stable": ("smore", dict(objective="released-stable")),
    "smore-eight": ("smore", dict(coefficient=0.25)),
    "smore-alike": ("smore", dict(ahead=0.0)),
    "gofar-alike": ("gofar", dict(ahead=0.0)),
    "gcsl-alike": ("gcsl", dict(ahead=0.0)),
    "iql-alike": ("iql", dict(ahead=0.0)),
    "gofar-hindsight": ("gofar", dict(hindsight=0.8)),
}
KEYS = ("preset", "method", "task")
KEPT = ("updates", "updates_per_second", "gflop_per_update")


def plan_runs(task: str, presets, methods) -> list[tuple[str, str, str]]:
    """Return (task, preset, method), leaving out presets there are not."""
    return [
        (task, preset, method)
        for preset in presets
        for method in methods
        if preset
        in list_presets(find_agent(VARIANTS.get(method, [method])[0]))
    ]


def folder_of(task: str, preset: str, method: str) -> Path:
    """Return where a run lives."""
    return ROOT / "runs" / f"preset-{task}-{preset}-{method}"


def run(task: str, preset: str, method: str, data: Path, **changes) -> None:
    """Train one method or variant under one preset."""
    algorithm, settings = VARIANTS.get(method, (method, {}))
    arrays = load_dataset(load_task(task), "cpu", root=data)
    train(
        as_trajectories(**arrays),
        algorithm,
        task=load_task(task),
        out=folder_of(task, preset, method),
        settings=settings,
        preset=preset,
        workers=0,
        compile=True,
        **PLANS[task] | changes,
    )


def merge(name: str, rows: list[dict]) -> None:
    """Write `rows` to results/NAME.csv beside those of other runs."""
    new = {tuple(row[key] for key in KEYS) for row in rows}
    path = results_folder() / f"{name}.csv"
    old = read_table(path) if path.exists() else []
    kept = [row for row in old if tuple(row[key] for key in KEYS) not in new]
    if kept or rows:
        write_results(name, kept + rows)


def gather(root: Path = ROOT / "runs") -> None:
    """Write scores and times of all finished runs to results/."""
    scores, times = [], []
    for summary in sorted(root.glob("preset-*/summary.json")):
        _, task, preset, method = summary.parent.name.split("-", 3)
        label = {"preset": preset, "method": method}
        rows = read_table(summary.parent / "scores.csv")
        scores += [{**label, **row} for row in rows]
        found = json.loads(summary.read_text())
        times.append(
            {**label, "task": task, "seeds": len(found["seeds"])}
            | {name: found[name] for name in KEPT}
            | {"seconds": round(found["wall_seconds"])}
        )
    merge("preset_scores", scores)
    merge("preset_times", times)


def read_options():
    """Return the command line."""
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--task", default="FetchPick", choices=PLANS)
    add("--presets", nargs="+", default=PRESETS, metavar="NAME")
    add("--methods", nargs="+", default=METHODS, metavar="NAME")
    add("--data", type=Path, default=ROOT / "data")
    add("--updates", type=int)
    add("--seeds", type=int)
    add("--gather", action="store_true", help="train nothing")
    return parser.parse_args()


if __name__ == "__main__":
    given = read_options()
    chosen = plan_runs(given.task, given.presets, given.methods)
    counts = {"updates": given.updates, "seeds": given.seeds}
    counts = {name: count for name, count in counts.items() if count}
    for one in () if given.gather else chosen:
        run(*one, given.data, **counts)
        gather()
    gather()
