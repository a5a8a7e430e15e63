# Generated from book/learning/training.md by make sync. Edit the chapter, not this file.
"""Training: train an agent and watch it learn.

Data, an agent and a plan go in; a policy, its scores and a curve come out.
"""

__all__ = [
    "Plan",
    "make_plan",
    "Spec",
    "sizes_of",
    "fingerprint",
    "PARTS",
    "TRAINER",
    "digest_agent",
    "library_versions",
    "versions",
    "Run",
    "batch_seed",
    "start_run",
    "choose_sampler",
    "sample",
    "learn_from",
    "fuse",
    "uniforms_of",
    "draw",
    "train",
    "train_spec",
    "choose_device",
    "Log",
    "LOGGERS",
    "open_board",
    "draw_rows",
    "finish",
    "SCORE_COLUMNS",
    "score_rows",
    "read_scores",
    "setting_of",
    "name_hardware",
    "summarise",
    "write_summary",
    "SCORE",
    "SUMMARY",
    "read_summary",
    "count_flops",
]


# book/learning/training.md, section "Training: train an agent and watch it learn"
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode


# book/learning/training.md, section "Training: train an agent and watch it learn"
import smore_lit
from smore_lit.learning.agent import (
    Agent,
    AgentConfig,
    Sizes,
    State,
    Tensors,
    create_state,
    descend,
    differentiate,
    fill_gradients,
    find_agent,
    make_config,
    tensors_of,
)
from smore_lit.learning.policies import Policy, describe
from smore_lit.running.checkpoints import fill_generators
from smore_lit.running.evaluation import (
    METRICS,
    count_slots,
    evaluate,
    interval,
    possible,
)


# book/learning/training.md, section "Training: train an agent and watch it learn"
from smore_lit.learning.scaling import Scaler, fit_scaler
from smore_lit.learning.trajectories import (
    SAMPLERS,
    Batch,
    Sampler,
    Trajectories,
    as_trajectories,
    draw_uniforms,
)
from smore_lit.running.files import (
    Table,
    as_path,
    as_whole,
    read_json,
    read_table,
    write_atomic,
)
from smore_lit.running.identity import digest_code, name_run
from smore_lit.running.loop import (
    Schedule,
    check_finite,
    fix_products,
    hold,
    is_finished,
    metric_rows,
    run_loop,
)
from smore_lit.running.rollouts import Rollouts, check_workers


# book/learning/training.md, section "What makes a run"
@dataclass(frozen=True)
class Plan(Schedule):
    """Say how long to train and when to look.

    Raises:
        ValueError: a count that is out of its range.
    """

    eval_every: int = 500  # updates between evaluations
    eval_episodes: int = 50  # per seed and evaluation
    eval_seed: int = 0  # which episodes
    compile: bool = False  # fuse the steps of an update; needs a C++ compiler

    @property
    def arithmetic(self) -> dict[str, Any]:
        """Return what decides the digits of an update, besides the seeds."""
        known: dict[str, Any] = {"threads": self.threads}
        known["compile"] = self.compile
        if self.precision != "highest":
            known["precision"] = self.precision
        return known


# book/learning/training.md, section "What makes a run"
def make_plan(fields: Mapping[str, Any]) -> Plan:
    """Return a plan with these fields.

    Raises:
        ValueError: an unknown field, or a value out of its range.
    """
    try:
        return Plan(**fields)
    except TypeError as error:
        raise ValueError(f"unknown option of training: {error}") from None


# book/learning/training.md, section "What makes a run"
@dataclass(frozen=True)
class Spec:
    """Say which run is meant.

    Fields:
        agent, config, plan: what is trained, and for how long.
        sizes: of observation, action and goal.
        data: digest of the episodes, from `fingerprint`.
        task: where it is evaluated, with its noise; None: nowhere.
    """

    agent: Agent
    config: AgentConfig
    plan: Plan
    sizes: Sizes
    data: str
    task: Any = None

    @property
    def asked(self) -> dict[str, Any]:
        """Return what tells this run from any other, as plain values."""
        agent, config, plan = self.agent, self.config, self.plan
        known = plan.arithmetic
        if agent.cosine and config.cosine:
            known["updates"] = plan.updates
        name = self.task.name if self.task else None
        more = dict(task=name, plan=known, data=self.data)
        return describe(agent, config, self.sizes, plan.all_seeds, **more)

    @property
    def folder(self) -> str:
        """Return the name of the run's folder: task, algorithm and name."""
        task = self.task.name if self.task else "none"
        parts = task, self.agent.name, name_run(self.asked)
        return re.sub(r"[^\w.=,-]", "_", "-".join(parts))


