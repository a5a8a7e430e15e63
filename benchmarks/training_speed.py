"""Measure training speed against the machine's own matrix-product peak.

For 1, 3 and 10 seeds, batch 512 and hidden layers 2 x 256, in turns that
alternate with the matrix products so that a machine whose speed drifts slows
both: updates per second, GFLOP per update (counted by PyTorch), and the
fraction that the update reaches of two rates: the best square product, which
is the machine's peak, and the product a hidden layer makes, 1024 x 256 by
256 x 256.

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


def summary(fractions) -> str:
    """Return median and range of fractions."""
    low, middle, high = (
        min(fractions),
        statistics.median(fractions),
        max(fractions),
    )
    return f"{middle:.2f} ({low:.2f}..{high:.2f})"


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
        "seeds  updates/s  GFLOP/update  GFLOP/s     peak"
        "    of the peak (range)  of a layer's product"
    )
    for seeds in options.seeds:
        run = start_run(data, agent, config, Plan(seeds=seeds))
        gflop = count_flops(run) / 1e9
        updates, peaks, layers = [], [], []
        train = functools.partial(step, run)
        for _ in range(options.rounds):
            peaks.append(multiply(SQUARES, options.seconds / 2))
            updates.append(rate(train, 1.0, options.seconds))
            layers.append(multiply(LAYER, options.seconds / 4))
        speed = statistics.median(updates)
        shares = [
            summary([u * gflop / p for u, p in zip(updates, rates)])
            for rates in (peaks, layers)
        ]
        print(
            f"{seeds:5d}  {speed:9.1f}  {gflop:12.3f}  {speed * gflop:7.1f}"
            f"  {statistics.median(peaks):7.1f}"
            f"  {shares[0]:>21}  {shares[1]:>20}",
            flush=True,
        )


if __name__ == "__main__":
    main()
