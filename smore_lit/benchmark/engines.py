# Generated from book/benchmark/engines.md by make sync. Edit the chapter, not this file.
"""Engines of the grid: train many runs on all cores.

One process for each core, one run in each; whatever dies, the same command
goes on, and nothing is trained twice.
"""

__all__ = [
    "Places",
    "train_job",
    "try_job",
    "find_done",
    "watch_parent",
    "held_back",
    "serve_job",
    "train_locally",
    "train_by_ray",
    "ENGINES",
    "Campaign",
    "run_grid",
    "make_missing_data",
]


# book/benchmark/engines.md, section "Engines of the grid: train many runs on all cores"
import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smore_lit.benchmark.grid import Job, estimate_seconds, seconds_per_product
from smore_lit.learning.agent import Sizes, find_agent
from smore_lit.running.files import (
    as_path,
    as_whole,
    claim_folder,
    results_folder,
)
from smore_lit.running.identity import name_run
from smore_lit.running.results import read_store


# book/benchmark/engines.md, section "One job"
@dataclass(frozen=True)
class Places:
    """Say where data, runs and results lie, and where a log goes."""

    data: Path
    runs: Path
    store: Path
    logs: Path


def train_job(job: Job, places: Places) -> dict[str, Any]:
    """Train a job here and add it to the store; return run and seconds.

    Raises:
        Exception: whatever `load_dataset`, `train` and `add_run` raise.
    """
    from smore_lit.data.datasets import load_dataset, store_goal
    from smore_lit.learning.training import train
    from smore_lit.running.results import add_run

    began = time.perf_counter()
    percent = job.cell.expert_percent
    arrays = load_dataset(job.cell.task, job.size, percent, places.data)
    if job.cell.stored_goal is not None:
        arrays = store_goal(arrays, job.cell.stored_goal)
    run = train(arrays, runs=places.runs, workers=0, **job.arguments())
    assert run.directory is not None  # below places.runs
    label = job.cell.label
    name = add_run(run.directory, job.study, label, places.store)
    return {"run": name, "seconds": time.perf_counter() - began}


# book/benchmark/engines.md, section "One job"
def try_job(job: Job, places: Places) -> dict[str, Any]:
    """Train a job; return its result, or the reason and a log of why not."""
    try:
        return train_job(job, places)
    except Exception as error:
        name = job.title.replace("/", "_").replace(" ", "_")
        path, log = places.logs / f"{name}.log", ""
        with contextlib.suppress(OSError):
            places.logs.mkdir(parents=True, exist_ok=True)
            path.write_text(traceback.format_exc())
            log = str(path)
        reason = " ".join(str(error).split()) or type(error).__name__
        return {"failed": reason, "log": log}


# book/benchmark/engines.md, section "What is done already"
def find_done(jobs: Iterable[Job], store: Path) -> set[Job]:
    """Return those jobs that the store has, trained by this very code.

    Raises:
        ValueError: a store that is no folder, or is damaged.
    """
    from smore_lit.learning.policies import describe
    from smore_lit.learning.training import digest_agent

    def as_stored(job: Job) -> dict:
        agent = find_agent(job.cell.algorithm)
        return describe(agent, job.config, Sizes(0, 0, 0), ())["config"]

    def as_planned(job: Job) -> dict:
        plan = job.plan
        known = {"updates": plan.updates, "seeds": list(plan.all_seeds)}
        return known | plan.arithmetic

    tables = read_store(store)
    runs = {row["run"]: row for row in tables["runs"]}
    scored = {(r["run"], r["seed"], r["updates"]) for r in tables["scores"]}
    known = {
        (row["study"], row["task"], row["label"]): row
        for row in tables["studies"]
    }
    codes: dict[str, str] = {}
    done = set()
    for job in jobs:
        label = known.get((job.study, job.cell.task, job.cell.label))
        if label is None:
            continue
        row = runs[label["run"]]
        end = {"updates": label["updates"] or row["plan"]["updates"]}
        agent = find_agent(job.cell.algorithm)
        if agent.name not in codes:
            codes[agent.name] = name_run(digest_agent(agent))
        same = (
            row["code"] == codes[agent.name]
            and row["config"] == as_stored(job)
            and row["plan"] | end == as_planned(job)
            and scored.issuperset(
                (row["run"], seed, job.plan.updates)
                for seed in job.plan.all_seeds
            )
        )
        if same:
            done.add(job)
    return done


