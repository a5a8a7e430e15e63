"""Time score-guided planning against plain loops and against JAX.

    pip install jax optax
    python benchmarks/planning_speed.py --out results/planning_speed.csv

Two problems: `cartpole`, 60 steps by a network of 3 x 64 with a score network
of 3 x 64, random weights; `pixels`, 15 actions that are pictures of 32 x 32,
by the networks that travel with the package. Adam on the actions, one core.
`plain` is what one would write first: a loop over time with modules for the
networks and one call of the score at every step. `jax` is one compiled
function with a scan over time. All begin with the same weights and the same
noise, and must find the same gradient; then they take turns of a few seconds.
`--peer-python` names the interpreter that has JAX, if it is another one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

STARTS = {"cartpole": (1, 32), "pixels": (1, 8)}
# rate of Adam, then weight and scale of the score
HOW = {"cartpole": (0.05, 0.1, 0.5), "pixels": (1.0, 0.04, 4.0)}
HIDDEN, WAVES = (64, 64, 64), 3  # of the cart-pole's networks
RACERS = ("ours", "plain", "jax")


def prepare_known(problem: str, count: int):
    """Return what is known, the cost, starts (B, n), actions (B, T, m)."""
    import torch

    from smore_lit.learning.networks import initialise
    from smore_lit.planning import pixels
    from smore_lit.planning.models import ModelConfig, ModelNetwork
    from smore_lit.planning.offline import OfflinePlanner
    from smore_lit.planning.score_matching import ScoreConfig, ScoreNetwork

    dice = [torch.Generator().manual_seed(seed) for seed in range(count)]
    if problem == "pixels":
        known = pixels.Pixels(32).learn(0)
        known.generators = dice
        start = pixels.render(torch.tensor(pixels.START), 32)
        taken = known.points[: count * pixels.HORIZON, len(start) :]
        actions = taken.view(count, pixels.HORIZON, -1)
        return known, pixels.steer_pixels, start.expand(count, -1), actions
    model = ModelNetwork(1, 4, 1, ModelConfig(hidden=HIDDEN))
    score = ScoreNetwork(1, 5, ScoreConfig(hidden=HIDDEN, waves=WAVES))
    for network in (model, score):
        initialise(network, [0])
        network.requires_grad_(False)
    model.reach.fill_(0.1)
    known = OfflinePlanner(model, score, torch.zeros(2, 5))
    starts, actions = (
        torch.stack([torch.randn(*size, generator=g) for g in dice])
        for size in ((4,), (60, 1))
    )
    return known, lambda x, u: x[:, -1].square().sum(-1), starts, actions


def write_known(problem: str, count: int, place: Path) -> None:
    """Write weights, beginnings and one step's noise, time first."""
    import torch

    from smore_lit.planning.pixels import pixel_places

    known, _, starts, actions = prepare_known(problem, count)
    size = actions.shape[1], len(known.score.spread)
    dice = [torch.Generator().manual_seed(seed) for seed in range(count)]
    noise = torch.stack([torch.randn(*size, generator=g) for g in dice], dim=1)
    middle, width = known.score.middle[-1], known.score.spread[-1]
    held = {
        f"{name}-{k}": values[0]
        for name in ("model", "score")
        for k, values in enumerate(getattr(known, name).parameters())
    }
    np.savez(
        place,
        starts=starts,
        actions=(actions / width).transpose(0, 1),
        noise=noise,
        middle=middle,
        width=width,
        places=pixel_places(32),
        **held,
    )


def find_cost(states, actions, places):
    """Return the cost of the pictures (T, B, n) of B plans, summed."""

    def decode(pictures):
        ink = (pictures - 0.1).clip(0)
        return ink @ places / ink.sum(-1)[..., None].clip(1e-6)

    seen, moves = decode(states), decode(actions)
    x, y = seen[-1, :, 0] + 0.8, seen[-1, :, 1] + 0.2
    path, turns = seen[1:] - seen[:-1], moves[1:] - moves[:-1]
    missed = (x**2 + y**2).sum()
    return 100 * missed + 3 * (path**2).sum() + 0.3 * (turns**2).sum()


