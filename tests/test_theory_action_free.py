"""The action-free dual against convex solvers that do not know it."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from smore_lit.theory.action_free import (
    action_free_objective,
    clamped_conjugate,
    clamped_ratio,
    flow_matrix,
    reachable_support,
    solve_action_free,
    solve_matching,
    state_difference,
)
from smore_lit.theory.divergences import DIVERGENCES
from smore_lit.theory.duality import (
    Problem,
    bellman_matrix,
    exact_score,
    matching_value,
    random_problem,
)
from smore_lit.theory.goal_transitions import (
    hard_goal_transitions,
    soft_goal_transitions,
)
from smore_lit.theory.occupancies import (
    GoalMDP,
    occupancy,
    random_mdp,
    random_policy,
    state_flow_residual,
)

NAMES = list(DIVERGENCES)


def problem(seed):
    return random_problem(np.random.default_rng(seed))


def given(name, p):
    return DIVERGENCES[name], p.mdp, p.rho, p.q, p.beta


def clarabel(name, p, signed=False):
    """Return the best -D_f found by Clarabel, d signed if asked."""
    S, A, G = p.q.shape
    cost, rules, slope = 0, [], DIVERGENCES[name].domain[1]
    for g in range(G):
        m = (p.beta * p.q + (1 - p.beta) * p.rho)[:, :, g].ravel()
        rho, q = p.rho[:, :, g].ravel(), p.q[:, :, g].ravel()
        d, on = cp.Variable(S * A), m > 0
        if not on.all():
            cost += slope * p.beta * cp.sum(d[~on])
        mixed = (p.beta * d + (1 - p.beta) * rho)[on]
        rules.append(d[~on] >= 0)
        for t in range(S):
            enters = (1 - p.mdp.gamma) * p.mdp.start[t] * p.mdp.goal_law[g]
            into = p.mdp.transitions[:, :, t].ravel()
            leaves = cp.sum(d[t * A : (t + 1) * A])
            rules.append(leaves == enters + p.mdp.gamma * (into @ d))
        rules.append(mixed >= 0 if signed else d >= 0)
        m, q, here = m[on], q[on], d[on]
        w = cp.multiply(1 / m, mixed)
        if name == "chi2":
            cost += m @ cp.square(w - 1)
        elif name == "kl":
            cost += cp.sum(cp.rel_entr(mixed, m))
        elif name == "hellinger":
            cost += m @ (w - 2 * cp.sqrt(w) + 1)
        elif name == "js":
            middle = (mixed + m) / 2
            cost += cp.sum(cp.rel_entr(mixed, middle))
            cost += cp.sum(cp.rel_entr(m, middle))
        else:
            cost += cp.norm1(p.beta * (here - q)) / 2
    task = cp.Problem(cp.Minimize(cost), rules)
    return -task.solve(
        solver=cp.CLARABEL,
        tol_gap_abs=1e-10,
        tol_gap_rel=1e-10,
        tol_feas=1e-10,
    )


BOUNDED = [n for n in NAMES if np.isfinite(DIVERGENCES[n].domain[1])]


def draw_holes(seed):
    """Return a problem whose data and goal transitions leave holes."""
    rng = np.random.default_rng(seed)
    states, actions = int(rng.integers(2, 6)), int(rng.integers(2, 4))
    goals, gamma = int(rng.integers(1, 3)), float(rng.choice([0.5, 0.9]))
    mdp = random_mdp(rng, states, actions, goals, gamma, rng.random() < 0.5)
    if rng.random() < 0.5:
        start = np.eye(states)[rng.integers(states)]
        mdp = GoalMDP(mdp.transitions, start, mdp.goal_law, mdp.phi, gamma)
    shape = states, actions, goals
    rho = rng.dirichlet(np.ones(np.prod(shape))).reshape(shape)
    rho = rho * (rng.random(shape) < 0.4)
    q = hard_goal_transitions(mdp) * (rng.random(shape) < 0.5)
    rho[0, 0, 0] += 0.1
    q[-1, -1, 0] += 0.1
    beta = float(rng.choice([0.3, 0.5, 0.9, 1.0]))
    return Problem(mdp, None, rho / rho.sum(), q / q.sum(), beta)


@pytest.mark.parametrize("name", BOUNDED)
def test_holes_are_filled_as_a_second_solver_fills_them(name):
    used = unreached = 0
    for seed in range(12):
        p = draw_holes(seed)
        m = p.beta * p.q + (1 - p.beta) * p.rho
        dual = solve_action_free(*given(name, p))
        assert abs(dual.gap) < 1e-10  # of dual and the policy's own value
        assert abs(dual.value - clarabel(name, p)) < 1e-5
        assert abs(dual.value - solve_matching(*given(name, p)).value) < 1e-9
        assert dual.smallest > -1e-12
        d = dual.occupancy
        assert np.abs(state_flow_residual(p.mdp, d)).max() < 1e-9
        assert np.allclose(occupancy(p.mdp, dual.policy), d, atol=1e-9)
        outside = np.where(m > 0, d, 0)
        used += np.abs(state_flow_residual(p.mdp, outside)).max() > 1e-3
        unreached += (d.sum(axis=1) < 1e-12).any()
        y = state_difference(p.mdp, dual.score)
        room = DIVERGENCES[name].domain[1] - y[m == 0]
        assert room.min(initial=0) >= 0
        assert (d[m == 0] * room).max(initial=0) < 1e-9
    assert used >= 3 and unreached >= 1


@pytest.mark.parametrize("name", BOUNDED)
def test_holes_of_the_printed_form(name):
    for seed in range(4):
        p = draw_holes(seed)
        loose = solve_action_free(*given(name, p), corrected=False)
        assert abs(loose.value - clarabel(name, p, signed=True)) < 1e-5


def test_the_two_states_that_refuted_clause_4():
    p = np.zeros((2, 2, 2))
    p[0, 0, 1] = p[0, 1, 0] = p[1, :, 1] = 1
    world = GoalMDP(p, np.eye(2)[0], np.eye(2)[1], np.arange(2), 0.5)
    rho, q = np.zeros((2, 2, 2, 2))
    rho[0, 1, 1], q[1, :, 1] = 1.0, 0.5
    task = DIVERGENCES["hellinger"], world, rho, q, 0.5
    third = np.array([[1 / 3, 1 / 3], [1 / 6, 1 / 6]])
    dual, best = solve_action_free(*task), solve_matching(*task)
    assert np.allclose(dual.occupancy[:, :, 1], third, atol=1e-9)
    assert np.allclose(best.occupancy[:, :, 1], third, atol=1e-4)
    assert abs(dual.value + 2 - 3**0.5) < 1e-10
    assert abs(best.value + 2 - 3**0.5) < 1e-10
    outside = np.where(0.5 * q + 0.5 * rho > 0, dual.occupancy, 0)
    broken = np.abs(state_flow_residual(world, outside)).max()
    assert abs(broken - 1 / 3) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_states_out_of_reach_do_not_hurt(name):
    """A single start, beta = 1 and a soft q: the infimum is not attained."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        mdp = random_mdp(rng, 6, 2, 1, 0.9, deterministic=True)
        start = np.eye(6)[seed % 6]
        mdp = GoalMDP(mdp.transitions, start, mdp.goal_law, mdp.phi, 0.9)
        q = soft_goal_transitions(mdp, 1.0)
        p = Problem(mdp, None, q, q, 1.0)
        dual = solve_action_free(*given(name, p))
        assert abs(dual.gap) < 1e-9
        value = action_free_objective(*given(name, p), dual.score)
        assert value == dual.value


