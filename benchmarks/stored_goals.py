"""Measure how much a clone on the cheetah listens to the goal.

    python benchmarks/stored_goals.py

For GCSL on CheetahTgtVel-m-e, with all goals in hindsight and with a fifth of
the goals as stored (11, 0 or 5.7 m/s in every episode), trained in runs/ if
it is not there: returns, and the mean absolute difference, over states, joints
and seeds, between the actions that the policy takes when it is asked for 11
m/s and for 5.7 m/s, in states of either runner by their velocity. Stored goals
count in the scale of the inputs, so 0 and 5.7 are trained once more with the
scale that 11 gives. Writes results/stored_goals.csv, and how many such states
the data with a medium and with a random runner have to
results/cheetah_states.csv.
"""

import numpy as np
import torch
from gathering import load, train_cell, write_results

from smore_lit.benchmark.grid import PROTOCOLS
from smore_lit.learning.agent import find_agent, make_config
from smore_lit.learning.policies import Policy
from smore_lit.learning.scaling import fit_scaler
from smore_lit.learning.training import start_run
from smore_lit.running.evaluation import evaluate
from smore_lit.running.loop import fix_products
from smore_lit.worlds.tasks import load_task

OTHERS = {"CheetahTgtVel-m-e": "medium", "CheetahTgtVel-r-e": "random"}
TASK, ASKED = "CheetahTgtVel-m-e", (11.0, 5.7)
RECORDED = 11.0
CELLS = (  # share of hindsight goals, stored goal, whose scale inputs have
    (1.0, RECORDED, RECORDED),
    (0.8, RECORDED, RECORDED),
    (0.8, 0.0, 0.0),
    (0.8, 5.7, 5.7),
    (0.8, 0.0, RECORDED),
    (0.8, 5.7, RECORDED),
)
BANDS = ((-1.0, 1.0), (1.0, 5.0), (5.0, 7.0), (7.0, 10.5), (10.5, 13.0))
MOST = 2_000  # states of a band


def find_states(task: str) -> dict:
    """Return states (B, O) by runner, slowest and fastest velocity."""
    data, found = load(task), {}
    velocity = data.achieved_goals[:, :-1, 0]
    expert = velocity[:, velocity.shape[1] // 2 :].mean(dim=1) > 9.0
    for runner, episodes in ((OTHERS[task], ~expert), ("expert", expert)):
        for low, high in BANDS:
            inside = (velocity >= low) & (velocity < high)
            inside &= episodes[:, None]
            found[runner, low, high] = data.observations[:, :-1][inside]
    return found


def train_clone(share: float, goal: float, scale: float) -> Policy:
    """Train GCSL, or read it; a scale that is not the goal's is not kept."""
    if goal == scale:
        stored = None if goal == RECORDED else goal
        return train_cell(TASK, "gcsl", stored, hindsight=share).policy
    agent, plan = find_agent("gcsl"), PROTOCOLS["cpu"].plan(TASK)
    config = make_config(agent, hindsight=share)
    with fix_products(plan):
        run = start_run(load(TASK, goal), agent, config, plan, load_task(TASK))
        fit_scaler(run.state.networks["scaler"], load(TASK, scale))
        for _ in range(plan.updates):
            run.step()
    return run.policy


def play(policy: Policy) -> np.ndarray:
    """Return the mean return at 0.999 of each seed."""
    scores = evaluate(load_task(TASK), policy, policy.seeds, 10, 0, 0)
    return scores["return_0999"].mean(axis=1)


def measure(policy, states: torch.Tensor) -> float:
    """Return the mean difference that the goal makes to the action."""
    seeds = len(policy.seeds)
    seen = states.expand(seeds, -1, -1).clone()
    one, other = (
        policy(seen, torch.full((seeds, len(states), 1), goal))
        for goal in ASKED
    )
    return float(np.abs(one - other).mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    counts = [
        {
            "task": task,
            "runner": runner,
            "slowest": low,
            "fastest": high,
            "states": len(states),
        }
        for task in OTHERS
        for (runner, low, high), states in find_states(task).items()
    ]
    write_results("cheetah_states", counts)
    dice, rows = torch.Generator().manual_seed(0), []
    known = {
        key: states[torch.randperm(len(states), generator=dice)[:MOST]]
        for key, states in find_states(TASK).items()
        if len(states) > 50
    }
    for share, goal, scale in CELLS:
        policy = train_clone(share, goal, scale)
        returns = play(policy)
        for (runner, low, high), states in known.items():
            rows.append(
                {
                    "hindsight": share,
                    "stored": goal,
                    "scale": scale,
                    "runner": runner,
                    "slowest": low,
                    "fastest": high,
                    "states": len(states),
                    "difference": measure(policy, states),
                    "return_0999": returns.mean(),
                    "least": returns.min(),
                    "most": returns.max(),
                }
            )
        print(rows[-1], flush=True)
    write_results("stored_goals", rows)
