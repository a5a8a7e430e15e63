"""Occupancies against plain sums, linear programs, dice and bad input."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import chi2

from smore_lit.theory.occupancies import (
    MAP,
    MOVES,
    GoalMDP,
    backup,
    best_policy,
    flow_residual,
    goal_reward,
    grid_cells,
    grid_picture,
    grid_world,
    occupancy,
    policy_chain,
    policy_of,
    random_mdp,
    random_policy,
    return_of,
    sample,
    simulate,
    state_flow_residual,
)

SIZES = [(1, 1, 1), (2, 1, 2), (5, 3, 2), (8, 4, 3)]
GAMMAS = [0.0, 0.5, 0.9, 0.99]


def draw(seed, size=(6, 3, 3), gamma=0.9, deterministic=False):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, *size, gamma, deterministic)
    return rng, mdp, random_policy(rng, mdp)


def roll(mdp, policy, g, steps):
    """Return the state laws at times 0..steps with plain loops, goal g."""
    laws = [np.array(mdp.start)]
    for _ in range(steps):
        after = np.zeros(mdp.states)
        for s in range(mdp.states):
            for a in range(mdp.actions):
                weight = laws[-1][s] * policy[s, g, a]
                after += weight * mdp.transitions[s, a]
        laws.append(after)
    return laws


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("deterministic", [False, True])
def test_random_worlds_are_worlds(size, deterministic):
    for seed in range(20):
        _, mdp, policy = draw(seed, size, 0.9, deterministic)
        assert (mdp.states, mdp.actions, mdp.goals) == size
        assert policy.shape == (size[0], size[2], size[1])
        assert set(mdp.phi) == set(range(size[2]))
        if deterministic:
            assert set(np.unique(mdp.transitions)) <= {0.0, 1.0}


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_occupancy_is_the_sum_over_time(gamma):
    _, mdp, policy = draw(1, gamma=gamma)
    d = occupancy(mdp, policy)
    for g in range(mdp.goals):
        laws = roll(mdp, policy, g, 400)
        visits = sum(gamma**t * law for t, law in enumerate(laws))
        joint = (1 - gamma) * visits[:, None] * policy[:, g]
        np.testing.assert_allclose(
            d[:, :, g], mdp.goal_law[g] * joint, atol=1e-15
        )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_occupancy_solves_both_flows(size, gamma):
    for seed in range(10):
        _, mdp, policy = draw(seed, size, gamma, bool(seed % 2))
        d = occupancy(mdp, policy)
        assert d.min() >= 0 and abs(d.sum() - 1) < 1e-12
        assert np.allclose(d.sum((0, 1)), mdp.goal_law, atol=1e-13)
        assert np.abs(flow_residual(mdp, policy, d)).max() < 1e-13
        assert np.abs(state_flow_residual(mdp, d)).max() < 1e-13
        seen = d.sum(1) > 1e-12
        assert np.allclose(policy_of(d)[seen], policy[seen], atol=1e-6)


def test_residuals_see_a_wrong_occupancy():
    rng, mdp, policy = draw(3)
    other = occupancy(mdp, random_policy(rng, mdp))
    assert np.abs(flow_residual(mdp, policy, other)).max() > 1e-3
    assert np.abs(state_flow_residual(mdp, other)).max() < 1e-14
    assert np.abs(state_flow_residual(mdp, 0.5 * other)).max() > 1e-3


def test_flow_residual_against_loops():
    rng, mdp, policy = draw(4, (4, 3, 2))
    d = rng.normal(size=(4, 3, 2))
    residual = flow_residual(mdp, policy, d)
    for s, a, g in np.ndindex(4, 3, 2):
        inflow = (1 - 0.9) * mdp.start[s] * mdp.goal_law[g]
        for z, b in np.ndindex(4, 3):
            inflow += 0.9 * mdp.transitions[z, b, s] * d[z, b, g]
        expected = d[s, a, g] - inflow * policy[s, g, a]
        assert np.isclose(residual[s, a, g], expected, atol=1e-14)
        total = d[s, :, g].sum() - inflow
        assert np.isclose(state_flow_residual(mdp, d)[s, g], total)


def test_backup_against_loops_and_as_adjoint():
    rng, mdp, policy = draw(5, (4, 3, 2))
    score, d = rng.normal(size=(2, 4, 3, 2))
    after = backup(mdp, policy, score)
    for s, a, g in np.ndindex(4, 3, 2):
        value = sum(
            mdp.transitions[s, a, t] * policy[t, g, b] * score[t, b, g]
            for t, b in np.ndindex(4, 3)
        )
        assert np.isclose(after[s, a, g], value, atol=1e-14)
    start = np.einsum("s,g,sga->sag", mdp.start, mdp.goal_law, policy)
    left = (flow_residual(mdp, policy, d) * score).sum()
    right = (d * (score - 0.9 * after)).sum() - 0.1 * (start * score).sum()
    assert np.isclose(left, right, atol=1e-13)


def test_return_is_the_discounted_reward():
    _, mdp, policy = draw(6, (5, 2, 3))
    r = goal_reward(mdp)
    total = 0.0
    for g in range(3):
        for t, law in enumerate(roll(mdp, policy, g, 400)):
            earned = (law[:, None] * policy[:, g] * r[:, :, g]).sum()
            total += mdp.goal_law[g] * 0.9**t * earned
    assert np.isclose(return_of(mdp, policy), (1 - 0.9) * total, rtol=1e-12)


def test_best_return_of_a_linear_program_is_not_beaten():
    rng, mdp, _ = draw(7, (6, 3, 2))
    flow = np.stack(
        [
            (
                state_flow_residual(mdp, e.reshape(6, 3, 2))
                - state_flow_residual(mdp, np.zeros((6, 3, 2)))
            ).ravel()
            for e in np.eye(36)
        ],
        axis=1,
    )
    enters = -state_flow_residual(mdp, np.zeros((6, 3, 2))).ravel()
    best = linprog(-goal_reward(mdp).ravel(), A_eq=flow, b_eq=enters)
    assert best.status == 0
    policy = policy_of(best.x.reshape(6, 3, 2))
    assert np.isclose(return_of(mdp, policy), -best.fun, atol=1e-9)
    found = return_of(mdp, best_policy(mdp, goal_reward(mdp)))
    assert np.isclose(found, -best.fun, atol=1e-9)
    others = [return_of(mdp, random_policy(rng, mdp)) for _ in range(200)]
    assert max(others) < -best.fun


@pytest.mark.parametrize("seed", range(10))
def test_best_policy_against_all_choices(seed):
    rng, mdp, _ = draw(seed, (4, 2, 1), 0.9, bool(seed % 2))
    reward = rng.normal(size=(4, 2, 1))
    values = []
    for bits in np.ndindex(2, 2, 2, 2):
        policy = np.eye(2)[np.array(bits)][:, None]
        values.append((occupancy(mdp, policy) * reward).sum())
    found = occupancy(mdp, best_policy(mdp, reward))
    assert np.isclose((found * reward).sum(), max(values), atol=1e-12)


def test_goal_reward_counts_next_states():
    _, mdp, _ = draw(8, (7, 2, 3))
    r = goal_reward(mdp)
    for g in range(3):
        expected = mdp.transitions[:, :, mdp.phi == g].sum(-1)
        np.testing.assert_allclose(r[:, :, g], expected, atol=1e-15)
    assert np.allclose(r.sum(-1), 1)


def test_simulation_and_samples_follow_the_occupancy():
    rng, mdp, policy = draw(9, (4, 2, 2), 0.8)
    d, n = occupancy(mdp, policy), 100_000
    states, actions, goals = simulate(rng, mdp, policy, n, 80)
    assert states.shape == (n, 81) and actions.shape == (n, 80)
    t = np.minimum(rng.geometric(0.2, n) - 1, 79)
    rows = np.arange(n)
    played = states[rows, t], actions[rows, t], goals
    for where in (played, sample(rng, d, n)):
        counts = np.zeros(d.shape)
        np.add.at(counts, where, 1)
        statistic = ((counts - n * d) ** 2 / (n * d)).sum()
        assert chi2.sf(statistic, d.size - 1) > 1e-3


def test_grid_moves_stop_at_walls_and_rims():
    mdp, cells = grid_world(), grid_cells().tolist()
    step = mdp.transitions.argmax(-1)
    assert len(cells) == "".join(MAP).count(".")
    for s, (i, j) in enumerate(cells):
        for a, (di, dj) in enumerate(MOVES.values()):
            target = [i + di, j + dj]
            inside = 0 <= target[0] < 5 and 0 <= target[1] < 5
            free = inside and MAP[target[0]][target[1]] == "."
            assert cells[step[s, a]] == (target if free else [i, j])
    assert list(MOVES) == ["hold", "right", "left", "down", "up"]
    picture = grid_picture(np.arange(mdp.states))
    assert np.isnan(picture).sum() == "".join(MAP).count("#")
    assert np.array_equal(picture[~np.isnan(picture)], np.arange(mdp.states))


def test_grid_is_connected():
    chain = policy_chain(grid_world(), np.full((21, 21, 5), 0.2))[0]
    assert np.all(np.linalg.matrix_power(chain, 40) > 0)


def test_policy_of_unseen_states_is_uniform():
    d = np.zeros((2, 4, 1))
    d[0, 1] = 1
    assert np.array_equal(policy_of(d)[1, 0], np.full(4, 0.25))
    assert np.array_equal(policy_of(d)[0, 0], [0, 1, 0, 0])
    assert np.array_equal(policy_of(d - 1e-12)[0, 0], [0, 1, 0, 0])


GOOD = dict(
    transitions=np.full((2, 1, 2), 0.5),
    start=np.array([0.5, 0.5]),
    goal_law=np.array([1.0]),
    phi=np.array([0, 0]),
    gamma=0.9,
)


@pytest.mark.parametrize(
    "change, match",
    [
        (dict(transitions=np.ones((2, 2))), "states, actions, states"),
        (dict(transitions=np.ones((2, 1, 2))), "misses sum 1"),
        (dict(start=np.array([1.5, -0.5])), "negative"),
        (dict(start=np.array([np.nan, 1])), "undefined"),
        (dict(start=np.array([1.0])), "shape"),
        (dict(goal_law=np.array([0.9])), "misses sum 1"),
        (dict(phi=np.array([0, 1])), "0 to 0"),
        (dict(phi=np.array([0.0, 0.0])), "integer"),
        (dict(gamma=1.0), "gamma"),
        (dict(gamma=-0.1), "gamma"),
    ],
)
def test_bad_worlds_are_refused_in_one_line(change, match):
    GoalMDP(**GOOD)
    with pytest.raises(ValueError, match=match) as caught:
        GoalMDP(**(GOOD | change))
    assert "\n" not in str(caught.value)


def test_bad_arguments_are_refused_in_one_line():
    rng, mdp, policy = draw(0, (5, 3, 2))
    calls = [
        lambda: random_mdp(rng, 2, 1, 3, 0.9),
        lambda: random_mdp(rng, 2, 1, 0, 0.9),
        lambda: occupancy(mdp, policy[..., :2]),
        lambda: occupancy(mdp, 0.5 * policy),
        lambda: backup(mdp, policy, policy),
        lambda: state_flow_residual(mdp, policy[..., 0]),
        lambda: best_policy(mdp, policy),
        lambda: policy_of(np.full((1, 1, 1), -0.1)),
        lambda: sample(rng, np.array([0.5, 0.4]), 3),
        lambda: grid_world(["..", "."]),
        lambda: grid_world(["x"]),
        lambda: grid_world(["#"]),
        lambda: grid_world([]),
    ]
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call()
        assert "\n" not in str(caught.value)
