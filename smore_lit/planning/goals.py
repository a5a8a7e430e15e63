# Generated from book/planning/goals.md by make sync. Edit the chapter, not this file.
"""Planning to goals: where the two systems meet.

The data of goal-conditioned learning are transitions, so they can be planned
with as well; and what SMORe has learned can be the cost of a plan.
"""

__all__ = ["Value", "learned_value", "goal_cost", "GoalPlanner", "check_pair"]


# book/planning/goals.md, section "Planning to goals: where the two systems meet"
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smore_lit.learning.policies import Policy, single_policy
from smore_lit.planning.offline import Method, OfflinePlanner, Replanner
from smore_lit.planning.planners import Cost


# book/planning/goals.md, section "A learned value as a cost"
Value = Callable[[Tensor, Tensor], Tensor]  # (B, O), (B, G) -> (B,)


def learned_value(policy: Policy, seed: int | None = None) -> Value:
    """Return SMORe's M, or another agent's V, of one training seed.

    Args:
        policy: of an agent that learns a value of states and goals.
        seed: which training seed; the first when left out.

    Raises:
        ValueError: the agent learns none, or `seed` was not trained.
    """
    if "value" not in policy.networks:
        raise ValueError(
            f"{policy.agent.name} has no value of states at hand: take the"
            " policy of a run of smore or iql"
        )
    networks = single_policy(policy, seed).networks
    scaler: Any = networks["scaler"]

    def value(states: Tensor, goals: Tensor) -> Tensor:
        inputs = scaler.observations(states), scaler.goals(goals)
        return networks["value"](*(x[None] for x in inputs))[0]

    return value


# book/planning/goals.md, section "A learned value as a cost"
def goal_cost(
    known: OfflinePlanner, task, goals: Tensor, value: Value | None = None
) -> Cost:
    """Return the cost of plans toward goals (B, G), Eq. (goal-cost).

    Args:
        known: its score has the spread of the data.
        task: tells which part of a state is the goal.
        goals: one for each plan.
        value: what a plan collects, instead of the distance to the goal.
    """
    spread = task.phi(known.score.spread)

    def cost(x: Tensor, u: Tensor) -> Tensor:
        beyond = 10 * (u.abs() - 1).relu().square().sum(dim=(-2, -1))
        after, each = x[:, 1:], goals[:, None]
        if value is None:
            gaps = (task.phi(after) - each) / spread
            return gaps.square().sum(dim=-1).mean(dim=-1) + beyond
        each = each.expand(-1, after.shape[1], -1).flatten(0, 1)
        found = value(after.flatten(0, 1), each)
        return beyond - found.view(after.shape[:2]).mean(dim=-1)

    return cost


# book/planning/goals.md, section "A planner as a policy"
@dataclass
class GoalPlanner:
    """Act toward goals by planning again at every step (MPC).

    Fields:
        known: what was learned from the observations of a task.
        task: tells which part of an observation is the goal.
        method: which planner, and how it improves what is left of a plan.
        value: what a plan collects, instead of the distance to the goal.
        length: steps of a plan.
        first: steps of descent for the first plan toward a goal.
    """

    known: OfflinePlanner
    task: Any
    method: Method
    value: Value | None = None
    length: int = 10
    first: int = 60
    plan: Replanner | None = field(default=None, init=False, repr=False)
    goals: Tensor | None = field(default=None, init=False, repr=False)

    def __call__(self, observations, goals) -> np.ndarray:
        """Map observations (1, B, O) and goals (1, B, G) to actions.

        A new goal begins a new plan.

        Returns:
            Actions (1, B, A) in [-1, 1].

        Raises:
            ValueError: shapes that do not fit, or numbers that are not finite.
        """
        x, g = check_pair(self.known, self.task, observations, goals)
        same = self.goals is not None and torch.equal(g, self.goals)
        if self.plan is None or not same:
            cost = goal_cost(self.known, self.task, g, self.value)
            how = self.method, self.length, self.first
            self.plan, self.goals = Replanner(self.known, cost, *how), g
        return self.plan(x)[None].clamp(-1, 1).numpy()


# book/planning/goals.md, section "A planner as a policy"
def check_pair(
    known: OfflinePlanner, task, observations, goals
) -> tuple[Tensor, Tensor]:
    """Return states (B, O) and goals (B, G) of arrays with one seed.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
    """
    x, g = (
        torch.as_tensor(np.asarray(array)).float()
        for array in (observations, goals)
    )
    size = len(known.score.spread) - task.action_size
    count = x.shape[1] if x.ndim == 3 else 0
    due = (1, count, size), (1, count, task.goal_size)
    if not count or (x.shape, g.shape) != due:
        raise ValueError(
            f"observations must be (1, B, {size}) and goals (1, B,"
            f" {task.goal_size}), got {tuple(x.shape)} and {tuple(g.shape)}"
        )
    if not bool(x.isfinite().all() and g.isfinite().all()):
        raise ValueError("observations or goals hold NaN or infinity")
    return x[0], g[0]
