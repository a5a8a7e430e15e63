"""Train the runners of locomotion's data: CrossQ in the true worlds.

    python benchmarks/train_runners.py --robot ant --out DIR [--steps 600000]
    python benchmarks/train_runners.py --robot ant --out DIR
        --ship medium=25000 expert=300000

The first needs sbx-rl and no smore_lit. The reward of a step is that of
running, up to the target: target - |v - target|, with v the velocity that the
task measures, less the world's charge for effort (and plus the ant's for
being healthy). Every 25,000 steps the actor is written and tried in five
episodes. Asked again, it goes on from the last of these, in a new episode.
The second takes actors into the package, and the trials of all of them into
results/runners.csv.
"""

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)

ROBOTS = {
    "halfcheetah": ("HalfCheetah-v5", {}, 8, 11.0, 0.1, 0.0),
    "ant": (
        "Ant-v5",
        {"include_cfrc_ext_in_observation": False},
        13,
        5.0,
        0.5,
        1.0,
    ),
    "hopper": ("Hopper-v5", {}, 5, 10.0, 1e-3, 1.0),
}
EVERY, EPISODES = 25_000, 5


def make_world(robot: str):
    """Return the world with the reward of the recipe."""
    import gymnasium as gym
    import numpy as np

    name, options, index, target, effort, healthy = ROBOTS[robot]

    class Recipe(gym.Wrapper):
        def step(self, action):
            seen, _, ended, cut, told = self.env.step(action)
            reward = target - abs(seen[index] - target) + healthy
            reward -= effort * float(np.square(action).sum())
            return seen, reward, ended, cut, told

    return Recipe(gym.make(name, **options))


def try_actor(model, robot: str, steps: int) -> list[dict]:
    """Return what five episodes of the actor's mode come to."""
    index, target = ROBOTS[robot][2:4]
    world, rows = make_world(robot), []
    for seed in range(EPISODES):
        seen, _ = world.reset(seed=seed)
        speeds, total, over = [], 0.0, False
        while not over:
            action, _ = model.predict(seen, deterministic=True)
            seen, reward, ended, cut, _ = world.step(action)
            speeds.append(seen[index])
            total, over = total + reward, ended or cut
        near = sum(abs(v - target) < 0.5 for v in speeds)
        rows.append(
            {
                "robot": robot,
                "step": steps,
                "seed": seed,
                "length": len(speeds),
                "velocity": round(sum(speeds) / len(speeds), 4),
                "near": near,
                "return": round(total, 2),
            }
        )
    return rows


def write_actor(model, path: Path) -> None:
    """Write the actor's layers: weights (in, out) and biases."""
    import numpy as np

    layers = model.policy.actor_state.params
    arrays = {}
    for name, layer in sorted(layers.items()):
        if name.startswith("Dense"):
            arrays[f"{name}.weight"] = np.asarray(layer["kernel"])
            arrays[f"{name}.bias"] = np.asarray(layer["bias"])
    np.savez(path, **arrays)


def ship(robot: str, folder: Path, chosen: list[str]) -> None:
    """Take the actors "quality=step" and all trials into the package."""
    import numpy as np
    import torch

    from smore_lit.running.checkpoints import save_checkpoint
    from smore_lit.running.files import read_table, results_folder, write_rows
    from smore_lit.worlds.locomotion import runner_path

    for word in chosen:
        quality, _, step = word.partition("=")
        network = {}
        with np.load(folder / f"actor-{step}.npz") as held:
            for k, name in enumerate(("first", "second", "mean", "log_std")):
                for part in ("weight", "bias"):
                    values = torch.from_numpy(held[f"Dense_{k}.{part}"])
                    network[f"{name}.{part}"] = values.clone()
        told = {"robot": robot, "quality": quality, "step": int(step)}
        path = runner_path(robot, quality)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, {"network": network}, told)
    table = results_folder() / "runners.csv"
    rows = read_table(table) if table.exists() else []
    rows = [row for row in rows if row["robot"] != robot]
    write_rows(table, rows + read_table(folder / "episodes.csv"))


def main() -> None:
    """Train one robot, or ship what was trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--robot", required=True, choices=tuple(ROBOTS))
    add("--steps", type=int, default=600_000)
    add("--seed", type=int, default=0)
    add("--out", type=Path, required=True, metavar="DIR")
    add("--ship", nargs="+", metavar="QUALITY=STEP")
    options = parser.parse_args()
    if options.ship:
        ship(options.robot, options.out, options.ship)
        return
    from sbx import CrossQ

    options.out.mkdir(parents=True, exist_ok=True)
    state, memory = options.out / "model.zip", options.out / "memory.pkl"
    world, log = make_world(options.robot), options.out / "episodes.csv"
    if memory.exists():
        model = CrossQ.load(state, env=world, device="cpu")
        model.load_replay_buffer(memory)
    else:
        widths = {"pi": [128, 128], "qf": [256, 256]}
        known = {"net_arch": widths, "batch_norm_actor": False}
        model = CrossQ(
            "MlpPolicy",
            world,
            learning_starts=5_000,
            policy_kwargs=known,
            buffer_size=options.steps,
            seed=options.seed,
            device="cpu",
        )
    while model.num_timesteps < options.steps:
        model.learn(EVERY, reset_num_timesteps=False)
        step = model.num_timesteps
        write_actor(model, options.out / f"actor-{step}.npz")
        rows = try_actor(model, options.robot, step)
        fresh = not log.exists()
        with log.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)
        model.save(state)
        model.save_replay_buffer(memory)
        print(step, [(row["velocity"], row["near"]) for row in rows])


if __name__ == "__main__":
    main()
