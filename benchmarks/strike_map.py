"""Fit the strike map and the glide of FetchSlide by hindsight.

    python benchmarks/strike_map.py [--kind flat|corner] [--episodes 100 150]
    python benchmarks/strike_map.py --glides 40
    python benchmarks/strike_map.py --fit-only

Makes strikes of a kind in the simulator, in rounds: in the first round at
random around a straight guess, in later rounds around what the map fitted so
far chooses. Each strike's goal is the place where the puck was when the
episode ended. Writes the strikes to results/strikes.csv, where those of the
other kind are kept, and the coefficients to
smore_lit/assets/FetchSlide/strikes.json. With --glides, makes as many random
strikes of each kind and writes the puck's velocity two steps after the
strike, and the way from there, to results/glides.csv. The
constants of the glide that fit these best are printed; the chapter compares
them with those in use.
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

from smore_lit.worlds import pushing
from smore_lit.worlds.pushing import SlideExpert, launch, strike_features
from smore_lit.worlds.tasks import load_task
from smore_lit.running.files import results_folder, write_atomic

ROOT = Path(__file__).resolve().parents[1]
STRIKES = results_folder() / "strikes.csv"
GLIDES = results_folder() / "glides.csv"
COLUMNS = "flat,round,seed,angle,size,side,x,y,height,began".split(",")
GLIDE_COLUMNS = ("flat", "seed", "vx", "vy", "x", "y", "height", "left")
SPREAD = ((0.15, 0.15), (0.05, 0.06))  # of angle, and of size relatively
STRAIGHT = {True: 2.2, False: 1.0}  # angle of a first guess over the launch's


@functools.cache
def open_world():
    """Return this process's FetchSlide."""
    return load_task("FetchSlide").make()


def guess(table, flat, angle, speed):
    """Return (angle, size, side) for a launch; straight without table."""
    side = (1 if angle >= 0 else -1) if flat else 0
    if table is None:
        angle *= STRAIGHT[flat]
        return angle, speed / (1.2 * max(cos(angle), 0.7)), side
    turn, size = strike_features(angle, speed, side)
    return angle + np.dot(table[0], turn), np.dot(table[1], size), side


def strike(job):
    """Play one strike; return (row, glide), or None if out of its range."""
    flat, number, seed, table = job
    rng = np.random.default_rng([7, seed])
    state, _ = open_world().reset(seed=seed)
    start = state["observation"][3:5].copy()
    vx, vy = launch(*(state["desired_goal"][:2] - start))
    angle, speed = atan2(vy, vx), hypot(vx, vy)
    wide, edge = 1.25 * pushing.FLAT, 0.75 * pushing.FLAT
    if abs(angle) > wide if flat else abs(angle) < edge:
        return None
    angle, size, side = guess(table, flat, angle, speed)
    broad, long = SPREAD[min(number, 1)]
    angle += broad * rng.standard_normal()
    size *= 1 + long * rng.standard_normal()
    size = min(max(size, 0.1), 1 / max(abs(cos(angle)), abs(sin(angle))))
    act, began = SlideExpert(strike=(angle, size, side))(None), -1
    far, gone = np.array([9.0, 9.0, 0.0]), []
    for t in range(50):
        action = np.float32(act(np.float32(state["observation"]), far))
        if act.phase == "strike" and began < 0:
            began = t
        gone.append(state["observation"] if act.phase == "rest" else None)
        state = open_world().step(action)[0]
    end = state["observation"]
    free = [o for o in gone if o is not None][2:3] or [end]
    glide = end[3:5] - free[0][3:5]
    speeds = (measure(free[0]), measure(end))
    row = (flat, number, seed, angle, size, side, *(end[3:5] - start), end[5])
    slid = (flat, seed, *speeds[0], *glide, end[5], hypot(*speeds[1]))
    return (*row, began), slid


def measure(observation):
    """Return the puck's velocity (2,), m/s."""
    return pushing.measure(observation)[2]


def regress(features, wanted, ridge=1e-5, rounds=15):
    """Return coefficients by least squares that mind outliers little."""
    weight = np.ones(len(wanted))
    eye = ridge * len(wanted) * np.eye(features.shape[1])
    for _ in range(rounds):
        heavy = (features * weight[:, None]).T
        found = np.linalg.solve(heavy @ features + eye, heavy @ wanted)
        miss = np.abs(features @ found - wanted)
        weight = 1 / (1 + (miss / (2.8 * np.median(miss))) ** 2)
    return found


