# Generated from book/learning/trajectories.md by make sync. Edit the chapter, not this file.
"""Hindsight and goal sampling: sample goals from hindsight.

Turn recorded episodes into two streams: transitions with goals to strive for,
and transitions that reach them.
"""

__all__ = [
    "Trajectories",
    "ROUNDING",
    "scale_actions",
    "as_trajectories",
    "ARRAYS",
    "as_array",
    "Batch",
    "reaches",
    "copy_rows",
    "pick",
    "take",
    "find_used",
    "find_hits",
    "find_leaving",
    "draw_future",
    "Rows",
    "Sampler",
    "draw_arrivals",
    "find_near",
    "draw_place",
    "ReleasedSampler",
    "SAMPLERS",
    "draw_uniforms",
]


# book/learning/trajectories.md, section "Hindsight and goal sampling: sample goals from hindsight"
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import smore_lit


# book/learning/trajectories.md, section "Episodes as tensors"
@dataclass(frozen=True)
class Trajectories:
    """Hold E episodes of up to T transitions on one device.

    Fields:
        observations: s_0 .. s_T, (E, T+1, O) float32.
        actions: a_0 .. a_{T-1}, (E, T, A) float32 in [-1, 1]; a_t leads to
            s_{t+1}.
        achieved_goals: phi(s_0) .. phi(s_T), (E, T+1, G) float32.
        desired_goals: the goal the episode was collected for, (E, G) float32.
        lengths: transitions in each episode, (E,) int64, 1 to T; rows beyond
            an episode's length are padding and are never drawn.
    """

    observations: Tensor
    actions: Tensor
    achieved_goals: Tensor
    desired_goals: Tensor
    lengths: Tensor

    @property
    def transitions(self) -> int:
        """Return the number of transitions in all episodes."""
        return int(self.lengths.sum())

    def to(self, device: str | torch.device) -> "Trajectories":
        """Return a copy on `device`."""
        names = [field.name for field in fields(self)]
        moved = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved)


# book/learning/trajectories.md, section "Episodes as tensors"
ROUNDING = 1e-6  # by which an action may exceed 1


def scale_actions(actions, low=None, high=None) -> np.ndarray:
    """Return actions in [-1, 1], scaled from declared bounds if there are any.

    Args:
        actions: (..., A); NaN marks padding and stays.
        low, high: what -1 and 1 stand for, numbers or (A,); both or none.

    Returns:
        float32, of the same shape.

    Raises:
        ValueError: actions beyond the bounds by more than `ROUNDING`, or
            bounds that are none; the line names the largest action.
    """
    actions = np.asarray(actions, dtype=np.float64)
    given, bounds = actions, "[-1, 1], to which policies are clipped"
    if low is not None or high is not None:
        low, high = _check_bounds(low, high, actions.shape[-1:])
        actions = 2 * (actions - low) / (high - low) - 1
        bounds = "action_low to action_high"
    outside = np.abs(actions) > 1 + ROUNDING
    if outside.any():
        largest = np.abs(given[outside]).max()
        raise ValueError(
            f"actions reach {largest:.8g}, beyond {bounds}: declare the true"
            " action_low and action_high, or clip them"
        )
    return actions.clip(-1, 1).astype(np.float32)


def _check_bounds(low, high, shape) -> list[np.ndarray]:
    if low is None or high is None:
        raise ValueError("give both action_low and action_high, or none")
    low, high = (np.asarray(bound, dtype=np.float64) for bound in (low, high))
    fits = all(bound.shape in ((), shape) for bound in (low, high))
    if not fits or not np.isfinite(high - low).all() or (low >= high).any():
        raise ValueError(
            "action_low must be below action_high, both finite, and each a"
            f" number or {shape}"
        )
    return [low, high]


