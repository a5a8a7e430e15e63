"""Goal transitions and Proposition 1 against sums, limits and bad input."""

import numpy as np
import pytest
from scipy.special import logsumexp, rel_entr
from scipy.stats import entropy as scipy_entropy

from smore_lit.theory.goal_transitions import (
    entropy,
    entropy_return,
    hard_goal_transitions,
    log_partition,
    soft_goal_transitions,
    training_reward,
)
from smore_lit.theory.occupancies import (
    GoalMDP,
    goal_reward,
    occupancy,
    random_mdp,
    random_policy,
)


def draw(seed, deterministic=False):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 9), rng.integers(1, 5), rng.integers(1, 4)
    gamma = rng.choice([0.5, 0.9, 0.99])
    mdp = random_mdp(rng, *sizes, gamma, deterministic)
    return mdp, random_policy(rng, mdp)


def test_hard_q_against_loops():
    mdp, _ = draw(0)
    q = np.zeros((mdp.states, mdp.actions, mdp.goals))
    for s, a, t in np.ndindex(mdp.transitions.shape):
        g = mdp.phi[t]
        q[s, a, g] += mdp.transitions[s, a, t] * mdp.goal_law[g]
    np.testing.assert_allclose(hard_goal_transitions(mdp), q / q.sum())


@pytest.mark.parametrize("alpha", [0.0, 0.3, 5.0, 1000.0])
def test_soft_q_is_a_softmax(alpha):
    for seed in range(10):
        mdp, _ = draw(seed, bool(seed % 2))
        exponent = alpha * goal_reward(mdp)
        np.testing.assert_allclose(
            np.log(np.maximum(soft_goal_transitions(mdp, alpha), 1e-300)),
            np.maximum(exponent - logsumexp(exponent), np.log(1e-300)),
            atol=1e-9,
        )
        assert np.isclose(log_partition(mdp, alpha), logsumexp(exponent))
        assert np.isclose(soft_goal_transitions(mdp, alpha).sum(), 1)


def test_goals_never_drawn_earn_nothing():
    mdp = GoalMDP(
        np.eye(2)[[[0], [1]]],
        np.array([0.5, 0.5]),
        np.array([1.0, 0.0]),
        np.array([0, 1]),
        0.9,
    )
    assert training_reward(mdp)[..., 1].max() == 0
    assert goal_reward(mdp)[..., 1].max() == 1
    assert hard_goal_transitions(mdp)[..., 1].max() == 0
    assert soft_goal_transitions(mdp, 2.0)[..., 1].min() > 0


def test_entropy_against_scipy():
    d = np.random.default_rng(0).dirichlet(np.ones(12)).reshape(3, 2, 2)
    assert np.isclose(entropy(d), scipy_entropy(d.ravel()))
    assert entropy(np.array([1.0, 0.0])) == 0


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, 300.0])
def test_proposition_1_is_an_identity_for_kl(alpha):
    for seed in range(30):
        mdp, policy = draw(seed, bool(seed % 2))
        d, q = occupancy(mdp, policy), soft_goal_transitions(mdp, alpha)
        right = log_partition(mdp, alpha) - rel_entr(d, q).sum()
        left = entropy_return(mdp, policy, alpha)
        assert np.isclose(left, right / alpha, rtol=1e-11, atol=1e-11)


def divergences(p, q):
    m = (p + q) / 2
    return dict(
        chi2=((p - q) ** 2 / q).sum(),
        hellinger=((np.sqrt(p) - np.sqrt(q)) ** 2).sum(),
        js=(rel_entr(p, m) + rel_entr(q, m)).sum(),
        tv=np.abs(p - q).sum() / 2,
    )


def test_bound_holds_for_pearson_and_is_reversed_for_two():
    for seed in range(50):
        mdp, policy = draw(seed, bool(seed % 2))
        for alpha in (0.3, 2.0):
            d, q = occupancy(mdp, policy), soft_goal_transitions(mdp, alpha)
            left = entropy_return(mdp, policy, alpha)
            kl = log_partition(mdp, alpha) - alpha * left
            values = divergences(d, q)
            assert kl <= np.log1p(values["chi2"]) <= values["chi2"]
            assert values["js"] < kl and values["hellinger"] < kl


def test_jensen_shannon_of_the_table_is_the_sum_of_two():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), size=2)
    x = p / q
    f = -(x + 1) * np.log((x + 1) / 2) + x * np.log(x)
    assert np.isclose((q * f).sum(), divergences(p, q)["js"])


def test_bad_input_is_refused_in_one_line():
    mdp, _ = draw(0)
    lost = GoalMDP(
        np.array([[[1.0, 0.0]], [[1.0, 0.0]]]),
        np.array([0.5, 0.5]),
        np.array([0.0, 1.0]),
        np.array([0, 1]),
        0.9,
    )
    calls = [
        (lambda: hard_goal_transitions(lost), "no transition reaches"),
        (lambda: soft_goal_transitions(mdp, -1.0), "alpha"),
        (lambda: soft_goal_transitions(mdp, np.inf), "alpha"),
    ]
    for call, match in calls:
        with pytest.raises(ValueError, match=match) as caught:
            call()
        assert "\n" not in str(caught.value)
