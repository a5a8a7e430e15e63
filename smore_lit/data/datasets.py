# Generated from book/data/datasets.md by make sync. Edit the chapter, not this file.
"""Datasets: make, keep and load offline data.

Thousands of episodes, each decided by a seed, a task, a half and an index, in
files that are checked whenever they are read.
"""

__all__ = [
    "SIZES",
    "SHARD",
    "HALVES",
    "ARRAYS",
    "count_episodes",
    "count_halves",
    "as_percent",
    "behaviour_policy",
    "episode_seeds",
    "collect",
    "as_factory",
    "record",
    "pack",
    "write_file",
    "TEMPORARY",
    "sweep",
    "digest",
    "as_json",
    "version_of",
    "simulators",
    "half_recipe",
    "LEDGER",
    "open_ledger",
    "shard_ranges",
    "shard_name",
    "is_finished",
    "make_shard",
    "MEASURED",
    "PUBLISHED",
    "STATISTICS",
    "score",
    "behaviour",
    "average",
    "data_root",
    "choose_percent",
    "manifest_path",
    "versions",
    "list_shards",
    "make_dataset",
    "fill_halves",
    "describe",
    "shard_arrays",
    "read_array",
    "check_values",
    "parse_shard",
    "read_shard",
    "read_shards",
    "FILE",
    "LARGEST",
    "check_entry",
    "task_of",
    "MANIFEST",
    "check_manifest",
    "find_manifest",
    "dataset_info",
    "read_dataset",
    "load_dataset",
    "store_goal",
    "tiny_dataset",
]


# book/data/datasets.md, section "Datasets: make, keep and load offline data"
import contextlib
import hashlib
import importlib.metadata
import importlib.resources
import inspect
import io
import json
import math
import os
import platform
import re
import time
import zipfile
import zlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import smore_lit
from smore_lit.worlds.experts import Noisy, expert, random_policy
from smore_lit.worlds.tasks import NOISE_MARK, Task, list_tasks, load_task
from smore_lit.running.files import (
    as_number,
    as_path,
    as_whole,
    claim_folder,
    read_json,
    write_atomic,
)
from smore_lit.running.rollouts import Rollouts, check_workers, play


# book/data/datasets.md, section "Mix two halves"
SIZES = {"tiny": 200}  # episodes; of other sizes each task has its own
SHARD = {"paper": 100, "cpu": 100, "tiny": 20}  # episodes per file
HALVES = ("expert", "random")
ARRAYS = ("observations", "actions", "achieved_goals", "desired_goals")


def count_episodes(task: Task, size: str) -> int:
    """Return how many episodes a dataset of that size holds.

    Raises:
        ValueError: unknown size.
    """
    sizes = {"paper": task.paper_episodes, "cpu": task.cpu_episodes} | SIZES
    if size not in sizes:
        raise ValueError(f"unknown size {size!r}; known: {', '.join(sizes)}")
    return sizes[size]


# book/data/datasets.md, section "Mix two halves"
def count_halves(
    task: Task, size: str, expert_percent: float
) -> dict[str, int]:
    """Return how many episodes of each half a mixture holds.

    Raises:
        ValueError: unknown size, or a percentage outside 0 to 100.

    Source: the loader of Sikchi et al. 2024.
    """
    total = count_episodes(task, size)
    share = Fraction(as_percent(expert_percent)) / 100
    experts = math.floor(share * total)
    return {"expert": experts, "random": total - experts}


def as_percent(expert_percent: float) -> str:
    """Return a percentage as the decimal that one would write, such as 2.5.

    Raises:
        ValueError: no number from 0 to 100.
    """
    try:
        number = as_number("expert percent", expert_percent)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise ValueError(
            f"expert percent must be from 0 to 100, got {expert_percent!r:.40}"
        )
    return format(Decimal(str(number)).normalize(), "f")


