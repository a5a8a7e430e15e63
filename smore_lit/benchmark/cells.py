# Generated from book/benchmark/cells.md by make sync. Edit the chapter, not this file.
"""Tables and studies: what is to be trained.

Each number of the paper, and each experiment of this book, as a task, a method
and its settings.
"""

__all__ = [
    "METHODS",
    "NOISE",
    "MIXTURE_RATIO",
    "Cell",
    "cells_of",
    "without_recorded_goals",
    "METHODS_OF_TABLE_1",
    "TABLES",
    "Asked",
    "FROM_PAPER",
    "OBJECTIVES",
    "objectives",
    "FREE",
    "DIVERGENCES",
    "divergences",
    "SHORT_TASKS",
    "manipulation",
    "trials",
    "FOOT",
    "AHEAD",
    "RATES",
    "INPUTS",
    "START",
    "LADDER",
    "ladder",
    "SHARES",
    "LAG_TASKS",
    "ONE_NETWORK",
    "LINEAR",
    "HARD",
    "SOFTER",
    "lag",
    "speeds",
    "PARTS",
    "parts",
    "GROUPS",
    "constants",
    "STUDIES",
    "as_cell",
]


# book/benchmark/cells.md, section "Tables and studies: what is to be trained"
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from smore_lit.learning.agent import PAPER_STEPS, find_agent, make_config
from smore_lit.running.results import read_results


# book/benchmark/cells.md, section "What a number of a table asks for"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "SMORe": ("smore", {}),
    "GoFAR": ("gofar", {}),
    "WGCSL": ("wgcsl", {}),
    "GCSL": ("gcsl", {}),
    "CRL": ("crl", {}),
    "AM": ("am", {}),
    "IQL": ("iql", {}),
    "GC-SQL": ("sql", {}),
    "GC-EQL": ("eql", {}),
    "GC-XQL": ("xql", {}),
    "SMORe w/o HER": ("smore", {"hindsight": 0.0}),
    "GoFAR (discriminator)": ("gofar", {}),
    "GoFAR (sparse reward)": ("gofar", {"reward": "sparse"}),
    "r-GoFAR (sparse reward)": ("gofar", {"reward": "sparse"}),
    "GoFAR (expectile loss+AWR)": ("gofar", {"update": "in-sample"}),
    "SMORe (w/o AWR)": ("smore-ablated", {"extraction": "ascent"}),
    "SMORe (w/o AWR and Expectile loss)": (
        "smore-ablated",
        {"extraction": "ascent", "maximum": "policy"},
    ),
}
NOISE = (0.5, 1.0, 1.5)  # spreads of the noise in Figure 2
MIXTURE_RATIO = 0.5  # of the paper, and the default


# book/benchmark/cells.md, section "What a number of a table asks for"
@dataclass(frozen=True)
class Cell:
    """Say what is to be trained, on which data."""

    task: str  # with its noise, such as FetchReach-noise0.5
    algorithm: str
    preset: str = "shared"
    settings: tuple[tuple[str, Any], ...] = ()  # what differs from it
    expert_percent: float | None = None  # None: as published
    stored_goal: float | None = None  # of every episode; None: as recorded

    @property
    def label(self) -> str:
        """Return preset, algorithm and what differs, in one line."""
        changes = [f"{name}={value}" for name, value in self.settings]
        if self.expert_percent is not None:
            changes.append(f"expert={self.expert_percent:g}%")
        if self.stored_goal is not None:
            changes.append(f"stored_goal={self.stored_goal:g}")
        return " ".join([self.preset, self.algorithm, *changes])


# book/benchmark/cells.md, section "What a number of a table asks for"
def cells_of(name: str, preset: str) -> Iterator[tuple[Cell, str]]:
    """Yield the cells of a table, each with the paper's name of the method.

    Args:
        name: such as "table1" or "figure2", or one of `STUDIES`.
        preset: whose constants each method takes.
    """
    if name in STUDIES:
        for asked in STUDIES[name]():
            cell = as_cell(preset, *asked)
            yield cell, cell.label
        return
    if name == "figure2":
        for sigma in NOISE:
            for method in METHODS_OF_TABLE_1:
                task = f"FetchReach-noise{sigma}"
                yield Cell(task, METHODS[method][0], preset), method
        return
    for row in read_results("paper_tables"):
        if row["table"] != name:
            continue
        algorithm, settings = METHODS[row["algorithm"]]
        if row["beta"] not in (None, MIXTURE_RATIO):
            settings = settings | {"beta": row["beta"]}
        if preset == "shared" and "TgtVel" in row["task"]:
            settings = without_recorded_goals(algorithm) | settings
        percent = row["expert_percent"]
        percent = None if percent in (None, 10) else float(percent)
        changes = tuple(sorted(settings.items()))
        cell = Cell(row["task"], algorithm, preset, changes, percent)
        yield cell, row["algorithm"]


