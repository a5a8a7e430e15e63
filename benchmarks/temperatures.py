"""Follow one score at several temperatures, on four tasks of fifty steps.

    python benchmarks/temperatures.py [--gather] [TASK ...]

The score never reads the policy, so one training serves any number of
policies that differ in nothing but their temperature. Three seeds, 50
episodes each, the policies at the end. Data come from data/, runs go to
runs/, finished runs are not run again. Scores of the runs that are finished
are gathered in results/temperatures.csv.
"""

import copy
import dataclasses
import sys

import torch
from gathering import ROOT, write_results

from smore_lit.data.datasets import load_dataset
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.policies import Policy, load_policy
from smore_lit.running.evaluation import METRICS, evaluate
from smore_lit.running.files import read_table, write_rows
from smore_lit.learning.extraction import (
    advantage_weights,
    copy_actions,
    read_scores,
)
from smore_lit.learning.smore import SMORE
from smore_lit.learning.training import train
from smore_lit.learning.trajectories import as_trajectories

UPDATES = {
    "SawyerReach": 2_000,
    "SawyerDoor": 2_000,
    "FetchPick": 4_000,
    "HandReach": 3_000,
}
SHARPEST = 3.0
SOFTER = {0.5: "policy_half", 1.0: "policy_one", 2.0: "policy_two"}


def init(config, sizes, seeds):
    """Build SMORe's networks and one more policy for each temperature."""
    networks = SMORE.init(config, sizes, seeds)
    for name in SOFTER.values():
        networks[name] = copy.deepcopy(networks["policy"])
    return networks


def losses(config, networks, targets, rho, q, updates):
    """Add the loss of one policy for each temperature to SMORe's."""
    total, info = SMORE.losses(config, networks, targets, rho, q, updates)
    target, value = read_scores(networks, targets, rho)
    advantage = (target - value).detach()
    for alpha, name in SOFTER.items():
        weights = advantage_weights(advantage, alpha, config.weight_clip)
        part = {"policy": networks[name]}
        copying, spread = copy_actions(part, rho, weights)
        total[f"loss_{name}"] = copying["loss_policy"]
        info[f"effective_share_{name}"] = spread["effective_share"]
    return total, info


MANY = dataclasses.replace(
    SMORE,
    name="smore-temperatures",
    init=init,
    losses=losses,
    cosine=("policy", *SOFTER.values()),
)


def run(name: str) -> None:
    """Train one score and its policies; play each of them at the end."""
    task, folder = load_task(name), ROOT / "runs" / f"temperatures-{name}"
    train(
        as_trajectories(**load_dataset(task, "cpu", root=ROOT / "data")),
        MANY,
        task=task,
        out=folder,
        settings={"temperature": SHARPEST},
        updates=UPDATES[name],
        seeds=3,
        eval_every=UPDATES[name],
        workers=0,
        compile=True,
    )
    whole = load_policy(folder, MANY)
    if (folder / "temperatures.csv").exists():
        return
    rows = []
    for alpha, policy in {**SOFTER, SHARPEST: "policy"}.items():
        networks = {"policy": whole.networks[policy]}
        networks["scaler"] = whole.networks["scaler"]
        one = dataclasses.replace(
            whole, networks=torch.nn.ModuleDict(networks)
        )
        rows += play(task, one, alpha)
    write_rows(folder / "temperatures.csv", rows)


def play(task, policy: Policy, alpha: float) -> list[dict]:
    """Return one row per seed: means over fifty episodes."""
    scores = evaluate(task, policy, policy.seeds)
    return [
        {
            "task": task.name,
            "temperature": alpha,
            "seed": seed,
            "updates": UPDATES[task.name],
            **{n: float(scores[n][index].mean()) for n in METRICS},
        }
        for index, seed in enumerate(policy.seeds)
    ]


def gather() -> None:
    """Write the rows of all finished runs to results/."""
    rows = []
    for name in UPDATES:
        path = ROOT / "runs" / f"temperatures-{name}" / "temperatures.csv"
        if path.exists():
            rows += read_table(path)
    write_results("temperatures", rows)


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if name != "--gather"]
    for chosen in wanted or (() if "--gather" in sys.argv else UPDATES):
        run(chosen)
    gather()
