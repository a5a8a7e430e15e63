"""Mixtures and Proposition 2 against loops and brute force."""

import math

import numpy as np
import pytest

from smore_lit.theory.divergences import DIVERGENCES, find_divergence
from smore_lit.theory.goal_transitions import soft_goal_transitions
from smore_lit.theory.mixtures import (
    mix,
    mixture_bound_gap,
    mixture_divergence,
    offline_constant,
    offline_return,
    ratio_floor,
    unmix,
)
from smore_lit.theory.occupancies import (
    goal_reward,
    occupancy,
    random_mdp,
    random_policy,
)

GENERATORS = {
    "chi2": lambda x: (x - 1) ** 2,
    "kl": lambda x: x * math.log(x) if x else 0.0,
    "hellinger": lambda x: (math.sqrt(x) - 1) ** 2,
    "js": lambda x: (
        (x * math.log(x) if x else 0.0) - (x + 1) * math.log((x + 1) / 2)
    ),
    "tv": lambda x: abs(x - 1) / 2,
}


def draw(seed):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, 5, 3, 2, 0.9)
    d = occupancy(mdp, random_policy(rng, mdp))
    rho = rng.dirichlet(np.ones(d.size)).reshape(d.shape)
    return mdp, d, rho


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0])
def test_divergence_of_mixtures_is_the_sum_over_entries(name, beta):
    mdp, d, rho = draw(0)
    q = soft_goal_transitions(mdp, 2.0)
    total = 0.0
    for a, b, c in zip(d.ravel(), q.ravel(), rho.ravel()):
        low, high = beta * b + (1 - beta) * c, beta * a + (1 - beta) * c
        total += low * GENERATORS[name](high / low)
    found = mixture_divergence(find_divergence(name), beta, d, q, rho)
    assert found == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_mixing_contracts_and_vanishes_only_at_the_target(name):
    f = find_divergence(name)
    for seed in range(10):
        mdp, d, rho = draw(seed)
        q = soft_goal_transitions(mdp, 2.0)
        bare = mixture_divergence(f, 1.0, d, q, rho)
        for beta in (0.05, 0.5, 0.95):
            mixed = mixture_divergence(f, beta, d, q, rho)
            assert 0 < mixed <= beta * bare * (1 + 1e-12)
            assert abs(mixture_divergence(f, beta, q, q, rho)) < 1e-15


def test_unmix_undoes_mix_and_the_floor_bounds_the_ratio():
    _, d, rho = draw(1)
    q = np.zeros_like(d)
    q[0, 0, 0] = 1
    rho[0, 0, 0] = 0
    rho[1, 1, 1] = 0
    assert np.allclose(unmix(0.4, mix(0.4, d, rho), rho), d, atol=1e-15)
    floor = ratio_floor(0.4, q, rho)
    assert floor[0, 0, 0] == 0 and floor[1, 1, 1] == 0
    inside = mix(0.4, q, rho) > 0
    ratio = mix(0.4, d, rho)[inside] / mix(0.4, q, rho)[inside]
    assert (ratio >= floor[inside]).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("beta", [0.2, 0.6, 1.0])
def test_corrected_proposition_2_is_jensen_for_kl(alpha, beta):
    for seed in range(5):
        mdp, d, rho = draw(seed)
        reward = goal_reward(mdp)
        Z = sum(math.exp(alpha * r) for r in reward.ravel())
        J, total, mean_log = 0.0, 0.0, 0.0
        for a, r, c in zip(d.ravel(), reward.ravel(), rho.ravel()):
            gain = math.exp(alpha * r)
            J += a * (beta**2 * gain + beta * (1 - beta) * Z * c)
            m, n = beta * a + (1 - beta) * c, beta * gain / Z + (1 - beta) * c
            total += m * n
            mean_log += m * math.log(n)
        assert offline_return(mdp, d, rho, alpha, beta) == pytest.approx(J)
        constant = offline_constant(mdp, rho, alpha, beta)
        assert J + constant == pytest.approx(Z * total)
        case = mdp, d, rho, alpha, beta
        gap = mixture_bound_gap(find_divergence("kl"), *case)
        assert gap == pytest.approx(math.log(total) - mean_log, abs=1e-12)
        assert mixture_bound_gap(find_divergence("chi2"), *case) >= gap >= 0


@pytest.mark.parametrize("beta", [0.0, -0.1, 1.1, math.nan])
def test_bad_beta_is_named(beta):
    with pytest.raises(ValueError, match="choose 0 < beta <= 1"):
        mix(beta, np.ones(2) / 2, np.ones(2) / 2)


def test_unequal_shapes_are_named():
    with pytest.raises(ValueError, match="make them equal"):
        mix(0.5, np.ones((2, 1)), np.ones(2))
