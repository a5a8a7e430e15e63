"""Plan the swing-up with every planner, for seeds that chose no constant.

    python benchmarks/cartpole_study.py --out smore_lit/results/cartpole.csv

Each seed draws its own data and weights. A row is added as soon as it is
there, and rows that are there are not made again. Constants were chosen on
other seeds. `problem` says how well the model is fitted, or that the box is
wide; `budget` says how much a search without gradients may do: as much
processor time as the gradient takes (wall), or as many predictions of the
model (calls).
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from smore_lit.planning.cartpole import CLOSE, WIDE, CartPole, record_cartpole
from smore_lit.planning.models import first_member
from smore_lit.planning.search import Search
from smore_lit.running.files import read_table, write_rows

FIRST, SEEDS = 1_000, 10
BUDGETS = {"wall": (100, 128, 12), "calls": (10, 30, 5)}
PROBLEMS = {
    "loose": CartPole(),
    "close": CartPole(model=CLOSE),
    "wide": CartPole(box=WIDE),
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


def choose(planner, method):
    """Return what a method plans with: all members, or the first."""
    if "ensemble" in (method.planner, method.penalty):
        return planner
    return dataclasses.replace(planner, model=first_member(planner.model))


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
    clean = (points - score.middle) / score.spread
    generator, rows = torch.Generator().manual_seed(seed), []
    for scale in (1.0, 0.63, 0.5, 0.4):
        chosen = torch.randint(len(clean), (400,), generator=generator)
        noise = torch.randn(400, clean.shape[1], generator=generator)
        noisy = clean[chosen] + scale * noise
        near = -torch.cdist(noisy.double(), clean.double()).square() / 2
        weights = (near / scale**2).softmax(dim=-1)
        due = (weights @ clean.double() - noisy) / scale**2
        found = score((noisy * score.spread + score.middle)[None], scale)[0]
        missed = found * score.spread - due
        error = float((missed.square().sum() / due.square().sum()).sqrt())
        row = {"network": "score", "seed": seed, "scale": scale}
        rows.append(row | {"error": error})
    return rows


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", required=True, metavar="CSV", type=Path)
    add("--runs", default="runs/plans", metavar="DIR", help="of networks")
    add("--errors", metavar="CSV", type=Path, help="of the networks")
    add("--paths", metavar="CSV", type=Path, help="of the first seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.errors:
        write_errors(options.runs, options.errors)
    if options.paths:
        write_paths(PROBLEMS["loose"], options.runs, options.paths)
    rows = read_table(options.out) if options.out.exists() else []
    for name, budget, method in list_methods():
        problem, members = PROBLEMS[name], 3 if name == "loose" else 1
        for seed in range(FIRST, FIRST + SEEDS):
            known = {
                "problem": name,
                "seed": str(seed),
                "planner": method.planner,
                "beta": str(method.beta),
                "penalty": method.penalty if budget else "",
                "budget": budget,
            }
            if any(known.items() <= row.items() for row in rows):
                continue
            folder = f"{options.runs}/cartpole-{name}-{seed}"
            planner = problem.learn(seed, members, out=folder)
            chosen = choose(planner, method)
            (came,) = problem.attempt(chosen, method, seed)
            rows.append(
                known
                | {
                    "model_cost": came.model_cost,
                    "true_cost": came.true_cost,
                    "outside": came.outside,
                    "success": int(came.success),
                    "seconds": came.seconds,
                }
            )
            write_rows(options.out, rows)
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
