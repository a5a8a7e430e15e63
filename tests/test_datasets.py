"""Datasets: same bytes however made, nothing lost, nothing believed."""

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from smore_lit.data import datasets
from smore_lit.worlds.tasks import list_tasks, load_task
from smore_lit.running.rollouts import Rollouts, play

TASK = load_task("FetchReach")
ASSETS = Path(datasets.smore_lit.__file__).parent / "assets"
OPTIONS = dict(size="toy", expert_percent=30, progress=False)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(datasets.SIZES, "toy", 10)
    monkeypatch.setitem(datasets.SHARD, "toy", 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One toy dataset, made in this process; returns {name: bytes}."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.SIZES, "toy", 10)
        patch.setitem(datasets.SHARD, "toy", 2)
        root = tmp_path_factory.mktemp("made")
        datasets.make_dataset("FetchReach", workers=0, root=root, **OPTIONS)
    return files_of(root)


def files_of(root):
    paths = (path for path in Path(root).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.fixture
def copy(made, tmp_path):
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def load(root):
    return datasets.load_dataset("FetchReach", "toy", 30, root)


def refused(root, *words):
    with pytest.raises(ValueError) as caught:
        load(root)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    for word in words:
        assert word in line, line


# counts


@pytest.mark.parametrize(
    "size, percent, experts",
    [
        ("paper", 10, 200),
        ("paper", 2.5, 50),
        ("paper", 0, 0),
        ("paper", 100, 2000),
        ("paper", 0.1, 2),
        ("paper", 28.7, 574),
        ("tiny", 0.7, 1),
    ],
)
def test_counts_are_exact_floors(size, percent, experts):
    counts = datasets.count_halves(TASK, size, percent)
    assert counts["expert"] == experts
    assert sum(counts.values()) == datasets.count_episodes(TASK, size)


@pytest.mark.parametrize("percent", [-1, 100.1, float("nan"), float("inf")])
def test_bad_percentages_are_one_line(percent):
    with pytest.raises(ValueError, match="from 0 to 100"):
        datasets.make_dataset("FetchReach", expert_percent=percent)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "X"}, "unknown task"),
        ({"size": "huge"}, "unknown size"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"workers": -1}, "workers must be a whole number, 0"),
    ],
)
def test_bad_arguments_are_one_line(change, message, tmp_path):
    arguments = {"task": "FetchReach", "root": tmp_path} | change
    with pytest.raises(ValueError, match=message):
        datasets.make_dataset(**arguments)
    assert not list(tmp_path.iterdir())


def test_root_is_argument_then_environment_then_data(monkeypatch):
    monkeypatch.setenv("SMORE_LIT_DATA", "elsewhere")
    assert datasets.data_root("here") == Path("here")
    assert datasets.data_root() == Path("elsewhere")
    monkeypatch.delenv("SMORE_LIT_DATA")
    assert datasets.data_root() == Path("data")


# making


def test_worker_count_does_not_matter(made, tmp_path):
    datasets.make_dataset("FetchReach", workers=2, root=tmp_path, **OPTIONS)
    assert files_of(tmp_path) == made


def test_layout_order_and_statistics(copy):
    data = load(copy)
    assert data["observations"].shape == (10, 51, 10)
    assert data["actions"].shape == (10, 50, 4)
    assert data["achieved_goals"].shape == (10, 51, 3)
    assert data["desired_goals"].shape == (10, 3)
    worn = [
        datasets.behaviour(load_task("FetchReach"), part)[0]
        for part in (
            {key: value[:3] for key, value in data.items()},
            {key: value[3:] for key, value in data.items()},
        )
    ]
    assert worn[0] > 20 > 5 > worn[1]
    info = datasets.dataset_info(copy / "FetchReach" / "toy-30.json")
    assert info["episodes"] == {"expert": 3, "random": 7}
    assert info["versions"]["mujoco"] == "3.3.0"
    part = {key: value[:3] for key, value in data.items()}
    assert info["behaviour"]["expert"] == datasets.behaviour(TASK, part)


