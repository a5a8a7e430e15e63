"""Measure the reward that SMORe made for itself on FetchPush.

    python benchmarks/push_rewards.py

For the networks that manipulation.py and manipulation_trials.py left in
runs/, of SMORe, of SMORe started at 0 and of IQL, draws goals as in training
and writes, by distance from phi(s') to the goal, mean and spread of
S - gamma M(s', g) over all seeds to results/push_rewards.csv.
"""

import torch
from gathering import ROOT, write_results
from manipulation import folder_of

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.policies import load_policy
from smore_lit.learning.trajectories import (
    Sampler,
    as_trajectories,
    draw_uniforms,
)

EDGES = (0.0, 0.002, 0.01, 0.05, 0.1, 0.2, 1.0)  # metres


def measure(task, data, name: str, folder) -> list[dict]:
    """Return one row for each kind of goal and band of distances."""
    policy = load_policy(folder)
    networks, config = policy.networks, policy.config
    sampler = Sampler(data, config.hindsight, task.threshold, config.ahead)
    dice = [torch.Generator().manual_seed(100 + s) for s in policy.seeds]
    uniforms = draw_uniforms(dice, 8_000, sampler.columns)
    raw, _ = sampler(uniforms)
    batch = networks["scaler"](raw)
    with torch.no_grad():
        score = networks["score"](
            batch.observations, batch.actions, batch.goals
        )
        after = networks["value"](batch.next_observations, batch.goals)
    reward = score.mean(dim=1) - config.gamma * after
    arrived = task.phi(raw.next_observations)
    far = (arrived - raw.goals).norm(dim=-1)
    relabelled = uniforms[..., 2] < config.hindsight
    rows = []
    for goals, kept in (("hindsight", relabelled), ("asked", ~relabelled)):
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
            inside = kept & (far >= low) & (far < high)
            if inside.sum() < 100:
                continue
            rows.append(
                {
                    "algorithm": name,
                    "goals": goals,
                    "nearest": low,
                    "farthest": high,
                    "samples": int(inside.sum()),
                    "mean": reward[inside].mean().item(),
                    "std": reward[inside].std().item(),
                }
            )
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    task = load_task("FetchPush")
    data = as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data"))
    folders = {
        "smore": folder_of(task.name, "smore"),
        "from-zero": ROOT / "runs" / "push-from-zero",
        "iql": folder_of(task.name, "iql"),
    }
    rows = []
    for name, folder in folders.items():
        rows += measure(task, data, name, folder)
    write_results("push_rewards", rows)
