# Generated from book/data/foreign.md by make sync. Edit the chapter, not this file.
"""Foreign data: Minari, D4RL, OGBench: read the files of others.

Readers of four public formats; one of them is a pickle, which is read without
running it.
"""

__all__ = [
    "Recording",
    "as_episodes",
    "REPLACE",
    "choose_goals",
    "single",
    "check_sizes",
    "cut",
    "LIMIT",
    "refusing",
    "MissingPackage",
    "need",
    "check_promise",
    "NAMES",
    "LITERALS",
    "CONSTANTS",
    "LONGEST",
    "Word",
    "Slot",
    "Machine",
    "ArrayMachine",
    "BufferMachine",
    "begin",
    "finish",
    "is_shape",
    "read_pickle",
    "read_buffer",
    "check_achieved",
    "FILTERS",
    "walk",
    "holds",
    "find_table",
    "Tables",
    "open_tables",
    "read_goals",
    "read_d4rl",
    "cut_flat",
    "read_member",
    "read_ogbench",
    "read_minari",
    "read_episode",
    "as_buffers",
    "minari_metadata",
    "registered",
    "NAME",
    "write_minari",
    "fill_minari",
    "changed_environment",
    "adopt",
    "READERS",
    "read_named",
    "read_foreign",
    "lengthen",
    "mix",
    "fingerprint",
    "check_vacant",
    "write_shards",
    "import_dataset",
]


# book/data/foreign.md, section "Foreign data: Minari, D4RL, OGBench: read the files of others"
import contextlib
import hashlib
import importlib
import importlib.metadata
import io
import json
import math
import mmap
import os
import pickletools
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from smore_lit.data import datasets
from smore_lit.worlds.tasks import Task, load_task
from smore_lit.running.files import (
    as_path,
    as_plain,
    as_whole,
    claim_folder,
)
from smore_lit.learning.trajectories import ROUNDING, as_array


# book/data/foreign.md, section "One layout for all"
class Recording(NamedTuple):
    """Hold episodes as a file has them, short ones with a repeated end."""

    observations: np.ndarray  # (E, T+1, O)
    actions: np.ndarray  # (E, T, A)
    goals: np.ndarray | None = None  # asked for, by state, (E, T+1, G)
    name: str = "reached"  # what the file calls the goals
    lengths: np.ndarray | None = None  # transitions, (E,); None: T


# book/data/foreign.md, section "One layout for all"
def as_episodes(task: Task, recording: Recording, goal=None, clip=False):
    """Return the four arrays of some episodes, checked against `task`.

    Args:
        task: gives the sizes and the goal map.
        recording: the episodes.
        goal: see `choose_goals`.
        clip: whether actions outside [-1, 1] are clipped or refused.

    Raises:
        ValueError: one line that says what does not fit.
    """
    states, actions = map(single, recording[:2])
    check_sizes(task, states, actions)
    largest = np.abs(actions).max()
    if largest > 1 + ROUNDING and not clip:
        raise ValueError(
            f"actions reach {largest:.8g}, beyond 1: clip=True (--clip) clips"
        )
    arrays = {
        "observations": states,
        "actions": actions.clip(-1, 1),
        "achieved_goals": task.phi(states),
    }
    lengths = recording.lengths
    if lengths is not None and (lengths < actions.shape[1]).any():
        beyond = np.arange(actions.shape[1]) >= lengths[:, None]
        arrays["actions"][beyond] = 0.0
        arrays["lengths"] = lengths.astype(np.int64)
    last = arrays["achieved_goals"][:, -1]
    goals = choose_goals(task, recording, goal)
    goals = last if goals is None else single(goals)
    arrays["desired_goals"] = np.broadcast_to(goals, last.shape).copy()
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} hold NaN, infinity or too large numbers")
    return arrays


# book/data/foreign.md, section "One layout for all"
REPLACE = 'goal=... (--goal X,Y,...) or goal="reached" replaces them'


def choose_goals(task: Task, recording: Recording, goal=None):
    """Return desired goals (G,) or (E, G), or None for those reached.

    Args:
        task: gives the size.
        recording: whose goals are taken if `goal` is None.
        goal: numbers (G,) for all episodes, or "reached".

    Raises:
        ValueError: goals of another size, or that change within an episode.
    """
    if isinstance(goal, str) and goal == "reached":
        return None
    if goal is not None:
        goal, due = np.atleast_1d(as_array("goal", goal)), (task.goal_size,)
        if goal.shape != due:
            raise ValueError(f"goals are {goal.shape}, expected {due}")
        return goal
    goals, name = recording.goals, recording.name
    if goals is None:
        return None
    if goals.shape[2:] != (task.goal_size,):
        size = goals.shape[2:]
        raise ValueError(f"{name} have size {size}: {REPLACE}")
    if (goals != goals[:, :1]).any():
        if not np.isfinite(goals).all():
            raise ValueError(f"{name} hold NaN or infinity: {REPLACE}")
        raise ValueError(f"{name} changes within an episode: {REPLACE}")
    return goals[:, 0]


