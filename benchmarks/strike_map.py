"""Fit the strike map of FetchSlide by hindsight.

    python benchmarks/strike_map.py [--episodes 200 300] [--workers 2]

Makes strikes in the simulator, in rounds: in the first round at random
around a straight guess, in later rounds around what the map fitted so far
chooses. Each strike's goal is the place where the puck was when the episode
ended. Writes the strikes to results/strikes.csv and the coefficients to
smore_lit/assets/FetchSlide/strikes.json.
"""

import argparse
import csv
import functools
import io
import json
from concurrent.futures import ProcessPoolExecutor
from math import atan2, cos, hypot, pi, sin
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from smore_lit.benchmark.pushing import SlideExpert, launch, strike_features
from smore_lit.benchmark.tasks import load_task
from smore_lit.learning.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("round", "seed", "angle", "size", "x", "y", "height", "began")
SPREAD = ((0.15, 0.15), (0.05, 0.08))  # of angle, and of size relatively


@functools.cache
def open_world():
    """Return this process's FetchSlide."""
    return load_task("FetchSlide").make()


def choose(table, x, y):
    """Return the strike for a displacement; a straight guess without table."""
    vx, vy = launch(x, y)
    angle, speed = atan2(vy, vx), hypot(vx, vy)
    if table is None:
        return angle, speed / 1.2
    turn, size = strike_features(angle, speed)
    return angle + np.dot(table[0], turn), np.dot(table[1], size)


def strike(job):
    """Play one strike; return its row, or None where none was made."""
    number, seed, table = job
    rng = np.random.default_rng([7, seed])
    state, _ = open_world().reset(seed=seed)
    start = state["observation"][3:5].copy()
    angle, size = choose(table, *(state["desired_goal"][:2] - start))
    wide, long = SPREAD[min(number, 1)]
    angle += wide * rng.standard_normal()
    size *= 1 + long * rng.standard_normal()
    size = min(max(size, 0.1), 1 / max(abs(cos(angle)), abs(sin(angle))))
    act, began = SlideExpert(strike=(angle, size))(None), -1
    far = np.array([9.0, 9.0, 0.0])
    for t in range(50):
        action = np.float32(act(np.float32(state["observation"]), far))
        if act.phase == "strike" and began < 0:
            began = t
        state = open_world().step(action)[0]
    end = state["observation"][3:6]
    return (number, seed, angle, size, *(end[:2] - start), end[2], began)


def fit(features, wanted, ridge=1e-5, rounds=15):
    """Return coefficients by least squares that mind outliers little."""
    weight = np.ones(len(wanted))
    eye = ridge * len(wanted) * np.eye(features.shape[1])
    for _ in range(rounds):
        heavy = (features * weight[:, None]).T
        found = np.linalg.solve(heavy @ features + eye, heavy @ wanted)
        miss = np.abs(features @ found - wanted)
        weight = 1 / (1 + (miss / (2.8 * np.median(miss))) ** 2)
    return found


def fit_map(rows):
    """Return (turn, size) coefficients of strikes that stayed on the table."""
    kept = np.array([r for r in rows if r[6] > 0.4 and r[7] >= 0])
    away = np.array([launch(x, y) for x, y in kept[:, 4:6]])
    angle, speed = np.arctan2(away[:, 1], away[:, 0]), np.hypot(*away.T)
    turn = (kept[:, 2] - angle + pi) % (2 * pi) - pi
    good = (np.abs(turn) < 0.5) & (speed > 0.1)
    pairs = [strike_features(*p) for p in zip(angle, speed)]
    one, two = (np.array(f)[good] for f in zip(*pairs))
    wanted = turn[good], kept[good, 3]
    table = fit(one, wanted[0]), fit(two, wanted[1])
    off = np.abs(one @ table[0] - wanted[0])
    part = np.abs(two @ table[1] / wanted[1] - 1)
    print(
        f"{good.sum()} strikes: median error {np.degrees(np.median(off)):.1f} "
        f"degrees, {100 * np.median(part):.1f} % of size",
        flush=True,
    )
    return table


def main() -> None:
    """Make the strikes, fit, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, nargs="+", default=[200, 300])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1_000_000)
    options = parser.parse_args()
    rows, table, first = [], None, options.seed
    context = get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        for number, count in enumerate(options.episodes):
            jobs = [(number, first + k, table) for k in range(count)]
            rows += pool.map(strike, jobs, chunksize=10)
            table, first = fit_map(rows), first + count
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[f"{x:.6g}" for x in row] for row in rows])
    write_atomic(ROOT / "results" / "strikes.csv", text.getvalue())
    names = dict(zip(("turn", "size"), table))
    names = {k: [round(float(x), 6) for x in v] for k, v in names.items()}
    path = ROOT / "smore_lit" / "assets" / "FetchSlide" / "strikes.json"
    write_atomic(path, json.dumps(names, indent=1) + "\n")


if __name__ == "__main__":
    main()
