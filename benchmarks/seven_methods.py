"""Train the paper's seven methods with their presets, one by one.

    python benchmarks/seven_methods.py [--task TASK] [--presets NAME ...]
        [--methods NAME ...] [--data DIR] [--updates N] [--seeds N]

Each run is what `smore-lit train TASK --algo METHOD --preset PRESET --size
cpu --compile` does with the updates and seeds of `PLANS`, or a variant of it
from `VARIANTS`; a method without a preset of that name is left out. Runs go
to runs/, finished runs are not run again, interrupted ones go on. They are
added to smore_lit/results/ as the study "presets".
"""

import argparse
from pathlib import Path

from gathering import ROOT

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import find_agent, list_presets
from smore_lit.running.results import add_run
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


def plan_runs(task: str, presets, methods) -> list[tuple[str, str, str]]:
    """Return (task, preset, method), leaving out presets there are not."""
    return [
        (task, preset, method)
        for preset in presets
        for method in methods
        if preset
        in list_presets(find_agent(VARIANTS.get(method, [method])[0]))
    ]


def run(task: str, preset: str, method: str, data: Path, **changes) -> None:
    """Train one method or variant under one preset."""
    algorithm, settings = VARIANTS.get(method, (method, {}))
    arrays = load_dataset(load_task(task), "cpu", root=data)
    done = train(
        as_trajectories(**arrays),
        algorithm,
        task=load_task(task),
        runs=ROOT / "runs",
        settings=settings,
        preset=preset,
        workers=0,
        compile=True,
        **PLANS[task] | changes,
    )
    add_run(done.directory, "presets", f"{preset} {method}")


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
    return parser.parse_args()


if __name__ == "__main__":
    given = read_options()
    chosen = plan_runs(given.task, given.presets, given.methods)
    counts = {"updates": given.updates, "seeds": given.seeds}
    counts = {name: count for name, count in counts.items() if count}
    for one in chosen:
        run(*one, given.data, **counts)
