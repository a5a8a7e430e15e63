"""Statistics against sums that are written out, and against enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smore_lit.benchmark import statistics

scores = st.lists(st.integers(-3, 6).map(float), min_size=2, max_size=7).map(
    np.array
)


@given(scores, scores)
@settings(max_examples=80, deadline=None)
def test_improvement_counts_pairs(x, y):
    pairs = [(a > b) + 0.5 * (a == b) for a in x for b in y]
    found = statistics.probability_of_improvement(x, y)
    assert np.isclose(found, np.mean(pairs))


@given(scores)
@settings(max_examples=80, deadline=None)
def test_interquartile_mean_drops_a_quarter_at_each_end(x):
    cut = len(x) // 4
    middle = np.sort(x)[cut : len(x) - cut]
    assert np.isclose(statistics.interquartile_mean(x), middle.mean())


@given(scores, scores)
@settings(max_examples=40, deadline=None)
def test_profile_counts(x, levels):
    found = statistics.performance_profile(x.reshape(1, -1), levels)
    for level, share in zip(levels, found):
        assert np.isclose(share, sum(s > level for s in x) / len(x))


def closed_testing(p):
    """Adjust by the closure of Bonferroni's test, hypothesis by hypothesis."""
    k, adjusted = len(p), []
    for i in range(k):
        worst = 0.0
        for size in range(1, k + 1):
            for group in itertools.combinations(range(k), size):
                if i in group:
                    value = min(1.0, size * min(p[j] for j in group))
                    worst = max(worst, value)
        adjusted.append(worst)
    return adjusted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_holm_is_the_closure_of_bonferroni(p):
    assert np.allclose(statistics.holm(p), closed_testing(p))


def test_p_values_are_those_of_all_relabellings():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=5) + 1, rng.normal(size=4)
    both = np.concatenate([x, y])
    centre = len(x) * len(y) / 2

    def u_of(group):
        rest = np.delete(both, list(group))
        return sum(a > b for a in both[list(group)] for b in rest)

    seen = abs(u_of(range(5)) - centre)
    all_of_them = [
        abs(u_of(g) - centre) >= seen
        for g in itertools.combinations(range(9), 5)
    ]
    best, p = statistics.compare_with_best({"x": x, "y": y})
    other = "y" if best == "x" else "x"
    assert np.isclose(p[other], np.mean(all_of_them))


def test_bootstrap_draws_within_each_task():
    """A task with one value never varies; seeds of tasks are not mixed."""
    still = [np.full(5, 2.0), np.full(5, 4.0)]
    assert statistics.stratified_bootstrap(still, np.mean, 50) == (3.0, 3.0)
    again = [
        statistics.stratified_bootstrap([np.arange(5.0)], np.mean, 99, seed)
        for seed in (1, 1, 2)
    ]
    assert again[0] == again[1] != again[2]


def test_bootstrap_agrees_with_scipy():
    from scipy.stats import bootstrap

    x = np.random.default_rng(3).normal(size=12)
    ours = statistics.stratified_bootstrap([x], np.mean, 20_000)
    theirs = bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert np.allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize("wrong", [[], [np.ones(3), np.ones(0)]])
def test_no_scores_are_one_line(wrong):
    with pytest.raises(ValueError, match="at least one score"):
        statistics.stratified_bootstrap(wrong, np.mean)
