"""Compare the local engine with how scores were made before there was one.

    python benchmarks/grid_speed.py [--rounds N] [--updates N] [--only NAME]

In alternation: one run of three seeds on two threads, compiled, with memory
handed back to the system as glibc does by itself; and one single-threaded run
of five seeds for each core, side by side, plain and compiled, with memory
kept. Each process warms up, waits for the others, and times its updates.
Writes seed-updates per second of the whole machine to
smore_lit/results/grid_speed.csv.
"""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

from smore_lit.running.files import write_rows

OUT = Path(__file__).resolve().parents[1] / "smore_lit/results/grid_speed.csv"
CORES = os.cpu_count() or 1
WAYS = {  # processes, seeds, threads, compiled, memory is kept
    "before": (1, 3, 2, True, False),
    "before, memory kept": (1, 3, 2, True, True),
    "engine": (CORES, 5, 1, False, True),
    "engine compiled": (CORES, 5, 1, True, True),
}
AS_IT_IS = {"GLIBC_TUNABLES": "glibc.malloc.arena_test=8"}  # glibc's own way


def measure(name, seeds, threads, fused, updates, barrier, answers):
    """Time updates of one run, once all are warm; put the rate."""
    from smore_lit import as_trajectories, tiny_dataset
    from smore_lit.learning.agent import find_agent
    from smore_lit.learning.training import Plan, start_run
    from smore_lit.running.loop import fix_products

    agent = find_agent(name)
    plan = Plan(updates, seeds=seeds, threads=threads, compile=fused)
    with fix_products(plan):
        data = as_trajectories(**tiny_dataset("FetchReach"))
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


def race(name, way, updates):
    """Return the seed-updates per second of all processes of one way."""
    processes, seeds, threads, fused, kept = WAYS[way]
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(processes), spawn.Queue()
    words = name, seeds, threads, fused, updates, barrier, answers
    children = [
        spawn.Process(target=measure, args=words) for _ in range(processes)
    ]
    os.environ.update({} if kept else AS_IT_IS)
    for child in children:
        child.start()
    os.environ.pop("GLIBC_TUNABLES", None)
    rates = [answers.get() for _ in children]
    for child in children:
        child.join()
    return sum(rates)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument(
        "--only", nargs="+", default=["smore", "iql", "gofar", "gcsl"]
    )
    given, rows = parser.parse_args(), []
    for name in given.only:
        for number in range(given.rounds):
            for way in WAYS:
                rate = race(name, way, given.updates)
                load = os.getloadavg()[0]
                rows.append(
                    {
                        "algorithm": name,
                        "way": way,
                        "round": number,
                        "cores": CORES,
                        "seed_updates_per_second": round(rate, 3),
                        "load": round(load, 2),
                    }
                )
                print(rows[-1], flush=True)
    write_rows(OUT, rows)


if __name__ == "__main__":
    main()
