"""Make the most of an accelerator for a few minutes.

In this order, each part written as soon as it is known:

1. agreement: SMORe, GoFAR and IQL, three seeds, take the same updates on the
   same batches on the CPU and on the device; the largest difference of any
   weight after 20 of them.
2. checkpoints: one written on the device goes on here, and the other way.
3. speed: updates per second for 1, 10 and 30 seeds, as they stand and
   captured once and replayed, and the share that their matrix products reach
   of the best square product in single precision.
4. training: SMORe, GoFAR and IQL on FetchPick and FetchPush, ten seeds, as
   many updates as the minutes that are left allow, evaluated as they go.

    python benchmarks/accelerator.py [--minutes 9] [--out results]

writes accelerator.json and accelerator_scores.csv. A part that fails is
reported there and does not stop the others. Data are read from --data, or
made there first. `--device cpu --minutes 1 --updates 40 --tasks PointReach
--seeds 2 --size tiny --counts 1 2` tries everything but the graph without
an accelerator.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import traceback
from pathlib import Path

import torch
from training_speed import multiply

from smore_lit.data.datasets import (
    load_dataset,
    make_dataset,
    tiny_dataset,
)
from smore_lit.worlds.tasks import load_task
from smore_lit.learning.agent import (
    cosine,
    differentiate,
    find_agent,
    make_config,
    update,
)
from smore_lit.running.checkpoints import (
    read_checkpoint,
    restore,
    save_checkpoint,
)
from smore_lit.running.evaluation import METRICS, count_slots, evaluate
from smore_lit.running.files import write_atomic, write_rows
from smore_lit.running.rollouts import Rollouts
from smore_lit.learning.training import (
    Plan,
    count_flops,
    sample,
    start_run,
    uniforms_of,
)
from smore_lit.learning.trajectories import as_trajectories

ALGORITHMS = ("smore", "gofar", "iql")
SQUARES = ((4096, 4096, 4096), (8192, 8192, 8192))
SMALL_SQUARES = ((512, 512, 512),)  # a CPU takes seconds for the others


def wait(device: str) -> None:
    """Return when the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def begin(data, algorithm: str, seeds: int, device: str, **options):
    """Start a run without a task of its own."""
    agent = find_agent(algorithm)
    plan = Plan(seeds=seeds, updates=options.pop("updates", 1_000))
    return start_run(
        data, agent, make_config(agent), plan, device=device, **options
    )


def learn(run, uniforms: torch.Tensor) -> None:
    """Take one update on the batch that `uniforms` stand for."""
    rho, q = sample(run.sampler, run.state.networks["scaler"], uniforms)
    update(run.agent, run.config, run.state, rho, q, run.plan.updates)


def agreement(data, device: str, updates: int) -> dict:
    """Return the largest difference of a weight between CPU and device."""
    apart = {}
    for algorithm in ALGORITHMS:
        here = begin(data, algorithm, 3, "cpu")
        there = begin(data, algorithm, 3, device)
        for _ in range(updates):
            uniforms = uniforms_of(here, here.generators)
            learn(here, uniforms)
            learn(there, uniforms.to(device))
        gaps = [
            (vector.cpu() - here.state.vectors[name]).abs().max().item()
            for name, vector in there.state.vectors.items()
        ]
        apart[algorithm] = max(gaps)
    return {"updates": updates, "largest_difference": apart}


def carry(data, device: str) -> dict:
    """Return whether a checkpoint goes on from each side to the other."""
    ways = {}
    for first, second in ((device, "cpu"), ("cpu", device)):
        with tempfile.TemporaryDirectory() as folder:
            begun, path = begin(data, "smore", 2, first), Path(folder) / "c.pt"
            for _ in range(5):
                learn(begun, uniforms_of(begun, begun.generators).to(first))
            save_checkpoint(path, begun.state_dict(), {})
            gone_on = begin(data, "smore", 2, second)
            restore(read_checkpoint(path), gone_on)
            same = all(
                torch.equal(vector.cpu(), begun.state.vectors[name].cpu())
                for name, vector in gone_on.state.vectors.items()
            )
            numbers = uniforms_of(gone_on, gone_on.generators).to(second)
            learn(gone_on, numbers)
            finite = all(
                bool(vector.isfinite().all())
                for vector in gone_on.state.vectors.values()
            )
        ways[f"{first} to {second}"] = same and finite
    return ways


