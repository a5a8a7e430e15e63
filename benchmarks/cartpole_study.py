r"""Plan the swing-up with every planner, for seeds that chose no constant.

    python benchmarks/cartpole_study.py --out smore_lit/results/cartpole.csv
    python benchmarks/cartpole_study.py --variants \
        smore_lit/results/cartpole_variants.csv

Each seed draws its own data and weights. A row is added as soon as it is
there, and rows that are there are not made again. Constants were chosen on
other seeds. `problem` says how well the model is fitted, or that the box is
wide; `budget` says how much a search without gradients may do: as much
processor time as the gradient takes (wall), or as many predictions of the
model (calls). Planning without a charge has one model, and a row with the mean
of all three (members). The second command changes one thing of SGP at a time:
how the scale falls, or the network of the score.
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

import torch

from smore_lit.planning.cartpole import (
    CLOSE,
    SCORE,
    WIDE,
    CartPole,
    record_cartpole,
)
from smore_lit.planning.models import first_member
from smore_lit.planning.score_matching import train_score
from smore_lit.planning.search import Search
from smore_lit.planning.verification import score_error
from smore_lit.running.files import read_table, write_rows

FIRST, SEEDS = 1_000, 10
BUDGETS = {"wall": (100, 128, 12), "calls": (10, 30, 5)}
PROBLEMS = {
    "loose": CartPole(),
    "close": CartPole(model=CLOSE),
    "wide": CartPole(box=WIDE),
}

SCHEDULES = {
    "one large scale": {"smallest": 1.0},
    "one small scale": {"largest": 0.4},
    "two scales": {"levels": 2},
}
NETWORKS = {
    "2 x 32": {"hidden": (32, 32)},
    "3 x 128": {"hidden": (128,) * 3},
    "no waves": {"waves": 0},
    "six waves": {"waves": 6},
}


def list_methods():
    """Yield problem, budget and method, the most telling ones first."""
    base = CartPole().method

    def method(planner, beta, penalty="distance", budget="wall"):
        search = Search(*BUDGETS[budget], 0.1)
        changes = dict(planner=planner, beta=beta, penalty=penalty)
        return dataclasses.replace(base, search=search, **changes)

    rivals = ("none", 0.0), ("sgp", 0.1), ("ensemble", 10.0)
    for each in rivals:
        yield "loose", "", method(*each)
    yield "loose", "members", method("none", 0.0)
    for each in rivals[:2]:
        yield "close", "", method(*each)
    for budget in BUDGETS:
        for planner in ("cem", "mppi"):
            for penalty, beta in (("distance", 0.1), ("ensemble", 10.0)):
                given = planner, beta, penalty, budget
                yield "loose", budget, method(*given)
    for beta in (0.03, 0.3):
        yield "loose", "", method("sgp", beta)
    for each in rivals[:2]:
        yield "wide", "", method(*each)


def choose(planner, method, budget=""):
    """Return what a method plans with: all members, or the first."""
    if "ensemble" in (method.planner, method.penalty) or budget == "members":
        return planner
    return dataclasses.replace(planner, model=first_member(planner.model))


def plan_variants(runs: str, out: Path) -> None:
    """Add the rows of SGP with one thing changed."""
    rows = read_table(out) if out.exists() else []
    have = {(row["variant"], int(row["seed"])) for row in rows}
    problem = PROBLEMS["loose"]
    names = ("as chosen", *SCHEDULES, *NETWORKS)
    for name, seed in itertools.product(names, range(FIRST, FIRST + SEEDS)):
        if (name, seed) in have:
            continue
        learned = problem.learn(seed, 3, out=f"{runs}/cartpole-loose-{seed}")
        method = problem.method
        known = record_cartpole(problem.box, problem.count, seed)
        points = torch.cat(known[:2], dim=1)
        if name in SCHEDULES:
            descent = dataclasses.replace(method.descent, **SCHEDULES[name])
            method = dataclasses.replace(method, descent=descent)
        if name in NETWORKS:
            learned.score = train_score(
                points,
                settings=SCORE | NETWORKS[name],
                seeds=1,
                seed=seed,
                updates=problem.updates,
            )
        (came,) = problem.attempt(choose(learned, method), method, seed)
        errors = compare_score(learned.score, points, seed)
        rows.append(
            {"variant": name, "seed": seed}
            | describe(came)
            | {f"error_{row['scale']}": row["error"] for row in errors}
        )
        write_rows(out, rows)
        print(rows[-1], flush=True)


def describe(came) -> dict:
    """Return what came of a plan."""
    return {
        "model_cost": came.model_cost,
        "true_cost": came.true_cost,
        "outside": came.outside,
        "success": int(came.success),
        "seconds": came.seconds,
    }


def write_paths(problem, runs: str, out: Path) -> None:
    """Write the paths of the first seed, as planned and as they came."""
    planner = problem.learn(FIRST, 3, out=f"{runs}/cartpole-loose-{FIRST}")
    rows = []
    for name, beta in (("none", 0.0), ("sgp", 0.1)):
        method = dataclasses.replace(problem.method, planner=name, beta=beta)
        (came,) = problem.attempt(choose(planner, method), method, FIRST)
        for kind in ("planned", "real"):
            for step, state in enumerate(getattr(came, kind).tolist()):
                numbers = zip(("p", "theta", "speed", "turn"), state)
                named = {key: round(value, 4) for key, value in numbers}
                row = {"planner": name, "kind": kind, "step": step}
                rows.append(row | named)
    write_rows(out, rows)


def write_errors(runs: str, out: Path) -> None:
    """Write the errors of the networks of all seeds.

    Of the models on fresh transitions; of the score, by Eq. (score-error), at
    400 noisy points against the exact score of all recorded ones.
    """
    rows = []
    for name, members in (("loose", 3), ("close", 1)):
        problem = PROBLEMS[name]
        x, u, after = record_cartpole(problem.box, 20_000, seed=999)
        for seed in range(FIRST, FIRST + SEEDS):
            folder = f"{runs}/cartpole-{name}-{seed}"
            planner = problem.learn(seed, members, out=folder)
            model, score = planner.model, planner.score
            missed = (model(x, u)[0] - after) / model.reach
            error = float(missed.square().mean().sqrt())
            row = {"network": name, "seed": seed, "scale": ""}
            rows.append(row | {"error": error})
            if name == "loose":
                known = record_cartpole(problem.box, problem.count, seed)
                points = torch.cat(known[:2], dim=1)
                rows += compare_score(score, points, seed)
    write_rows(out, rows)


def compare_score(score, points: torch.Tensor, seed: int) -> list[dict]:
    """Return the error of a score (one network) at four scales."""
    dice = torch.Generator().manual_seed(seed)
    return [
        {
            "network": "score",
            "seed": seed,
            "scale": scale,
            "error": score_error(score, points, scale, dice, 400),
        }
        for scale in (1.0, 0.63, 0.5, 0.4)
    ]


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", metavar="CSV", type=Path)
    add("--variants", metavar="CSV", type=Path)
    add("--runs", default="runs/plans", metavar="DIR", help="of networks")
    add("--errors", metavar="CSV", type=Path, help="of the networks")
    add("--paths", metavar="CSV", type=Path, help="of the first seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.errors:
        write_errors(options.runs, options.errors)
    if options.paths:
        write_paths(PROBLEMS["loose"], options.runs, options.paths)
    if options.variants:
        plan_variants(options.runs, options.variants)
    if options.out:
        plan_all(options.runs, options.out)


def plan_all(runs: str, out: Path) -> None:
    """Add the rows of all planners that are missing."""
    rows = read_table(out) if out.exists() else []
    for name, budget, method in list_methods():
        problem, members = PROBLEMS[name], 3 if name == "loose" else 1
        for seed in range(FIRST, FIRST + SEEDS):
            known = {
                "problem": name,
                "seed": str(seed),
                "planner": method.planner,
                "beta": str(method.beta),
                "penalty": method.penalty if budget in BUDGETS else "",
                "budget": budget,
            }
            if any(known.items() <= row.items() for row in rows):
                continue
            folder = f"{runs}/cartpole-{name}-{seed}"
            planner = problem.learn(seed, members, out=folder)
            chosen = choose(planner, method, budget)
            (came,) = problem.attempt(chosen, method, seed)
            rows.append(known | describe(came))
            write_rows(out, rows)
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
