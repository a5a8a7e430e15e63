"""Pictures, the networks on them, and both problems of this chapter."""

import dataclasses
import math

import pytest
import torch

from smore_lit.learning.networks import initialise
from smore_lit.planning import pixels
from smore_lit.planning.models import ModelConfig
from smore_lit.planning.planners import Descent, roll_out
from smore_lit.planning.score_matching import ScoreConfig
from smore_lit.planning.search import Search

SMALL = ModelConfig((8,))


def spots(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 2, generator=generator) - 1


@pytest.fixture(scope="module")
def task():
    return pixels.Pixels(8, count=300)


@pytest.fixture(scope="module")
def known(task):
    return task.learn(3, members=2, updates=20)


@pytest.mark.parametrize("side, due", [(8, 0.03), (16, 0.006), (32, 0.002)])
def test_reading_undoes_drawing(side, due):
    points = spots(500)
    pictures = pixels.render(points, side)
    assert pictures.shape == (500, side**2)
    assert 0 <= pictures.min() and pictures.max() <= 1
    assert (pixels.decode(pictures) - points).norm(dim=-1).max() < due


def test_the_first_row_is_the_top_and_the_first_column_the_left():
    picture = pixels.render(torch.tensor([-0.9, 0.6]), 32).view(32, 32)
    row, column = divmod(int(picture.argmax()), 32)
    assert row < 16 and column < 16
    place = pixels.pixel_places(32)[row * 32 + column]
    assert (place - torch.tensor([-0.9, 0.6])).abs().max() < 1.5 / 32


def test_what_is_dark_or_negative_is_not_seen():
    picture = pixels.render(torch.tensor([0.5, -0.5]), 16)
    seen = pixels.decode(picture)
    dark = picture + 0.09 * (picture == 0)
    dark[0] = -5.0
    torch.testing.assert_close(pixels.decode(dark), seen)
    assert (pixels.decode(torch.full((256,), 0.1)) == 0).all()


def test_the_world_moves_by_a_quarter_of_the_action():
    points, actions = spots(40), spots(40, 1)
    after = pixels.move_points(points, pixels.render(actions, 32))
    due = points + 0.25 * actions
    assert (after - due).abs().max() < 0.001


def test_recorded_steps_agree_with_the_world_and_stay_inside():
    before, taken, after = pixels.record_pixels(32, 200, 5)
    assert before.shape == taken.shape == after.shape == (200, 1024)
    due = pixels.move_points(pixels.decode(before), taken)
    assert (pixels.decode(after) - due).norm(dim=-1).max() < 0.005
    assert pixels.decode(after).abs().max() < 1.002
    again = pixels.record_pixels(32, 200, 5)
    other = pixels.record_pixels(32, 200, 6)
    assert (again[1] == taken).all() and (other[1] != taken).any()


@pytest.mark.parametrize("side", pixels.SIDES)
def test_a_model_averages_neighbours(side):
    n = side**2
    model = pixels.PixelModel(2, n, n, SMALL)
    x, u, after = pixels.record_pixels(side, 6, 0)
    model.settle(torch.cat((x, u), dim=1), after - x)
    initialise(model, (0, 1))
    found = model(x, u)
    assert found.shape == (2, 6, n)
    assert found.min() > -1e-5 and found.max() <= x.max() + 1e-5
    inside = (pixels.decode(x).abs() < 0.5).all(dim=1)
    kept = found.sum(dim=-1)[:, inside] / x.sum(dim=-1)[inside]
    torch.testing.assert_close(kept, torch.ones_like(kept))
    assert model.size // 2 * 3 / side >= pixels.REACH


def test_one_spread_serves_all_pixels():
    x, u, after = pixels.record_pixels(8, 50, 0)
    points = torch.cat((x, u), dim=1)
    model = pixels.PixelModel(1, 64, 64, SMALL)
    model.settle(points, after - x)
    score = pixels.PixelScore(1, 128, ScoreConfig())
    score.settle(points)
    for network in (model, score):
        assert len(network.spread.unique()) == 1
        assert float(network.spread[0]) == pytest.approx(float(points.std()))
        assert float(network.middle[0]) == pytest.approx(float(points.mean()))


def make_score(side, seeds=2):
    score = pixels.PixelScore(seeds, 2 * side**2, ScoreConfig())
    initialise(score, range(seeds))
    return score


@pytest.mark.parametrize("side", pixels.SIDES)
def test_the_seeds_of_a_u_net_do_not_mix(side):
    score, n = make_score(side), 2 * side**2
    points = torch.randn(2, 3, n, requires_grad=True)
    scales = torch.full((2, 3, 1), 2.0)
    clean = score.denoise(points, scales)
    assert clean.shape == (2, 3, n)
    (slope,) = torch.autograd.grad(clean[0].square().sum(), points)
    assert (slope[1] == 0).all() and (slope[0] != 0).any()
    clean = score.denoise(points, scales)
    slopes = torch.autograd.grad(clean[1].sum(), list(score.parameters()))
    for slope in slopes:
        assert (slope[0] == 0).all()
    assert sum(bool((slope[1] != 0).any()) for slope in slopes) > 20