def test_behaviour_worked_by_hand():
    achieved = np.ones((1, 51, 3))
    achieved[0, [0, 2, 48, 49]] = 0.0
    arrays = {"achieved_goals": achieved, "desired_goals": np.zeros((1, 3))}
    total, at_98, at_99, last = datasets.behaviour(TASK, arrays)
    assert (total, last) == (3.0, 1.0)
    assert at_98 == pytest.approx(1 + 0.98**2 + 0.98**48, abs=1e-4)
    assert at_99 == pytest.approx(1 + 0.99**2 + 0.99**48, abs=1e-4)


def test_mixtures_share_and_extend_halves(copy, made):
    options = OPTIONS | {"expert_percent": 10}
    path = datasets.make_dataset("FetchReach", workers=0, root=copy, **options)
    assert path.name == "toy-10.json"
    after = files_of(copy)
    names = [name for name in made if name.endswith(".npz")]
    assert all(after[name] == made[name] for name in names)
    added = sorted(set(after) - set(made))
    assert added == [
        "FetchReach/random/episodes-000008-000010.npz",
        "FetchReach/toy-10.json",
    ]
    assert len(load(copy)["observations"]) == 10


def test_spoiled_and_missing_shards_are_made_again(copy, made):
    shards = sorted(copy.rglob("*.npz"))
    shards[0].write_bytes(b"")
    shards[3].unlink()
    datasets.make_dataset("FetchReach", workers=0, root=copy, **OPTIONS)
    assert files_of(copy) == made


def test_another_seed_or_simulator_is_not_mixed_in(copy, made):
    arguments = OPTIONS | {"workers": 0, "root": copy}
    with pytest.raises(ValueError, match="seed 0, not 1"):
        datasets.make_dataset("FetchReach", seed=1, **arguments)
    ledger = copy / "FetchReach" / "random" / "ledger.json"
    ledger.write_text(ledger.read_text().replace("3.3.0", "2.3.7"))
    with pytest.raises(ValueError, match="mujoco 2.3.7, not 3.3.0"):
        datasets.make_dataset("FetchReach", **arguments)
    ledger.write_text("{")
    with pytest.raises(ValueError, match="is damaged: delete"):
        datasets.make_dataset("FetchReach", **arguments)


def test_making_without_a_simulator_is_one_line(monkeypatch, tmp_path):
    def missing(name):
        raise datasets.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(datasets.importlib.metadata, "version", missing)
    with pytest.raises(ValueError, match="mujoco is not installed: pip"):
        datasets.make_dataset("FetchReach", root=tmp_path, **OPTIONS)
    assert not list(tmp_path.iterdir())


CHILD = """
import sys
from smore_lit.data import datasets
datasets.SIZES["toy"], datasets.SHARD["toy"] = 10, 2
if __name__ == "__main__":
    datasets.make_dataset("FetchReach", "toy", 30, 0, 1, sys.argv[1], False)
"""


def test_killed_and_resumed_gives_the_same_bytes(made, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    root = tmp_path / "root"
    moments = np.random.default_rng(4).uniform(0.0, 0.4, 3)
    for shards, moment in zip((0, 1, 3), moments):
        child = subprocess.Popen([sys.executable, script, root])
        deadline = time.monotonic() + 60
        while len(list(root.rglob("*.npz"))) < shards:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moment if shards == 0 else moment / 40)
        child.send_signal(signal.SIGKILL)
        child.wait()
    left = {k: v for k, v in files_of(root).items() if k.endswith(".npz")}
    assert 3 <= len(left) < 6
    subprocess.run([sys.executable, script, root], check=True)
    found = files_of(root)
    assert {k: v for k, v in found.items() if k in made} == made
    ledgers = sorted((root / "FetchReach").glob("*/ledger.json"))
    for path in ledgers:
        path.with_name(f".{path.name}.a_b1.part").write_text("half")
    old = time.time() - 7200
    for name in set(files_of(root)) - set(made):
        os.utime(root / name, (old, old))
    datasets.make_dataset("FetchReach", workers=0, root=root, **OPTIONS)
    assert files_of(root) == made


