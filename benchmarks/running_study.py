"""Drive a robot by every planner, and by policies learned from its data.

    python benchmarks/running_study.py --trial
    python benchmarks/running_study.py [--quality medium] [--seeds 5]
    python benchmarks/running_study.py --peer FILE

Each takes --robot halfcheetah (the default) or hopper.
The first tries constants for 300 steps on seed 0 (running_trials.csv). The
second learns from 100 recorded episodes a seed and drives ten robots for
1,000 steps with each planner (running.csv); with --export DIR it also writes
what it recorded for the third, which trains cloning and IQL of d3rlpy for
20,000 updates and drives the same robots. That one needs d3rlpy, gymnasium
with mujoco, and no smore_lit. Rows that are there are not made again; one
process, one thread, about twenty minutes a seed.
"""

import argparse
import csv
import dataclasses
import time
from functools import partial
from pathlib import Path

import numpy as np

ROBOTS, STEPS, FIRST_SEED = 10, 1_000, 10
WORLDS = {  # of the peer: column of the velocity, effort, pay for standing
    "halfcheetah": ("HalfCheetah-v5", 8, 0.1, 0.0),
    "hopper": ("Hopper-v5", 5, 1e-3, 1.0),
}
RESULTS = Path(__file__).parents[1] / "smore_lit" / "results"
TRIALS: dict = {  # planner, beta, length
    ("halfcheetah", "medium"): (
        ("none", 0.0, 3),
        *(("sgp", beta, 3) for beta in (0.3, 1.0, 3.0, 10.0)),
        *(("sgp", 3.0, length) for length in (2, 4, 5, 8)),
        *(("sgp", beta, 8) for beta in (1.0, 10.0)),
        *(("ensemble", beta, 8) for beta in (0.1, 1.0, 10.0, 100.0)),
        *(("cem", beta, 8) for beta in (0.03, 0.3, 3.0, 30.0)),
        *(("mppi", beta, 8) for beta in (0.03, 0.3, 3.0, 30.0)),
        ("sgp, one model", 3.0, 8),
    ),
    ("halfcheetah", "random"): (
        *(("sgp", beta, 8) for beta in (0.01, 0.1, 0.3, 1.0)),
        *(("ensemble", beta, 8) for beta in (1.0, 10.0, 100.0)),
    ),
    ("hopper", "medium"): (
        ("none", 0.0, 16),
        *(("sgp", 1.0, length) for length in (8, 16)),
        *(("sgp", beta, 8) for beta in (0.3, 3.0, 10.0)),
        *(("ensemble", beta, 8) for beta in (1.0, 10.0, 100.0, 1_000.0)),
    ),
}
FINAL = {
    ("halfcheetah", "medium"): (
        ("sgp", 1.0, 8),
        ("none", 0.0, 8),
        ("ensemble", 10.0, 8),
        ("cem", 30.0, 8),
        ("mppi", 3.0, 8),
    ),
    ("halfcheetah", "random"): (
        ("sgp", 0.1, 8),
        ("none", 0.0, 8),
        ("ensemble", 1.0, 8),
    ),
    ("hopper", "medium"): (
        ("sgp", 3.0, 8),
        ("none", 0.0, 8),
        ("ensemble", 100.0, 8),
    ),
}


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a table; none if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path, rows: list[dict]) -> None:
    """Write a table with more rows than before."""
    rows = read_rows(path) + rows
    part = path.with_suffix(".part")
    with open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def describe(key: dict, rewards, velocity, standing, ms: float) -> list[dict]:
    """Return one row a robot; the arrays are (steps, B)."""
    speed = np.where(standing, velocity, np.nan)
    return [
        key
        | {
            "robot": b,
            "return": round(float(rewards[:, b].sum()), 2),
            "steps": int(standing[:, b].sum()),
            "velocity": round(float(np.nanmean(speed[:, b])), 3),
            "ms": round(ms, 2),
        }
        for b in range(rewards.shape[1])
    ]


def describe_run(key: dict, run) -> list[dict]:
    """Return one row for each robot of a run."""
    from smore_lit.planning.running import GAITS

    speed = run.states[1:, :, GAITS[run.robot].column]
    parts = run.rewards, speed, ~run.fallen[:-1]
    ms = 1e3 * run.seconds / len(speed)
    return describe(key, *(part.numpy() for part in parts), ms)


def as_run(robot: str, made: dict):
    """Return recorded episodes as a run."""
    import torch

    from smore_lit.planning.running import Run

    x, u = (
        torch.from_numpy(made[name]).transpose(0, 1)
        for name in ("observations", "actions")
    )
    lengths = torch.from_numpy(made["lengths"])
    behind = torch.arange(len(x))[:, None] >= lengths
    return Run(robot, x, u, behind & (lengths < len(u)), x, x, 0.0)


def export(made: dict, path: Path) -> None:
    """Write recorded episodes as transitions for the peer."""
    from smore_lit.planning.offline import list_transitions

    path.parent.mkdir(parents=True, exist_ok=True)
    named = zip(("states", "actions", "after"), list_transitions(made))
    rows = {name: part.numpy() for name, part in named}
    np.savez(path, lengths=made["lengths"], **rows)


