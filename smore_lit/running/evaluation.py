# Generated from book/running/evaluation.md by make sync. Edit the chapter, not this file.
"""Evaluation: score every method by one rule.

Fifty episodes per seed, seven numbers per episode, the same code for every
method.
"""

__all__ = [
    "DISCOUNTS",
    "METRICS",
    "discount_rewards",
    "score_episodes",
    "episode_seed",
    "evaluate",
    "as_seeds",
    "count_slots",
    "interval",
    "possible",
]


# book/running/evaluation.md, section "Evaluation: score every method by one rule"
from collections.abc import Callable, Sequence

import numpy as np

import smore_lit
from smore_lit.running.files import as_plain, as_whole
from smore_lit.running.rollouts import Rollouts


# book/running/evaluation.md, section "Seven numbers from one episode"
DISCOUNTS = {
    "return_098": 0.98,
    "return_099": 0.99,
    "return_0999": 0.999,
    "return_1": 1.0,
}
METRICS = (*DISCOUNTS, "success", "final_distance", "first_hit")


def discount_rewards(rewards: np.ndarray) -> dict[str, np.ndarray]:
    r"""Return $\sum_{t=1}^T \gamma^{t-1} r_t$ of rewards (..., T) by name.

    Raises:
        ValueError: no step, or a reward that is neither 0 nor 1.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    if rewards.ndim < 1 or rewards.shape[-1] == 0:
        raise ValueError("rewards need at least one step on their last axis")
    if not np.isin(rewards, (0, 1)).all():
        raise ValueError("a reward is neither 0 nor 1: look at the task")
    steps = np.arange(rewards.shape[-1])
    return {name: rewards @ g**steps for name, g in DISCOUNTS.items()}


def score_episodes(
    rewards: np.ndarray, distances: np.ndarray, success: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute the metrics of episodes.

    Args:
        rewards: 1 where the goal was reached after the t-th of T actions,
            else 0, (..., T).
        distances: to the goal, (..., T), in units of the goal.
        success: 1 where the last state is a success, else 0, (...).

    Returns:
        For each name in METRICS an array (...): the returns; success; the
        last distance; first_hit, the first t that reached, T + 1 where none
        did.

    Raises:
        ValueError: no step, or a distance that is not finite.
    """
    scores = discount_rewards(rewards)
    distances = np.asarray(distances, dtype=np.float64)
    if not np.isfinite(distances).all():
        raise ValueError("a distance is not finite: look at the simulator")
    scores["success"] = np.asarray(success, dtype=np.float64)
    scores["final_distance"] = distances[..., -1]
    reached = np.asarray(rewards) > 0
    never = reached.shape[-1]
    first = np.where(reached.any(-1), reached.argmax(-1), never) + 1
    scores["first_hit"] = first.astype(float)
    return scores


# book/running/evaluation.md, section "The same episodes for every method"
def episode_seed(seed: int, run: int, episode: int) -> int:
    """Return the simulator seed of an episode of one training seed `run`."""
    sequence = np.random.SeedSequence([seed, run, episode])
    return int(sequence.generate_state(1)[0])


