"""The score's hidden reward, its fixed point, and data counted exactly."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from smore_lit.learning.objectives import implicit_reward
from smore_lit.theory.divergences import DIVERGENCES, find_divergence
from smore_lit.theory.duality import random_problem, solve_dual
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import (
    backup,
    draw_rows,
    grid_world,
    occupancy,
    random_mdp,
    random_policy,
)
from smore_lit.theory.scores import (
    hidden_reward,
    hindsight,
    in_sample_score,
)

SMOOTH = [name for name in DIVERGENCES if name != "tv"]


@pytest.mark.parametrize("name", SMOOTH)
def test_reward_minimises_the_frozen_loss(name):
    f = find_divergence(name)
    rng = np.random.default_rng(0)
    q, rho, guess = rng.dirichlet(np.ones(4), size=3)
    for seen in (0.0 * guess, guess):
        for x in range(4):
            mass = mix(0.4, q, rho)[x]

            def loss(y, x=x, mass=mass, seen=seen):
                star = f.nonnegative_conjugate(
                    torch.tensor(y, dtype=torch.float64)
                ).item()
                pull = (1 - 0.4) * rho[x] + 0.4 * seen[x]
                return mass * star - pull * y

            want = -hidden_reward(f, 0.4, q, rho, seen)[x]
            high = min(f.domain[1] - 1e-12, want + 1)
            least = minimize_scalar(
                loss,
                bounds=(want - 1, high),
                method="bounded",
                options={"xatol": 1e-9},
            )
            assert abs(least.x - want) < 1e-4
            assert loss(want) <= least.fun + 1e-13


def test_pearson_agrees_with_the_objectives():
    rng = np.random.default_rng(1)
    q, rho, guess = rng.dirichlet(np.ones(30), size=3)
    chi2 = find_divergence("chi2")
    ratio = torch.tensor(q / rho)
    for beta in (0.1, 0.5, 0.9):
        first = implicit_reward(ratio, "in-sample", beta=beta)
        second = implicit_reward(
            ratio, "paper", beta=beta, occupancy=torch.tensor(guess / rho)
        )
        assert np.allclose(hidden_reward(chi2, beta, q, rho), first)
        assert np.allclose(hidden_reward(chi2, beta, q, rho, guess), second)


@pytest.mark.parametrize("name", SMOOTH)
def test_dual_solution_shows_the_reward(name):
    f = find_divergence(name)
    for seed in range(10):
        p = random_problem(np.random.default_rng(seed))
        parts = p.mdp, p.policy, p.rho, p.q, p.beta
        S = solve_dual(f, *parts).score
        shown = S - p.mdp.gamma * backup(p.mdp, p.policy, S)
        d = occupancy(p.mdp, p.policy)
        want = hidden_reward(f, p.beta, p.q, p.rho, d)
        size = max(1, np.abs(want).max())
        assert np.abs(shown - want).max() < 1e-5 * size


@pytest.mark.parametrize("name", list(DIVERGENCES))
def test_in_sample_reward_rises_with_the_ratio(name):
    f = find_divergence(name)
    ratio = np.geomspace(1e-3, 1e3, 200)
    reward = hidden_reward(f, 0.5, ratio, np.ones(200))
    assert np.all(np.diff(reward) >= 0)
    steep = np.isinf(hidden_reward(f, 0.5, np.ones(1), np.zeros(1)))
    assert steep.item() == (name not in ("chi2", "tv"))
    assert hidden_reward(f, 0.5, np.zeros(1), np.zeros(1)) == 0


def test_in_sample_score_against_plain_iteration():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, 5, 3, 2, 0.8)
    policy = random_policy(rng, mdp)
    reward = rng.normal(size=(5, 3, 2))
    S, M = in_sample_score(mdp, reward, policy, 0.5)
    plain = np.zeros_like(reward)
    for _ in range(300):
        plain = reward + 0.8 * backup(mdp, policy, plain)
    assert np.allclose(S, plain)
    S, M = in_sample_score(mdp, reward, policy, 1 - 1e-9)
    top = np.zeros_like(reward)
    for _ in range(300):
        top = reward + 0.8 * np.einsum(
            "sat,tg->sag", mdp.transitions, top.max(axis=1)
        )
    assert np.allclose(S, top, atol=1e-5)


def test_in_sample_score_refuses():
    mdp = grid_world(("..",))
    policy = np.full((2, 2, 5), 0.2)
    reward = np.zeros((2, 5, 2))
    with pytest.raises(ValueError, match="tau is 1"):
        in_sample_score(mdp, reward, policy, 1)
    with pytest.raises(ValueError, match="not finite"):
        in_sample_score(mdp, reward + np.inf, policy, 0.8)


def test_hindsight_against_dice():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, 4, 2, 3, 0.9)
    acts = rng.dirichlet(np.ones(2), size=(2, 4))
    rho, q = hindsight(mdp, 6, [(0.3, acts[0]), (0.7, acts[1])])
    assert np.isclose(rho.sum(), 1) and np.isclose(q.sum(), 1)
    assert np.allclose(rho.sum(axis=(0, 1)), q.sum(axis=(0, 1)))

    n, T = 200_000, 6
    who = (rng.random(n) < 0.7).astype(int)
    states = [rng.choice(4, size=n, p=mdp.start)]
    actions = []
    for _ in range(T):
        actions.append(draw_rows(rng, acts[who, states[-1]]))
        laws = mdp.transitions[states[-1], actions[-1]]
        states.append(draw_rows(rng, laws))
    states, actions = np.stack(states, 1), np.stack(actions, 1)
    t, row = rng.integers(T, size=n), np.arange(n)
    f = rng.integers(t + 1, T + 1)
    goal = mdp.phi[states[row, f]]
    for law, at in ((rho, t), (q, f - 1)):
        seen = np.zeros_like(law)
        np.add.at(seen, (states[row, at], actions[row, at], goal), 1 / n)
        error = np.sqrt(law * (1 - law) / n)
        assert np.all(np.abs(seen - law) < 5 * error + 1e-12)


def test_hindsight_refuses():
    mdp = grid_world(("..",))
    act = np.full((2, 5), 0.2)
    with pytest.raises(ValueError, match="horizon is 0"):
        hindsight(mdp, 0, [(1.0, act)])
    with pytest.raises(ValueError, match="shares misses sum 1"):
        hindsight(mdp, 3, [(0.5, act)])
    with pytest.raises(ValueError, match="behaviour has shape"):
        hindsight(mdp, 3, [(1.0, act[:1])])