# book/learning/trajectories.md, section "Episodes as tensors"
def as_trajectories(
    observations,
    actions=None,
    achieved_goals=None,
    desired_goals=None,
    lengths=None,
    device: str | torch.device = "cpu",
    action_low=None,
    action_high=None,
) -> Trajectories:
    """Check plain arrays and hold them as `Trajectories`.

    Args:
        observations, actions, achieved_goals, desired_goals: array-likes of
            the shapes of `Trajectories`; or, in the place of the first, one
            dictionary of them, `Trajectories`, or the path of a dataset.
        lengths: transitions per episode, (E,); all T when left out.
        device: where the tensors, and so the sampling, shall live.
        action_low, action_high: bounds of the recorded actions, numbers or
            (A,), if they are not -1 and 1; see `scale_actions`.

    Raises:
        ValueError: shapes that do not fit together, no episode, lengths
            outside 1 to T, NaN or infinity in a row that is not padding, or
            actions beyond their bounds.
    """
    *given, lengths = _gather(
        observations, actions, achieved_goals, desired_goals, lengths
    )
    arrays = [as_array(name, a) for name, a in zip(ARRAYS, given)]
    if lengths is None:
        shape = arrays[1].shape
        lengths = np.full(shape[:1], shape[1] if len(shape) > 1 else 0)
    arrays.append(as_array("lengths", lengths, None))
    used = _check(*arrays)
    exact = as_array("actions", given[1], np.float64)[used]
    arrays[1][used] = scale_actions(exact, action_low, action_high)
    arrays[-1] = arrays[-1].astype(np.int64)
    return Trajectories(*map(torch.from_numpy, arrays)).to(device)


# book/learning/trajectories.md, section "Episodes as tensors"
ARRAYS = ("observations", "actions", "achieved_goals", "desired_goals")


