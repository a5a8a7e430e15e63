# Generated from book/planning/score_matching.md by make sync. Edit the chapter, not this file.
"""Denoising score matching: learn the score from data with noise.

A network that guesses which noise was added to a datum has learned the
gradient of the log density.
"""

__all__ = [
    "ScoreConfig",
    "ScoreNetwork",
    "denoising_loss",
    "as_points",
    "draw_noisy",
    "ScoreLearner",
    "train_score",
]


# book/planning/score_matching.md, section "Denoising score matching: learn the score from data with noise"
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smore_lit.learning.networks import MLP
from smore_lit.planning.fitting import (
    NetworkLearner,
    as_options,
    as_table,
    fit,
    measure_spread,
)
from smore_lit.planning.planners import plain_fields
from smore_lit.running.files import check_ranges
from smore_lit.running.loop import Schedule


# book/planning/score_matching.md, section "All scales with one network"
@dataclass(frozen=True)
class ScoreConfig:
    """Hold what shapes a score network and its training.

    Raises:
        ValueError: a number out of its range.
    """

    hidden: tuple[int, ...] = (64, 64)  # widths of hidden layers
    waves: int = 5  # of each number of a point, with frequencies 1, 2, 4, ...
    batch_size: int = 1024  # noisy copies per update
    learning_rate: float = 5e-3  # Adam; falls to 0 along half a cosine
    largest: float = 1.0  # scale of the noise, in spreads of the data
    smallest: float = 0.1  # likewise

    def __post_init__(self):
        plain_fields(self)
        ranges = {
            "hidden": (self.hidden and min(self.hidden) >= 1, "1 or more"),
            "waves": (self.waves >= 0, "0 or more"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "learning_rate": (0.0 < self.learning_rate < 1.0, "in (0, 1)"),
            "smallest": (0.0 < self.smallest < math.inf, "positive"),
            "largest": (
                self.smallest <= self.largest < math.inf,
                f"smallest = {self.smallest} or more, and finite",
            ),
        }
        check_ranges(self, ranges)


# book/planning/score_matching.md, section "All scales with one network"
class ScoreNetwork(nn.Module):
    """Guess noise and score at any scale, one network per seed.

    Args:
        seeds: N.
        size: n, of a point.
        config: widths and waves.

    Points are in the units of the data, scales in spreads of the data.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, seeds: int, size: int, config: ScoreConfig):
        super().__init__()
        inputs = size * (1 + 2 * config.waves) + 1
        widths = (inputs, *config.hidden, size)
        self.network = MLP((seeds,), widths, activation=nn.functional.silu)
        self.waves = config.waves
        self.register_buffer("middle", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def settle(self, points: Tensor) -> None:
        """Take the scale of data (M, n); ValueError if a column has none."""
        self.middle.copy_(points.mean(dim=0))
        self.spread.copy_(measure_spread(points, "the data"))

    def noise(self, points: Tensor, scales: Tensor) -> Tensor:
        """Guess the noise in points (N, B, n) on the data's scale.

        Scales are (N, B, 1). Eq. (noise-network) of this chapter.
        """
        shrink = (1 + scales.square()).rsqrt()
        inputs = points * shrink
        angles = inputs.unsqueeze(-1) * 2.0 ** torch.arange(self.waves)
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1).flatten(-2)
        correction = self.network(
            torch.cat((inputs, waves, scales.log() / 2), dim=-1)
        )
        return scales * shrink * inputs + shrink * correction

    def forward(self, points: Tensor, scale: float) -> Tensor:
        """Return the score at points (N, B, n), in units of the data."""
        scales = torch.full_like(points[..., :1], scale)
        noise = self.noise((points - self.middle) / self.spread, scales)
        return -noise / (scale * self.spread)


# book/planning/score_matching.md, section "All scales with one network"
def denoising_loss(
    network: ScoreNetwork, clean: Tensor, noise: Tensor, scales: Tensor
) -> Tensor:
    """Compute the error of the guessed noise, averaged over the batch.

    Args:
        network: of N seeds.
        clean: data with mean 0 and spread 1, (N, B, n).
        noise: standard normal numbers, (N, B, n).
        scales: of the noise, (N, B, 1).

    Returns:
        (N,), half the squared error, summed over the n numbers.

    Source: Vincent (2011), times sigma^2.
    """
    guess = network.noise(clean + scales * noise, scales)
    return 0.5 * (guess - noise).square().sum(dim=-1).mean(dim=-1)


# book/planning/score_matching.md, section "Train it"
def as_points(data) -> Tensor:
    """Return data as float32 (M, n); ValueError if no score fits them.

    They need two rows or more, and finite numbers.
    """
    return as_table("data", data)


# book/planning/score_matching.md, section "Train it"
def draw_noisy(
    generators, clean: Tensor, config: ScoreConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw data (N, B, n), noise (N, B, n) and scales (N, B, 1).

    Scales are spread evenly in their logarithm; each seed draws from its
    own of the N generators.
    """
    size = config.batch_size, clean.shape[1]
    drawn = [torch.rand(size[0], 2, generator=g) for g in generators]
    noise = [torch.randn(*size, generator=g) for g in generators]
    row, place = torch.stack(drawn).split(1, dim=-1)
    rows = (row.squeeze(-1) * len(clean)).long()
    ratio = config.largest / config.smallest
    return clean[rows], torch.stack(noise), config.smallest * ratio**place


# book/planning/score_matching.md, section "Train it"
class ScoreLearner(NetworkLearner):
    """Learn the score of data (M, n), one network for each of N seeds."""

    def __init__(
        self,
        points: Tensor,
        config: ScoreConfig,
        schedule: Schedule,
        network: type[ScoreNetwork] = ScoreNetwork,
    ):
        self.config = config
        net = network(schedule.seeds, points.shape[1], config)
        net.settle(points)
        self.clean = (points - net.middle) / net.spread
        super().__init__(net, config.learning_rate, schedule)

    def loss(self) -> Tensor:
        """Draw noisy data for each seed; return the losses (N,)."""
        drawn = draw_noisy(self.generators, self.clean, self.config)
        return denoising_loss(self.network, *drawn)


# book/planning/score_matching.md, section "Train it"
def train_score(
    data,
    out: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
    network: type[ScoreNetwork] = ScoreNetwork,
    **schedule,
) -> ScoreNetwork:
    """Learn the score of data by denoising.

    Args:
        data: (M, n), such as states and actions side by side.
        out: folder of the run, see `fit`.
        settings: fields of `ScoreConfig` that differ from its defaults.
        progress: show a progress bar on standard error.
        network: what learns, built as `ScoreNetwork` is.
        schedule: fields of `Schedule`, such as updates=4_000 or seeds=3.

    Returns:
        The network: network(points, scale) is the score (N, B, n).

    Raises:
        ValueError: data, settings or a schedule that make no sense, or a
            folder of another run.
        OSError: `out` cannot be written.
        FloatingPointError: the loss became NaN or infinite.
    """
    config = as_options(ScoreConfig, settings or {}, "a score")
    planned = as_options(Schedule, schedule, "a score")
    points = as_points(data)
    return fit(
        lambda: ScoreLearner(points, config, planned, network),
        config, {"points": points}, planned, out, progress,
    )