def prepare_ours(problem: str, count: int, _: dict):
    """Return what takes steps of the package's planner, and a gradient."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from smore_lit.planning.offline import scaled
    from smore_lit.planning.planners import Descent, shoot_plans

    known, cost, starts, actions = prepare_known(problem, count)
    widths = known.score.spread[-actions.shape[-1] :]
    parts = scaled(known, cost, widths)
    rate, beta, scale = HOW[problem]

    def take(steps):
        how = Descent(steps, rate, beta, scale, scale)
        shoot_plans(*parts, starts, actions / widths, how)

    found = []
    hook = register_optimizer_step_pre_hook(
        lambda adam, *_: found.append(adam.param_groups[0]["params"][0].grad)
    )
    take(1)
    hook.remove()
    return take, found[0].transpose(0, 1)


def prepare_plain(problem: str, count: int, held: dict):
    """Return what takes steps of a plan of loops, and a gradient."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    rate, beta, scale = HOW[problem]
    shrink = (1 + scale**2) ** -0.5
    level = torch.tensor(scale).log() / 2
    held = {name: torch.tensor(values) for name, values in held.items()}
    middle, width = float(held["middle"]), float(held["width"])
    start = held["starts"]

    def load(module, name):
        for k, values in enumerate(module.requires_grad_(False).parameters()):
            values.copy_(held[f"{name}-{k}"].T.reshape(values.shape))
        return module

    def stack(*sizes):
        layers = []
        for pair in zip(sizes, sizes[1:]):
            layers += [nn.Linear(*pair), nn.SiLU()]
        return nn.Sequential(*layers[:-1])

    def convolve(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, padding=1)

    class Residual(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first = convolve(width, width)
            self.second = convolve(width, width)
            self.turn = nn.Linear(48, 2 * width)

        def forward(self, x, code):
            turn, shift = self.turn(code)[:, :, None, None].chunk(2, dim=1)
            h = F.silu(self.first(F.silu(x))) * (1 + turn) + shift
            return x + 0.5 * self.second(h)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.begin = convolve(39, 16)
            self.middle = convolve(64, 24)
            self.bottom = convolve(96, 32)
            self.encode = stack(133, 48, 48)
            self.low, self.mid, self.top = map(Residual, (32, 24, 16))
            self.merge_mid = convolve(56, 24)
            self.merge_top = convolve(40, 16)
            self.end = convolve(16, 32)

        def forward(self, pictures, signals):
            line = torch.linspace(-1, 1, 8)
            place = torch.stack(torch.meshgrid(line, line, indexing="ij"))
            place = place.expand(len(pictures), 2, 8, 8)
            known = signals[:, :, None, None].expand(-1, -1, 8, 8)
            x = F.pixel_unshuffle(pictures, 4)
            fine = self.begin(torch.cat((x, place, known), dim=1))
            coarse = self.middle(F.pixel_unshuffle(F.silu(fine), 2))
            h = self.bottom(F.pixel_unshuffle(F.silu(coarse), 2))
            flat = torch.cat((F.silu(h).flatten(1), signals), dim=1)
            code = F.silu(self.encode(flat))
            h = F.interpolate(self.low(h, code), scale_factor=2.0)
            h = self.merge_mid(torch.cat((h, coarse), dim=1))
            h = F.interpolate(self.mid(h, code), scale_factor=2.0)
            h = self.merge_top(torch.cat((h, fine), dim=1))
            h = self.end(F.silu(self.top(h, code)))
            return F.pixel_shuffle(h, 4)

    if problem == "cartpole":
        model = load(stack(5, *HIDDEN, 4), "model")
        guess = load(stack(5 * (1 + 2 * WAVES) + 1, *HIDDEN, 5), "score")
        waves = 2.0 ** torch.arange(WAVES)

        def move(x, u):
            return x + 0.1 * model(torch.cat((x, u), dim=1))

        def find_slope(z, noise):
            angles = (z * shrink).unsqueeze(-1) * waves
            known = torch.cat((angles.sin(), angles.cos()), dim=-1).flatten(1)
            last = level.expand(count, 1)
            found = guess(torch.cat((z * shrink, known, last), dim=1))
            return scale * shrink * (scale * shrink * z + found)

        def cost(states, actions):
            return states[-1].square().sum()

    else:
        model = load(stack(1024, 64, 64, 49), "model")
        unet = load(UNet(), "score")
        angles = torch.stack((level, 2 * level))
        signals = torch.cat((level[None], angles.sin(), angles.cos()))
        cost = partial(find_cost, places=held["places"])

        def move(x, u):
            kernels = model((u - middle) / width).softmax(dim=1)
            kernels, x = kernels.view(-1, 1, 7, 7), x.view(1, -1, 32, 32)
            return F.conv2d(x, kernels, padding=3, groups=count).flatten(2)[0]

        def find_slope(z, noise):
            noise = torch.randn_like(z) if noise is None else noise
            z = (z - middle) / width + scale * noise
            pictures = (z * shrink).view(-1, 2, 32, 32)
            clean = unet(pictures, signals.expand(count, -1)).flatten(1)
            return (z - clean - scale * noise) / width

    def take(steps, noise=None):
        actions = held["actions"].clone().requires_grad_()
        adam = torch.optim.Adam([actions], rate)
        for _ in range(steps):
            states, pull = [start], 0.0
            for step, action in enumerate(actions):
                u = action * width
                z = torch.cat((states[-1], u), dim=1)
                with torch.no_grad():
                    drawn = None if noise is None else noise[step]
                    slope = find_slope(z, drawn)
                pull = pull + (slope * z).sum()
                states.append(move(states[-1], u))
            total = cost(torch.stack(states), actions * width) + beta * pull
            adam.zero_grad()
            total.backward()
            adam.step()
        return actions.grad

    return take, take(1, held["noise"])


def prepare_jax(problem: str, count: int, held: dict):
    """Return what takes steps of the same plan in JAX, and a gradient."""
    import jax
    import jax.numpy as jnp
    import optax
    from jax.nn import silu

    rate, beta, scale = HOW[problem]
    shrink = (1 + scale**2) ** -0.5
    level = np.log(scale, dtype=np.float32) / 2
    start, middle, width = held["starts"], held["middle"], held["width"]

    def layers(name):
        values = [v for key, v in held.items() if key.startswith(name)]
        return list(zip(values[::2], values[1::2]))

    model, guess = layers("model"), layers("score")

    def dense(layer, x):
        return x @ layer[0] + layer[1]

    def stack(layers, x):
        for layer in layers[:-1]:
            x = silu(dense(layer, x))
        return dense(layers[-1], x)

    def convolve(layer, x):
        kernel = layer[0].reshape(x.shape[-1], 3, 3, -1).transpose(1, 2, 0, 3)
        orders = "NHWC", "HWIO", "NHWC"
        moved = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=orders
        )
        return moved + layer[1]

    def fold(x, by):
        b, h, w, c = x.shape
        x = x.reshape(b, h // by, by, w // by, by, c)
        x = x.transpose(0, 1, 3, 5, 2, 4)
        return x.reshape(b, h // by, w // by, -1)

    def unfold(x, by):
        b, h, w, c = x.shape
        x = x.reshape(b, h, w, -1, by, by).transpose(0, 1, 4, 2, 5, 3)
        return x.reshape(b, h * by, w * by, -1)

    def double(x):
        return x.repeat(2, axis=1).repeat(2, axis=2)

    def residual(first, second, turn, x, code):
        turn, shift = jnp.split(dense(turn, code)[:, None, None], 2, axis=-1)
        h = silu(convolve(first, silu(x))) * (1 + turn) + shift
        return x + 0.5 * convolve(second, h)

    def unet(pictures, signals):
        begin, half, bottom, *rest, merge_half, merge, end = guess
        line = np.linspace(-1, 1, 8, dtype=np.float32)
        place = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
        known = np.concatenate((place, np.tile(signals, (8, 8, 1))), axis=-1)
        x = fold(pictures, 4)
        known = jnp.broadcast_to(known, (*x.shape[:-1], 7))
        fine = convolve(begin, jnp.concatenate((x, known), axis=-1))
        coarse = convolve(half, fold(silu(fine), 2))
        h = convolve(bottom, fold(silu(coarse), 2))
        flat = silu(h).transpose(0, 3, 1, 2).reshape(len(h), -1)
        signals = jnp.broadcast_to(signals, (len(h), 5))
        code = jnp.concatenate((flat, signals), axis=-1)
        code = silu(stack(rest[:2], code))
        h = double(residual(*rest[2:5], h, code))
        h = convolve(merge_half, jnp.concatenate((h, coarse), axis=-1))
        h = double(residual(*rest[5:8], h, code))
        h = convolve(merge, jnp.concatenate((h, fine), axis=-1))
        h = residual(*rest[8:], h, code)
        return unfold(convolve(end, silu(h)), 4)

    if problem == "cartpole":
        waves = 2.0 ** np.arange(WAVES, dtype=np.float32)

        def move(x, u):
            return x + 0.1 * stack(model, jnp.concatenate((x, u), axis=-1))

        def find_slope(z, noise):
            angles = (z * shrink)[..., None] * waves
            known = jnp.concatenate((jnp.sin(angles), jnp.cos(angles)), -1)
            known = known.reshape(*z.shape[:-1], -1)
            last = jnp.full_like(z[..., :1], level)
            last = jnp.concatenate((z * shrink, known, last), axis=-1)
            found = stack(guess, last)
            return scale * shrink * (scale * shrink * z + found)

        def cost(states, actions):
            return (states[-1] ** 2).sum()

    else:
        angles = np.stack((level, 2 * level))
        signals = np.concatenate(([level], np.sin(angles), np.cos(angles)))
        cost = partial(find_cost, places=held["places"])

        def move(x, u):
            def one(pair):
                picture, kernel = pair
                return jax.lax.conv_general_dilated(
                    picture.reshape(1, 1, 32, 32),
                    kernel.reshape(1, 1, 7, 7),
                    (1, 1),
                    "SAME",
                ).ravel()

            kernels = jax.nn.softmax(stack(model, (u - middle) / width))
            return jax.lax.map(one, (x, kernels))

        def find_slope(z, noise):
            z = (z - middle) / width + scale * noise
            pictures = (z * shrink).reshape(-1, 2, 32, 32)
            clean = unet(pictures.transpose(0, 2, 3, 1), signals)
            clean = clean.transpose(0, 3, 1, 2).reshape(z.shape)
            return (z - clean - scale * noise) / width

    def total(actions, noise):
        def step(state, u):
            return move(state, u), state

        actions = actions * width
        last, states = jax.lax.scan(step, start, actions)
        z = jnp.concatenate((states, actions), axis=-1)
        slope = jax.lax.stop_gradient(find_slope(z, noise))
        states = jnp.concatenate((states, last[None]))
        return cost(states, actions) + beta * (slope * z).sum()

    adam = optax.adam(rate)

    @jax.jit
    def improve(actions, memory, key):
        key, now = jax.random.split(key)
        noise = jax.random.normal(now, held["noise"].shape)
        slope = jax.grad(total)(actions, noise)
        change, memory = adam.update(slope, memory)
        return optax.apply_updates(actions, change), memory, key

    def take(steps):
        actions = jnp.asarray(held["actions"])
        memory, key = adam.init(actions), jax.random.key(0)
        for _ in range(steps):
            actions, memory, key = improve(actions, memory, key)
        actions.block_until_ready()

    return take, jax.jit(jax.grad(total))(held["actions"], held["noise"])


def serve(problem: str, racer: str, count: str, folder: str) -> None:
    """Write a gradient; take steps for the seconds of each line of input."""
    if hasattr(os, "sched_setaffinity"):  # XLA has threads of its own
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    prepare = dict(zip(RACERS, (prepare_ours, prepare_plain, prepare_jax)))
    held = dict(np.load(f"{folder}/{problem}-{count}.npz"))
    take, slope = prepare[racer](problem, int(count), held)
    np.save(f"{folder}/{racer}.npy", slope)
    take(3)
    print("ready", flush=True)
    for line in sys.stdin:
        steps, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < float(line):
            take(10)
            steps += 10
        print(steps / spent, flush=True)


def start_racers(problem: str, python: str, folder: str):
    """Start them all, by starts and name; SystemExit unless they agree."""
    racers = {}
    threads = {
        "OMP_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    for count in STARTS[problem]:
        write_known(problem, count, Path(folder) / f"{problem}-{count}.npz")
        slopes = []
        for racer in RACERS:
            name = problem, racer, str(count)
            runner = python if racer == "jax" else sys.executable
            found = racers[count, racer] = subprocess.Popen(
                [runner, __file__, "--serve", *name, folder],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **threads},
            )
            if found.stdout.readline() != "ready\n":
                raise SystemExit(f"{name} did not start: see above")
            slopes.append(np.load(f"{folder}/{racer}.npy"))
            error = np.linalg.norm(slopes[-1] - slopes[0])
            error /= np.linalg.norm(slopes[0])
            print(*name, f"gradient differs by {error:.1e}", flush=True)
            if not error < 1e-4:
                raise SystemExit(f"{name} does not find the gradient of ours")
    return racers


def main() -> None:
    """Print one line for each racer, problem and number of starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--problem", choices=tuple(STARTS), help="only this one")
    add("--peer-python", default=sys.executable, metavar="PYTHON")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=3.0)
    add("--out", metavar="CSV", help="where to write the rows")
    add("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    from smore_lit.running.files import write_rows

    rows = []
    for problem in [options.problem] if options.problem else STARTS:
        with tempfile.TemporaryDirectory() as folder:
            racers = start_racers(problem, options.peer_python, folder)
        turns = {name: [] for name in racers}
        for _ in range(options.rounds):
            for name, racer in racers.items():
                print(options.seconds, file=racer.stdin, flush=True)
                turns[name].append(float(racer.stdout.readline()))
        for (count, racer), process in racers.items():
            process.kill()
            rates = turns[count, racer]
            ratios = [a / b for a, b in zip(turns[count, "ours"], rates)]
            rows.append(
                {
                    "problem": problem,
                    "planner": racer,
                    "starts": count,
                    "steps_per_second": statistics.median(rates),
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
