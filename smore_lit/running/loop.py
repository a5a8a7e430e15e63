# Generated from book/running/loop.md by make sync. Edit the chapter, not this file.
"""Training loop: stop anywhere and go on.

One loop for every learner; a run that is killed anywhere continues to the same
bits.
"""

__all__ = [
    "PRECISIONS",
    "Schedule",
    "is_finished",
    "has_begun",
    "check_finite",
    "metric_rows",
    "Record",
    "hold",
    "hold_signals",
    "Look",
    "run_loop",
    "fix_products",
]


# book/running/loop.md, section "Training loop: stop anywhere and go on"
import contextlib
import dataclasses
import json
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from smore_lit.running.checkpoints import (
    Learner,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from smore_lit.running.files import (
    Table,
    as_plain,
    as_whole,
    read_json,
    read_table,
    sweep,
    write_atomic,
)
from smore_lit.running.identity import check_same, own_folder


# book/running/loop.md, section "The schedule"
PRECISIONS = ("highest", "high", "medium")


@dataclass(frozen=True)
class Schedule:
    """Say how long to train, with which seeds, and when to write.

    Raises:
        ValueError: a count that is out of its range.
    """

    updates: int = 2_000  # optimisation steps
    seeds: int = 3  # how many, trained together
    seed: int = 0  # the first of them
    log_every: int = 100  # updates between rows of metrics.csv
    checkpoint_every: int = 500  # updates between checkpoints
    threads: int = 1  # of the CPU, that share each product
    precision: str = "highest"  # of float32 products; or high, or medium

    def __post_init__(self):
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.name == "precision":
                if value not in PRECISIONS:
                    known = ", ".join(PRECISIONS)
                    reason = f"precision must be one of {known}"
                    raise ValueError(f"{reason}, got {value!r:.80}")
            elif type(entry.default) is bool:
                value = as_plain(value)
                if type(value) is not bool:
                    reason = f"{entry.name} must be a bool, got {value!r:.80}"
                    raise ValueError(reason)
            else:
                least = 0 if entry.name.endswith("seed") else 1
                value = as_whole(entry.name, value, least)
            object.__setattr__(self, entry.name, value)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Return the random seeds, one for each index of the seed axis."""
        return tuple(range(self.seed, self.seed + self.seeds))


# book/running/loop.md, section "A folder for a run"
def is_finished(folder: Path, updates: int) -> bool:
    """Return whether a folder holds the summary of so many updates."""
    path, shape = folder / "summary.json", {"updates": int}
    if not path.exists():
        return False
    found = read_json(path, shape, "delete it, it is written again")
    return found["updates"] == updates


def has_begun(folder: Path) -> bool:
    """Return whether a folder holds a row, a checkpoint or a summary."""
    ends = folder / "checkpoint.pt", folder / "summary.json"
    return any(path.exists() for path in ends) or any(
        read_table(path) for path in folder.glob("*.csv")
    )


# book/running/loop.md, section "A folder for a run"
def check_finite(measured: Mapping[str, Tensor], updates: int) -> None:
    """Raise FloatingPointError if any measurement is NaN or infinite."""
    for name, values in measured.items():
        if not bool(values.isfinite().all()):
            raise FloatingPointError(
                f"{name} is not finite after {updates} updates:"
                " lower learning_rate or look at the data"
            )


def metric_rows(
    learner: Learner, measured: Mapping[str, Tensor]
) -> list[dict[str, Any]]:
    """Return one row per seed of what was measured at an update."""
    values = {name: each.tolist() for name, each in measured.items()}
    return [
        {"updates": learner.updates, "seed": seed}
        | {name: numbers[n] for name, numbers in values.items()}
        for n, seed in enumerate(learner.seeds)
    ]


# book/running/loop.md, section "A folder for a run"
@dataclass
class Record:
    """Keep what a learner measures and what it has become.

    Fields:
        learner: any learner.
        description: plain values that say which run this is.
        folder: where files go; None writes none.

    Rows beyond the update at which a record starts come from a killed process
    and are dropped.
    """

    learner: Learner
    description: Mapping[str, Any]
    folder: Path | None = None

    def __post_init__(self):
        self.start, self.table = self.learner.updates, None

    def measure(self, measured: Mapping[str, Tensor]) -> None:
        """Append one row per seed to metrics.csv."""
        check_finite(measured, self.learner.updates)
        if self.folder is not None:
            if self.table is None:
                columns = ["updates", "seed", *measured]
                path = self.folder / "metrics.csv"
                self.table = Table(path, columns, self.start)
            self.table.append(metric_rows(self.learner, measured))

    def save(self, measured: Mapping[str, Tensor]) -> None:
        """Write checkpoint.pt."""
        check_finite(measured, self.learner.updates)
        if self.folder is not None:
            content = self.learner.state_dict()
            path = self.folder / "checkpoint.pt"
            save_checkpoint(path, content, self.description)


# book/running/loop.md, section "A folder for a run"
@contextlib.contextmanager
def hold(
    learner: Learner,
    description: Mapping[str, Any],
    folder: Path | None,
    updates: int,
) -> Iterator[Record]:
    """Give a learner its folder, and what it learned there, in this context.

    Other processes are kept out, unless the run there is finished.

    Args:
        learner: one that has taken no update.
        description: plain values that say which run this is.
        folder: where files go; None writes none.
        updates: how many will be taken in all.

    Raises:
        ValueError: the folder holds another run, or is in use.
        OSError: it cannot be written.
    """
    finished = folder is None or is_finished(folder, updates)
    with contextlib.nullcontext() if finished else own_folder(folder):
        if folder is not None:
            if not finished:
                sweep(folder)
            _claim(learner, description, folder, updates)
        yield Record(learner, description, folder)


# book/running/loop.md, section "A folder for a run"
def _claim(learner, wanted, folder: Path, updates: int) -> None:
    path, found = folder / "config.json", None
    if path.exists():
        found = read_json(path, {}, "delete it or choose another folder")
    if found is not None and has_begun(folder):
        check_same(folder, found, wanted)
    elif found != wanted:
        write_atomic(path, json.dumps(wanted, indent=2) + "\n")
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        content = read_checkpoint(checkpoint)
        check_same(folder, content["description"], wanted)
        restore(content, learner)
    if learner.updates > updates:
        raise ValueError(
            f"{folder} holds {learner.updates} updates of this run, more"
            f" than the {updates} asked for: choose another folder"
        )


# book/running/loop.md, section "The loop"
@contextlib.contextmanager
def hold_signals() -> Iterator[list[int]]:
    """Note the first SIGINT or SIGTERM in the list that this yields.

    A second one meets whoever answered it before; one that was ignored stays
    ignored. Python lets only the main thread answer signals; in another
    thread nothing is held.
    """
    stopped: list[int] = []
    before: dict[int, Any] = {}

    def note(number, frame):
        stopped.append(number)
        release()

    def release():
        for number, answer in before.items():
            signal.signal(number, answer)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                before[number] = signal.signal(number, note)
    try:
        yield stopped
    finally:
        release()


# book/running/loop.md, section "The loop"
Look = tuple[int, Callable[[Mapping[str, Tensor]], None]]


def run_loop(
    record: Record,
    schedule: Schedule,
    looks: Iterable[Look] = (),
    progress: bool = False,
) -> tuple[int, float]:
    """Train a learner until it has taken the updates of a schedule.

    Args:
        record: of the learner; from `hold`.
        schedule: how long, and when to write.
        looks: what else to do, each with the number of updates between two
            of its turns; called with the last update's measurements.
        progress: show a progress bar on standard error.

    Returns:
        How many updates were taken here, and how many seconds all took.

    Raises:
        FloatingPointError: a measurement became NaN or infinite.
        OSError: the folder cannot be written.
    """
    learner, measured = record.learner, {}
    first, last, began = learner.updates, schedule.updates, time.perf_counter()
    looks = (
        (schedule.log_every, record.measure),
        *looks,
        (schedule.checkpoint_every, record.save),
    )
    bar = tqdm(total=last, initial=first, disable=not progress, unit="update")
    with bar, hold_signals() as stopped:
        while learner.updates < last and not stopped:
            measured = learner.step()
            bar.update()
            for every, look in looks:
                if learner.updates % every == 0 or learner.updates == last:
                    look(measured)
        if learner.updates < last:
            record.save(measured)
    if stopped:
        signal.raise_signal(stopped[0])
    return learner.updates - first, time.perf_counter() - began


# book/running/loop.md, section "The loop"
@contextlib.contextmanager
def fix_products(schedule: Schedule) -> Iterator[None]:
    """Multiply with the schedule's threads and precision in this context."""
    threads = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(schedule.threads)
    torch.set_float32_matmul_precision(schedule.precision)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