def fit_map(rows, flat):
    """Return (turn, size) coefficients of strikes that stayed on the table.

    Args:
        rows: as in results/strikes.csv, both kinds.
        flat: which kind to fit.
    """
    kept = [r for r in rows if r[0] == flat and r[8] > 0.4 and r[9] >= 0]
    kept = np.array(kept, float)
    away = np.array([launch(x, y) for x, y in kept[:, 6:8]])
    angle, speed = np.arctan2(away[:, 1], away[:, 0]), np.hypot(*away.T)
    turn = (kept[:, 3] - angle + pi) % (2 * pi) - pi
    good = (np.abs(turn) < (1.0 if flat else 0.5)) & (speed > 0.15)
    pairs = [strike_features(*p) for p in zip(angle, speed, kept[:, 5])]
    one, two = (np.array(f)[good] for f in zip(*pairs))
    wanted = turn[good], kept[good, 4]
    table = regress(one, wanted[0]), regress(two, wanted[1])
    off = np.abs(one @ table[0] - wanted[0])
    part = np.abs(two @ table[1] / wanted[1] - 1)
    print(
        f"{'flat' if flat else 'corner'}: {good.sum()} strikes, median error "
        f"{np.degrees(np.median(off)):.1f} degrees, "
        f"{100 * np.median(part):.1f} % of size",
        flush=True,
    )
    return table


def fit_glide(rows):
    """Return (BRAKE, DRAG) by least squares on sums and differences.

    Args:
        rows: as in results/glides.csv.
    """
    kept = np.array([r for r in rows if r[6] > 0.4 and r[7] < 0.03], float)
    v, way = (np.sort(np.abs(kept[:, k : k + 2])) for k in (2, 4))
    v, way = (np.r_[x[:, 1] + x[:, 0], x[:, 1] - x[:, 0]] for x in (v, way))
    square, drag = np.linalg.lstsq(np.c_[v**2, v], way, rcond=None)[0]
    return 1 / (2 * square), drag


def make_some(pool, flat, number, count, seed, table):
    """Return the results of `count` strikes and the next unused seed."""
    made = []
    while len(made) < count:
        jobs = [(flat, number, seed + k, table) for k in range(20)]
        made += [pair for pair in pool.map(strike, jobs, chunksize=5) if pair]
        seed += 20
    return made[:count], seed


def make_rows(pool, flat, episodes, seed):
    """Make all strikes of a kind; return their rows."""
    rows, table = [], None
    for number, count in enumerate(episodes):
        made, seed = make_some(pool, flat, number, count, seed, table)
        rows += [row for row, _ in made]
        table = fit_map(rows, flat)
    return rows


def read_rows(path):
    """Return a stored table as tuples of numbers; none if there is none."""
    if not path.exists():
        return []
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    return [tuple(row) for row in table]


def write_rows(path, columns, rows):
    """Write a table of numbers as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[f"{x:.8g}" for x in row] for row in rows])
    write_atomic(path, text.getvalue())


def simulate(options):
    """Make what the options ask for and store it."""
    context, seed = get_context("spawn"), options.seed
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        if options.glides:
            rows = []
            for flat in (True, False):
                made, seed = make_some(
                    pool, flat, 0, options.glides, seed, None
                )
                rows += [slid for _, slid in made]
            write_rows(GLIDES, GLIDE_COLUMNS, rows)
            return
        for flat in (True, False):
            if options.kind in (None, "flat" if flat else "corner"):
                made = make_rows(pool, flat, options.episodes, seed)
                kept = [r for r in read_rows(STRIKES) if r[0] != flat]
                write_rows(STRIKES, COLUMNS, sorted(kept + made))


def main() -> None:
    """Make the strikes or read them, fit, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=("flat", "corner"))
    parser.add_argument("--episodes", type=int, nargs="+", default=[100, 150])
    parser.add_argument("--glides", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--fit-only", action="store_true")
    options = parser.parse_args()
    if not options.fit_only:
        simulate(options)
    if rows := read_rows(STRIKES):
        names = {}
        for flat, kind in ((True, "flat"), (False, "corner")):
            for part, table in zip(("turn", "size"), fit_map(rows, flat)):
                names[f"{kind}_{part}"] = [round(float(x), 6) for x in table]
        path = ROOT / "smore_lit" / "assets" / "FetchSlide" / "strikes.json"
        write_atomic(path, json.dumps(names, indent=1) + "\n")
    if rows := read_rows(GLIDES):
        brake, drag = fit_glide(rows)
        print(f"BRAKE = {brake:.3f}, DRAG = {drag:.4f}")


if __name__ == "__main__":
    main()
