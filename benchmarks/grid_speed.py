"""Compare ways to train many runs on all cores of one machine.

    python benchmarks/grid_speed.py --before FOLDER [--rounds N] [--updates N]
                                    [--only NAME]

In alternation: one compiled run of three seeds on two threads by the code of
--before, an older checkout of this repository, as scores were made before
there was an engine; the same by today's code, plain and compiled; and one
single-threaded run of five seeds for each core, side by side, as the grid's
engine has them, plain and compiled. Each process warms up, waits for the
others, and times its updates; the minute of compiling is left out. Writes
seed-updates per second of the whole machine to
smore_lit/results/grid_speed.csv.
"""

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1
WAYS = {  # processes, seeds, threads, compiled
    "before": (1, 3, 2, True),
    "two threads": (1, 3, 2, False),
    "two threads, compiled": (1, 3, 2, True),
    "engine": (CORES, 5, 1, False),
    "engine, compiled": (CORES, 5, 1, True),
}


def measure(root, name, seeds, threads, fused, updates, barrier, answers):
    """Time updates of one run, once all are warm; put the rate."""
    sys.path.insert(0, str(root))
    import torch

    from smore_lit import as_trajectories, tiny_dataset
    from smore_lit.learning.agent import find_agent
    from smore_lit.learning.training import Plan, start_run

    torch.set_num_threads(threads)
    data = as_trajectories(**tiny_dataset("FetchReach"))
    agent = find_agent(name)
    plan = Plan(updates, seeds=seeds, threads=threads, compile=fused)
    run = start_run(data, agent, agent.config(), plan)
    for _ in range(10):
        run.step()
    barrier.wait()
    began = time.perf_counter()
    for _ in range(updates):
        run.step()
    spent = time.perf_counter() - began
    barrier.wait()
    answers.put(seeds * updates / spent)


def race(name, way, updates, root=ROOT):
    """Return the seed-updates per second of all processes of one way."""
    processes, *words = WAYS[way]
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(processes), spawn.Queue()
    known = root, name, *words, updates, barrier, answers
    children = [
        spawn.Process(target=measure, args=known) for _ in range(processes)
    ]
    for child in children:
        child.start()
    rates = [answers.get(timeout=600) for _ in children]
    for child in children:
        child.join()
    return sum(rates)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=["smore", "iql"])
    given, rows = parser.parse_args(), []
    for name in given.only:
        for number in range(given.rounds):
            for way in WAYS:
                root = given.before if way == "before" else ROOT
                rate = race(name, way, given.updates, root.resolve())
                row = {"algorithm": name, "way": way, "round": number}
                row |= {"cores": CORES, "seed_updates_per_second": rate}
                rows.append(row)
                print(row, flush=True)
    from smore_lit.running.files import write_rows

    write_rows(ROOT / "smore_lit/results/grid_speed.csv", rows)


if __name__ == "__main__":
    main()