# book/data/datasets.md, section "A seed for each episode"
def behaviour_policy(task: Task, half: str):
    """Return the policy that collects `half` of the data."""
    if half == "random":
        return task.companion or random_policy(task)
    return Noisy(expert(task)) if task.spoiled else expert(task)


def episode_seeds(seed: int, task: Task, half: str, index: int):
    """Return the environment's seed and the policy's generator.

    Args:
        seed: of the dataset.
        task: which task; its name enters the seed.
        half: "expert" or "random".
        index: of the episode within its half.

    Returns:
        An integer below 2**32 and a numpy Generator.
    """
    name = zlib.crc32(f"{task.name}/{half}".encode())
    root = np.random.SeedSequence((seed, name, index))
    world, hand = root.spawn(2)
    return int(world.generate_state(1)[0]), np.random.default_rng(hand)


def collect(pool: Rollouts, task: Task, half: str, seed: int, episodes):
    """Play the episodes with these indices; return what `play` returns."""
    pairs = [episode_seeds(seed, task, half, i) for i in episodes]
    return pool.perform(behaviour_policy(task, half), pairs, task.horizon)


# book/data/datasets.md, section "Record any policy"
def as_factory(task: Task, policy) -> Callable:
    """Return (generator) -> act for any policy that `record` takes."""
    if policy is None:
        return random_policy(task)
    if hasattr(policy, "one"):  # a trained one: its first seed acts
        policy = policy.one()
    try:
        needed = [
            p
            for p in inspect.signature(policy).parameters.values()
            if p.default is p.empty and p.kind < p.VAR_POSITIONAL
        ]
    except (TypeError, ValueError):  # built in, without a signature
        needed = []
    return policy if len(needed) == 1 else lambda generator: policy


# book/data/datasets.md, section "Record any policy"
def record(
    task: Task | str,
    policy=None,
    episodes: int = 200,
    seed: int = 0,
    workers: int = 0,
) -> dict[str, np.ndarray]:
    """Record episodes of a policy, for `as_trajectories(**recorded)`.

    Args:
        task: a task or its name.
        policy: act(observation (O,), goal (G,)) -> action (A,) in [-1, 1];
            or (numpy Generator) -> act, called once per episode; or a
            trained policy; None draws actions uniformly.
        episodes: how many.
        seed: decides every episode.
        workers: processes that simulate; 0 uses this one. No effect on data.

    Returns:
        observations (E, T+1, O), actions (E, T, A),
        achieved_goals (E, T+1, G), desired_goals (E, G), float32, and
        lengths (E,), below T where the environment ended an episode.

    Raises:
        ValueError: bad counts, or actions that are not in [-1, 1].
    """
    task = load_task(task)
    episodes, seed = as_whole("episodes", episodes, 1), as_whole("seed", seed)
    make, rounds = as_factory(task, policy), []
    with Rollouts(task.make, min(episodes, 20), workers) as pool:
        for first in range(0, episodes, pool.slots):
            block = range(first, min(first + pool.slots, episodes))
            pairs = [episode_seeds(seed, task, "recorded", i) for i in block]
            acts = [make(generator) for _, generator in pairs]
            seeds = [world for world, _ in pairs]
            rounds.append(play(pool, acts, seeds, task.horizon))
            if np.abs(rounds[-1]["actions"]).max() > 1:
                raise ValueError("the policy leaves [-1, 1]: clip its actions")
    return {k: np.concatenate([r[k] for r in rounds]) for k in rounds[0]}


# book/data/datasets.md, section "Files that are whole or absent"
def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """Return `arrays` as the bytes of an uncompressed npz file."""
    buffer, names = io.BytesIO(), list(ARRAYS)
    steps = arrays["actions"].shape[1]
    if np.any(arrays.get("lengths", steps) != steps):
        names.append("lengths")
    chosen: dict[str, Any] = {key: arrays[key] for key in names}
    np.savez(buffer, **chosen)
    return buffer.getvalue()


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all, and make its folder.

    Raises:
        OSError: nothing could be written; one line that says what to do.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write {path} ({error.strerror}): free some space or "
            "choose another folder; files written before are kept",
        ) from None