# book/data/foreign.md, section "One layout for all"
def single(array) -> np.ndarray:
    """Return `array` in single precision; what is too large overflows."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def check_sizes(task: Task, observations, actions) -> None:
    """Raise ValueError unless these can be episodes of `task`."""
    sizes = task.observation_size, task.action_size
    found = observations.shape[2:], actions.shape[2:]
    if found != ((sizes[0],), (sizes[1],)):
        raise ValueError(
            f"states {observations.shape} and actions {actions.shape} are not"
            f" episodes of {task.name}, with {sizes[0]} and {sizes[1]} numbers"
        )
    episodes, steps = actions.shape[:2]
    if observations.shape[:2] != (episodes, steps + 1) or not actions.size:
        raise ValueError(
            f"{observations.shape[:2]} states do not enclose"
            f" {actions.shape[:2]} actions"
        )


# book/data/foreign.md, section "One layout for all"
def cut(
    ends: np.ndarray, steps: int | None = None, pad: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of episodes, (E, T+1), and their transitions, (E,).

    Args:
        ends: (N,), true at the last row of each episode.
        steps: transitions of equal pieces; None: as long as episodes are.
        pad: whether episodes may differ in length; short ones repeat their
            last row, and those without a transition are left out.

    Raises:
        ValueError: the episodes differ in length, or all are shorter.
    """
    stops = np.flatnonzero(ends) + 1
    if not len(stops) or stops[-1] != len(ends):
        stops = np.append(stops, len(ends))
    firsts = np.append(0, stops[:-1])
    lengths = stops - firsts - 1
    if pad and steps is None and lengths.max() > 0:
        firsts, lengths = firsts[lengths > 0], lengths[lengths > 0]
        places = np.arange(lengths.max() + 1)
        within = np.minimum(places, lengths[:, None])
        return firsts[:, None] + within, lengths
    if steps is None and lengths.min() != lengths.max():
        raise ValueError(
            f"episodes have {lengths.min()} to {lengths.max()} steps:"
            " steps=N (--steps N) cuts equal pieces"
        )
    steps = int(lengths[0]) if steps is None else steps
    if steps < 1 or lengths.max() < steps:
        raise ValueError(f"no episode has {max(steps, 1)} steps")
    pieces = zip(firsts, lengths // steps)
    starts = [f + steps * np.arange(n) for f, n in pieces]
    rows = np.concatenate(starts)[:, None] + np.arange(steps + 1)
    return rows, np.full(len(rows), steps)


# book/data/foreign.md, section "Refuse in one line"
LIMIT = 2**32  # bytes of numbers that we take from one file


@contextlib.contextmanager
def refusing(path) -> Iterator[None]:
    """Turn any error inside into a ValueError of one line with `path`."""
    try:
        yield
    except MissingPackage:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error)
        reason = " ".join(reason.split())[:200] or type(error).__name__
        raise ValueError(f"{path}: {reason}") from None


class MissingPackage(ValueError):
    """Say which optional package a format needs."""


