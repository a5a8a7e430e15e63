# Generated from book/benchmark/grid.md by make sync. Edit the chapter, not this file.
"""The grid: every table of the paper as a list of runs.

The paper's tables are data; each of their numbers asks for a run, and tables
that ask for the same run share it.
"""

__all__ = [
    "SHORT",
    "Protocol",
    "PAPER_UPDATES",
    "CPU_UPDATES",
    "PROTOCOLS",
    "Job",
    "Expansion",
    "expand",
    "check_names",
    "check_words",
    "what_is_missing",
    "fits",
    "INPUTS",
    "count_products",
    "seconds_per_product",
    "estimate_seconds",
]


# book/benchmark/grid.md, section "The grid: every table of the paper as a list of runs"
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from smore_lit.benchmark.cells import (
    METHODS,
    STUDIES,
    TABLES,
    Cell,
    cells_of,
)
from smore_lit.learning.agent import find_agent, list_presets, make_config
from smore_lit.learning.training import Plan
from smore_lit.running.results import select
from smore_lit.worlds.tasks import list_tasks, load_task


# book/benchmark/grid.md, section "How long each is trained"
SHORT = 50  # steps of an episode, in all tasks but those of locomotion


@dataclass(frozen=True)
class Protocol:
    """Say how long each cell is trained, on how much data."""

    name: str
    size: str  # of the data
    seeds: int
    updates: Mapping[str, int] = field(hash=False)  # by task; "" for others
    looks: int = 4  # evaluations, the last of them at the end
    first_seed: int = 1_000  # no setting was chosen with these
    eval_episodes: int = 50

    def plan(self, task: str, **changes) -> Plan:
        """Return the plan for a task; changes are fields of `Plan`."""
        known_task = load_task(task)
        base, long = known_task.base, known_task.horizon > SHORT
        updates = changes.pop("updates", None)
        updates = updates or self.updates.get(base, self.updates[""])
        known: dict[str, Any] = dict(
            updates=updates,
            seeds=self.seeds,
            seed=self.first_seed,
            eval_every=max(1, updates // self.looks),
            eval_episodes=min(self.eval_episodes, 10 if long else 50),
            threads=1,
        )
        return Plan(**known | changes)


# book/benchmark/grid.md, section "How long each is trained"
PAPER_UPDATES = {"": 1_000_000} | dict.fromkeys(
    ("FetchReach", "FetchPick", "FetchSlide"), 400_000
)
CPU_UPDATES = {
    "": 2_000,
    "SawyerReach": 3_000,
    "FetchPick": 6_000,
    "FetchPush": 6_000,
    "FetchSlide": 6_000,
    "HandReach": 6_000,
    "CheetahTgtVel-m-e": 5_000,
    "CheetahTgtVel-r-e": 5_000,
    "AntTgtVel-m-e": 3_000,
    "AntTgtVel-r-e": 3_000,
}
PROTOCOLS = {
    each.name: each
    for each in (
        Protocol("smoke", "tiny", 2, {"": 50}, looks=1, eval_episodes=5),
        Protocol("screen", "cpu", 3, {"": 2_500}, looks=2, first_seed=100),
        Protocol("small", "tiny", 5, CPU_UPDATES),
        Protocol("cpu", "cpu", 5, CPU_UPDATES),
        Protocol("full", "paper", 10, PAPER_UPDATES, looks=20),
    )
}


# book/benchmark/grid.md, section "How long each is trained"
@dataclass(frozen=True)
class Job:
    """Hold a cell, how it is trained, and who asked for it."""

    cell: Cell
    plan: Plan
    size: str
    study: str
    tables: tuple[str, ...] = field(default=(), compare=False)

    @property
    def title(self) -> str:
        """Return task and label, for people."""
        return f"{self.cell.task} {self.cell.label}"

    @property
    def config(self):
        """Return the full configuration of the agent."""
        cell = self.cell
        agent = find_agent(cell.algorithm)
        return make_config(agent, cell.preset, **dict(cell.settings))

    def arguments(self) -> dict[str, Any]:
        """Return what `train` takes, but for the data and the folder."""
        cell = self.cell
        asked = dataclasses.asdict(self.plan)
        return asked | {
            "algorithm": cell.algorithm,
            "task": cell.task,
            "preset": cell.preset,
            "settings": dict(cell.settings),
        }


# book/benchmark/grid.md, section "The list"
@dataclass(frozen=True)
class Expansion:
    """Hold the jobs of some tables, and what could not become one."""

    jobs: tuple[Job, ...]
    missing: tuple[str, ...]


# book/benchmark/grid.md, section "The list"
def expand(
    tables: Iterable[str],
    protocol: str = "cpu",
    presets: Iterable[str] = ("shared",),
    only: Iterable[str] = (),
    shard: tuple[int, int] = (1, 1),
    **changes,
) -> Expansion:
    """Return the jobs of tables of the paper.

    Args:
        tables: names from `TABLES` or `STUDIES`.
        protocol: a name from `PROTOCOLS`.
        presets: whose constants; each method once with each.
        only: keep jobs whose task or algorithm is among these; no words keep
            all, and words for tasks and for algorithms must both fit.
        shard: (i, n) keeps every n-th job, beginning with the i-th.
        changes: fields of the plan that differ from the protocol's.

    Raises:
        ValueError: an unknown name, an impossible shard, or words that
            leave nothing.
    """
    presets, only = list(presets), list(only)
    known = check_names(tables, protocol, presets, only, shard)
    found: dict[Cell, list[str]] = {}
    missing: dict[str, None] = {}
    for preset in presets:
        for name in known:
            for cell, method in cells_of(name, preset):
                lack = what_is_missing(cell, method)
                if lack and fits(cell, only):
                    missing[lack] = None
                elif fits(cell, only):
                    found.setdefault(cell, []).append(name)
    if known and not found:
        reason = "; ".join(missing) or "no task asked for has such a method"
        raise ValueError(
            f"nothing is left of {' and '.join(known)} ({reason:.200}): ask"
            f" for other words with only, or for another preset"
        )
    sized, study = PROTOCOLS[protocol], f"grid {protocol}"
    if changes:
        study += "".join(f" {k}={v}" for k, v in sorted(changes.items()))
    jobs = [
        Job(
            cell,
            sized.plan(cell.task, **changes),
            sized.size,
            study,
            tuple(dict.fromkeys(names)),
        )
        for cell, names in found.items()
    ]
    return Expansion(tuple(jobs[shard[0] - 1 :: shard[1]]), tuple(missing))


# book/benchmark/grid.md, section "The list"
def check_names(tables, protocol, presets, only, shard) -> list[str]:
    """Return the tables, or raise ValueError in one line."""
    names = list(tables)
    for name in names:
        if name not in (*TABLES, *STUDIES):
            printed = str(name).startswith(("table", "figure"))
            kind, among = ("table", TABLES) if printed else ("study", STUDIES)
            known = ", ".join(among)
            raise ValueError(f"unknown {kind} {name!r:.40}; known: {known}")
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"unknown protocol {protocol!r:.40}; known: {known}")
    agents = {algorithm for algorithm, _ in METHODS.values()}
    offered = {p for a in agents for p in list_presets(find_agent(a))}
    for preset in presets:
        if preset not in offered:
            known = ", ".join(sorted(offered))
            raise ValueError(f"unknown preset {preset!r:.40}; known: {known}")
    check_words(names, presets, only)
    i, n = shard
    if not 1 <= i <= n:
        raise ValueError(f"shard {i}/{n}: the first number is 1 to {n}")
    return names