# book/learning/training.md, section "What makes a run"
def sizes_of(trajectories: Trajectories) -> Sizes:
    """Return the sizes of observation, action and goal in the data."""
    return Sizes(
        trajectories.observations.shape[-1],
        trajectories.actions.shape[-1],
        trajectories.desired_goals.shape[-1],
    )


def fingerprint(trajectories: Trajectories) -> str:
    """Return a SHA-256 digest of all tensors of the data."""
    digest = hashlib.sha256()
    for item in dataclasses.fields(trajectories):
        tensor = getattr(trajectories, item.name).cpu().contiguous()
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


# book/learning/training.md, section "What makes a run"
PARTS = ("config", "init", "losses", "act")
TRAINER = "smore_lit.learning.training"


def digest_agent(agent: Agent) -> dict[str, str]:
    """Digest the code that trains an agent, module by module."""
    parts = {name: getattr(agent, name) for name in PARTS}
    return digest_code(parts, [TRAINER])


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


# book/learning/training.md, section "What makes a run"
@dataclass
class Run:
    """Hold a run while it trains and after it.

    Fields:
        spec: which run it is.
        state: networks, targets, optimiser, number of updates.
        sampler: draws batches from the data.
        generators: one for each seed; nothing else draws from them.
        directory: where files go; None writes none.
        scores: one row for each seed and evaluation.
        summary: the last evaluation over seeds, and the speed.
    """

    spec: Spec
    state: State
    sampler: Sampler
    generators: list[torch.Generator]
    directory: Path | None = None
    scores: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)

    def __post_init__(self):
        spec = self.spec
        self.agent, self.config, self.plan = spec.agent, spec.config, spec.plan
        self.task, self.seeds = spec.task, spec.plan.all_seeds

    @property
    def updates(self) -> int:
        """Return how many updates were taken."""
        return self.state.updates

    @cached_property
    def description(self) -> dict:
        """Return what was asked for, and the proof of what answers."""
        code, versions = digest_agent(self.agent), library_versions()
        return self.spec.asked | {"code": code, "versions": versions}

    @cached_property
    def learn(self) -> Callable:
        """Return `learn_from`, compiled if the plan says so."""
        return fuse(learn_from) if self.plan.compile else learn_from

    @property
    def policy(self) -> Policy:
        """Return the policy as it stands now."""
        sizes, networks = self.spec.sizes, self.state.networks
        known = self.agent, self.config, sizes, networks, self.seeds
        return Policy(*known, self.description)

    def step(self) -> dict[str, torch.Tensor]:
        """Draw a batch, take one update; return measurements, each (N,)."""
        uniforms = uniforms_of(self, self.generators)
        known = self.agent, self.config, tensors_of(self.state)
        measured = self.learn(*known, self.sampler, uniforms)
        descend(self.agent, self.config, self.state, self.plan.updates)
        return measured

    def state_dict(self) -> dict:
        """Return networks, targets, optimiser, updates and generators."""
        places = [g.get_state() for g in self.generators]
        return {**self.state.state_dict(), "generators": places}

    def load_state_dict(self, content: Mapping) -> None:
        """Take over what `state_dict` returned."""
        self.state.load_state_dict(content)
        fill_generators(self.generators, content["generators"])


