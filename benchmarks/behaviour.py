"""Measure what expert, spoiled expert and random policy collect.

    python benchmarks/behaviour.py [--task NAME ...] [--episodes 200]

Rows of the chosen tasks (by default all) are replaced in
results/behaviour.csv, the others are kept. All behaviours of a task play the
same episodes. `sum`, `return_098`, `return_099`, `last`, `ever` and `success`
count the states arrived in, s_1 to s_T, as this book does; `success` is
`last` with the task's stricter threshold, where it has one. The columns
`published_...` count s_0 to s_{T-2}, as the published statistics do.
"""

import argparse
import csv
import fcntl
import io
import os
import time
import zlib
from pathlib import Path

import numpy as np

from smore_lit.worlds.experts import Noisy, expert, random_policy
from smore_lit.worlds.tasks import list_tasks, load_task
from smore_lit.running.files import read_table, results_folder, write_atomic
from smore_lit.running.rollouts import Rollouts

DISCOUNTS = {"sum": 1.0, "098": 0.98, "099": 0.99}
BEHAVIOURS = ("expert", "noisy", "random")
COLUMNS = (
    "task,behaviour,episodes,sum,return_098,return_099,last,ever,seed,"
    "success,published_sum,published_098,published_099,published_last"
).split(",")


def choose_policies(task) -> dict:
    """Return the policies of `task` by behaviour; no expert, no two."""
    policies = {"random": random_policy(task)}
    if task.expert is not None:
        policies |= {"expert": expert(task), "noisy": Noisy(expert(task))}
    return {name: policies[name] for name in BEHAVIOURS if name in policies}


def draw_pairs(task, seed: int, episodes) -> list:
    """Return (seed of the world, generator of the policy) per episode."""
    pairs = []
    for index in episodes:
        root = (seed, zlib.crc32(task.name.encode()), index)
        world, hand = np.random.SeedSequence(root).spawn(2)
        number = int(world.generate_state(1)[0])
        pairs.append((number, np.random.default_rng(hand)))
    return pairs


def play(pool, task, policy, seed: int, episodes: int):
    """Return achieved goals (E, T+1, G) and desired goals (E, G)."""
    rounds = []
    for first in range(0, episodes, pool.slots):
        block = range(first, min(first + pool.slots, episodes))
        pairs = draw_pairs(task, seed, block)
        rounds.append(pool.perform(policy, pairs, task.horizon))
    keys = ("achieved_goals", "desired_goals")
    return [np.concatenate([r[key] for r in rounds]) for key in keys]


def summarise(task, achieved, desired) -> dict[str, float]:
    """Return the mean statistics of episodes, by column."""
    rewards = task.reward(achieved, desired[:, None])
    arrived, published = rewards[:, 1:], rewards[:, :-2]
    row = {}
    for prefix, part in (("", arrived), ("published_", published)):
        steps = np.arange(part.shape[1])
        for name, gamma in DISCOUNTS.items():
            if not prefix and name != "sum":
                name = f"return_{name}"
            row[prefix + name] = (part * gamma**steps).sum(1).mean()
        row[f"{prefix}last"] = part[:, -1].mean()
    row["ever"] = arrived.max(1).mean()
    row["success"] = task.success(achieved[:, -1], desired).mean()
    return {key: round(float(value), 4) for key, value in row.items()}


def measure(task, seed: int, episodes: int, workers: int) -> list[dict]:
    """Return one row per behaviour of `task`, and say how fast it went."""
    rows = []
    with Rollouts(task.make, min(20, episodes), workers) as pool:
        for name, policy in choose_policies(task).items():
            began = time.perf_counter()
            goals = play(pool, task, policy, seed, episodes)
            numbers = summarise(task, *goals)
            rate = episodes * task.horizon / (time.perf_counter() - began)
            row = {"task": task.name, "behaviour": name, "seed": seed}
            rows.append(row | {"episodes": episodes} | numbers)
            print(
                f"{task.name:12} {name:7} return_099 "
                f"{numbers['return_099']:6.2f}  last {numbers['last']:.3f}  "
                f"ever {numbers['ever']:.3f}  {rate:,.0f} transitions/s",
                flush=True,
            )
    return rows


def rewrite(path: Path, task, rows: list[dict]) -> None:
    """Replace the rows of `task` in the table at `path`, and sort it."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        kept = read_table(path) if path.exists() else []
        kept = [row for row in kept if row["task"] != task.name]
        order = [*list_tasks()]
        rows = sorted(
            [*kept, *rows],
            key=lambda row: (
                order.index(load_task(row["task"]).base),
                row["task"],
                BEHAVIOURS.index(row["behaviour"]),
            ),
        )
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(path, text.getvalue())
    finally:
        os.close(folder)


def main() -> None:
    """Measure the chosen tasks one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", action="append", help="which; repeatable")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.task or list_tasks():
        task = load_task(name)
        rows = measure(task, options.seed, options.episodes, options.workers)
        rewrite(results_folder() / "behaviour.csv", task, rows)


if __name__ == "__main__":
    main()