def as_array(name: str, values, kind=np.float32) -> np.ndarray:
    """Return a copy of `values` as an array; what is too large is infinite.

    Raises:
        ValueError: no array of numbers.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=kind)
    except (TypeError, ValueError) as error:
        reason = f"{name} must be an array of numbers ({error})"
        raise ValueError(reason) from None


def _gather(first, *others) -> list:
    names, alone = [*ARRAYS, "lengths"], Mapping | str | bytes | os.PathLike
    if isinstance(first, Trajectories):
        first = {name: getattr(first, name) for name in names}
    if not isinstance(first, alone):
        first = dict(zip(names, (first, *others)))
    elif any(other is not None for other in others):
        raise ValueError("give arrays, or one dictionary or path of them")
    if not isinstance(first, Mapping):
        first = smore_lit.read_dataset(first)
    strange = [name for name in first if name not in names]
    lacking = [name for name in ARRAYS if first.get(name) is None]
    if strange or lacking:
        found = f"lack {lacking[0]}" if lacking else f"have {strange[0]!r}"
        known = ", ".join(ARRAYS)
        raise ValueError(f"the data {found}; they are {known} and lengths")
    return [first.get(name) for name in names]


# book/learning/trajectories.md, section "Episodes as tensors"
def _check(observations, actions, achieved_goals, desired_goals, lengths):
    """Return which actions are none of the padding, (E, T)."""
    if actions.ndim != 3 or 0 in actions.shape:
        raise ValueError(
            "actions must be (episodes, T, A), none of them 0,"
            f" got {actions.shape}"
        )
    episodes, horizon, _ = actions.shape
    if observations.ndim > 3:
        raise ValueError(
            f"observations are pictures {observations.shape[2:]}: encode each"
            " as a list of numbers, (episodes, T+1, O)"
        )
    goal = desired_goals.shape[-1] if desired_goals.ndim == 2 else "G"
    observation = observations.shape[-1] if observations.ndim == 3 else "O"
    expected = {
        "observations": (observations, (episodes, horizon + 1, observation)),
        "achieved_goals": (achieved_goals, (episodes, horizon + 1, goal)),
        "desired_goals": (desired_goals, (episodes, goal)),
        "lengths": (lengths, (episodes,)),
    }
    for name, (array, shape) in expected.items():
        if array.shape != shape or 0 in shape:
            raise ValueError(
                f"{name} must be {shape} to fit actions, got {array.shape}"
            )
    whole = lengths.dtype.kind in "iuf" and (lengths == lengths // 1).all()
    if not whole or lengths.min() < 1 or lengths.max() > horizon:
        raise ValueError(f"lengths must be whole numbers in 1 to {horizon}")
    rows = np.arange(horizon + 1) <= lengths[:, None]
    for name, array, used in (
        ("observations", observations, rows),
        ("actions", actions, rows[:, 1:]),
        ("achieved_goals", achieved_goals, rows),
        ("desired_goals", desired_goals, slice(None)),
    ):
        if not np.isfinite(array[used]).all():
            raise ValueError(
                f"{name} holds NaN or infinity: drop those episodes"
            )
    return rows[:, 1:]


# book/learning/trajectories.md, section "Goals in hindsight"
class Batch(NamedTuple):
    """Hold N seeds times B goal-labelled transitions."""

    observations: Tensor  # s   (N, B, O)
    actions: Tensor  # a        (N, B, A)
    next_observations: Tensor  # s'  (N, B, O)
    goals: Tensor  # g          (N, B, G)
    reached: Tensor  # 1 where phi(s') is within tolerance of g, (N, B)
    steps: Tensor  # f - t of a hindsight goal, 0 of another, (N, B)
    achieved: Tensor  # phi(s)  (N, B, G)
    next_achieved: Tensor  # phi(s')  (N, B, G)
    tolerance: Tensor  # within which a goal is reached, on its scale (N, B, G)
    first_observations: Tensor  # s_0 of the episode, (N, B, O)
    noise: Tensor  # uniforms in [0, 1) for the losses' own draws, (N, B, D)


# book/learning/trajectories.md, section "Goals in hindsight"
def reaches(after: Tensor, goals: Tensor, tolerance: Tensor) -> Tensor:
    """Return 1 where a transition reaches a goal, not only its own, (N, B).

    Args:
        after: phi(s'), (N, B, G).
        goals: which goals to test, (N, B, G).
        tolerance: of a batch, on the scale of the goals, (N, B, G).
    """
    gap = after - goals
    parts = torch.where(gap == 0.0, 0.0, gap / tolerance)
    return (parts.norm(dim=-1) <= 1.0).to(goals.dtype)


# book/learning/trajectories.md, section "The corrected sampler"
def copy_rows(table: Tensor, number: Tensor) -> Tensor:
    """Copy rows of a table (R, ...) by number (N, B), int64: (N, B, ...)."""
    rows = table.index_select(0, number.flatten())
    return rows.unflatten(0, number.shape)


def pick(table: Tensor, episode: Tensor, step: Tensor | int = 0) -> Tensor:
    """Copy rows of a table (E, T, D) at (episode, step), each (N, B) int64.

    Returns:
        (N, B, D); the same as table[episode, step], faster.
    """
    number = episode * table.shape[1] + step
    return copy_rows(table.flatten(0, 1), number)


def take(
    trajectories: Trajectories,
    episode: Tensor,
    step: Tensor,
    goals: Tensor,
    steps: Tensor,
    tolerance: float,
) -> Batch:
    """Gather transitions (episode, step), each (N, B) int64, with goals."""
    achieved, seen = trajectories.achieved_goals, trajectories.observations
    after = pick(achieved, episode, step + 1)
    return Batch(
        pick(seen, episode, step),
        pick(trajectories.actions, episode, step),
        pick(seen, episode, step + 1),
        goals,
        ((after - goals).norm(dim=-1) <= tolerance).to(goals.dtype),
        steps.to(goals.dtype),
        pick(achieved, episode, step),
        after,
        torch.full_like(goals, tolerance),
        pick(seen, episode),
        goals.new_empty(*step.shape, 0),
    )


# book/learning/trajectories.md, section "The corrected sampler"
def find_used(trajectories: Trajectories) -> Tensor:
    """Tell which transitions are none of the padding, (E, T)."""
    lengths, horizon = trajectories.lengths, trajectories.actions.shape[1]
    steps = torch.arange(horizon, device=lengths.device)
    return steps < lengths[:, None]


def find_hits(trajectories: Trajectories, tolerance: float) -> Tensor:
    """Return (episode, step) of each transition that ends at its desired goal.

    Args:
        trajectories: the data.
        tolerance: largest distance from phi(s_{step+1}) to the episode's own
            desired goal that counts, in units of the goal space.

    Returns:
        Shape (H, 2) int64; H may be 0.
    """
    reached = trajectories.achieved_goals[:, 1:]
    gap = (reached - trajectories.desired_goals[:, None]).norm(dim=-1)
    return ((gap <= tolerance) & find_used(trajectories)).nonzero()


def find_leaving(trajectories: Trajectories, tolerance: float) -> Tensor:
    """Return the numbers of transitions whose goal is still ahead.

    Transition t of an episode counts if some later phi(s_f), f > t, is
    farther than `tolerance` from phi(s_t).

    Returns:
        Shape (L,) int64, numbers in the order of episodes, padding left out.
    """
    achieved, used = trajectories.achieved_goals, find_used(trajectories)
    found = []
    for t in range(used.shape[1]):
        gap = (achieved[:, t + 1 :] - achieved[:, t, None]).norm(dim=-1)
        found.append(((gap > tolerance) & used[:, t:]).any(dim=1))
    return torch.stack(found, dim=1)[used].nonzero()[:, 0]


# book/learning/trajectories.md, section "The corrected sampler"
def draw_future(u: Tensor, left: Tensor, discount: float) -> Tensor:
    r"""Map uniforms to numbers of steps, 0 to left - 1.

    Args:
        u: uniforms in [0, 1), float64.
        left: transitions up to the end of the episode, 1 or more, int64.
        discount: k is drawn in proportion to discount ** k; 1 is uniform.

    Returns:
        int64, of the shape of u.
    """
    if discount == 1.0:
        return (u * left).long()
    rate = math.log(discount)  # F(k) is 1 - exp(rate (k + 1))
    covered = u * torch.expm1(rate * left.double())
    steps = (torch.log1p(covered) / rate).long()
    return torch.minimum(steps, left - 1)


# book/learning/trajectories.md, section "The corrected sampler"
class Rows:
    """Map a uniform number to the number of a transition.

    Args:
        trajectories, tolerance, ahead: as `Sampler` takes them.
    """

    def __init__(
        self, trajectories: Trajectories, tolerance: float, ahead: float
    ):
        self.count = trajectories.transitions
        self.extra = 0.0
        if ahead:
            self.leaving = find_leaving(trajectories, tolerance)
            natural = len(self.leaving) / self.count
            if 0.0 < natural < ahead:
                self.extra = (ahead - natural) / (1.0 - natural)

    def __call__(self, u: Tensor) -> Tensor:
        """Map uniforms in [0, 1) to numbers of transitions, int64."""
        if not self.extra:
            return (u * self.count).long()
        place = (u / self.extra * len(self.leaving)).long()
        rest = (u - self.extra) / (1.0 - self.extra)
        return torch.where(
            u < self.extra,
            self.leaving[place.clamp(max=len(self.leaving) - 1)],
            (rest * self.count).long(),
        )


# book/learning/trajectories.md, section "The corrected sampler"
class Sampler:
    """Turn uniform numbers into a batch of rho and a batch of q.

    With probability `hindsight` the goal is phi(s_f) of the same episode,
    f in t+1 .. T as `draw_future` has it, and q pairs that goal with its
    exact predecessor transition (s_{f-1}, a_{f-1}).
    Otherwise rho keeps the episode's desired goal, and q takes, uniformly,
    one of the transitions that end within `tolerance` of the desired goal of
    their own episode, with that goal.
    If the data hold no such transition, q always uses hindsight.

    Args:
        trajectories: the data; batches come out on its device.
        hindsight: share of hindsight goals, in [0, 1].
        tolerance: distance at which a goal counts as reached, in units of
            the goal space.
        ahead: least share of draws of t, in [0, 1], after which the episode
            still leaves phi(s_t) by more than the tolerance; nothing changes
            where the data have as many by themselves, or none.
        discount: f is drawn in proportion to discount ** f, in (0, 1].
        near: q takes any transition of the episode that ends within the
            tolerance of phi(s_f), uniformly, and not always f - 1.

    Raises:
        ValueError: a share outside [0, 1], `discount` outside (0, 1] or
            `tolerance` negative.

    Source: section 3.2 of Sikchi et al. (2024).
    """

    columns = 4  # uniform numbers consumed by one sample of rho and one of q

    def __init__(
        self,
        trajectories: Trajectories,
        hindsight: float = 0.8,
        tolerance: float = 0.0,
        ahead: float = 0.0,
        discount: float = 1.0,
        near: bool = False,
    ):
        _check_goals(hindsight, tolerance, ahead, discount)
        self.data = trajectories
        self.hindsight = hindsight
        self.discount = discount
        self.near = near
        self.tolerance = tolerance
        self.owners = find_used(trajectories).nonzero()[:, 0].contiguous()
        self.starts = trajectories.lengths.cumsum(0) - trajectories.lengths
        self.hits = find_hits(trajectories, tolerance)
        self.draw_rows = Rows(trajectories, tolerance, ahead)

    def __call__(self, uniforms: Tensor) -> tuple[Batch, Batch]:
        """Map uniforms in [0, 1), (N, B, columns) float64, to rho and q."""
        u_row, u_future, u_kind, u_hit = uniforms.unbind(dim=-1)
        row = self.draw_rows(u_row)
        episode = copy_rows(self.owners, row)
        step = row - copy_rows(self.starts, episode)
        left = copy_rows(self.data.lengths, episode) - step
        ahead = draw_future(u_future, left, self.discount)
        last = step + ahead  # f - 1
        reached = pick(self.data.achieved_goals, episode, last + 1)
        relabel = u_kind < self.hindsight
        desired = copy_rows(self.data.desired_goals, episode)
        goal = torch.where(relabel[..., None], reached, desired)
        steps = torch.where(relabel, ahead + 1, 0)
        rho = take(self.data, episode, step, goal, steps, self.tolerance)
        known = episode, last, reached
        episode, last, goal = draw_arrivals(self, u_hit, relabel, *known)
        given = goal, torch.ones_like(steps), self.tolerance
        return rho, take(self.data, episode, last, *given)


# book/learning/trajectories.md, section "The corrected sampler"
def draw_arrivals(
    sampler: Sampler,
    u: Tensor,
    relabel: Tensor,
    episode: Tensor,
    last: Tensor,
    reached: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose transitions that reach a goal, and their goals.

    Args:
        sampler: the data, and what counts as reached.
        u: uniforms in [0, 1), (N, B).
        relabel: whether the goal is one of hindsight, (N, B).
        episode, last, reached: e, f - 1 and phi(s_f) of the draw, (N, B),
            (N, B) and (N, B, G).

    Returns:
        Episodes, steps and goals of the same shapes.
    """
    data, hits = sampler.data, sampler.hits
    if sampler.near:
        near = find_near(data, episode, reached, sampler.tolerance)
        last = draw_place(u, near)
    if len(hits):
        hit, step = copy_rows(hits, (u * len(hits)).long()).unbind(dim=-1)
        desired = copy_rows(data.desired_goals, hit)
        reached = torch.where(relabel[..., None], reached, desired)
        episode = torch.where(relabel, episode, hit)
        last = torch.where(relabel, last, step)
    return episode, last, reached


# book/learning/trajectories.md, section "The corrected sampler"
def _check_goals(hindsight, tolerance, ahead, discount) -> None:
    for name, share in (("hindsight", hindsight), ("ahead", ahead)):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} must lie in [0, 1], got {share}")
    if not tolerance >= 0.0:
        problem = f"tolerance must not be negative, got {tolerance}"
        raise ValueError(problem)
    if not 0.0 < discount <= 1.0:
        raise ValueError(f"discount must lie in (0, 1], got {discount}")