TEMPORARY = re.compile(r"\..+\.(npz|json)\..+")


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left an hour ago."""
    for leftover in Path(folder).rglob(".*.*.*"):
        with contextlib.suppress(OSError):
            age = time.time() - leftover.stat().st_mtime
            if TEMPORARY.fullmatch(leftover.name) and age > 3600:
                leftover.unlink()


# book/data/datasets.md, section "A ledger per half"
def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def as_json(value) -> bytes:
    """Return `value` as indented JSON with sorted keys, in bytes."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def version_of(package: str) -> str:
    """Return the installed version of `package`, or say how to get it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f'{package} is not installed: pip install "smore_lit[robotics]"'
        ) from None


def simulators(task: Task) -> dict[str, str]:
    """Return the packages that decide the physics of `task`, by a name."""
    return {name.removeprefix("gymnasium-"): name for name in task.simulators}


# book/data/datasets.md, section "A ledger per half"
def half_recipe(task: Task, half: str, seed: int) -> dict:
    """Return everything that decides the episodes of a half."""
    recipe = {
        "env_id": task.env_id,
        "half": half,
        "policy": repr(behaviour_policy(task, half)),
        "seed": seed,
    }
    if task.action_noise:
        recipe["action_noise"] = task.action_noise
    if task.env_kwargs:
        recipe["env_kwargs"] = repr(sorted(task.env_kwargs.items()))
    for name, package in simulators(task).items():
        recipe[name] = version_of(package)
    return recipe


# book/data/datasets.md, section "A ledger per half"
LEDGER = {
    "recipe": {...: (str, int, float)},
    "sha256": {...: str},
}


def open_ledger(folder: Path, recipe: dict) -> dict:
    """Return the ledger of a half, new if there is none.

    Raises:
        ValueError: it is unreadable or was begun by another recipe.
    """
    path = folder / "ledger.json"
    if not path.exists():
        return {"recipe": recipe, "sha256": {}}
    ledger = read_json(path, LEDGER, f"delete {folder}")
    for key, value in recipe.items():
        theirs = ledger["recipe"].get(key)
        if theirs != value:
            raise ValueError(
                f"{folder} holds episodes made with {key} "
                f"{theirs}, not {value}: choose another --root"
            )
    return ledger


# book/data/datasets.md, section "A ledger per half"
def shard_ranges(count: int, length: int) -> list[range]:
    """Return the episodes of each shard that `count` episodes touch."""
    starts = range(0, count, length)
    return [range(first, first + length) for first in starts]


def shard_name(episodes: range) -> str:
    """Return the file name of the shard that holds `episodes`."""
    return f"episodes-{episodes.start:06d}-{episodes.stop:06d}.npz"


def is_finished(folder: Path, ledger: dict, episodes: range) -> bool:
    """Return whether a shard is on disk with the bytes of its ledger."""
    path = folder / shard_name(episodes)
    known = ledger["sha256"].get(path.name)
    return path.is_file() and digest(path.read_bytes()) == known


# book/data/datasets.md, section "A ledger per half"
def make_shard(pool, folder, ledger, task, episodes, advance) -> None:
    """Play `episodes`, write their shard, then enter it in the ledger."""
    recipe = ledger["recipe"]
    rounds = []
    for first in range(episodes.start, episodes.stop, pool.slots):
        block = range(first, min(first + pool.slots, episodes.stop))
        half, seed = recipe["half"], recipe["seed"]
        rounds.append(collect(pool, task, half, seed, block))
        advance(len(block))
    data = pack(
        {key: np.concatenate([r[key] for r in rounds]) for key in rounds[0]}
    )
    write_file(folder / shard_name(episodes), data)
    ledger["sha256"][shard_name(episodes)] = digest(data)
    write_file(folder / "ledger.json", as_json(ledger))


# book/data/datasets.md, section "Statistics of behaviour"
MEASURED = {  # on the files of Yang et al. 2022: expert, then random
    "PointReach": ([32.2, 18.6, 24.3, 0.84], [1.3, 0.8, 1.0, 0.03]),
    "PointRooms": ([29.1, 16.6, 21.9, 0.80], [1.3, 0.8, 1.0, 0.03]),
    "Reacher": ([27.6, 15.1, 20.3, 0.86], [2.3, 1.4, 1.7, 0.06]),
    "SawyerReach": ([30.9, 16.6, 22.5, 0.995], [1.2, 0.7, 1.0, 0.03]),
    "SawyerDoor": ([27.0, 15.0, 20.0, 0.76], [4.3, 2.7, 3.4, 0.09]),
    "FetchReach": ([36.7, 21.6, 28.0, 0.895], [0.7, 0.5, 0.6, 0.01]),
}
PUBLISHED = {name: dict(zip(HALVES, x)) for name, x in MEASURED.items()}
STATISTICS = ["sum", "discounted 0.98", "discounted 0.99", "last"]


# book/data/datasets.md, section "Statistics of behaviour"
def score(task: Task, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the numbers that `behaviour` is the mean of, (E,) each."""
    goals = arrays["desired_goals"][:, None]
    rewards = task.reward(arrays["achieved_goals"], goals)
    rewards = rewards[:, : task.horizon - 1]
    steps = np.arange(rewards.shape[1])
    if "lengths" in arrays:
        rewards = rewards * (steps <= arrays["lengths"][:, None])
    sums = [(rewards * g**steps).sum(1) for g in (1.0, 0.98, 0.99)]
    return [*sums, rewards[:, -1]]


