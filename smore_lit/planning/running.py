# Generated from book/planning/running.md by make sync. Edit the chapter, not this file.
"""Running: plan at every step.

A cheetah that was only ever seen at a trot: plans eight steps long, made anew
at every step, run it faster than what it was recorded from.
"""

__all__ = [
    "Gait",
    "GAITS",
    "running_reward",
    "running_cost",
    "QUALITIES",
    "check_gait",
    "record_runs",
    "Run",
    "check_steps",
    "drive",
    "MODEL",
    "SCORE",
    "FIRST",
    "RecordedGait",
    "Running",
    "hop",
    "judge_run",
    "draw_runner",
]


# book/planning/running.md, section "Running: plan at every step"
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smore_lit.planning.offline import (
    Attempt,
    Method,
    OfflinePlanner,
    Replanner,
    fit_planner,
    leave_data,
    list_transitions,
)
from smore_lit.planning.planners import Descent
from smore_lit.planning.search import Search
from smore_lit.running.files import as_whole
from smore_lit.running.rollouts import Rollouts
from smore_lit.worlds.experts import random_policy
from smore_lit.worlds.locomotion import ROBOTS, TASKS, Runner, describe_run
from smore_lit.worlds.tasks import Task


# book/planning/running.md, section "The task"
class Gait(NamedTuple):
    """Say where a robot runs and how it is paid for a step."""

    task: Task
    column: int  # of the forward velocity in an observation
    seconds: float  # that a step lasts
    effort: float  # c, the charge for torque
    alive: float = 0.0  # paid for each step that ends on its feet


GAITS = {
    "halfcheetah": Gait(TASKS["halfcheetah"], 8, 0.05, 0.1),
    "hopper": Gait(describe_run("hopper", "Hopper"), 5, 0.008, 1e-3, 1.0),
}


def running_reward(
    states: Tensor, actions: Tensor, robot: str = "halfcheetah"
) -> Tensor:
    """Return Eq. (running-reward) of states after actions, (...)."""
    speed = states[..., GAITS[robot].column]
    return speed - GAITS[robot].effort * actions.square().sum(dim=-1)


def running_cost(
    states: Tensor, actions: Tensor, robot: str = "halfcheetah"
) -> Tensor:
    """Return Eq. (running-cost) of plans (B, T+1, n), (B, T, m)."""
    beyond = (actions.abs() - 1).relu().square().sum(dim=(-2, -1))
    rewards = running_reward(states[:, 1:], actions, robot)
    return 10 * beyond - rewards.mean(dim=-1)


# book/planning/running.md, section "The task"
QUALITIES = ("medium", "random")


def check_gait(robot: str, quality: str) -> None:
    """Raise ValueError unless both names are known."""
    for what, name, known in (
        ("robot", robot, GAITS), ("quality", quality, QUALITIES),
    ):
        if name not in known:
            raise ValueError(
                f"unknown {what} {name!r:.40}; known: {', '.join(known)}"
            )


def record_runs(
    quality: str, episodes: int, seed: int, robot: str = "halfcheetah"
) -> dict[str, np.ndarray]:
    """Record a runner; return its episodes as `play` does.

    Args:
        quality: "medium" or "random".
        episodes: of 1,000 steps, or until it falls.
        seed: of starts and draws.
        robot: one of GAITS.

    Raises:
        ValueError: an unknown name.
    """
    check_gait(robot, quality)
    task = GAITS[robot].task
    how: Any = Runner(robot, "medium")
    how = random_policy(task) if quality == "random" else how
    count, parts = min(episodes, 50), []
    pairs = [
        (seed * 10_000 + k, np.random.default_rng([seed, k]))
        for k in range(episodes)
    ]
    with Rollouts(task.make, count, workers=0) as worlds:
        for k in range(0, episodes, count):
            made = worlds.perform(how, pairs[k : k + count], task.horizon)
            parts.append(made)
    return {name: np.concatenate([p[name] for p in parts]) for name in made}


