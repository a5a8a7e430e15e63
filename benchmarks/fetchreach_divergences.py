"""Train SMORe on FetchReach by other divergences and without actions.

    python benchmarks/fetchreach_divergences.py [NAME ...]

Each run is what `smore-lit train FetchReach` does with its --divergence,
--action-free and --set. Data come from data/, runs go to runs/, finished
runs are not run again, interrupted ones go on. Scores and measurements of all
runs, as far as they are, are gathered in results/divergences_scores.csv and
results/divergences_measurements.csv; results/divergences_where.csv says how
near to their goals the KL scores have their large density ratios.
"""

import sys

import torch
from fetchreach_objectives import PAPER
from gathering import ROOT, write_results

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.policies import load_policy
from smore_lit.learning.divergence_losses import best_ratio
from smore_lit.running.files import read_table
from smore_lit.learning.smore import shape_of
from smore_lit.learning.training import setting_of, train
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
SHARED = ("updates", "seed", "score_q", "score_rho")
WATCHED = ("effective_share", "weight_mean", "advantage_std")
RATIOS = ("q", "rho", "max", "capped", "share")
LOCATED = ("kl", "kl-paper", "kl-paper-open")
EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0)  # metres from the goal


def run(name: str) -> None:
    """Train one setting with three seeds, the controls for 500 updates."""
    task, settings = load_task("FetchReach"), {**PAPER, **RUNS[name]}
    if settings.get("action_free"):
        del settings["temperature"]
    train(
        as_trajectories(**load_dataset(task, root=ROOT / "data")),
        task=task,
        out=ROOT / "runs" / f"divergence-{name}",
        workers=0,
        settings=settings,
        updates=500 if name.startswith("clone") else 2_000,
        seeds=3,
        eval_every=500,
    )


def locate(name: str) -> list[dict]:
    """Measure ratios at the end of a run by distance from s to the goal."""
    task = load_task("FetchReach")
    data = as_trajectories(**load_dataset(task, root=ROOT / "data"))
    policy = load_policy(ROOT / "runs" / f"divergence-{name}")
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
                    "setting": setting_of(policy.agent, config),
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


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    scores, measured, where = [], [], []
    for name in RUNS:
        folder = ROOT / "runs" / f"divergence-{name}"
        if not (folder / "scores.csv").exists():
            continue
        rows = read_table(folder / "scores.csv")
        if not rows:
            continue
        where += locate(name) if name in LOCATED else []
        scores += rows
        columns = [*SHARED, *WATCHED, *(f"ratio_{r}" for r in RATIOS)]
        scored = max(int(row["updates"]) for row in rows)
        for row in read_table(folder / "metrics.csv"):
            if int(row["updates"]) > scored:
                break
            kept = {column: row.get(column, "") for column in columns}
            measured.append({"setting": rows[0]["setting"], **kept})
    write_results("divergences_scores", scores)
    write_results("divergences_measurements", measured)
    write_results("divergences_where", where)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        run(chosen)
    gather()