def need(package: str):
    """Return an optional package, or say how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingPackage(
            f'{package} is not installed: pip install "smore_lit[datasets]"'
        ) from None


def check_promise(promised: int, kept: int) -> None:
    """Raise ValueError if a file promises more bytes than we believe.

    Args:
        promised: bytes of numbers, unpacked.
        kept: bytes that the file spends on them; no common packing shrinks
            more than about a thousandfold.
    """
    if promised > LIMIT:
        raise ValueError(f"promises {promised} bytes, more than {LIMIT}")
    if promised > 2000 * kept + 4096:
        raise ValueError(f"promises {promised} bytes but stores {kept}")


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
NAMES = {  # what a name in the file stands for
    "numpy.core.multiarray _reconstruct": "blank",
    "numpy._core.multiarray _reconstruct": "blank",
    "numpy.core.numeric _frombuffer": "filled",
    "numpy._core.numeric _frombuffer": "filled",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
}
LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINSTRING", "BINSTRING",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LONGEST = 10_000  # instructions


class Word(str):
    """Hold what a name in a pickle stands for."""


class Slot:
    """Hold what a pickle is building: the type of an array, or an array."""

    def __init__(self, kind: str, value=None):
        self.kind, self.value = kind, value


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
class Machine:
    """Follow the instructions of a pickle that describe arrays."""

    def __init__(self, limit: int):
        self.stack: list = []
        self.marks: list = []
        self.memo: dict = {}
        self.left = limit  # bytes of arrays that may still be built

    def follow(self, name: str, argument) -> None:
        """Obey one instruction of the disassembled pickle."""
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            key = len(self.memo) if argument is None else argument
            self.memo[key] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            act = getattr(self, f"do_{name.lower()}", None)
            if act is None:
                raise ValueError(f"asks to {name}, which no table needs")
            act(argument)

    def take(self, count: int) -> tuple:
        """Remove and return the `count` topmost values, the lowest first."""
        if count > len(self.stack):
            raise ValueError("takes values that it never gave")
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return values

    def take_marked(self) -> tuple:
        """Remove and return all values above the last mark."""
        if not self.marks:
            raise ValueError("uses a mark that it never set")
        return self.take(max(len(self.stack) - self.marks.pop(), 0))


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
class ArrayMachine(Machine):
    """Add the instructions for tuples, dictionaries and arrays."""

    def do_mark(self, _):
        """Remember the height of the stack."""
        self.marks.append(len(self.stack))

    def do_empty_tuple(self, _):
        """Push a tuple of nothing."""
        self.stack.append(())

    def do_tuple1(self, _):
        """Push a tuple of the topmost value."""
        self.stack.append(self.take(1))

    def do_tuple2(self, _):
        """Push a tuple of the two topmost values."""
        self.stack.append(self.take(2))

    def do_tuple3(self, _):
        """Push a tuple of the three topmost values."""
        self.stack.append(self.take(3))

    def do_tuple(self, _):
        """Push a tuple of all values above the mark."""
        self.stack.append(self.take_marked())

    def do_empty_dict(self, _):
        """Push a dictionary."""
        self.stack.append({})

    def do_setitem(self, _):
        """Put one pair into the dictionary below it."""
        self.put(self.take(2))

    def do_setitems(self, _):
        """Put all pairs above the mark into the dictionary below them."""
        self.put(self.take_marked())


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
class BufferMachine(ArrayMachine):
    """Add the instructions that name, build and fill."""

    def put(self, values: tuple) -> None:
        """Enter pairs of a string and a value in the topmost dictionary."""
        if not self.stack or type(self.stack[-1]) is not dict:
            raise ValueError("fills something that is no dictionary")
        if len(values) % 2 or any(type(k) is not str for k in values[::2]):
            raise ValueError("holds a key that is no string")
        self.stack[-1].update(zip(values[::2], values[1::2]))

    def do_global(self, name):
        """Push the word for a name; nothing is imported."""
        if name not in NAMES:
            raise ValueError(f"asks for {name!r:.60}, which no array needs")
        self.stack.append(Word(NAMES[name]))

    def do_stack_global(self, _):
        """Push the word for a name that lies on the stack."""
        self.do_global(" ".join(map(str, self.take(2))))

    def do_reduce(self, _):
        """Begin what a word and its arguments describe."""
        word, arguments = self.take(2)
        if type(word) is not Word or type(arguments) is not tuple:
            raise ValueError("calls something that is no name")
        self.stack.append(begin(self, word, arguments))

    def do_build(self, _):
        """Finish what was begun."""
        slot, state = self.take(2)
        if type(slot) is not Slot or type(state) is not tuple:
            raise ValueError("builds something that is no array")
        finish(self, slot, state)
        self.stack.append(slot)


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
def begin(machine: Machine, word: Word, arguments: tuple):
    """Return what a call to `word` makes, by our own hand.

    Raises:
        ValueError: the arguments are not NumPy's.
    """
    if word == "dtype" and arguments and type(arguments[0]) is str:
        return Slot("dtype", arguments[0])
    if word == "encode" and arguments[1:] == ("latin1",):
        return arguments[0].encode("latin1")
    if word == "blank" and arguments[:1] == ("ndarray",):
        return Slot("array")
    if word == "filled" and len(arguments) == 4:
        data, kind, shape, order = arguments
        slot = Slot("array")
        finish(machine, slot, (1, shape, kind, order == "F", data))
        return slot
    raise ValueError(f"calls {word} with arguments that are not NumPy's")


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
def finish(machine: Machine, slot: Slot, state: tuple) -> None:
    """Fill a type or an array from its state.

    Raises:
        ValueError: the type is no float, or shape and bytes disagree.
    """
    if slot.kind == "dtype":
        if state[1] != "<" or slot.value not in ("f4", "f8"):
            raise ValueError(f"holds {slot.value!r:.20}, not <f4 or <f8")
        slot.value = f"<{slot.value}"
        return
    if len(state) != 5 or getattr(state[2], "kind", None) != "dtype":
        raise ValueError("fills an array with a state that is not NumPy's")
    _, shape, kind, columns, data = state
    if type(data) is str:
        data = data.encode("latin1")
    if kind.value not in ("<f4", "<f8") or not is_shape(shape):
        raise ValueError("describes an array that is no table of floats")
    if len(data) != math.prod(shape) * int(kind.value[2]):
        raise ValueError(f"gives {len(data)} bytes for the shape {shape}")
    machine.left -= len(data)
    if machine.left < 0:
        raise ValueError("builds more than it holds")
    array = np.frombuffer(data, kind.value)
    slot.value = single(array.reshape(shape, order="F" if columns else "C"))


def is_shape(shape) -> bool:
    """Return whether `shape` is a tuple of one to four positive sizes."""
    sizes = shape if type(shape) is tuple else ()
    return 0 < len(sizes) < 5 and all(type(n) is int and n > 0 for n in sizes)


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
def read_pickle(path) -> dict[str, np.ndarray]:
    """Return a pickled dictionary of float arrays; runs nothing of it.

    Args:
        path: a pickle of protocol 2 or later.

    Raises:
        ValueError: it holds anything else; the line says what.
    """
    size = os.stat(path).st_size
    check_promise(size, size)
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
            machine = BufferMachine(size)
            steps = enumerate(pickletools.genops(cast(IO[bytes], code)))
            for number, (instruction, argument, _) in steps:
                if number > LONGEST:
                    raise ValueError("is too long for a dictionary of arrays")
                machine.follow(instruction.name, argument)
    if len(machine.stack) != 1 or type(machine.stack[0]) is not dict:
        raise ValueError("is no dictionary")
    return {
        name: slot.value
        for name, slot in machine.stack[0].items()
        if type(slot) is Slot and slot.kind == "array"
    }


# book/data/foreign.md, section "WGCSL and GoFAR: a pickle is a program"
def read_buffer(path, task: Task, steps=None, own=True) -> Recording:
    """Read the episodes of a `buffer.pkl` of WGCSL or GoFAR.

    Args:
        path: of the file; T = 49 as published, or any other.
        task: gives the sizes and the goal map.
        steps: must be None or T.
        own: whether to read the goals of the file.

    Source: the replay buffers of Yang et al. 2022 and Ma et al. 2022.
    """
    with refusing(path):
        arrays, needed = read_pickle(path), ["o", "ag", "u", "g"][: 3 + own]
        if any(k not in arrays or arrays[k].ndim != 3 for k in needed):
            names = ", ".join(arrays)[:80]
            raise ValueError(f"holds {names or 'nothing'}; not o, ag, g and u")
        check_sizes(task, arrays["o"], arrays["u"])
        count = arrays["u"].shape[1]
        if steps not in (None, count):
            raise ValueError(f"has {count} steps, not {steps}")
        check_achieved(task, arrays["o"], arrays["ag"], "ag")
        goals = arrays["g"] if own else None
        if goals is not None and goals.shape[:2] != arrays["u"].shape[:2]:
            raise ValueError(f"g is {goals.shape}, not one goal per action")
        return Recording(arrays["o"], arrays["u"], goals, "g")


def check_achieved(task: Task, observations, achieved, name: str) -> None:
    """Raise ValueError unless `achieved` are the goals of the states."""
    goals = task.phi(observations)
    if achieved.shape != goals.shape or not np.allclose(
        achieved, goals, rtol=0, atol=1e-5
    ):
        raise ValueError(
            f"{name} is not phi(observation) of {task.name}: name the task"
            " that the file was recorded in"
        )


# book/data/foreign.md, section "D4RL: HDF5"
FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, checksum, lzf


def walk(group, name: str):
    """Return what lies at `name` inside `group`, by hard links only.

    Raises:
        ValueError: it is missing or elsewhere.
    """
    h5py = need("h5py")
    for part in name.split("/"):
        link = None
        if isinstance(group, h5py.Group):
            link = group.get(part, getlink=True)
        if link is None:
            raise ValueError(f"has no {name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is a link to somewhere else")
        group = group[part]
    return group


def holds(group, name: str) -> bool:
    """Return whether something is called `name`, wherever it may lie."""
    h5py, link = need("h5py"), None
    for part in name.split("/"):
        if not isinstance(group, h5py.Group):
            return False
        link = group.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            break
        group = group[part]
    return link is not None


def find_table(group, name: str):
    """Return the table of numbers at `name`, stored in this very file.

    Raises:
        ValueError: it is no such table.
    """
    table = walk(group, name)
    kind = getattr(getattr(table, "dtype", None), "kind", "-")
    if not hasattr(table, "is_virtual") or kind not in "fbiu":
        raise ValueError(f"{name} is no table of numbers")
    plan = table.id.get_create_plist()
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if table.external or table.is_virtual or not filters <= FILTERS:
        raise ValueError(f"{name} is stored outside or packed strangely")
    return table


# book/data/foreign.md, section "D4RL: HDF5"
class Tables:
    """Read tables of an open HDF5 file, within one allowance."""

    def __init__(self, file):
        self.file, self.promised, self.kept = file, 0, 0

    def read(self, name: str, columns: int | None = None) -> np.ndarray:
        """Return a table: (N, columns), or flags (N,) where None.

        Raises:
            ValueError: see `find_table`; or it is of another shape.
        """
        table = find_table(self.file, name)
        wanted: tuple[int, ...] = (len(table),) if table.shape else ()
        wanted += () if columns is None else (columns,)
        if table.shape != wanted or not wanted:
            size = "" if columns is None else f" of {columns} columns"
            raise ValueError(f"{name} is {table.shape}, no table{size}")
        self.promised += table.size * table.dtype.itemsize
        self.kept += table.id.get_storage_size()
        check_promise(self.promised, self.kept)
        kind = bool if columns is None else np.float32
        with np.errstate(over="ignore"):
            return table[()].astype(kind)

    def read_states(self, name: str, task: Task) -> np.ndarray:
        """Return observations (N, O), of wider ones the first columns."""
        shape, size = find_table(self.file, name).shape, task.observation_size
        wide = shape[1] if len(shape) == 2 and shape[1] in task.wider else size
        return self.read(name, wide)[:, :size]


@contextlib.contextmanager
def open_tables(path) -> Iterator[Tables]:
    """Open an HDF5 file for reading; errors become one line."""
    h5py = need("h5py")
    with refusing(path):
        if not Path(path).is_file():
            raise ValueError("no such file")
        if not h5py.is_hdf5(path):
            raise ValueError("is no HDF5 file")
        with h5py.File(path, "r") as file:
            yield Tables(file)


def read_goals(tables: Tables, names, task: Task) -> tuple:
    """Return the first table (N, G) of these names and its name, or none."""
    for name in names:
        if holds(tables.file, name):
            try:
                return tables.read(name, task.goal_size), name
            except ValueError as error:
                raise ValueError(f"{error}: {REPLACE}") from None
    return None, "reached"


# book/data/foreign.md, section "D4RL: HDF5"
def read_d4rl(path, task: Task, steps=None, own=True) -> Recording:
    """Read the episodes of a D4RL file with timeouts (v1 and later).

    Args:
        path: of the HDF5 file.
        task, steps, own: see `read_foreign` and `read_buffer`.

    Source: Fu et al. 2020.
    """
    with open_tables(path) as tables:
        observations = tables.read_states("observations", task)
        actions = tables.read("actions", task.action_size)
        ends = tables.read("terminals") | tables.read("timeouts")
        named = read_goals(tables, ("infos/goal",) if own else (), task)
        return cut_flat(task, observations, actions, ends, steps, *named)


def cut_flat(
    task, observations, actions, ends, steps=None, goals=None, name="reached"
) -> Recording:
    """Cut flat tables with one row per state into episodes."""
    tables = [observations, actions, ends]
    tables += [] if goals is None else [goals]
    if len(set(map(len, tables))) > 1 or not len(ends):
        counts = ", ".join(str(len(table)) for table in tables)
        raise ValueError(f"{counts} rows of states, actions, ends (and goals)"
                         " are no flat tables")
    rows, lengths = cut(ends, steps, pad=bool(task.ends))
    goals = None if goals is None else goals[rows]
    pair = observations[rows], actions[rows[:, :-1]]
    return Recording(*pair, goals, name, lengths)


# book/data/foreign.md, section "OGBench"
def read_member(file: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of floats or flags from an npz file.

    Raises:
        ValueError: it is missing, of another kind, or not as declared.
    """
    if f"{name}.npy" not in file.namelist():
        raise ValueError(f"has no {name}")
    entry = file.getinfo(f"{name}.npy")
    check_promise(entry.file_size, entry.compress_size)
    with file.open(entry) as member:
        stream = io.BytesIO(member.read(entry.file_size))
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has an unknown npy version")
    header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, columns, kind = header(stream)
    if kind.kind not in "fbiu" or not is_shape(shape):
        raise ValueError(f"{name} is {kind} {shape}, no table of numbers")
    view = stream.getbuffer()[stream.tell() :]
    if len(view) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{name} holds {len(view)} bytes for {shape} {kind}")
    table = np.frombuffer(view, kind)
    return table.reshape(shape, order="F" if columns else "C")


