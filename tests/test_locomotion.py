"""The running robots: worlds, runners, data and what is refused."""

import h5py
import numpy as np
import pytest
import torch

import smore_lit
from smore_lit.appendix.cli import main
from smore_lit.data import datasets, foreign
from smore_lit.running.checkpoints import save_checkpoint
from smore_lit.running.rollouts import Rollouts
from smore_lit.worlds import locomotion

NAMES = [task.name for task in locomotion.FAMILY]
EVERY = pytest.mark.parametrize("name", NAMES)
ROBOTS = pytest.mark.parametrize("robot", list(locomotion.TASKS))


@ROBOTS
def test_the_goal_is_the_velocity_that_the_simulator_has(robot):
    task = locomotion.TASKS[robot]
    env, known = task.make(), locomotion.ROBOTS[robot]
    rng = np.random.default_rng(0)
    state, _ = env.reset(seed=3)
    for _ in range(20):
        velocity = env.unwrapped.world.env.data.qvel[0]
        assert state["achieved_goal"] == [velocity]
        assert state["desired_goal"] == [known.target]
        state, *_ = env.step(rng.uniform(-1, 1, task.action_size))
    for gap, reached in ((0.0, 1), (0.499, 1), (0.5, 0), (-0.5, 0)):
        achieved = np.array([known.target + gap])
        assert task.reward(achieved, state["desired_goal"]) == reached


def test_a_fall_ends_the_episode_in_data_and_nothing_else_does(tmp_path):
    options = dict(size="toy", expert_percent=0, workers=0, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.SIZES, "toy", 4)
        patch.setitem(datasets.SHARD, "toy", 4)
        for name in ("AntTgtVel-r-e", "CheetahTgtVel-r-e"):
            datasets.make_dataset(name, root=tmp_path, **options)
            data = datasets.load_dataset(name, "toy", 0, tmp_path)
            known = smore_lit.as_trajectories(data)
            lengths, height = known.lengths, known.observations[..., 0]
            if name.startswith("Cheetah"):
                assert "lengths" not in data and (lengths == 1_000).all()
                continue
            assert (lengths < 1_000).any()
            for k, length in enumerate(lengths.tolist()):
                inside = height[k, :length]
                assert ((inside >= 0.2) & (inside <= 1.0)).all()
                last = float(height[k, length])
                assert length == 1_000 or not 0.2 <= last <= 1.0
                assert (known.observations[k, length:, 0] == last).all()


@ROBOTS
@pytest.mark.parametrize("quality", ["medium", "expert"])
def test_a_runner_acts_as_its_network_does(robot, quality):
    path = locomotion.runner_path(robot, quality)
    layers = locomotion.read_runner(path, robot)
    seen = np.random.default_rng(0).normal(
        size=locomotion.ROBOTS[robot].states
    )
    x = torch.tensor(seen)
    for weight, bias in layers[:2]:
        x = torch.relu(x @ torch.tensor(weight).double() + torch.tensor(bias))
    mean, log_std = (
        x @ torch.tensor(weight).double() + torch.tensor(bias)
        for weight, bias in layers[2:]
    )
    act = locomotion.Runner(robot, quality)(np.random.default_rng(1))
    rng = np.random.default_rng(1)
    for _ in range(3):
        noise = torch.tensor(rng.standard_normal(len(mean)))
        due = torch.tanh(mean + log_std.clamp(-20, 2).exp() * noise)
        assert np.allclose(act(seen, None), due.numpy(), rtol=0, atol=1e-9)
    assert path.stat().st_size < 1_000_000


@ROBOTS
def test_an_expert_keeps_the_speed_and_a_medium_runner_does_not(robot):
    task, near = locomotion.TASKS[robot], {}
    for quality in ("medium", "expert"):
        with Rollouts(task.make, 4, 0) as pool:
            pairs = [(k, np.random.default_rng(k)) for k in range(4)]
            runner = locomotion.Runner(robot, quality)
            made = pool.perform(runner, pairs, task.horizon)
        goals = made["desired_goals"][:, None]
        reached = task.reward(made["achieved_goals"][:, 1:], goals)
        near[quality] = reached.sum(axis=1).mean()
    assert near["expert"] > 300 > 5 * near["medium"]


@EVERY
def test_a_mixture_names_the_weights_that_made_it(name):
    task = smore_lit.load_task(name)
    robot = task.env_kwargs["robot"]
    for half, quality in (("expert", "expert"), ("random", "medium")):
        recipe = datasets.half_recipe(task, half, 0)
        if quality == "medium" and "-r-" in name:
            assert recipe["policy"].startswith("RandomPolicy")
            continue
        data = locomotion.runner_path(robot, quality).read_bytes()
        assert datasets.digest(data) in recipe["policy"]


def broken(kind, path):
    if kind == "absent":
        return "No such file"
    robot = "ant" if kind == "another robot's" else "halfcheetah"
    data = locomotion.runner_path(robot, "expert").read_bytes()
    if kind == "empty":
        save_checkpoint(path, {"network": {}}, {})
        return "holds no runner"
    if kind == "of text":
        save_checkpoint(path, {"network": {"first.weight": "1"}}, {})
        return "holds no runner"
    path.write_bytes(data[:-1000] if kind == "truncated" else data)
    return "no runner of the halfcheetah" if robot == "ant" else "damaged"


