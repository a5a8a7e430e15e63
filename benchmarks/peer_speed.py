"""Race IQL against a JAX agent of the same sizes, quiet and loaded.

Both train goal-conditioned IQL with weighted cloning: one seed, batch 512,
hidden layers 2 x 256, Adam, twin critics, a slow copy of the critics; both
draw their batches from the same 200 episodes of FetchReach. The two take
turns, a few seconds each, first on the machine as it is, then beside
`--burners` busy processes; what counts is the ratio of neighbouring turns.
A third racer shows the limit: it takes only the matrix products, as many
512 x 256 by 256 x 256 as an update's arithmetic comes to. A name that ends
in -2 has two threads.

    pip install jax optax
    python benchmarks/peer_speed.py --out results/peer_speed.csv

With `--ogbench DIR` the peer is OGBench's own GCIQL agent and sampler, read
from DIR, the folder `impls` of its sources (needs flax, distrax and
ml_collections too); else it is the update written below. `--peer-python`
names the interpreter that has JAX, if it is another one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

BATCH, WIDTHS, GAMMA, TAU, RATE = 512, (256, 256), 0.99, 0.8, 1e-3
SHARPNESS, SLOW = 1.5, 0.02
MODES = "plain", "compiled", "products"
VARIANTS = (*MODES, *(f"{mode}-2" for mode in MODES))
BURNER = "while True: pass"


def prepare_ours(name: str, episodes: dict):
    """Return a function that takes one update of our IQL, or its products."""
    import torch

    from smore_lit.learning.agent import find_agent, make_config
    from smore_lit.learning.training import Plan, count_flops, start_run
    from smore_lit.learning.trajectories import as_trajectories

    mode, _, threads = name.partition("-")
    agent = find_agent("iql")
    config = make_config(agent, batch_size=BATCH, hidden=list(WIDTHS))
    plan = Plan(seeds=1, compile=mode == "compiled", threads=int(threads or 1))
    torch.set_num_threads(plan.threads)
    run = start_run(as_trajectories(**episodes), agent, config, plan)
    if mode != "products":
        return run.step
    a, b = torch.randn(BATCH, WIDTHS[0]), torch.randn(WIDTHS)
    out = torch.empty(BATCH, WIDTHS[1])
    count = round(count_flops(run) / (2 * a.numel() * WIDTHS[1]))

    def multiply():
        for _ in range(count):
            torch.mm(a, b, out=out)

    return multiply


def prepare_ogbench(sources: str, episodes: dict):
    """Return a function that takes one update of OGBench's GCIQL."""
    sys.path.insert(0, sources)
    import jax
    from agents.gciql import GCIQLAgent, get_config
    from utils.datasets import Dataset, GCDataset

    config = get_config()
    config.batch_size, config.discount, config.lr = BATCH, GAMMA, RATE
    config.actor_hidden_dims = config.value_hidden_dims = WIDTHS
    config.actor_loss, config.alpha, config.tau = "awr", SHARPNESS, SLOW
    config.expectile, config.layer_norm = TAU, False
    observations = episodes["observations"]
    count, length = observations.shape[:2]
    actions = np.pad(episodes["actions"], ((0, 0), (0, 1), (0, 0)))
    last = np.tile(np.arange(length) == length - 1, count)
    data = Dataset.create(
        observations=observations.reshape(count * length, -1),
        actions=actions.reshape(count * length, -1),
        terminals=last.astype(np.float32),
        valids=1.0 - last,
    )
    sampler = GCDataset(data, config)
    example = sampler.sample(1)
    agent = GCIQLAgent.create(
        0, example["observations"], example["actions"], config
    )

    def update():
        nonlocal agent
        agent, info = agent.update(sampler.sample(BATCH))
        jax.block_until_ready(info)

    return update


