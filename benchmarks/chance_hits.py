"""Count goals of other episodes that a transition reaches, task by task.

    python benchmarks/chance_hits.py [DIR ...]

Data of the size "cpu" come from the first DIR that has them, data/ when none
is named; for tasks without, the 200 episodes shipped with the package stand
in; the others are left out. Writes smore_lit/results/chance_hits.csv: for
100,000 transitions with hindsight goals, drawn alike and as the agents draw
them, the share that reaches its own goal, and the share that reaches the goal
of the row above.
"""

import sys
from pathlib import Path

import torch
from gathering import ROOT, write_results

from smore_lit.baselines.actionable import chain_goals
from smore_lit.data.datasets import load_dataset, tiny_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.trajectories import (
    Sampler,
    as_trajectories,
    draw_uniforms,
)

TASKS = (
    "PointReach",
    "FetchReach",
    "SawyerReach",
    "SawyerDoor",
    "FetchPush",
    "FetchPick",
)
ROWS = 100_000


def find_data(name: str, folders: list[Path]):
    """Return the episodes of a task and what they are, or None."""
    task = load_task(name)
    for size in ("cpu", "tiny"):
        for folder in folders:
            try:
                arrays = load_dataset(task, size, root=folder)
            except ValueError:
                continue
            return as_trajectories(**arrays), size
    try:
        return as_trajectories(**tiny_dataset(name)), "tiny"
    except ValueError:
        return None


def count(name: str, data, size: str, ahead: float) -> dict:
    """Return the two shares of one draw."""
    sampler = Sampler(data, 1.0, load_task(name).threshold, ahead)
    draws = draw_uniforms([torch.Generator().manual_seed(0)], ROWS, 4)
    rho, _ = sampler(draws)
    return {
        "task": name,
        "size": size,
        "ahead": ahead,
        "own": rho.reached.mean().item(),
        "exchanged": chain_goals(rho, 1.0)[1].mean().item(),
    }


if __name__ == "__main__":
    folders = [Path(name) for name in sys.argv[1:]] or [ROOT / "data"]
    rows = []
    for name in TASKS:
        found = find_data(name, folders)
        for ahead in (0.0, 0.8) if found else ():
            rows.append(count(name, *found, ahead))
            print(rows[-1])
    write_results("chance_hits", rows)
