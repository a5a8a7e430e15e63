"""Eqs. 8, 10 and 64 to 72 follow from Theorem 1 where the book says so."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from smore_lit.theory.divergences import find_divergence
from smore_lit.theory.duality import (
    dual_objective,
    matching_value,
    random_problem,
)
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import occupancy, policy_of
from smore_lit.theory.special_cases import (
    kl_game,
    linear_part,
    pearson_game,
    start_score,
)


def problem(seed):
    rng = np.random.default_rng(seed)
    p = random_problem(rng)
    score = rng.normal(size=p.rho.shape)
    return (p.mdp, p.policy, p.rho, p.q, p.beta), score


def add_up(mdp, policy, rho, beta, S):
    """Return the start score and the linear part, one term at a time."""
    states, actions, goals = S.shape
    start = data = 0.0
    for s, a, g in itertools.product(*map(range, S.shape)):
        weight = mdp.start[s] * mdp.goal_law[g] * policy[s, g, a]
        start += weight * S[s, a, g]
        ahead = 0.0
        for t, b in itertools.product(range(states), range(actions)):
            ahead += mdp.transitions[s, a, t] * policy[t, g, b] * S[t, b, g]
        data += rho[s, a, g] * (mdp.gamma * ahead - S[s, a, g])
    return start, beta * (1 - mdp.gamma) * start - (1 - beta) * data


@pytest.mark.parametrize("seed", range(5))
def test_linear_part_is_a_sum(seed):
    (mdp, policy, rho, q, beta), S = problem(seed)
    start, linear = add_up(mdp, policy, rho, beta, S)
    assert np.isclose(start_score(mdp, policy, S), start)
    assert np.isclose(linear_part(mdp, policy, rho, beta, S), linear)


def test_pearson_game_is_theorem_1():
    for seed in range(50):
        parts, S = problem(seed)
        chi2 = find_divergence("chi2")
        theorem = dual_objective(chi2, *parts, S, over="reals")
        assert np.isclose(pearson_game(*parts, S), theorem)
        for c in (0.1, 1.0):
            scaled = pearson_game(*parts, 4 * c * S) / (4 * c)
            assert np.isclose(pearson_game(*parts, S, c), scaled)


def test_kl_forms_differ_by_a_shift_and_one():
    for seed in range(50):
        parts, S = problem(seed)
        theorem = dual_objective(find_divergence("kl"), *parts, S)
        assert np.isclose(kl_game(*parts, S), theorem)
        shift = 1 / (1 - parts[0].gamma)
        printed = kl_game(*parts, S + shift, "printed")
        assert np.isclose(printed, theorem + 1)


@pytest.mark.parametrize("form", ["conjugate", "printed", "contrastive"])
def test_kl_minimum_by_descent(form):
    found = 0
    for seed in itertools.count():
        parts, S = problem(seed)
        if S.size > 20 or parts[0].gamma > 0.95:
            continue
        cost = lambda x: kl_game(*parts, x.reshape(S.shape), form)  # noqa: E731, B023
        least = minimize(cost, np.zeros(S.size), method="BFGS").fun
        value = matching_value(find_divergence("kl"), *parts)
        value += form == "printed"
        assert np.isclose(least, value, atol=1e-6)
        found += 1
        if found == 4:
            break


def test_contrastive_form_is_the_best_shift():
    for seed in range(10):
        parts, S = problem(seed)
        scale = 1 / (1 - parts[0].gamma)
        best = minimize_scalar(
            lambda u: kl_game(*parts, S + scale * u),  # noqa: B023
            bounds=(-20, 20),
            method="bounded",
            options={"xatol": 1e-10},
        ).fun
        assert np.isclose(kl_game(*parts, S, "contrastive"), best)


def test_contrastive_form_does_not_overflow():
    parts, S = problem(0)
    value = kl_game(*parts, 1e4 * S, "contrastive")
    assert np.isfinite(value)


def test_telescope_needs_the_data_policy_and_a_factor():
    for seed in range(30):
        (mdp, policy, rho, q, beta), S = problem(seed)
        lived = occupancy(mdp, policy)
        zero = linear_part(mdp, policy, lived, 0.0, S)
        start = start_score(mdp, policy_of(lived), S)
        assert np.isclose(zero, (1 - mdp.gamma) * start)
        other = policy[:, :, ::-1]
        missed = linear_part(mdp, other, lived, 0.0, S)
        if mdp.states > 2 and mdp.actions > 2:
            assert not np.isclose(missed, (1 - mdp.gamma) * start)


def test_minimiser_of_the_printed_telescope_has_too_much_mass():
    for seed in range(200):
        (mdp, policy, rho, q, beta), S = problem(seed)
        if S.size <= 24 and mdp.gamma == 0.5 and beta < 1:
            break
    goal = mix(beta, q, rho)
    clone = policy_of(rho)

    def cost(x, kappa):
        S = x.reshape(rho.shape)
        y = mdp.gamma * np.einsum(
            "sat,tgb,tbg->sag", mdp.transitions, policy, S
        )
        y = y - S
        first = beta * (1 - mdp.gamma) * start_score(mdp, policy, S)
        last = (1 - beta) * kappa * start_score(mdp, clone, S)
        return first + last + (goal * np.exp(y)).sum(), y

    for kappa in (1.0, 0.5):
        x = minimize(lambda x: cost(x, kappa)[0], np.zeros(S.size)).x  # noqa: B023
        mass = (goal * np.exp(cost(x, kappa)[1])).sum()
        right = beta + (1 - beta) * kappa / (1 - mdp.gamma)
        assert np.isclose(mass, right, atol=1e-4)


def test_unknown_form_is_refused():
    parts, S = problem(0)
    with pytest.raises(ValueError, match="form is 'log'"):
        kl_game(*parts, S, "log")
