"""Drive a cheetah by every planner, and by policies learned from its data.

    python benchmarks/running_study.py --trial
    python benchmarks/running_study.py [--quality medium] [--seeds 5]
    python benchmarks/running_study.py --peer FILE --seed 10

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
from pathlib import Path

import numpy as np

ROBOTS, STEPS, FIRST_SEED = 10, 1_000, 10
RESULTS = Path(__file__).parents[1] / "smore_lit" / "results"
TRIALS = (  # planner, beta, length
    ("none", 0.0, 3),
    *(("sgp", beta, 3) for beta in (0.3, 1.0, 3.0, 10.0)),
    *(("sgp", 3.0, length) for length in (2, 4, 5, 8)),
    *(("sgp", beta, 8) for beta in (1.0, 10.0)),
    *(("ensemble", beta, 8) for beta in (0.1, 1.0, 10.0, 100.0)),
    *(("cem", beta, 8) for beta in (0.03, 0.3, 3.0, 30.0)),
    *(("mppi", beta, 8) for beta in (0.03, 0.3, 3.0, 30.0)),
    ("sgp, one model", 3.0, 8),
)
FINAL = {
    "medium": (
        ("sgp", 1.0, 8),
        ("none", 0.0, 8),
        ("ensemble", 10.0, 8),
        ("cem", 30.0, 8),
        ("mppi", 3.0, 8),
    ),
    "random": (("sgp", 1.0, 8), ("none", 0.0, 8), ("ensemble", 10.0, 8)),
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


def describe(key: dict, rewards, velocity, seconds: float) -> list[dict]:
    """Return one row a robot; rewards and velocity are (steps, B)."""
    return [
        key
        | {
            "robot": b,
            "return": round(float(rewards[:, b].sum()), 2),
            "velocity": round(float(velocity[:, b].mean()), 3),
            "last_velocity": round(float(velocity[-100:, b].mean()), 3),
            "ms": round(1e3 * seconds / len(rewards), 2),
        }
        for b in range(rewards.shape[1])
    ]


def plan_all(options) -> None:
    """Learn from recorded gaits, and drive with every planner."""
    import torch

    from smore_lit.planning import running
    from smore_lit.planning.models import first_member
    from smore_lit.planning.offline import Replanner

    torch.set_num_threads(1)
    trial = options.trial
    where = options.out or RESULTS / f"running{'_trials' * trial}.csv"
    chosen = TRIALS if trial else FINAL[options.quality]
    steps = 300 if trial else STEPS
    problem = running.Running(quality=options.quality)
    first = 0 if trial else options.first
    for seed in range(first, first + (1 if trial else options.seeds)):
        key = {"quality": options.quality, "seed": seed}
        done = {
            (row["method"], float(row["beta"]), int(row["length"]))
            for row in read_rows(where)
            if (row["quality"], int(row["seed"])) == tuple(key.values())
        }
        if done >= set(chosen):
            continue
        recorded = running.record_runs(options.quality, problem.episodes, seed)
        if not trial and ("recorded", 0.0, 0) not in done:
            x, u, after = (
                p.view(problem.episodes, STEPS, -1) for p in recorded
            )
            rewards = running.running_reward(after, u).T.numpy()
            speed = after[..., running.COLUMN].T.numpy()
            told = {"method": "recorded", "beta": 0.0, "length": 0}
            add_rows(where, describe(key | told, rewards, speed, 0.0))
        if options.export:
            options.export.mkdir(parents=True, exist_ok=True)
            named = zip(("states", "actions", "after"), recorded)
            np.savez(
                options.export / f"{options.quality}-{seed}.npz",
                **{name: part.numpy() for name, part in named},
            )
        folder = options.runs / f"{options.quality}-{seed}"
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
            act = Replanner(
                known, running.running_cost, method, length, running.FIRST
            )
            starts = [1_000 * seed + k for k in range(ROBOTS)]
            run = running.drive(act, starts, steps)
            told = {"method": planner, "beta": beta, "length": length}
            speed = run.states[1:, :, running.COLUMN].numpy()
            rows = describe(
                key | told, run.rewards.numpy(), speed, run.seconds
            )
            add_rows(where, rows)
            found = [row["return"] for row in rows]
            print(key, told, np.round(found), rows[0]["ms"], flush=True)


def learn_policies(options) -> None:
    """Train d3rlpy's cloning and IQL on exported data, and drive."""
    import d3rlpy
    import gymnasium
    import torch

    torch.set_num_threads(1)
    quality, seed = options.peer.stem.rsplit("-", 1)
    where = options.out or RESULTS / "running.csv"
    given, seed = np.load(options.peer), int(seed)
    count = len(given["states"])
    rewards = given["after"][:, 8] - 0.1 * (given["actions"] ** 2).sum(axis=1)
    ends = np.zeros(count, dtype=bool)
    ends[STEPS - 1 :: STEPS] = True
    dataset = d3rlpy.dataset.MDPDataset(
        given["states"],
        given["actions"],
        rewards,
        np.zeros(count),
        ends,
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
        key = {"quality": quality, "seed": seed}
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
        envs = [gymnasium.make("HalfCheetah-v5") for _ in range(ROBOTS)]
        seen = []
        for k, env in enumerate(envs):
            draw = np.random.default_rng(1_000 * seed + k).integers(2**31)
            seen.append(env.reset(seed=int(draw))[0])
        rewards, speeds, spent = [], [], 0.0
        for _ in range(STEPS):
            began = time.process_time()
            taken = agent.predict(np.array(seen, dtype=np.float32))
            spent += time.process_time() - began
            taken = np.clip(taken, -1, 1)
            seen = [env.step(a)[0] for env, a in zip(envs, taken)]
            speeds.append([each[8] for each in seen])
            rewards.append(speeds[-1] - 0.1 * (taken**2).sum(axis=1))
        rows = describe(key, np.array(rewards), np.array(speeds), spent)
        add_rows(where, rows)
        print(key, [round(row["return"]) for row in rows], flush=True)


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("--trial", action="store_true")
    option("--quality", default="medium", choices=tuple(FINAL))
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
