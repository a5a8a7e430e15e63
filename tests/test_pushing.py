"""The experts of FetchPush, FetchPick and FetchSlide."""

import importlib.util
import pickle
from math import hypot
from pathlib import Path

import numpy as np
import pytest

from smore_lit.worlds import pushing
from smore_lit.worlds.experts import expert
from smore_lit.worlds.tasks import load_task
from smore_lit.running.rollouts import Rollouts, play

EXPERTS = {
    "FetchPush": pushing.PushExpert(),
    "FetchPick": pushing.PickExpert(),
    "FetchSlide": pushing.SlideExpert(),
}
FLOOR = {"FetchPush": 0.95, "FetchPick": 0.95, "FetchSlide": 0.7}
ROOT = Path(__file__).resolve().parents[1]


def collect(name, seeds):
    task = load_task(name)
    with Rollouts(task.make, len(seeds), 0) as pool:
        acts = [EXPERTS[name](np.random.default_rng(s)) for s in seeds]
        return play(pool, acts, seeds, task.horizon)


@pytest.fixture(scope="module", params=list(EXPERTS))
def played(request):
    return request.param, collect(request.param, range(3000, 3020))


def test_success_over_twenty_seeds(played):
    name, data = played
    task, goals = load_task(name), data["desired_goals"]
    reached = task.reward(data["achieved_goals"][:, -1], goals)
    assert reached.mean() >= FLOOR[name]


def test_actions_depend_on_observation_and_goal_only(played):
    name, data = played
    policy = pickle.loads(pickle.dumps(EXPERTS[name]))
    assert policy == EXPERTS[name]
    for k in range(4):
        act = policy(np.random.default_rng(99 + k))
        goal = data["desired_goals"][k]
        for seen, done in zip(data["observations"][k], data["actions"][k]):
            assert (np.float32(act(seen, goal)) == done).all()
            assert np.abs(done).max() <= 1


@pytest.mark.parametrize("name", EXPERTS)
def test_registry_knows_them(name):
    assert expert(load_task(name)) == EXPERTS[name]


def test_act_does_not_share_phases():
    one, two = (pushing.PushExpert()(None) for _ in range(2))
    one.phase = "push"
    assert two.phase == "approach"


@pytest.mark.parametrize("name", ["FetchPush", "FetchSlide"])
def test_phases_come_in_order(name):
    env, act = load_task(name).make(), EXPERTS[name](None)
    state, _ = env.reset(seed=3000)
    phases = []
    for _ in range(50):
        seen = np.float32(state["observation"])
        action = act(seen, np.float32(state["desired_goal"]))
        if not phases or phases[-1] != act.phase:
            phases.append(act.phase)
        state = env.step(np.float32(action))[0]
    assert phases[0] == "approach"
    assert phases[1] in ("push", "strike") and phases[2] == "rest"


def test_pick_reads_its_rule_off_the_state():
    act, goal = pushing.PickExpert().act, np.array([1.3, 0.7, 0.6])
    seen = np.zeros(25)
    seen[3:6] = 1.3, 0.7, 0.425
    seen[:3] = seen[3:6] - (0.1, 0.0, -0.1)
    seen[6:9] = seen[3:6] - seen[:3]
    assert np.allclose(act(seen, goal), [1, 0, -1, 1])
    seen[6:9] = 0.0, 0.0, -0.06
    assert np.allclose(act(seen, goal), [0, 0, -1, 1])
    seen[6:9], seen[9:11] = 0.0, 0.05
    assert np.allclose(act(seen, goal), [0, 0, 0, -1])
    seen[9:11] = 0.024
    assert np.allclose(act(seen, goal), [0, 0, 1, -1])


def test_glide_agrees_with_integrating_the_pyramid(monkeypatch):
    monkeypatch.setattr(pushing, "DRAG", 0.0)
    rng = np.random.default_rng(0)
    for v in rng.uniform(-1, 1, (5, 2)):
        p, w, dt = np.zeros(2), v.copy(), 1e-4
        while np.abs(w).max() > 1e-3:
            hard = np.abs(w) >= np.abs(w).max() - 1e-3
            w -= dt * pushing.BRAKE * np.sign(w) * hard / hard.sum()
            p += dt * w
        assert np.allclose(pushing.glide(*v), p, atol=3e-3)


def test_launch_inverts_glide():
    for v in np.random.default_rng(1).uniform(-1.2, 1.2, (50, 2)):
        assert np.allclose(pushing.launch(*pushing.glide(*v)), v)


def test_way_behind_rises_over_the_object():
    go = pushing.go_behind
    move, left = go(0.42, (0.2, 0.0), (-1.0, 0.0), 0.06, 0.42, 0.48, 0.05)
    assert left == pytest.approx(0.26) and np.allclose(move, (0.26, 0, 0.06))
    move, _ = go(0.42, (0.05, 0.0), (-1.0, 0.0), 0.06, 0.42, 0.48, 0.05)
    assert np.allclose(move, (0, 0, 0.06))
    move, left = go(0.42, (0.2, 0.0), (1.0, 0.0), 0.06, 0.42, 0.48, 0.05)
    assert left == pytest.approx(0.14) and np.allclose(move, (0.14, 0, 0))


def load_script():
    path = ROOT / "benchmarks" / "strike_map.py"
    spec = importlib.util.spec_from_file_location("strike_map", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_stored_map_is_the_fit_of_the_stored_strikes():
    script, stored = load_script(), pushing.load_strikes()
    rows = script.read_rows(script.STRIKES)
    for flat, kind in ((True, "flat"), (False, "corner")):
        for part, ours in zip(("turn", "size"), script.fit_map(rows, flat)):
            assert np.allclose(ours, stored[f"{kind}_{part}"], atol=2e-3)


def test_glide_foretells_the_stored_glides():
    script = load_script()
    rows = np.array(script.read_rows(script.GLIDES))
    rows = rows[(rows[:, 6] > 0.4) & (rows[:, 7] < 0.03)]
    ends = np.array([pushing.glide(*v) for v in rows[:, 2:4]])
    assert np.median(np.hypot(*(ends - rows[:, 4:6]).T)) < 0.025


def test_sides_of_a_strike():
    assert [pushing.choose_side(a, 0.8) for a in (0.1, -0.1, 0.5)] == [
        1,
        -1,
        0,
    ]
    assert pushing.choose_side(0.1, 0.2) == 0
    right, left = (pushing.choose_strike(0.5, y)[2] for y in (0.1, -0.1))
    assert (right, left) == (1, -1)


def test_flat_features_mirror():
    one, two = (pushing.flat_features(s * 0.2, 0.8, s) for s in (1, -1))
    assert np.allclose(one[0][:12], -np.array(two[0][:12]))
    assert np.allclose(one[1][:12], two[1][:12])


def test_a_flat_strike_meets_the_middle_of_a_finger():
    expert = pushing.SlideExpert(strike=(0.2, 0.8, -1))
    act = expert(None)
    u, reach = act.stand((0.5, 0.0))
    back = np.multiply(u, reach) - expert.run * np.array(act.blow)
    assert np.allclose(back, (expert.face[0], -expert.face[1]))


def test_stronger_strikes_for_farther_goals():
    sizes = [pushing.choose_strike(x, 0.0)[1] for x in (0.15, 0.3, 0.5, 0.7)]
    assert (np.diff(sizes) > 0).all() and hypot(*sizes[:2]) > 0.1