# book/benchmark/engines.md, section "The local engine"
def watch_parent() -> None:
    """End this process as soon as the one that started it is gone."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def held_back():
    """Hold Ctrl-C back; a process that starts meanwhile never meets it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve_job(job: Job, places: Places, answers) -> None:
    """Train a job in a process of its own; put the answer into a queue.

    Ctrl-C is left to the parent, which ends this process by SIGTERM; it
    exits as usual then, so that nothing complains of what it left behind.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    watch_parent()
    answers.put(try_job(job, places))


# book/benchmark/engines.md, section "The local engine"
def train_locally(
    jobs: Iterable[Job],
    places: Places,
    processes: int,
    tell: Callable[[Job, dict[str, Any]], None],
) -> None:
    """Train jobs in processes of this machine.

    Args:
        jobs: in the order in which they are begun.
        places: of data, runs, results and logs.
        processes: how many at a time.
        tell: called here with each job when it begins, with an empty
            answer, and when it ends, with the answer of `try_job`.
    """
    import multiprocessing

    from smore_lit.running.rollouts import hidden_main

    spawn, waiting = multiprocessing.get_context("spawn"), list(jobs)
    busy: dict[Any, tuple[Job, Any]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                job, answers = waiting.pop(0), spawn.Queue()
                process = spawn.Process(
                    target=serve_job, args=(job, places, answers), daemon=True
                )
                with hidden_main(), held_back():
                    process.start()
                    busy[process] = job, answers
                tell(job, {})
            time.sleep(0.05)
            for process in [p for p in busy if not p.is_alive()]:
                job, answers = busy.pop(process)
                try:
                    tell(job, answers.get(timeout=1.0))
                except queue.Empty:
                    code = process.exitcode
                    reason = f"its process died with exit code {code}"
                    tell(job, {"failed": reason, "log": ""})
    finally:
        for process in busy:
            process.terminate()
        for process in busy:
            process.join()


# book/benchmark/engines.md, section "The Ray engine"
def train_by_ray(
    jobs: Iterable[Job],
    places: Places,
    processes: int,
    tell: Callable[[Job, dict[str, Any]], None],
) -> None:
    """Train jobs on the machines of a Ray cluster; see `train_locally`.

    A job takes one core, and RAY_GPUS of a GPU if that variable is set.
    `processes` is how many jobs are handed to Ray at a time on one machine;
    on a cluster it is the number of its cores.

    Raises:
        ValueError: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ValueError(
            'Ray is not installed: pip install "smore_lit[ray]", or use'
            " --engine local"
        ) from None
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        more = {} if address else {"num_cpus": processes}
        ray.init(address=address, log_to_driver=False, **more)
    share = float(os.environ.get("RAY_GPUS", 0))
    remote = ray.remote(num_cpus=1, num_gpus=share, max_retries=-1)(try_job)
    waiting = list(jobs)
    busy: dict[Any, Job] = {}
    at_once = max(1, int(ray.cluster_resources().get("CPU", processes)))
    while waiting or busy:
        while waiting and len(busy) < at_once:
            job = waiting.pop(0)
            busy[remote.remote(job, places)] = job
            tell(job, {})
        ended, _ = ray.wait(list(busy), num_returns=1)
        for reference in ended:
            job = busy.pop(reference)
            try:
                tell(job, ray.get(reference))
            except ray.exceptions.RayError as error:
                reason = " ".join(str(error).split())[:200]
                tell(job, {"failed": reason, "log": ""})


# book/benchmark/engines.md, section "The Ray engine"
ENGINES: dict[str, Callable] = {"local": train_locally, "ray": train_by_ray}