# book/planning/running.md, section "Drive"
@dataclass
class Run:
    """Hold what came of B robots that were driven for some steps.

    Fields:
        robot: one of GAITS.
        states: (steps + 1, B, n), actions (steps, B, m), as they came.
        fallen: whether a robot's episode has ended, (steps + 1, B).
        promised: mean reward of the plan at each step, (steps, B).
        first: states of the first plans, (B, T+1, n).
        seconds: of processor time, spent on planning.
    """

    robot: str
    states: Tensor
    actions: Tensor
    fallen: Tensor
    promised: Tensor
    first: Tensor
    seconds: float

    @property
    def rewards(self) -> Tensor:
        """Return what was collected at each step, (steps, B).

        A robot that has fallen collects nothing any more.
        """
        paid = running_reward(self.states[1:], self.actions, self.robot)
        alive = GAITS[self.robot].alive * ~self.fallen[1:]
        return (paid + alive) * ~self.fallen[:-1]


# book/planning/running.md, section "Drive"
def check_steps(steps: int) -> int:
    """Return steps; ValueError unless an episode has so many."""
    most = TASKS["halfcheetah"].horizon
    if not 1 <= (found := as_whole("steps", steps)) <= most:
        raise ValueError(f"steps must be 1 to {most}, got {steps}")
    return found


def drive(
    act: Replanner,
    seeds: list[int],
    steps: int = 1_000,
    robot: str = "halfcheetah",
) -> Run:
    """Drive robots from starts by seeds, planning at every step.

    Args:
        act: with `running_cost` of the robot; a fresh one.
        seeds: of the starts, one for each robot.
        steps: of the world.
        robot: one of GAITS.

    On a terminal a progress bar is shown. Where all have fallen, nothing
    is planned any more.

    Raises:
        ValueError: more steps than an episode has, or none.
    """
    steps, spent = check_steps(steps), 0.0
    plans, actions = [], []
    with Rollouts(GAITS[robot].task.make, len(seeds), 0) as worlds:
        seen = [worlds.reset(seeds)]
        for _ in tqdm(range(steps), "steps", leave=False, disable=None):
            if seen[-1]["ended"].all():
                break
            began = time.process_time()
            plans.append(act.plan(torch.from_numpy(seen[-1]["observation"])))
            spent += time.process_time() - began
            actions.append(plans[-1].actions[:, 0].clamp(-1, 1))
            seen.append(worlds.step(actions[-1].numpy()))
    rest = steps - len(plans)
    seen += rest * seen[-1:]
    actions += rest * [torch.zeros_like(actions[-1])]
    states, fallen = (
        torch.from_numpy(np.stack([each[name] for each in seen]))
        for name in ("observation", "ended")
    )
    told = [GAITS[robot].alive - each.costs for each in plans]
    told += rest * [torch.zeros(len(seeds))]
    came = robot, states, torch.stack(actions), fallen, torch.stack(told)
    return Run(*came, plans[0].states, spent)


# book/planning/running.md, section "The problem as a whole"
MODEL: dict[str, Any] = {"hidden": (256, 256), "batch_size": 512}
SCORE = MODEL | {"smallest": 0.3}
FIRST = 100  # steps of descent for the first plan


@dataclass(frozen=True)
class RecordedGait:
    """Learn a robot's gait from recorded episodes.

    Raises:
        ValueError: an unknown name, or a count that makes no sense.
    """

    robot: str = "halfcheetah"  # one of GAITS
    quality: str = "medium"  # of the recorded runner; or random
    episodes: int = 100
    updates: int = 12_000  # of each network

    def __post_init__(self):
        check_gait(self.robot, self.quality)
        for name in ("updates", "episodes"):
            value = as_whole(name, getattr(self, name), 1)
            object.__setattr__(self, name, value)

    def learn(
        self,
        seed: int,
        members: int = 3,
        updates: int | None = None,
        out: Path | str | None = None,
        progress: bool = False,
    ) -> OfflinePlanner:
        """Record episodes and learn from them; see `fit_planner`."""
        runs = record_runs(self.quality, self.episodes, seed, self.robot)
        given = list_transitions(runs)
        how: dict[str, Any] = dict(members=members, seed=seed)
        how |= dict(updates=updates or self.updates, progress=progress)
        return fit_planner(*given, out, model=MODEL, score=SCORE, **how)


