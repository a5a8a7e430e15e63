# Generated from book/theory/occupancies.md by make sync. Edit the chapter, not this file.
"""Occupancies: count where a policy goes.

The return of a policy depends only on how often it takes which action in which
state: its occupancy, computed exactly in small worlds.
"""

__all__ = [
    "GoalMDP",
    "check_law",
    "check_world",
    "check_policy",
    "check_joint",
    "MAP",
    "MOVES",
    "grid_cells",
    "grid_world",
    "grid_picture",
    "GOAL",
    "START",
    "corridor_example",
    "map_example",
    "policy_chain",
    "occupancy",
    "flow_residual",
    "state_flow_residual",
    "random_mdp",
    "random_policy",
    "goal_reward",
    "return_of",
    "best_policy",
    "backup",
    "policy_of",
    "sample",
    "draw_rows",
    "simulate",
]


# book/theory/occupancies.md, section "Occupancies: count where a policy goes"
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray


# book/theory/occupancies.md, section "A world with goals"
@dataclass(frozen=True, eq=False)
class GoalMDP:
    """Hold a finite goal-conditioned decision process.

    Raises:
        ValueError: shapes that disagree, laws that are none, bad range.
    """

    transitions: ndarray  # p(s' | s, a), (S, A, S)
    start: ndarray  # d0(s), (S,)
    goal_law: ndarray  # q_train(g), (G,)
    phi: ndarray  # (S,), the goal that a state achieves
    gamma: float

    def __post_init__(self):
        check_world(self)

    states = property(lambda self: len(self.start))
    actions = property(lambda self: np.shape(self.transitions)[1])
    goals = property(lambda self: len(self.goal_law))