def behaviour(task: Task, arrays: dict[str, np.ndarray]) -> list[float]:
    """Return mean behaviour of episodes as the benchmark counts it.

    Args:
        task: gives the reward.
        arrays: achieved_goals (E, T+1, G), desired_goals (E, G).

    Returns:
        Mean over episodes of the sum of rewards of s_0 ... s_{T-2}, of the
        same at discount 0.98 and 0.99, and of the last of these rewards.
    """
    return average([score(task, arrays)])


def average(scores: list[list[np.ndarray]]) -> list[float]:
    """Return the rounded means of what `score` returned for some parts."""
    columns = map(np.concatenate, zip(*scores))
    return [round(float(column.mean()), 4) for column in columns]


# book/data/datasets.md, section "The manifest"
def data_root(root=None) -> Path:
    """Return where data live: `root`, else $SMORE_LIT_DATA, else ./data."""
    return as_path(root or os.environ.get("SMORE_LIT_DATA") or "data")


def choose_percent(task: Task, expert_percent: float | None) -> float:
    """Return the share of experts, by default that of the published data."""
    return task.expert_percent if expert_percent is None else expert_percent


def manifest_path(task, size, expert_percent=None, root=None) -> Path:
    """Return the path of a mixture's manifest; it need not exist."""
    task = load_task(task)
    expert_percent = choose_percent(task, expert_percent)
    count_episodes(task, size)
    folder = data_root(root) / re.sub(r"[^\w.=-]", "_", task.name)
    return folder / f"{size}-{as_percent(expert_percent)}.json"


def versions(task: Task | None) -> dict[str, str]:
    """Return the versions of all that shaped the data made of `task`.

    Args:
        task: None for data that were not simulated here.
    """
    packages = {"numpy"}
    if task is not None:
        packages |= {"gymnasium", *simulators(task).values()}
    found = {name: version_of(name) for name in packages}
    found["python"] = platform.python_version()
    found["smore_lit"] = smore_lit.__version__
    return found


