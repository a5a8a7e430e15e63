"""The task object, its simulator and its pictures."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from smore_lit.worlds import pictures, tasks
from smore_lit.worlds.experts import expert

TASK = tasks.load_task("FetchReach")


def test_importing_tasks_brings_in_no_simulator():
    code = (
        "import sys, smore_lit.worlds.tasks, smore_lit.running.rollouts,"
        " smore_lit.data.datasets, smore_lit.worlds.pictures\n"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'matplotlib', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert out.stdout.decode().strip() == "[]" and not out.stderr


def test_opening_the_simulator_is_silent():
    code = (
        "from smore_lit.worlds.tasks import load_task\n"
        "load_task('FetchReach').make()"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert out.returncode == 0 and not out.stdout and not out.stderr


def test_unknown_task_is_one_line():
    with pytest.raises(ValueError, match="unknown task 'X'; known: Fetch"):
        tasks.load_task("X")


def test_missing_simulator_says_what_to_install(monkeypatch):
    import gymnasium

    monkeypatch.delitem(gymnasium.registry, TASK.env_id, raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium_robotics", None)
    with pytest.raises(ValueError, match=r'"smore_lit\[robotics\]"'):
        TASK.make()


RAISED = [
    AttributeError("'NoneType' object has no attribute 'glGetError'"),
    OSError("libOSMesa.so: cannot open shared object file"),
    ImportError("cannot import name 'GLContext'"),
    AssertionError(),
    RuntimeError("invalid value\nfor MUJOCO_GL"),
]


def fail_to_open(monkeypatch, error):
    import gymnasium

    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(gymnasium, "make", refuse)
    with pytest.raises(ValueError) as caught:
        TASK.make()
    line = str(caught.value)
    assert line.startswith("FetchReach does not open (")
    assert type(error).__name__ in line and "\n" not in line
    return line


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_whatever_a_simulator_raises_is_one_line(error, monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    line = fail_to_open(monkeypatch, error)
    assert line.endswith('pip install "smore_lit[robotics]"')
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    line = fail_to_open(monkeypatch, error)
    assert line.endswith("MUJOCO_GL=osmesa fails here: unset it")


@pytest.mark.parametrize(
    "found, cure",
    [
        ("4.0.0", "mujoco==3.3.0"),
        ("3.7.0", "mujoco==3.3.0"),
        ("2.3.7", "mujoco==3.3.0"),
        ("3.6.9", "smore_lit[robotics]"),
    ],
)
def test_unusable_mujoco_says_what_to_install(monkeypatch, found, cure):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(tasks, "version", lambda name: found)
    line = fail_to_open(monkeypatch, AssertionError())
    assert cure in line


def test_a_task_and_its_maker_pickle():
    assert pickle.loads(pickle.dumps(TASK)) == TASK
    assert pickle.loads(pickle.dumps(TASK.make)).__self__ == TASK


def test_reward_counts_the_boundary_for_arrays_and_tensors():
    torch = pytest.importorskip("torch")
    goals = np.array([[0.05, 0, 0], [0.0501, 0, 0], [0, 0, 0.03]])
    assert TASK.reward(np.zeros(3), goals).tolist() == [1, 0, 1]
    rewards = TASK.reward(torch.zeros(3), torch.tensor(goals))
    assert rewards.tolist() == [1, 0, 1]


def test_simulator_pays_for_the_state_after_the_action():
    env = TASK.make()
    state, _ = env.reset(seed=11)
    act = expert(TASK)(None)
    seen = set()
    for t in range(TASK.horizon):
        action = act(state["observation"], state["desired_goal"])
        state, raw, ended, cut, _ = env.step(action.astype(np.float32))
        goal = state["desired_goal"]
        assert raw + 1 == TASK.reward(state["achieved_goal"], goal)
        seen.add(float(raw))
        assert not ended and cut == (t == TASK.horizon - 1)
    assert seen == {-1.0, 0.0}


@pytest.mark.parametrize("name", ["FetchReach", "FetchPush"])
def test_fewer_lookups_leave_every_bit(name):
    import gymnasium
    import gymnasium_robotics  # noqa: F401

    task = tasks.load_task(name)
    fast = task.make()
    slow = gymnasium.make(task.env_id, max_episode_steps=task.horizon)
    rng = np.random.default_rng(0)
    states = [fast.reset(seed=1)[0], slow.reset(seed=1)[0]]
    for _ in range(task.horizon):
        for key in states[0]:
            assert np.array_equal(states[0][key], states[1][key])
        action = rng.uniform(-1, 1, task.action_size).astype(np.float32)
        states = [env.step(action)[0] for env in (fast, slow)]
    assert len(fast.unwrapped._model_names.joint_names) == 2


def test_drawn_film_and_gif(tmp_path):
    act = expert(TASK)(None)
    frames = pictures.record(TASK, act, seed=1, drawing=True)
    assert len(frames) == 51 and frames[0].shape == (320, 320, 3)
    assert (frames[0] != frames[20]).any()
    path = pictures.save_gif(frames, tmp_path / "a.gif")
    from PIL import Image

    assert Image.open(path).n_frames > 5
    assert list(tmp_path.iterdir()) == [path]


def test_film_falls_back_to_the_drawing_without_a_library(monkeypatch):
    monkeypatch.setattr(pictures, "has_egl", lambda: False)
    act = expert(TASK)(None)
    assert len(pictures.record(TASK, act, seed=1)) == 51
    with pytest.raises(OSError, match="cannot render here"):
        pictures.record(TASK, act, seed=1, drawing=False)


def test_pictures_that_cannot_be_saved(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no frames"):
        pictures.save_gif([], tmp_path / "a.gif")
    util = pictures.importlib.util
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install imageio-ffmpeg"):
        pictures.save_mp4([np.zeros((8, 8, 3), np.uint8)], tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())
