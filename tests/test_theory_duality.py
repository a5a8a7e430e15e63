"""Theorem 1 against a second solver, finite differences and enumeration."""

import itertools
import math
import warnings

import cvxpy as cp
import numpy as np
import pytest

from smore_lit.theory.divergences import DIVERGENCES, find_divergence
from smore_lit.theory.duality import (
    BETAS,
    GAMMAS,
    bellman_difference,
    best_response,
    dual_gradient,
    dual_objective,
    exact_score,
    matching_value,
    random_problem,
    recover_occupancy,
    shortfall,
    solve_dual,
    solve_game,
    solve_score,
)
from smore_lit.theory.goal_transitions import hard_goal_transitions
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import (
    occupancy,
    random_mdp,
    random_policy,
    state_flow_residual,
)

SMOOTH = [name for name in DIVERGENCES if name != "tv"]


def draw_problems(count, seed=0):
    rng = np.random.default_rng(seed)
    return [random_problem(rng) for _ in range(count)]


def unpack(p):
    return p.mdp, p.policy, p.rho, p.q, p.beta


def loop_dual(name, p, score):
    """Return Eq. 7, one entry at a time."""
    conjugates = {
        "chi2": lambda y: y + y * y / 4 if y >= -2 else -1.0,
        "kl": lambda y: math.exp(y - 1),
        "hellinger": lambda y: y / (1 - y),
        "js": lambda y: -math.log(2 - math.exp(y)),
        "tv": lambda y: max(y, -0.5),
    }
    mdp, total = p.mdp, 0.0
    S, A, G = score.shape
    for s, a, g in itertools.product(range(S), range(A), range(G)):
        ahead = sum(
            mdp.transitions[s, a, t] * p.policy[t, g, b] * score[t, b, g]
            for t in range(S)
            for b in range(A)
        )
        y = mdp.gamma * ahead - score[s, a, g]
        start = mdp.start[s] * mdp.goal_law[g] * p.policy[s, g, a]
        total += p.beta * (1 - mdp.gamma) * start * score[s, a, g]
        m = p.beta * p.q[s, a, g] + (1 - p.beta) * p.rho[s, a, g]
        total += m * conjugates[name](y)
        total -= (1 - p.beta) * p.rho[s, a, g] * y
    return total