# book/planning/running.md, section "The problem as a whole"
@dataclass(frozen=True)
class Running(RecordedGait):
    """Run as fast as recorded gaits teach a robot to.

    Raises:
        ValueError: an unknown name, or a count that makes no sense.
    """

    length: int = 8  # steps of a plan
    steps: int = 1_000  # of an attempt
    attempts: int = 1
    name: str = "locomotion"  # of the problem, on the command line
    method: Method = Method(
        beta=1.0,
        descent=Descent(40, 0.05, largest=0.5, smallest=0.3, levels=5),
        search=Search(steps=4, samples=16, elites=4, temperature=0.1),
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("length", "attempts"):
            value = as_whole(name, getattr(self, name), 1)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "steps", check_steps(self.steps))

    def attempt(
        self, known: OfflinePlanner, method: Method, seed: int
    ) -> list[Attempt]:
        """Drive robots, each from a start of its own."""
        cost = partial(running_cost, robot=self.robot)
        act = Replanner(known, cost, method, self.length, FIRST)
        seeds = [seed * 1_000 + k for k in range(self.attempts)]
        return judge_run(known, drive(act, seeds, self.steps, self.robot))

    def draw(self, attempt: Attempt) -> list[np.ndarray]:
        """Return pictures (H, W, 3) of the run, ten a second."""
        every = round(0.1 / GAITS[self.robot].seconds)
        return draw_runner(attempt.real[::every].numpy(), self.robot)


# book/planning/running.md, section "The problem as a whole"
def hop() -> Running:
    """Return the problem of a hopper."""
    return Running(robot="hopper", length=16, name="hopper")


# book/planning/running.md, section "The problem as a whole"
def judge_run(known: OfflinePlanner, run: Run) -> list[Attempt]:
    """Return what came of each robot of a run.

    Costs are means of the negative reward: as the plans promised while the
    robot stood, and as it came, over all steps.  Success is to collect more
    than the recorded runner, whose reward is that of the planner's points.
    """
    size, gait = run.states.shape[-1], GAITS[run.robot]
    taken = known.points[:, size:]
    recorded = running_reward(known.points, taken, run.robot).mean()
    recorded += gait.alive
    share, found = run.seconds / run.states.shape[1], []
    for b in range(run.states.shape[1]):
        last = int((~run.fallen[:-1, b]).sum())
        came, taken = run.states[: last + 1, b], run.actions[:last, b]
        outside = leave_data(known, came[:-1], taken).mean()
        reward = run.rewards[:, b].mean()
        found.append(
            Attempt(
                label=str(b + 1),
                model_cost=-float(run.promised[:last, b].mean()),
                true_cost=-float(reward),
                outside=float(outside),
                success=bool(reward > recorded),
                seconds=share,
                planned=run.first[b],
                real=came,
                actions=taken,
            )
        )
    return found


# book/planning/running.md, section "The problem as a whole"
def draw_runner(
    states: np.ndarray, robot: str = "halfcheetah", size: int = 320
) -> list[np.ndarray]:
    """Draw observed states (K, n), a tenth of a second apart.

    The place is the sum of the velocities; the ground has a mark for every
    metre.  Returns pictures (size / 2, size, 3) in bytes.
    """
    import gymnasium
    import mujoco
    from PIL import Image, ImageDraw

    world: Any = gymnasium.make(ROBOTS[robot].env_id).unwrapped
    model, data, unit = world.model, world.data, size / 4
    place, pictures = 0.0, []
    for state in states:
        place += 0.1 * state[GAITS[robot].column]
        data.qpos[:] = [0.0, *state[: model.nq - 1]]
        mujoco.mj_forward(model, data)
        image = Image.new("RGB", (size, size // 2), "white")
        pen, floor = ImageDraw.Draw(image), 0.44 * size
        pen.line((0, floor, size, floor), fill="#b8b8b8", width=2)
        for mark in np.arange(np.ceil(place) - 3, place + 3) - place:
            x = size / 2 + unit * mark
            pen.line((x, floor, x, floor + 8), fill="#b8b8b8", width=2)
        for k in range(1, model.ngeom):
            radius, half = model.geom_size[k, :2]
            along = half * data.geom_xmat[k].reshape(3, 3)[:, 2]
            ends = data.geom_xpos[k] + np.stack((-along, along))
            flat = ends[:, [0, 2]] * [unit, -unit] + [size / 2, floor]
            width = int(2 * radius * unit)
            pen.line([tuple(p) for p in flat], fill="#440154", width=width)
        pictures.append(np.asarray(image))
    world.close()
    return pictures