# book/benchmark/engines.md, section "Progress and report"
@dataclass
class Campaign:
    """Count what is done, running, failed and left while jobs train."""

    jobs: tuple[Job, ...]
    write: Callable[[str], None]
    done: dict[Job, dict] = field(default_factory=dict)
    failed: dict[Job, dict] = field(default_factory=dict)
    running: set[Job] = field(default_factory=set)

    def __post_init__(self):
        speeds = seconds_per_product()
        self.cost = {job: estimate_seconds(job, speeds) for job in self.jobs}
        self.began, self.skipped = time.perf_counter(), 0.0

    def skip(self, job: Job) -> None:
        """Count a job that was done before."""
        self.done[job] = {}
        self.skipped += self.cost[job]

    def tell(self, job: Job, answer: dict) -> None:
        """Take what an engine tells of a job; write one line."""
        if not answer:
            self.running.add(job)
            return
        self.running.discard(job)
        kept = self.failed if "failed" in answer else self.done
        kept[job] = answer
        how = answer.get("failed") or f"{answer['seconds']:.0f} s"
        self.write(f"{job.title}: {how}; {self.state()}")

    def state(self) -> str:
        """Return what is done, running, failed and left, in one line."""
        total, ended = len(self.jobs), len(self.done) + len(self.failed)
        text = f"{ended} of {total} ended, {len(self.running)} running"
        if self.failed:
            text += f", {len(self.failed)} failed"
        left = self.seconds_left()
        return text + (f", about {left / 60:.0f} m left" if left else "")

    def seconds_left(self) -> float | None:
        """Return the seconds left at the pace so far; None at the start."""
        ended = sum(self.cost[job] for job in (*self.done, *self.failed))
        ended -= self.skipped
        rest = sum(self.cost.values()) - ended - self.skipped
        if not ended:
            return None
        return (time.perf_counter() - self.began) * rest / ended


# book/benchmark/engines.md, section "Progress and report"
def run_grid(
    jobs: Iterable[Job],
    runs: Path | str = "runs",
    root: Path | str | None = None,
    store: Path | str | None = None,
    processes: int | None = None,
    write: Callable[[str], None] = print,
    engine: Callable = train_locally,
) -> Campaign:
    """Train all jobs that are not done yet.

    Args:
        jobs: of `expand`.
        runs: folder in which each run has one of its own.
        root: of the data; see `data_root`.
        store: of the results; None: those inside the package.
        processes: how many runs at a time; one for each core if left out.
        write: takes one line of progress.
        engine: `train_locally`, or another with its arguments.

    Returns:
        What was done and what failed; failures have logs in runs/logs.

    Raises:
        ValueError: a folder that is none, a damaged store, or data of
            another recipe.
        OSError: data, runs or the store cannot be written.
    """
    from smore_lit.data.datasets import data_root

    jobs, cores = tuple(jobs), os.cpu_count() or 1
    processes = as_whole("processes", processes or cores, 1)
    runs = as_path(runs).absolute()
    places = Places(
        data_root(root).absolute(),
        runs,
        results_folder() if store is None else as_path(store).absolute(),
        runs / "logs",
    )
    campaign = Campaign(jobs, write)
    done = find_done(jobs, places.store)
    for job in jobs:
        if job in done:
            campaign.skip(job)
    waiting = [job for job in jobs if job not in done]
    for folder in (places.store, places.runs) if waiting else ():
        claim_folder(folder)
    make_missing_data(waiting, places.data, processes, write)
    engine(waiting, places, processes, campaign.tell)
    return campaign


# book/benchmark/engines.md, section "Progress and report"
def make_missing_data(
    jobs: Iterable[Job], root: Path, processes: int, write: Callable
) -> None:
    """Make each dataset that a job needs and that is not there."""
    from smore_lit.data.datasets import make_dataset, manifest_path

    asked = [(j.cell.task, j.size, j.cell.expert_percent) for j in jobs]
    for task, size, percent in dict.fromkeys(asked):
        path = manifest_path(task, size, percent, root)
        if not path.exists():
            write(f"making data: {task}, {path.stem} % expert")
            make_dataset(
                task,
                size,
                percent,
                workers=processes if processes > 1 else 0,
                root=root,
                progress=False,
            )