def prepare_own(episodes: dict):
    """Return a function that takes one update of IQL, written in JAX."""
    import jax
    import jax.numpy as jnp
    import optax

    states = episodes["observations"].astype(np.float32)
    actions = episodes["actions"].astype(np.float32)
    places = episodes["achieved_goals"].astype(np.float32)
    count, horizon = actions.shape[:2]
    rng = np.random.default_rng(0)

    def network(inputs, outputs):
        sizes = [inputs, *WIDTHS, outputs]
        return [
            (
                rng.normal(size=(i, o), scale=i**-0.5).astype(np.float32),
                np.zeros(o, np.float32),
            )
            for i, o in zip(sizes, sizes[1:])
        ]

    def forward(layers, *parts):
        x = jnp.concatenate(parts, -1)
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    def lowest(critics, *parts):
        return jnp.minimum(*(forward(c, *parts)[:, 0] for c in critics))

    def loss(learnt, slow, batch):
        s, a, after, g, reward = batch
        value = forward(learnt["value"], s, g)[:, 0]
        advantage = lowest(slow, s, a, g) - value
        lean = jnp.where(advantage >= 0, TAU, 1 - TAU)
        following = forward(learnt["value"], after, g)[:, 0]
        target = jax.lax.stop_gradient(reward + GAMMA * following)
        weight = jax.lax.stop_gradient(
            jnp.minimum(jnp.exp(SHARPNESS * advantage), 100.0)
        )
        mean = jnp.tanh(forward(learnt["policy"], s, g))
        miss = ((mean - a) ** 2).sum(-1) / 2
        errors = [forward(c, s, a, g)[:, 0] - target for c in learnt["score"]]
        backup = sum((error**2).mean() for error in errors)
        return (lean * advantage**2).mean() + backup + (weight * miss).mean()

    state, goal, action = (x.shape[-1] for x in (states, places, actions))
    critics = [network(state + action + goal, 1) for _ in range(2)]
    learnt = {
        "score": critics,
        "value": network(state + goal, 1),
        "policy": network(state + goal, action),
    }
    adam = optax.adam(RATE)

    @jax.jit
    def step(learnt, slow, memory, batch):
        value, slope = jax.value_and_grad(loss)(learnt, slow, batch)
        change, memory = adam.update(slope, memory)
        learnt = optax.apply_updates(learnt, change)
        slow = jax.tree.map(
            lambda old, new: (1 - SLOW) * old + SLOW * new,
            slow,
            learnt["score"],
        )
        return learnt, slow, memory, value

    slow, memory = critics, adam.init(learnt)

    def update():
        nonlocal learnt, slow, memory
        rows = rng.integers(count, size=BATCH)
        t = rng.integers(horizon, size=BATCH)
        later = t + 1 + (rng.random(BATCH) * (horizon - t)).astype(int)
        goals, next_places = places[rows, later], places[rows, t + 1]
        reached = np.linalg.norm(next_places - goals, axis=-1) <= 0.05
        batch = (
            states[rows, t],
            actions[rows, t],
            states[rows, t + 1],
            goals,
            reached.astype(np.float32) - 1,
        )
        learnt, slow, memory, value = step(learnt, slow, memory, batch)
        value.block_until_ready()

    return update


def serve(name: str, options) -> None:
    """Take updates for as many seconds as each line of input says."""
    with np.load(options.episodes) as file:
        episodes = dict(file)
    if name in VARIANTS:
        update = prepare_ours(name, episodes)
    elif options.ogbench:
        update = prepare_ogbench(options.ogbench, episodes)
    else:
        update = prepare_own(episodes)
    for _ in range(10):
        update()
    print("ready", flush=True)
    for line in sys.stdin:
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < float(line):
            update()
            count += 1
        print(count / spent, flush=True)


class Racer:
    """Hold a process that takes updates when it is told to."""

    def __init__(self, name: str, options, python: str):
        command = [python, __file__, "--serve", name]
        command += ["--episodes", options.episodes]
        if options.ogbench:
            command += ["--ogbench", options.ogbench]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process = subprocess.Popen(command, text=True, **pipes)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} did not start: see above")

    def turn(self, seconds: float) -> float:
        """Return the updates per second of one turn."""
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def race(options, names) -> list[dict]:
    """Return one row for each variant of ours, quiet and loaded."""
    racers = {n: Racer(n, options, sys.executable) for n in names}
    racers["peer"] = Racer("peer", options, options.peer_python)
    flags, rows = Path("/proc/cpuinfo").read_text().split(), []
    for load in (0, options.burners):
        burners = [
            subprocess.Popen([sys.executable, "-c", BURNER])
            for _ in range(load)
        ]
        turns = {name: [] for name in racers}
        try:
            for _ in range(options.rounds):
                for name, racer in racers.items():
                    turns[name].append(racer.turn(options.seconds))
        finally:
            for burner in burners:
                burner.kill()
        for name in names:
            ratios = [a / b for a, b in zip(turns[name], turns["peer"])]
            rows.append(
                {
                    "ours": name,
                    "busy_processes_beside": load,
                    "updates_per_second": statistics.median(turns[name]),
                    "peer_updates_per_second": statistics.median(
                        turns["peer"]
                    ),
                    "ratio": statistics.median(ratios),
                    "ratio_low": min(ratios),
                    "ratio_high": max(ratios),
                    "peer": "OGBench GCIQL" if options.ogbench else "own JAX",
                    "rounds": options.rounds,
                    "cores": os.cpu_count(),
                    "amx": "amx_tile" in flags,
                }
            )
    for racer in racers.values():
        racer.process.kill()
    return rows


def main() -> None:
    """Print one line for each variant and load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--ours", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    add("--ogbench", metavar="DIR", help="folder impls of OGBench's sources")
    add("--peer-python", default=sys.executable, metavar="PYTHON")
    add("--burners", type=int, default=2)
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=4.0)
    add("--out", metavar="CSV", help="where to write the rows")
    add("--serve", help=argparse.SUPPRESS)
    add("--episodes", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options)
        return
    import tempfile

    from smore_lit.running.files import write_rows
    from smore_lit.data.datasets import tiny_dataset

    with tempfile.TemporaryDirectory() as folder:
        options.episodes = f"{folder}/episodes.npz"
        np.savez(options.episodes, **tiny_dataset("FetchReach"))
        rows = race(options, options.ours)
    for row in rows:
        print(json.dumps(row))
    if options.out:
        write_rows(options.out, rows)


if __name__ == "__main__":
    main()
