"""A world of your own: read off, recorded, trained, judged and filmed."""

import dataclasses
import os
import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import smore_lit
from smore_lit.data import datasets
from smore_lit.running.rollouts import Rollouts
from smore_lit.worlds import environments as worlds
from smore_lit.worlds import pictures
from smore_lit.worlds.tasks import list_tasks, load_task

Task = smore_lit.Task
MODULE = """
import numpy as np, gymnasium as gym

class Lava(gym.Env):  # from 0 to the goal at 1; 0.4 to 0.6 ends the episode
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    observation_space = gym.spaces.Dict()
    threshold, strict = 0.05, True

    def state(self):
        return dict(observation=self.x, achieved_goal=self.x,
                    desired_goal=np.ones(1))

    def reset(self, *, seed=None, options=None):
        self.x, self.over = np.zeros(1), False
        return self.state(), {}

    def step(self, action):
        if self.strict and self.over:
            raise RuntimeError("the arm is gone")
        self.x = self.x + 0.1 * np.asarray(action, float)
        self.over = bool(0.4 < self.x[0] < 0.6)
        return self.state(), -1.0, self.over, False, {}

import smore_lit
TASK = smore_lit.Task.from_env(
    "lava:Lava", threshold=0.05, max_episode_steps=20)
"""


class Plane(gymnasium.Env):
    """Move on a plane; goals are mirrored, so no column holds them."""

    observation_space = gymnasium.spaces.Dict()

    def __init__(self, low=-1.0, high=1.0, radius=0.3, closed=True, **more):
        low = np.full(2, low) if np.ndim(low) == 0 else np.array(low)
        high = np.full(2, high) if np.ndim(high) == 0 else np.array(high)
        self.action_space = gymnasium.spaces.Box(
            low.astype(np.float32), high.astype(np.float32)
        )
        self.radius, self.closed, self.more = radius, closed, more
        self.heard = []

    def compute_reward(self, achieved, desired, info):
        gap = np.linalg.norm(achieved - desired, axis=-1)
        if self.more.get("dense"):
            return -gap
        if self.more.get("cube"):
            gap = np.abs(achieved - desired).max(-1)
        near = gap <= self.radius if self.closed else gap < self.radius
        return near - 1.0

    def state(self):
        achieved = -self.x if self.more.get("mirror") else self.x[::-1]
        goal = self.goal + (self.t if self.more.get("drift") else 0)
        state = dict(
            observation=np.array([*self.x, self.t]),
            achieved_goal=achieved.copy(),
            desired_goal=goal,
        )
        return self.more.get("spoil", lambda s: s)(state)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.goal = self.np_random.uniform(-1, 1, (2, 2))
        self.t = 0.0
        return self.state(), {}

    def step(self, action):
        self.heard.append(action)
        self.x, self.t = self.x + 0.1 * np.asarray(action), self.t + 1
        state = self.state()
        info = {}
        if "flag" in self.more:
            gap = np.linalg.norm(state["achieved_goal"] - self.goal)
            info["is_success"] = gap < self.more["flag"]
        return state, 0.0, False, self.t == self.more.get("cut"), info


def read(**options):
    return Task.from_env(Plane, max_episode_steps=10, **options)


