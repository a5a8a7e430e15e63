"""Train SMORe on FetchReach by other divergences and without actions.

    python benchmarks/fetchreach_divergences.py [NAME ...]

Each run is what `smore-lit train FetchReach` does with its --divergence,
--action-free and --set. Data come from data/, runs go to runs/, finished
runs are not run again, interrupted ones go on. They are added to
smore_lit/results/ as the study "divergences"; ratios_by_distance.csv there
says how near to their goals the KL scores have their large density ratios.
"""

import sys
from pathlib import Path

import torch
from fetchreach_objectives import PAPER
from gathering import ROOT, write_results

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.policies import load_policy
from smore_lit.learning.divergence_losses import best_ratio
from smore_lit.running.identity import name_run
from smore_lit.running.results import add_run
from smore_lit.learning.smore import shape_of
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import (
    Sampler,
    as_trajectories,
    draw_uniforms,
)

PRINTED = {"objective": "paper"}
FREE = {"action_free": True}
OPEN = {"ratio_cap": 1e30}  # no cap that a float could reach
BLUNT = {"action_free": True, "coefficient": 1e-4}  # all ratios near 1
RUNS = {
    "kl": {"divergence": "kl"},
    "kl-paper": {"divergence": "kl", **PRINTED},
    "kl-paper-open": {"divergence": "kl", **PRINTED, **OPEN},
    "free": FREE,
    "free-kl": {"divergence": "kl", **FREE},
    "free-paper": {**FREE, **PRINTED},
    "clone-goals": {**BLUNT, "beta": 1.0},
    "clone-both": BLUNT,
    "hellinger": {"divergence": "hellinger"},
    "js": {"divergence": "js"},
}
LOCATED = ("kl", "kl-paper", "kl-paper-open")
EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0)  # metres from the goal


def run(name: str) -> list[dict]:
    """Train one setting with three seeds, the controls for 500 updates.

    Returns:
        Rows of ratios by distance, for those settings that have them.
    """
    task, settings = load_task("FetchReach"), {**PAPER, **RUNS[name]}
    if settings.get("action_free"):
        del settings["temperature"]
    done = train(
        as_trajectories(**load_dataset(task, root=ROOT / "data")),
        task=task,
        runs=ROOT / "runs",
        workers=0,
        settings=settings,
        updates=500 if name.startswith("clone") else 2_000,
        seeds=3,
        eval_every=500,
    )
    add_run(done.directory, "divergences", name, metrics=True)
    return locate(done.directory) if name in LOCATED else []


def locate(folder: Path) -> list[dict]:
    """Measure ratios at the end of a run by distance from s to the goal."""
    task = load_task("FetchReach")
    data = as_trajectories(**load_dataset(task, root=ROOT / "data"))
    policy = load_policy(folder)
    nets, config = policy.networks, policy.config
    dice = [torch.Generator().manual_seed(100 + s) for s in policy.seeds]
    sampler = Sampler(data, config.hindsight, task.threshold)
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
        achieved = raw.observations[..., list(task.goal_index)]
        far = (achieved - raw.goals).norm(dim=-1)
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
    located = [row for each in sys.argv[1:] or RUNS for row in run(each)]
    if not sys.argv[1:]:
        write_results("ratios_by_distance", located)
