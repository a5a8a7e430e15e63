"""Experts of Reacher, SawyerReach and SawyerDoor."""

import pickle

import numpy as np
import pytest

from smore_lit.worlds import inverse_kinematics as ik
from smore_lit.worlds.experts import Noisy, expert
from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts, play

NAMES = ("Reacher", "ReacherBlind", "SawyerReach", "SawyerDoor")


def tip(angles):
    total = np.cumsum(angles)
    return np.array([np.cos(total), np.sin(total)]) @ ik.LINKS


def test_links_by_hand():
    straight = ik.solve_links(np.array([0.21, 0.0]), np.zeros(2))
    assert np.allclose(straight, 0, atol=1e-6)
    square = np.array([0.1, 0.11])  # elbow bent by a right angle
    assert np.allclose(ik.solve_links(square, np.array([0.1, 1.5])),
                       [-0.1, np.pi / 2 - 1.5])  # fmt: skip


def test_links_reach_and_choose_the_shorter_way():
    rng = np.random.default_rng(0)
    for _ in range(200):
        angles = rng.uniform(-3, 3, 2)
        goal = tip(rng.uniform(-3, 3, 2))
        if not 0.011 < np.hypot(*goal) < 0.2099:
            continue
        move = ik.solve_links(goal, angles)
        assert np.allclose(tip(angles + move), goal, atol=1e-8)
        assert abs(move[0]) <= np.pi and abs(angles[1] + move[1]) <= np.pi


def test_polar_round_trip():
    for angle in (0.0, 0.3, 0.9):
        place = ik.from_polar(angle, 0.27)
        assert np.allclose(ik.to_polar(place), (angle, 0.27))


@pytest.mark.parametrize("name", NAMES)
def test_policies_pickle_and_share_nothing_between_episodes(name):
    task = load_task(name)
    policy = expert(task)
    twin = pickle.loads(pickle.dumps(policy))
    rng = np.random.default_rng(0)
    states = rng.uniform(0.1, 0.6, (6, task.observation_size))
    goal = rng.uniform(0.1, 0.15, task.goal_size)
    acts = [policy(None), twin(None)]
    paths = [[act(state, goal) for state in states] for act in acts]
    again = [policy(None)(states[0], goal)]
    assert (np.array(paths[0]) == np.array(paths[1])).all()
    assert (again[0] == paths[0][0]).all()
    assert np.abs(paths[0]).max() <= 1
    assert paths[0][0].shape == (task.action_size,)


def final_gaps(name, policy, episodes=40, first=5000):
    task = load_task(name)
    seeds = range(first, first + episodes)
    with Rollouts(task.make, episodes, 0) as pool:
        acts = [policy(np.random.default_rng([1, seed])) for seed in seeds]
        data = play(pool, acts, seeds, task.horizon)
    return task.distance(data["achieved_goals"][:, -1], data["desired_goals"])


@pytest.mark.parametrize("name", NAMES)
def test_expert_is_at_the_goal_at_the_end(name):
    task = load_task(name)
    episodes = 40 if name.startswith("Reacher") else 20
    gaps = final_gaps(name, expert(task), episodes)
    assert (gaps <= task.threshold).all()
    radius = task.success_threshold or task.threshold
    assert (gaps < radius).mean() >= 0.95


def test_spoiled_door_expert_finds_back():
    gaps = final_gaps("SawyerDoor", Noisy(ik.DoorExpert()), 20)
    assert (gaps <= 0.06).mean() >= 0.4