# book/benchmark/grid.md, section "The list"
def check_words(names, presets, only) -> None:
    """Raise ValueError for a word that none of the tables asks for."""
    if not only:
        return
    lists = [cells_of(name, preset) for preset in presets for name in names]
    cells = [cell for each in lists for cell, _ in each]
    tasks = dict.fromkeys(c.task.partition("-noise")[0] for c in cells)
    known = [*tasks, *sorted({c.algorithm for c in cells})]
    for word in only:
        if word not in known:
            raise ValueError(
                f"no task or method {word!r:.40} in {' or '.join(names)};"
                f" known: {', '.join(known)}"
            )


def what_is_missing(cell: Cell, method: str) -> str:
    """Return one line on why a cell cannot be trained; empty if it can."""
    if cell.task.partition("-noise")[0] not in list_tasks():
        return f"{cell.task}: this task does not exist here yet"
    if cell.preset not in list_presets(find_agent(cell.algorithm)):
        return f"{method}: has no preset {cell.preset}"
    return ""


def fits(cell: Cell, only: Iterable[str]) -> bool:
    """Tell whether task and algorithm are among the words of their kind."""
    words = set(only)
    tasks = words & set(list_tasks())
    methods = words - tasks
    base = cell.task.partition("-noise")[0]
    return (not tasks or base in tasks) and (
        not methods or cell.algorithm in methods
    )


# book/benchmark/grid.md, section "What it costs"
INPUTS = 32  # of a network, about


def count_products(settings: Mapping[str, Any]) -> int:
    """Return the products of one pass of a batch through one network."""
    widths = INPUTS, *settings["hidden"], 1
    return settings["batch_size"] * sum(a * b for a, b in pairwise(widths))


def seconds_per_product() -> dict[str, float]:
    """Return what runs of the store took for a product, by algorithm."""
    found: dict[str, float] = {}
    for study in ({"study": "grid cpu"}, {}):
        spent: dict[str, list[float]] = {}
        for row in select("runs", **study):
            plan, rate = row["plan"], row["updates_per_second"]
            if rate and "hidden" in row["config"]:
                work = len(plan["seeds"]) * count_products(row["config"])
                threads = plan.get("threads", 1)
                each = threads / (rate * work)
                spent.setdefault(row["algorithm"], []).append(each)
        found = {name: median(times) for name, times in spent.items()} | found
    return found


def estimate_seconds(job: Job, speeds: Mapping[str, float]) -> float:
    """Return about how long a job takes on one core of this machine."""
    cell = job.cell
    each = speeds.get(cell.algorithm, median(speeds.values()))
    preset = make_config(find_agent(cell.algorithm), cell.preset)
    settings = vars(preset) | dict(cell.settings)
    work = job.plan.updates * job.plan.seeds
    return each * work * count_products(settings)
