"""The expert of HandReach and the geometry that it solves."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from smore_lit.worlds import hand
from smore_lit.worlds.experts import Noisy, expert
from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts, play

TASK = load_task("HandReach")


@pytest.fixture(scope="module")
def pool():
    with Rollouts(TASK.make, 10, 0) as worlds:
        yield worlds


@pytest.fixture(scope="module")
def start(pool):
    return {key: value[0] for key, value in pool.reset([0]).items()}


def collect(pool, policy, seeds):
    rounds = []
    for first in range(0, len(seeds), pool.slots):
        some = seeds[first : first + pool.slots]
        acts = [policy(np.random.default_rng([1, seed])) for seed in some]
        rounds.append(play(pool, acts, some, TASK.horizon))
    return {k: np.concatenate([r[k] for r in rounds]) for k in rounds[0]}


def reached(data):
    goals = data["desired_goals"][:, None]
    return TASK.reward(data["achieved_goals"], goals)


def test_importing_brings_in_no_simulator():
    code = (
        "import sys, smore_lit.worlds.hand\n"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'gymnasium_robotics'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert out.stdout.decode().strip() == "[]" and not out.stderr


def test_missing_model_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install") as caught:
        hand.hand_file()
    assert "\n" not in str(caught.value)


def test_task_finds_its_expert():
    assert expert(TASK) == hand.HandExpert()


def test_copy_agrees_with_the_simulator_one_substep_ago():
    env = TASK.make()
    copy = hand.load_hand()
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    model = env.unwrapped.model
    assert (copy.model.actuator_ctrlrange == model.actuator_ctrlrange).all()
    assert (copy.stiffness == -model.actuator_biasprm[:, 1]).all()
    for _ in range(5):
        state = env.step(rng.uniform(-1, 1, 20).astype(np.float32))[0]
        angles, speed = state["observation"][:48].reshape(2, 24)
        copy.place(angles - model.opt.timestep * speed)
        assert np.allclose(copy.tips(), state["achieved_goal"], atol=1e-12)
    env.close()


def test_followers_keep_the_tendons_at_rest():
    copy = hand.load_hand()
    rng = np.random.default_rng(0)
    pose = rng.uniform(copy.low, copy.high)
    copy.place(copy.follow @ pose)
    copy.mujoco.mj_fwdPosition(copy.model, copy.data)
    for finger in ("FF", "MF", "RF", "LF"):
        length = copy.data.tendon(f"robot0:T_{finger}J1c").length
        assert abs(length[0]) < 1e-12


def test_jacobians_against_differences():
    copy = hand.load_hand()
    rng = np.random.default_rng(1)
    pose = rng.uniform(copy.low, copy.high)
    copy.place(copy.follow @ pose)
    exact, numeric = copy.jacobian(), np.zeros((15, 20))
    for i, unit in enumerate(np.eye(20)):
        ends = []
        for sign in (1, -1):
            copy.place(copy.follow @ (pose + sign * 1e-6 * unit))
            ends.append(copy.tips())
        numeric[:, i] = (ends[0] - ends[1]) / 2e-6
    assert np.allclose(exact, numeric, atol=1e-7)


def test_rows_of_touches_part_the_bodies(start):
    copy, goal = hand.load_hand(), start["desired_goal"]
    angles = start["observation"][:24].astype(float)
    pose = hand.solve_pose(copy, angles, goal, press=0.0, iterations=20)
    band = angles - copy.follow @ angles[copy.joints]
    copy.place(copy.follow @ pose + band)
    rows, depths = hand.find_touches(copy)
    assert len(depths) >= 1 and depths.max() > 0.003
    apart = 0.02 * rows[depths.argmax()] / np.linalg.norm(rows, axis=1).max()
    for scale in (0.05, 0.1):
        copy.place(copy.follow @ (pose + scale * apart) + band)
        less = depths.max() - hand.find_touches(copy)[1].max()
        expected = scale * rows[depths.argmax()] @ apart
        assert abs(less - expected) < 0.1 * expected


def test_step_without_walls_is_damped_least_squares():
    rng = np.random.default_rng(0)
    A, e = rng.standard_normal((15, 20)), rng.standard_normal(15)
    far = 1e6 * np.ones(20)
    step = hand.step_in_box(A, e, -far, far, 0.3)
    stacked = np.vstack([A, 0.3 * np.eye(20)])
    exact = np.linalg.lstsq(stacked, np.append(e, np.zeros(20)), rcond=None)
    assert np.allclose(step, exact[0], atol=1e-10)


@pytest.mark.parametrize("walls", [0.01, 0.3, 2.0])
def test_step_is_the_minimiser_in_the_box(walls):
    rng = np.random.default_rng(0)
    for _ in range(30):
        A, e = rng.standard_normal((15, 20)), rng.standard_normal(15)
        low, high = -walls * rng.random(20), walls * rng.random(20)
        low[3] = high[7] = 0.0
        step = hand.step_in_box(A, e, low, high, 0.1)
        assert (step >= low).all() and (step <= high).all()
        stacked = np.vstack([A, 0.1 * np.eye(20)])
        target = np.append(e, np.zeros(20))
        best = 2 * lsq_linear(stacked, target, (low, high), tol=1e-14).cost
        ours = ((stacked @ step - target) ** 2).sum()
        assert abs(ours - best) < 1e-8


def test_step_in_a_box_of_no_width_is_nothing():
    still = np.zeros(20)
    assert not hand.step_in_box(
        np.ones((15, 20)), np.ones(15), still, still, 0.1
    ).any()


def test_pose_lies_within_the_ranges_and_leaves_inputs_alone(start):
    copy = hand.load_hand()
    angles = start["observation"][:24].astype(float)
    goal = start["desired_goal"].copy()
    before = angles.copy(), goal.copy()
    pose = hand.solve_pose(copy, angles, goal)
    assert (pose >= copy.low).all() and (pose <= copy.high).all()
    assert (angles == before[0]).all() and (goal == before[1]).all()
    stay = hand.solve_pose(copy, angles, start["achieved_goal"])
    assert (stay == angles[copy.joints]).all()


def test_policies_pickle_and_repeat(start):
    for policy in (hand.HandExpert(), Noisy(hand.HandExpert())):
        twin = pickle.loads(pickle.dumps(policy))
        assert twin == policy
        pair = start["observation"], start["desired_goal"]
        acts = [p(np.random.default_rng(3)) for p in (policy, twin)]
        for _ in range(3):
            first, second = (act(*pair) for act in acts)
            assert first.shape == (20,) and (first == second).all()
            assert np.abs(first).max() <= 1


def test_episodes_do_not_disturb_each_other(pool):
    together = collect(pool, hand.HandExpert(), [3, 4, 7, 8])
    for i, seed in enumerate((3, 4, 7, 8)):
        alone = collect(pool, hand.HandExpert(), [seed])
        for key in together:
            assert (alone[key][0] == together[key][i]).all()


def test_the_expert_sees_only_the_observation(start):
    state = start["observation"].copy(), start["desired_goal"].copy()
    first = hand.HandExpert()(None)(*state)
    copy = hand.load_hand()
    copy.place(np.zeros(24))
    again = hand.HandExpert()(np.random.default_rng(9))(*state)
    assert (first == again).all()
    assert (state[0] == start["observation"]).all()
    assert (state[1] == start["desired_goal"]).all()


def test_expert_reaches_what_can_be_reached(pool):
    hits = reached(collect(pool, hand.HandExpert(), range(500, 520)))
    assert hits[:, -1].mean() >= 0.8
    assert (hits[:, -1] >= hits[:, 20]).mean() >= 0.9
    assert hits[:, 1:].sum(axis=1).mean() > 30


def test_noise_of_the_benchmark_is_too_much_for_a_hand(pool):
    noisy = collect(pool, Noisy(hand.HandExpert()), range(500, 510))
    goals = noisy["desired_goals"]
    gap = TASK.distance(noisy["achieved_goals"], goals[:, None])
    away = gap[:, 0] > TASK.threshold
    assert reached(noisy)[:, -1].mean() <= 0.2
    assert np.median(gap[away, 20:]) < 0.5 * np.median(gap[away, 0])
