# Generated from book/running/rollouts.md by make sync. Edit the chapter, not this file.
"""Rollouts: step many worlds at once.

A pool of simulators in worker processes whose results do not depend on the
number of processes.
"""

__all__ = [
    "KEYS",
    "check_state",
    "Local",
    "serve",
    "hidden_main",
    "Worker",
    "obituary",
    "Pool",
    "check_workers",
    "Rollouts",
    "check_seeds",
    "check_actions",
    "play",
]


# book/running/rollouts.md, section "Rollouts: step many worlds at once"
import contextlib
import multiprocessing
import pickle
import signal
import sys
import types
from collections.abc import Callable, Sequence

import numpy as np

from smore_lit.running.files import as_whole


# book/running/rollouts.md, section "Several worlds in one process"
KEYS = ("observation", "achieved_goal", "desired_goal")


def check_state(state, goal=None) -> None:
    """Raise ValueError unless `state` belongs to an episode with one goal.

    Args:
        state: what an environment returned.
        goal: the desired goal that the episode began with, if it has begun.
    """
    if not isinstance(state, dict) or not set(KEYS) <= set(state):
        raise ValueError(
            "this is no goal environment: its states must be dictionaries"
            f" of {', '.join(KEYS)}"
        )
    if goal is not None and not np.array_equal(state["desired_goal"], goal):
        raise ValueError(
            "the environment changed the desired goal within an episode:"
            " let it keep one goal until it is reset"
        )


# book/running/rollouts.md, section "Several worlds in one process"
class Local:
    """Hold environments in this process and move them together.

    Args:
        make: returns a new goal environment.
        count: how many to open.
    """

    def __init__(self, make: Callable, count: int):
        self.environments = [make() for _ in range(count)]
        self.states: list[dict] = []
        self.ended: list[bool] = []

    def reset(self, seeds):
        """Begin one episode per seed in the first slots; return states."""
        pairs = zip(self.environments, seeds)
        self.states = [env.reset(seed=int(seed))[0] for env, seed in pairs]
        for state in self.states:
            check_state(state)
        self.goals = [np.array(s["desired_goal"]) for s in self.states]
        self.ended = [False] * len(self.states)
        return self._stack()

    def step(self, actions):
        """Apply one action (A,) per slot that has not ended; see `reset`."""
        for slot, action in enumerate(actions):
            if self.ended[slot]:
                continue
            answer = self.environments[slot].step(action)
            self.states[slot], _, terminated, truncated, _ = answer
            check_state(self.states[slot], self.goals[slot])
            self.ended[slot] = bool(terminated or truncated)
        return self._stack()

    def perform(self, pairs, policy, horizon):
        """Play one episode per (seed, generator); return whole episodes."""
        acts = [policy(rng) for _, rng in pairs]
        return play(self, acts, [seed for seed, _ in pairs], horizon)

    def close(self):
        """Close every environment."""
        for env in self.environments:
            env.close()

    def _stack(self):
        rows = {key: np.stack([s[key] for s in self.states]) for key in KEYS}
        if rows["observation"].dtype != np.uint8:  # no pictures
            rows["observation"] = rows["observation"].astype(np.float32)
        return rows | {"ended": np.array(self.ended)}