# book/data/foreign.md, section "OGBench"
def read_ogbench(path, task: Task, steps=None, own=True) -> Recording:
    """Read the episodes of an OGBench file of states.

    Args:
        path: of the npz file.
        task, steps: see `read_foreign`.
        own: has no effect, as these files have no goals.

    Source: Park et al. 2025.
    """
    with refusing(path), zipfile.ZipFile(path) as file:
        names = ("observations", "actions", "terminals")
        sizes = [
            i.file_size for i in file.infolist() if i.filename[:-4] in names
        ]
        check_promise(sum(sizes), os.stat(path).st_size)
        observations, actions, ends = (read_member(file, n) for n in names)
        if observations.ndim != 2 or actions.ndim != 2 or ends.ndim != 1:
            raise ValueError("holds no flat tables of states")
        pair = single(observations), single(actions)
        return cut_flat(task, *pair, ends.astype(bool), steps)


# book/data/foreign.md, section "Minari"
def read_minari(path, task: Task, steps=None, own=True) -> Recording:
    """Read the episodes of a Minari dataset.

    Args:
        path: of the dataset's folder, or of its main_data.hdf5.
        task, steps, own: see `read_foreign` and `read_buffer`.

    Source: Younis et al. 2024, Minari 0.5.
    """
    if path.is_dir():
        path = path / "data" / "main_data.hdf5"
    with open_tables(path) as tables:
        names = [n for n in tables.file if re.fullmatch(r"episode_\d+", n)]
        if not names:
            raise ValueError("holds no episodes")
        names.sort(key=lambda name: int(name[8:]))
        parts = [read_episode(tables, task, name, own) for name in names]
        observations, actions, goals = zip(*parts)
        absent = [n for n, part in zip(names, goals) if part is None]
        if 0 < len(absent) < len(names):
            raise ValueError(f"{absent[0]} has no desired_goal: {REPLACE}")
        goals = (None, "reached") if absent else (
            np.concatenate(goals), "desired_goal"
        )
        ends = np.zeros(sum(map(len, observations)), bool)
        ends[np.cumsum([len(rows) for rows in observations]) - 1] = True
        states, moves = map(np.concatenate, (observations, actions))
        return cut_flat(task, states, moves, ends, steps, *goals)