def list_shards(folder: Path, counts: dict, length: int, ledgers) -> list:
    """Return the manifest's entry for each shard, experts first."""
    entries = []
    for half in HALVES:
        for episodes in shard_ranges(counts[half], length):
            name = shard_name(episodes)
            entries.append({
                "file": f"{half}/{name}",
                "half": half,
                "episodes": length,
                "used": min(length, counts[half] - episodes.start),
                "bytes": (folder / half / name).stat().st_size,
                "sha256": ledgers[half]["sha256"][name],
            })
    return entries


# book/data/datasets.md, section "Make a dataset"
def make_dataset(
    task: Task | str,
    size: str = "paper",
    expert_percent: float | None = None,
    seed: int = 0,
    workers: int = 2,
    root=None,
    progress: bool = True,
) -> Path:
    """Generate what is missing of a dataset and write its manifest.

    Args:
        task: a task or its name.
        size: "paper", "cpu" or "tiny"; see `count_episodes`.
        expert_percent: share of expert episodes, 0 to 100; the published
            one, mostly 10, when left out.
        seed: non-negative; decides every episode.
        workers: processes that simulate; 0 uses this one. No effect on data.
        root: folder of all data, see `data_root`.
        progress: show a bar with rate and time left on standard error.

    Returns:
        The path of the manifest.

    Raises:
        ValueError: bad arguments, or `root` holds data of another recipe.
        OSError: a file cannot be written; finished shards are kept.
        RuntimeError: a worker process failed.
    """
    seed, workers = as_whole("seed", seed), check_workers(workers)
    task = load_task(task)
    expert_percent = choose_percent(task, expert_percent)
    path = manifest_path(task, size, expert_percent, root)
    counts = count_halves(task, size, expert_percent)
    ledgers = fill_halves(
        task, path.parent, counts, size, seed, workers, progress
    )
    shards = list_shards(path.parent, counts, SHARD[size], ledgers)
    manifest = {
        "size": size,
        "expert_percent": as_number("expert percent", expert_percent),
        "seed": seed,
        "versions": versions(task),
    }
    manifest |= describe(task, path.parent, counts, task.horizon, shards)
    write_file(path, as_json(manifest))
    return path


# book/data/datasets.md, section "Make a dataset"
def fill_halves(task, folder, counts, size, seed, workers, progress):
    """Make all missing shards of both halves; return their ledgers."""
    from tqdm import tqdm

    ledgers, missing = {}, []
    sweep(folder)
    for half in filter(counts.get, HALVES):
        recipe = half_recipe(task, half, seed)
        ledgers[half] = open_ledger(folder / half, recipe)
        for episodes in shard_ranges(counts[half], SHARD[size]):
            if not is_finished(folder / half, ledgers[half], episodes):
                missing.append((half, episodes))
    if not missing:
        return ledgers
    for half in dict(missing):
        claim_folder(folder / half)
    slots = max(workers, 20)
    total = sum(len(episodes) for _, episodes in missing)
    bar = tqdm(
        total=total, desc=task.name, unit=" episodes", disable=not progress
    )
    with bar, Rollouts(task.make, slots, workers) as pool:
        for half, episodes in missing:
            place, ledger = folder / half, ledgers[half]
            make_shard(pool, place, ledger, task, episodes, bar.update)
    return ledgers


# book/data/datasets.md, section "Make a dataset"
def describe(task, folder, counts, horizon, shards) -> dict:
    """Return what a manifest says of shards that are all in `folder`."""
    scores: dict[str, list] = {half: [] for half in counts}
    for entry in shards:
        part = read_shard(task, folder / entry["file"], entry, horizon)
        scores[entry["half"]].append(score(task, part))
    means = {half: average(rows) for half, rows in scores.items() if rows}
    return {
        "format": 1,
        "task": task.name,
        "env_id": task.env_id,
        "episodes": counts,
        "horizon": horizon,
        "shards": shards,
        "behaviour": {"names": STATISTICS, **means},
        "published": PUBLISHED.get(task.name, {}),
    }


