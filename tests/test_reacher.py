"""Reacher as a goal task, with and without the target."""

import gymnasium
import numpy as np
import pytest

from smore_lit.worlds.reacher import KEPT
from smore_lit.worlds.reacher import REACHER, REACHER_BLIND


def test_numbers_are_those_of_the_native_arm():
    env, native = REACHER.make(), gymnasium.make("Reacher-v5")
    native.reset(seed=0)
    state, _ = env.reset(seed=9)
    inner = env.unwrapped.world.arm
    native.unwrapped.set_state(inner.data.qpos, inner.data.qvel)
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        state = env.step(action)[0]
        row = native.step(action)[0]
        seen = state["observation"]
        assert np.allclose(seen[:8], row[:8], atol=1e-9)
        assert np.allclose(seen[8:10] - seen[4:6], row[8:], atol=1e-9)
        assert np.allclose(seen[4:6], state["desired_goal"])
        assert seen[10] == 0


def test_achieved_goal_is_the_fingertip_on_the_floor_plan():
    env = REACHER.make()
    env.reset(seed=0)
    for _ in range(5):
        state = env.step(np.ones(2, np.float32))[0]
    tip = env.unwrapped.world.arm.get_body_com("fingertip")[:2]
    assert np.allclose(state["achieved_goal"], tip, atol=1e-12)


def test_starts_and_targets_fill_their_ranges():
    env = REACHER.make()
    states = [env.reset(seed=seed)[0] for seed in range(400)]
    rows = np.array([state["observation"] for state in states])
    goals = np.array([state["desired_goal"] for state in states])
    angles = np.arctan2(rows[:, 2:4], rows[:, :2])
    assert 0.098 < np.abs(angles).max() <= 0.1
    assert 0.0049 < np.abs(rows[:, 6:8]).max() <= 0.005
    norms = np.linalg.norm(goals, axis=1)
    assert 0.195 < norms.max() < 0.2
    assert abs((norms < 0.2 / np.sqrt(2)).mean() - 0.5) < 0.08


def test_blind_world_is_the_same_world():
    seeing, blind = REACHER.make(), REACHER_BLIND.make()
    both = [env.reset(seed=3)[0] for env in (seeing, blind)]
    for _ in range(10):
        assert (both[0]["observation"][KEPT] == both[1]["observation"]).all()
        for key in ("achieved_goal", "desired_goal"):
            assert (both[0][key] == both[1][key]).all()
        action = np.array([0.3, -0.6], np.float32)
        both = [env.step(action)[0] for env in (seeing, blind)]


def test_the_blind_observation_does_not_know_the_target():
    env = REACHER_BLIND.make()
    world = env.unwrapped.world
    env.reset(seed=0)
    data, rows = world.arm.data, []
    for target in ([0.1, 0.1], [-0.1, 0.05]):
        qpos = data.qpos.copy()
        qpos[2:] = target
        world.arm.set_state(qpos, data.qvel.copy())
        rows.append(world.observe(world.arm._get_obs()))
    assert rows[0] == pytest.approx(rows[1], abs=1e-12)
    assert len(rows[0]) == 8
