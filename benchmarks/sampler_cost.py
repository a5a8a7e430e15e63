"""Measure what a batch costs on a hundred thousand and a million transitions.

    python benchmarks/sampler_cost.py [--out FILE] [--rounds N]

Random episodes of 1,000 steps in the sizes of the half-cheetah, SMORe with
five seeds on one thread. Updates and batches of both sizes alternate, so that
a batch finds the caches as training leaves them. A batch is all that leads to
the losses: uniform numbers, sampler and scaling.
"""

import argparse
import statistics
import time

import numpy as np

from smore_lit.learning.agent import find_agent, make_config
from smore_lit.learning.training import Plan, draw, start_run
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.files import write_rows
from smore_lit.running.loop import fix_products
from smore_lit.worlds.tasks import load_task

HORIZON, EPISODES = 1_000, (100, 1_000)
PLAN = Plan(seeds=5)


def start(task, episodes: int):
    """Return a run on random episodes."""
    rng = np.random.default_rng(episodes)
    data = as_trajectories(
        rng.normal(size=(episodes, HORIZON + 1, task.observation_size)),
        rng.uniform(-1, 1, (episodes, HORIZON, task.action_size)),
        rng.uniform(0, 12, (episodes, HORIZON + 1, task.goal_size)),
        rng.uniform(0, 12, (episodes, task.goal_size)),
    )
    agent = find_agent("smore")
    return start_run(data, agent, make_config(agent), PLAN, task)


def measure(rounds: int) -> list[dict]:
    """Return one row for each number of transitions."""
    task = load_task("CheetahTgtVel-m-e")
    with fix_products(PLAN):
        runs = [start(task, episodes) for episodes in EPISODES]
        times = {(run, what): [] for run in range(2) for what in range(2)}
        for _ in range(rounds + 1):
            for index, run in enumerate(runs):
                marks = [time.perf_counter()]
                run.step()
                marks.append(time.perf_counter())
                draw(run, run.generators)
                marks.append(time.perf_counter())
                for what, (a, b) in enumerate(zip(marks, marks[1:])):
                    times[index, what].append(1e3 * (b - a))
    middle = {k: statistics.median(v[1:]) for k, v in times.items()}
    return [
        {
            "transitions": episodes * HORIZON,
            "batch_ms": middle[index, 1],
            "update_ms": middle[index, 0],
        }
        for index, episodes in enumerate(EPISODES)
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="smore_lit/results/sampler_cost.csv")
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    rows = measure(args.rounds)
    write_rows(args.out, rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