# book/theory/occupancies.md, section "A world with goals"
def check_law(name: str, law: ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the last axis of `law` holds probabilities.

    Args:
        name: what to call the array in the error.
        law: the array.
        shape: the shape it must have.

    Raises:
        ValueError: wrong shape, negative entries, rows that miss 1.
    """
    if np.shape(law) != shape:
        raise ValueError(
            f"{name} has shape {np.shape(law)}: make it {shape}"
        )
    if not np.all(np.asarray(law) >= 0):
        raise ValueError(
            f"{name} has negative or undefined entries: give probabilities"
        )
    error = np.abs(np.sum(law, axis=-1) - 1).max()
    if error > 1e-8:
        raise ValueError(
            f"{name} misses sum 1 by {error:.1e}: normalise its last axis"
        )


# book/theory/occupancies.md, section "A world with goals"
def check_world(mdp: GoalMDP) -> None:
    """Raise ValueError unless shapes, laws and the discount are right."""
    shape = np.shape(mdp.transitions)
    if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
        raise ValueError(
            f"transitions have shape {shape}: make it"
            " (states, actions, states), none of them 0"
        )
    check_law("transitions", mdp.transitions, shape)
    check_law("start", mdp.start, shape[:1])
    check_law("goal_law", mdp.goal_law, (np.size(mdp.goal_law),))
    phi = np.asarray(mdp.phi)
    if phi.shape != shape[:1] or not np.issubdtype(phi.dtype, np.integer):
        raise ValueError(f"phi needs one integer per state: {shape[0]}")
    if phi.min() < 0 or phi.max() >= mdp.goals:
        raise ValueError(f"phi must lie in 0 to {mdp.goals - 1}")
    if not 0 <= mdp.gamma < 1:
        raise ValueError(f"gamma is {mdp.gamma}: choose 0 <= gamma < 1")


def check_policy(mdp: GoalMDP, policy: ndarray) -> None:
    """Raise ValueError unless `policy` is (S, G, A) and sums to 1 over A."""
    shape = mdp.states, mdp.goals, mdp.actions
    check_law("policy", policy, shape)


def check_joint(mdp: GoalMDP, table: ndarray, name: str = "table") -> None:
    """Raise ValueError unless `table` is (S, A, G)."""
    shape = mdp.states, mdp.actions, mdp.goals
    if np.shape(table) != shape:
        raise ValueError(
            f"{name} has shape {np.shape(table)}: make it {shape}"
        )


# book/theory/occupancies.md, section "The two examples of this part"
MAP = (
    ".....",
    "..#..",
    "..#..",
    ".##..",
    ".....",
)
MOVES = {
    "hold": (0, 0),
    "right": (0, 1),
    "left": (0, -1),
    "down": (1, 0),
    "up": (-1, 0),
}


def grid_cells(rows: Sequence[str] = MAP) -> ndarray:
    """Return row and column of every free cell, shape (S, 2).

    Args:
        rows: the map, `.` free and `#` wall.

    Raises:
        ValueError: rows of unequal length, other letters, no free cell.
    """
    if len({len(row) for row in rows}) != 1 or set("".join(rows)) - set(".#"):
        raise ValueError("rows must be equally long strings of . and #")
    free = np.array([list(row) for row in rows]) == "."
    if not free.any():
        raise ValueError("the map has no free cell: put a . somewhere")
    return np.argwhere(free)


# book/theory/occupancies.md, section "The two examples of this part"
def grid_world(rows: Sequence[str] = MAP, gamma: float = 0.9) -> GoalMDP:
    """Return the world of a map: moves that a wall or the rim blocks.

    Args:
        rows: the map, `.` free and `#` wall.
        gamma: discount.

    Returns:
        Actions are those of `MOVES`; every free cell is its own goal;
        starts and goals are uniform.
    """
    cells = grid_cells(rows)
    index = {tuple(cell): s for s, cell in enumerate(cells.tolist())}
    size = len(cells)
    transitions = np.zeros((size, len(MOVES), size))
    for (i, j), s in index.items():
        for a, (di, dj) in enumerate(MOVES.values()):
            transitions[s, a, index.get((i + di, j + dj), s)] = 1
    uniform = np.full(size, 1 / size)
    return GoalMDP(transitions, uniform, uniform, np.arange(size), gamma)


def grid_picture(values: ndarray, rows: Sequence[str] = MAP) -> ndarray:
    """Return values (S,) laid out on the map, walls NaN."""
    picture = np.full((len(rows), len(rows[0])), np.nan)
    picture[tuple(grid_cells(rows).T)] = values
    return picture


# book/theory/occupancies.md, section "The two examples of this part"
GOAL = 10  # the cell in the pocket of the hook
START = 20  # the lower right corner


def corridor_example() -> tuple[GoalMDP, ndarray]:
    """Return the corridor and the occupancy rho (3, 2, 3) of its data.

    Cells 0, 1, 2; actions 0 hold and 1 right; start 0, goal 2, gamma 1/2.
    """
    transitions = np.zeros((3, 2, 3))
    for s in range(3):
        transitions[s, 0, s] = transitions[s, 1, min(s + 1, 2)] = 1
    first, last = np.eye(3)[0], np.eye(3)[2]
    mdp = GoalMDP(transitions, first, last, np.arange(3), 0.5)
    return mdp, occupancy(mdp, np.full((3, 3, 2), 0.5))


def map_example() -> tuple[GoalMDP, ndarray]:
    """Return the map with one start and one goal, and rho (21, 5, 21)."""
    world = grid_world()
    ends = np.eye(world.states)[[START, GOAL]]
    mdp = replace(world, start=ends[0], goal_law=ends[1])
    return mdp, occupancy(mdp, np.full((21, 21, 5), 0.2))


# book/theory/occupancies.md, section "Compute it: the Bellman flow"
def policy_chain(mdp: GoalMDP, policy: ndarray) -> ndarray:
    """Return the state transition matrices (G, S, S) under a policy."""
    check_policy(mdp, policy)
    return np.einsum("sga,sat->gst", policy, mdp.transitions)


def occupancy(mdp: GoalMDP, policy: ndarray) -> ndarray:
    r"""Return the discounted occupancy $d^\pi(s, a, g)$.

    Args:
        mdp: the world.
        policy: $\pi(a|s,g)$, shape (S, G, A).

    Returns:
        Shape (S, A, G), joint with the goal law, sum 1.

    Source: Eq. 2 of Sikchi et al. (2024), sum over time from 0.
    """
    chain = policy_chain(mdp, policy)
    system = np.eye(mdp.states) - mdp.gamma * chain.transpose(0, 2, 1)
    start = np.broadcast_to((1 - mdp.gamma) * mdp.start, chain.shape[:2])
    visits = np.linalg.solve(system, start[..., None])[..., 0]  # (G, S)
    visits = np.maximum(visits, 0)
    return np.einsum("g,gs,sga->sag", mdp.goal_law, visits, policy)


# book/theory/occupancies.md, section "Compute it: the Bellman flow"
def flow_residual(mdp: GoalMDP, policy: ndarray, d: ndarray) -> ndarray:
    """Return left minus right side of the flow equation, (S, A, G).

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        d: the supposed occupancy, shape (S, A, G).

    Source: Eq. 2 of Sikchi et al. (2024).
    """
    check_policy(mdp, policy)
    check_joint(mdp, d, "d")
    enters = (1 - mdp.gamma) * np.outer(mdp.start, mdp.goal_law)
    enters += mdp.gamma * np.einsum("sat,sag->tg", mdp.transitions, d)
    return d - enters[:, None] * policy.transpose(0, 2, 1)


def state_flow_residual(mdp: GoalMDP, d: ndarray) -> ndarray:
    """Return left minus right side of the flow summed over actions, (S, G).

    Args:
        mdp: the world.
        d: the supposed occupancy of some policy, shape (S, A, G).

    Source: Eq. 51 of Sikchi et al. (2024).
    """
    check_joint(mdp, d, "d")
    enters = (1 - mdp.gamma) * np.outer(mdp.start, mdp.goal_law)
    enters += mdp.gamma * np.einsum("sat,sag->tg", mdp.transitions, d)
    return d.sum(axis=1) - enters


# book/theory/occupancies.md, section "Three checks"
def random_mdp(
    rng: np.random.Generator,
    states: int,
    actions: int,
    goals: int,
    gamma: float,
    deterministic: bool = False,
) -> GoalMDP:
    """Draw a world in which every goal is achieved by some state.

    Args:
        rng: where the randomness comes from.
        states: S, at least G.
        actions: A.
        goals: G.
        gamma: discount.
        deterministic: let each action lead to one state.

    Returns:
        The world; its laws are uniform on their simplices.

    Raises:
        ValueError: more goals than states.
    """
    if not 1 <= goals <= states:
        raise ValueError(f"{goals} goals need at least as many states")
    if deterministic:
        step = rng.integers(states, size=(states, actions))
        transitions = np.eye(states)[step]
    else:
        transitions = rng.dirichlet(np.ones(states), size=(states, actions))
    spare = rng.integers(goals, size=states - goals)
    phi = rng.permutation(np.concatenate([np.arange(goals), spare]))
    start = rng.dirichlet(np.ones(states))
    goal_law = rng.dirichlet(np.ones(goals))
    return GoalMDP(transitions, start, goal_law, phi, gamma)


def random_policy(rng: np.random.Generator, mdp: GoalMDP) -> ndarray:
    """Draw a policy (S, G, A), uniform on its simplices."""
    size = mdp.states, mdp.goals
    return rng.dirichlet(np.ones(mdp.actions), size=size)


# book/theory/occupancies.md, section "The reward, and the policy that earns most"
def goal_reward(mdp: GoalMDP) -> ndarray:
    r"""Return the chance that the next state achieves the goal, (S, A, G)."""
    achieves = np.eye(mdp.goals)[np.asarray(mdp.phi)]
    return mdp.transitions @ achieves


def return_of(mdp: GoalMDP, policy: ndarray) -> float:
    r"""Return $(1-\gamma) J_{train}$, the mean goal reward under $d^\pi$."""
    return float((occupancy(mdp, policy) * goal_reward(mdp)).sum())


# book/theory/occupancies.md, section "The reward, and the policy that earns most"
def best_policy(mdp: GoalMDP, reward: ndarray) -> ndarray:
    r"""Return a policy that maximises $\mathbb{E}_{d^\pi}[reward]$.

    Args:
        mdp: the world.
        reward: any finite numbers, shape (S, A, G).

    Returns:
        Shape (S, G, A), one action each, found by policy iteration.
    """
    check_joint(mdp, reward, "reward")
    here, goals = np.arange(mdp.states)[:, None], np.arange(mdp.goals)
    choice, last = np.argmax(reward, axis=1), -np.inf  # (S, G)
    while True:
        chain = mdp.transitions[here, choice].transpose(1, 0, 2)
        system = np.eye(mdp.states) - mdp.gamma * chain
        earned = reward[here, choice, goals].T[..., None]
        value = np.linalg.solve(system, earned)[..., 0].T
        after = np.einsum("sat,tg->sag", mdp.transitions, value)
        total = reward + mdp.gamma * after
        held = total[here, choice, goals]
        better = total.max(axis=1) > held + 1e-11 * (1 + np.abs(held))
        if not better.any() or held.sum() <= last:
            return np.eye(mdp.actions)[choice]
        last = held.sum()
        choice = np.where(better, total.argmax(axis=1), choice)


# book/theory/occupancies.md, section "The objective is an expectation"
def backup(mdp: GoalMDP, policy: ndarray, score: ndarray) -> ndarray:
    r"""Return the mean score after one more step, $\mathcal{P}^\pi S$.

    Args:
        mdp: the world.
        policy: shape (S, G, A).
        score: shape (S, A, G).

    Returns:
        Shape (S, A, G).

    Source: Section 2 of Sikchi et al. (2024).
    """
    check_policy(mdp, policy)
    check_joint(mdp, score, "score")
    value = np.einsum("sga,sag->sg", policy, score)
    return np.einsum("sat,tg->sag", mdp.transitions, value)


# book/theory/occupancies.md, section "Flow without a policy"
def policy_of(d: ndarray) -> ndarray:
    """Return the conditional law of actions under d, uniform where d is 0.

    Args:
        d: shape (S, A, G), no entry below -1e-9.

    Returns:
        Shape (S, G, A).

    Raises:
        ValueError: d is clearly negative somewhere.
    """
    if np.min(d) < -1e-9:
        raise ValueError(
            f"d is negative, {np.min(d):.1e}: clip it before conditioning"
        )
    joint = np.maximum(d, 0).transpose(0, 2, 1)
    total = joint.sum(axis=-1, keepdims=True)
    known = total > 0
    return np.where(
        known, joint / np.where(known, total, 1), 1 / joint.shape[-1]
    )


# book/theory/occupancies.md, section "A simulation agrees"
def sample(
    rng: np.random.Generator, distribution: ndarray, n: int
) -> tuple[ndarray, ...]:
    """Draw n independent index tuples from a distribution.

    Args:
        rng: where the randomness comes from.
        distribution: any shape, sum 1; joints are (S, A, G).
        n: how many.

    Returns:
        One index array (n,) per axis: states, actions, goals.
    """
    flat = np.ravel(distribution)
    check_law("distribution", flat, flat.shape)
    picks = rng.choice(flat.size, size=n, p=flat / flat.sum())
    return np.unravel_index(picks, np.shape(distribution))


def draw_rows(rng: np.random.Generator, laws: ndarray) -> ndarray:
    """Draw one index from each row of laws (n, K), shape (n,)."""
    below = np.cumsum(laws, axis=-1)
    dice = rng.random(len(laws))[:, None] * below[:, -1:]
    return (below <= dice).sum(axis=-1)


# book/theory/occupancies.md, section "A simulation agrees"
def simulate(
    rng: np.random.Generator,
    mdp: GoalMDP,
    policy: ndarray,
    episodes: int,
    steps: int,
) -> tuple[ndarray, ndarray, ndarray]:
    """Play episodes, each toward one goal drawn from the goal law.

    Args:
        rng: where the randomness comes from.
        mdp: the world.
        policy: shape (S, G, A).
        episodes: E.
        steps: T, transitions per episode.

    Returns:
        States (E, T+1), actions (E, T) and goals (E,), all integers.
    """
    check_policy(mdp, policy)
    goals = rng.choice(mdp.goals, size=episodes, p=mdp.goal_law)
    states = [rng.choice(mdp.states, size=episodes, p=mdp.start)]
    actions = []
    for _ in range(steps):
        here = states[-1]
        actions.append(draw_rows(rng, policy[here, goals]))
        states.append(draw_rows(rng, mdp.transitions[here, actions[-1]]))
    return np.stack(states, 1), np.stack(actions, 1), goals