# book/benchmark/cells.md, section "What a number of a table asks for"
def without_recorded_goals(algorithm: str) -> dict[str, Any]:
    """Return settings by which a method that mixes goals takes hindsight's."""
    usual = find_agent(algorithm).config().hindsight
    return {"hindsight": 1.0} if 0.0 < usual < 1.0 else {}


# book/benchmark/cells.md, section "What a number of a table asks for"
METHODS_OF_TABLE_1 = tuple(METHODS)[:7]
TABLES = (
    *(f"table{n}" for n in (1, 2, *range(6, 17))),
    "figure2",
)


# book/benchmark/cells.md, section "Studies of our own"
Asked = tuple[Any, ...]  # task, algorithm, settings[, stored goal]

FROM_PAPER = {
    **PAPER_STEPS,
    "coefficient": 0.25,
    "temperature": 3.0,
    "centred": False,
}
OBJECTIVES: tuple[dict[str, Any], ...] = (
    {},
    {"coefficient": 1.0},
    {"objective": "paper", "coefficient": 1.0},
    {"objective": "paper"},
    {"objective": "released"},
    {"objective": "released-stable"},
    {"standardise": False},
    {"temperature": 1e-3},
    {"temperature": 12.0},
    {"temperature": 0.75},
    {"objective": "released", "temperature": 12.0},
    {"objective": "released", "temperature": 0.75},
)


def objectives() -> Iterator[Asked]:
    """Yield the default and, at the paper's step sizes, each objective."""
    yield "FetchReach", "smore", {}
    for settings in OBJECTIVES:
        yield "FetchReach", "smore", FROM_PAPER | settings


# book/benchmark/cells.md, section "Studies of our own"
FREE = {"action_free": True}
DIVERGENCES = (
    {"divergence": "kl"},
    {"divergence": "kl", "objective": "paper"},
    {"divergence": "kl", "objective": "paper", "ratio_cap": 1e30},
    FREE,
    FREE | {"divergence": "kl"},
    FREE | {"objective": "paper"},
    FREE | {"coefficient": 1e-4, "beta": 1.0},  # all ratios near 1: a clone
    FREE | {"coefficient": 1e-4},
    {"divergence": "hellinger"},
    {"divergence": "js"},
)


def divergences() -> Iterator[Asked]:
    """Yield SMORe by other divergences and without actions."""
    for settings in DIVERGENCES:
        found = FROM_PAPER | settings
        if found.get("action_free"):
            del found["temperature"]
        yield "FetchReach", "smore", found


# book/benchmark/cells.md, section "Studies of our own"
SHORT_TASKS = (
    "FetchReach",
    "Reacher",
    "SawyerReach",
    "SawyerDoor",
    "FetchPush",
    "FetchPick",
    "FetchSlide",
    "HandReach",
)


def manipulation() -> Iterator[Asked]:
    """Yield SMORe, IQL and three ways to clone, on every short task."""
    for task in SHORT_TASKS:
        for name in ("smore", "iql", "bc", "gcsl", "goal-bc"):
            yield task, name, {}


def trials() -> Iterator[Asked]:
    """Yield SMORe on FetchPush with one choice changed at a time."""
    for temperature in (1.0, 2.0, 3.0):
        yield "FetchPush", "smore", {"temperature": temperature}
    for change in ({"centred": False}, {"ahead": 0.0}, PAPER_STEPS):
        yield "FetchPush", "smore", {"temperature": 3.0} | change


# book/benchmark/cells.md, section "Studies of our own"
FOOT = dict(  # Table 4 of the paper, with the in-sample loss
    ahead=0.0,
    learning_rate=3e-4,
    polyak=0.005,
    standardise=False,
    centred=False,
    coefficient=0.25,
    temperature=3.0,
)
AHEAD = FOOT | dict(ahead=0.8)
RATES = AHEAD | dict(learning_rate=1e-3, polyak=0.02)
INPUTS = RATES | dict(standardise=True)
START = INPUTS | dict(centred=True, coefficient=0.5)
LADDER = {
    "Table 4": FOOT,
    "goals ahead": AHEAD,
    "larger steps": RATES,
    "one scale": INPUTS,
    "centred": START,
}


