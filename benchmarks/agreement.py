"""Ask how far scores of different seeds agree on an advantage.

    python benchmarks/agreement.py

For SMORe on every short task, trained in runs/ if it is not there: the
advantages of 4,000 transitions with goals drawn as in training, by every
seed's score; their spread, the correlation of two seeds, and that of the two
critics of one seed. Writes results/agreement.csv.
"""

import itertools

import numpy as np
import torch
from gathering import load, train_cell, write_results

from smore_lit.benchmark.cells import SHORT_TASKS
from smore_lit.learning.training import choose_sampler
from smore_lit.learning.trajectories import Batch, draw_uniforms
from smore_lit.worlds.tasks import load_task


@torch.no_grad()
def measure(name: str) -> dict:
    """Return one row: spread and correlations of the advantages."""
    run = train_cell(name)
    policy = run.policy
    dice = [torch.Generator().manual_seed(1_000)]
    sampler = choose_sampler(load(name), policy.config, load_task(name))
    rho, _ = sampler(draw_uniforms(dice, 4_000, sampler.columns))
    count, nets = len(policy.seeds), policy.networks
    rho = Batch(*(part.expand(count, *part.shape[1:]) for part in rho))
    rho = nets["scaler"](rho)
    score = nets["score"](rho.observations, rho.actions, rho.goals)
    value = nets["value"](rho.observations, rho.goals).unsqueeze(1)
    advantage = (score - value).numpy()  # (N, 2, B)
    low = advantage.min(axis=1)
    pairs = itertools.combinations(low, 2)
    return {
        "task": name,
        "updates": run.updates,
        "spread": low.std(axis=1).mean(),
        "seeds": np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]),
        "critics": np.mean([np.corrcoef(pair)[0, 1] for pair in advantage]),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_results("agreement", [measure(name) for name in SHORT_TASKS])
