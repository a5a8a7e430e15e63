"""What the benchmark scripts share: data, trained cells, writing results."""

from pathlib import Path

from smore_lit.benchmark.cells import as_cell
from smore_lit.benchmark.grid import PROTOCOLS, Job
from smore_lit.data.datasets import load_dataset, store_goal
from smore_lit.learning.training import Run, train
from smore_lit.learning.trajectories import Trajectories, as_trajectories
from smore_lit.running.files import results_folder, write_rows

ROOT = Path(__file__).resolve().parents[1]


def load(task: str, goal: float | None = None) -> Trajectories:
    """Return the data of a task that the protocol `cpu` trains on.

    Args:
        task: its name.
        goal: stored for every episode; None: as recorded.
    """
    arrays = load_dataset(task, "cpu", root=ROOT / "data")
    return as_trajectories(
        arrays if goal is None else store_goal(arrays, goal)
    )


def train_cell(
    task: str, algorithm: str = "smore", goal=None, **settings
) -> Run:
    """Train a cell under the protocol `cpu` in runs/, or read it there."""
    cell = as_cell("shared", task, algorithm, settings, goal)
    job = Job(cell, PROTOCOLS["cpu"].plan(task), "cpu", "grid cpu")
    given = job.arguments()
    return train(load(task, goal), runs=ROOT / "runs", workers=0, **given)


def write_results(name: str, rows: list[dict]) -> None:
    """Write `rows`, all with the keys of the first, to results/NAME.csv."""
    write_rows(results_folder() / f"{name}.csv", rows)
