"""Solvers end with a converged answer or with one line that says why not."""

import time
from dataclasses import replace

import numpy as np
import pytest

from smore_lit.theory.action_free import (
    reachable_support,
    solve_action_free,
    solve_matching,
)
from smore_lit.theory.divergences import DIVERGENCES
from smore_lit.theory.duality import (
    Problem,
    best_response,
    solve_dual,
    solve_game,
)
from smore_lit.theory.goal_transitions import (
    hard_goal_transitions,
    soft_goal_transitions,
)
from smore_lit.theory.mixtures import mixture_divergence
from smore_lit.theory.occupancies import (
    best_policy,
    occupancy,
    random_mdp,
    random_policy,
    state_flow_residual,
)
from smore_lit.theory.scores import in_sample_score

NAMES = list(DIVERGENCES)


def draw(seed, gamma, beta, size=(4, 2, 1), deterministic=True):
    """Return a problem with one start."""
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, *size, gamma, deterministic)
    mdp = replace(mdp, start=np.eye(size[0])[rng.integers(size[0])])
    policy, q = random_policy(rng, mdp), soft_goal_transitions(mdp, 1.0)
    rho = rng.dirichlet(np.full(q.size, 2.0)).reshape(q.shape)
    return Problem(mdp, policy, rho, q, beta)


def check_all(name, p):
    """Assert that both theorems close their gaps on a problem."""
    f = DIVERGENCES[name]
    fixed = solve_dual(f, p.mdp, p.policy, p.rho, p.q, p.beta)
    assert abs(fixed.gap) < 1e-8 and fixed.steps < 200
    given = f, p.mdp, p.rho, p.q, p.beta
    best, free = solve_matching(*given), solve_action_free(*given)
    close = 1e-6 * max(1, abs(best.value))
    assert abs(free.value - best.value) < close
    assert abs(free.gap) < close and free.smallest > -1e-12
    flow = state_flow_residual(p.mdp, free.occupancy)
    assert np.abs(flow).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_gamma_0_is_solved(name, beta):
    for seed in range(3):
        p = draw(seed, 0.0, beta)
        check_all(name, p)
        support = reachable_support(p.mdp, np.ones_like(p.q, bool))
        only = p.mdp.start[:, None, None] * np.ones_like(p.q) > 0
        assert np.array_equal(support, only)


@pytest.mark.parametrize("name", NAMES)
def test_states_that_are_never_reached_are_solved(name):
    for seed, gamma in enumerate([0.5, 0.9, 0.99, 0.5, 0.9, 0.99]):
        check_all(name, draw(seed, gamma, 1.0))


def test_total_variation_near_gamma_1():
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        gamma = float(rng.choice([0.999, 0.9999, 0.99999]))
        beta = float(rng.choice([0.3, 0.5, 0.9, 1.0]))
        size = int(rng.integers(2, 9)), int(rng.integers(1, 5)), 1
        check_all("tv", draw(seed, gamma, beta, size, bool(seed % 2)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.9999])
def test_one_state_and_one_action(name, gamma):
    begun = time.process_time()
    for beta in (0.5, 1.0):
        p = draw(0, gamma, beta, (1, 1, 1))
        found = solve_dual(
            DIVERGENCES[name], p.mdp, p.policy, p.rho, p.q, beta
        )
        assert found.steps <= 5 and abs(found.value) < 1e-11
    assert time.process_time() - begun < 2


def test_unconverged_newton_is_one_line():
    p = draw(3, 0.9, 0.5)
    given = DIVERGENCES["kl"], p.mdp, p.policy, p.rho, p.q, p.beta
    with pytest.raises(ValueError, match="has not converged") as error:
        solve_dual(*given, limit=1)
    assert "\n" not in str(error.value)


def test_masses_of_1e_27_are_solved_or_refused_in_one_line():
    solved = refused = 0
    for seed in range(12):
        p = draw(seed, 0.9, 0.5, deterministic=False)
        rng = np.random.default_rng(seed)
        rho = np.where(rng.random(p.rho.shape) < 0.5, 1e-27, p.rho)
        q = p.q if seed % 2 else hard_goal_transitions(p.mdp)
        for f in DIVERGENCES.values():
            given = f, p.mdp, rho / rho.sum(), q, p.beta
            try:
                best, free = solve_matching(*given), solve_action_free(*given)
            except ValueError as error:
                assert "\n" not in str(error) and seed % 2 == 0
                refused += 1
                continue
            close = 1e-5 * max(1, abs(best.value))
            assert abs(free.value - best.value) < close
            d = occupancy(p.mdp, best.policy)
            own = mixture_divergence(f, p.beta, d, q, given[2])
            assert own == pytest.approx(-best.value, rel=1e-9)
            solved += 1
    assert solved > refused


def test_policy_iteration_ends_near_gamma_1():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mdp = random_mdp(rng, 6, 3, 2, 0.999999, bool(seed % 2))
        reward = 1e6 * rng.normal(size=(6, 3, 2))
        value, policy = best_response(mdp, reward)
        other = (occupancy(mdp, best_policy(mdp, reward)) * reward).sum()
        assert value == pytest.approx(other, rel=1e-6)


def test_in_sample_score_near_gamma_1():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, 4, 3, 1, 0.99999)
    reward = rng.normal(size=(4, 3, 1))
    begun = time.process_time()
    for tau in (0.1, 0.5, 0.9):
        score, value = in_sample_score(
            mdp, reward, random_policy(rng, mdp), tau
        )
        ahead = np.einsum("sat,tg->sag", mdp.transitions, value)
        assert np.allclose(score, reward + mdp.gamma * ahead, rtol=1e-9)
    assert time.process_time() - begun < 5


def test_the_game_ends_with_its_bound():
    p = draw(0, 0.9, 0.5)
    for name in NAMES:
        if name == "tv":
            continue
        f = DIVERGENCES[name]
        found = solve_game(f, p.mdp, p.rho, p.q, p.beta, limit=200)
        best = solve_matching(f, p.mdp, p.rho, p.q, p.beta).value
        assert found.value <= best + 1e-9 <= found.value + found.gap + 2e-9