def ladder() -> Iterator[Asked]:
    """Yield the way from Table 4's constants to ours, and variants."""
    for settings in LADDER.values():
        yield "FetchPick", "smore", settings
    yield "FetchPick", "smore", {"objective": "released-stable"}
    yield "FetchPick", "smore", {"coefficient": 0.25}
    for name in ("smore", "gofar", "gcsl", "iql"):
        yield "FetchPick", name, {"ahead": 0.0}
    for task in ("FetchPick", "FetchReach", "PointReach"):
        yield task, "gofar", {"hindsight": 0.8}


# book/benchmark/cells.md, section "Studies of our own"
SHARES = (0.8, 0.0, 0.5, 0.2)  # of hindsight goals, the ends first
LAG_TASKS = ("FetchPick", "FetchPush", "SawyerDoor")
ONE_NETWORK = {"advantage": "value"}
LINEAR = ONE_NETWORK | {"weights": "linear"}
HARD = LINEAR | {"offset": 0.0}
SOFTER = ONE_NETWORK | {"temperature": 0.5}


def lag() -> Iterator[Asked]:
    """Yield the study of the lag, what tells most of a task first."""
    ends = [{"hindsight": share} for share in SHARES[:2]]
    for task in LAG_TASKS:
        for asked in ends:
            for name in ("smore", "iql", "gofar"):
                yield task, name, asked
            for change in (FREE, LINEAR, SOFTER):
                yield task, "smore", asked | change
        for share in SHARES[2:]:
            for name in ("smore", "iql", "gofar"):
                yield task, name, {"hindsight": share}
        for asked in ends:
            for change in (ONE_NETWORK, HARD):
                yield task, "smore", asked | change
                yield task, "iql", asked | change
        for share in SHARES:
            if share > 0:  # goals that were asked for have all their entries
                yield task, "smore", {"hindsight": share, "near": True}


# book/benchmark/cells.md, section "Studies of our own"
def speeds() -> Iterator[Asked]:
    """Yield other shares of recorded goals, and other ones, for a robot."""
    task, share = "CheetahTgtVel-m-e", {"hindsight": 0.8}
    for name in ("gcsl", "smore", "iql"):
        yield task, name, share
        for goal in (0.0, 5.7):
            yield task, name, share, goal
    yield task, "gofar", {"hindsight": 1.0}


# book/benchmark/cells.md, section "Studies of our own"
PARTS: tuple[Asked, ...] = (
    ("smore", {}),
    ("smore-ablated", {"contrast": False}),
    ("gcsl", {"hindsight": 0.8}),
    ("smore-discriminator", {}),
    ("smore-discriminator", {"reward": "logit"}),
)


def parts() -> Iterator[Asked]:
    """Yield SMORe, without its contrast, a clone, and discriminators."""
    for task in ("FetchReach", "SawyerReach", "SawyerDoor", "FetchPick"):
        for method in PARTS:
            yield task, *method


# book/benchmark/cells.md, section "Studies of our own"
GROUPS = (
    (),
    ("standardise",),
    ("ahead",),
    ("batch_size",),
    ("hidden",),
    ("learning_rate", "polyak"),
)


def constants() -> Iterator[Asked]:
    """Which of the authors' constants slow SMORe and IQL down."""
    for name in ("smore", "iql"):
        shared = vars(find_agent(name).config())
        for group in GROUPS:
            yield "FetchReach", name, {key: shared[key] for key in group}
    shared = vars(find_agent("smore").config())
    for group in (*GROUPS[:3], ("standardise", "ahead")):
        yield "FetchPush", "smore", {key: shared[key] for key in group}


# book/benchmark/cells.md, section "Studies of our own"
STUDIES: dict[str, Callable[[], Iterator[Asked]]] = {
    each.__name__: each
    for each in (
        objectives,
        divergences,
        manipulation,
        trials,
        ladder,
        lag,
        speeds,
        parts,
        constants,
    )
}


def as_cell(
    preset: str,
    task: str,
    algorithm: str,
    settings: dict[str, Any],
    stored_goal: float | None = None,
) -> Cell:
    """Return the cell, without settings that are the preset's already."""
    usual = make_config(find_agent(algorithm), preset)
    changes = {
        name: value
        for name, value in settings.items()
        if value != getattr(usual, name)
    }
    found = tuple(sorted(changes.items()))
    return Cell(task, algorithm, preset, found, stored_goal=stored_goal)