# book/learning/training.md, section "Four random generators"
def batch_seed(seed: int) -> int:
    """Return the seed of a run's batches, apart from that of its weights."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])


# book/learning/training.md, section "Starting a run"
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
        scaler: Any = state.networks["scaler"]
        fit_scaler(scaler, sampler.data)
    generators = [
        torch.Generator().manual_seed(batch_seed(seed)) for seed in seeds
    ]
    data = fingerprint(trajectories)
    spec = Spec(agent, config, plan, sizes, data, task)
    return Run(spec, state, sampler, generators)


# book/learning/training.md, section "Starting a run"
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
        config.near,
    )


# book/learning/training.md, section "A step"
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


def learn_from(
    agent: Agent,
    config: AgentConfig,
    tensors: Tensors,
    sampler: Sampler,
    uniforms: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Fill the gradients from a batch that uniform numbers stand for.

    Args:
        agent, config: what is trained.
        tensors: of its state, from `tensors_of`.
        sampler, uniforms: as `sample` takes them.

    Returns:
        Losses and measurements by name, each (N,), detached.
    """
    rho, q = sample(sampler, tensors[0]["scaler"], uniforms)
    return fill_gradients(agent, config, *tensors, rho, q)


# book/learning/training.md, section "A step"
def fuse(function: Callable) -> Callable:
    """Return a function compiled, its derivatives included."""
    from torch._dynamo import config

    fast = torch.compile(function, dynamic=False)
    if hasattr(config, "trace_autograd_ops"):  # else in two graphs
        fast = config.patch(trace_autograd_ops=True)(fast)
    return fast


def uniforms_of(run: Run, generators) -> torch.Tensor:
    """Draw the numbers of a batch, one generator for each seed."""
    noise = run.config.draws(sizes_of(run.sampler.data))
    columns = run.sampler.columns + noise
    uniforms = draw_uniforms(generators, run.config.batch_size, columns)
    return uniforms.to(run.sampler.data.observations.device)


def draw(run: Run, generators) -> tuple[Batch, Batch]:
    """Draw a batch of rho and one of q, one generator for each seed."""
    scaler: Any = run.state.networks["scaler"]
    return sample(run.sampler, scaler, uniforms_of(run, generators))


# book/learning/training.md, section "Training"
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
    logger: str = "csv",
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
        logger: "csv", or "tensorboard" for its event files besides.
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
    config = make_config(agent, preset, **(settings or {}))
    planned = make_plan(plan)
    task = None if task is None else smore_lit.load_task(task)
    if isinstance(trajectories, str | bytes | os.PathLike):
        trajectories = smore_lit.read_dataset(trajectories, task)
    data, device = as_trajectories(trajectories), choose_device(device)
    with fix_products(planned):
        run = start_run(data, agent, config, planned, task, device)
        if out is None and runs is not None:
            out = as_path(runs) / run.spec.folder
        run.directory = None if out is None else as_path(out)
        held = hold(run, run.description, run.directory, planned.updates)
        with held as record, Log(run, workers, logger) as log:
            looks = [
                (planned.log_every, log.measure),
                (planned.eval_every, log.evaluate),
            ]
            taken, seconds = run_loop(record, planned, looks, progress)
            finish(run, taken, seconds, log.spent)
    return run


# book/learning/training.md, section "Training"
def train_spec(spec: Spec, trajectories: Trajectories | dict, **how) -> Run:
    """Train the run that a spec describes, in this or another process.

    Args:
        spec: which run.
        trajectories: its data, as `train` takes them.
        how: any of out, runs, device, workers, logger and progress of
            `train`.

    Raises:
        ValueError: other data, or what `train` raises.
    """
    data = as_trajectories(trajectories)
    if fingerprint(data) != spec.data:
        raise ValueError(
            "these are not the data of that run: read or make those that it"
            " was described with"
        )
    settings = dataclasses.asdict(spec.config)
    plan = dataclasses.asdict(spec.plan)
    how = {"settings": settings, **plan, **how}
    return train(data, spec.agent, spec.task, **how)