# book/learning/trajectories.md, section "Every transition that reaches the goal"
def find_near(
    trajectories: Trajectories,
    episode: Tensor,
    goals: Tensor,
    tolerance: float,
) -> Tensor:
    """Tell which transitions of an episode end at a goal, (N, B, T).

    Args:
        trajectories: the data.
        episode: numbers of episodes, (N, B).
        goals: one for each, (N, B, G).
        tolerance: largest distance that counts, in units of the goal space.
    """
    after = trajectories.achieved_goals[episode, 1:]
    near = (after - goals.unsqueeze(-2)).norm(dim=-1) <= tolerance
    steps = torch.arange(near.shape[-1], device=near.device)
    return near & (steps < trajectories.lengths[episode].unsqueeze(-1))


def draw_place(u: Tensor, allowed: Tensor) -> Tensor:
    """Map uniforms (N, B) to places where `allowed` (N, B, T) is true."""
    rank = (u * allowed.sum(dim=-1)).long()
    return (allowed.cumsum(dim=-1) <= rank.unsqueeze(-1)).sum(dim=-1)


# book/learning/trajectories.md, section "The released sampler"
class ReleasedSampler(Sampler):
    """Draw rho and q as the released SMORe code does, off-by-ones included.

    Takes the arguments of `Sampler`; `ahead` and `discount` have no effect.

    Raises:
        ValueError: also for a single episode, which is never drawn, and for
            episodes that differ in length or have fewer than 3 transitions.

    Source: the public repository of Sikchi et al. (2024), commit 68e59de.
    """

    columns = 9

    def __init__(self, trajectories: Trajectories, *goals, **named):
        super().__init__(trajectories, *goals, **named)
        if self.near:
            raise ValueError("near needs sampler=corrected")
        episodes, self.horizon = _check_level(trajectories)
        self.drawn = self.horizon * episodes // (self.horizon + 1)
        desired = trajectories.desired_goals
        self.desired = desired.repeat_interleave(trajectories.lengths, 0)
        self.achieved = trajectories.achieved_goals[:, :-1].flatten(0, 1)
        gap = (self.achieved - self.desired).norm(dim=-1)
        self.rows = (gap <= self.tolerance).nonzero()[:, 0]

    def __call__(self, uniforms: Tensor) -> tuple[Batch, Batch]:
        """Map uniforms in [0, 1), (N, B, columns) float64, to rho and q."""
        u = uniforms.unbind(dim=-1)
        row, future = self._rows(*u[:3])
        relabel = u[3] < self.hindsight
        reached, desired = self.achieved[future], self.desired[row]
        goal = torch.where(relabel[..., None], reached, desired)
        rho = self._take(row, goal, torch.where(relabel, future - row, 0))
        _, row = self._rows(*u[4:7])
        goal = self.achieved[row]
        if len(self.rows):
            relabel = u[7] < self.hindsight
            hit = self.rows[(u[8] * len(self.rows)).long()]
            goal = torch.where(relabel[..., None], goal, self.desired[hit])
            row = torch.where(relabel, row, hit)
        row, one = (row - 1) % self.draw_rows.count, torch.ones_like(row)
        return rho, self._take(row, goal, one)

    def _rows(self, u_episode, u_step, u_future) -> tuple[Tensor, Tensor]:
        step = (u_step * self.horizon).long()
        row = (u_episode * self.drawn).long() * self.horizon + step
        return row, row + 1 + (u_future * (self.horizon - 2 - step)).long()

    def _take(self, row: Tensor, goals: Tensor, steps: Tensor) -> Batch:
        episode, step = row // self.horizon, row % self.horizon
        return take(self.data, episode, step, goals, steps, self.tolerance)


# book/learning/trajectories.md, section "The released sampler"
def _check_level(trajectories: Trajectories) -> tuple[int, int]:
    episodes, horizon = trajectories.actions.shape[:2]
    level = bool((trajectories.lengths == horizon).all())
    if not level or horizon < 3 or episodes < 2:
        raise ValueError(
            "the released sampler needs two or more episodes of one"
            " length, at least 3: set sampler=corrected"
        )
    return episodes, horizon


SAMPLERS = {"corrected": Sampler, "released": ReleasedSampler}


# book/learning/trajectories.md, section "One generator per seed"
def draw_uniforms(
    generators: Sequence[torch.Generator], batch: int, columns: int
) -> Tensor:
    """Draw (N, batch, columns) float64 uniforms, slice n from generator n."""
    return torch.stack(
        [
            torch.rand(
                batch,
                columns,
                generator=generator,
                dtype=torch.float64,
                device=generator.device,
            )
            for generator in generators
        ]
    )
