"""Measure how fast each task's data are generated.

    python benchmarks/generation_rate.py [--task NAME ...] [--episodes 400]

Generates datasets with one expert episode in ten into a temporary folder,
shard by shard as `make_dataset` does, and times it once the workers are
running: what a worker needs to start is paid once and would dominate a short
measurement. Rows of the chosen tasks (by default all) are replaced in the
table, the others are kept.
"""

import argparse
import csv
import io
import math
import tempfile
import time
from pathlib import Path

from smore_lit.data import datasets
from smore_lit.worlds.tasks import list_tasks, load_task
from smore_lit.running.files import read_table, results_folder, write_atomic
from smore_lit.running.rollouts import Rollouts

TABLE = results_folder() / "generation.csv"
COLUMNS = (
    "task",
    "episodes",
    "transitions",
    "seconds",
    "transitions_per_second",
    "workers",
)
SLOTS = 20  # as in `fill_halves`


def split(episodes: int) -> dict[str, int]:
    """Return how many episodes of each half are made."""
    experts = math.ceil(episodes / 10)
    return {"expert": experts, "random": episodes - experts}


def measure(task, episodes: int, workers: int) -> dict:
    """Return the row of `task`."""
    slots = max(workers, SLOTS)
    with (
        tempfile.TemporaryDirectory() as root,
        Rollouts(task.make, slots, workers) as pool,
    ):
        datasets.collect(pool, task, "random", 1, range(slots))
        began = time.perf_counter()
        for half, count in split(episodes).items():
            recipe = datasets.half_recipe(task, half, 0)
            ledger = {"recipe": recipe, "sha256": {}}
            for first in range(0, count, 100):
                block = range(first, min(first + 100, count))
                folder = Path(root) / half
                datasets.make_shard(
                    pool, folder, ledger, task, block, lambda done: None
                )
        seconds = time.perf_counter() - began
    transitions = episodes * task.horizon
    return {
        "task": task.name,
        "episodes": episodes,
        "transitions": transitions,
        "seconds": round(seconds, 2),
        "transitions_per_second": round(transitions / seconds),
        "workers": workers,
    }


def rewrite(path: Path, row: dict) -> None:
    """Replace the row of a task in the table at `path`."""
    kept = read_table(path) if path.exists() else []
    rows = {each["task"]: each for each in kept} | {row["task"]: row}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[name] for name in list_tasks() if name in rows)
    write_atomic(path, text.getvalue())


def main() -> None:
    """Measure the chosen tasks one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", choices=list_tasks())
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args()
    for name in options.task or list_tasks():
        row = measure(load_task(name), options.episodes, options.workers)
        rewrite(options.out, row)
        print(
            f"{name:12} {row['transitions_per_second']:>9,} transitions/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