# book/data/datasets.md, section "Load and check it"
def shard_arrays(task: Task, episodes: int, steps: int) -> dict[str, tuple]:
    """Return shape and type that each array of a shard must have."""
    goals, states = task.goal_size, (episodes, steps + 1)
    seen = task.observation_shape
    return {
        "observations": ((*states, *seen), task.observation_dtype),
        "actions": ((episodes, steps, task.action_size), "<f4"),
        "achieved_goals": ((*states, goals), "<f4"),
        "desired_goals": ((episodes, goals), "<f4"),
    }


def read_array(file: zipfile.ZipFile, name: str, shape: tuple, kind: str):
    """Return one array of `shape` and `kind`, refusing anything else."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    if file.getinfo(name).file_size > size + 1024:
        raise ValueError(f"{name} declares more bytes than {shape} needs")
    with file.open(name) as member:
        data = member.read(size + 1025)
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} has an unknown npy version")
    header = np.lib.format.read_array_header_1_0(stream)
    if header != (shape, False, np.dtype(kind)):
        raise ValueError(
            f"{name} is {header[2]} {header[0]}, expected"
            f" {np.dtype(kind).name} {shape}"
        )
    if len(data) - stream.tell() != size:
        raise ValueError(f"{name} is truncated")
    array = np.frombuffer(data, kind, offset=stream.tell())
    return array.reshape(shape).copy()


# book/data/datasets.md, section "Load and check it"
def check_values(task: Task, arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError unless the numbers can be episodes of `task`."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")
    if np.abs(arrays["actions"]).max() > 1:  # by rounding, or too far
        from smore_lit.learning.trajectories import scale_actions

        arrays["actions"] = scale_actions(arrays["actions"])
    steps = arrays["actions"].shape[1]
    lengths = arrays.get("lengths", np.array([steps]))
    if lengths.min() < 1 or lengths.max() > steps:
        raise ValueError(f"lengths leave 1 to {steps}")
    if task.goal_index is None:
        return
    achieved = task.phi(arrays["observations"])
    if not np.array_equal(achieved, arrays["achieved_goals"]):
        raise ValueError("achieved_goals are not phi(observations)")


# book/data/datasets.md, section "Load and check it"
def parse_shard(data: bytes, task: Task, episodes: int, steps: int) -> dict:
    """Return the arrays in the bytes of a shard, fully checked."""
    promised = shard_arrays(task, episodes, steps)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        names = set(file.namelist()) - {"lengths.npy"}
        if sorted(names) != sorted(f"{name}.npy" for name in ARRAYS):
            held = ", ".join(sorted(names))[:80]
            raise ValueError(f"holds {held}, not 4 arrays")
        arrays = {
            name: read_array(file, f"{name}.npy", *promised[name])
            for name in ARRAYS
        }
        if "lengths.npy" in file.namelist():
            lengths = read_array(file, "lengths.npy", (episodes,), "<i8")
            arrays["lengths"] = lengths
    check_values(task, arrays)
    return arrays


# book/data/datasets.md, section "Load and check it"
def read_shard(task: Task, path: Path, entry: dict, steps: int) -> dict:
    """Return the used episodes of one shard as four arrays.

    Raises:
        ValueError: one line naming the file and what is wrong with it.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(entry["bytes"] + 1)
        if len(data) != entry["bytes"]:
            raise ValueError(f"is not {entry['bytes']} bytes long")
        if digest(data) != entry["sha256"]:
            raise ValueError("does not match its checksum")
        arrays = parse_shard(data, task, entry["episodes"], steps)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: {reason}: make the dataset again") from None
    return {key: value[: entry["used"]] for key, value in arrays.items()}


def read_shards(task: Task, folder: Path, manifest: dict) -> dict:
    """Return the used episodes of all shards, joined in order."""
    total, steps = sum(manifest["episodes"].values()), manifest["horizon"]
    arrays = {
        name: np.empty(shape, kind)
        for name, (shape, kind) in shard_arrays(task, total, steps).items()
    }
    lengths = np.full(total, steps)
    first = 0
    for entry in manifest["shards"]:
        part = read_shard(task, folder / entry["file"], entry, steps)
        for name, rows in part.items():
            place = lengths if name == "lengths" else arrays[name]
            place[first : first + entry["used"]] = rows
        first += entry["used"]
    if (lengths != steps).any():
        arrays["lengths"] = lengths
    return arrays


