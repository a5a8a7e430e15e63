# Generated from book/benchmark/statistics.md by make sync. Edit the chapter, not this file.
"""Statistics of few seeds: say which method is better, and how sure that is.

Five numbers for each method and task: what they can say, what they cannot, and
how several tasks are put together.
"""

__all__ = [
    "probability_of_improvement",
    "holm",
    "compare_with_best",
    "interquartile_mean",
    "performance_profile",
    "stratified_bootstrap",
]


# book/benchmark/statistics.md, section "Statistics of few seeds: say which method is better, and how sure that is"
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy import ndarray


# book/benchmark/statistics.md, section "Two methods on one task"
def probability_of_improvement(x: ndarray, y: ndarray) -> float:
    """Return the chance that a score of x exceeds one of y; ties count half.

    Args:
        x, y: scores (n,) and (m,) of single seeds.

    Source: Agarwal et al. (2021), for one task.
    """
    from scipy.stats import mannwhitneyu

    u = mannwhitneyu(x, y, alternative="two-sided", method="asymptotic")
    return float(u.statistic) / (len(x) * len(y))


# book/benchmark/statistics.md, section "Two methods on one task"
def holm(p_values: Sequence[float]) -> ndarray:
    """Return p-values (k,) adjusted for k tests by Holm's rule.

    Source: Holm (1979).
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def compare_with_best(
    scores: Mapping[str, ndarray],
) -> tuple[str, dict[str, float]]:
    """Compare the method of the highest mean with each other one.

    Args:
        scores: scores (n,) of single seeds, by method; two methods or more.

    Returns:
        The best method, and for each other the two-sided p-value of the
        Mann-Whitney test, adjusted by Holm; exact up to eight scores
        without ties, else from the normal approximation, as scipy does.
    """
    from scipy.stats import mannwhitneyu

    best = max(scores, key=lambda name: float(np.mean(scores[name])))
    others = [name for name in scores if name != best]
    p = [mannwhitneyu(scores[best], scores[n]).pvalue for n in others]
    return best, dict(zip(others, holm(p).tolist()))


# book/benchmark/statistics.md, section "Several tasks together"
def interquartile_mean(scores: ndarray) -> float:
    """Return the mean of the middle half of all numbers in `scores`.

    Source: Agarwal et al. (2021).
    """
    from scipy.stats import trim_mean

    return float(trim_mean(np.ravel(scores), 0.25))


# book/benchmark/statistics.md, section "Several tasks together"
def performance_profile(scores: ndarray, levels: ndarray) -> ndarray:
    """Return the share of scores above each of `levels`, (L,).

    Source: Dolan and More (2002); Agarwal et al. (2021).
    """
    return (np.ravel(scores)[:, None] > np.asarray(levels)).mean(axis=0)


# book/benchmark/statistics.md, section "Several tasks together"
def stratified_bootstrap(
    scores: Sequence[ndarray],
    statistic: Callable[[ndarray], float],
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of several tasks.

    Args:
        scores: for each task, scores (n,) of single seeds.
        statistic: (all scores, joined) -> number.
        resamples: how many draws.
        seed: of the draws.

    Raises:
        ValueError: a task without scores.

    Source: Agarwal et al. (2021).
    """
    if not scores or any(len(each) == 0 for each in scores):
        raise ValueError("every task needs at least one score")
    rng, joined = np.random.default_rng(seed), np.concatenate(scores)
    sizes = np.array([len(each) for each in scores])
    first = np.repeat(sizes.cumsum() - sizes, sizes)  # of each one's task
    size = resamples, len(joined)
    picked = joined[first + rng.integers(np.repeat(sizes, sizes), size=size)]
    drawn = [statistic(sample) for sample in picked]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