# book/running/evaluation.md, section "The same episodes for every method"
def evaluate(
    task,
    act: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seeds: Sequence[int],
    episodes: int = 50,
    seed: int = 0,
    workers: int = 2,
    rollouts: Rollouts | None = None,
) -> dict[str, np.ndarray]:
    """Play `episodes` episodes with the policy of every training seed.

    Args:
        task: gives make(), horizon, action_size, distance(), reward() and
            success(); or its name.
        act: maps observations (N, B, O) and goals (N, B, G) to actions
            (N, B, A), all seeds at once.
        seeds: the N training seeds.
        episodes: episodes for each of them.
        seed: of the evaluation; episode k of training seed n starts alike
            for every method and at every evaluation of a run.
        workers: processes that step the simulator.
        rollouts: a pool to use in place of a new one; `workers` is then its
            own affair.

    Returns:
        For each name in METRICS an array (N, episodes). An episode that its
        environment ends early collects nothing more; its success and final
        distance are those of its last state.

    Raises:
        ValueError: fewer than one episode or seed, actions of another
            shape, or no goal environment.
    """
    task, seeds = smore_lit.load_task(task), as_seeds(seeds)
    episodes = as_whole("episodes", episodes, None)
    seed = as_whole("seed", seed)
    if episodes < 1 or not seeds:
        raise ValueError("evaluation needs at least one episode and one seed")
    if rollouts is None:
        slots = count_slots(len(seeds), episodes)
        with Rollouts(task.make, slots, workers) as rollouts:
            return evaluate(task, act, seeds, episodes, seed, 0, rollouts)
    width = max(1, rollouts.slots // len(seeds))
    parts = []
    for start in range(0, episodes, width):
        chosen = range(start, min(start + width, episodes))
        starts = [episode_seed(seed, run, k) for run in seeds for k in chosen]
        parts.append(_play(task, act, rollouts, starts, len(seeds)))
    return score_episodes(*(np.concatenate(p, axis=1) for p in zip(*parts)))


# book/running/evaluation.md, section "The same episodes for every method"
def as_seeds(seeds: Sequence[int]) -> list[int]:
    """Return training seeds as integers of Python.

    Raises:
        ValueError: no list of seeds.
    """
    found = as_plain(seeds)
    if not isinstance(found, list | tuple | range):
        raise ValueError(f"seeds must be a list of them, got {seeds!r:.80}")
    return [as_whole("a seed", seed) for seed in found]


def count_slots(seeds: int, episodes: int, about: int = 20) -> int:
    """Return how many environments to hold: whole seeds, near `about`."""
    return seeds * min(episodes, max(1, about // seeds))


def _play(task, act, rollouts, starts, seeds) -> tuple[np.ndarray, ...]:
    lead = seeds, len(starts) // seeds
    view, rewards, distances = rollouts.reset(starts), [], []
    for _ in range(task.horizon):
        observations = view["observation"].reshape(*lead, -1)
        goals = view["desired_goal"].astype(np.float32).reshape(*lead, -1)
        actions = np.asarray(act(observations, goals))
        if actions.shape != (*lead, task.action_size):
            due = (*lead, task.action_size)
            raise ValueError(f"actions must be {due}, got {actions.shape}")
        playing = ~view["ended"]
        view = rollouts.step(actions.reshape(-1, task.action_size))
        pair = view["achieved_goal"], view["desired_goal"]
        rewards.append(task.reward(*pair) * playing)
        distances.append(task.distance(*pair))
    tables = (
        np.stack(rows, axis=-1).reshape(*lead, -1)
        for rows in (rewards, distances)
    )
    return *tables, task.success(*pair).reshape(lead)


# book/running/evaluation.md, section "A mean over seeds and its interval"
def interval(
    values: Sequence[float],
    level: float = 0.95,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> dict[str, float]:
    """Return mean, standard deviation and Student-t interval over seeds.

    Args:
        values: one number per seed, (N,).
        level: coverage of the interval.
        within: the range of possible values, see `possible`; what the
            interval has beyond it is cut off.

    Returns:
        mean, std (with N - 1), low, high; the last three NaN when N = 1.

    Raises:
        ValueError: no value.
    """
    from scipy import stats

    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        raise ValueError("an interval needs at least one value")
    mean, count = float(rows.mean()), len(rows)
    if count == 1:
        return dict(mean=mean, std=np.nan, low=np.nan, high=np.nan)
    std = float(rows.std(ddof=1))
    half = float(stats.t.ppf(0.5 + level / 2, count - 1)) * std / count**0.5
    low, high = max(mean - half, within[0]), min(mean + half, within[1])
    return dict(mean=mean, std=std, low=min(low, mean), high=max(high, mean))


# book/running/evaluation.md, section "A mean over seeds and its interval"
def possible(name: str, horizon: int) -> tuple[float, float]:
    r"""Return the least and the largest value that a metric can have.

    Args:
        name: one of METRICS.
        horizon: T, steps per episode.

    Returns:
        0 and $\sum_{t=1}^T \gamma^{t-1}$ for returns, 0 and 1 for success,
        1 and T + 1 for first_hit, 0 and infinity for final_distance.
    """
    if name in DISCOUNTS:
        return 0.0, float(sum(DISCOUNTS[name] ** t for t in range(horizon)))
    tops = {"success": 1.0, "first_hit": horizon + 1.0}
    return float(name == "first_hit"), tops.get(name, np.inf)
