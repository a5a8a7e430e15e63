"""Time score-guided planning against plain loops and against JAX.

    pip install jax optax
    python benchmarks/planning_speed.py --out results/planning_speed.csv

All plan the same: 60 steps of a cart-pole by a network of 3 x 64 with a score
network of 3 x 64, Adam on the actions, random weights, one thread. They take
turns of a few seconds. `plain` is what one would write first: a loop over
time with a module for the model and one call of the score at every step.
`jax` is one compiled function with a scan over time. `--peer-python` names
the interpreter that has JAX, if it is another one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

HORIZON, WIDTH, WAVES = 60, 64, 3
RACERS = ("ours", "plain", "jax")


def prepare_ours(starts: int):
    """Return a function that takes steps of the package's planner."""
    import torch

    from smore_lit.planning.models import ModelConfig, ModelNetwork
    from smore_lit.planning.offline import OfflinePlanner, scaled
    from smore_lit.planning.planners import Descent, shoot_plans
    from smore_lit.planning.score_matching import ScoreConfig, ScoreNetwork
    from smore_lit.learning.networks import initialise

    torch.set_num_threads(1)
    widths = (WIDTH,) * 3
    model = ModelNetwork(1, 4, 1, ModelConfig(hidden=widths))
    score = ScoreNetwork(1, 5, ScoreConfig(hidden=widths, waves=WAVES))
    for network in (model, score):
        initialise(network, [0])
        network.requires_grad_(False)
    model.reach.fill_(0.1)
    known = OfflinePlanner(model, score, torch.zeros(2, 5))
    parts = scaled(
        known, lambda x, u: x[:, -1].square().sum(-1), torch.ones(1)
    )
    given = torch.zeros(starts, 4), torch.zeros(starts, HORIZON, 1)

    def take(steps):
        shoot_plans(*parts, *given, Descent(steps, 0.05, 0.1, 1.0, 0.4))

    return take


def prepare_plain(starts: int):
    """Return a function that takes steps of a plan written with loops."""
    import torch
    from torch import nn

    torch.set_num_threads(1)

    def stack(inputs, outputs):
        sizes = [inputs, WIDTH, WIDTH, WIDTH]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.SiLU()]
        return nn.Sequential(*layers, nn.Linear(WIDTH, outputs))

    model, noise = stack(5, 4), stack(5 * (1 + 2 * WAVES) + 1, 5)
    waves = 2.0 ** torch.arange(WAVES)

    def score(z, scale):
        shrink = (1 + scale**2) ** -0.5
        angles = (z * shrink).unsqueeze(-1) * waves
        parts = z * shrink, angles.sin().flatten(1), angles.cos().flatten(1)
        level = torch.full_like(z[:, :1], scale).log() / 2
        guess = noise(torch.cat((*parts, level), dim=1))
        return -(scale * shrink * z * shrink + shrink * guess) / scale

    def take(steps):
        actions = torch.zeros(HORIZON, starts, 1, requires_grad=True)
        adam = torch.optim.Adam([actions], 0.05)
        for _ in range(steps):
            state, total = torch.zeros(starts, 4), 0.0
            for action in actions:
                z = torch.cat((state, action), dim=1)
                with torch.no_grad():
                    slope = -0.25 * score(z, 0.5)
                total = total + 0.1 * (slope * z).sum()
                state = state + 0.1 * model(z)
            total = total + state.square().sum()
            adam.zero_grad()
            total.backward()
            adam.step()

    return take


def prepare_jax(starts: int):
    """Return a function that takes steps of the same plan in JAX."""
    import os

    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    rng = np.random.default_rng(0)

    def stack(inputs, outputs):
        sizes = [inputs, WIDTH, WIDTH, WIDTH, outputs]
        return [
            (
                rng.normal(size=(a, b), scale=a**-0.5).astype(np.float32),
                np.zeros(b, np.float32),
            )
            for a, b in zip(sizes, sizes[1:])
        ]

    def apply(layers, x):
        for weight, bias in layers[:-1]:
            x = jax.nn.silu(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    model, noise = stack(5, 4), stack(5 * (1 + 2 * WAVES) + 1, 5)
    waves = 2.0 ** np.arange(WAVES, dtype=np.float32)

    def score(z, scale):
        shrink = (1 + scale**2) ** -0.5
        angles = (z * shrink)[..., None] * waves
        flat = (*z.shape[:-1], 5 * WAVES)
        level = jnp.full_like(z[..., :1], jnp.log(scale) / 2)
        waved = jnp.sin(angles).reshape(flat), jnp.cos(angles).reshape(flat)
        guess = apply(noise, jnp.concatenate((z * shrink, *waved, level), -1))
        return -(scale * shrink * z * shrink + shrink * guess) / scale

    def total(actions):
        def step(state, action):
            z = jnp.concatenate((state, action), -1)
            return state + 0.1 * apply(model, z), z

        last, points = jax.lax.scan(step, jnp.zeros((starts, 4)), actions)
        slope = jax.lax.stop_gradient(-0.25 * score(points, 0.5))
        return (last**2).sum() + 0.1 * (slope * points).sum()

    adam = optax.adam(0.05)

    @jax.jit
    def improve(actions, memory):
        change, memory = adam.update(jax.grad(total)(actions), memory)
        return optax.apply_updates(actions, change), memory

    def take(steps):
        actions = jnp.zeros((HORIZON, starts, 1))
        memory = adam.init(actions)
        for _ in range(steps):
            actions, memory = improve(actions, memory)
        actions.block_until_ready()

    return take


def serve(name: str) -> None:
    """Take steps for as many seconds as each line of input says."""
    racer, starts = name.split("-")
    prepare = dict(zip(RACERS, (prepare_ours, prepare_plain, prepare_jax)))
    take = prepare[racer](int(starts))
    take(3)
    print("ready", flush=True)
    for line in sys.stdin:
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < float(line):
            take(10)
            count += 10
        print(count / spent, flush=True)


def main() -> None:
    """Print one line for each racer and number of starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--peer-python", default=sys.executable, metavar="PYTHON")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=3.0)
    add("--out", metavar="CSV", help="where to write the rows")
    add("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    from smore_lit.running.files import write_rows

    names = [f"{racer}-{starts}" for starts in (1, 32) for racer in RACERS]
    racers, turns = {}, {name: [] for name in names}
    for name in names:
        python = options.peer_python if "jax" in name else sys.executable
        racers[name] = subprocess.Popen(
            [python, __file__, "--serve", name],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if racers[name].stdout.readline() != "ready\n":
            raise SystemExit(f"{name} did not start: see above")
    for _ in range(options.rounds):
        for name, racer in racers.items():
            print(options.seconds, file=racer.stdin, flush=True)
            turns[name].append(float(racer.stdout.readline()))
    rows = []
    for name in names:
        racers[name].kill()
        racer, starts = name.split("-")
        ours = turns[f"ours-{starts}"]
        ratios = [a / b for a, b in zip(ours, turns[name])]
        rows.append(
            {
                "planner": racer,
                "starts": int(starts),
                "steps_per_second": statistics.median(turns[name]),
                "ours_to_it": statistics.median(ratios),
                "low": min(ratios),
                "high": max(ratios),
                "rounds": options.rounds,
            }
        )
        print(json.dumps(rows[-1]))
    if options.out:
        write_rows(options.out, rows)


if __name__ == "__main__":
    main()