# book/data/datasets.md, section "Load and check it"
FILE = re.compile(r"(expert|random|imported)/episodes-\d{6}-\d{6}\.npz")
LARGEST = 2**26  # bytes of a shard


def check_entry(entry: dict, task: Task, steps: int) -> None:
    """Raise ValueError unless `entry` can describe a shard."""
    file, half = entry["file"], entry["half"]
    if not FILE.fullmatch(file) or not file.startswith(f"{half}/"):
        raise ValueError(f"names a file that is no shard: {file!r:.80}")
    for key in ("episodes", "used", "bytes"):
        if entry[key] < 1:
            raise ValueError(f"{file}: {key} must be 1 or more")
    if entry["used"] > entry["episodes"]:
        raise ValueError(f"{file}: uses more episodes than it holds")
    arrays = shard_arrays(task, entry["episodes"], steps).values()
    sizes = (math.prod(s) * np.dtype(kind).itemsize for s, kind in arrays)
    limit = sum(sizes) + 8192
    limit = min(limit, LARGEST)
    if entry["episodes"] > max(SHARD.values()) or entry["bytes"] > limit:
        raise ValueError(f"{file}: declares more than a shard can hold")
    if not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
        raise ValueError(f"{file}: has no proper checksum")


# book/data/datasets.md, section "Load and check it"
def task_of(manifest: dict, task: Task | str | None = None) -> Task:
    """Return the task whose data a manifest lists.

    Args:
        manifest: what a file says.
        task: whose data they are expected to be, with or without noise.

    Raises:
        ValueError: they are of another task, or of one in a module that
            nobody but the file has named.
    """
    name = manifest["task"]
    base = name.partition(NOISE_MARK)[0]
    if task is not None:
        task = load_task(task)
        if base != task.base:
            raise ValueError(f"holds data of {name!r:.80}, not {task.name}")
        if base not in list_tasks():
            return task
    if ":" in base:
        raise ValueError(
            f"holds data of a task of your own: say --task {name:.80}"
        )
    return load_task(name)


# book/data/datasets.md, section "Load and check it"
MANIFEST = {
    "format": object,
    "task": str,
    "episodes": {...: int},
    "horizon": int,
    "shards": [
        {
            "file": str,
            "half": str,
            "episodes": int,
            "used": int,
            "bytes": int,
            "sha256": str,
        }
    ],
    "behaviour": {"names": [str], ...: [float]},
    "published": {...: [float]},
    "versions": {...: str},
    "seed": (int, None),
}


def check_manifest(manifest: dict, task: Task) -> None:
    """Raise ValueError unless these values can be those of a manifest."""
    if manifest["format"] != 1:
        raise ValueError(f"has the unknown format {manifest['format']!r:.40}")
    steps = manifest["horizon"]
    if not 1 <= steps <= 10_000:
        raise ValueError(f"has the impossible horizon {steps!r:.40}")
    names = manifest["behaviour"]["names"]
    for table in (manifest["behaviour"], manifest["published"]):
        if any(len(numbers) != len(names) for numbers in table.values()):
            raise ValueError(f"has not {len(names)} numbers for each half")
    used = dict.fromkeys(manifest["episodes"], 0)
    for entry in manifest["shards"]:
        check_entry(entry, task, steps)
        used[entry["half"]] = used.get(entry["half"], 0) + entry["used"]
    if used != manifest["episodes"] or not sum(used.values()):
        raise ValueError(f"promises other episodes than it lists: {used}")