@pytest.mark.parametrize("name", NAMES)
def test_three_solvers_agree(name):
    for seed in range(6):
        p = problem(seed)
        best = solve_matching(*given(name, p))
        dual = solve_action_free(*given(name, p))
        oracle = clarabel(name, p)
        close = 1e-6 * max(1, abs(oracle))
        assert abs(best.value - oracle) < close
        assert abs(dual.value - oracle) < close


def clarabel_dual(name, p, corrected=True):
    """Return the least action-free dual found by Clarabel.

    The floor enters as the multiplier of d >= 0, not as a clamp.
    """
    S, A, G = p.q.shape
    score, cost, rules = cp.Variable((S, G)), 0, []
    ahead = p.mdp.gamma * p.mdp.transitions.reshape(S * A, S)
    step = ahead - np.repeat(np.eye(S), A, axis=0)
    start = (1 - p.mdp.gamma) * np.outer(p.mdp.start, p.mdp.goal_law)
    for g in range(G):
        rho, q = p.rho[:, :, g].ravel(), p.q[:, :, g].ravel()
        m, y = p.beta * q + (1 - p.beta) * rho, step @ score[:, g]
        price = cp.Variable(S * A, nonneg=True)
        rules += [] if corrected else [price == 0]
        z = y + price
        if name == "chi2":
            conjugate = cp.square(cp.pos(z / 2 + 1)) - 1
        elif name == "kl":
            conjugate = cp.exp(z - 1)
        elif name == "hellinger":
            conjugate = cp.inv_pos(1 - z) - 1
        elif name == "js":
            conjugate = cp.Variable(S * A)
            rules.append(cp.exp(z) + cp.exp(-conjugate) <= 2)
        else:
            conjugate = cp.maximum(z, -0.5)
            rules.append(z <= 0.5)
        cost += p.beta * (start[:, g] @ score[:, g]) + m @ conjugate
        cost -= (1 - p.beta) * (rho @ z)
    return cp.Problem(cp.Minimize(cost), rules).solve(
        solver=cp.CLARABEL,
        tol_gap_abs=1e-10,
        tol_gap_rel=1e-10,
        tol_feas=1e-10,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_second_solver_closes_the_gap_by_itself(name):
    for seed in range(6):
        p = problem(seed)
        primal, dual = clarabel(name, p), clarabel_dual(name, p)
        close = 1e-6 * max(1, abs(primal))
        assert abs(dual - primal) < close
        assert abs(solve_action_free(*given(name, p)).value - dual) < close
        loose = clarabel_dual(name, p, corrected=False)
        ours = solve_action_free(*given(name, p), corrected=False).value
        assert abs(ours - loose) < close
        excess = ours - solve_matching(*given(name, p)).value
        assert abs((loose - primal) - excess) < 2 * close


@pytest.mark.parametrize("name", NAMES)
def test_corrected_gap_closes_on_fifty_problems(name):
    for seed in range(50):
        p = problem(seed)
        best = solve_matching(*given(name, p))
        dual = solve_action_free(*given(name, p))
        assert abs(dual.value - best.value) < 1e-6
        assert abs(dual.gap) < 1e-6
        assert dual.smallest > -1e-9
        residual = state_flow_residual(p.mdp, dual.occupancy)
        assert np.abs(residual).max() < 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_printed_form_is_the_dual_of_signed_measures(name):
    wrong = 0
    for seed in range(6):
        p = problem(seed)
        dual = solve_action_free(*given(name, p), corrected=False)
        oracle = clarabel(name, p, signed=True)
        assert abs(dual.value - oracle) < 1e-6 * max(1, abs(oracle))
        best = solve_matching(*given(name, p)).value
        assert dual.value > best - 1e-9
        wrong += dual.value > best + 1e-6
    assert wrong >= 2


def test_the_least_printed_occupancy_is_clearly_negative():
    rng, least, excess = np.random.default_rng(3), 0, 0
    for _ in range(20):
        mdp = random_mdp(rng, 5, 3, 2, 0.9, deterministic=True)
        rho = rng.dirichlet(np.full(30, 0.1)) * 0.98 + 0.02 / 30
        rho, q = rho.reshape(5, 3, 2), hard_goal_transitions(mdp)
        task = DIVERGENCES["chi2"], mdp, rho, q, 0.5
        wrong = solve_action_free(*task, corrected=False)
        right = solve_action_free(*task)
        least = min(least, wrong.smallest)
        excess = max(excess, wrong.value - right.value)
    assert least < -0.01 and excess > 0.005


@pytest.mark.parametrize("name", NAMES)
def test_weak_duality_at_any_score(name):
    for seed in range(10):
        p, rng = problem(seed), np.random.default_rng(seed)
        policy = random_policy(rng, p.mdp)
        value = matching_value(
            DIVERGENCES[name], p.mdp, policy, p.rho, p.q, p.beta
        )
        for scale in (0.01, 0.1, 1.0):
            score = scale * rng.normal(size=(p.mdp.states, p.mdp.goals))
            high = action_free_objective(*given(name, p), score)
            loose = action_free_objective(
                *given(name, p), score, corrected=False
            )
            assert value <= high + 1e-12 <= loose + 2e-12


@pytest.mark.parametrize("name", ["chi2", "kl"])
def test_a_quasi_newton_solver_finds_the_same_minimum(name):
    for seed in range(4):
        p = problem(seed)
        for corrected in (True, False):
            dual = solve_action_free(*given(name, p), corrected=corrected)
            task, shape = given(name, p), dual.score.shape

            def value(s, task=task, shape=shape, corrected=corrected):
                return action_free_objective(
                    *task, s.reshape(shape), corrected=corrected
                )

            found = minimize(
                value,
                dual.score.ravel() * 0.9,
                method="L-BFGS-B",
                options={"maxfun": 3000},
            )
            assert found.fun > dual.value - 1e-7 * max(1, abs(dual.value))


@pytest.mark.parametrize("name", NAMES)
def test_clamped_conjugate_by_brute_force(name):
    f = DIVERGENCES[name]
    w = np.linspace(0, 12, 120_001)
    for floor in (0.0, 0.4, 1.0):
        y = np.linspace(-5, min(f.domain[1], 2) - 0.4, 40)
        allowed = w[w >= floor - 1e-9]
        table = (
            np.outer(y, allowed)
            - f.generator(torch.as_tensor(allowed)).numpy()
        )
        low = np.full_like(y, floor)
        assert np.allclose(
            clamped_conjugate(f, y, low), table.max(1), atol=1e-6
        )
        if name != "tv":
            argmax = allowed[table.argmax(1)]
            assert np.allclose(clamped_ratio(f, y, low), argmax, atol=2e-4)


def test_flow_matrix_is_the_difference():
    p = problem(0)
    score = np.random.default_rng(0).normal(size=(p.mdp.states, p.mdp.goals))
    flat = state_difference(p.mdp, score).reshape(-1, p.mdp.goals)
    assert np.allclose(flow_matrix(p.mdp).T @ score, flat)


def test_reachable_support_by_linear_programs():
    rng = np.random.default_rng(0)
    seen = refused = 0
    for _ in range(30):
        mdp = random_mdp(rng, 4, 2, 1, 0.9, deterministic=True)
        start = np.eye(4)[rng.integers(4)]
        mdp = GoalMDP(mdp.transitions, start, mdp.goal_law, mdp.phi, 0.9)
        allowed = rng.random((4, 2, 1)) < 0.5
        flow, wall = -flow_matrix(mdp), 1.0 * ~allowed.ravel()
        bounds = [(0, 0 if w else None) for w in wall]
        most = []
        for x in range(8):
            program = linprog(
                -np.eye(8)[x], A_eq=flow, b_eq=0.1 * start, bounds=bounds
            )
            most.append(np.nan if program.status else -program.fun)
        if np.isnan(most).any():
            refused += 1
            with pytest.raises(ValueError, match="every policy leaves"):
                reachable_support(mdp, allowed)
            continue
        support = reachable_support(mdp, allowed).ravel()
        assert np.array_equal(support, np.array(most) > 1e-7)
        seen += 1
    assert seen > 3 and refused > 3


def test_uncovered_starts_are_refused():
    p = problem(0)
    rho, q = np.zeros_like(p.rho), np.zeros_like(p.q)
    rho[0, 0, 0] = q[0, 0, 0] = 1.0
    for solve in (solve_matching, solve_action_free):
        with pytest.raises(ValueError, match="soft q") as error:
            solve(DIVERGENCES["kl"], p.mdp, rho, q, 0.5)
        assert "\n" not in str(error.value)
    best = solve_matching(DIVERGENCES["js"], p.mdp, rho, q, 0.5)
    d = occupancy(p.mdp, best.policy)
    assert np.isfinite(best.value) and np.allclose(d, best.occupancy)
    dual = solve_action_free(DIVERGENCES["js"], p.mdp, rho, q, 0.5)
    assert abs(dual.value - best.value) < 1e-9
    with pytest.raises(ValueError, match="score has shape"):
        state_difference(p.mdp, np.zeros((1, 1)))


def policy_moves_last(p, floored):
    """Return inf over S of the largest Pearson dual over all policies."""
    S, A, _ = p.q.shape
    m = (p.beta * p.q + (1 - p.beta) * p.rho).ravel()
    rho, score, top = p.rho.ravel(), cp.Variable(S * A), cp.Variable()
    eta, rules = p.beta * p.q.ravel() / m, []
    for choice in itertools.product(range(A), repeat=S):
        policy = np.eye(A)[list(choice)][:, None]
        y = bellman_matrix(p.mdp, policy)[0] @ score
        if floored:
            gain = m @ (cp.square(cp.pos(2 * eta + y)) / 4 - eta**2)
        else:
            gain = m @ (y + cp.square(y) / 4) - (1 - p.beta) * (rho @ y)
        start = (p.mdp.start[:, None] * policy[:, 0]).ravel()
        first = p.beta * (1 - p.mdp.gamma) * (start @ score)
        rules.append(first + gain <= top)
    return cp.Problem(cp.Minimize(top), rules).solve(solver=cp.CLARABEL)


def test_the_policy_may_move_last_only_if_the_occupancy_keeps_its_sign():
    gaps = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        states, gamma = int(rng.integers(2, 4)), float(rng.choice([0.5, 0.9]))
        mdp = random_mdp(rng, states, 2, 1, gamma, True)
        rho = rng.dirichlet(np.full(2 * states, 0.3)) * 0.98 + 0.01 / states
        q = hard_goal_transitions(mdp)
        p = Problem(mdp, None, rho.reshape(-1, 2, 1), q, 0.5)
        best = solve_matching(*given("chi2", p)).value
        assert abs(policy_moves_last(p, floored=True) - best) < 1e-5
        gaps.append(policy_moves_last(p, floored=False) - best)
    assert min(gaps) > -1e-5 and max(gaps) > 0.05
    assert sum(gap < 1e-5 for gap in gaps) >= 3


def test_a_score_of_actions_gives_a_score_of_states():
    """At a best policy, the largest of its scores minimises the dual."""
    done = 0
    for seed in range(12):
        p = problem(seed)
        best, task = solve_matching(*given("chi2", p)), given("chi2", p)
        score = exact_score(task[0], p.mdp, best.policy, *task[2:])
        held = np.einsum("sga,sag->sg", best.policy, score)
        if (score.max(axis=1) > held + 1e-6).any():
            continue
        value = action_free_objective(*task, score.max(axis=1))
        assert abs(value - best.value) < 1e-6
        done += 1
    assert done >= 5