# book/data/foreign.md, section "Minari"
def read_episode(tables: Tables, task: Task, name: str, own: bool) -> tuple:
    """Return states (n+1, O), actions (n+1, A), goals (n+1, G) or None."""
    place = f"{name}/observations"
    nested = not hasattr(walk(tables.file, place), "dtype")
    state = f"{place}/observation" if nested else place
    observations = tables.read_states(state, task)
    actions = tables.read(f"{name}/actions", task.action_size)
    if len(observations) != len(actions) + 1:
        raise ValueError(
            f"{name} has {len(observations)} states around {len(actions)}"
            " actions"
        )
    actions = np.concatenate([actions, np.zeros_like(actions[:1])])
    if nested and holds(tables.file, f"{place}/achieved_goal"):
        achieved = tables.read(f"{place}/achieved_goal", task.goal_size)
        check_achieved(task, observations, achieved, f"{name}: achieved_goal")
    asked = (f"{place}/desired_goal",) if nested and own else ()
    goals, _ = read_goals(tables, asked, task)
    if goals is not None and len(goals) != len(observations):
        raise ValueError(f"{name} lacks desired goals: {REPLACE}")
    return observations, actions, goals


# book/data/foreign.md, section "Minari"
def as_buffers(task: Task, arrays: dict[str, np.ndarray]) -> list:
    """Return episodes as Minari's buffers.

    An episode that ended before its time limit counts as terminated.
    """
    from minari.data_collector import EpisodeBuffer

    buffers, steps = [], arrays["actions"].shape[1]
    lengths = arrays.get("lengths", np.full(len(arrays["actions"]), steps))
    for states, actions, achieved, goal, length in zip(
        *(arrays[name] for name in datasets.ARRAYS), lengths
    ):
        last, kept = np.arange(length) == length - 1, slice(length + 1)
        observations = {
            "observation": states[kept],
            "achieved_goal": achieved[kept],
            "desired_goal": np.repeat(goal[None], length + 1, axis=0),
        }
        buffers.append(EpisodeBuffer(
            observations=observations,
            actions=actions[:length],
            rewards=task.reward(achieved[1:][:length], goal) - 1.0,
            terminations=(last & (length < steps)).tolist(),
            truncations=(last & (length == steps)).tolist(),
        ))
    return buffers