def plan_all(options) -> None:
    """Learn from recorded gaits, and drive with every planner."""
    import torch

    from smore_lit.planning import running
    from smore_lit.planning.models import first_member
    from smore_lit.planning.offline import Replanner

    torch.set_num_threads(1)
    trial, robot, quality = options.trial, options.robot, options.quality
    where = options.out or RESULTS / f"running{'_trials' * trial}.csv"
    chosen = TRIALS[robot, quality] if trial else FINAL[robot, quality]
    steps = 300 if trial else STEPS
    problem = running.Running(robot=robot, quality=quality)
    first = 0 if trial else options.first
    for seed in range(first, first + (1 if trial else options.seeds)):
        key = {"world": robot, "quality": quality, "seed": seed}
        done = {
            (row["method"], float(row["beta"]), int(row["length"]))
            for row in read_rows(where)
            if all(row[name] == str(value) for name, value in key.items())
        }
        if done >= set(chosen):
            continue
        made = running.record_runs(quality, problem.episodes, seed, robot)
        if not trial and ("recorded", 0.0, 0) not in done:
            told = {"method": "recorded", "beta": 0.0, "length": 0}
            add_rows(where, describe_run(key | told, as_run(robot, made)))
        if options.export:
            name = f"{robot}-{quality}-{seed}.npz"
            export(made, options.export / name)
        folder = options.runs / f"{robot}-{quality}-{seed}"
        several = problem.learn(seed, out=folder)
        alone = dataclasses.replace(several, model=first_member(several.model))
        for planner, beta, length in chosen:
            if (planner, beta, length) in done:
                continue
            name, _, single = planner.partition(", ")
            known = alone if single else several
            method = dataclasses.replace(
                problem.method, planner=name, beta=beta
            )
            cost = partial(running.running_cost, robot=robot)
            act = Replanner(known, cost, method, length, running.FIRST)
            starts = [1_000 * seed + k for k in range(ROBOTS)]
            run = running.drive(act, starts, steps, robot)
            told = {"method": planner, "beta": beta, "length": length}
            rows = describe_run(key | told, run)
            add_rows(where, rows)
            found = [row["return"] for row in rows]
            print(key, told, np.round(found), rows[0]["ms"], flush=True)


def learn_policies(options) -> None:
    """Train d3rlpy's cloning and IQL on exported data, and drive."""
    import d3rlpy
    import gymnasium
    import torch

    torch.set_num_threads(1)
    robot, quality, number = options.peer.stem.split("-")
    world, speed, effort, alive = WORLDS[robot]
    seed = int(number)
    where = options.out or RESULTS / "running.csv"
    given = np.load(options.peer)
    rewards = given["after"][:, speed] + alive
    rewards = rewards - effort * (given["actions"] ** 2).sum(axis=1)
    last = given["lengths"].cumsum() - 1
    ends, falls = np.zeros((2, len(rewards)), dtype=bool)
    ends[last] = True
    falls[last] = given["lengths"] < STEPS
    rewards = rewards - alive * falls
    dataset = d3rlpy.dataset.MDPDataset(
        given["states"],
        given["actions"],
        rewards,
        falls,
        ends & ~falls,
    )
    scaled = {
        "observation_scaler": d3rlpy.preprocessing.StandardObservationScaler(),
        "batch_size": 256,
    }
    for name, config in (
        ("cloning", d3rlpy.algos.BCConfig(**scaled)),
        ("iql", d3rlpy.algos.IQLConfig(
            reward_scaler=d3rlpy.preprocessing.ReturnBasedRewardScaler(
                multiplier=1_000.0
            ),
            **scaled,
        )),
    ):  # fmt: skip
        key = {"world": robot, "quality": quality, "seed": seed}
        key |= {"method": name, "beta": 0.0, "length": 0}
        have = read_rows(where)
        if any(all(r[k] == str(v) for k, v in key.items()) for r in have):
            continue
        d3rlpy.seed(seed)
        agent = config.create(device=False)
        agent.fit(
            dataset,
            options.updates,
            options.updates,
            show_progress=False,
            logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
        )
        envs = [gymnasium.make(world) for _ in range(ROBOTS)]
        seen, paid, speeds, standing, spent = [], [], [], [], 0.0
        for k, env in enumerate(envs):
            draw = np.random.default_rng(1_000 * seed + k).integers(2**31)
            seen.append(env.reset(seed=int(draw))[0])
        over = np.zeros(ROBOTS, dtype=bool)
        for _ in range(STEPS):
            began = time.process_time()
            taken = agent.predict(np.array(seen, dtype=np.float32))
            spent += time.process_time() - began
            taken = np.clip(taken, -1, 1)
            standing.append(~over)
            over = over.copy()
            for k in np.flatnonzero(~over):
                seen[k], _, over[k], _, _ = envs[k].step(taken[k])
            speeds.append([each[speed] for each in seen])
            reward = speeds[-1] - effort * (taken**2).sum(axis=1)
            paid.append((reward + alive * ~over) * standing[-1])
        parts = np.array(paid), np.array(speeds), np.array(standing)
        rows = describe(key, *parts, 1e3 * spent / STEPS)
        add_rows(where, rows)
        print(key, [round(row["return"]) for row in rows], flush=True)


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("--trial", action="store_true")
    option("--robot", default="halfcheetah", choices=tuple(WORLDS))
    option("--quality", default="medium", choices=("medium", "random"))
    option("--seeds", type=int, default=2)
    option("--first", type=int, default=FIRST_SEED)
    option("--runs", type=Path, default="runs/running", metavar="DIR")
    option("--export", type=Path, metavar="DIR")
    option("--peer", type=Path, metavar="FILE")
    option("--updates", type=int, default=20_000, help="of the peer")
    option("--out", type=Path)
    options = parser.parse_args()
    (learn_policies if options.peer else plan_all)(options)


if __name__ == "__main__":
    main()