@pytest.fixture
def lava(tmp_path, monkeypatch):
    """Return the folder of a module with a world of its own."""
    (tmp_path / "lava.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("lava", None)


def onward(observation, goal):
    return np.sign(goal - observation)


@pytest.mark.parametrize(
    "name", ["FetchReach", "FetchPush", "FetchPick", "FetchSlide", "HandReach"]
)
def test_tasks_written_by_hand_are_read_off_their_simulators(name):
    known = load_task(name)
    found = Task.from_env(known.env_id)
    skipped = {"name", "source", "unit", "reference"}
    skipped |= {"paper_episodes", "cpu_episodes", "simulators", "expert"}
    for field in dataclasses.fields(Task):
        if field.name not in skipped:
            ours, theirs = (getattr(t, field.name) for t in (known, found))
            assert ours == theirs, field.name
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_point_maze_is_read_off_and_judged_as_it_judges():
    task = Task.from_env("PointMaze_UMaze-v3", max_episode_steps=40)
    sizes = task.observation_size, task.goal_size, task.action_size
    assert sizes == (4, 2, 2) and task.goal_index == (0, 1)
    assert (task.threshold, task.horizon) == (0.45, 40)
    assert Task.from_env("PointMaze_UMaze-v3").horizon == 300
    env, seen = task.make(), set()
    for seed in range(4):
        state, _ = env.reset(seed=seed)
        for _ in range(40):
            pair = state["desired_goal"], state["achieved_goal"]
            action = (10 * (pair[0] - pair[1])).clip(-1, 1).astype(np.float32)
            state, paid, *_, info = env.step(action)
            pair = state["achieved_goal"], state["desired_goal"]
            assert task.success(*pair) == info["success"]
            assert task.reward(*pair) == paid
            seen.add(paid)
    assert seen == {0.0, 1.0}


def test_an_episodic_maze_ends_at_its_goal_and_counts_once():
    task = Task.from_env(
        "PointMaze_UMaze-v3", max_episode_steps=60, continuing_task=False
    )

    def act(observations, goals):
        return (10 * (goals - observations[..., :2])).clip(-1, 1)

    found = smore_lit.evaluate(task, act, [0], 10, workers=0)
    hit = found["first_hit"] <= 60
    assert hit.any() and not hit.all()
    assert (found["success"] == hit).all()
    assert (found["return_1"] == hit).all()


def test_options_of_the_environment_are_kept():
    task = read(radius=0.2, mirror=True)
    assert task.threshold == 0.2 and task.goal_index is None
    assert task.make().unwrapped.radius == 0.2
    assert read().goal_index == (1, 0)
    assert (
        Task.from_env(Plane, "Mine", 0.7, max_episode_steps=3).name == "Mine"
    )


@pytest.mark.parametrize("closed", [True, False])
def test_the_boundary_is_the_environments(closed):
    task = read(closed=closed, radius=0.5)
    pair = np.zeros(2), np.array([0.5, 0.0])
    assert task.reward(*pair) == closed
    assert task.reward(pair[0], 0.999 * pair[1]) == 1
    assert np.isclose(task.threshold, 0.5, rtol=0, atol=1e-12)


def test_policies_act_in_the_unit_box_whatever_the_bounds():
    task = read(low=[-5, 0], high=[5, 2])
    env = task.make()
    assert (env.action_space.low == -1).all()
    assert (env.action_space.high == 1).all()
    env.reset(seed=0)
    for action, due in (
        ([1, 1], [5, 2]),
        ([-1, -1], [-5, 0]),
        ([0, 0], [0, 1]),
    ):
        env.step(np.array(action, np.float32))
        assert np.allclose(env.unwrapped.heard[-1], due)
    data = smore_lit.record(task, None, 4)
    assert 0.9 < np.abs(data["actions"]).max() <= 1
    moved = np.diff(data["observations"][:, :, 0])
    assert np.allclose(moved, 0.5 * data["actions"][..., 0], atol=1e-5)
    smore_lit.as_trajectories(**data)


def lose(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


WRONG = {
    "no numbers": (
        lambda s: s | {"observation": "here"},
        "observation of Plane",
    ),
    "a table": (lambda s: s | {"observation": np.eye(2)}, r"float64 \(2, 2\)"),
    "no goal": (
        lose("desired_goal"),
        "is no goal environment: its s",
    ),
    "an array": (lambda s: s["observation"], "its states are ndarray"),
    "sizes": (lambda s: s | {"desired_goal": np.ones(3)}, "desired goal 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_states_that_break_the_contract_are_one_line(name):
    spoil, line = WRONG[name]
    with pytest.raises(ValueError, match=line) as caught:
        read(spoil=spoil)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "env, options, line",
    [
        ("CartPole-v1", {}, "goal task takes a Box"),
        ("Pendulum-v1", {}, "is no goal environment: its states are ndarray"),
        ("Nowhere-v0", {}, "Nowhere"),
        ("nowhere:World", {}, "No module named 'nowhere'"),
        ("smore_lit:World", {}, "has no 'World'"),
        (3, {}, "cannot make environments from a int"),
        (Plane(), {}, 'give an id, "module:Class" or the class'),
        (Plane, {}, "pass max_episode_steps="),
        (Plane, {"dense": True, "max_episode_steps": 5}, "pass threshold="),
        (Plane, {"cube": True, "max_episode_steps": 5}, "pass threshold="),
        (Plane, {"high": np.inf, "max_episode_steps": 5}, "without bounds"),
        (Plane, {"flag": 9.0, "max_episode_steps": 5}, "flags success other"),
        ("smore_lit.worlds.points:PointReach", {}, "world of two methods"),
    ],
    ids=str,
)
def test_what_is_no_task_is_one_line(env, options, line):
    with pytest.raises(ValueError, match=line) as caught:
        Task.from_env(env, **options)
    assert "\n" not in str(caught.value)


def test_a_threshold_may_be_said_where_none_can_be_read():
    task = read(dense=True, threshold=0.4)
    assert (task.threshold, task.success_threshold) == (0.4, None)
    task = read(flag=9.0, success_threshold=9.0)
    assert (task.threshold, task.success_threshold) == (0.3, 9.0)
    assert Task.from_env("FetchReachDense-v4").threshold == 0.05


@pytest.mark.parametrize("workers", [0, 2])
def test_no_goal_environment_is_one_line_when_played(workers):
    task = dataclasses.replace(read(), env_kwargs={"spoil": str})
    task = dataclasses.replace(
        task, env_id="Pendulum-v1", entry_point=None, env_kwargs=None
    )
    kinds = ValueError, RuntimeError
    with pytest.raises(kinds, match="is no goal environment") as caught:
        smore_lit.evaluate(task, lambda s, g: g, [0], 1, workers=workers)
    assert "\n" not in str(caught.value)


def test_a_goal_that_moves_is_refused():
    task = read(drift=True)
    with pytest.raises(ValueError, match="changed the desired goal"):
        smore_lit.record(task, None, 1)


def test_recordings_depend_on_the_seed_alone():
    task = load_task("PointReach")
    first = smore_lit.record(task, None, 23)
    again = smore_lit.record("PointReach", None, 23, workers=2)
    other = smore_lit.record(task, None, 23, seed=1)
    for name in first:
        assert (first[name] == again[name]).all(), name
    assert (first["actions"] != other["actions"]).all()
    assert (first["lengths"] == 50).all()
    few = smore_lit.record(task, None, 5)
    assert (few["actions"] == first["actions"][:5]).all()


def test_any_kind_of_policy_is_recorded():
    task = load_task("PointReach")

    class Walk:
        def __init__(self, generator):
            self.push = generator.uniform(-1, 1, 2)

        def __call__(self, observation, goal):
            return self.push

    data = smore_lit.record(task, Walk, 4)
    assert (data["actions"] == data["actions"][:, :1]).all()
    assert (data["actions"][0] != data["actions"][1]).all()

    data = smore_lit.as_trajectories(**smore_lit.record(task, Walk, 40))
    settings = dict(hidden=(16, 16), batch_size=32)
    run = smore_lit.train(data, "bc", settings=settings, updates=3, seeds=2)
    found = smore_lit.record(task, run.policy, 2)
    act = run.policy.one()
    assert (
        found["actions"] == smore_lit.record(task, act, 2)["actions"]
    ).all()
    with pytest.raises(ValueError, match=r"leaves \[-1, 1\]: clip"):
        smore_lit.record(task, lambda s, g: 3 * np.ones(2), 1)
    with pytest.raises(ValueError, match="episodes must be a whole number, 1"):
        smore_lit.record(task, None, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_lava_ends_an_episode_everywhere(lava, workers):
    task = Task.from_env("lava:Lava", threshold=0.05, max_episode_steps=20)
    found = smore_lit.evaluate(
        task, lambda o, g: np.sign(g - o), [0], 3, workers=workers
    )
    assert (found["return_1"] == 0).all() and (found["success"] == 0).all()
    assert (found["first_hit"] == 21).all()
    assert np.allclose(found["final_distance"], 0.5)

    data = smore_lit.record(task, onward, 3, workers=workers)
    assert data["lengths"].tolist() == [5, 5, 5]
    assert np.allclose(data["observations"][:, 5:], 0.5)
    assert (data["actions"][:, :5] == 1).all()
    assert (data["actions"][:, 5:] == 0).all()
    kept = smore_lit.as_trajectories(**data)
    assert kept.transitions == 15


def test_an_episode_may_be_cut_by_its_own_limit():
    task = Task.from_env(Plane, max_episode_steps=10, cut=4)
    data = smore_lit.record(task, None, 3)
    assert data["lengths"].tolist() == [4, 4, 4]
    assert (data["observations"][:, 4:, 2] == 4).all()


def reckless(generator):
    return lambda observation, goal: np.ones(1)


def test_data_of_episodes_that_end_keep_their_lengths(
    lava, tmp_path, monkeypatch
):
    monkeypatch.setitem(datasets.SIZES, "toy", 6)
    monkeypatch.setitem(datasets.SHARD, "toy", 2)
    monkeypatch.setattr(datasets, "random_policy", lambda task: reckless)
    monkeypatch.setattr(datasets, "repr", lambda x: "reckless", raising=False)
    task = load_task("lava:TASK")
    options = dict(root=tmp_path / "data", progress=False, workers=0)
    path = datasets.make_dataset(task, "toy", 0, **options)
    data = datasets.load_dataset(task, "toy", 0, root=tmp_path / "data")
    assert data["lengths"].tolist() == [5] * 6
    assert smore_lit.as_trajectories(**data).transitions == 30
    before = path.read_bytes()
    shards = sorted(path.parent.glob("random/*.npz"))
    shards[0].unlink()
    assert datasets.make_dataset(task, "toy", 0, **options) == path
    assert path.read_bytes() == before

    bad = dict(data, lengths=np.array([5, 5, 5, 5, 5, 21]))
    with pytest.raises(ValueError, match="lengths leave 1 to 20"):
        datasets.parse_shard(datasets.pack(bad), task, 6, 20)


def test_rewards_after_the_end_do_not_count_in_the_statistics():
    task = load_task("PointReach")
    goals, at_goal = np.zeros((1, 2)), np.zeros((1, 51, 2))
    arrays = dict(achieved_goals=at_goal, desired_goals=goals)
    assert datasets.score(task, arrays)[0] == 49
    arrays["lengths"] = np.array([4])
    total, *_, last = datasets.score(task, arrays)
    assert (total, last) == (5, 0)  # s_0 to s_4


def test_a_world_without_columns_for_its_goal_makes_data(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(datasets.SIZES, "toy", 2)
    monkeypatch.setitem(datasets.SHARD, "toy", 2)
    task = read(mirror=True)
    options = dict(root=tmp_path, progress=False, workers=0)
    datasets.make_dataset(task, "toy", 0, **options)
    data = datasets.load_dataset(task, "toy", 0, root=tmp_path)
    assert (data["achieved_goals"] == -data["observations"][..., :2]).all()
    with pytest.raises(ValueError, match="no part of the observation"):
        task.phi(data["observations"])


def test_a_manifest_cannot_make_us_import_a_module(
    lava, tmp_path, monkeypatch
):
    monkeypatch.setitem(datasets.SIZES, "toy", 2)
    monkeypatch.setitem(datasets.SHARD, "toy", 2)
    task = load_task("lava:TASK")
    path = datasets.make_dataset(
        task, "toy", 0, root=tmp_path / "data", progress=False, workers=0
    )
    assert path.parent.name == "lava_TASK"
    del sys.modules["lava"]
    with pytest.raises(ValueError, match="say --task lava:TASK"):
        datasets.read_dataset(path)
    assert "lava" not in sys.modules
    assert datasets.read_dataset(path, task)["actions"].shape == (2, 20, 1)
    with pytest.raises(ValueError, match="holds data of 'lava:TASK', not Fe"):
        datasets.read_dataset(path, load_task("FetchReach"))
    small = dict(settings=dict(hidden=(8, 8), batch_size=16), workers=0)
    small |= dict(updates=2, seeds=1, eval_episodes=1)
    assert smore_lit.train(path, "bc", task, **small).summary["updates"] == 2
    with pytest.raises(ValueError, match="holds data of 'lava:TASK', not Fe"):
        smore_lit.train(path, "bc", "FetchReach", **small)


def test_names_of_own_tasks_are_checked(lava):
    task = load_task("lava:TASK")
    assert task.name == "lava:TASK" and task.entry_point == "lava:Lava"
    assert load_task("lava:TASK-noise0.5").action_noise == 0.5
    for name, line in (
        ("lava:Lava", "no smore_lit.Task"),
        ("lava:NONE", "has no 'NONE'"),
        ("larva:TASK", "No module named 'larva'"),
        ("FetchReech", "one of your own is module:NAME"),
    ):
        with pytest.raises(ValueError, match=line):
            load_task(name)
    (lava / "broken.py").write_text("1 / 0")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        load_task("broken:TASK")


def stay(action):
    return lambda observation, goal: action


def test_every_task_can_be_drawn():
    for task in list_tasks().values():
        still = np.zeros(task.action_size)
        short = dataclasses.replace(task, horizon=2)
        frames = pictures.record(short, stay(still), 0, drawing=True)
        assert len(frames) == 3 and frames[0].shape == (320, 320, 3)


def test_a_film_holds_the_last_state(lava):
    task = load_task("lava:TASK")
    frames = pictures.record(task, onward, 0)
    assert len(frames) == 21
    assert (frames[4] != frames[5]).any()
    assert all((frame == frames[5]).all() for frame in frames[5:])
    with pytest.raises(OSError, match="cannot render here"):
        pictures.record(task, onward, 0, drawing=False)


def test_the_shipped_worlds_still_hold_their_bits():
    """An episode in a pool is the one that the bare environment plays."""
    task = load_task("PointRooms")
    with Rollouts(task.make, 1, 0) as pool:
        view = pool.reset([3])
        env = task.make()
        state, _ = env.reset(seed=3)
        for _ in range(50):
            action = np.full((1, 2), 0.3, np.float32)
            view, state = pool.step(action), env.step(action[0])[0]
            assert (view["achieved_goal"][0] == state["achieved_goal"]).all()
        assert view["ended"].tolist() == [True]


SHELL = """
import os, sys
sys.path = [p for p in sys.path if p not in ("", os.getcwd())]
from smore_lit.appendix.cli import main
for line in sys.argv[1:]:
    print(line, main(line.split()), flush=True)
"""


def test_every_command_takes_a_task_of_the_current_folder(tmp_path):
    (tmp_path / "lava.py").write_text(MODULE)
    root = os.path.dirname(os.path.dirname(__file__))

    def run(*lines):
        result = subprocess.run(
            [sys.executable, "-c", SHELL, *lines],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": root},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        for line in lines:
            assert f"{line} 0\n" in result.stdout, result.stderr
        return result.stdout

    mixture = "--size tiny --expert-percent 0"
    small = "--updates 4 --seeds 1 --eval-episodes 2 --set hidden=8,8"
    small += " --set batch_size=16 --workers 0"
    text = run(
        "tasks --task lava:TASK",
        f"data make lava:TASK {mixture} --workers 0",
        f"data info --task lava:TASK {mixture}",
        "data info data/lava_TASK/tiny-0.json --task lava:TASK --verify",
        f"train --task lava:TASK {mixture} {small} --out run",
        "eval run --episodes 2 --workers 2",
        "eval run --episodes 2 --workers 0 --task lava:TASK-noise0.5",
        "video run --out film.gif",
        "video run --out film.gif --drawing",
    )
    assert "200 random episodes" in text and "run: lava:TASK, smore" in text
    assert "run: lava:TASK-noise0.5" in text


def test_own_tasks_that_are_not_there_are_one_line(lava, capsys, monkeypatch):
    from smore_lit.appendix.cli import main

    monkeypatch.chdir(lava)
    task = load_task("lava:TASK")
    monkeypatch.setitem(datasets.SIZES, "tiny", 2)
    monkeypatch.setitem(datasets.SHARD, "tiny", 2)
    datasets.make_dataset(task, "tiny", 0, progress=False, workers=0)
    for line, answer in (
        ("data make lava:TASK --workers 0", "--expert-percent 0"),
        ("data info data/lava_TASK/tiny-0.json", "say --task lava:TASK"),
        ("train lava:NONE", "has no 'NONE'"),
        ("data info nothing", "one of your own is module:NAME"),
    ):
        assert main(line.split()) == 2
        told = capsys.readouterr().err
        assert answer in told and told.count("\n") == 1


def test_worlds_of_a_notebook_are_refused_by_workers_in_one_line():
    def local():
        return Plane()

    with pytest.raises(ValueError, match="workers=0") as caught:
        Rollouts(local, 1, 1)
    assert "\n" not in str(caught.value)


def test_radius_of_many_balls():
    rng = np.random.default_rng(0)
    for size in (1, 2, 7):
        for radius in (*rng.uniform(1e-3, 1e3, 5), 0.05, 1.0, 2.0**-5):

            def near(a, d, r=radius):
                return np.linalg.norm(a - d) <= r

            def below(a, d, r=radius):
                return np.linalg.norm(a - d) < r

            found, closed = worlds.find_radius(near, size)
            assert closed and abs(found - radius) <= 1e-12 * radius
            found, closed = worlds.find_radius(below, size)
            assert abs(found - radius) <= 1e-12 * radius
    assert worlds.find_radius(lambda a, d: True, 2) is None
    assert worlds.find_radius(lambda a, d: False, 2) is None


def test_a_point_maze_takes_at_most_25_lines_of_its_chapter():
    from pathlib import Path

    text = Path(__file__).parents[1] / "book" / "start" / "own_data.md"
    cells = text.read_text().split("```{code-cell} ipython3\n")
    (cell,) = (c for c in cells if '.from_env("PointMaze_UMaze-v3"' in c)
    lines = cell.partition("```")[0].splitlines()
    assert len(lines) <= 25
    assert "train(" in cell and "record(" in cell
