"""Foreign files: read what was published, refuse the rest in one line."""

import io
import json
import os
import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import minari
import numpy as np
import pytest

from smore_lit.appendix import cli
from smore_lit.data import datasets, foreign
from smore_lit.worlds.tasks import load_task

TASK = load_task("FetchReach")
DATA = {k: v[:6] for k, v in datasets.tiny_dataset(TASK).items()}
TINY = Path(datasets.__file__).parents[1] / "assets/FetchReach/tiny-10.json"
CHEETAH = replace(
    TASK,
    name="CheetahTgtVel",
    observation_size=17,
    action_size=6,
    goal_size=1,
    goal_index=(8,),
)


def buffer_of(data=DATA):
    """The published layout: 50 states, 49 actions, double precision."""
    return {
        "o": data["observations"][:, :50].astype(float),
        "ag": data["achieved_goals"][:, :50].astype(float),
        "g": np.repeat(data["desired_goals"][:, None], 49, 1).astype(float),
        "u": data["actions"][:, :49].astype(float),
    }


def flat_of(data=DATA):
    """One row per state; the last action of an episode is a filler."""
    fillers = np.zeros_like(data["actions"][:, :1])
    actions = np.concatenate([data["actions"], fillers], 1)
    return {
        "observations": data["observations"].reshape(-1, 10),
        "actions": actions.reshape(-1, 4),
        "terminals": np.tile(np.arange(51) == 50, len(actions)),
    }


def write_d4rl(path, change=lambda file: None, **options):
    flat = flat_of()
    with h5py.File(path, "w") as file:
        for name in ("observations", "actions"):
            file.create_dataset(name, data=flat[name], **options)
        file["rewards"] = np.zeros(len(flat["actions"]), np.float32)
        file["terminals"] = np.zeros(len(flat["actions"]), bool)
        file["timeouts"] = flat["terminals"]
        file["infos/qpos"] = np.zeros((len(flat["actions"]), 3))
        change(file)
    return path


def write_minari_by_hand(path, change=lambda file: None):
    with h5py.File(path, "w") as file:
        for i in range(3):
            place = file.create_group(f"episode_{i}")
            place["actions"] = DATA["actions"][i]
            states = place.create_group("observations")
            states["observation"] = DATA["observations"][i]
            states["achieved_goal"] = DATA["achieved_goals"][i]
            goals = np.repeat(DATA["desired_goals"][i : i + 1], 51, 0)
            states["desired_goal"] = goals
        change(file)
    return path


def refused(form, path, *words, task=TASK, **options):
    with pytest.raises(ValueError) as caught:
        foreign.read_foreign(path, form, task, **options)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    assert str(path) in line
    for word in words:
        assert word in line, line


# what was published


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["<f8", "<f4"])
def test_buffer(protocol, kind, tmp_path):
    path = tmp_path / "buffer.pkl"
    arrays = {k: v.astype(kind) for k, v in buffer_of().items()}
    path.write_bytes(pickle.dumps(arrays, protocol))
    found = foreign.read_foreign(path, "buffer", TASK)
    assert found["actions"].shape == (6, 49, 4)
    assert found["observations"].shape == (6, 50, 10)
    for name, steps in (("observations", 50), ("achieved_goals", 50)):
        assert (found[name] == DATA[name][:, :steps]).all()
    assert (found["actions"] == DATA["actions"][:, :49]).all()
    assert (found["desired_goals"] == DATA["desired_goals"]).all()
    assert all(array.dtype == np.float32 for array in found.values())


def test_buffer_with_old_names_and_columns_first(tmp_path):
    path = tmp_path / "buffer.pkl"
    arrays = {k: np.asfortranarray(v) for k, v in buffer_of().items()}
    data = pickle.dumps(arrays, 3)
    data = data.replace(b"numpy._core", b"numpy.core")
    path.write_bytes(data)
    found = foreign.read_foreign(path, "buffer", TASK)
    assert (found["actions"] == DATA["actions"][:, :49]).all()


