"""The samplers against laws written out in loops, and data that do not fit."""

import math
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from smore_lit.learning.scaling import Scaler, fit_scaler
from smore_lit.learning.trajectories import (
    SAMPLERS,
    ReleasedSampler,
    Sampler,
    as_trajectories,
    draw_future,
    draw_uniforms,
    find_hits,
    find_leaving,
    reaches,
    take,
)

STEP = 2**14  # actions are numbers over this, and so below 1
NEXT = 1000  # a stride that keeps the numbers of episodes apart
LAST = 1 - 2**-53  # the largest number that torch.rand gives
SHARE = Fraction(4, 5)


def build(lengths, desired, device="cpu"):
    """Number every state and action of episode e at step t as 1000 e + t.

    The observation is the number, and the number again, negated; the action
    is the number over 2 ** 14; padding is NaN, so that no test passes that
    draws it.
    """
    T, E = max(lengths), len(lengths)
    line = NEXT * np.arange(E)[:, None] + np.arange(T + 1.0)
    line[np.arange(T + 1) > np.array(lengths)[:, None]] = np.nan
    actions = np.where(np.isnan(line[:, 1:]), np.nan, line[:, :-1])
    return as_trajectories(
        np.stack((line, -line), axis=-1),
        actions[..., None] / STEP,
        line[..., None],
        np.array(desired, dtype=float)[:, None],
        lengths,
        device,
    )


def read(batch):
    """Return one row (s, a, s', g) of whole numbers for each sample."""
    actions = STEP * batch.actions
    torch.testing.assert_close(batch.observations[..., 0:1], actions)
    torch.testing.assert_close(
        batch.observations[..., 0], -batch.observations[..., 1]
    )
    parts = batch.observations, actions, batch.next_observations, batch.goals
    columns = [part[..., :1] for part in parts]
    table = torch.cat(columns, dim=-1).flatten(0, -2)
    assert torch.isfinite(table).all()
    return [tuple(map(int, row)) for row in table.tolist()]


def corrected_law(lengths, desired, hits, share=SHARE):
    """Enumerate rho and q of the corrected sampler."""
    total, rho, q = sum(lengths), Counter(), Counter()

    def transition(e, t):
        return (NEXT * e + t, NEXT * e + t, NEXT * e + t + 1)

    for e, T in enumerate(lengths):
        for t in range(T):
            start = Fraction(1, total)
            plain = share if hits else 1
            rho[*transition(e, t), desired[e]] += (1 - share) * start
            for f in range(t + 1, T + 1):
                weight = start / (T - t)
                goal = NEXT * e + f
                rho[*transition(e, t), goal] += share * weight
                q[*transition(e, f - 1), goal] += plain * weight
    for e, t in hits:
        q[*transition(e, t), desired[e]] += (1 - share) / len(hits)
    return clean(rho), clean(q)


