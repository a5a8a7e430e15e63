"""Measure the reward that SMORe made for itself on FetchPush.

    python benchmarks/push_rewards.py

For SMORe, SMORe started at 0 and IQL, trained in runs/ if they are not
there, draws goals as in training and writes, by distance from phi(s') to the
goal, mean and spread of S - gamma M(s', g) over all seeds to
results/push_rewards.csv.
"""

import torch
from gathering import load, train_cell, write_results

from smore_lit.learning.trajectories import Sampler, draw_uniforms
from smore_lit.worlds.tasks import load_task

EDGES = (0.0, 0.002, 0.01, 0.05, 0.1, 0.2, 1.0)  # metres


def measure(task, data, name: str, run) -> list[dict]:
    """Return one row for each kind of goal and band of distances."""
    policy = run.policy
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
    data, rows = load(task.name), []
    for name, algorithm, settings in (
        ("smore", "smore", {}),
        ("from-zero", "smore", {"temperature": 3.0, "centred": False}),
        ("iql", "iql", {}),
    ):
        run = train_cell(task.name, algorithm, **settings)
        rows += measure(task, data, name, run)
    write_results("push_rewards", rows)
