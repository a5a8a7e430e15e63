"""Say where the two kinds of goals of FetchPick lie on three scales.

    python benchmarks/goal_scale.py [--data DIR]

A scale standardises goals: "pooled" as the package does it, "achieved" by the
goals of the data alone, "desired" by those that were asked for alone. The
data are the first 300 expert and the first 2,700 random episodes of the size
"cpu", from data/ or DIR. Writes smore_lit/results/goal_scale_inputs.csv.
"""

import argparse
from pathlib import Path

import torch
from gathering import ROOT, write_results

from smore_lit.data.datasets import count_halves, load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.scaling import LEAST_STD, Scaler, fit_scaler
from smore_lit.learning.trajectories import as_trajectories

TASK = "FetchPick"
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    write_results("goal_scale_inputs", locate(load(parser.parse_args().data)))