@pytest.mark.parametrize(
    "kind", ["absent", "empty", "of text", "truncated", "another robot's"]
)
def test_a_broken_policy_is_refused_in_one_line(kind, tmp_path):
    path = tmp_path / "runner.pt"
    said = broken(kind, path)
    with pytest.raises((ValueError, OSError), match=said) as error:
        locomotion.read_runner(path, "halfcheetah")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("columns", [27, 105, 111])
def test_public_ants_lose_their_contact_forces(columns, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "ant.hdf5"
    states = rng.normal(size=(60, columns)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["observations"] = states
        file["actions"] = rng.uniform(-1, 1, (60, 8)).astype(np.float32)
        file["terminals"] = np.zeros(60, bool)
        file["timeouts"] = np.arange(60) % 20 == 19
    found = foreign.read_foreign(path, "d4rl", "AntTgtVel-m-e", goal=5.0)
    assert (found["observations"].reshape(60, 27) == states[:, :27]).all()
    assert (found["desired_goals"] == 5).all()
    assert (found["achieved_goals"][0, :, 0] == states[:20, 13]).all()
    with pytest.raises(ValueError, match="27 columns"):
        with h5py.File(path, "a") as file:
            del file["observations"]
            file["observations"] = states[:, :20]
        foreign.read_foreign(path, "d4rl", "AntTgtVel-m-e", goal=5.0)


def test_unknown_data_of_a_robot_end_in_one_line(tmp_path, capsys):
    words = ["data", "info", "CheetahTgtVel-m-e", "--root", str(tmp_path)]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "--expert-percent 3" in told


def write_falls(path, lengths):
    """Write a file of D4RL with falls at the ends of short episodes."""
    rng = np.random.default_rng(0)
    rows = sum(lengths)
    ends = np.cumsum(lengths) - 1
    fallen = np.isin(np.arange(rows), ends[np.array(lengths) < 30])
    states = rng.normal(size=(rows, 111)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["observations"] = states
        file["actions"] = rng.uniform(-1, 1, (rows, 8)).astype(np.float32)
        file["terminals"] = fallen
        file["timeouts"] = np.isin(np.arange(rows), ends) & ~fallen
    return states[:, :27]


def test_public_falls_become_short_episodes(tmp_path):
    lengths = [30, 7, 1, 30, 2]  # rows; one falls in its first step
    path = tmp_path / "ant.hdf5"
    states = write_falls(path, lengths)
    found = foreign.read_foreign(path, "d4rl", "AntTgtVel-m-e", goal=5.0)
    known = smore_lit.as_trajectories(found)
    assert known.lengths.tolist() == [29, 6, 29, 1]
    firsts = [0, 30, 38, 68]
    for k, (first, length) in enumerate(zip(firsts, known.lengths.tolist())):
        rows = first + np.minimum(np.arange(30), length)
        assert (known.observations[k].numpy() == states[rows]).all()
        assert (known.actions[k, length:] == 0).all()
    folder = tmp_path / "kept"
    made = foreign.import_dataset(
        path, "d4rl", "AntTgtVel-m-e", out=folder, goal=5.0
    )
    again = smore_lit.read_dataset(made, "AntTgtVel-m-e")
    assert (again["lengths"] == found["lengths"]).all()
    assert (again["observations"] == found["observations"]).all()


def test_falls_from_the_first_row_on_are_no_data(tmp_path):
    path = tmp_path / "ant.hdf5"
    write_falls(path, [1, 1, 1])
    with pytest.raises(ValueError, match="no episode has") as error:
        foreign.read_foreign(path, "d4rl", "AntTgtVel-m-e", goal=5.0)
    assert "\n" not in str(error.value)


def test_cheetahs_of_unequal_length_are_refused(tmp_path):
    path = tmp_path / "cheetah.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.zeros((50, 17), np.float32)
        file["actions"] = np.zeros((50, 6), np.float32)
        file["terminals"] = np.arange(50) == 19
        file["timeouts"] = np.arange(50) == 49
    with pytest.raises(ValueError, match="19 to 29 steps"):
        foreign.read_foreign(path, "d4rl", "CheetahTgtVel-m-e", goal=11.0)


def test_one_command_mixes_two_public_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, shift in (("medium", 5.0), ("expert", 11.0)):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            states = rng.normal(size=(4_000, 17)).astype(np.float32)
            states[:, 8] += shift
            file["observations"] = states
            file["actions"] = np.zeros((4_000, 6), np.float32)
            file["terminals"] = np.zeros(4_000, bool)
            file["timeouts"] = np.arange(4_000) % 20 == 19
    words = ["data", "import", str(tmp_path / "medium.hdf5")]
    words += ["--format", "d4rl", "--task", "CheetahTgtVel-m-e"]
    words += ["--goal", "11", "--expert", str(tmp_path / "expert.hdf5")]
    assert main([*words, "--out", str(tmp_path / "kept")]) == 0
    assert "6 expert, 194 random episodes" in capsys.readouterr().out
    (made,) = (tmp_path / "kept").glob("*.json")
    data = smore_lit.read_dataset(made, "CheetahTgtVel-m-e")
    speeds = data["achieved_goals"].mean(axis=(1, 2))
    assert (speeds[:6] > 10).all() and (speeds[6:] < 6).all()