class Captured:
    """Take the updates of a run; on CUDA, record one and replay it."""

    def __init__(self, run, device: str):
        self.run, self.graph = run, None
        state, rate = run.state, run.config.learning_rate
        graphs = device != "cpu"
        groups = [
            {"params": [vector], "lr": torch.tensor(rate, device=device)}
            for vector in state.vectors.values()
        ]
        self.rates = dict(zip(state.vectors, (g["lr"] for g in groups)))
        self.adam = torch.optim.Adam(groups, fused=True, capturable=graphs)
        self.uniforms = uniforms_of(run, run.generators).to(device)
        if not graphs:
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.prepare()
                self.work()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.work()

    def prepare(self) -> None:
        """Draw the numbers and set the rates of the next update."""
        run, state = self.run, self.run.state
        self.uniforms.copy_(uniforms_of(run, run.generators))
        rate = run.config.learning_rate
        falls = run.agent.cosine if run.config.cosine else ()
        falling = rate * cosine(state.updates, run.plan.updates)
        for name, tensor in self.rates.items():
            tensor.fill_(falling if name in falls else rate)
        state.updates += 1

    def work(self) -> None:
        """Do what a graph records: batch, gradients, step, slow copies."""
        run, state = self.run, self.run.state
        scaler = state.networks["scaler"]
        rho, q = sample(run.sampler, scaler, self.uniforms)
        differentiate(run.agent, run.config, state, rho, q)
        self.adam.step()
        for name, slow in state.slow.items():
            slow.lerp_(state.vectors[name], run.config.polyak)

    def __call__(self) -> None:
        self.prepare()
        if self.graph is None:
            self.work()
        else:
            self.graph.replay()


def rate_of(action, device: str, seconds: float) -> float:
    """Return calls per second."""
    for _ in range(3):
        action()
    wait(device)
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or count < 3:
        action()
        count += 1
        if count % 20 == 0:
            wait(device)
    wait(device)
    return count / max(time.perf_counter() - began, spent)


def peak_of(device: str, seconds: float) -> float:
    """Return the best rate of a square product, GFLOP/s, single precision."""
    if device == "cpu":
        return multiply(SMALL_SQUARES, seconds)
    rates = []
    for n, k, m in SQUARES:
        a = torch.randn(n, k, device=device)
        b = torch.randn(k, m, device=device)
        out = torch.empty(n, m, device=device)
        calls = rate_of(lambda: torch.mm(a, b, out=out), device, seconds / 2)  # noqa: B023
        rates.append(calls * 2 * n * k * m / 1e9)
    return max(rates)


def speed(data, device: str, counts, seconds: float) -> list[dict]:
    """Return a row for each method and number of seeds."""
    rows, peak = [], peak_of(device, seconds)
    for algorithm in ALGORITHMS:
        for seeds in counts:
            run = begin(data, algorithm, seeds, device)
            gflop = count_flops(run) / 1e9

            def plain(run=run):
                learn(run, uniforms_of(run, run.generators).to(device))

            ways = {"plain": plain, "captured": Captured(run, device)}
            for way, action in ways.items():
                updates = rate_of(action, device, seconds)
                rows.append(
                    {
                        "algorithm": algorithm,
                        "seeds": seeds,
                        "way": way,
                        "updates_per_second": updates,
                        "gflop_per_update": gflop,
                        "peak_gflops": peak,
                        "of_peak": updates * gflop / peak,
                    }
                )
    return rows


def load(name: str, options):
    """Return a task and its data, made first if they are not there."""
    task, place = load_task(name), dict(root=options.data)
    make_dataset(task, options.size, workers=options.workers, **place)
    return task, as_trajectories(**load_dataset(task, options.size, **place))


