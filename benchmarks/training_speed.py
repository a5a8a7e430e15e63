"""Measure training speed against the machine's own matrix-product peak.

For 1, 3 and 10 seeds, batch 512 and hidden layers 2 x 256, as it stands and
compiled, in turns that alternate with the matrix products so that a machine
whose speed drifts slows both: updates per second, GFLOP per update (counted
by PyTorch), and the fraction that the update reaches of two rates: the best
square product, which is the machine's peak, and the product a hidden layer
makes, 1024 x 256 by 256 x 256.

    python benchmarks/training_speed.py [--out FILE]

Compiling takes up to a minute for each number of seeds.
"""

import argparse
import functools
import statistics
import time

import torch

from smore_lit.running.files import write_rows
from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import find_agent, make_config
from smore_lit.learning.training import Plan, count_flops, start_run
from smore_lit.learning.trajectories import as_trajectories

SQUARES = tuple((n, n, n) for n in (256, 512, 1024, 2048))
LAYER = ((1024, 256, 256),)


def rate(action, work: float, seconds: float) -> float:
    """Return the rate, in units of `work` per second, of repeated calls."""
    action()
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or count < 3:
        action()
        count += 1
    return count * work / spent


def multiply(shapes, seconds: float) -> float:
    """Return the best GFLOP/s of float32 products (n, k) by (k, m)."""
    rates = []
    for n, k, m in shapes:
        a, b, out = torch.randn(n, k), torch.randn(k, m), torch.empty(n, m)
        product = functools.partial(torch.mm, a, b, out=out)
        gflop = 2 * n * k * m / 1e9
        rates.append(rate(product, gflop, seconds / len(shapes)))
    return max(rates)


def measure(data, algorithm, seeds: int, modes, rounds: int, seconds: float):
    """Yield one row for each mode, 0 as it stands or 1 compiled."""
    agent = find_agent(algorithm)
    config = make_config(agent)
    plans = [Plan(seeds=seeds, compile=bool(mode)) for mode in modes]
    runs = [start_run(data, agent, config, plan) for plan in plans]
    gflop = count_flops(runs[0]) / 1e9
    updates, peaks, layers = [[] for _ in runs], [], []
    for _ in range(rounds):
        peaks.append(multiply(SQUARES, seconds / 2))
        for run, rates in zip(runs, updates):
            train = run.step
            rates.append(rate(train, 1.0, seconds))
        layers.append(multiply(LAYER, seconds / 4))
    for run, rates in zip(runs, updates):
        of_peak = [u * gflop / p for u, p in zip(rates, peaks)]
        of_layer = [u * gflop / p for u, p in zip(rates, layers)]
        yield {
            "algorithm": agent.name,
            "seeds": seeds,
            "compiled": "yes" if run.plan.compile else "no",
            "updates_per_second": statistics.median(rates),
            "gflop_per_update": gflop,
            "peak_gflops": statistics.median(peaks),
            "of_peak": statistics.median(of_peak),
            "of_peak_low": min(of_peak),
            "of_peak_high": max(of_peak),
            "of_layer": statistics.median(of_layer),
            "rounds": rounds,
            "threads": torch.get_num_threads(),
        }


def main() -> None:
    """Print one line per algorithm, number of seeds and mode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--algorithms", nargs="+", default=["smore"], metavar="NAME")
    add("--seeds", type=int, nargs="+", default=[1, 3, 10], metavar="N")
    add(
        "--modes",
        type=int,
        nargs="+",
        choices=(0, 1),
        default=[0, 1],
        help="0 as it stands, 1 compiled; both when left out",
    )
    add("--rounds", type=int, default=9)
    add("--seconds", type=float, default=2.0)
    add("--out", metavar="CSV", help="where to write the rows")
    options = parser.parse_args()
    data = as_trajectories(**tiny_dataset("FetchReach"))
    rows = []
    for algorithm in options.algorithms:
        for seeds in options.seeds:
            for row in measure(
                data,
                algorithm,
                seeds,
                options.modes,
                options.rounds,
                options.seconds,
            ):
                rows.append(row)
                cells = (
                    f"{v:.3g}" if isinstance(v, float) else str(v)
                    for v in row.values()
                )
                print(*map("{}={}".format, row, cells), flush=True)
    if options.out:
        write_rows(options.out, rows)


if __name__ == "__main__":
    main()