# book/data/foreign.md, section "Minari"
def minari_metadata(task: Task, manifest: dict) -> dict:
    """Return what Minari shall know about a dataset of ours."""
    from gymnasium.spaces import Box, Dict

    sizes = [task.observation_size, task.goal_size, task.goal_size]
    names = ("observation", "achieved_goal", "desired_goal")
    boxes = [Box(-np.inf, np.inf, (n,), np.float32) for n in sizes]
    needed = {"python", "smore_lit"} ^ set(manifest["versions"])
    package = importlib.metadata.metadata("smore_lit")
    links = dict(
        link.split(", ", 1) for link in package.get_all("Project-URL", [])
    )
    counts = [f"{n} episodes of {h}" for h, n in manifest["episodes"].items()]
    return {
        "env": registered(task),
        "observation_space": Dict(dict(zip(names, boxes))),
        "action_space": Box(-1, 1, (task.action_size,), np.float32),
        "algorithm_name": " and ".join(manifest["episodes"]),
        "author": package.get_all("Author", ["smore_lit contributors"])[0],
        "code_permalink": links.get("Repository"),
        "description": f"{task.name}: {', then '.join(counts)}; "
        f"seed {manifest['seed']}; reward -1 or 0 after the action",
        "requirements": [f"{n}=={manifest['versions'][n]}" for n in needed],
    }


def registered(task: Task):
    """Return the gymnasium specification of `task`; None for our worlds."""
    if task.entry_point is not None or task.action_noise:
        return None
    task.make().close()
    return importlib.import_module("gymnasium").spec(task.env_id)


