"""Measure training speed against the machine's own matrix-product peak.

For 1, 3 and 10 seeds, batch 512 and hidden layers 2 x 256, in turns that
alternate with the matrix products so that a machine whose speed drifts slows
both: updates per second, GFLOP per update (counted by PyTorch), and the
fraction of the peak that the update reaches.

    python benchmarks/training_speed.py [--rounds 9] [--algorithm smore]
"""

import argparse
import functools
import statistics
import time

import torch

from smore_lit.benchmark.datasets import tiny_dataset
from smore_lit.learning.agent import find_agent, make_config
from smore_lit.learning.training import Plan, count_flops, start_run, step
from smore_lit.learning.trajectories import as_trajectories

PEAK_SIZES = (256, 512, 1024, 2048)


def rate(action, work: float, seconds: float) -> float:
    """Return the rate, in units of `work` per second, of repeated calls."""
    action()
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or count < 3:
        action()
        count += 1
    return count * work / spent


def peak(seconds: float) -> float:
    """Return the best GFLOP/s of float32 square matrix products."""
    best = 0.0
    for size in PEAK_SIZES:
        a, b = torch.randn(2, size, size)
        out = torch.empty(size, size)
        gflop = 2 * size**3 / 1e9
        share = seconds / len(PEAK_SIZES)
        multiply = functools.partial(torch.mm, a, b, out=out)
        best = max(best, rate(multiply, gflop, share))
    return best


def main() -> None:
    """Print one line per number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", default="smore")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3, 10])
    options = parser.parse_args()
    agent = find_agent(options.algorithm)
    data = as_trajectories(**tiny_dataset("FetchReach"))
    config = make_config(agent)
    print(
        f"{agent.name}, batch {config.batch_size}, hidden {config.hidden},"
        f" {torch.get_num_threads()} threads, torch {torch.__version__};"
        f" median of {options.rounds} alternating rounds"
    )
    print(
        "seeds  updates/s  GFLOP/update  GFLOP/s  peak GFLOP/s"
        "  fraction (min..max)"
    )
    for seeds in options.seeds:
        run = start_run(data, agent, config, Plan(seeds=seeds))
        gflop = count_flops(run) / 1e9
        updates, peaks = [], []
        for _ in range(options.rounds):
            peaks.append(peak(options.seconds / 2))
            train = functools.partial(step, run)
            updates.append(rate(train, 1.0, options.seconds))
        fractions = [
            u * gflop / p for u, p in zip(updates, peaks, strict=True)
        ]
        median = statistics.median(updates)
        print(
            f"{seeds:5d}  {median:9.1f}  {gflop:12.3f}  {median * gflop:7.1f}"
            f"  {statistics.median(peaks):12.1f}"
            f"  {statistics.median(fractions):.2f}"
            f" ({min(fractions):.2f}..{max(fractions):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
