# Generated from book/learning/training.md by make sync. Edit the chapter, not this file.
"""Train, stop, and go on to the same bits.

One loop for every agent; killed anywhere, it continues as if nothing had
happened.
"""

__all__ = [
    "Plan",
    "Run",
    "sizes_of",
    "describe_run",
    "name_folder",
    "fingerprint",
    "batch_seed",
    "start_run",
    "choose_sampler",
    "is_finished",
    "has_begun",
    "hold",
    "sample",
    "draw",
    "step",
    "hold_signals",
    "train",
    "limit_threads",
    "choose_device",
    "check_finite",
    "Log",
    "metric_rows",
    "save",
    "finish",
    "SCORE_COLUMNS",
    "score_rows",
    "read_scores",
    "setting_of",
    "library_versions",
    "versions",
    "summarise",
    "write_summary",
    "SCORE",
    "SUMMARY",
    "read_summary",
    "count_flops",
]


# book/learning/training.md, section "Train, stop, and go on to the same bits"
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm


# book/learning/training.md, section "Train, stop, and go on to the same bits"
import smore_lit
from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    State,
    create_state,
    differentiate,
    find_agent,
    make_config,
    update,
)
from smore_lit.learning.checkpoints import (
    Policy,
    describe,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from smore_lit.running.evaluation import (
    METRICS,
    count_slots,
    evaluate,
    interval,
    possible,
)


# book/learning/training.md, section "Train, stop, and go on to the same bits"
from smore_lit.running.files import (
    Table,
    as_path,
    as_plain,
    as_whole,
    read_json,
    read_table,
    sweep,
    write_atomic,
)
from smore_lit.learning.identity import (
    check_same,
    digest_code,
    name_run,
    own_folder,
)
from smore_lit.running.rollouts import Rollouts, check_workers
from smore_lit.learning.scaling import Scaler, fit_scaler
from smore_lit.learning.trajectories import (
    SAMPLERS,
    Batch,
    Sampler,
    Trajectories,
    as_trajectories,
    draw_uniforms,
)


# book/learning/training.md, section "What makes a run"
@dataclass(frozen=True)
class Plan:
    """Say how long to train and when to look.

    Raises:
        ValueError: a count that is out of its range.
    """

    updates: int = 2_000  # optimisation steps
    seeds: int = 3  # how many, trained together
    seed: int = 0  # the first of them
    eval_every: int = 500  # updates between evaluations
    eval_episodes: int = 50  # per seed and evaluation
    eval_seed: int = 0  # which episodes
    log_every: int = 100  # updates between rows of metrics.csv
    checkpoint_every: int = 500  # updates between checkpoints
    threads: int = 1  # of the CPU, that share each product
    compile: bool = False  # fuse the losses with a C++ compiler

    def __post_init__(self):
        values = dataclasses.asdict(self)
        compiled = as_plain(values.pop("compile"))
        if type(compiled) is not bool:
            raise ValueError(f"compile must be a bool, got {self.compile!r}")
        object.__setattr__(self, "compile", compiled)
        for name, value in values.items():
            least = 0 if name in ("seed", "eval_seed") else 1
            object.__setattr__(self, name, as_whole(name, value, least))

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Return the random seeds, one for each index of the seed axis."""
        return tuple(range(self.seed, self.seed + self.seeds))


# book/learning/training.md, section "What makes a run"
@dataclass
class Run:
    """Hold a run while it trains and after it.

    Fields:
        agent, config, plan: what is trained, and for how long.
        task: where it is evaluated; None trains without evaluation.
        state: networks, targets, optimiser, number of updates.
        sampler: draws batches from the data.
        generators: one for each seed; nothing else draws from them.
        directory: where files go; None writes none.
        scores: one row for each seed and evaluation.
        summary: the last evaluation over seeds, and the speed.
    """

    agent: Agent
    config: AgentConfig
    plan: Plan
    task: object | None
    state: State
    sampler: Sampler
    generators: list[torch.Generator]
    directory: Path | None = None
    scores: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the random seeds, one for each index of the seed axis."""
        return self.plan.all_seeds

    @cached_property
    def description(self) -> dict:
        """Return what tells this run from any other, as plain values."""
        return describe_run(self)

    @cached_property
    def fast(self) -> tuple[Callable, Agent]:
        """Return `sample` and the agent, compiled if the plan says so."""
        if not self.plan.compile:
            return sample, self.agent
        losses = torch.compile(self.agent.losses, dynamic=False)
        agent = dataclasses.replace(self.agent, losses=losses)
        return torch.compile(sample, dynamic=False), agent

    @property
    def policy(self) -> Policy:
        """Return the policy as it stands now."""
        sizes, networks = sizes_of(self.sampler.data), self.state.networks
        known = self.agent, self.config, sizes, networks, self.seeds
        return Policy(*known, self.description)


# book/learning/training.md, section "What makes a run"
def sizes_of(trajectories: Trajectories) -> Sizes:
    """Return the sizes of observation, action and goal in the data."""
    return Sizes(
        trajectories.observations.shape[-1],
        trajectories.actions.shape[-1],
        trajectories.desired_goals.shape[-1],
    )


def describe_run(run: Run) -> dict:
    """Return what tells a run from any other, as plain values."""
    plan = {"threads": run.plan.threads, "compile": run.plan.compile}
    if run.agent.cosine and run.config.cosine:
        plan["updates"] = run.plan.updates
    return describe(
        run.agent,
        run.config,
        sizes_of(run.sampler.data),
        run.seeds,
        task=run.task.name if run.task else None,
        plan=plan,
        data=fingerprint(run.sampler.data),
        code=digest_code(run.agent),
        versions=library_versions(),
    )


def name_folder(run: Run) -> str:
    """Return the name of the folder of a run: task, algorithm and name."""
    task = run.task.name if run.task else "none"
    parts = task, run.agent.name, name_run(run.description)
    return re.sub(r"[^\w.=,-]", "_", "-".join(parts))


def fingerprint(trajectories: Trajectories) -> str:
    """Return a SHA-256 digest of all tensors of the data."""
    digest = hashlib.sha256()
    for item in dataclasses.fields(trajectories):
        tensor = getattr(trajectories, item.name).cpu().contiguous()
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


# book/learning/training.md, section "Four streams of chance"
def batch_seed(seed: int) -> int:
    """Return the seed of a run's batches, apart from that of its weights."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])


# book/learning/training.md, section "Starting a run, or finding one"
def start_run(
    trajectories: Trajectories,
    agent: Agent,
    config: AgentConfig,
    plan: Plan,
    task=None,
    device: str = "cpu",
) -> Run:
    """Create a run that has taken no update and has no folder.

    Raises:
        ValueError: the data do not fit the task, or there is no compiler
            for a plan that wants one.
    """
    sizes, seeds = sizes_of(trajectories), plan.all_seeds
    if task is not None:
        due = Sizes(task.observation_size, task.action_size, task.goal_size)
        if due != sizes:
            raise ValueError(
                f"the data have {sizes}, but {task.name} needs {due}"
            )
    compiler = os.environ.get("CXX", "g++")
    if plan.compile and device == "cpu" and not shutil.which(compiler):
        raise ValueError(
            f"compiling needs the C++ compiler {compiler}, which is not"
            " here: install it or train without compile"
        )
    sampler = choose_sampler(trajectories.to(device), config, task)
    state = create_state(agent, config, sizes, seeds, device)
    if config.standardise:
        fit_scaler(state.networks["scaler"], sampler.data)
    generators = [
        torch.Generator().manual_seed(batch_seed(seed)) for seed in seeds
    ]
    return Run(agent, config, plan, task, state, sampler, generators)


# book/learning/training.md, section "Starting a run, or finding one"
def choose_sampler(
    trajectories: Trajectories, config: AgentConfig, task
) -> Sampler:
    """Return the sampler that `config` names, with the task's tolerance.

    Raises:
        ValueError: an unknown sampler, or data that it cannot draw from.
    """
    if config.sampler not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise ValueError(f"unknown sampler {config.sampler!r}; known: {known}")
    return SAMPLERS[config.sampler](
        trajectories,
        config.hindsight,
        task.threshold if task else 0.0,
        config.ahead,
        config.future,
    )


# book/learning/training.md, section "Starting a run, or finding one"
def is_finished(folder: Path, updates: int) -> bool:
    """Return whether a folder holds the summary of so many updates."""
    path = folder / "summary.json"
    return path.exists() and read_summary(path)["updates"] == updates


def has_begun(folder: Path) -> bool:
    """Return whether a folder holds a row, a checkpoint or a summary."""
    tables = folder / "metrics.csv", folder / "scores.csv"
    ends = folder / "checkpoint.pt", folder / "summary.json"
    return any(path.exists() for path in ends) or any(
        path.exists() and read_table(path) for path in tables
    )


@contextlib.contextmanager
def hold(run: Run, folder: Path | None) -> Iterator[None]:
    """Give a run its folder, and what it trained there, in this context.

    Other processes are kept out, unless the run there is finished.

    Raises:
        ValueError: the folder holds another run, or is in use.
        OSError: it cannot be written.
    """
    if folder is None:
        yield
        return
    finished = is_finished(folder, run.plan.updates)
    with contextlib.nullcontext() if finished else own_folder(folder):
        if not finished:
            sweep(folder)
        run.directory = folder
        _claim(run)
        yield


def _claim(run: Run) -> None:
    folder, wanted = run.directory, run.description
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
        restore(content, run.state, run.generators)
    if run.state.updates > run.plan.updates:
        raise ValueError(
            f"{folder} holds {run.state.updates} updates of this run, more"
            f" than the {run.plan.updates} asked for: choose another folder"
        )


# book/learning/training.md, section "The loop"
def sample(
    sampler: Sampler, scaler: Scaler, uniforms: torch.Tensor
) -> tuple[Batch, Batch]:
    """Turn uniform numbers into rho and q, on the scale of the networks.

    Numbers beyond those that the sampler uses are the noise of both.
    """
    rho, q = sampler(uniforms[..., : sampler.columns])
    noise = uniforms[..., sampler.columns :].to(rho.goals.dtype)
    rho, q = rho._replace(noise=noise), q._replace(noise=noise)
    return scaler(rho), scaler(q)


def draw(run: Run, sample: Callable, generators) -> tuple[Batch, Batch]:
    """Draw a batch of rho and one of q, one generator for each seed."""
    noise = run.config.draws(sizes_of(run.sampler.data))
    columns = run.sampler.columns + noise
    uniforms = draw_uniforms(generators, run.config.batch_size, columns)
    uniforms = uniforms.to(run.sampler.data.observations.device)
    return sample(run.sampler, run.state.networks["scaler"], uniforms)


def step(run: Run) -> dict[str, torch.Tensor]:
    """Draw one batch and take one update; return measurements, each (N,)."""
    sample, agent = run.fast
    rho, q = draw(run, sample, run.generators)
    return update(agent, run.config, run.state, rho, q, run.plan.updates)


# book/learning/training.md, section "The loop"
def _loop(run: Run, log: "Log", progress: bool) -> None:
    plan, state, began = run.plan, run.state, time.perf_counter()
    first, last, measured = state.updates, plan.updates, {}
    looks = (
        (plan.log_every, log.measure),
        (plan.eval_every, log.evaluate),
        (plan.checkpoint_every, partial(save, run)),
    )
    options = dict(disable=not progress, unit="update")
    bar = tqdm(total=last, initial=first, **options)
    with bar, hold_signals() as stopped:
        while state.updates < last and not stopped:
            measured = step(run)
            done = state.updates
            bar.update()
            for every, look in looks:
                if done % every == 0 or done == last:
                    look(measured)
        if state.updates < last:
            save(run, measured)
    if stopped:
        signal.raise_signal(stopped[0])
    seconds = time.perf_counter() - began
    finish(run, state.updates - first, seconds, log.spent)


# book/learning/training.md, section "The loop"
@contextlib.contextmanager
def hold_signals() -> Iterator[list[int]]:
    """Note the first SIGINT or SIGTERM in the list that this yields.

    A second one meets whoever answered it before; one that was ignored stays
    ignored. Python lets only the main thread answer signals; in another
    thread nothing is held.
    """
    stopped, before = [], {}

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


# book/learning/training.md, section "The loop"
def train(
    trajectories: Trajectories | dict,
    algorithm: str | Agent = "smore",
    task=None,
    out: Path | str | None = None,
    device: str | None = None,
    workers: int = 2,
    progress: bool = False,
    settings: dict | None = None,
    preset: str = "shared",
    runs: Path | str | None = None,
    **plan,
) -> Run:
    """Train an agent on recorded episodes, all seeds together.

    Args:
        trajectories: the data, or a dictionary of arrays or the path of a
            dataset, as `as_trajectories` takes them.
        algorithm: name of an agent, or an `Agent` of your own.
        task: where to evaluate, a task or its name; None trains without
            evaluation and, as no threshold is known then, draws goals by
            hindsight and by exact hits only.
        out: folder for config.json, metrics.csv, scores.csv, checkpoint.pt
            and summary.json; a finished run there is returned at once, an
            interrupted one goes on to the same bits (on CPU).
        runs: without `out`, a folder in which the run gets one of its own,
            named after what it is.
        device: "cpu" or "cuda"; CUDA where there is one, when left out.
        workers: simulator processes of the evaluation.
        progress: show a progress bar on standard error.
        settings: hyperparameters that differ from the preset's.
        preset: "shared", the agent's defaults, or another of its presets.
        plan: any field of `Plan`, such as updates=20_000 or seeds=5.

    Returns:
        The finished run: act with run.policy, read run.scores, run.summary.

    Raises:
        ValueError: unknown names, values out of range, data that do not fit,
            a task whose simulator does not open.
        OSError: `out` cannot be written.
        FloatingPointError: a loss became NaN or infinite.
    """
    workers = as_whole("workers", workers)
    if task is not None:
        check_workers(workers)
    agent = find_agent(algorithm)
    device = choose_device(device)
    config = make_config(agent, preset, **(settings or {}))
    try:
        plan = Plan(**plan)
    except TypeError as error:
        raise ValueError(f"unknown option of training: {error}") from None
    task = None if task is None else smore_lit.load_task(task)
    if isinstance(trajectories, str | bytes | os.PathLike):
        trajectories = smore_lit.read_dataset(trajectories, task)
    data = as_trajectories(trajectories)
    with limit_threads(plan.threads):
        run = start_run(data, agent, config, plan, task, device)
        if out is None and runs is not None:
            out = as_path(runs) / name_folder(run)
        folder = None if out is None else as_path(out)
        with hold(run, folder), Log(run, workers) as log:
            _loop(run, log, progress)
    return run


# book/learning/training.md, section "The loop"
@contextlib.contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Let PyTorch use `count` threads of the CPU inside this context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# book/learning/training.md, section "The loop"
def choose_device(name: str | None = None) -> str:
    """Return `name` if this machine has that device; the best, without one.

    Raises:
        ValueError: no such device here.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
        torch.Generator(name)
    except (AssertionError, RuntimeError):
        raise ValueError(f"no device {name!r} here: choose cpu") from None
    return name


# book/learning/training.md, section "What a run writes"
def check_finite(measured: dict[str, torch.Tensor], updates: int) -> None:
    """Raise FloatingPointError if any measurement is NaN or infinite."""
    for name, values in measured.items():
        if not bool(values.isfinite().all()):
            raise FloatingPointError(
                f"{name} is not finite after {updates} updates:"
                " lower learning_rate or look at the data"
            )


# book/learning/training.md, section "What a run writes"
class Log:
    """Write what a run measures; a context that holds its simulators.

    They open before the first update, so that a simulator that is missing is
    told then, and not after the training that the first evaluation follows.
    Rows beyond the update at which the run starts come from a killed process
    and are dropped.
    """

    def __init__(self, run: Run, workers: int):
        self.run, self.workers, self.rollouts = run, workers, None
        self.start, self.spent = run.state.updates, 0.0
        self.metrics = self.table = None
        if run.directory is not None and run.task is not None:
            path = run.directory / "scores.csv"
            self.table = Table(path, SCORE_COLUMNS, self.start)
            run.scores += read_scores(path)

    def measure(self, measured: dict[str, torch.Tensor]) -> None:
        """Append one row per seed to metrics.csv."""
        run = self.run
        check_finite(measured, run.state.updates)
        if run.directory is None:
            return
        if self.metrics is None:
            path, columns = run.directory / "metrics.csv", ["updates", "seed"]
            self.metrics = Table(path, [*columns, *measured], self.start)
        self.metrics.append(metric_rows(run, measured))

    def evaluate(self, measured: dict[str, torch.Tensor]) -> None:
        """Play the evaluation episodes; append one row per seed."""
        run, plan = self.run, self.run.plan
        if run.task is None:
            return
        check_finite(measured, run.state.updates)
        began = time.perf_counter()
        options = plan.eval_episodes, plan.eval_seed, 0, self.rollouts
        scores = evaluate(run.task, run.policy, run.seeds, *options)
        rows = score_rows(run, scores)
        run.scores += rows
        if self.table is not None:
            self.table.append(rows)
        self.spent += time.perf_counter() - began

    def __enter__(self):
        run, plan = self.run, self.run.plan
        if run.task is not None and run.state.updates < plan.updates:
            slots = count_slots(plan.seeds, plan.eval_episodes)
            self.rollouts = Rollouts(run.task.make, slots, self.workers)
        return self

    def __exit__(self, *exception):
        if self.rollouts is not None:
            self.rollouts.close()


# book/learning/training.md, section "What a run writes"
def metric_rows(run: Run, measured: dict[str, torch.Tensor]) -> list[dict]:
    """Return one row per seed of metrics.csv."""
    values = {name: value.tolist() for name, value in measured.items()}
    return [
        {"updates": run.state.updates, "seed": seed}
        | {name: numbers[index] for name, numbers in values.items()}
        for index, seed in enumerate(run.seeds)
    ]


def save(run: Run, measured: dict[str, torch.Tensor]) -> None:
    """Write the checkpoint of a run that has a directory."""
    check_finite(measured, run.state.updates)
    if run.directory is not None:
        path = run.directory / "checkpoint.pt"
        save_checkpoint(path, run.state, run.generators, run.description)


def finish(run: Run, updates: int, seconds: float, evaluating: float) -> None:
    """Write summary.json, unless the run was finished before."""
    path = run.directory / "summary.json" if run.directory else None
    if updates == 0 and path and is_finished(path.parent, run.state.updates):
        run.summary = read_summary(path)
        return
    run.summary = summarise(run, updates, seconds, evaluating)
    if path is not None:
        write_summary(path, run.summary)


# book/learning/training.md, section "What a run writes"
SCORE_COLUMNS = (
    "task",
    "algorithm",
    "setting",
    "seed",
    "updates",
    *METRICS,
    "episodes",
    "versions",
)


def score_rows(run: Run, scores: dict[str, np.ndarray]) -> list[dict]:
    """Return one row per seed: means over the episodes of one evaluation."""
    return [
        {
            "task": run.task.name,
            "algorithm": run.agent.name,
            "setting": setting_of(run.agent, run.config),
            "seed": seed,
            "updates": run.state.updates,
            **{name: float(scores[name][index].mean()) for name in METRICS},
            "episodes": run.plan.eval_episodes,
            "versions": versions(),
        }
        for index, seed in enumerate(run.seeds)
    ]


def read_scores(path: Path) -> list[dict]:
    """Read the rows of scores.csv, numbers as numbers.

    Raises:
        ValueError: a cell that is no finite number.
    """
    kinds = dict.fromkeys(METRICS, float)
    kinds |= dict.fromkeys(("seed", "updates", "episodes"), int)
    rows = read_table(path)
    for row in rows:
        for name in kinds:
            try:
                row[name] = kinds[name](row[name])
                fine = math.isfinite(row[name])
            except ValueError:
                fine = False
            if not fine:
                raise ValueError(f"{path} has no number {name}: delete it")
    return rows


# book/learning/training.md, section "What a run writes"
def setting_of(agent: Agent, config: AgentConfig) -> str:
    """Return "default", a preset, or what differs from the defaults."""
    default = agent.config()
    for preset in agent.presets:
        if config == make_config(agent, preset):
            return preset
    changed = [
        f"{f.name}={getattr(config, f.name)}"
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != getattr(default, f.name)
    ]
    return " ".join(changed) or "default"


def library_versions() -> dict[str, str]:
    """Return the versions that scores depend on, by name."""
    found = {"smore_lit": smore_lit.__version__}
    for name in ("torch", "mujoco", "gymnasium-robotics"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def versions() -> str:
    """Return the versions that scores depend on, in one line."""
    return ", ".join(map(" ".join, library_versions().items()))


# book/learning/training.md, section "What a run writes"
def summarise(
    run: Run, updates: int, seconds: float, evaluating: float
) -> dict:
    """Return what summary.json holds.

    Args:
        run: a run whose last evaluation is in its scores.
        updates: optimisation steps taken in this process.
        seconds: wall time they took, evaluation included.
        evaluating: the part of it that evaluation took.
    """
    last = [row for row in run.scores if row["updates"] == run.state.updates]
    training = seconds - evaluating
    return {
        "task": run.task.name if run.task else None,
        "algorithm": run.agent.name,
        "setting": setting_of(run.agent, run.config),
        "seeds": list(run.seeds),
        "updates": run.state.updates,
        "episodes": run.plan.eval_episodes,
        "scores": {
            name: interval(
                [row[name] for row in last],
                within=possible(name, run.task.horizon),
            )
            for name in METRICS
            if last
        },
        "wall_seconds": seconds,
        "updates_per_second": updates / training if updates else None,
        "gflop_per_update": count_flops(run) / 1e9,
        "versions": versions(),
    }


# book/learning/training.md, section "What a run writes"
def write_summary(path: Path, summary: dict) -> None:
    """Write a summary as JSON; NaN becomes null."""
    scores = {
        name: {k: None if math.isnan(v) else v for k, v in score.items()}
        for name, score in summary["scores"].items()
    }
    content = json.dumps(summary | {"scores": scores}, indent=2)
    write_atomic(path, content + "\n")


SCORE = {"mean": float, **dict.fromkeys(("std", "low", "high"), (float, None))}
SUMMARY = {
    "task": (str, None),
    "algorithm": str,
    "setting": str,
    "seeds": [int],
    "updates": int,
    "episodes": int,
    "scores": {...: SCORE},
    "wall_seconds": float,
    "updates_per_second": (float, None),
    "gflop_per_update": float,
    "versions": str,
}


def read_summary(path: Path) -> dict:
    """Read a summary that `write_summary` wrote; null becomes NaN.

    Raises:
        ValueError: it lacks something, or holds what it cannot hold.
    """
    summary = read_json(path, SUMMARY, "delete it, it is written again")
    scores = {
        name: {k: math.nan if v is None else v for k, v in score.items()}
        for name, score in summary["scores"].items()
    }
    return summary | {"scores": scores}


# book/learning/training.md, section "What a run writes"
def count_flops(run: Run) -> int:
    """Count the floating-point operations of one update's matrix products."""
    generators = [torch.Generator(g.device) for g in run.generators]
    rho, q = draw(run, sample, generators)
    with FlopCounterMode(display=False) as counter:
        differentiate(run.agent, run.config, run.state, rho, q)
    return counter.get_total_flops()
