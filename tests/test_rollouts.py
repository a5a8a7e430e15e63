"""The pool: same bits however it is cut, one line when it fails."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts, play

TASK = load_task("FetchReach")


class Faulty:
    """Fail, or end the process, at the third step."""

    def __init__(self, how):
        self.how, self.steps = how, 0

    def reset(self, seed):
        keys = ("observation", "achieved_goal", "desired_goal")
        return dict.fromkeys(keys, np.zeros(2)), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 3 and self.how == "raise":
            raise FloatingPointError("the arm\nfell off")
        if self.steps == 3 and self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return *self.reset(0)[:1], 0.0, False, False, {}

    def close(self):
        pass


def uniform(seed):
    rng = np.random.default_rng([1, seed])
    return lambda observation, goal: rng.uniform(-1, 1, 4)


def episodes(pool, seeds, horizon=15):
    return play(pool, [uniform(s) for s in seeds], seeds, horizon)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def alone():
    """Each episode in a fresh environment of its own."""
    parts = []
    for seed in (4, 5, 6, 7, 8):
        with Rollouts(TASK.make, 1, 0) as pool:
            parts.append(episodes(pool, [seed]))
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


@pytest.mark.parametrize("workers, slots", [(0, 5), (1, 5), (2, 5), (2, 7)])
def test_bits_depend_on_seeds_only(alone, workers, slots):
    with Rollouts(TASK.make, slots, workers) as pool:
        fresh = episodes(pool, [4, 5, 6, 7, 8])
        episodes(pool, [99, 98, 97], horizon=4)
        used = episodes(pool, [8, 7, 6, 5, 4])
    for key, values in alone.items():
        whole = np.int64 if key == "lengths" else np.float32
        assert values.dtype == whole
        assert values.tobytes() == fresh[key].tobytes(), key
        assert values.tobytes() == used[key][::-1].tobytes(), key


def test_layout_and_goal_map(alone):
    assert alone["observations"].shape == (5, 16, 10)
    assert alone["actions"].shape == (5, 15, 4)
    assert alone["desired_goals"].shape == (5, 3)
    achieved = TASK.phi(alone["observations"])
    assert (achieved == alone["achieved_goals"]).all()


def told_in_a_pool(how):
    """Return what a function says that is asked for workers."""
    from smore_lit import as_trajectories, evaluate, make_dataset
    from smore_lit import tiny_dataset, train

    ask = {
        "rollouts": lambda: Rollouts(TASK.make, 2, 2),
        "evaluate": lambda: evaluate(TASK, None, [0], 1),
        "make_dataset": lambda: make_dataset(TASK, "tiny", root="made"),
        "train": lambda: train(
            as_trajectories(**tiny_dataset(TASK)), "bc", TASK, "run"
        ),
    }
    try:
        ask[how]()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "how",
    [
        "rollouts",
        pytest.param("evaluate", marks=pytest.mark.weekly),
        pytest.param("make_dataset", marks=pytest.mark.weekly),
        "train",
    ],
)
def test_a_process_that_may_have_no_children_is_told(
    how, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        kind, line = pool.apply(told_in_a_pool, (how,))
    assert kind is ValueError and "pass workers=0" in line
    assert "\n" not in line and os.listdir() == []


def refuse_to_open():
    raise ValueError("this machine has no arm")


def test_what_a_worker_refuses_is_no_fault():
    with pytest.raises(ValueError, match="worker 1 of 1 failed: .* no arm"):
        Rollouts(refuse_to_open, 1, 1)


def test_bad_arguments_are_one_line_and_harmless():
    with pytest.raises(ValueError, match="slots must be .*, 1 or more"):
        Rollouts(TASK.make, 0)
    with pytest.raises(ValueError, match="workers must be .*, 0 or more"):
        Rollouts(TASK.make, 1, -1)
    with Rollouts(TASK.make, 2, 0) as pool:
        for seeds in ([], [1, 2, 3]):
            with pytest.raises(ValueError, match="seeds for 2 slots"):
                pool.reset(seeds)
        with pytest.raises(ValueError, match="negative"):
            pool.reset([-1])
        with pytest.raises(ValueError, match="reset first"):
            pool.step(np.zeros((2, 4)))
        pool.reset([1])
        with pytest.raises(ValueError, match="NaN"):
            pool.step(np.full((1, 4), np.nan))
        assert pool.step(np.zeros((1, 4)))["observation"].shape == (1, 10)
    with pytest.raises(ValueError, match="closed"):
        pool.reset([1])


@pytest.mark.parametrize(
    "how, reason",
    [
        ("raise", "1 of 2 failed: FloatingPointError: the arm fell off"),
        ("die", r"worker 1 of 2 died \(SIGKILL\)"),
    ],
)
def test_a_failing_worker_is_named_and_ends_the_pool(how, reason):
    with Rollouts(partial(Faulty, how), 3, 2) as pool:
        pids = [worker.process.pid for worker in pool._worlds.workers]
        pool.reset([0, 1, 2])
        with pytest.raises(RuntimeError, match=reason) as caught:
            for _ in range(3):
                pool.step(np.zeros((3, 2)))
        assert "\n" not in str(caught.value)
        assert not any(is_alive(pid) for pid in pids)


def test_a_maker_that_fails_is_named_at_once():
    with pytest.raises(RuntimeError, match="worker 1 of 1 failed: TypeError"):
        Rollouts(len, 1, 1)


PLAIN = """
from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts

print("begin", flush=True)
with Rollouts(load_task("FetchReach").make, 2, 2) as pool:
    print(pool.reset([0, 1])["observation"].shape)
"""
GUARDED = """
from tests.test_rollouts import Faulty
from smore_lit.running.rollouts import Rollouts

def make():
    return Faulty("")

if __name__ == "__main__":
    print("begin", flush=True)
    with Rollouts(make, 2, 2) as pool:
        print(pool.reset([0, 1])["observation"].shape)
"""


@pytest.mark.parametrize(
    "text, shape", [(PLAIN, "(2, 10)"), (GUARDED, "(2, 2)")]
)
def test_scripts_need_no_guard_unless_they_define_the_world(
    tmp_path, text, shape
):
    script = tmp_path / "plain.py"
    script.write_text(text)
    root = os.path.dirname(os.path.dirname(__file__))
    result = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["begin", shape]


def test_workers_end_with_the_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\n"
        "from functools import partial\n"
        "from tests.test_rollouts import Faulty\n"
        "from smore_lit.running.rollouts import Rollouts\n"
        'if __name__ == "__main__":\n'
        "    pool = Rollouts(partial(Faulty, ''), 2, 2)\n"
        "    for worker in pool._worlds.workers:\n"
        "        print(worker.process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = os.path.dirname(os.path.dirname(__file__))
    environment = os.environ | {"PYTHONPATH": root}
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env=environment
    )
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
