"""The rebuilt Sawyer tasks: numbers, bits, door and box."""

import subprocess
import sys

import numpy as np
import pytest

from smore_lit.worlds import sawyer
from smore_lit.worlds.tasks import load_task

NAMES = ("SawyerReach", "SawyerDoor")


@pytest.fixture(scope="module")
def worlds():
    return {name: getattr(sawyer, name)() for name in NAMES}


def frame(world):
    return world.data.mocap_pos[0].copy()


@pytest.mark.parametrize("name", NAMES)
def test_action_moves_the_frame_by_two_centimetres_in_its_box(worlds, name):
    world, rng = worlds[name], np.random.default_rng(0)
    world.reset(rng)
    low, high = np.array(world.low), np.array(world.high)
    expected = np.array(world.start)
    for _ in range(20):
        action = rng.uniform(-1, 1, 3)
        expected = np.clip(expected + 0.02 * action, low, high)
        world.step(action)
        assert np.allclose(frame(world), expected, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_hand_follows_the_frame(worlds, name):
    world = worlds[name]
    world.reset(np.random.default_rng(0))
    centre = (np.array(world.low) + world.high) / 2
    centre[1] = world.low[1] + 0.02  # clear of the door
    for _ in range(25):
        hand = world.step(((centre - frame(world)) / 0.02).clip(-1, 1))[:3]
    assert np.linalg.norm(hand - centre) < 0.003


def test_numbers_of_the_old_tasks(worlds):
    steps = {"SawyerReach": 0.002, "SawyerDoor": 0.003}
    weld = {"SawyerReach": 0.01, "SawyerDoor": 0.005}
    for name, world in worlds.items():
        assert world.model.opt.timestep == steps[name]
        assert world.model.eq_solref[0].tolist() == [weld[name], 1]
        assert world.model.opt.integrator == 0
        observation, _ = world.reset(np.random.default_rng(1))
        before = world.data.time
        world.step(np.zeros(3))
        assert np.isclose(world.data.time - before, 50 * steps[name])
        assert np.allclose(observation[:3], world.start, atol=3e-3)
    door = worlds["SawyerDoor"].model.joint("doorjoint")
    assert np.allclose(door.range, [0, 1.0472])
    assert worlds["SawyerDoor"].model.dof_damping[door.dofadr[0]] == 0.1


def test_goals_fill_their_range(worlds):
    rng = np.random.default_rng(0)
    reach = np.array(
        [worlds["SawyerReach"].draw_goal(rng) for _ in range(999)]
    )
    door = np.array([worlds["SawyerDoor"].draw_goal(rng) for _ in range(999)])
    for goals, low, high in (
        (reach, (-0.2, 0.55, 0.05), (0.2, 0.75, 0.3)),
        (door, (0,), (0.83,)),
    ):
        width = np.subtract(high, low)
        assert (goals >= low).all() and (goals <= high).all()
        assert (goals.min(0) < low + 0.02 * width).all()
        assert (goals.max(0) > high - 0.02 * width).all()


def test_door_moves_toward_the_arm_and_only_when_touched(worlds):
    world = worlds["SawyerDoor"]
    observation, _ = world.reset(np.random.default_rng(0))
    assert observation[3] == 0
    bar = world.model.geom("bar").id
    before = world.data.geom_xpos[bar].copy()
    for _ in range(5):
        assert abs(world.step([0, -1, 1])[3]) < 1e-3
    world.data.qpos[world.door] = 0.5
    world.mujoco.mj_forward(world.model, world.data)
    assert world.data.geom_xpos[bar][1] < before[1] - 0.1
    out = world.data.geom_xpos[bar][:2] - sawyer.HINGE
    assert np.isclose(np.hypot(*out), np.hypot(0.26, 0.06))


@pytest.mark.parametrize("name", NAMES)
def test_episode_depends_on_its_seed_alone(name):
    task = load_task(name)
    moves = np.random.default_rng(0).uniform(-1, 1, (6, 3))

    def replay(env, seed):
        path = [env.reset(seed=seed)[0]]
        path += [env.step(move)[0] for move in moves]
        return np.array([np.concatenate(list(s.values())) for s in path])

    env = task.make()
    first = replay(env, 3)
    env.step(np.ones(3))
    assert not (replay(env, 4) == first).all()
    assert (replay(env, 3) == first).all()
    assert (replay(task.make(), 3) == first).all()


def test_door_reports_two_thresholds():
    task = load_task("SawyerDoor")
    goal = np.array([0.4])
    for angle, reward, success in (
        (0.41, 1, 1), (0.45, 1, 0), (0.35, 1, 0), (0.47, 0, 0)
    ):  # fmt: skip
        pair = np.array([angle]), goal
        assert (task.reward(*pair), task.success(*pair)) == (reward, success)


def test_missing_metaworld_is_one_line():
    code = (
        "import importlib.util as u; f = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'metaworld' else f(n, *a)\n"
        "from smore_lit.worlds.tasks import load_task\n"
        "try: load_task('SawyerDoor').make()\n"
        "except ValueError as e: print(e)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    (line,) = result.stdout.splitlines()
    assert "SawyerDoor does not open" in line and "metaworld" in line
    assert "smore_lit[robotics]" in line