# book/learning/training.md, section "Training"
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
class Log:
    """Write what a run scores; a context that holds its simulators.

    They open before the first update, so that a simulator that is missing is
    told then, and not after the training that the first evaluation follows.
    """

    def __init__(self, run: Run, workers: int, logger: str = "csv"):
        self.run, self.workers, self.rollouts = run, workers, None
        self.table, self.spent = None, 0.0
        self.board = open_board(run, logger)
        if run.directory is not None and run.task is not None:
            path = run.directory / "scores.csv"
            self.table = Table(path, SCORE_COLUMNS, run.updates)
            run.scores += read_scores(path)

    def evaluate(self, measured: dict[str, torch.Tensor]) -> None:
        """Play the evaluation episodes; append one row per seed."""
        run, plan = self.run, self.run.plan
        if run.task is None:
            return
        check_finite(measured, run.updates)
        began = time.perf_counter()
        options = plan.eval_episodes, plan.eval_seed, 0, self.rollouts
        scores = evaluate(run.task, run.policy, run.seeds, *options)
        rows = score_rows(run, scores)
        run.scores += rows
        if self.table is not None:
            self.table.append(rows)
        if self.board is not None:
            draw_rows(self.board, "scores", METRICS, rows)
        self.spent += time.perf_counter() - began

    def measure(self, measured: dict[str, torch.Tensor]) -> None:
        """Draw what was measured, where a board shows it."""
        if self.board is not None:
            rows = metric_rows(self.run, measured)
            draw_rows(self.board, "metrics", measured, rows)

    def __enter__(self):
        run, plan = self.run, self.run.plan
        if run.task is not None and run.updates < plan.updates:
            slots = count_slots(plan.seeds, plan.eval_episodes)
            self.rollouts = Rollouts(run.task.make, slots, self.workers)
        return self

    def __exit__(self, *exception):
        if self.rollouts is not None:
            self.rollouts.close()
        if self.board is not None:
            self.board.close()


# book/learning/training.md, section "What a run writes"
LOGGERS = ("csv", "tensorboard")


def open_board(run: Run, logger: str):
    """Return a writer for TensorBoard, if that is the logger.

    Raises:
        ValueError: an unknown logger, a run without a folder, or TensorBoard
            is not installed.
    """
    if logger not in LOGGERS:
        known = ", ".join(LOGGERS)
        raise ValueError(f"unknown logger {logger!r}; known: {known}")
    if logger != "tensorboard":
        return None
    if run.directory is None:
        raise ValueError("logger='tensorboard' needs a folder: give out=...")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            "TensorBoard is not installed: pip install"
            ' "smore_lit[tensorboard]", or leave out the logger'
        ) from None
    place = str(run.directory / "tensorboard")
    return SummaryWriter(place, purge_step=run.updates + 1)


def draw_rows(board, title: str, columns, rows: list[dict]) -> None:
    """Draw columns of rows, one curve for each column and seed."""
    for row in rows:
        for column in columns:
            name = f"{title}/{column}/seed {row['seed']}"
            board.add_scalar(name, row[column], row["updates"])


# book/learning/training.md, section "What a run writes"
def finish(run: Run, updates: int, seconds: float, evaluating: float) -> None:
    """Write summary.json, unless the run was finished before."""
    path = run.directory / "summary.json" if run.directory else None
    if updates == 0 and path and is_finished(path.parent, run.updates):
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
            "updates": run.updates,
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
    kinds: dict[str, type] = dict.fromkeys(METRICS, float)
    kinds |= dict.fromkeys(("seed", "updates", "episodes"), int)
    rows: list[dict] = read_table(path)
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


# book/learning/training.md, section "What a run writes"
def name_hardware(device: str | torch.device = "cpu") -> str:
    """Return the names of processor and device, and the number of cores."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    found = f"{processor}, {os.cpu_count()} cores"
    if torch.device(device).type == "cuda":
        found += f", {torch.cuda.get_device_name(device)}"
    return found


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
    last = [row for row in run.scores if row["updates"] == run.updates]
    training = seconds - evaluating
    device = run.sampler.data.observations.device
    return {
        "task": run.task.name if run.task else None,
        "algorithm": run.agent.name,
        "setting": setting_of(run.agent, run.config),
        "seeds": list(run.seeds),
        "updates": run.updates,
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
        "hardware": name_hardware(device),
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
    "hardware": str,
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
    rho, q = draw(run, generators)
    with FlopCounterMode(display=False) as counter:
        differentiate(run.agent, run.config, run.state, rho, q)
    return counter.get_total_flops()
