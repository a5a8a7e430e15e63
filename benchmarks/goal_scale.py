"""Train on two scales of goals: of those achieved, and of both kinds.

    python benchmarks/goal_scale.py [--gather] [--data DIR] [SCALE:METHOD ...]

Each run trains METHOD on FetchPick with the settings of `smore-lit train`,
but for batches of 256, two seeds and 4,000 updates, on the first 300 expert
and the first 2,700 random episodes of the size "cpu". SCALE says how goals
are standardised: "pooled" as the package does it, "achieved" by the goals of
the data alone, "desired" by those that were asked for alone. Data come from
data/ or DIR, runs go to runs/, finished runs are not run again, interrupted
ones go on.
Scores of the runs that are finished are gathered in goal_scale.csv of
smore_lit/results/; goal_scale_inputs.csv there says where the two kinds of
goals of FetchPick lie on each scale.
"""

import argparse
from pathlib import Path

import torch
from gathering import ROOT, write_results

from smore_lit.data.datasets import count_halves, load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning import training
from smore_lit.running.files import read_table
from smore_lit.learning.scaling import LEAST_STD, Scaler, fit_scaler
from smore_lit.learning.trajectories import as_trajectories

TASK = "FetchPick"
SCALES = ("achieved", "pooled", "desired")
METHODS = ("gofar", "iql", "smore")
RUNS = [(scale, method) for method in METHODS for scale in SCALES[:2]]
RUNS += [("desired", method) for method in METHODS]
PLAN = dict(updates=4_000, seeds=2, eval_every=2_000, eval_episodes=100)
EPISODES = {"expert": 300, "random": 2_700}


def load(folder: Path):
    """Return the first episodes of both halves."""
    arrays = load_dataset(load_task(TASK), "cpu", root=folder)
    experts = count_halves(load_task(TASK), "cpu", 10)["expert"]
    chosen = list(range(EPISODES["expert"]))
    chosen += range(experts, experts + EPISODES["random"])
    return as_trajectories(**{name: x[chosen] for name, x in arrays.items()})


def fit_one_kind(kind: str):
    """Return a `fit_scaler` whose goals are all of one kind."""

    def fit(scaler, data) -> None:
        fit_scaler(scaler, data)
        rows = torch.arange(data.observations.shape[1])
        used = rows <= data.lengths[:, None]
        goals = data.desired_goals
        if kind == "achieved":
            goals = data.achieved_goals[used]
        std, mean = torch.std_mean(goals.double(), dim=0, correction=0)
        scaler.goal_mean.copy_(mean)
        scaler.goal_std.copy_(std.clamp(min=LEAST_STD))

    return fit


FITS = {kind: fit_one_kind(kind) for kind in ("achieved", "desired")}
FITS["pooled"] = fit_scaler


def folder_of(scale: str, method: str) -> Path:
    """Return where a run lives."""
    return ROOT / "runs" / f"goal-scale-{scale}-{method}"


def run(data, scale: str, method: str) -> None:
    """Train one method on one scale."""
    training.fit_scaler = FITS[scale]
    training.train(
        data,
        method,
        task=load_task(TASK),
        out=folder_of(scale, method),
        workers=0,
        settings={"batch_size": 256},
        **PLAN,
    )


def locate(data) -> list[dict]:
    """Return where achieved and desired goals lie on each scale."""
    rows = []
    for scale, fit in FITS.items():
        scaler = Scaler(data.observations.shape[-1], 3)
        fit(scaler, data)
        for kind, goals in (
            ("achieved", data.achieved_goals.flatten(0, 1)),
            ("desired", data.desired_goals),
        ):
            scaled = scaler.goals(goals)
            beyond = (scaled.abs() > 5).any(dim=1).float()
            height = scaled[:, 2]
            numbers = {
                "height_std": goals[:, 2].std(),
                "height_rms": height.square().mean().sqrt(),
                "height_max": height.abs().max(),
                "beyond_5": beyond.mean(),
            }
            numbers = {name: x.item() for name, x in numbers.items()}
            rows.append({"scale": scale, "kind": kind, **numbers})
    return rows


def gather() -> None:
    """Write the scores of all finished runs to goal_scale.csv."""
    scores = []
    for scale, method in RUNS:
        folder = folder_of(scale, method)
        if (folder / "summary.json").exists():
            rows = read_table(folder / "scores.csv")
            scores += [{"scale": scale, **row} for row in rows]
    if scores:
        write_results("goal_scale", scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gather", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("runs", nargs="*", metavar="SCALE:METHOD")
    given = parser.parse_args()
    wanted = [tuple(name.split(":")) for name in given.runs]
    if not given.gather or wanted:
        data = load(given.data)
        write_results("goal_scale_inputs", locate(data))
        for chosen in wanted or RUNS:
            run(data, *chosen)
            gather()
    gather()