@pytest.mark.parametrize("name", DIVERGENCES)
def test_dual_objective_is_equation_7(name):
    rng = np.random.default_rng(3)
    for p in draw_problems(5):
        score = 0.1 * rng.normal(size=p.q.shape)
        found = dual_objective(find_divergence(name), *unpack(p), score)
        assert found == pytest.approx(loop_dual(name, p, score), rel=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_gap_below_1e_8_on_fifty_problems(name):
    seen = set()
    for p in draw_problems(50):
        found = solve_dual(find_divergence(name), *unpack(p))
        primal = matching_value(find_divergence(name), *unpack(p))
        assert abs(found.value - primal) < 1e-8 * abs(primal)
        assert abs(found.gap) < 1e-8
        d = occupancy(p.mdp, p.policy)
        assert np.abs(found.occupancy - d).max() < 1e-8
        seen |= {p.beta, p.mdp.gamma}
    assert seen == {*BETAS, *GAMMAS}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_both_conjugates_give_one_value(name):
    f = find_divergence(name)
    for p in draw_problems(10, seed=1):
        one = solve_dual(f, *unpack(p), over="reals")
        other = solve_dual(f, *unpack(p), over="nonnegative")
        assert one.value == pytest.approx(other.value, rel=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_is_that_of_the_objective(name):
    f, rng = find_divergence(name), np.random.default_rng(0)
    for p in draw_problems(5, seed=2):
        score = 0.05 * rng.normal(size=p.q.shape)
        turn = rng.normal(size=p.q.shape)
        slope = (dual_gradient(f, *unpack(p), score) * turn).sum()
        ends = [
            dual_objective(f, *unpack(p), score + e * turn)
            for e in (1e-5, -1e-5)
        ]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("name", SMOOTH)
def test_certificate_closes_the_gap_and_returns_the_occupancy(name):
    f = find_divergence(name)
    for p in draw_problems(20, seed=4):
        score = exact_score(f, *unpack(p))
        value = dual_objective(f, *unpack(p), score)
        primal = matching_value(f, *unpack(p))
        assert value == pytest.approx(primal, rel=1e-10)
        d = recover_occupancy(f, *unpack(p), score)
        assert np.allclose(d, occupancy(p.mdp, p.policy), atol=1e-10)
        assert np.allclose(dual_gradient(f, *unpack(p), score), 0, atol=1e-10)


def second_solver(name, m, m_q):
    """Return the divergence as a cvxpy expression of m, m_q > 0."""
    if name == "chi2":
        return cp.sum(cp.multiply(1 / m_q, cp.square(m - m_q)))
    if name == "kl":
        return cp.sum(cp.rel_entr(m, m_q))
    if name == "hellinger":
        roots = cp.multiply(np.sqrt(m_q), cp.sqrt(m))
        return cp.sum(m) + m_q.sum() - 2 * cp.sum(roots)
    if name == "js":
        half = (m + m_q) / 2
        return cp.sum(cp.rel_entr(m, half) + cp.rel_entr(m_q, half))
    return 0.5 * cp.sum(cp.abs(m - m_q))


def second_conjugate(name, y):
    """Return the conjugate over x >= 0 as a cvxpy expression of y."""
    if name == "chi2":
        return cp.square(cp.pos(y / 2 + 1)) - 1
    if name == "kl":
        return cp.exp(y - 1)
    if name == "hellinger":
        return cp.inv_pos(1 - y) - 1
    if name == "js":
        u = cp.Variable(y.shape)
        return u, [cp.exp(y) + cp.exp(-u) <= 2]
    return cp.maximum(y, -0.5)


def flow_of(p):
    """Return matrix and right side of the flow equations, policy known."""
    S, A, G = p.q.shape
    rows, right = [], []
    for s, a, g in itertools.product(range(S), range(A), range(G)):
        row = np.zeros((S, A, G))
        row[:, :, g] -= (
            p.mdp.gamma * p.policy[s, g, a] * p.mdp.transitions[:, :, s]
        )
        row[s, a, g] += 1
        rows.append(row.ravel())
        start = p.mdp.start[s] * p.mdp.goal_law[g] * p.policy[s, g, a]
        right.append((1 - p.mdp.gamma) * start)
    return np.array(rows), np.array(right)


def solve_quietly(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accuracy = {f"tol_{k}": 1e-11 for k in ("gap_abs", "gap_rel", "feas")}
        problem.solve(solver="CLARABEL", **accuracy)
    return problem.value


@pytest.mark.parametrize("name", DIVERGENCES)
def test_second_solver_agrees_on_primal_and_dual(name):
    f = find_divergence(name)
    checked = 0
    for p in draw_problems(12, seed=5):
        value = matching_value(f, *unpack(p))
        if value < -50:
            continue
        matrix, right = flow_of(p)
        m_q = mix(p.beta, p.q, p.rho).ravel()
        d = cp.Variable(m_q.size)
        m = p.beta * d + (1 - p.beta) * p.rho.ravel()
        primal = cp.Problem(
            cp.Maximize(-second_solver(name, m, m_q)), [matrix @ d == right]
        )
        score = cp.Variable(m_q.size)
        y = -(matrix.T @ score)
        conjugate = second_conjugate(name, y)
        limits = [y <= f.domain[1]] if math.isfinite(f.domain[1]) else []
        if name == "js":
            conjugate, limits = conjugate
        linear = p.beta * (right @ score)
        linear = linear - (1 - p.beta) * (p.rho.ravel() @ y)
        dual = cp.Problem(cp.Minimize(m_q @ conjugate + linear), limits)
        ours = solve_dual(f, *unpack(p)).value
        scale = max(1.0, abs(value))
        assert abs(solve_quietly(primal) - value) < 1e-6 * scale
        assert abs(solve_quietly(dual) - ours) < 1e-6 * scale
        checked += 1
    assert checked >= 8


@pytest.mark.parametrize("name", SMOOTH)
def test_second_solver_agrees_on_the_best_policy(name):
    f = find_divergence(name)
    for p in draw_problems(6, seed=6):
        S, A, G = p.q.shape
        m_q = mix(p.beta, p.q, p.rho).ravel()
        zero = state_flow_residual(p.mdp, np.zeros((S, A, G))).ravel()
        columns = [
            state_flow_residual(p.mdp, e.reshape(S, A, G)).ravel() - zero
            for e in np.eye(m_q.size)
        ]
        d = cp.Variable(m_q.size, nonneg=True)
        m = p.beta * d + (1 - p.beta) * p.rho.ravel()
        best = solve_quietly(
            cp.Problem(
                cp.Maximize(-second_solver(name, m, m_q)),
                [np.array(columns).T @ d == -zero],
            )
        )
        found = solve_game(f, p.mdp, p.rho, p.q, p.beta, 1e-6, limit=600)
        scale = max(1.0, abs(best))
        assert found.value <= best + 1e-6 * scale
        assert best <= found.value + found.gap + 1e-6 * scale
        assert found.gap < 1e-2 * scale


def test_best_response_against_all_deterministic_policies():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, 4, 2, 1, 0.9)
    reward = rng.normal(size=(4, 2, 1))
    values = [
        (occupancy(mdp, np.eye(2)[list(c)][:, None]) * reward).sum()
        for c in itertools.product(range(2), repeat=4)
    ]
    value, policy = best_response(mdp, reward)
    assert value == pytest.approx(max(values), rel=1e-12)
    assert (occupancy(mdp, policy) * reward).sum() == pytest.approx(value)


@pytest.mark.parametrize("name", SMOOTH)
def test_shortfall_bounds_every_policy(name):
    f, rng = find_divergence(name), np.random.default_rng(7)
    for p in draw_problems(5, seed=7):
        gap, _ = shortfall(f, *unpack(p))
        here = matching_value(f, *unpack(p))
        for _ in range(20):
            other = random_policy(rng, p.mdp)
            there = matching_value(f, p.mdp, other, p.rho, p.q, p.beta)
            assert there <= here + gap + 1e-9


def test_random_problems_are_reproducible_and_within_bounds():
    for p, again in zip(draw_problems(30), draw_problems(30)):
        S, A, G = p.q.shape
        assert S <= 8 and A <= 4 and G <= 3
        assert p.beta in BETAS and p.mdp.gamma in GAMMAS
        assert (mix(p.beta, p.q, p.rho) > 0).all()
        assert np.isclose(p.rho.sum(), 1) and np.isclose(p.q.sum(), 1)
        assert np.array_equal(p.rho, again.rho)
        assert np.array_equal(p.policy, again.policy)


def test_score_and_difference_are_inverse():
    rng = np.random.default_rng(0)
    for p in draw_problems(5):
        y = rng.normal(size=p.q.shape)
        score = solve_score(p.mdp, p.policy, y)
        assert np.allclose(bellman_difference(p.mdp, p.policy, score), y)


def test_bad_input_is_one_line():
    p = draw_problems(1)[0]
    chi2, kl, tv = map(find_divergence, ("chi2", "kl", "tv"))
    with pytest.raises(ValueError, match="choose one of"):
        dual_objective(chi2, *unpack(p), np.zeros_like(p.q), over="naturals")
    hard = hard_goal_transitions(p.mdp)
    hard[0] = 0
    hard = hard / hard.sum()
    with pytest.raises(ValueError, match="use a soft q"):
        solve_dual(chi2, p.mdp, p.policy, p.rho, hard, 1.0)
    with pytest.raises(ValueError, match="no minimiser"):
        exact_score(kl, p.mdp, p.policy, p.rho, hard, 1.0)
    with pytest.raises(ValueError, match="has kinks"):
        solve_game(tv, p.mdp, p.rho, p.q, p.beta)
