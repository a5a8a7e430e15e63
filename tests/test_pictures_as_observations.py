"""Episodes whose observations are pictures: made, kept, read and refused."""

import dataclasses
import io

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

import smore_lit
from smore_lit.data import datasets
from smore_lit.running.rollouts import Rollouts, play

H, W, C = 6, 5, 3
OPTIONS = dict(size="toy", expert_percent=0)


class Lamp(gymnasium.Env):
    """A lamp on a line of five, seen as a picture in which it shines."""

    def __init__(self, render_mode=None, kind=np.uint8):
        self.kind = kind
        space = Box(-np.inf, np.inf, (1,), np.float64)
        self.observation_space = Dict(
            {
                "observation": Box(0, 255, (H, W, C), np.uint8),
                "achieved_goal": space,
                "desired_goal": space,
            }
        )
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)

    def _state(self):
        picture = np.zeros((H, W, C), self.kind)
        picture[:, int(self.place), :] = 40 * np.arange(1, H + 1)[:, None]
        place = np.array([self.place])
        return dict(
            observation=picture,
            achieved_goal=place,
            desired_goal=np.array([3.0]),
        )

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place = float(self.np_random.integers(W))
        return self._state(), {}

    def step(self, action):
        self.place = float(np.clip(self.place + np.sign(action[0]), 0, W - 1))
        return self._state(), 0.0, False, False, {}

    def compute_reward(self, achieved, desired, info):
        return (np.linalg.norm(achieved - desired, axis=-1) < 0.5) * 1.0


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(datasets.SIZES, "toy", 10)
    monkeypatch.setitem(datasets.SHARD, "toy", 4)


@pytest.fixture(scope="module")
def task():
    return smore_lit.Task.from_env(Lamp, max_episode_steps=7)


def test_a_task_is_read_off_a_world_of_pictures(task):
    assert task.picture == (H, W, C) == task.observation_shape
    assert task.observation_size == H * W * C
    assert task.goal_index is None and task.observation_dtype == "|u1"


def test_pictures_come_back_byte_for_byte(task, tmp_path):
    datasets.make_dataset(
        task, workers=0, progress=False, root=tmp_path, **OPTIONS
    )
    data = datasets.load_dataset(task, "toy", 0, tmp_path)
    assert data["observations"].shape == (10, 8, H, W, C)
    kinds = {name: str(array.dtype) for name, array in data.items()}
    assert kinds == {
        "observations": "uint8",
        "actions": "float32",
        "achieved_goals": "float32",
        "desired_goals": "float32",
    }
    with Rollouts(task.make, 10, 0) as pool:
        again = datasets.collect(pool, task, "random", 0, range(10))
    for name, array in data.items():
        assert np.array_equal(array, again[name]), name
    lit = data["observations"].max(axis=(2, 4)).argmax(-1)
    assert np.array_equal(lit, data["achieved_goals"][..., 0])
    assert data["observations"].max() == 240


def test_workers_send_pictures_as_bytes(task):
    acts = [lambda picture, goal: np.ones(1)] * 3
    with Rollouts(task.make, 3, 0) as pool:
        here = play(pool, acts, [1, 2, 3], 4)
    assert here["observations"].dtype == np.uint8


def packed(data, kind):
    buffer = io.BytesIO()
    arrays = {name: data[name][:4] for name in datasets.ARRAYS}
    arrays["observations"] = arrays["observations"].astype(kind)
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["float32", "int8", "uint16", ">u2"])
def test_another_type_is_refused(task, kind):
    with Rollouts(task.make, 4, 0) as pool:
        data = datasets.collect(pool, task, "random", 0, range(4))
    good = datasets.parse_shard(packed(data, "uint8"), task, 4, 7)
    assert np.array_equal(good["observations"], data["observations"])
    with pytest.raises(ValueError, match="observations.npy"):
        datasets.parse_shard(packed(data, kind), task, 4, 7)


def test_bytes_are_refused_where_numbers_are_due(task):
    numbers = dataclasses.replace(task, picture=None)
    with Rollouts(task.make, 4, 0) as pool:
        data = datasets.collect(pool, task, "random", 0, range(4))
    data["observations"] = data["observations"].reshape(4, 8, H * W * C)
    shard = packed(data, "float32")
    assert datasets.parse_shard(shard, numbers, 4, 7)
    with pytest.raises(ValueError, match="observations.npy"):
        datasets.parse_shard(packed(data, "uint8"), numbers, 4, 7)


def test_no_method_is_fed_pictures_in_silence(task):
    recorded = smore_lit.record(task, episodes=2)
    with pytest.raises(ValueError, match="encode each as a list"):
        smore_lit.as_trajectories(**recorded)


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_a_picture_is_made_of_bytes(kind):
    with pytest.raises(ValueError, match="picture of bytes") as caught:
        smore_lit.Task.from_env(Lamp, max_episode_steps=7, kind=kind)
    assert "\n" not in str(caught.value)