# book/data/datasets.md, section "Load and check it"
def find_manifest(place) -> Path:
    """Return the manifest at a path, or the only one of a folder.

    Raises:
        ValueError: a folder without a manifest, or with several.
    """
    path = as_path(place)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.json"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found)
        raise ValueError(f"{path} holds {names or 'no manifest'}: name one")
    return found[0]


def dataset_info(manifest_path, task: Task | str | None = None) -> dict:
    """Return the checked contents of a manifest; reads no shard.

    Args:
        manifest_path: of the manifest.
        task: whose data they are; needed for a task of your own.

    Raises:
        ValueError: one line naming the file and what is wrong with it.
    """
    path = find_manifest(manifest_path)
    try:
        manifest = read_json(path, MANIFEST, "make the dataset again")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    try:
        task = task_of(manifest, task)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    try:
        check_manifest(manifest, task)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: {reason}: make it again") from None
    return manifest


# book/data/datasets.md, section "Load and check it"
def read_dataset(
    manifest_path, task: Task | str | None = None
) -> dict[str, np.ndarray]:
    """Return the mixture that a manifest, or its folder, describes.

    See `load_dataset` for what is returned and raised.

    Args:
        manifest_path: of the manifest, or of its folder.
        task: see `dataset_info`.
    """
    path = find_manifest(manifest_path)
    manifest = dataset_info(path, task)
    return read_shards(task_of(manifest, task), path.parent, manifest)


# book/data/datasets.md, section "Load and check it"
def load_dataset(
    task: Task | str,
    size: str = "paper",
    expert_percent: float | None = None,
    root=None,
) -> dict[str, np.ndarray]:
    """Return a dataset, every byte of it verified.

    Args:
        task: a task or its name.
        size: "paper", "cpu" or "tiny"; see `count_episodes`.
        expert_percent: share of expert episodes, 0 to 100; the published
            one, mostly 10, when left out.
        root: folder of all data, see `data_root`.

    Returns:
        observations (E, T+1, O), actions (E, T, A),
        achieved_goals (E, T+1, G), desired_goals (E, G), float32, but for
        observations that are pictures: (E, T+1, H, W, C) uint8; lengths
        (E,) if an episode ended early; expert episodes come first.

    Raises:
        ValueError: it does not exist, or anything in it is wrong.
    """
    task = load_task(task)
    expert_percent = choose_percent(task, expert_percent)
    path = manifest_path(task, size, expert_percent, root)
    if not path.exists():
        raise ValueError(
            f"no dataset {path}: make it with `smore-lit data make "
            f"{task.name} --size {size} --expert-percent"
            f" {as_percent(expert_percent)}`"
        )
    return read_dataset(path, task)


# book/data/datasets.md, section "Load and check it"
def store_goal(arrays: dict[str, np.ndarray], goal) -> dict[str, np.ndarray]:
    """Return data whose every episode stores the same goal.

    Args:
        arrays: as `load_dataset` returns them; nothing in them changes.
        goal: a number for each entry of a goal, (G,).

    Raises:
        ValueError: `goal` has another length, or is not finite.
    """
    before = arrays["desired_goals"]
    try:
        asked = np.asarray(goal, dtype=before.dtype).reshape(-1)
    except (TypeError, ValueError):
        asked = np.full(1, np.nan)
    if asked.shape != before.shape[1:] or not np.isfinite(asked).all():
        size, said = before.shape[1], " ".join(repr(goal).split())
        raise ValueError(
            f"a stored goal of these data is {size} finite numbers, got"
            f" {said:.60}"
        )
    return arrays | {"desired_goals": np.tile(asked, (len(before), 1))}


# book/data/datasets.md, section "Load and check it"
def tiny_dataset(task: Task | str) -> dict[str, np.ndarray]:
    """Return the 200 episodes (10 % expert) shipped with the package."""
    with importlib.resources.as_file(
        importlib.resources.files(smore_lit) / "assets"
    ) as assets:
        return load_dataset(task, "tiny", 10.0, root=assets)