def test_a_full_disk_is_one_line_and_keeps_finished_shards(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Rollouts(TASK.make, 2, 0) as pool:
        ledger = {
            "recipe": datasets.half_recipe(TASK, "random", 0),
            "sha256": {},
        }
        rest = (tmp_path, ledger, TASK)
        skip = bool
        datasets.make_shard(pool, *rest, range(0, 2), skip)
        before = files_of(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        try:
            with pytest.raises(OSError, match="free some space") as caught:
                datasets.make_shard(pool, *rest, range(2, 4), skip)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert files_of(tmp_path) == before


def test_an_unusable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        datasets.write_file(tmp_path / "file" / "FetchReach" / "a", b"")
    assert "choose another folder" in str(caught.value)
    assert "\n" not in str(caught.value)


# the set that ships


def test_tiny_set_is_small_and_useful():
    total = sum(len(data) for data in files_of(ASSETS / "FetchReach").values())
    assert total < 1_000_000
    data = datasets.tiny_dataset("FetchReach")
    assert data["actions"].shape == (200, 50, 4)
    assert len(data["observations"]) == 200


@pytest.mark.parametrize("half, first", [("expert", 0), ("random", 20)])
def test_tiny_set_can_be_made_again(half, first):
    """Noise, starts and goals to the bit anywhere; physics to the bit here.

    Another processor may round the physics differently in the last place,
    and an episode of the expert then drifts a little.
    """
    data = datasets.tiny_dataset("FetchReach")
    wanted = range(3)
    with Rollouts(TASK.make, 3, 0) as pool:
        again = datasets.collect(pool, TASK, half, 0, wanted)
    kept = {key: rows[first : first + 3] for key, rows in data.items()}
    assert (again["desired_goals"] == kept["desired_goals"]).all()
    if half == "random":
        assert (again["actions"] == kept["actions"]).all()
    same_bits = all((again[key] == kept[key]).all() for key in kept)
    close = all(np.allclose(again[k], kept[k], atol=1e-3) for k in kept)
    assert same_bits or close


# sizes, noise, memory


@pytest.mark.parametrize("name", ["PointReach", "PointRooms"])
def test_worlds_of_ours_do_not_mind_the_workers_either(name, tmp_path):
    for workers in (0, 2):
        options = OPTIONS | {"root": tmp_path / str(workers)}
        datasets.make_dataset(name, workers=workers, **options)
    assert files_of(tmp_path / "0") == files_of(tmp_path / "2")
    data = datasets.load_dataset(name, "toy", 30, tmp_path / "0")
    assert data["actions"].shape == (10, 50, 2)


@pytest.mark.parametrize("percent", [10, 5, 2.5, 1, 0])
@pytest.mark.parametrize("name", list_tasks())
def test_total_is_the_tasks_own_at_any_share(name, percent):
    task = load_task(name)
    for size in ("paper", "cpu"):
        counts = datasets.count_halves(task, size, percent)
        total = getattr(task, f"{size}_episodes")
        assert sum(counts.values()) == total
        assert counts["expert"] == int(percent * 10) * total // 1000
    assert task.paper_episodes in (1_030, 2_000, 40_000)
    assert datasets.count_halves(task, "tiny", 10)["expert"] == 20
    if task.paper_episodes == 1_030:
        published = datasets.choose_percent(task, None)
        counts = datasets.count_halves(task, "paper", published)
        assert counts == {"expert": 30, "random": 1_000}


def test_noise_is_a_task_of_its_own(tmp_path):
    options = OPTIONS | {"root": tmp_path, "expert_percent": 0}
    path = datasets.make_dataset("PointReach-noise1.5", workers=0, **options)
    assert path == tmp_path / "PointReach-noise1.5" / "toy-0.json"
    calm = datasets.make_dataset("PointReach", workers=0, **options)
    noisy, calm = datasets.read_dataset(path), datasets.read_dataset(calm)
    spread = noisy["actions"].std(axis=(0, 1))
    assert np.allclose(spread, 3**-0.5, atol=0.05), "intended actions"
    paths = (np.diff(x["achieved_goals"], axis=1).std() for x in (noisy, calm))
    assert next(paths) > 1.2 * next(paths), "executed ones are noisier"
    again = datasets.make_dataset(
        "PointReach-noise1.5", workers=2, **options | {"root": tmp_path / "b"}
    )
    assert again.read_bytes() == path.read_bytes()


def test_memory_is_a_shard_to_make_and_the_data_to_read(copy):
    manifest = json.loads(manifest_of(copy).read_bytes())
    folder, entries = copy / "FetchReach", manifest["shards"] * 40
    counts = {half: 40 * n for half, n in manifest["episodes"].items()}
    many = manifest | {"shards": entries, "episodes": counts}
    shard = 4 * 2 * (51 * 10 + 50 * 4 + 51 * 3 + 3)
    peaks = []
    for action in (
        lambda: datasets.describe(TASK, folder, counts, 50, entries),
        lambda: datasets.read_shards(TASK, folder, many),
    ):
        tracemalloc.start()
        action()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 100 * shard, "much less than the 200 shards hold"
    assert peaks[1] < 300 * shard, "the data once, not twice"


def test_progress_shows_rate_and_time_left(tmp_path, capfd):
    options = OPTIONS | {"progress": True, "root": tmp_path}
    datasets.make_dataset("PointReach", workers=0, **options)
    shown = capfd.readouterr().err
    assert "PointReach: 100%" in shown and "episodes/s]" in shown
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown), "elapsed<left"


def test_policies_play_beside_their_worlds():
    """Whole episodes by the workers have the bits of steps from here."""
    pairs = [datasets.episode_seeds(3, TASK, "expert", i) for i in range(3)]
    acts = [datasets.behaviour_policy(TASK, "expert")(rng) for _, rng in pairs]
    with Rollouts(TASK.make, 3, 0) as pool:
        here = play(pool, acts, [seed for seed, _ in pairs], 20)
    with Rollouts(TASK.make, 4, 2) as pool:
        there = datasets.collect(
            pool, replace(TASK, horizon=20), "expert", 3, range(3)
        )
    assert all((here[key] == there[key]).all() for key in here)


# files nobody should believe


def shard_of(root):
    return root / "FetchReach" / "expert" / "episodes-000000-000002.npz"


def manifest_of(root):
    return root / "FetchReach" / "toy-30.json"


def edit(root, change):
    path = manifest_of(root)
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def plant(root, data):
    """Replace a shard and make the manifest vouch for it."""
    shard_of(root).write_bytes(data)

    def vouch(manifest):
        entry = manifest["shards"][0]
        entry["bytes"], entry["sha256"] = len(data), datasets.digest(data)

    edit(root, vouch)


def arrays_of(root):
    return dict(np.load(shard_of(root)))


def replant(root, change, save=np.savez):
    arrays = arrays_of(root)
    change(arrays)
    buffer = io.BytesIO()
    save(buffer, **arrays)
    plant(root, buffer.getvalue())


def test_planting_the_original_loads(copy):
    replant(copy, lambda arrays: None)
    assert len(load(copy)["actions"]) == 10


def test_another_goal_is_stored_in_a_copy():
    arrays = datasets.tiny_dataset("FetchReach")
    before = arrays["desired_goals"].copy()
    found = datasets.store_goal(arrays, (1, 2.5, -3))
    assert (found["desired_goals"] == np.float32([1, 2.5, -3])).all()
    assert found["desired_goals"].shape == before.shape
    assert found["desired_goals"].dtype == before.dtype
    assert np.array_equal(arrays["desired_goals"], before)
    assert found["actions"] is arrays["actions"]
    wrong = 0.0, [1, 2], [0, 0, np.inf], "reached", None, [[1], [2, 3]]
    for goal in (*wrong, np.zeros((2, 3))):
        with pytest.raises(ValueError, match="is 3 finite numbers, got") as no:
            datasets.store_goal(arrays, goal)
        assert "\n" not in str(no.value)


def test_missing_dataset_says_how_to_make_it(tmp_path):
    refused(tmp_path, "smore-lit data make FetchReach", "--expert-percent 30")


def test_missing_shard(copy):
    shard_of(copy).unlink()
    refused(copy, "episodes-000000-000002.npz", "No such file")


def test_truncated_shard(copy):
    shard_of(copy).write_bytes(shard_of(copy).read_bytes()[:5000])
    refused(copy, "bytes long")


def test_lengthened_shard(copy):
    shard_of(copy).write_bytes(shard_of(copy).read_bytes() + b"x")
    refused(copy, "bytes long")


def test_flipped_bit(copy):
    data = bytearray(shard_of(copy).read_bytes())
    data[3000] ^= 1
    shard_of(copy).write_bytes(data)
    refused(copy, "checksum")


def test_vouched_truncated_zip(copy):
    plant(copy, shard_of(copy).read_bytes()[:5000])
    refused(copy, "zip")


def test_vouched_noise(copy):
    plant(copy, b"\x80\x04nonsense")
    refused(copy, "zip")


def test_vouched_empty_file_cannot_be_declared(copy):
    plant(copy, b"")
    refused(copy, "bytes must be 1 or more")


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("actions", np.nan, "NaN"),
        ("observations", np.inf, "infinity"),
        ("actions", 2.0, "reach 2, beyond [-1, 1]"),
        ("achieved_goals", 0.0, "not phi"),
    ],
)
def test_vouched_bad_numbers(copy, name, value, message):
    def spoil(arrays):
        arrays[name][0, 3, 1] = value

    replant(copy, spoil)
    refused(copy, message)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(actions=a["actions"][:, :49]),
        lambda a: a.update(actions=a["actions"][..., :3]),
        lambda a: a.update(actions=a["actions"].astype("<f8")),
        lambda a: a.update(actions=a["actions"].astype(">f4")),
        lambda a: a.update(desired_goals=a["desired_goals"].copy("F")),
    ],
)
def test_vouched_wrong_shape_or_type(copy, change):
    replant(copy, change)
    refused(copy, "npz")


