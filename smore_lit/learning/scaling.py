# Generated from book/learning/scaling.md by make sync. Edit the chapter, not this file.
"""Scaling of inputs: put all inputs on one scale.

Two lines of preprocessing decide whether the score can tell near from far.
"""

__all__ = ["LEAST_STD", "Scaler", "fit_scaler"]


# book/learning/scaling.md, section "Scaling of inputs: put all inputs on one scale"
import torch
from torch import Tensor, nn

from smore_lit.learning.trajectories import Batch, Trajectories


# book/learning/scaling.md, section "What a network sees"
LEAST_STD = 1e-2  # smallest spread by which an input is divided


class Scaler(nn.Module):
    """Shift and scale observations and goals; the identity until fitted.

    Args:
        observation, goal: sizes O and G.

    The numbers are buffers, so they travel with the networks' state.
    """

    observation_mean: Tensor
    observation_std: Tensor
    goal_mean: Tensor
    goal_std: Tensor

    def __init__(self, observation: int, goal: int):
        super().__init__()
        for name, size in (("observation", observation), ("goal", goal)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def observations(self, x: Tensor) -> Tensor:
        """Map observations (..., O)."""
        return (x - self.observation_mean) / self.observation_std

    def goals(self, x: Tensor) -> Tensor:
        """Map goals (..., G)."""
        return (x - self.goal_mean) / self.goal_std

    def forward(self, batch: Batch) -> Batch:
        """Map the observations, goals and tolerances of a batch."""
        return batch._replace(
            observations=self.observations(batch.observations),
            next_observations=self.observations(batch.next_observations),
            goals=self.goals(batch.goals),
            achieved=self.goals(batch.achieved),
            next_achieved=self.goals(batch.next_achieved),
            tolerance=batch.tolerance / self.goal_std,
            first_observations=self.observations(batch.first_observations),
        )


# book/learning/scaling.md, section "Two kinds of goals"
def fit_scaler(scaler: Scaler, trajectories: Trajectories) -> None:
    """Set `scaler`, in place, to the mean and spread of the data.

    Goals that the data achieve and goals that they were asked for count
    half each; padding beyond an episode's length does not count.
    """
    rows = torch.arange(trajectories.observations.shape[1])
    used = rows.to(trajectories.lengths) <= trajectories.lengths[:, None]
    achieved = trajectories.achieved_goals[used]
    for name, kinds in (
        ("observation", (trajectories.observations[used],)),
        ("goal", (achieved, trajectories.desired_goals)),
    ):
        mean = torch.stack([x.double().mean(dim=0) for x in kinds]).mean(dim=0)
        squares = [(x.double() - mean).square().mean(dim=0) for x in kinds]
        std = torch.stack(squares).mean(dim=0).sqrt()
        getattr(scaler, f"{name}_mean").copy_(mean)
        getattr(scaler, f"{name}_std").copy_(std.clamp(min=LEAST_STD))