def released_law(T, desired, rows, share=SHARE):
    """Enumerate rho and q of the released sampler, by row numbers.

    `rows` are the flat rows whose current achieved goal is the desired one.
    """
    E = len(desired)
    drawn, rho, q = T * E // (T + 1), Counter(), Counter()

    def transition(row):
        s = NEXT * (row // T) + row % T
        return (s, s, s + 1)

    def state(row):
        return NEXT * (row // T) + row % T

    fine = 5040  # divisible by every length that occurs
    for e in range(drawn):
        for t in range(T):
            row = e * T + t
            start = Fraction(1, drawn * T)
            rho[*transition(row), desired[e]] += (1 - share) * start
            for k in range(fine):
                offset = math.trunc((T - 2 - t) * (k + 0.5) / fine)
                future = row + 1 + offset
                weight = start / fine
                rho[*transition(row), state(future)] += share * weight
                plain = share if rows else 1
                q[*transition(future - 1), state(future)] += plain * weight
    for row in rows:
        goal = desired[row // T]
        q[*transition((row - 1) % (E * T)), goal] += (1 - share) / len(rows)
    return clean(rho), clean(q)


def clean(law):
    assert sum(law.values()) == 1
    return {key: weight for key, weight in law.items() if weight}


def grid(*points):
    axes = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in points]
    return torch.cartesian_prod(*axes)[None]


def count(batch):
    rows = read(batch)
    counts = Counter(rows)
    return {key: Fraction(n, len(rows)) for key, n in counts.items()}


def check_chi_square(batch, law):
    rows = read(batch)
    seen = Counter(rows)
    assert seen.keys() == law.keys()
    if len(law) == 1:
        return
    expected = [float(law[key]) * len(rows) for key in law]
    assert min(expected) > 5
    test = chisquare([seen[key] for key in law], expected)
    assert test.pvalue > 1e-3, test


CORRECTED = {
    "equal lengths": ((4, 4), (3, 1004), [(0, 2), (1, 3)]),
    "variable lengths": (
        (4, 1, 3, 2),
        (2, 1001, 77, 3001),
        [(0, 1), (1, 0), (3, 0)],
    ),
    "no hit": ((2, 4, 1), (-1, -1, -1), []),
    "one transition": ((1,), (1,), [(0, 0)]),
    "start is no hit": ((3, 2), (0, 1000), []),
}
RELEASED = {
    "every kind of hit": (5, (0, 1003, 2000, 3005), [0, 8, 10]),
    "no hit": (4, (-1, -1, -1), []),
    "hit by the last action": (3, (3, 1003), []),
    "dead episode hits": (3, (-1, -1, -1, 3001), [10]),
}


@pytest.mark.parametrize("name", CORRECTED)
def test_corrected_law_exactly(name):
    lengths, desired, hits = CORRECTED[name]
    sampler = Sampler(build(lengths, desired), float(SHARE))
    assert sampler.hits.tolist() == [list(hit) for hit in hits]
    future = math.lcm(*range(1, max(lengths) + 1))
    uniforms = grid(sum(lengths), future, 5, max(len(hits), 1))
    rho, q = map(count, sampler(uniforms))
    assert (rho, q) == corrected_law(lengths, desired, hits)


@pytest.mark.parametrize("name", RELEASED)
def test_released_law_exactly(name):
    T, desired, rows = RELEASED[name]
    sampler = ReleasedSampler(build([T] * len(desired), desired), float(SHARE))
    assert sampler.rows.tolist() == rows
    draw = (T * len(desired) // (T + 1), T, math.lcm(*range(1, T)), 5)
    rho, _ = sampler(grid(*draw, 1, 1, 1, 1, 1))
    ahead = (*draw, max(len(rows), 1))
    _, q = sampler(grid(1, 1, 1, 1, *ahead))
    law = released_law(T, desired, rows)
    assert (count(rho), count(q)) == law


@pytest.mark.parametrize("name", CORRECTED)
def test_corrected_draws_pass_chi_square(name):
    lengths, desired, hits = CORRECTED[name]
    sampler = Sampler(build(lengths, desired), float(SHARE))
    generators = [torch.Generator().manual_seed(s) for s in (1, 2)]
    batches = sampler(draw_uniforms(generators, 20_000, sampler.columns))
    for batch, law in zip(batches, corrected_law(*CORRECTED[name])):
        check_chi_square(batch, law)


@pytest.mark.parametrize("name", RELEASED)
def test_released_draws_pass_chi_square(name):
    T, desired, rows = RELEASED[name]
    sampler = ReleasedSampler(build([T] * len(desired), desired), float(SHARE))
    generators = [torch.Generator().manual_seed(s) for s in (3, 4)]
    batches = sampler(draw_uniforms(generators, 20_000, sampler.columns))
    for batch, law in zip(batches, released_law(*RELEASED[name])):
        check_chi_square(batch, law)


def test_chi_square_would_notice_the_other_law():
    T, desired, _ = RELEASED["no hit"]
    sampler = Sampler(build([T] * 3, desired), float(SHARE))
    generator = torch.Generator().manual_seed(0)
    _, q = sampler(draw_uniforms([generator], 20_000, sampler.columns))
    with pytest.raises(AssertionError):
        check_chi_square(q, released_law(*RELEASED["no hit"])[1])


def test_hand_worked_samples():
    sampler = Sampler(build((4, 2, 3), (3, 1002, 7)))
    rows = [[1.5 / 9, 0.4, 0.1, 0], [5.5 / 9, 0, 0.9, 0.6], [LAST] * 4]
    u = torch.tensor([rows], dtype=torch.float64)
    rho, q = map(read, sampler(u))
    hit = (1001, 1001, 1002, 1002)
    assert rho == [(1, 1, 2, 3), hit, (2002, 2002, 2003, 7)]
    assert q == [(2, 2, 3, 3), hit, hit]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("hindsight", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("desired", [(2, 1003, -1), (-1, -1, -1)])
def test_edges_of_the_uniforms(name, hindsight, desired):
    sampler = SAMPLERS[name](build([4] * 3, desired), hindsight)
    corners = torch.tensor([0.0, LAST], dtype=torch.float64)
    uniforms = torch.cartesian_prod(*[corners] * sampler.columns)[None]
    rho, q = sampler(uniforms)
    for s, a, after, g in read(rho):
        assert s == a and after == s + 1
        assert g in desired or s < g <= s + 4 or g == NEXT * (s // NEXT + 1)
    for s, _, after, g in read(q):
        assert after == s + 1
        assert name == "released" or g == after


@pytest.mark.parametrize("lengths", [(4, 2, 3), (1, 1, 1)])
def test_largest_uniform_draws_the_last_transition(lengths):
    sampler = Sampler(build(lengths, (-1, -1, -1)), hindsight=1.0)
    rho, q = sampler(torch.full((2, 3, 4), LAST, dtype=torch.float64))
    last = 2 * NEXT + lengths[-1] - 1
    assert set(read(rho)) == set(read(q)) == {(last, last, last + 1, last + 1)}


def test_leaving_is_what_brute_force_says():
    rng = np.random.default_rng(0)
    lengths, T = (6, 1, 4, 5), 6
    goals = rng.normal(size=(4, T + 1, 2)).cumsum(1)
    for e, length in enumerate(lengths):
        goals[e, length + 1 :] = 1e3
    acts = np.zeros((4, T, 1))
    data = as_trajectories(goals, acts, goals, goals[:, 0], lengths)
    for tolerance in (0.0, 1.5, 3.0, 1e6):
        row, expected = 0, []
        for e, length in enumerate(lengths):
            for t in range(length):
                rest = goals[e, t + 1 : length + 1] - goals[e, t]
                if (np.linalg.norm(rest, axis=1) > tolerance).any():
                    expected.append(row)
                row += 1
        assert find_leaving(data, tolerance).tolist() == expected


@pytest.mark.parametrize("desired", [(2, 1003, -1), (-1, -1, -1)])
@pytest.mark.parametrize("tolerance", [0, 1, 2, 9])
def test_law_with_near_transitions_exactly(desired, tolerance):
    lengths, share = (4, 2, 3), Fraction(1, 2)
    data = build(lengths, desired)
    plain = Sampler(data, 0.5, tolerance)
    sampler = Sampler(data, 0.5, tolerance, near=True)
    hits = sampler.hits.tolist()
    places = math.lcm(*range(1, 5), max(1, len(hits)))
    points = grid(sum(lengths), 12, 2, places)
    rho, q = sampler(points)
    law, total = Counter(), sum(lengths)
    relabelled = share if hits else 1
    for e, T in enumerate(lengths):
        for f in range(1, T + 1):
            near = [k for k in range(1, T + 1) if abs(k - f) <= tolerance]
            drawn = sum(Fraction(1, total) / (T - t) for t in range(f))
            for k in near:
                s, goal = NEXT * e + k - 1, NEXT * e + f
                law[s, s, s + 1, goal] += relabelled * drawn / len(near)
    for e, t in hits:
        s = NEXT * e + t
        law[s, s, s + 1, desired[e]] += (1 - share) / len(hits)
    assert count(q) == clean(law)
    assert count(rho) == count(plain(points)[0])
    last = torch.full((1, 1, 4), LAST, dtype=torch.float64)
    for edge in (last, 0 * last):
        read(sampler(edge)[1])
    level = build((4, 4, 4), desired)
    with pytest.raises(ValueError, match="near needs sampler=corrected"):
        ReleasedSampler(level, near=True)


@pytest.mark.parametrize("share", [Fraction(3, 4), Fraction(5, 6), 1])
def test_law_with_goals_ahead_exactly(share):
    lengths, tolerance = (4, 2, 3), 1.5
    data = build(lengths, (3, 1002, -1))
    sampler = Sampler(data, 1.0, tolerance, float(share))
    leaving = {0: (0, 1, 2), 1: (0,), 2: (0, 1)}
    assert sampler.draw_rows.leaving.tolist() == [0, 1, 2, 4, 6, 7]
    natural = Fraction(6, 9)
    x = (share - natural) / (1 - natural)
    assert math.isclose(sampler.draw_rows.extra, x)
    rho, q = Counter(), Counter()
    for e, T in enumerate(lengths):
        for t in range(T):
            start = (1 - x) / 9 + (x / 6 if t in leaving[e] else 0)
            for f in range(t + 1, T + 1):
                s, last, g = (NEXT * e + k for k in (t, f - 1, f))
                rho[s, s, s + 1, g] += start / (T - t)
                q[last, last, g, g] += start / (T - t)
    fine = 6 * 9 * x.denominator
    found = map(count, sampler(grid(fine, 12, 1, 1)))
    assert tuple(found) == (clean(rho), clean(q))


@pytest.mark.parametrize("ahead", [0.0, 6 / 9, 1.0])
def test_data_that_leave_enough_are_left_alone(ahead):
    data = build((4, 2, 3), (3, 1002, -1))
    plain = Sampler(data, 0.8, 1.5)
    other = Sampler(data, 0.8, 1e6 if ahead == 1 else 1.5, ahead)
    assert other.draw_rows.extra == 0.0
    u = draw_uniforms([torch.Generator().manual_seed(0)], 99, 4)
    for a, b in zip(plain.draw_rows(u[..., 0]), other.draw_rows(u[..., 0])):
        assert torch.equal(a, b)


def test_rows_at_the_edges_of_the_uniforms():
    sampler = Sampler(build((4, 2, 3), (3, 1002, -1)), 0.8, 1.5, 0.7)
    edge, x = 2.0**-53, sampler.draw_rows.extra
    u = torch.tensor([0.0, x - edge, x, LAST], dtype=torch.float64)
    leaving = sampler.draw_rows.leaving.tolist()
    assert sampler.draw_rows(u).tolist() == [leaving[0], leaving[-1], 0, 8]


def test_hindsight_goals_are_shared_in_every_batch():
    sampler = Sampler(build((4, 2, 3), (3, 1002, 7)), hindsight=0.8)
    generator = torch.Generator().manual_seed(0)
    u = draw_uniforms([generator] * 3, 64, sampler.columns)
    rho, q = sampler(u)
    relabel = u[..., 2] < 0.8
    assert torch.equal(rho.goals[relabel], q.goals[relabel])
    assert not torch.equal(rho.goals, q.goals)
    assert 0.6 < relabel.double().mean() < 0.95


def test_shares_of_desired_goals():
    data = build([4] * 3, (2, 1003, -1))
    for name, sampler in SAMPLERS.items():
        for hindsight in (0.0, 0.3, 1.0):
            draws = torch.Generator().manual_seed(0)
            chosen = sampler(data, hindsight)
            rho, q = chosen(draw_uniforms([draws], 50_000, chosen.columns))
            own = [g == (2, 1003, -1)[s // NEXT] for s, _, _, g in read(rho)]
            below = 1 - hindsight
            assert np.mean(own) >= below - 0.01, name
            if hindsight == 0.0:
                assert all(own)
                assert {g for *_, g in read(q)} == {2, 1003}


def test_hits_use_the_tolerance_and_the_state_after_the_action():
    data = build((4, 2), (2, 1002))
    assert find_hits(data, 0.0).tolist() == [[0, 1], [1, 1]]
    assert find_hits(data, 1.0).tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
        [1, 0],
        [1, 1],
    ]
    assert find_hits(data, 0.999).tolist() == [[0, 1], [1, 1]]
    assert find_hits(build((2,), (-5,)), 0.5).shape == (0, 2)


def test_norm_runs_over_all_goal_dimensions():
    goals = np.zeros((1, 3, 2))
    goals[0, 1] = (0.3, 0.4)
    goals[0, 2] = (0.5, 0.4)
    arrays = (goals, np.zeros((1, 2, 1)), goals, np.zeros((1, 2)))
    assert find_hits(as_trajectories(*arrays), 0.5001).tolist() == [[0, 0]]


def test_take_gathers_what_it_says():
    data = build((4, 2), (2, 1002))
    episode, step = torch.tensor([[0, 1]]), torch.tensor([[3, 0]])
    goals = torch.tensor([[[4.0], [1002.0]]])
    steps = torch.tensor([[1, 2]])
    batch = take(data, episode, step, goals, steps, 0.5)
    assert read(batch) == [(3, 3, 4, 4), (1000, 1000, 1001, 1002)]
    assert batch.reached.tolist() == [[1.0, 0.0]]
    assert batch.steps.tolist() == [[1.0, 2.0]]
    assert batch.achieved.tolist() == [[[3.0], [1000.0]]]
    assert batch.first_observations[..., 0].tolist() == [[0.0, 1000.0]]
    assert batch.noise.shape == (1, 2, 0)
    wider = take(data, episode, step, goals, steps, 1.0)
    assert wider.reached.tolist() == [[1, 1]]


def test_steps_count_from_here_to_the_goal():
    data = build((4, 2), (2, 1002))
    sampler = Sampler(data, 0.5, 0.5)
    dice = torch.rand(1, 400, 4, dtype=torch.float64)
    rho, q = sampler(dice)
    hindsight = dice[..., 2] < 0.5
    ahead = (rho.goals - rho.achieved)[..., 0]
    assert torch.equal(rho.steps[hindsight], ahead[hindsight])
    assert not rho.steps[~hindsight].any()
    assert (q.steps == 1).all() and (q.reached == 1).all()


@pytest.mark.parametrize("discount", [0.3, 0.9, 0.999])
def test_geometric_futures_have_their_exact_law(discount):
    """Midpoints of a fine grid fall to each step in proportion."""
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    for left in (1, 2, 7, 50):
        found = draw_future(u, torch.tensor(left), discount)
        assert found.min() == 0 and found.max() < left
        weights = discount ** torch.arange(left, dtype=torch.float64)
        shares = found.bincount(minlength=left).double() / len(u)
        assert (shares - weights / weights.sum()).abs().max() < 2e-5


def test_discount_one_is_uniform_and_others_are_refused():
    u = torch.rand(1000, dtype=torch.float64)
    left = torch.randint(1, 50, (1000,))
    assert torch.equal(draw_future(u, left, 1.0), (u * left).long())
    top = torch.full((1,), 1 - 2**-53, dtype=torch.float64)
    assert draw_future(top, torch.tensor([50]), 0.5).item() == 49
    for wrong in (0.0, -1.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="discount must lie in"):
            Sampler(build((4, 2), (2, 1002)), discount=wrong)


def test_a_seed_draws_alike_alone_and_among_ten():
    def draw(*seeds):
        generators = [torch.Generator().manual_seed(s) for s in seeds]
        return draw_uniforms(generators, 32, 4)

    among, alone = draw(*range(10)), draw(7)
    assert among.shape == (10, 32, 4) and among.dtype == torch.float64
    assert torch.equal(among[7], alone[0])
    assert not torch.equal(among[7], among[6])
    assert among.min() >= 0 and among.max() < 1


def test_arrays_become_float32_copies():
    arrays = [
        np.zeros((2, 4, 5)),
        np.zeros((2, 3, 1)),
        np.zeros((2, 4, 2), dtype=np.float32),
        np.zeros((2, 2), dtype=">f4"),
    ]
    data = as_trajectories(*arrays)
    for array, field in zip(arrays, ("observations", "actions")):
        assert getattr(data, field).dtype == torch.float32
        assert getattr(data, field).shape == array.shape
    arrays[2][:] = 7
    assert (data.achieved_goals == 0).all()
    assert data.lengths.tolist() == [3, 3] and data.transitions == 6
    lists = as_trajectories(*(array.tolist() for array in arrays))
    assert (lists.achieved_goals == 7).all()


def test_read_only_and_reversed_arrays_are_taken():
    states = np.arange(8.0, dtype=np.float32).reshape(2, 4, 1)[:, ::-1]
    states.flags.writeable = False
    data = as_trajectories(
        states, states[:, 1:] / 8, states, np.zeros((2, 1), np.float32)
    )
    assert data.observations[0, :, 0].tolist() == [3, 2, 1, 0]


def test_device_argument():
    data = build((4, 2), (2, 1002), device="meta")
    for name in ("observations", "actions", "achieved_goals", "lengths"):
        assert getattr(data, name).device.type == "meta"
    assert build((4, 2), (2, 1002)).to("meta").lengths.is_meta
    with pytest.raises(RuntimeError):
        build((4, 2), (2, 1002), device="abacus")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_agree_across_devices(name):
    desired = (2, 1003, -1)
    here = SAMPLERS[name](build([4] * 3, desired))
    there = SAMPLERS[name](build([4] * 3, desired, "cuda"))
    generator = torch.Generator("cuda").manual_seed(0)
    uniforms = draw_uniforms([generator], 10_000, here.columns)
    for one, other in zip(here(uniforms.cpu()), there(uniforms)):
        assert other.goals.is_cuda
        assert read(one) == read(other)


GOOD = dict(
    observations=np.zeros((2, 4, 5)),
    actions=np.zeros((2, 3, 1)),
    achieved_goals=np.zeros((2, 4, 2)),
    desired_goals=np.zeros((2, 2)),
)
NAN, INF = np.full((2, 4, 5), np.nan), np.full((2, 3, 1), np.inf)
BAD = {
    "actions flat": (dict(actions=np.zeros(6)), "actions must be"),
    "actions without T": (dict(actions=np.zeros((2, 3))), "actions must be"),
    "no episode": (dict(actions=np.zeros((0, 3, 1))), "actions must be"),
    "no step": (dict(actions=np.zeros((2, 0, 1))), "actions must be"),
    "no action": (dict(actions=np.zeros((2, 3, 0))), "actions must be"),
    "T observations": (dict(observations=np.zeros((2, 3, 5))), "observations"),
    "flat": (dict(observations=np.zeros((2, 4))), "observations must be"),
    "empty": (dict(observations=np.zeros((2, 4, 0))), "observations must be"),
    "T goals": (dict(achieved_goals=np.zeros((2, 3, 2))), "achieved_goals"),
    "goal sizes": (dict(achieved_goals=np.zeros((2, 4, 3))), "achieved_goals"),
    "goals per step": (dict(desired_goals=np.zeros((2, 3, 2))), "_goals must"),
    "goals flat": (dict(desired_goals=np.zeros(2)), "_goals must be"),
    "goal episodes": (dict(desired_goals=np.zeros((3, 2))), "desired_goals"),
    "lengths count": (dict(lengths=[3]), "lengths must be"),
    "length 0": (dict(lengths=[3, 0]), "whole numbers in 1 to 3"),
    "length T + 1": (dict(lengths=[3, 4]), "whole numbers in 1 to 3"),
    "length 2.5": (dict(lengths=[3, 2.5]), "whole numbers in 1 to 3"),
    "length NaN": (dict(lengths=[3, np.nan]), "whole numbers in 1 to 3"),
    "NaN": (dict(observations=NAN), "observations holds NaN or infinity"),
    "infinity": (dict(actions=INF), "actions holds NaN or infinity"),
    "goal NaN": (dict(desired_goals=NAN[:, 0, :2]), "desired_goals holds NaN"),
    "achieved": (dict(achieved_goals=NAN[..., :2]), "achieved_goals holds"),
    "words": (dict(actions=[[["left"]]]), "could not convert"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_do_not_fit_are_refused(name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message) as error:
        as_trajectories(**GOOD | changes)
    assert "\n" not in str(error.value)


def test_nan_in_padding_is_allowed_and_before_it_is_not():
    arrays = {k: v.copy() for k, v in GOOD.items()}
    arrays["observations"][1, 3] = np.nan
    arrays["achieved_goals"][1, 3] = np.inf
    arrays["actions"][1, 2] = np.nan
    as_trajectories(**arrays, lengths=[3, 2])
    arrays["observations"][1, 2] = np.nan
    with pytest.raises(ValueError, match="observations holds NaN"):
        as_trajectories(**arrays, lengths=[3, 2])


RECORDED = np.random.default_rng(0).uniform(-5, 5, (2, 3, 1))


@pytest.mark.parametrize("kind", ["<f4", "<f8", ">f4"])
def test_actions_beyond_the_box_are_refused_or_scaled(kind):
    actions = RECORDED.astype(kind)
    largest = float(np.abs(actions).max())
    with pytest.raises(ValueError, match=f"reach {largest:.8g}") as error:
        as_trajectories(**GOOD | dict(actions=actions))
    line = str(error.value)
    assert "action_low" in line and "clip" in line and "\n" not in line
    for low, high in ((-5, 5), ([-5.0], [5.0]), (-6, 8)):
        data = as_trajectories(
            **GOOD | dict(actions=actions), action_low=low, action_high=high
        )
        low, high = np.min(low), np.max(high)
        expected = (actions - low) / (high - low) * 2 - 1
        assert data.actions.numpy() == pytest.approx(expected, abs=1e-6)
        assert data.actions.abs().max() <= 1


@pytest.mark.parametrize("excess", [1e-16, 1e-10, 1e-7, 9e-7])
def test_actions_that_are_1_up_to_rounding_are_1(excess):
    actions = np.array([1 + excess, -1 - excess, 0.5]).reshape(1, 3, 1)
    actions = actions.repeat(2, 0)
    data = as_trajectories(**GOOD | dict(actions=actions))
    assert data.actions[0, :, 0].tolist() == [1, -1, 0.5]
    with pytest.raises(ValueError, match="actions reach 1.00"):
        as_trajectories(**GOOD | dict(actions=actions * (1 + 2e-6)))


def test_actions_of_padding_are_not_looked_at():
    actions = np.zeros((2, 3, 1))
    actions[1, 2] = 7
    data = as_trajectories(**GOOD | dict(actions=actions, lengths=[3, 2]))
    assert data.lengths.tolist() == [3, 2]
    with pytest.raises(ValueError, match="reach 7"):
        as_trajectories(**GOOD | dict(actions=actions))


@pytest.mark.parametrize(
    "low, high",
    [(-5, None), (None, 5), (5, -5), (0, 0), (-np.inf, 5), (-5, np.nan),
     ([-5, -5], 5)],
)  # fmt: skip
def test_bounds_that_are_none_are_refused(low, high):
    with pytest.raises(ValueError, match="action_low") as error:
        as_trajectories(**GOOD, action_low=low, action_high=high)
    assert "\n" not in str(error.value)


def test_a_dictionary_and_trajectories_are_taken_for_arrays():
    lengths = np.array([3.0, 2.0])  # whole, as a loop may give them
    arrays = as_trajectories(**GOOD, lengths=lengths)
    for given in (GOOD | {"lengths": lengths}, arrays):
        data = as_trajectories(given)
        for name in (*GOOD, "lengths"):
            one, two = getattr(data, name), getattr(arrays, name)
            assert torch.equal(one, two)
            assert one.data_ptr() != two.data_ptr()
    assert data.lengths.dtype == torch.int64


@pytest.mark.parametrize(
    "given, word",
    [
        (({**GOOD, "rewards": 1},), "have 'rewards'"),
        (({k: v for k, v in GOOD.items() if k != "actions"},), "lack actions"),
        ((GOOD, GOOD["actions"]), "one dictionary or"),
        ((GOOD["observations"],), "lack actions"),
        (("no/such/data",), "no/such/data: No such file"),
        ((b"no/such/data", GOOD), "one dictionary or"),
        ((5,), "lack actions"),
    ],
)
def test_data_that_lack_something(given, word):
    with pytest.raises(ValueError, match=word) as error:
        as_trajectories(*given)
    assert "\n" not in str(error.value)


def test_the_path_of_a_dataset_is_taken_for_its_arrays(tmp_path):
    import smore_lit

    arrays = smore_lit.tiny_dataset("FetchReach")
    path = Path(smore_lit.__file__).parent / "assets/FetchReach/tiny-10.json"
    os.symlink(path.parent, tmp_path / "FetchReach")
    for place in (path, str(path), tmp_path / "FetchReach"):
        data = as_trajectories(place)
        assert (data.actions.numpy() == arrays["actions"]).all()


@pytest.mark.parametrize("left", [1, 3, 50, 1000])
@pytest.mark.parametrize(
    "discount",
    [5e-324, 1e-3, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-6, 1 - 1e-7, 1 - 1e-8,
     1 - 1e-12, math.nextafter(1, 0), 1.0],
)  # fmt: skip
def test_future_follows_its_law_exactly(discount, left):
    """On a grid, every step comes as often as its exact probability says."""
    fine = 20_000
    u = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine
    found = draw_future(u, torch.full((fine,), left), discount)
    counts = found.bincount(minlength=left)
    assert len(counts) == left
    exact = Fraction(discount)
    weights, weight = [], Fraction(1)
    for _ in range(left):
        weights.append(weight)
        weight = Fraction(float(weight * exact))  # to 16 digits
    total = sum(weights)
    law = [float(fine * weight / total) for weight in weights]
    assert np.abs(np.cumsum(counts.numpy()) - np.cumsum(law)).max() < 1


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(hindsight=-0.1), "hindsight must lie in"),
        (dict(hindsight=1.1), "hindsight must lie in"),
        (dict(hindsight=math.nan), "hindsight must lie in"),
        (dict(ahead=-0.1), "ahead must lie in"),
        (dict(ahead=math.nan), "ahead must lie in"),
        (dict(tolerance=-1.0), "tolerance must not be negative"),
        (dict(tolerance=math.nan), "tolerance must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        SAMPLERS[name](build((3, 3), (0, 0)), **settings)


@pytest.mark.parametrize("lengths", [(4, 3), (2, 2), (1, 1), (5,)])
def test_released_sampler_refuses_what_it_cannot_draw(lengths):
    with pytest.raises(ValueError, match="set sampler=corrected"):
        ReleasedSampler(build(lengths, [0] * len(lengths)))


@pytest.mark.parametrize("scaled", [False, True])
def test_the_batch_says_where_a_transition_arrives(scaled):
    """`reaches` agrees with the sampler's flag, on every scale."""
    rng = np.random.default_rng(3)
    paths = rng.normal(size=(40, 11, 2)) * [0.1, 10.0] + [5.0, -3.0]
    actions = rng.uniform(-1, 1, (40, 10, 1))
    data = as_trajectories(paths, actions, paths, paths[:, 4])
    for sampler in SAMPLERS.values():
        drawer = sampler(data, 0.5, 3.0)
        dice = [torch.Generator().manual_seed(5)]
        rho, _ = drawer(draw_uniforms(dice, 500, drawer.columns))
        near = torch.full_like(rho.goals, 3.0)
        assert torch.equal(rho.tolerance, near)
        assert torch.equal(rho.next_achieved, rho.next_observations)
        if scaled:
            scaler = Scaler(2, 2)
            fit_scaler(scaler, data)
            rho = scaler(rho)
        found = reaches(rho.next_achieved, rho.goals, rho.tolerance)
        assert torch.equal(found, rho.reached)
        assert 0.02 < found.mean() < 0.98