# book/running/rollouts.md, section "Worker processes"
def serve(pipe, make: Callable, count: int) -> None:
    """Answer reset and step commands from `pipe` until it closes.

    Args:
        pipe: connection that carries (command, rows, options) and back
            ("ok", states), or (type of error, one line).
        make: returns a new goal environment.
        count: how many environments this worker holds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        local = Local(make, count)
        pipe.send(("ok", None))
        while True:
            command, rows, everyone = pipe.recv()
            answer = getattr(local, command)(rows, **(everyone or {}))
            pipe.send(("ok", answer))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        line = " ".join(str(error).split())
        pipe.send((kind, f"{type(error).__name__}: {line}"))


# book/running/rollouts.md, section "No need to guard a script"
@contextlib.contextmanager
def hidden_main(needed: bool = False):
    """Keep a process that starts meanwhile from importing the script.

    Args:
        needed: leave the script in its place; the new process needs it.
    """
    main = sys.modules["__main__"]
    if not needed:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# book/running/rollouts.md, section "When a worker fails"
class Worker:
    """Run a `Local` in a process of its own.

    Args:
        make: picklable; returns a new goal environment.
        count: how many environments it holds.
        name: what to call the worker in errors.
    """

    def __init__(self, make: Callable, count: int, name: str):
        context = multiprocessing.get_context("spawn")
        try:
            needed = b"__main__" in pickle.dumps(make)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise ValueError(
                f"no worker can make this world ({error}): define it at the"
                " top of a module, or pass workers=0"
            ) from None
        self.name = name
        self.pipe, far_end = context.Pipe()
        self.process = context.Process(
            target=serve, args=(far_end, make, count), daemon=True
        )
        with hidden_main(needed):
            self.process.start()
        far_end.close()

    def send(self, command, rows, everyone=None):
        """Send a command; a dead worker is reported by `receive`."""
        try:
            self.pipe.send((command, rows, everyone))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self):
        """Return the answer, or raise an error with the worker's reason.

        Raises:
            ValueError: the worker was asked for what it cannot do.
            RuntimeError: it failed or died.
        """
        try:
            kind, answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(obituary(self.name, self.process)) from None
        if kind != "ok":
            raise kind(f"{self.name} failed: {answer}")
        return answer


# book/running/rollouts.md, section "When a worker fails"
def obituary(name: str, process) -> str:
    """Return one line on a process that ended without an answer."""
    process.join(5)
    code = process.exitcode
    if code is not None and code < 0:
        cause = signal.Signals(-code).name
    else:
        cause = f"exit code {code}"
    return (
        f"{name} died ({cause}): read its own message above, "
        "or pass workers=0 to see the error here"
    )


# book/running/rollouts.md, section "The pool"
class Pool:
    """Spread slots over `workers` processes; same calls as `Local`."""

    def __init__(self, make: Callable, count: int, workers: int):
        shares = [len(range(w, count, workers)) for w in range(workers)]
        self.workers = [
            Worker(make, share, f"worker {w + 1} of {workers}")
            for w, share in enumerate(shares)
        ]
        for worker in self.workers:
            worker.receive()

    def reset(self, seeds):
        """Begin one episode per seed in the first slots; return states."""
        return self._ask("reset", seeds)

    def step(self, actions):
        """Apply one action (A,) per playing slot; return the next states."""
        return self._ask("step", actions)

    def perform(self, pairs, policy, horizon):
        """Play one episode per (seed, generator); return whole episodes."""
        everyone = {"policy": policy, "horizon": horizon}
        return self._ask("perform", pairs, everyone)

    def _ask(self, command, rows, everyone=None):
        step, count = len(self.workers), len(rows)
        busy = self.workers[:count]
        for w, worker in enumerate(busy):
            worker.send(command, rows[w::step], everyone)
        answers = [worker.receive() for worker in busy]
        whole = {}
        for key, part in answers[0].items():
            whole[key] = np.empty((count, *part.shape[1:]), part.dtype)
            for w, answer in enumerate(answers):
                whole[key][w::step] = answer[key]
        return whole

    def close(self):
        """Close the pipes, which ends the workers, and wait for them."""
        for worker in self.workers:
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(10)


# book/running/rollouts.md, section "The pool"
def check_workers(workers: int) -> int:
    """Return `workers`; ValueError unless this process may start so many."""
    workers = as_whole("workers", workers)
    if workers and multiprocessing.current_process().daemon:
        raise ValueError(
            "a process of multiprocessing.Pool may start no workers of its"
            " own: pass workers=0"
        )
    return workers


# book/running/rollouts.md, section "The pool"
class Rollouts:
    """Step many goal environments, in worker processes or in this one.

    Args:
        make: picklable; returns a new goal environment (`Task.make`).
        slots: how many environments to hold in all.
        workers: how many processes; 0 steps them in this one.

    Raises:
        ValueError: a count is out of range, or this process may have no
            workers, or the environment does not open.
        RuntimeError: a worker failed or died; the line says why.
    """

    def __init__(self, make: Callable, slots: int, workers: int = 2):
        slots = as_whole("slots", slots, 1)
        workers = check_workers(workers)
        self.slots, self.playing = slots, 0
        if workers == 0:
            self._worlds: Local | Pool = Local(make, slots)
        else:
            self._worlds = Pool(make, slots, min(workers, slots))

    def reset(self, seeds: Sequence[int]) -> dict[str, np.ndarray]:
        """Begin one episode per seed; see `check_seeds` for what fits.

        Returns:
            observation (n, O) float32, or pictures (n, H, W, C) uint8;
            achieved_goal and desired_goal (n, G) as the environment has
            them; ended (n,) bool; for the n = len(seeds) first slots, as
            the others rest.
        """
        seeds = check_seeds(seeds, self.slots)
        self.playing = len(seeds)
        return self._ask("reset", seeds)

    def step(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Apply `actions` (n, A); return the states after them, as reset.

        A slot whose episode has ended, terminated or truncated, holds its
        last state; its action is not played.
        """
        return self._ask("step", check_actions(actions, self.playing))

    def perform(self, policy, pairs, horizon: int) -> dict[str, np.ndarray]:
        """Play whole episodes where the worlds are; see `play`.

        Args:
            policy: picklable; policy(generator) -> act, as `play` wants it.
            pairs: per episode, the seed of its world and the generator.
            horizon: T, steps per episode.
        """
        check_seeds([seed for seed, _ in pairs], self.slots)
        return self._ask("perform", pairs, policy, horizon)

    def _ask(self, command, *arguments):
        if self._worlds is None:
            raise ValueError("these rollouts are closed: make new ones")
        try:
            return getattr(self._worlds, command)(*arguments)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Close all environments and end the workers; safe to repeat."""
        if self._worlds is not None:
            self._worlds.close()
            self._worlds = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


# book/running/rollouts.md, section "The pool"
def check_seeds(seeds: Sequence[int], slots: int) -> list[int]:
    """Return `seeds` as a list; raise ValueError unless they fit."""
    seeds = [as_whole("a seed", seed, None) for seed in seeds]
    if not 1 <= len(seeds) <= slots:
        raise ValueError(
            f"got {len(seeds)} seeds for {slots} slots: "
            "give at least one and at most one per slot"
        )
    if min(seeds) < 0:
        raise ValueError(f"seeds must not be negative, got {min(seeds)}")
    return seeds


def check_actions(
    actions: np.ndarray | Sequence, playing: int
) -> np.ndarray:
    """Return `actions` (n, A) as float32; raise ValueError if unusable."""
    actions = np.asarray(actions, dtype=np.float32)
    if actions.ndim != 2 or len(actions) != playing:
        raise ValueError(
            f"actions must be ({playing}, A), one row per slot that plays, "
            f"got shape {actions.shape}: reset first"
        )
    if not np.isfinite(actions).all():
        raise ValueError("actions hold NaN or infinity: check the policy")
    return actions


# book/running/rollouts.md, section "Whole episodes"
def play(
    rollouts: Rollouts,
    acts: Sequence[Callable],
    seeds: Sequence[int],
    horizon: int,
) -> dict[str, np.ndarray]:
    """Play one episode per seed, all at once.

    Args:
        rollouts: a pool with at least as many slots as there are seeds.
        acts: per episode, (observation (O,), goal (G,)) -> action (A,).
        seeds: per episode, what its environment is reset with.
        horizon: T, steps per episode.

    Returns:
        observations (E, T+1, O), actions (E, T, A),
        achieved_goals (E, T+1, G), desired_goals (E, G), all float32,
        but for observations that are pictures: (E, T+1, H, W, C) uint8;
        lengths (E,) int64, the actions played in each episode. Behind them
        the last state is repeated and the actions are 0.
    """
    states = [rollouts.reset(seeds)]
    actions: list[np.ndarray] = []
    goals = states[0]["desired_goal"].astype(np.float32)
    for _ in range(horizon):
        places, ended = states[-1]["observation"], states[-1]["ended"]
        rows = [
            actions[-1][slot] * 0.0 if over else act(place, goal)
            for slot, (act, place, goal, over) in enumerate(
                zip(acts, places, goals, ended)
            )
        ]
        actions.append(check_actions(rows, len(rows)))
        states.append(rollouts.step(actions[-1]))
    whole = {n: np.stack([s[n] for s in states], 1) for n in states[0]}
    return {
        "observations": whole["observation"],
        "actions": np.stack(actions, 1),
        "achieved_goals": whole["achieved_goal"].astype(np.float32),
        "desired_goals": goals,
        "lengths": horizon - whole["ended"][:, :-1].sum(1),
    }
