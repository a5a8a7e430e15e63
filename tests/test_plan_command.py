"""smore-lit plan: one folder for one problem, nothing done in vain."""

import json

import numpy as np
import pytest
import torch

from smore_lit.appendix import cli
from smore_lit.data import foreign
from smore_lit.planning import offline, running
from smore_lit.planning.planners import Descent
from smore_lit.worlds.environments import find_goal_index
from smore_lit.worlds.tasks import Task


def call(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def test_planners_of_a_problem_share_a_folder(tmp_path, capfd):
    words = "plan", "cartpole", "--updates", 2, "--out", tmp_path / "p"
    for planner in ("none", "sgp"):
        assert call(*words, "--planner", planner) == 0
    for planner in ("none", "sgp"):
        held = json.loads((tmp_path / f"p/{planner}.json").read_text())
        assert held["planner"] == planner and held["problem"] == "cartpole"
        assert (tmp_path / f"p/{planner}.gif").exists()
    before = sorted((tmp_path / "p").rglob("*"))
    capfd.readouterr()
    assert call("plan", "hole", "--out", tmp_path / "p") == 2
    error = capfd.readouterr().err
    assert "holds plans of cartpole, not of hole" in error
    assert error.count("\n") == 1
    assert sorted((tmp_path / "p").rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "due"),
    [
        ("--planner ensemble --members 1", "one model cannot disagree"),
        ("--planner cem --penalty ensemble --members 1", "--members 2"),
        ("--out /proc/nothing", "/proc/nothing"),
        (f"--seed {2**64}", "to 9007199254740992"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_learned(
    words, due, capfd, monkeypatch
):
    def learn(*_, **__):
        raise AssertionError("learned")

    monkeypatch.setattr(running.Running, "learn", learn)
    assert call("plan", "locomotion", *words.split()) == 2
    error = capfd.readouterr().err
    assert due in error and error.count("\n") <= 2


@pytest.mark.parametrize("folder", [False, True])
def test_an_interrupted_plan_says_what_is_kept(
    folder, tmp_path, capfd, monkeypatch
):
    def learn(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(running.Running, "learn", learn)
    more = ("--out", tmp_path / "p") if folder else ()
    assert call("plan", "hopper", *more) == 130
    error = capfd.readouterr().err
    assert ("the same command goes on" in error) == folder


def test_nothing_is_planned_for_robots_that_have_fallen():
    torch.set_num_threads(1)
    asked = []

    class Limp(offline.Replanner):
        def plan(self, states):
            asked.append(len(states))
            return super().plan(states)

    tiny = running.Running("hopper", episodes=2, updates=3, length=2)
    known = tiny.learn(0, members=1)
    method = offline.Method("none", descent=Descent(1, 0.05))

    def cost(x, u):
        return running.running_cost(x, u, "hopper")

    run = running.drive(Limp(known, cost, method, 2, 1), [0, 1], 300, "hopper")
    lasted = (~run.fallen[:-1]).sum(dim=0)
    assert len(asked) == lasted.max() < 300
    assert run.states.shape == (301, 2, 11) and run.actions.shape[0] == 300
    assert (run.rewards[lasted.max() :] == 0).all()
    for found, last, b in zip(running.judge_run(known, run), lasted, (0, 1)):
        due = -run.promised[:last, b].mean()
        assert found.model_cost == pytest.approx(float(due))
        assert len(found.actions) == last


@pytest.mark.parametrize(
    ("quality", "robot"), [("expert", "hopper"), ("medium", "ant")]
)
def test_no_other_runner_is_recorded_for_an_unknown_one(quality, robot):
    with pytest.raises(ValueError, match="unknown"):
        running.record_runs(quality, 1, 0, robot)


def test_whole_numbers_of_any_type_are_taken():
    found = running.Running(episodes=2.0, attempts=np.int64(2), steps=3.0)
    kinds = {
        type(getattr(found, n)) for n in ("episodes", "attempts", "steps")
    }
    assert kinds == {int}
    task = Task.from_env("FetchReach-v4", max_episode_steps=np.int64(10))
    assert task.horizon == 10
    with pytest.raises(ValueError, match="max_episode_steps"):
        Task.from_env("FetchReach-v4", max_episode_steps=0)


def test_a_goal_that_never_moves_is_not_guessed():
    rows = np.zeros((5, 4))
    rows[:, 1:3] = np.random.default_rng(0).normal(size=(5, 2))
    assert find_goal_index(rows, rows[:, 3:]) is None
    assert find_goal_index(rows, rows[:, 1:2]) == (1,)


def test_halves_of_other_lengths_are_padded():
    rng = np.random.default_rng(0)

    def half(steps):
        return {
            "observations": rng.normal(size=(10, steps + 1, 3)),
            "achieved_goals": rng.normal(size=(10, steps + 1, 1)),
            "desired_goals": np.ones((10, 1)),
            "actions": rng.normal(size=(10, steps, 2)),
        }

    short, long = half(4), half(6)
    mixed = foreign.mix(short, long, 20)
    assert {len(x["lengths"]) for x in mixed.values()} == {2, 8}
    random = mixed["random"]
    assert (random["lengths"] == 4).all()
    assert (mixed["expert"]["lengths"] == 6).all()
    assert random["actions"].shape == (8, 6, 2)
    assert (random["actions"][:, 4:] == 0).all()
    np.testing.assert_array_equal(
        random["observations"][:, 4:],
        np.repeat(short["observations"][:8, 4:], 3, axis=1),
    )
