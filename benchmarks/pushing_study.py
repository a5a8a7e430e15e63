"""Push a box with every planner, in both worlds, over many seeds.

    python benchmarks/pushing_study.py [--seeds 20] [--first 0]
        [--planners sgp none cem ensemble] [--out FILE]

For 60 and for 15 demonstrations, each planner and each seed: records
demonstrations, learns from them, pushes the box to the three goals in MuJoCo
and in the flat world, and writes one row for each to results/pushing.csv.
Rows that are there are not made again. One process, one thread; a seed takes
half a minute to learn and five to thirty seconds per planner.
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import torch

from smore_lit.planning import pushing
from smore_lit.running.files import read_table, results_folder, write_rows

BETAS = {"sgp": 0.15, "none": 0.0, "cem": 0.05, "ensemble": 0.05}
GROUPS = (  # demonstrations, and planners that share what was learned
    (60, ("sgp", "none", "cem")),
    (60, ("ensemble",)),
    (15, ("sgp", "none", "cem")),
    (15, ("ensemble",)),
)
MEMBERS = 3  # of the ensemble


class SideBySide:
    """Move several worlds together, so that they are planned for at once."""

    def __init__(self, worlds):
        self.worlds = worlds

    @property
    def poses(self) -> np.ndarray:
        """Return the poses of all, (B, 5)."""
        return np.concatenate([world.poses for world in self.worlds])

    def step(self, actions: np.ndarray) -> None:
        """Move the pushers by actions (B, 2), in m."""
        ends = np.cumsum([len(world.poses) for world in self.worlds])
        for world, part in zip(self.worlds, np.split(actions, ends[:-1])):
            world.step(part)


def run_seed(problem, known, planner: str, seed: int) -> list[dict]:
    """Return one row for each world and goal."""
    names = list(pushing.WORLDS)
    start = np.repeat(pushing.draw_start(seed)[None], len(pushing.GOALS), 0)
    worlds = SideBySide([pushing.WORLDS[name](start) for name in names])
    goals = np.tile(pushing.GOALS, (len(names), 1))
    method = dataclasses.replace(
        problem.method, planner=planner, beta=BETAS[planner]
    )
    trip = pushing.push_boxes(known, method, worlds, goals, seed)
    labels = list(itertools.product(names, pushing.LABELS))
    attempts = pushing.judge_trip(
        known, trip, goals, [label for _, label in labels]
    )
    away, turned = pushing.measure_miss(trip.poses[-1], goals)
    tear, rows = trip.tear(), []
    for b, ((world, goal), attempt) in enumerate(zip(labels, attempts)):
        rows.append(
            {
                "episodes": problem.episodes,
                "seed": seed,
                "planner": planner,
                "world": world,
                "goal": goal,
                "success": int(attempt.success),
                "away": round(float(away[b]), 5),
                "turned": round(float(np.degrees(turned[b])), 2),
                "tear": round(float(tear[b]), 6),
                "steps": len(attempt.actions),
                "model_cost": round(attempt.model_cost, 5),
                "true_cost": round(attempt.true_cost, 5),
                "outside": round(attempt.outside, 4),
                "seconds": round(attempt.seconds, 3),
            }
        )
    return rows


def main() -> None:
    """Make the rows that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--planners", nargs="+", default=list(BETAS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = given.out or results_folder() / "pushing.csv"
    rows: list[dict] = list(read_table(path)) if path.exists() else []
    done = {(int(r["episodes"]), int(r["seed"]), r["planner"]) for r in rows}
    for episodes, group in GROUPS:
        problem = pushing.BoxPushing(episodes=episodes)
        for seed in range(given.first, given.first + given.seeds):
            left = [
                planner
                for planner in group
                if planner in given.planners
                and (episodes, seed, planner) not in done
            ]
            if not left:
                continue
            members = MEMBERS if "ensemble" in left else 1
            known = problem.learn(seed, members)
            for planner in left:
                rows += run_seed(problem, known, planner, seed)
                write_rows(path, rows)
                successes = [row["success"] for row in rows[-6:]]
                print(episodes, seed, planner, *successes, flush=True)


if __name__ == "__main__":
    main()
