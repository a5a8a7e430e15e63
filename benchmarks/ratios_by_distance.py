"""Say how near to their goals the scores by KL have large density ratios.

    python benchmarks/ratios_by_distance.py

For the cells of the study "divergences" by KL that know actions, trained in
runs/ if they are not there, and goals drawn as in training: mean ratio and
effort by distance from phi(s) to the goal. Writes
results/ratios_by_distance.csv.
"""

import torch
from gathering import load, train_cell, write_results

from smore_lit.benchmark.cells import DIVERGENCES, FROM_PAPER
from smore_lit.learning.divergence_losses import best_ratio
from smore_lit.learning.smore import shape_of
from smore_lit.learning.trajectories import Sampler, draw_uniforms
from smore_lit.running.identity import name_run
from smore_lit.worlds.tasks import load_task

EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0)  # metres from the goal


def locate(settings: dict) -> list[dict]:
    """Return one row for each batch and band of distances."""
    task = load_task("FetchReach")
    run = train_cell(task.name, **FROM_PAPER | settings)
    policy = run.policy
    nets, config = policy.networks, policy.config
    dice = [torch.Generator().manual_seed(100 + s) for s in policy.seeds]
    sampler = Sampler(load(task.name), config.hindsight, task.threshold)
    drawn = sampler(draw_uniforms(dice, 8_000, sampler.columns))
    rows = []
    for kind, raw in zip(("rho", "q"), drawn, strict=True):
        batch = nets["scaler"](raw)
        with torch.no_grad():
            after = nets["value"](batch.next_observations, batch.goals)
            score = nets["score"](
                batch.observations, batch.actions, batch.goals
            )
        y = config.gamma * after.unsqueeze(1) - score
        ratio = best_ratio(4 * config.coefficient * y, **shape_of(config))
        ratio, effort = ratio.mean(dim=1), raw.actions.abs().mean(dim=-1)
        far = (task.phi(raw.observations) - raw.goals).norm(dim=-1)
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
            inside = (far >= low) & (far < high)
            large = inside & (ratio > 10)
            rows.append(
                {
                    "run": name_run(policy.description),
                    "batch": kind,
                    "nearest": low,
                    "farthest": high,
                    "samples": int(inside.sum()),
                    "ratio_mean": ratio[inside].mean().item(),
                    "large": int(large.sum()),
                    "action": effort[inside].mean().item(),
                    "large_action": effort[large].mean().item(),
                }
            )
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    kept = [s for s in DIVERGENCES if s.get("divergence") == "kl"]
    kept = [s for s in kept if not s.get("action_free")]
    write_results("ratios_by_distance", sum(map(locate, kept), []))
