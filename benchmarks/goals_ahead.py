"""Count hindsight goals that are met before they are set, task by task.

    python benchmarks/goals_ahead.py

Data come from data/; tasks whose data are missing are left out. Writes
results/goals_ahead.csv: for both halves of each mixture, the share of
transitions after which the episode still leaves its achieved goal, and the
share of pairs (t, f) whose goal phi(s_f) is not yet met at s_t.
"""

import numpy as np
from gathering import ROOT, write_results

from smore_lit.benchmark.cells import SHORT_TASKS
from smore_lit.data.datasets import count_halves, load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.trajectories import as_trajectories, find_leaving


def count(task, arrays: dict, half: str) -> dict:
    """Return the shares of one half of a mixture."""
    experts = count_halves(task, "cpu", 10)["expert"]
    half_of = slice(experts) if half == "expert" else slice(experts, None)
    arrays = {name: array[half_of] for name, array in arrays.items()}
    data = as_trajectories(
        *(
            arrays[name]
            for name in (
                "observations",
                "actions",
                "achieved_goals",
                "desired_goals",
            )
        )
    )
    achieved, unmet = arrays["achieved_goals"], []
    for t in range(task.horizon):
        gap = task.distance(achieved[:, t + 1 :], achieved[:, t, None])
        unmet.append((gap > task.threshold).mean())
    return {
        "task": task.name,
        "half": half,
        "episodes": len(achieved),
        "leaving": len(find_leaving(data, task.threshold)) / data.transitions,
        "unmet": float(np.mean(unmet)),
    }


if __name__ == "__main__":
    rows = []
    for name in SHORT_TASKS:
        try:
            arrays = load_dataset(name, "cpu", root=ROOT / "data")
        except ValueError as error:
            print(error)
            continue
        for half in ("expert", "random"):
            rows.append(count(load_task(name), arrays, half))
            print(rows[-1])
    write_results("goals_ahead", rows)
