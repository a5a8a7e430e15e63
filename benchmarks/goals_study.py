"""Reach goals by planning and by learned policies, from the same data.

    python benchmarks/goals_study.py [--seeds 5] [--first 10] [--out FILE]

For each task, number of episodes and number of distractors (columns of noise
behind the observation): learns policies, models and scores, plays 50 episodes
with each, and adds one row a seed to results/goals.csv. Rows that are there
are not made again. One process, one thread; about two hours in all.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch

import smore_lit
from smore_lit.learning.trajectories import Trajectories, as_trajectories
from smore_lit.planning.goals import GoalPlanner, learned_value
from smore_lit.planning.models import first_member
from smore_lit.planning.offline import Method, fit_planner, list_transitions
from smore_lit.planning.planners import Descent
from smore_lit.running.files import read_table, results_folder, write_rows

GROUPS = (  # task, episodes, distractors
    ("FetchReach", 20, 0),
    ("FetchReach", 200, 0),
    ("PointRooms", 2000, 0),
    ("FetchReach", 200, 128),
    ("FetchReach", 200, 32),
    ("FetchReach", 2000, 0),
)
POLICIES = ("smore", "iql", "gcsl")
UPDATES, EPISODES = 3_000, 50
DESCENT = Descent(10, 0.1, largest=0.3, smallest=0.1, levels=3)
PLANNERS = {  # planner, weight, whose value
    "none": ("none", 0.0, ""),
    "sgp": ("sgp", 0.1, ""),
    "ensemble": ("ensemble", 0.1, ""),
    "none, M": ("none", 0.0, "smore"),
    "sgp, M": ("sgp", 0.1, "smore"),
}


def choose(known: Trajectories, count: int, seed: int) -> Trajectories:
    """Return `count` episodes, a tenth of them of the expert, who is first."""
    total, rng = len(known.actions), np.random.default_rng(seed)
    if count == total:
        return known
    expert = total // 10
    rows = np.concatenate(
        (
            rng.choice(expert, count // 10, replace=False),
            expert
            + rng.choice(total - expert, count - count // 10, replace=False),
        )
    )
    fields = {
        field.name: getattr(known, field.name)[rows]
        for field in dataclasses.fields(known)
    }
    return Trajectories(**fields)


def with_noise(array: np.ndarray, count: int, rng) -> np.ndarray:
    """Return observations (..., O + count), the last columns noise."""
    noise = rng.standard_normal((*array.shape[:-1], count))
    return np.concatenate((array, noise), axis=-1).astype(np.float32)


def play(task, act, seed: int, distractors: int = 0) -> tuple[dict, float]:
    """Return mean scores of a policy and the processor time of a step."""
    rng, spent = np.random.default_rng([seed, 7]), []

    def timed(observations, goals):
        seen, start = with_noise(observations, distractors, rng), time.time()
        action = act(seen, goals)
        spent.append(time.time() - start)
        return action

    scores = smore_lit.evaluate(task, timed, [seed], EPISODES, 1, workers=0)
    return {k: float(v.mean()) for k, v in scores.items()}, np.median(spent)


def run_group(key, seeds, data, folder: Path, done: set, add) -> None:
    """Learn and play what is missing of a group."""
    name, count, extra = key
    task, policies = smore_lit.load_task(name), {}
    for seed in seeds:
        missing = {m for m in (*POLICIES, *PLANNERS) if (seed, m) not in done}
        if extra:
            missing &= {"none", "sgp", "ensemble"}
        if not missing:
            continue
        known = choose(data, count, seed)
        place = folder / f"{name}-{count}-{extra}-{seed}"
        for algorithm in POLICIES if not extra else ():
            start = time.process_time()
            run = smore_lit.train(
                known, algorithm, task, out=place / algorithm, workers=0,
                device="cpu", settings={"batch_size": 256}, updates=UPDATES,
                seed=seed, seeds=1, eval_episodes=1, eval_every=UPDATES,
            )  # fmt: skip
            policies[algorithm] = run.policy
            took = time.process_time() - start
            if algorithm in missing:
                scores, step = play(task, run.policy, seed)
                add(key, seed, algorithm, took, step, scores)
        x, u, after = list_transitions(known)
        rng = np.random.default_rng([seed, 8])
        x, after = (
            torch.from_numpy(with_noise(part.numpy(), extra, rng))
            for part in (x, after)
        )
        start = time.process_time()
        fitted = fit_planner(
            x, u, after, out=place, members=3, updates=UPDATES, seed=seed,
            model={"hidden": (128, 128), "batch_size": 256},
            score={"batch_size": 256, "smallest": 0.1},
        )  # fmt: skip
        took = time.process_time() - start
        alone = dataclasses.replace(fitted, model=first_member(fitted.model))
        for label in [m for m in PLANNERS if m in missing]:
            planner, beta, whose = PLANNERS[label]
            act = GoalPlanner(
                fitted if planner == "ensemble" else alone,
                task,
                Method(planner, beta, descent=DESCENT),
                learned_value(policies[whose]) if whose else None,
            )
            add(key, seed, label, took, *play(task, act, seed, extra)[::-1])


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("--seeds", type=int, default=5)
    option("--first", type=int, default=10)
    option("--data", type=Path, default="data", metavar="DIR")
    option("--runs", type=Path, default="runs/goals", metavar="DIR")
    option("--out", type=Path, default=results_folder() / "goals.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_table(options.out) if options.out.exists() else []

    def add(key, seed, method, fit, step, scores):
        name, count, extra = key
        row = {
            "task": name, "episodes": count, "distractors": extra,
            "seed": seed, "method": method, "fit_seconds": round(fit, 2),
            "step_seconds": round(step, 5),
        }  # fmt: skip
        rows.append(row | {k: round(v, 4) for k, v in scores.items()})
        write_rows(options.out, rows)
        print(key, seed, method, rows[-1]["return_099"], flush=True)

    for key in GROUPS:
        data = as_trajectories(options.data / key[0] / "cpu-10.json")
        done = {
            (int(row["seed"]), row["method"])
            for row in rows
            if (row["task"], int(row["episodes"]), int(row["distractors"]))
            == key
        }
        seeds = range(options.first, options.first + options.seeds)
        run_group(key, seeds, data, options.runs, done, add)


if __name__ == "__main__":
    main()
