"""The scale of inputs: which rows count, and how large a goal can become."""

import numpy as np
import pytest
import torch

from smore_lit.learning.scaling import LEAST_STD, Scaler, fit_scaler
from smore_lit.learning.trajectories import as_trajectories


def episodes(seed, achieved, desired, count=50, steps=8):
    """Return episodes whose goals are spread as (mean, std) say."""
    rng = np.random.default_rng(seed)
    paths = rng.normal(*achieved, size=(count, steps + 1, 2))
    asked = rng.normal(*desired, size=(count, 2))
    states = rng.normal(3.0, 2.0, size=(count, steps + 1, 3))
    lengths = rng.integers(1, steps + 1, count)
    beyond = np.arange(steps + 1) > lengths[:, None]
    paths[beyond], states[beyond] = 1e6, -1e6  # padding
    actions = rng.uniform(-1, 1, size=(count, steps, 1))
    return as_trajectories(states, actions, paths, asked, lengths), beyond


def fitted(data):
    scaler = Scaler(3, 2)
    fit_scaler(scaler, data)
    return scaler


@pytest.mark.parametrize(
    "achieved, desired",
    [
        ((0.0, 1.0), (0.0, 1.0)),
        ((0.42, 0.034), (0.53, 0.146)),  # heights of FetchPick
        ((0.3, 1.4), (11.0, 0.0)),  # one goal for all
        ((5.0, 0.0), (5.0, 3.0)),  # nothing moves
        ((-200.0, 1.0), (200.0, 50.0)),
    ],
)
def test_no_kind_of_goal_is_large(achieved, desired):
    """The mean square of either kind is at most 2, that of both is 1."""
    data, beyond = episodes(0, achieved, desired)
    scaler = fitted(data)
    kinds = data.achieved_goals[~torch.from_numpy(beyond)], data.desired_goals
    squares = [scaler.goals(x).square().mean(dim=0) for x in kinds]
    assert all((x <= 2.0 + 1e-4).all() for x in squares)
    torch.testing.assert_close(
        sum(squares), torch.full((2,), 2.0), atol=1e-3, rtol=0
    )


def test_moments_against_loops():
    data, beyond = episodes(1, (0.0, 1.0), (4.0, 3.0))
    scaler = fitted(data)
    for k in range(2):
        seen = data.achieved_goals[..., k].numpy()[~beyond].tolist()
        asked = data.desired_goals[:, k].tolist()
        weighted = [(x, 0.5 / len(seen)) for x in seen]
        weighted += [(x, 0.5 / len(asked)) for x in asked]
        mean = sum(w * x for x, w in weighted)
        spread = sum(w * (x - mean) ** 2 for x, w in weighted) ** 0.5
        assert scaler.goal_mean[k].item() == pytest.approx(mean, rel=1e-5)
        assert scaler.goal_std[k].item() == pytest.approx(spread, rel=1e-5)
    for k in range(3):
        rows = data.observations[..., k].numpy()[~beyond].astype(float)
        found = scaler.observation_mean[k], scaler.observation_std[k]
        assert found[0].item() == pytest.approx(rows.mean(), rel=1e-5)
        assert found[1].item() == pytest.approx(rows.std(), rel=1e-5)


def test_a_number_that_never_moves_is_not_blown_up():
    data, _ = episodes(2, (7.0, 0.0), (7.0, 0.0))
    scaler = fitted(data)
    assert scaler.goal_std.tolist() == [pytest.approx(LEAST_STD)] * 2
    assert scaler.goals(data.desired_goals).abs().max() < 1e-3


def test_goals_on_a_table_and_in_the_air_are_told_apart():
    """Scaled by achieved goals alone, every third one lay beyond five."""
    data, beyond = episodes(3, (0.42, 0.034), (0.42, 0.001), count=900)
    asked = data.desired_goals.clone()
    asked[::2, 1] += 0.45 * torch.rand(450)
    data = as_trajectories(
        data.observations.numpy(),
        data.actions.numpy(),
        data.achieved_goals.numpy(),
        asked.numpy(),
        data.lengths.numpy(),
    )
    alone = (asked - 0.42) / 0.034
    assert (alone[:, 1].abs() > 5).float().mean() > 0.25
    scaled = fitted(data).goals(asked)
    assert scaled.abs().max() < 5
