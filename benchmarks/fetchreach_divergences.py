"""Train SMORe on FetchReach by other divergences and without actions.

    python benchmarks/fetchreach_divergences.py [NAME ...]

Each run is what `smore-lit train FetchReach` does with its --divergence,
--action-free and --set. Data come from data/, runs go to runs/, finished
runs are not run again. Scores and measurements of the runs that are finished
are gathered in results/divergences_scores.csv and
results/divergences_measurements.csv.
"""

import csv
import io
import sys
from pathlib import Path

from smore_lit.benchmark.datasets import load_dataset
from smore_lit.benchmark.tasks import load_task
from smore_lit.learning.files import read_table, write_atomic
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

ROOT = Path(__file__).resolve().parents[1]
PRINTED = {"objective": "paper"}
FREE = {"action_free": True}
OPEN = {"ratio_cap": 1e30}  # no cap that a float could reach
RUNS = {
    "kl": {"divergence": "kl"},
    "kl-paper": {"divergence": "kl", **PRINTED},
    "kl-paper-open": {"divergence": "kl", **PRINTED, **OPEN},
    "hellinger": {"divergence": "hellinger"},
    "js": {"divergence": "js"},
    "free": FREE,
    "free-kl": {"divergence": "kl", **FREE},
    "free-paper": {**FREE, **PRINTED},
    "free-kl-paper": {"divergence": "kl", **FREE, **PRINTED},
    "kl-sharp": {"divergence": "kl", "coefficient": 4.0},
    "kl-sharp-open": {"divergence": "kl", "coefficient": 4.0, **OPEN},
}
SHARED = ("updates", "seed", "score_q", "score_rho")
WATCHED = ("effective_share", "weight_mean", "advantage_std")
RATIOS = ("q", "rho", "max", "capped", "share")


def run(name: str) -> None:
    """Train one setting with three seeds."""
    task = load_task("FetchReach")
    train(
        as_trajectories(**load_dataset(task, root=ROOT / "data")),
        task=task,
        out=ROOT / "runs" / f"divergence-{name}",
        workers=0,
        settings=RUNS[name],
        updates=2_000,
        seeds=3,
        eval_every=500,
    )


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    scores, measured = [], []
    for name in RUNS:
        folder = ROOT / "runs" / f"divergence-{name}"
        if not (folder / "summary.json").exists():
            continue
        rows = read_table(folder / "scores.csv")
        scores += rows
        columns = [*SHARED, *WATCHED, *(f"ratio_{r}" for r in RATIOS)]
        for row in read_table(folder / "metrics.csv"):
            kept = {column: row.get(column, "") for column in columns}
            measured.append({"setting": rows[0]["setting"], **kept})
    for name, rows in (("scores", scores), ("measurements", measured)):
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(
            ROOT / "results" / f"divergences_{name}.csv", text.getvalue()
        )


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        run(chosen)
    gather()