# book/data/foreign.md, section "Minari"
NAME = re.compile(r"([\w-]+/){0,3}[\w-]*\w-v\d+", re.ASCII)


def write_minari(
    manifest_path, name: str | None = None, out=None, task: Task | None = None
) -> Path:
    """Write a dataset of ours as a Minari dataset.

    Args:
        manifest_path: of the dataset.
        name: Minari's; None: smore-lit/TASK/SIZE-PERCENT-v0.
        out: folder of all Minari datasets; None: Minari's own choice.
        task: whose data they are; needed for a task of your own.

    Returns:
        The folder of the new dataset.

    Raises:
        ValueError: the name is taken or none, or the data are damaged.
    """
    minari = need("minari")
    manifest_path = datasets.find_manifest(manifest_path)
    manifest = datasets.dataset_info(manifest_path, task)
    task = datasets.task_of(manifest, task)
    stem = re.sub(r"[^\w-]", "_", manifest_path.stem)
    plain = re.sub(r"[^\w-]", "_", manifest["task"])
    name = f"smore-lit/{plain}/{stem}-v0" if name is None else name
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r:.80} is no Minari name: end it with -v0")
    own = os.environ.get("MINARI_DATASETS_PATH")
    home = as_path(out or own or "~/.minari/datasets").absolute()
    if (home / name).exists():
        raise ValueError(f"{home / name} exists: choose another name")
    claim_folder(home)
    with tempfile.TemporaryDirectory(dir=home, prefix=".part-") as scratch:
        try:
            fill_minari(minari, task, manifest_path, manifest, name, scratch)
            adopt(Path(scratch), home, name)
        except OSError as error:
            reason = str(error).replace(scratch, str(home))
            raise OSError(error.errno, reason) from None
    return home / name


# book/data/foreign.md, section "Minari"
def fill_minari(minari, task, path, manifest, name: str, home) -> None:
    """Write the dataset of `manifest` as `name` into the folder `home`."""
    about, dataset = minari_metadata(task, manifest), None
    place = {"MINARI_DATASETS_PATH": str(home)}
    with changed_environment(place), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what we leave out on purpose
        for entry in manifest["shards"]:
            file = path.parent / entry["file"]
            steps = manifest["horizon"]
            arrays = datasets.read_shard(task, file, entry, steps)
            buffers = as_buffers(task, arrays)
            if dataset is None:
                create = minari.create_dataset_from_buffers
                dataset = create(name, buffers, **about)
            else:
                dataset.update_dataset_from_buffer(buffers)