def test_vouched_pickle_runs_no_code(copy, tmp_path):
    witness = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(witness),))

    def infect(arrays):
        trap = np.empty((2, 3), dtype=object)
        trap[:] = [[Hostile()] * 3] * 2
        arrays["desired_goals"] = trap

    replant(copy, infect)
    refused(copy, "object")
    assert not witness.exists()


def test_vouched_missing_and_extra_arrays(copy):
    replant(copy, lambda arrays: arrays.pop("actions"))
    refused(copy, "not 4 arrays")


def test_vouched_extra_array(copy):
    replant(copy, lambda arrays: arrays.update(more=np.zeros(1)))
    refused(copy, "not 4 arrays")


def test_vouched_zip_bomb(copy):
    huge = np.zeros((2, 50, 4_000), np.float32)
    replant(
        copy,
        lambda arrays: arrays.update(actions=huge),
        np.savez_compressed,
    )
    refused(copy, "declares more bytes")


def test_vouched_header_bomb(copy):
    """A header that promises 4 TB over a few bytes allocates nothing."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": "<f4", "fortran_order": False, "shape": (2**40, 1)},
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(shard_of(copy)) as old:
        with zipfile.ZipFile(buffer, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name == "actions.npy":
                    data = header.getvalue() + bytes(64)
                new.writestr(name, data)
    plant(copy, buffer.getvalue())
    refused(copy, "expected float32")


@pytest.mark.parametrize(
    "file",
    [
        "../../secret.npz",
        "/etc/passwd",
        "expert/../../../episodes-000000-000002.npz",
        "random/episodes-000000-000002.npz",
        7,
    ],
)
def test_paths_out_of_the_folder(copy, file):
    edit(copy, lambda manifest: manifest["shards"][0].update(file=file))
    refused(copy, "toy-30.json")


def test_linked_data_are_read_and_still_checked(copy, tmp_path_factory):
    """A shard, a half or all of it may lie on another disk."""
    outside, before = tmp_path_factory.mktemp("outside"), load(copy)
    shard = shard_of(copy)
    half, whole = shard.parent, shard.parents[1]
    for place in (shard, half, whole):
        place.rename(outside / place.name)
        place.symlink_to(outside / place.name)
        for name, rows in load(copy).items():
            assert (rows == before[name]).all()
    data = bytearray(shard.read_bytes())
    data[3000] ^= 1
    shard.write_bytes(data)
    refused(copy, "checksum")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("shards"),
        lambda m: m.update(format=2),
        lambda m: m.update(task="X"),
        lambda m: m.update(task=["X"]),
        lambda m: m.update(shards=[]),
        lambda m: m.update(shards=[1]),
        lambda m: m["shards"].pop(),
        lambda m: m["shards"][0].update(used=3),
        lambda m: m["shards"][0].update(used=-1),
        lambda m: m["shards"][0].update(used=True),
        lambda m: m["shards"][0].update(episodes=10**12),
        lambda m: m["shards"][0].update(bytes=10**15),
        lambda m: m["shards"][0].update(sha256="0"),
        lambda m: m["shards"][0].update(half="other"),
    ],
)
def test_manifests_that_do_not_add_up(copy, change):
    edit(copy, change)
    refused(copy, "toy-30.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff\xfe", b"{", b"[" * 100_000, b" " * 2**21],
)
def test_manifests_that_are_none(copy, data):
    manifest_of(copy).write_bytes(data)
    refused(copy, "toy-30.json")


def test_manifest_that_is_a_folder(copy):
    manifest_of(copy).unlink()
    manifest_of(copy).mkdir()
    refused(copy, "toy-30.json")


def test_policy_cannot_foretell_the_goal():
    data = datasets.tiny_dataset("FetchReach")
    random = np.arange(len(data["actions"])) >= 20
    starts = data["achieved_goals"][random, 0]
    offsets = data["desired_goals"][random] - starts
    actions = data["actions"][random, 0, :3]
    for axis in range(3):
        pair = np.corrcoef(offsets[:, axis], actions[:, axis])
        assert abs(pair[0, 1]) < 0.25


# starts


def restart(task, half, episodes, seed=0):
    env = task.make()
    seeds = [datasets.episode_seeds(seed, task, half, i)[0] for i in episodes]
    states = [env.reset(seed=number)[0] for number in seeds]
    env.close()
    keys = "observation", "desired_goal"
    return [np.array([s[key] for s in states], np.float32) for key in keys]


@pytest.mark.parametrize("name", list_tasks())
def test_episodes_begin_as_reset_begins_them(name):
    task = load_task(name)
    with Rollouts(task.make, 2, 0) as pool:
        for half in datasets.HALVES:
            made = datasets.collect(pool, task, half, 0, range(3, 5))
            starts, goals = restart(task, half, range(3, 5))
            assert np.array_equal(made["observations"][:, 0], starts)
            assert np.array_equal(made["desired_goals"], goals)
            assert np.array_equal(
                made["achieved_goals"][:, 0], task.phi(starts)
            )


@pytest.mark.parametrize("name", list_tasks())
def test_starts_are_like_any_others(name):
    task = load_task(name)
    count = 60
    ours = np.hstack(restart(task, "random", range(count)))
    fresh = np.hstack(restart(task, "random", range(count), seed=10**6))
    pairs = zip(ours.T, fresh.T)
    least = min(ks_2samp(a, b).pvalue for a, b in pairs)
    assert least > 0.01 / ours.shape[1]
    assert np.ptp(ours, axis=0).max() > 0.01