def test_buffer_of_another_process(tmp_path):
    """Arrays that are views, and shared keys, pickle in other ways."""
    arrays = {k: v[::2, ..., ::1] for k, v in buffer_of().items()}
    path = tmp_path / "buffer.pkl"
    with open(path, "wb") as file:
        pickle.Pickler(file, 4).dump(arrays)
    found = foreign.read_foreign(path, "buffer", TASK)
    assert (found["actions"] == DATA["actions"][::2, :49]).all()


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_d4rl(options, tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5", **options)
    found = foreign.read_foreign(path, "d4rl", TASK)
    assert (found["observations"] == DATA["observations"]).all()
    assert (found["actions"] == DATA["actions"]).all()
    assert (found["desired_goals"] == DATA["achieved_goals"][:, -1]).all()


def test_d4rl_full_episodes_have_999_transitions(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "cheetah.hdf5", "w") as file:
        states = rng.normal(size=(3000, 17)).astype(np.float32)
        file["observations"] = states
        file["actions"] = rng.uniform(-1, 1, (3000, 6)).astype(np.float32)
        file["terminals"] = np.zeros(3000, bool)
        file["timeouts"] = np.arange(3000) % 1000 == 999
    path = tmp_path / "cheetah.hdf5"
    found = foreign.read_foreign(path, "d4rl", CHEETAH, goal=[11.0])
    assert found["actions"].shape == (3, 999, 6)
    assert (found["achieved_goals"][1, :, 0] == states[1000:2000, 8]).all()
    assert (found["desired_goals"] == 11).all()


def test_d4rl_falls_never_join_two_episodes(tmp_path):
    """An episode that ends early must not lend its last action a successor."""

    def fall(file):
        file["terminals"][20] = True

    path = write_d4rl(tmp_path / "a.hdf5", fall)
    refused("d4rl", path, "20 to 50 steps", "--steps")
    found = foreign.read_foreign(path, "d4rl", TASK, steps=10)
    assert len(found["actions"]) == 2 + 2 + 5 * 5
    states = DATA["observations"].reshape(-1, 10)
    assert (found["observations"][2, 0] == states[21]).all()
    assert (found["observations"][1, -1] == states[20]).all()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ogbench(save, tmp_path):
    path = tmp_path / "a.npz"
    save(path, **flat_of(), qpos=np.zeros((306, 3)))
    found = foreign.read_foreign(path, "ogbench", TASK)
    assert (found["observations"] == DATA["observations"]).all()
    assert (found["actions"] == DATA["actions"]).all()


def test_ogbench_flags_may_be_floats(tmp_path):
    flat = flat_of()
    flat["terminals"] = flat["terminals"].astype(np.float32)
    np.savez(tmp_path / "a.npz", **flat)
    found = foreign.read_foreign(tmp_path / "a.npz", "ogbench", TASK, 25)
    assert found["actions"].shape == (12, 25, 4)


def test_minari_there_and_back(tmp_path):
    folder = foreign.write_minari(TINY, "smore-lit/reach/tiny-v3", tmp_path)
    assert folder == tmp_path / "smore-lit/reach/tiny-v3"
    assert not list(tmp_path.glob(".part-*"))
    found = foreign.read_foreign(folder, "minari", TASK)
    whole = datasets.tiny_dataset(TASK)
    assert all((found[key] == whole[key]).all() for key in whole)
    with foreign.changed_environment({"MINARI_DATASETS_PATH": str(tmp_path)}):
        theirs = minari.load_dataset("smore-lit/reach/tiny-v3")
        assert "smore-lit/reach/tiny-v3" in minari.list_local_datasets()
    about = theirs.storage.metadata
    assert about["env_spec"] and "mujoco==3.3.0" in about["requirements"]
    assert about["code_permalink"].startswith("https://")
    assert about["algorithm_name"] == "expert and random"
    episode = theirs[7]
    reward = TASK.reward(whole["achieved_goals"][7, 1:], episode_goal(whole))
    assert (episode.rewards == reward - 1).all()
    assert not episode.terminations.any()
    assert episode.truncations.nonzero()[0].tolist() == [49]
    assert "MINARI_DATASETS_PATH" not in os.environ
    with pytest.raises(ValueError, match="exists: choose another"):
        foreign.write_minari(TINY, "smore-lit/reach/tiny-v3", tmp_path)


def episode_goal(whole):
    return whole["desired_goals"][7]


def test_minari_episodes_in_their_numbers_order(tmp_path):
    def more(file):
        for i in range(3, 11):
            file.copy("episode_0", f"episode_{i}")
        file["episode_10/actions"][...] = 0.25

    path = write_minari_by_hand(tmp_path / "main_data.hdf5", more)
    found = foreign.read_foreign(path, "minari", TASK)
    assert (found["actions"][10] == 0.25).all()
    assert (found["actions"][2] == DATA["actions"][2]).all()
    cut = foreign.read_foreign(path, "minari", TASK, steps=20)
    assert cut["actions"].shape == (22, 20, 4)
    assert (cut["desired_goals"][2] == DATA["desired_goals"][1]).all()


def test_minari_without_goals(tmp_path):
    def flatten(file):
        for i in range(3):
            del file[f"episode_{i}/observations"]
            file[f"episode_{i}/observations"] = DATA["observations"][i]

    path = write_minari_by_hand(tmp_path / "main_data.hdf5", flatten)
    found = foreign.read_foreign(path, "minari", TASK)
    assert (found["desired_goals"] == DATA["achieved_goals"][:3, -1]).all()


ADVICE = "--goal X,Y,...", 'goal="reached"'
ROWS = DATA["desired_goals"].repeat(51, 0)  # of the flat tables


def stale(goals):
    """Let the first row of every episode hold the goal of another."""
    goals = goals.copy()
    goals[::51] += 3
    return goals


def goal_table(goals):
    return lambda file: file.create_dataset("infos/goal", data=goals)


def test_d4rl_goals_are_those_of_the_file(tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5", goal_table(ROWS))
    found = foreign.read_foreign(path, "d4rl", TASK)
    assert (found["desired_goals"] == DATA["desired_goals"]).all()
    found = foreign.read_foreign(path, "d4rl", TASK, steps=25)
    assert (found["desired_goals"] == DATA["desired_goals"].repeat(2, 0)).all()


@pytest.mark.parametrize(
    "change, word",
    [
        (goal_table(stale(ROWS)), "infos/goal changes within"),
        (goal_table(ROWS[:, :2]), "infos/goal is (306, 2)"),
        (goal_table(ROWS * np.nan), "infos/goal hold NaN"),
        (goal_table(ROWS[:-1]), "no flat tables"),
        (lambda f: f.update({"infos/goal": h5py.SoftLink("/x")}), "elsewhere"),
        (lambda f: f.create_group("infos/goal"), "no table of numbers"),
    ],
    ids=range(6),
)
def test_d4rl_goals_that_are_replaced_are_not_checked(change, word, tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5", change)
    word = word.replace("elsewhere", "somewhere else")
    advice = () if word == "no flat tables" else ADVICE
    refused("d4rl", path, word, *advice)
    found = foreign.read_foreign(path, "d4rl", TASK, goal=(1, 2, 3))
    assert (found["desired_goals"] == [1, 2, 3]).all()
    found = foreign.read_foreign(path, "d4rl", TASK, goal="reached")
    assert (found["desired_goals"] == DATA["achieved_goals"][:, -1]).all()


@pytest.mark.parametrize(
    "changes",
    [dict(g=np.random.rand(6, 49, 3)), dict(g=np.zeros((6, 48, 2))),
     dict(g=np.full((6, 49, 3), np.inf)), dict(g="text")],
    ids=range(4),
)  # fmt: skip
def test_buffer_goals_that_are_replaced_are_not_checked(changes, tmp_path):
    path = tmp_path / "buffer.pkl"
    path.write_bytes(pickle.dumps(buffer_of() | changes))
    refused("buffer", path)
    found = foreign.read_foreign(path, "buffer", TASK, goal=[1, 2, 3])
    assert (found["desired_goals"] == [1, 2, 3]).all()
    found = foreign.read_foreign(path, "buffer", TASK, goal="reached")
    assert (found["desired_goals"] == DATA["achieved_goals"][:, 49]).all()


def with_goals(change):
    """Apply `change` to the observations of every episode."""

    def all_of(file):
        for name in list(file):
            change(file[f"{name}/observations"])

    return all_of


def stale_first(place):
    place["desired_goal"][0] = 3.0


def spoiled(place):
    place["desired_goal"][...] = np.nan


def test_minari_goals_that_are_replaced_are_not_checked(tmp_path):
    for index, (change, own) in enumerate(
        [
            (stale_first, None),
            (spoiled, None),
            (lambda place: place.__delitem__("desired_goal"), "reached"),
            (lambda place: place.__delitem__("achieved_goal"), "desired"),
        ]
    ):
        path = tmp_path / f"{index}.hdf5"
        write_minari_by_hand(path, with_goals(change))
        reached = DATA["achieved_goals"][:3, -1]
        stored = {"reached": reached, "desired": DATA["desired_goals"][:3]}
        if own is None:
            refused("minari", path, "desired_goal", *ADVICE)
        else:
            found = foreign.read_foreign(path, "minari", TASK)
            assert (found["desired_goals"] == stored[own]).all()
        found = foreign.read_foreign(path, "minari", TASK, goal=[1, 2, 3])
        assert (found["desired_goals"] == [1, 2, 3]).all()
        found = foreign.read_foreign(path, "minari", TASK, goal="reached")
        assert (found["desired_goals"] == reached).all()


@pytest.mark.parametrize(
    "goals, source", [(None, "infos/goal"), ([1, 2, 3], "given"),
                      ("reached", "reached")],
)  # fmt: skip
def test_an_import_names_its_goals(goals, source, tmp_path, capfd):
    path = write_d4rl(tmp_path / "a.hdf5", goal_table(ROWS))
    words = ["--format", "d4rl", "--task", "FetchReach", "--json"]
    if goals is not None:
        text = goals if source == "reached" else "1,2,3"
        words += ["--goal", text]
    assert call("data", "import", path, "--out", tmp_path / "i", *words) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["goals"] == source
    assert call("data", "info", tmp_path / "i") == 0
    assert f"goals: {source}" in capfd.readouterr().out


def test_numbers_of_numpy_and_names_of_tasks(tmp_path):
    np.savez(tmp_path / "a.npz", **flat_of())
    options = dict(steps=np.int64(10), goal=np.array([1, 2, 3], np.float32))
    path = foreign.import_dataset(
        str(tmp_path / "a.npz"),
        "ogbench",
        "FetchReach",
        str(tmp_path / "out"),
        expert=tmp_path / "a.npz",
        expert_percent=np.float32(50),
        **options,
    )
    info = datasets.dataset_info(path)
    assert path.name == "imported-50.json" and info["expert_percent"] == 50
    assert info["origin"]["steps"] == 10
    assert info["origin"]["goal"] == [1, 2, 3]
    found = foreign.read_foreign(tmp_path / "a.npz", "ogbench", "FetchReach")
    assert found["actions"].shape == (6, 50, 4)
    for steps in (0, 2.5, True, "ten"):
        with pytest.raises(ValueError, match="steps must be"):
            foreign.read_foreign(tmp_path / "a.npz", "ogbench", TASK, steps)


@pytest.mark.parametrize("excess", [1.19e-7, 9e-7])
def test_foreign_actions_of_1_up_to_rounding(excess, tmp_path):
    flat = flat_of()
    flat["actions"] = flat["actions"].astype(float)
    flat["actions"][3] = 1 + excess
    np.savez(tmp_path / "a.npz", **flat)
    path = foreign.import_dataset(
        tmp_path / "a.npz", "ogbench", TASK, tmp_path / "out"
    )
    found = datasets.read_dataset(path)["actions"]
    assert found.max() == 1 and (found[0, 3] == 1).all()
    flat["actions"][3] = 1 + 3e-6
    np.savez(tmp_path / "a.npz", **flat)
    refused("ogbench", tmp_path / "a.npz", "reach 1.000003", "--clip")


@pytest.mark.parametrize(
    "spelling",
    ["sets", "./x/../sets", "sets/", "~/sets", "$BASE/sets", "LINK"],
)
def test_export_to_any_spelling_of_a_folder(
    spelling, tmp_path, monkeypatch, capfd
):
    """One episode of each shard is enough to see where they go."""
    whole = foreign.as_buffers

    def first(task, arrays):
        return whole(task, {k: v[:1] for k, v in arrays.items()})

    monkeypatch.setattr(foreign, "as_buffers", first)
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BASE", str(tmp_path))
    if spelling == "LINK":
        (tmp_path / "sets").mkdir()
        (tmp_path / "LINK").symlink_to("sets")
    words = ["data", "export", "FetchReach", "--size", "tiny", "--out"]
    assert call(*words, spelling) == 0
    assert capfd.readouterr().err == ""
    folder = tmp_path / "sets" / "smore-lit" / "FetchReach" / "tiny-10-v0"
    found = foreign.read_foreign(folder, "minari", TASK)
    assert len(found["actions"]) == 10
    assert not list((tmp_path / "sets").glob(".part-*"))


def test_export_to_a_relative_home_of_minari(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", "home of sets")
    folder = foreign.write_minari(TINY)
    assert folder.is_relative_to(tmp_path / "home of sets")
    assert os.environ["MINARI_DATASETS_PATH"] == "home of sets"
    theirs = foreign.read_foreign(folder, "minari", TASK)
    assert len(theirs["actions"]) == 200


def test_export_onto_a_file_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(foreign, "fill_minari", pytest.fail)
    for place in ("file", "file/below", "/proc/nowhere"):
        with pytest.raises(OSError) as caught:
            foreign.write_minari(TINY, None, tmp_path / place)
        assert ".part" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_export_names_the_folder_that_was_asked_for(
    tmp_path, monkeypatch
):
    def fail(minari, task, path, manifest, name, home):
        raise OSError(f"cannot write {home}/main_data.hdf5")

    monkeypatch.setattr(foreign, "fill_minari", fail)
    with pytest.raises(OSError, match="main_data.hdf5") as caught:
        foreign.write_minari(TINY, None, tmp_path)
    assert ".part" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["../up-v0", "/etc/x-v0", "plain", "a/../b-v0"]
)
def test_minari_names_stay_in_their_folder(name, tmp_path):
    with pytest.raises(ValueError, match="is no Minari name"):
        foreign.write_minari(TINY, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_clip_and_goal(tmp_path):
    path = tmp_path / "a.npz"
    flat = flat_of()
    flat["actions"][3] = 1.5
    np.savez(path, **flat)
    refused("ogbench", path, "reach 1.5", "--clip")
    found = foreign.read_foreign(path, "ogbench", TASK, clip=True)
    assert found["actions"].max() == 1
    refused("ogbench", path, "goals are (2,)", goal=[1, 2], clip=True)


def test_unknown_format_and_missing_package(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="known: buffer, d4rl, minari"):
        foreign.read_foreign("x", "csv", TASK)
    path = write_d4rl(tmp_path / "a.hdf5")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(foreign.importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r'pip install "smore_lit\[datasets'):
        foreign.read_foreign(path, "d4rl", TASK)


# bringing them home


def test_import_one_file(tmp_path):
    np.savez(tmp_path / "a.npz", **flat_of())
    path = foreign.import_dataset(
        tmp_path / "a.npz", "ogbench", TASK, root=tmp_path, steps=10
    )
    assert path == tmp_path / "FetchReach/ogbench/imported.json"
    found = datasets.read_dataset(path)
    assert found["actions"].shape == (30, 10, 4)
    info = datasets.dataset_info(path)
    assert info["episodes"] == {"imported": 30} and info["horizon"] == 10
    assert info["origin"]["sha256"] == foreign.fingerprint(tmp_path / "a.npz")
    before = path.read_bytes()
    foreign.import_dataset(
        tmp_path / "a.npz", "ogbench", TASK, root=tmp_path, steps=10
    )
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="holds other data"):
        foreign.import_dataset(
            tmp_path / "a.npz", "ogbench", TASK, root=tmp_path, steps=25
        )
    assert path.read_bytes() == before


@pytest.mark.parametrize("percent, experts", [(10, 20), (2.5, 5), (0, 0)])
def test_import_mixes_by_the_released_rule(percent, experts, tmp_path):
    whole = datasets.tiny_dataset(TASK)
    (tmp_path / "r.pkl").write_bytes(pickle.dumps(buffer_of(whole)))
    backward = {key: rows[::-1] for key, rows in whole.items()}
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(buffer_of(backward)))
    path = foreign.import_dataset(
        tmp_path / "r.pkl",
        "buffer",
        TASK,
        tmp_path / "out",
        expert=tmp_path / "e.pkl",
        expert_percent=percent,
    )
    found = datasets.read_dataset(path)["actions"]
    assert found.shape == (200, 49, 4)
    wanted = [whole["actions"][::-1][:experts], whole["actions"]]
    wanted = np.concatenate(wanted)[:200, :49]
    assert (found == wanted).all()


def test_import_long_episodes_in_small_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "LARGEST", 20_000)
    np.savez(tmp_path / "a.npz", **flat_of())
    path = foreign.import_dataset(
        tmp_path / "a.npz", "ogbench", TASK, tmp_path / "out"
    )
    assert len(datasets.dataset_info(path)["shards"]) == 2
    found = datasets.read_dataset(path)
    assert (found["actions"] == DATA["actions"]).all()


# the command line


def call(*words):
    """Return exit code of the command line with these words."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def test_export_import_and_train_from_the_command_line(tmp_path, capfd):
    words = ["--size", "tiny", "--out", tmp_path / "m", "--id", "own/reach-v1"]
    assert call("data", "export", "FetchReach", *words) == 0
    folder = tmp_path / "m" / "own" / "reach-v1"
    assert capfd.readouterr().out.strip() == str(folder)
    words = ["--format", "minari", "--task", "FetchReach", "--steps", "10"]
    words += ["--out", tmp_path / "i", "--json"]
    assert call("data", "import", folder, *words) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["episodes"] == {"imported": 1000}
    manifest = tmp_path / "i" / "imported.json"
    assert call("data", "info", manifest, "--verify") == 0
    small = "--updates 2 --seeds 1 --eval-episodes 1 --workers 0"
    small += " --hidden 8 8 --batch-size 8"
    words = ["--manifest", manifest, "--out", tmp_path / "run"]
    assert call("train", "FetchReach", *small.split(), *words) == 0
    capfd.readouterr()
    assert call("train", "FetchPush", *small.split(), *words) == 2
    assert "not FetchPush" in capfd.readouterr().err


@pytest.mark.parametrize(
    "line, word",
    [
        ("import FILE --task FetchReach", "--format"),
        ("import FILE --format buffer", "--task"),
        ("import FILE --format csv --task FetchReach", "unknown format"),
        ("import FILE --format buffer --task Juggle", "unknown task"),
        ("import FILE --format buffer --task FetchReach", "FILE"),
        ("import FILE --format d4rl --task FetchReach --goal a,b", "--goal"),
        ("import FILE --format d4rl --task FetchReach --steps 0", "steps"),
        ("import . --format ogbench --task FetchReach", "directory"),
        ("export FetchReach --size tiny --to csv", "csv"),
        ("export FetchReach --size tiny --id nameless", "end it with -v0"),
        ("export FetchReach --size cpu --noise 3", "no dataset"),
        ("make FetchReach --size tiny --noise -1", "noise"),
        ("make FetchReach-noise0.5 --noise 1", "already"),
        ("make FetchReach-noisex", "unknown noise"),
    ],
)
def test_mistakes_on_the_command_line(
    line, word, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMORE_LIT_DATA", raising=False)
    assert call("data", *line.split()) == 2
    out, err = capfd.readouterr()
    assert err.count("\n") == 1 and word in err, err
    assert out == "" and not list(tmp_path.iterdir())


# pickles nobody should open


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def spoil_buffer(**changes):
    return pickle.dumps(buffer_of() | changes, 4)


def test_no_pickle_runs_code(tmp_path):
    witness = tmp_path / "ran"
    path = tmp_path / "buffer.pkl"
    traps = [
        Hostile(os.mkdir, str(witness)),
        Hostile(eval, f"__import__('os').mkdir({str(witness)!r})"),
        Hostile(getattr, os, "system"),
    ]
    for protocol in (0, 1, 2, 3, 4, 5):
        for trap in traps[:2]:
            for value in (
                trap,
                [trap],
                {"o": trap},
                buffer_of() | {"z": trap},
            ):
                path.write_bytes(pickle.dumps(value, protocol))
                refused("buffer", path)
                assert not witness.exists()
    code = b"\x80\x04cposix\nmkdir\n(X\x03\x00\x00\x00ranlR."
    path.write_bytes(code)
    refused("buffer", path, "posix mkdir")


@pytest.mark.parametrize(
    "code, word",
    [
        (b"", "empty"),
        (b".", "no dictionary"),
        (b"\x80\x04N.", "no dictionary"),
        (b"\x80\x04}.", "not o, ag, g and u"),
        (b"not a pickle at all", "unknown"),
        (b"\x80\x04}]\x94.", "EMPTY_LIST"),
        (b"\x80\x04}(i__main__\nx\n.", "INST"),
        (b"\x80\x04}\x82\x01.", "EXT1"),
        (b"\x80\x04}P1\n.", "PERSID"),
        (b"\x80\x04cnumpy\ndtype\n)\x81.", "NEWOBJ"),
        (b"\x80\x04cnumpy\nload\n.", "numpy load"),
        (b"\x80\x04cnumpy.core.multiarray\nscalar\n.", "scalar"),
        (b"\x80\x04cnumpy\nndarray\n)R.", "not NumPy's"),
        (b"\x80\x04c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib"
         b"\x86R.", "not NumPy's"),
        (b"\x80\x04K\x01K\x02s.", "no dictionary"),
        (b"\x80\x04}K\x01K\x02s.", "no string"),
        (b"\x80\x04}t.", "mark"),
        (b"\x80\x04h\x05.", "5"),
        (b"\x80\x04}K\x01b.", "no array"),
        (b"\x80\x04B\xff\xff\xff\x7fxx.", "remain"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fxx.", "remain"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffxx.", "18446744073709"),
        (b"\x80\x04" + b"N0" * 9, "POP"),
        (b"\x80\x04" + b"N" * 20_000 + b".", "too long"),
        (b"\x80\x04}" + b"r\xff\xff\xff\x7f" + b".", "not o, ag, g and u"),
        (b"\x80\x04)" + b"\x94h\x00\x86" * 4_000 + b".", "too long"),
    ],
    ids=range(26),
)  # fmt: skip
def test_pickles_that_are_no_tables(code, word, tmp_path):
    path = tmp_path / "buffer.pkl"
    path.write_bytes(code)
    refused("buffer", path, word)


def word(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def test_pickle_may_not_use_bytes_twice(tmp_path):
    """The state of an array may stay in the memo and be built again."""
    minus = b"J\xff\xff\xff\xff"
    code = b"\x80\x04}cnumpy\ndtype\n" + word("f8") + b"\x89\x88\x87R(K\x03"
    code += word("<") + b"NNN" + minus + minus + b"K\x00tb\x94"
    code += b"(K\x01M\xe8\x03\x85h\x00\x89B\x40\x1f\x00\x00" + bytes(8000)
    code += b"t\x94"
    blank = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    blank += b"K\x00\x85C\x01b\x87Rh\x01b"
    path = tmp_path / "buffer.pkl"
    path.write_bytes(code + blank + b".")
    refused("buffer", path, "no dictionary")
    path.write_bytes(code + blank + blank + b".")
    refused("buffer", path, "more than it holds")


@pytest.mark.parametrize(
    "data, word",
    [
        (spoil_buffer()[:-5000], "buffer.pkl"),
        (spoil_buffer()[:200], "buffer.pkl"),
        (spoil_buffer(o=np.zeros((6, 50, 10), object)), "buffer.pkl"),
        (spoil_buffer(o=np.zeros((6, 50, 10), ">f8")), "not <f4 or <f8"),
        (spoil_buffer(o=np.zeros((6, 50, 10), int)), "not <f4 or <f8"),
        (spoil_buffer(o=np.zeros((6, 50, 11))), "episodes of FetchReach"),
        (spoil_buffer(o=np.zeros((6, 49, 10))), "do not enclose"),
        (spoil_buffer(o=np.zeros((6, 500))), "not o, ag, g and u"),
        (spoil_buffer(o=np.zeros((0, 50, 10))), "no table of floats"),
        (spoil_buffer(u=np.zeros((6, 49, 3))), "episodes of FetchReach"),
        (spoil_buffer(u=np.full((6, 49, 4), 2.0)), "beyond 1"),
        (spoil_buffer(u=np.full((6, 49, 4), np.nan)), "NaN"),
        (spoil_buffer(g=np.zeros((6, 48, 3))), "one goal per action"),
        (spoil_buffer(g=np.random.rand(6, 49, 3)), "changes within"),
        (spoil_buffer(g=np.full((6, 49, 3), np.inf)), "infinity"),
        (spoil_buffer(g=np.full((6, 49, 3), 1e300)), "too large"),
        (spoil_buffer(ag=np.zeros((6, 50, 3))), "ag is not phi(observation)"),
        (spoil_buffer(ag="text"), "not o, ag, g and u"),
        (pickle.dumps(list(buffer_of().values()), 4), "EMPTY_LIST"),
        (pickle.dumps(buffer_of(), 0), "asks to"),
    ],
    ids=range(20),
)
def test_buffers_that_are_none(data, word, tmp_path):
    path = tmp_path / "buffer.pkl"
    path.write_bytes(data)
    refused("buffer", path, word)


def test_buffer_with_a_false_shape(tmp_path):
    code = spoil_buffer()
    honest = b"K\x06K2K\n\x87"
    assert honest in code
    path = tmp_path / "buffer.pkl"
    path.write_bytes(code.replace(honest, b"K\x07K2K\n\x87"))
    refused("buffer", path, "bytes for the shape")
    path.write_bytes(code.replace(honest, b"K\x06J\xff\xff\xff\x7fK\n\x87"))
    refused("buffer", path, "bytes for the shape")


@pytest.mark.parametrize("form", foreign.READERS)
def test_a_folder_and_a_missing_file(form, tmp_path):
    refused(form, tmp_path / "missing")
    with pytest.raises(ValueError, match="main_data|irectory|no such file"):
        foreign.read_foreign(tmp_path, form, TASK)


def test_a_file_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "LIMIT", 1000)
    path = tmp_path / "a"
    path.write_bytes(spoil_buffer())
    refused("buffer", path, "more than 1000")
    write_d4rl(path)
    refused("d4rl", path, "more than 1000")
    write_minari_by_hand(path)
    refused("minari", path, "more than 1000")
    with open(path, "wb") as file:
        np.savez(file, **flat_of())
    refused("ogbench", path, "more than 1000")


# HDF5


def replaced(name, data, **options):
    def change(file):
        del file[name]
        file.create_dataset(name, data=data, **options)

    return change


def outside(file):
    """Store actions in a file of the system."""
    del file["actions"]
    file.create_dataset(
        "actions", (10, 4), "f4", external=[("/etc/passwd", 0, 160)]
    )


def virtual(file):
    layout = h5py.VirtualLayout((306, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "actions", (306, 4))
    del file["actions"]
    file.create_virtual_dataset("actions", layout)


def linked(link):
    def change(file):
        del file["actions"]
        file["actions"] = link

    return change


def hollow(file):
    """Declare a terabyte and store nothing."""
    del file["observations"]
    file.create_dataset("observations", (2**30, 10), "f8", chunks=(2**16, 10))


def hollow_below_the_limit(file):
    del file["observations"]
    file.create_dataset("observations", (2**20, 10), "f8", chunks=(2**10, 10))


def removed(name):
    return lambda file: file.__delitem__(name)


@pytest.mark.parametrize(
    "change, word",
    [
        (outside, "stored outside"),
        (virtual, "stored outside"),
        (linked(h5py.ExternalLink("/etc/passwd", "/x")), "somewhere else"),
        (linked(h5py.SoftLink("/observations")), "somewhere else"),
        (linked(h5py.SoftLink("/actions")), "somewhere else"),
        (hollow, "promises"),
        (hollow_below_the_limit, "stores 0"),
        (removed("observations"), "has no observations"),
        (removed("timeouts"), "has no timeouts"),
        (replaced("actions", np.zeros((306, 3))), "no table of 4 columns"),
        (replaced("actions", np.zeros((305, 4))), "no flat tables"),
        (replaced("actions", np.zeros(306)), "no table of 4 columns"),
        (replaced("actions", 3.0), "no table of 4 columns"),
        (replaced("actions", np.full((306, 4), np.nan)), "NaN"),
        (replaced("actions", np.full((306, 4), 1e300)), "beyond 1"),
        (replaced("actions", np.full((306, 4), b"text")), "no table of numb"),
        (replaced("observations", np.zeros((306, 11))), "of 10 columns"),
        (replaced("timeouts", np.zeros((306, 1), bool)), "no table"),
        (replaced("timeouts", np.zeros(306, "S1")), "no table of numbers"),
        (replaced("timeouts", np.ones(306, bool)), "no episode has"),
        (replaced("actions", np.zeros((0, 4))), "no flat tables"),
        (
            replaced("actions", np.zeros((306, 4)), scaleoffset=3),
            "packed strangely",
        ),
        (lambda f: (removed("actions")(f), f.create_group("actions")),
         "no table"),
    ],
    ids=range(23),
)  # fmt: skip
def test_hostile_d4rl(change, word, tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5", change)
    refused("d4rl", path, word)


@pytest.mark.parametrize("form", ["d4rl", "minari"])
@pytest.mark.parametrize("size", [0, 8, 100, 3000, -100])
def test_truncated_hdf5(form, size, tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5")
    data = path.read_bytes()
    path.write_bytes(data[:size])
    refused(form, path)


@pytest.mark.parametrize(
    "change, word",
    [
        (lambda f: f.clear(), "no episodes"),
        (removed("episode_1/actions"), "has no episode_1/actions"),
        (removed("episode_1/observations"), "has no episode_1/observations"),
        (removed("episode_1/observations/desired_goal"), "desired_goal"),
        (replaced("episode_1/actions", np.zeros((49, 4))), "51 states around"),
        (replaced("episode_1/actions", np.zeros((50, 5))), "4 columns"),
        (
            replaced(
                "episode_1/observations/desired_goal", np.random.rand(51, 3)
            ),
            "desired_goal changes within an episode",
        ),
        (
            replaced(
                "episode_1/observations/achieved_goal", np.zeros((51, 3))
            ),
            "not phi",
        ),
        (
            lambda f: f.update({"episode_3": h5py.ExternalLink("/x", "/y")}),
            "somewhere else",
        ),
        (
            lambda f: f.update({"episode_3": h5py.SoftLink("/episode_0")}),
            "somewhere else",
        ),
        (lambda f: f.update({"episode_3": np.zeros(3)}), "has no episode_3"),
    ],
    ids=range(11),
)
def test_hostile_minari(change, word, tmp_path):
    path = write_minari_by_hand(tmp_path / "main_data.hdf5", change)
    refused("minari", path, word)


# npz


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_header(shape, kind="<f4"):
    stream = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


HONEST = {name: npy(array) for name, array in flat_of().items()}


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"actions": None}, "has no actions"),
        ({"terminals": None}, "has no terminals"),
        ({"actions": b""}, "a.npz"),
        ({"actions": b"\x93NUMPY\x09\x00"}, "unknown npy version"),
        ({"actions": HONEST["actions"][:-4]}, "holds"),
        ({"actions": HONEST["actions"] + b"x"}, "holds"),
        ({"actions": npy_header((2**40, 4)) + bytes(64)}, "holds"),
        ({"actions": npy_header((-1, 4)) + bytes(64)}, "no table"),
        ({"actions": npy_header((306, 4), "|O") + bytes(64)}, "no table"),
        ({"actions": npy(np.array([[None] * 4] * 306))}, "no table"),
        ({"actions": npy(np.zeros((306, 4), "U1"))}, "no table"),
        ({"actions": npy(np.zeros((306, 4), complex))}, "no table"),
        ({"actions": npy(np.zeros((306, 3)))}, "episodes of FetchReach"),
        ({"actions": npy(np.zeros((305, 4)))}, "no flat tables"),
        ({"actions": npy(np.zeros(306))}, "no flat tables"),
        ({"observations": npy(np.zeros((306, 8, 8, 3), "u1"))}, "flat tables"),
        ({"observations": npy(np.full((306, 10), np.inf))}, "NaN"),
        ({"observations": bytes(2**27)}, "a.npz"),
        ({"terminals": npy(np.zeros((306, 1)))}, "no flat tables"),
        ({"terminals": npy(np.arange(306) % 7 == 6)}, "--steps"),
    ],
    ids=range(20),
)
def test_hostile_ogbench(changes, word, tmp_path):
    members = {k: v for k, v in (HONEST | changes).items() if v is not None}
    path = zipped(tmp_path / "a.npz", **members)
    refused("ogbench", path, word)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04N.", b"x" * 1000])
def test_npz_that_is_none(data, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    refused("ogbench", path)


def test_npz_with_a_flipped_bit_or_a_cut(tmp_path):
    path = zipped(tmp_path / "a.npz", **HONEST)
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    refused("ogbench", path)
    path.write_bytes(data[:4000])
    refused("ogbench", path, "zip")


def test_npz_that_lies_about_its_sizes(tmp_path):
    """The directory declares 3 GB for a member of a few bytes."""
    path = zipped(tmp_path / "a.npz", **HONEST)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 3 * 2**30)
    path.write_bytes(data)
    refused("ogbench", path, "promises")


def test_imported_manifests_are_not_believed(tmp_path):
    np.savez(tmp_path / "a.npz", **flat_of())
    path = foreign.import_dataset(
        tmp_path / "a.npz", "ogbench", TASK, tmp_path / "out"
    )
    honest = json.loads(path.read_bytes())
    for horizon in (0, -1, 10**9, "50", None, True, 49.0, 49):
        path.write_text(json.dumps(honest | {"horizon": horizon}))
        with pytest.raises(ValueError, match="imported") as caught:
            datasets.read_dataset(path)
        assert "\n" not in str(caught.value)
