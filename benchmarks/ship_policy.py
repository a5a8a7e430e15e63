"""Ship seed 0 of the default FetchReach run with the package, and film it.

    python benchmarks/ship_policy.py

The run is trained in runs/ if it is not there. Writes
smore_lit/assets/FetchReach/policy.pt and book/_static/fetchreach.gif.
"""

import dataclasses

from gathering import ROOT, train_cell

from smore_lit.worlds.pictures import record, save_gif
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.policies import load_policy, save_policy


def first_seed(policy):
    """Return the policy of the first of several seeds, by itself."""
    for parameter in policy.networks.parameters():
        parameter.data = parameter.data[:1].clone()
    seeds = policy.seeds[:1]
    description = {**policy.description, "seeds": list(seeds)}
    return dataclasses.replace(policy, seeds=seeds, description=description)


if __name__ == "__main__":
    task = load_task("FetchReach")
    policy = first_seed(train_cell(task.name).policy)
    asset = ROOT / "smore_lit" / "assets" / "FetchReach" / "policy.pt"
    save_policy(asset, policy, ["policy", "scaler"])
    act = load_policy(asset).one()
    frames = [
        frame[::2, ::2]
        for seed in (3, 5, 8)
        for frame in record(task, act, seed)[:30]
    ]
    save_gif(frames, ROOT / "book" / "_static" / "fetchreach.gif")