def test_each_seed_is_the_network_it_would_be_alone():
    both, points = make_score(16), torch.randn(1, 2, 512)
    scales = torch.full((1, 2, 1), 0.7)
    for seed in (0, 1):
        alone = pixels.PixelScore(1, 512, ScoreConfig())
        initialise(alone, (seed,))
        due = alone.denoise(points, scales)[0]
        found = both.denoise(points.expand(2, -1, -1), scales.expand(2, 2, 1))
        torch.testing.assert_close(found[seed], due, atol=1e-4, rtol=1e-4)


def test_every_pixel_of_the_clean_pictures_is_told_apart():
    """A planted pixel comes back where it was if the U-Net folds rightly."""
    net = pixels.UNet(1, 32, 0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        kernel = net.begin.weight.view(1, 34, 3, 3, 16)
        for k in range(16):
            kernel[0, k, 1, 1, k] = 1.0
        net.merge[1].weight.view(1, 40, 3, 3, 16)[
            0, torch.arange(24, 40), 1, 1, torch.arange(16)
        ] = 1.0
        net.end.weight.view(1, 16, 3, 3, 32)[
            0, torch.arange(16), 1, 1, torch.arange(16)
        ] = 1.0
    pictures = torch.rand(1, 2, 2, 32, 32)
    found = net(pictures, torch.zeros(1, 2, 0))
    first = pictures[:, :, 0]
    due = torch.nn.functional.silu(first)
    torch.testing.assert_close(found[:, :, 0], due)


def test_the_score_is_the_pull_to_the_clean_pictures():
    score = make_score(8, 1)
    score.spread.fill_(0.2)
    score.middle.fill_(0.1)
    points = torch.rand(1, 4, 128)
    flat = (points - 0.1) / 0.2
    clean = score.denoise(flat, torch.full((1, 4, 1), 0.5)) * 0.2 + 0.1
    found = score(points, 0.5)
    due = (clean - points) / (0.5 * 0.2) ** 2
    torch.testing.assert_close(found, due, atol=1e-3, rtol=1e-4)


def test_the_guide_asks_at_noisy_points_and_takes_the_noise_off(known):
    points, scale = torch.rand(2, 3, 128), 0.5
    dice = [torch.Generator().manual_seed(k) for k in (7, 8)]
    found = dataclasses.replace(known, generators=dice).guide(points, scale)
    dice = [torch.Generator().manual_seed(k) for k in (7, 8)]
    noise = torch.stack([torch.randn(3, 128, generator=g) for g in dice])
    spread = known.score.spread
    noisy = (points + scale * spread * noise - known.score.middle) / spread
    level = torch.full((1, 6, 1), scale)
    clean = known.score.denoise(noisy.flatten(0, 1)[None], level)
    clean = clean.view_as(points) * spread + known.score.middle
    due = (clean - points) / (scale * spread) ** 2
    torch.testing.assert_close(found, due, atol=1e-2, rtol=1e-3)


def test_the_cost_is_on_centroids():
    path = torch.tensor([[[0.0, 0.0], [0.3, 0.0], list(pixels.GOAL)]])
    moves = torch.tensor([[[0.5, 0.0], [0.0, 0.0]]])
    states, actions = pixels.render(path, 32), pixels.render(moves, 32)
    due = 3 * (0.09 + 1.1**2 + 0.04) + 0.3 * 0.25
    found = pixels.steer_pixels(states, actions)
    assert found.shape == (1,) and float(found) == pytest.approx(due, abs=0.02)


FEW = Descent(3, 0.5, largest=1.0, smallest=0.5)


@pytest.mark.parametrize("planner", ["sgp", "none", "ensemble", "cem", "mppi"])
def test_every_planner_plans_and_its_plan_is_carried_out(task, known, planner):
    method = dataclasses.replace(
        task.method, planner=planner, descent=FEW, search=Search(2, 4, 2)
    )
    (came,) = task.attempt(known, method, 1)
    assert came.planned.shape == came.real.shape == (16, 64)
    assert came.actions.shape == (15, 64)
    path = roll_out(
        pixels.move_points, torch.tensor([pixels.START]), came.actions[None]
    )
    torch.testing.assert_close(pixels.render(path[0], 8), came.real)
    far = (path[0, -1] - torch.tensor(pixels.GOAL)).norm()
    assert came.success == bool(far <= 0.15)
    assert 0 <= came.outside <= 1 and came.seconds > 0
    frames = task.draw(came)
    assert len(frames) == 15
    for frame in frames:
        assert frame.shape == (96, 296, 3) and frame.dtype == "uint8"
    (again,) = task.attempt(known, method, 1)
    assert (again.actions == came.actions).all()


def test_plans_side_by_side_do_not_mix(task, known):
    method = dataclasses.replace(task.method, descent=FEW)
    both = pixels.plan_pictures(known, method, (4, 5))
    (alone,) = pixels.plan_pictures(known, method, (5,))
    torch.testing.assert_close(
        both[1].actions, alone.actions, atol=1e-3, rtol=1e-3
    )


def test_a_point_at_the_goal_has_succeeded(known, monkeypatch):
    monkeypatch.setattr(pixels, "GOAL", (0.85, 0.15))
    still = pixels.render(torch.zeros(1, 15, 2), 8)

    def plan(known, starts, actions, *rest):
        states = roll_out(known.dynamics, starts, still)
        return pixels.dataclasses.make_dataclass("P", ["costs", "states"])(
            torch.zeros(1), states
        )

    def with_actions(*given):
        found = plan(*given)
        found.actions = still
        return found

    monkeypatch.setattr(pixels, "plan_offline", with_actions)
    (came,) = pixels.plan_pictures(known, pixels.choose_method(8), [0])
    assert came.success and came.outside == 0
    (came,) = pixels.plan_pictures(known, pixels.choose_method(8), [0], 0.01)
    assert not came.success


def test_recorded_actions_are_not_strange_and_noise_is():
    recorded = pixels.record_pixels(16, 2_000, 0)[1]
    fresh = pixels.record_pixels(16, 300, 77)[1].view(3, 100, -1)
    share = pixels.find_strange(fresh, recorded).float().mean()
    assert share < 0.05
    noise = 0.13 * torch.randn(2, 5, 256)
    assert pixels.find_strange(noise, recorded).all()
    assert pixels.find_strange(torch.zeros(1, 2, 256), recorded).all()


@pytest.mark.parametrize("side", pixels.SIDES)
def test_shipped_networks_fit_and_know_the_data(side):
    known = pixels.Pixels(side, count=2_000).learn(5, members=2)
    x, u, after = pixels.record_pixels(side, 100, 50)
    found = known.model(x, u)
    assert len(found) == 2
    missed = pixels.decode(found) - pixels.decode(after)
    assert missed.norm(dim=-1).mean() < (0.06 if side == 8 else 0.03)
    z = (torch.cat((x, u), dim=1) - known.score.middle) / known.score.spread
    scale = side / 10
    noisy = z + scale * torch.randn(z.shape)
    level = torch.full((1, 100, 1), scale)
    clean = known.score.denoise(noisy[None], level)[0]
    assert (clean - z).square().mean() < 0.1


@pytest.mark.parametrize(
    "act, word",
    [
        (lambda: pixels.Pixels(12), "pixels must be one of 8, 16, 32"),
        (lambda: pixels.Pixels("many"), "got 'many'"),
        (lambda: pixels.render(torch.zeros(3), 8), "pairs"),
        (lambda: pixels.render(torch.tensor([math.nan, 0.0]), 8), "finite"),
        (lambda: pixels.decode(torch.zeros(65)), "65 pixels are no square"),
        (lambda: pixels.decode(torch.zeros(100)), "must be one of"),
        (
            lambda: pixels.move_points(
                torch.zeros(2), torch.full((64,), math.nan)
            ),
            "no NaN",
        ),
        (lambda: pixels.Pixels(8).learn(0, members=4), "three members"),
        (lambda: pixels.PixelScore(1, 200, ScoreConfig()), "must be one of"),
    ],
)
def test_bad_input_is_refused_in_one_line(act, word):
    with pytest.raises(ValueError, match=word) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 1


def test_the_hole_is_gone_round_with_the_score_only():
    hole = pixels.Hole()
    known = hole.learn(0)
    assert (known.points[:, :2].norm(dim=1) > 0.4).all()
    assert len(known.points) == 2_000
    found = {}
    for planner in ("none", "sgp"):
        method = dataclasses.replace(hole.method, planner=planner)
        (found[planner],) = hole.attempt(known, method, 0)
    assert found["none"].outside > 0.2 and found["none"].success
    assert found["sgp"].outside == 0 and found["sgp"].success
    frames = hole.draw(found["sgp"])
    assert len(frames) == 26 and frames[0].shape == (240, 240, 3)


def test_the_models_of_the_hole_agree():
    known = pixels.Hole(count=200).learn(0, members=3)
    x, u = torch.rand(4, 2), torch.rand(4, 2)
    assert known.model(x, u).shape == (3, 4, 2)
    torch.testing.assert_close(known.dynamics(x, u), x + u)
    states, actions = torch.rand(2, 6, 2), torch.rand(2, 5, 2)
    assert known.disagreement(states, actions).abs().max() < 1e-10
