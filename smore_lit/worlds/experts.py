# Generated from book/worlds/experts.md by make sync. Edit the chapter, not this file.
"""Experts: script an expert and spoil it.

A proportional controller that never fails, noise that makes it behave like the
published expert, and a policy that acts at random.
"""

__all__ = ["RandomPolicy", "random_policy", "ReachExpert", "expert", "Noisy"]


# book/worlds/experts.md, section "Experts: script an expert and spoil it"
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smore_lit.worlds.tasks import Task
from smore_lit.worlds.environments import resolve


# book/worlds/experts.md, section "Policies and acts"
@dataclass(frozen=True)
class RandomPolicy:
    """Draw every action component from U(-1, 1)."""

    action_size: int

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return lambda observation, goal: rng.uniform(-1, 1, self.action_size)


def random_policy(task: Task) -> RandomPolicy:
    """Return the uniform policy of `task`."""
    return RandomPolicy(task.action_size)


# book/worlds/experts.md, section "A proportional controller"
@dataclass(frozen=True)
class ReachExpert:
    """Move the gripper toward the goal in proportion to the distance."""

    gain: float = 0.4  # k; 1.5 would be the quickest, see the chapter
    delta: float = 0.05  # metres of command per unit of action

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        return self.act

    def act(self, observation, goal):
        """Return the clipped proportional command, fingers at rest."""
        action = np.zeros(4)
        action[:3] = self.gain * (goal - observation[:3]) / self.delta
        return action.clip(-1, 1)


# book/worlds/experts.md, section "A proportional controller"
def expert(task: Task) -> Callable:
    """Return the noiseless expert policy of `task`.

    Raises:
        ValueError: the task has none.
    """
    policy = task.expert
    if policy is None:
        raise ValueError(
            f"{task.name} has no expert: give the task one by expert=..., or"
            " make random data, which need none: expert_percent=0"
            " (--expert-percent 0)"
        )
    if isinstance(policy, str):
        policy = resolve(policy)
    return policy() if isinstance(policy, type) else policy


# book/worlds/experts.md, section "The noise of the benchmark"
@dataclass(frozen=True)
class Noisy:
    """Spoil a policy with Gaussian noise and uniform actions.

    Args:
        policy: the policy to spoil.
        sigma: standard deviation of the noise, in units of action.
        uniform: probability of a wholly uniform action instead.

    Source: behaviour noise of the WGCSL data (Yang et al. 2022).
    """

    policy: Callable
    sigma: float = 0.2
    uniform: float = 0.3

    def __call__(self, rng: np.random.Generator) -> Callable:
        """Return act(observation, goal) -> action (A,) for one episode."""
        clean = self.policy(rng)

        def act(observation, goal):
            action = clean(observation, goal)
            noise = self.sigma * rng.standard_normal(action.shape)
            action = (action + noise).clip(-1, 1)
            if rng.random() < self.uniform:
                action = rng.uniform(-1, 1, action.shape)
            return action

        return act