def train_cell(task, data, algorithm: str, seconds: float, options):
    """Yield rows of scores of one method on one task, as they come."""
    began, device = time.perf_counter(), options.device
    settings = dict(task=task)
    trial = Captured(
        begin(data, algorithm, options.seeds, device, **settings), device
    )
    rate = rate_of(trial, device, min(5.0, seconds / 10))
    slots = count_slots(options.seeds, 50)
    with Rollouts(task.make, slots, options.workers) as pool:
        judge = dict(rollouts=pool, seed=0)
        looked = time.perf_counter()
        evaluate(task, trial.run.policy, trial.run.seeds, 50, **judge)
        look = time.perf_counter() - looked
        left = seconds - (time.perf_counter() - began)
        updates = int(rate * max(left - options.looks * look, 1.0))
        updates = max(min(updates, options.updates), options.looks)
        run = begin(
            data, algorithm, options.seeds, device, updates=updates, **settings
        )
        step = Captured(run, device)
        for part in range(1, options.looks + 1):
            while run.state.updates < updates * part // options.looks:
                step()
            wait(device)
            scores = evaluate(task, run.policy, run.seeds, 50, **judge)
            for index, seed in enumerate(run.seeds):
                yield {
                    "task": task.name,
                    "algorithm": algorithm,
                    "setting": "default",
                    "seed": seed,
                    "updates": run.state.updates,
                    **{k: float(scores[k][index].mean()) for k in METRICS},
                    "episodes": 50,
                    "seconds": round(time.perf_counter() - began, 1),
                    "device": name_of(device),
                }


def name_of(device: str) -> str:
    """Return what the device calls itself."""
    if device == "cpu":
        return f"{os.cpu_count()} CPU cores"
    return torch.cuda.get_device_name()


def main() -> None:
    """Run all parts within the minutes given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--device", default="cuda")
    add("--minutes", type=float, default=9.0)
    add("--tasks", nargs="+", default=["FetchPick", "FetchPush"])
    add("--size", default="cpu", choices=("tiny", "cpu", "paper"))
    add("--data", default="data", metavar="DIR")
    add("--seeds", type=int, default=10)
    add("--counts", type=int, nargs="+", default=[1, 10, 30], metavar="N")
    add("--updates", type=int, default=1_000_000, help="at most, in a cell")
    add("--looks", type=int, default=4, help="evaluations of a cell")
    add("--workers", type=int, default=max((os.cpu_count() or 1) - 2, 0))
    add("--out", default="results", metavar="DIR")
    options = parser.parse_args()
    end = time.perf_counter() + 60 * options.minutes
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    device, rows, failed = options.device, [], {}
    found = {
        "device": name_of(device),
        "torch": torch.__version__,
        "seeds": options.seeds,
    }
    tiny = as_trajectories(**tiny_dataset("FetchReach"))
    share = 20 * options.minutes / 9 / (2 * len(ALGORITHMS))
    turn = share / len(options.counts)

    def attempt(name, part):
        try:
            found[name] = part()
        except Exception:
            failed[name] = traceback.format_exc()
        say = found | {"failed": failed}
        text = json.dumps(say, indent=1) + "\n"
        write_atomic(out / "accelerator.json", text)
        print(name, json.dumps(found.get(name, "failed")), flush=True)

    attempt("agreement", lambda: agreement(tiny, device, 20))
    attempt("checkpoints", lambda: carry(tiny, device))
    attempt("speed", lambda: speed(tiny, device, options.counts, turn))
    cells = [(t, a) for t in options.tasks for a in ALGORITHMS]
    loaded = {}

    def cell(task, algorithm, left):
        if task not in loaded:
            loaded[task] = load(task, options)
        seconds = (end - time.perf_counter()) / left
        last = []
        for row in train_cell(*loaded[task], algorithm, seconds, options):
            rows.append(row)
            last = [r for r in rows if r["updates"] == row["updates"]]
            write_rows(out / "accelerator_scores.csv", rows)
        return statistics.mean(row["return_099"] for row in last)

    for index, (task, algorithm) in enumerate(cells):
        left = len(cells) - index
        attempt(
            f"{task}:{algorithm}",
            lambda t=task, a=algorithm, n=left: cell(t, a, n),
        )
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; see accelerator.json")


if __name__ == "__main__":
    main()
