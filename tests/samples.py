"""Random batches for tests of losses and agents."""

import torch

from smore_lit.learning.agent import Sizes
from smore_lit.learning.trajectories import Batch

START = torch.tensor(0)  # updates taken so far


def random_batch(
    sizes: Sizes,
    seeds,
    size: int = 8,
    *,
    noise: int = 0,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Return a batch whose slice n depends on seeds[n] alone."""
    parts = [_one(sizes, seed, size, noise, scale, dtype) for seed in seeds]
    return Batch(*map(torch.stack, zip(*parts, strict=True)))


def _one(sizes, seed, size, noise, scale, dtype) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    options = dict(generator=generator, dtype=dtype)
    states, following, first = (
        scale * torch.randn(size, sizes.observation, **options)
        for _ in range(3)
    )
    goals, achieved = (
        scale * torch.randn(size, sizes.goal, **options) for _ in range(2)
    )
    actions = scale * torch.randn(size, sizes.action, **options)
    reached = (torch.rand(size, **options) < 0.3).to(dtype)
    steps = torch.randint(0, 20, (size,), generator=generator).to(dtype)
    chance = torch.rand(size, noise, **options)
    after = scale * torch.randn(size, sizes.goal, **options)
    tolerance = scale * torch.rand(sizes.goal, **options).expand(size, -1)
    return (
        states,
        actions.clamp(-1.0, 1.0),
        following,
        goals,
        reached,
        steps,
        achieved,
        after,
        tolerance,
        first,
        chance,
    )