@contextlib.contextmanager
def changed_environment(changes: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def adopt(scratch: Path, home: Path, name: str) -> None:
    """Move a finished dataset and the notes on its namespaces home."""
    for note in sorted(scratch.rglob("namespace_metadata.json")):
        target = home / note.relative_to(scratch)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(note, target)
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    os.replace(scratch / name, home / name)


# book/data/foreign.md, section "One function for all formats"
READERS: dict[str, Callable] = {
    "buffer": read_buffer,
    "d4rl": read_d4rl,
    "minari": read_minari,
    "ogbench": read_ogbench,
}


def read_named(path, form, task, steps=None, goal=None, clip=False) -> tuple:
    """Return what `read_foreign` does and the source of its goals."""
    if form not in READERS:
        known = ", ".join(READERS)
        raise ValueError(f"unknown format {form!r}; known: {known}")
    path, task = as_path(path), load_task(task)
    steps = None if steps is None else as_whole("steps", steps, 1)
    recording = READERS[form](path, task, steps, goal is None)
    with refusing(path):
        arrays = as_episodes(task, recording, goal, clip)
    name = recording.name if recording.goals is not None else "reached"
    given = goal is not None and not isinstance(goal, str)
    return arrays, "given" if given else name


def read_foreign(
    path,
    form: str,
    task: Task | str,
    steps: int | None = None,
    goal: Sequence[float] | str | None = None,
    clip: bool = False,
) -> dict[str, np.ndarray]:
    """Return the episodes of a public file as our four arrays.

    Args:
        path: of the file (Minari: or of the folder).
        form: a key of `READERS`.
        task: gives sizes and goal map; need not be one of `list_tasks`.
        steps: cut episodes into pieces of so many transitions.
        goal: desired goal (G,) of every episode, or "reached" for the last
            one that it reached; None: the file's own, or "reached" where it
            has none.
        clip: clip actions to [-1, 1] instead of refusing.

    Returns:
        observations (E, T+1, O), actions (E, T, A),
        achieved_goals (E, T+1, G), desired_goals (E, G), float32.

    Raises:
        ValueError: one line that names the file and what is wrong.
    """
    return read_named(path, form, task, steps, goal, clip)[0]


# book/data/foreign.md, section "One function for all formats"
def lengthen(arrays: dict, steps: int) -> dict:
    """Pad episodes to so many steps: last states stay, actions are 0."""
    count, played = arrays["actions"].shape[:2]
    found = {"lengths": np.full(count, played, np.int64), **arrays}
    for name in ("observations", "achieved_goals", "actions"):
        rows = arrays[name]
        last = rows[:, -1:] * (name != "actions")
        padding = np.repeat(last.astype(rows.dtype), steps - played, axis=1)
        found[name] = np.concatenate((rows, padding), axis=1)
    return found


def mix(random: dict, experts: dict, expert_percent: float) -> dict:
    """Return the halves of a mixture, {half: arrays}, experts first.

    Raises:
        ValueError: a bad percentage, or the files do not go together.

    Source: the loader of Sikchi et al. 2024.
    """
    share = Fraction(datasets.as_percent(expert_percent)) / 100
    steps = {half["actions"].shape[1] for half in (random, experts)}
    if len(steps) > 1:
        random, experts = (lengthen(h, max(steps)) for h in (random, experts))
    most, others = len(experts["actions"]), len(random["actions"])
    count = math.floor(share * most)
    rest = math.floor(share * most + (1 - share) * others) - count
    return {
        "expert": {key: rows[:count] for key, rows in experts.items()},
        "random": {key: rows[:rest] for key, rows in random.items()},
    }


# book/data/foreign.md, section "One function for all formats"
def fingerprint(path) -> str:
    """Return the SHA-256 of a file, or of the data of a Minari folder."""
    path = as_path(path)
    if path.is_dir():
        path = path / "data" / "main_data.hdf5"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_vacant(folder: Path, origin: dict, task: Task) -> None:
    """Raise ValueError if `folder` holds data of another origin."""
    for path in sorted(folder.glob("*.json")):
        if datasets.dataset_info(path, task).get("origin") != origin:
            raise ValueError(
                f"{folder} holds other data: choose another --out"
            )


def write_shards(folder: Path, half: str, arrays: dict) -> list[dict]:
    """Write one half as shards; return their entries in the manifest."""
    entries, total = [], len(arrays["actions"])
    size = sum(a.nbytes for a in arrays.values()) // max(total, 1) + 1
    length = max(1, min(100, (datasets.LARGEST - 8192) // size))
    for first in range(0, total, length):
        stop = min(first + length, total)
        name = f"{half}/{datasets.shard_name(range(first, stop))}"
        part = {key: rows[first:stop] for key, rows in arrays.items()}
        content = datasets.pack(part)
        datasets.write_file(folder / name, content)
        entries.append({
            "file": name,
            "half": half,
            "episodes": stop - first,
            "used": stop - first,
            "bytes": len(content),
            "sha256": datasets.digest(content),
        })
    return entries


# book/data/foreign.md, section "One function for all formats"
def import_dataset(
    path,
    form: str,
    task: Task | str,
    out=None,
    expert=None,
    expert_percent: float | None = None,
    root=None,
    **options,
) -> Path:
    """Read public files and keep them as a dataset of ours.

    Args:
        path, form, task: see `read_foreign`; `task` must be in `list_tasks`.
        out: folder to write; None: ROOT/TASK/FORM, see `data_root`.
        expert: a second file, with expert episodes, to be mixed in.
        expert_percent: share of it, by the rule of `mix`; the published one,
            mostly 10, when left out.
        root: folder of all data.
        options: steps, goal, clip; see `read_foreign`.

    Returns:
        The path of the manifest, for `read_dataset`.

    Raises:
        ValueError: a file is refused, or `out` holds other data.
        OSError: a file cannot be written.
    """
    task = load_task(task)
    options = {name: as_plain(value) for name, value in options.items()}
    arrays, goals = read_named(path, form, task, **options)
    origin = {"format": form, "sha256": fingerprint(path), **options}
    halves, name, percent = {"imported": arrays}, "imported", None
    if expert is not None:
        experts, _ = read_named(expert, form, task, **options)
        expert_percent = datasets.choose_percent(task, expert_percent)
        halves = mix(arrays, experts, expert_percent)
        origin["expert_sha256"] = fingerprint(expert)
        share = datasets.as_percent(expert_percent)
        name, percent = f"imported-{share}", float(share)
    usual = datasets.data_root(root) / task.name / form
    folder = as_path(out) if out else usual
    check_vacant(folder, json.loads(json.dumps(origin)), task)
    shards = [write_shards(folder, *pair) for pair in halves.items()]
    counts = {half: len(rows["actions"]) for half, rows in halves.items()}
    steps = arrays["actions"].shape[1]
    parts = folder, counts, steps, sum(shards, [])
    manifest = {
        "size": "imported",
        "expert_percent": percent,
        "seed": None,
        "origin": origin,
        "goals": goals,
        "versions": datasets.versions(None),
    }
    manifest |= datasets.describe(task, *parts)
    datasets.write_file(folder / f"{name}.json", datasets.as_json(manifest))
    return folder / f"{name}.json"
