r"""Plan with pictures of three sizes by every planner, for ten seeds.

    python benchmarks/pixel_study.py --out smore_lit/results/pixels.csv

The networks are those that travel with the package; a seed draws the actions
that a plan begins with and all noise of planning. All seeds of one planner
and size are planned at a time, `seconds` is the processor time of one of
them, on one thread. The other planners have as many steps or samples as take
about the time of SGP at that size. Rows that are there are not made again.
Constants were chosen on seeds 100 to 103.

    python benchmarks/pixel_study.py --variants \
        smore_lit/results/pixel_variants.csv

plans with SGP at 32 pixels and one thing changed, and

    python benchmarks/pixel_study.py --train

trains the networks and writes them to smore_lit/assets/pixels, in half
precision: about five minutes of processor time.
"""

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import torch

from smore_lit.planning import pixels
from smore_lit.planning.models import train_model
from smore_lit.running.checkpoints import save_checkpoint
from smore_lit.running.files import package_folder, read_table, write_rows

SEEDS = 10
PLANNERS = "sgp", "none", "ensemble", "cem", "mppi"
VARIANTS = (
    "as chosen",
    "model without noise",
    "asked at the plan",
    "large steps only",
    "begins with noise",
)


def plan_cell(side: int, planner: str, seeds: list[int]) -> list[dict]:
    """Return a row for each seed."""
    method = pixels.choose_method(side, planner)
    known = pixels.Pixels(side).learn(0, 3 if planner == "ensemble" else 1)
    found = pixels.plan_pictures(known, method, seeds)
    given = {"pixels": side, "planner": planner, "beta": method.beta}
    return [
        given | describe(came, seed)
        for seed, came in zip(seeds, found, strict=True)
    ]


def describe(came, seed: int) -> dict:
    """Return what came of one plan."""
    end = pixels.decode(came.real[-1]) - torch.tensor(pixels.GOAL)
    dreamt = pixels.decode(came.planned[-1]) - torch.tensor(pixels.GOAL)
    return {
        "seed": seed,
        "variables": came.actions.numel(),
        "missed": float(end.norm()),
        "planned": float(dreamt.norm()),
        "model_cost": came.model_cost,
        "true_cost": came.true_cost,
        "outside": came.outside,
        "success": int(came.success),
        "seconds": came.seconds,
    }


class Plain(pixels.PixelPlanner):
    """Ask the score at the plan itself."""

    def guide(self, points, scale):
        """Return the score at points (B, T, k)."""
        return super(pixels.PixelPlanner, self).guide(points, scale)


def plan_variant(name: str, seeds: list[int]) -> list[dict]:
    """Return a row for each seed, SGP at 32 pixels with one thing changed."""
    method, task = pixels.choose_method(32), pixels.Pixels(32)
    known, extra = task.learn(0), {}
    if name == "asked at the plan":
        known = Plain(known.model, known.score, known.points)
    if name == "large steps only":
        extra["calm"] = False
    if name == "begins with noise":
        dice = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = [torch.randn(15, 1024, generator=g) for g in dice]
        middle, spread = known.score.middle[0], known.score.spread[0]
        extra["begin"] = middle + spread * torch.stack(noise)
    if name == "model without noise":
        steps = pixels.record_pixels(32, task.count, 0)
        settings = dataclasses.asdict(pixels.MODEL)
        known.model = train_model(
            *steps,
            settings=settings,
            network=pixels.PixelModel,
            updates=2 * task.updates,
            seeds=1,
        )
    found = pixels.plan_pictures(known, method, seeds, **extra)
    return [
        {"variant": name} | describe(came, seed)
        for seed, came in zip(seeds, found, strict=True)
    ]


def train(sides) -> None:
    """Train and write the networks of some sizes."""
    place = package_folder() / "assets" / "pixels"
    place.mkdir(exist_ok=True)
    for side in sides:
        began, task = time.process_time(), pixels.Pixels(side)
        known = task.learn(0, members=3, updates=task.updates)
        for what in ("model", "score"):
            network = getattr(known, what)
            held = {k: v.half() for k, v in network.state_dict().items()}
            said = {"what": f"{what} of pixels", "side": side, "seed": 0}
            said |= {"updates": task.updates, "count": task.count}
            path = place / f"{what}-{side}.pt"
            save_checkpoint(path, {"network": held}, said)
        print(side, round(time.process_time() - began), "s", flush=True)


def fill(path: Path, columns, cells, plan) -> None:
    """Add the rows that are missing in a file."""
    rows = read_table(path) if path.exists() else []
    for cell in cells:
        there = {
            int(row["seed"])
            for row in rows
            if tuple(row[c] for c in columns) == tuple(map(str, cell))
        }
        missing = [seed for seed in range(SEEDS) if seed not in there]
        if missing:
            rows += [
                {column: str(value) for column, value in row.items()}
                for row in plan(*cell, missing)
            ]
            write_rows(path, rows)
            print(*cell, rows[-1], flush=True)


def main() -> None:
    """Add the rows that are missing, or train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", metavar="CSV", type=Path)
    parser.add_argument("--variants", metavar="CSV", type=Path)
    parser.add_argument("--train", nargs="*", type=int, metavar="PIXELS")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train is not None:
        train(options.train or pixels.SIDES)
    if options.out is not None:
        cells = itertools.product((32, 16, 8), PLANNERS)
        fill(options.out, ("pixels", "planner"), cells, plan_cell)
    if options.variants is not None:
        cells = ((name,) for name in VARIANTS)
        fill(options.variants, ("variant",), cells, plan_variant)


if __name__ == "__main__":
    main()
