"""Checkpoints continue to the same bits and refuse what they are not."""

import dataclasses
import functools
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from smore_lit.data.datasets import tiny_dataset
from smore_lit.learning.agent import Sizes, make_config
from smore_lit.learning.policies import (
    Policy,
    describe,
    load_policy,
    save_policy,
)
from smore_lit.learning.smore import SMORE
from smore_lit.learning.training import Plan, start_run
from smore_lit.learning.trajectories import as_trajectories
from smore_lit.running.checkpoints import (
    FORMAT,
    read_checkpoint,
    restore,
    save_checkpoint,
)

SIZES, SEEDS = Sizes(10, 4, 3), (3, 4)
CONFIG = make_config(SMORE, hidden=(16, 16), batch_size=16)


@functools.cache
def episodes():
    torch.set_num_threads(1)
    return as_trajectories(**tiny_dataset("FetchReach"))


def fresh(config=CONFIG, seeds=SEEDS):
    plan = Plan(20, seeds=len(seeds), seed=seeds[0])
    return start_run(episodes(), SMORE, config, plan)


def advance(run, updates=5):
    for _ in range(updates):
        run.step()


def bits(run):
    content = run.state_dict()
    tensors = [*content["networks"].values(), *content["targets"].values()]
    for adam in content["optimiser"]["state"].values():
        tensors += adam.values()
    tensors += content["generators"]
    return run.updates, [t.numpy().tobytes() for t in tensors]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint after 5 updates, and the bits after 10."""
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    run = fresh()
    advance(run)
    description = describe(SMORE, CONFIG, SIZES, SEEDS, task="FetchReach")
    save_checkpoint(path, run.state_dict(), description)
    advance(run)
    return path, bits(run)


def test_a_restored_run_goes_on_to_the_same_bits(saved):
    path, expected = saved
    run = fresh(seeds=(8, 9))
    restore(read_checkpoint(path), run)
    assert run.updates == 5
    advance(run)
    assert bits(run) == expected


def test_the_description_survives_json(saved):
    import json

    description = read_checkpoint(saved[0])["description"]
    assert json.loads(json.dumps(description)) == description
    assert description["task"] == "FetchReach"
    assert make_config(SMORE, **description["config"]) == CONFIG


def spoil(content, how):
    if how == "a generator less":
        del content["generators"][1]
    elif how == "generators of a GPU":  # a seed and an offset, 16 bytes
        state = torch.zeros(16, dtype=torch.uint8)
        content["generators"] = [state] * len(content["generators"])
    elif how == "a generator of another kind":
        content["generators"][1] = torch.zeros(7, dtype=torch.uint8)
    elif how == "negative updates":
        content["updates"] = -1
    elif how == "updates in words":
        content["updates"] = "five"
    elif how == "an average of another shape":
        content["optimiser"]["state"][1]["exp_avg"] = torch.zeros(2, 2)
    elif how == "a group less":
        del content["optimiser"]["param_groups"][0]
    elif how == "a weight less":
        del content["networks"]["policy.log_std"]
    elif how == "networks in words":
        content["networks"] = "none"
    else:
        del content[how]
    return content


@pytest.mark.parametrize(
    "how",
    [
        "a generator less",
        "a generator of another kind",
        "generators of a GPU",
        "negative updates",
        "updates in words",
        "an average of another shape",
        "a group less",
        "a weight less",
        "networks in words",
        "networks",
        "targets",
        "optimiser",
        "generators",
        "updates",
    ],
)
def test_a_misfit_changes_nothing(saved, how):
    run = fresh()
    advance(run, 2)
    before = bits(run)
    content = spoil(read_checkpoint(saved[0]), how)
    with pytest.raises(ValueError, match="does not fit") as caught:
        restore(content, run)
    assert "\n" not in str(caught.value)
    assert bits(run) == before


@pytest.mark.parametrize(
    "config, seeds",
    [
        (CONFIG, (3,)),
        (CONFIG, (3, 4, 5)),
        (dataclasses.replace(CONFIG, hidden=(16, 17)), SEEDS),
        (dataclasses.replace(CONFIG, hidden=(16,)), SEEDS),
    ],
)
def test_other_networks_or_seeds_are_refused(saved, config, seeds):
    with pytest.raises(ValueError, match="does not fit this run"):
        restore(read_checkpoint(saved[0]), fresh(config, seeds))


class Program:
    """Write a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["torch", "legacy", "pickle", "description"])
def test_a_hostile_pickle_does_not_run(saved, tmp_path, form):
    trap, path = tmp_path / "it-ran", tmp_path / "checkpoint.pt"
    program = Program(trap)
    if form == "torch":
        torch.save({"format": FORMAT, "networks": program}, path)
    elif form == "legacy":
        torch.save(program, path, _use_new_zipfile_serialization=False)
    elif form == "pickle":
        path.write_bytes(pickle.dumps(program))
    else:
        content = read_checkpoint(saved[0])
        torch.save(content | {"description": program}, path)
    for read in (read_checkpoint, load_policy):
        with pytest.raises(ValueError, match="no readable checkpoint") as no:
            read(path)
        assert "\n" not in str(no.value)
    assert not trap.exists()
    pickle.loads(pickle.dumps(program))
    assert trap.exists(), "the trap must work when somebody does run it"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(saved, tmp_path, share):
    whole, path = saved[0].read_bytes(), tmp_path / "cut.pt"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="no readable checkpoint"):
        read_checkpoint(path)


def test_a_flipped_bit_in_a_weight_is_noticed(saved, tmp_path):
    content, path = read_checkpoint(saved[0]), tmp_path / "flipped.pt"
    raw = bytearray(saved[0].read_bytes())
    weight = content["networks"]["policy.network.layers.1.weight"]
    place = raw.index(weight.numpy().tobytes()[:64])
    raw[place + 8] ^= 64
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="no readable checkpoint"):
        read_checkpoint(path)


def test_files_that_claim_more_than_they_hold_are_refused(saved, tmp_path):
    content, path = read_checkpoint(saved[0]), tmp_path / "huge.pt"
    huge = torch.zeros(1).expand(10**13)
    torch.save(content | {"networks": {"w": huge}}, path)
    with pytest.raises(ValueError, match="it claims 4000000"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(ValueError, match="it claims 10000000 bytes"):
        read_checkpoint(path)


def test_widths_beyond_memory_are_refused_before_they_are_allocated(
    saved, tmp_path
):
    content, path = read_checkpoint(saved[0]), tmp_path / "wide.pt"
    content["description"]["config"]["hidden"] = [10**7, 10**7]
    torch.save(content, path)
    with pytest.raises(ValueError, match="does not fit its agent"):
        load_policy(path)


def test_what_is_no_checkpoint_is_named(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("other.pt", "list.pt"):
        with pytest.raises(ValueError, match="is not a 'smore_lit check"):
            read_checkpoint(tmp_path / name)
    for name in ("absent.pt", ""):
        with pytest.raises(OSError):
            read_checkpoint(tmp_path / name)
    with pytest.raises(OSError):
        load_policy(tmp_path)


def test_a_policy_needs_only_what_it_acts_with(saved, tmp_path):
    path = saved[0]
    policy = load_policy(path.parent)
    run = fresh()
    restore(read_checkpoint(path), run)
    trained = Policy(SMORE, CONFIG, SIZES, run.state.networks, SEEDS, {})
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 6, 10)), rng.normal(size=(2, 6, 3))
    actions = policy(*inputs)
    assert actions.shape == (2, 6, 4) and actions.dtype == np.float32
    assert (actions == trained(*inputs)).all()
    small = tmp_path / "policy.pt"
    save_policy(small, policy, ["policy"])
    assert small.stat().st_size < path.stat().st_size / 5
    loaded = load_policy(small, "smore")
    assert (loaded(*inputs) == actions).all()
    assert loaded.seeds == SEEDS and loaded.config == CONFIG
    for index, seed in enumerate(SEEDS):
        action = loaded.one(seed)(inputs[0][index, 2], inputs[1][index, 2])
        assert np.allclose(action, actions[index, 2], atol=1e-6)
    with pytest.raises(ValueError, match="no network 'actor'; known: "):
        save_policy(small, policy, ["actor"])
    with pytest.raises(ValueError, match="seed 7 was not trained"):
        loaded.one(7)


def test_a_policy_without_its_policy_or_with_nan_is_refused(saved, tmp_path):
    policy = load_policy(saved[0])
    save_policy(tmp_path / "critic.pt", policy, ["score"])
    with pytest.raises(ValueError, match="does not fit its agent"):
        load_policy(tmp_path / "critic.pt")
    content = read_checkpoint(saved[0])
    content["networks"]["policy.network.layers.2.bias"][0] = torch.nan
    torch.save(content, tmp_path / "nan.pt")
    with pytest.raises(ValueError, match="NaN or infinity"):
        load_policy(tmp_path / "nan.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "somre"},
        {"sizes": [10, 4]},
        {"sizes": [11, 4, 3]},
        {"seeds": [3]},
        {"config": {"hiden": [16, 16]}},
        {"config": None},
    ],
)
def test_a_description_that_lies_is_refused(saved, tmp_path, change):
    content = read_checkpoint(saved[0])
    content["description"] |= change
    torch.save(content, tmp_path / "lie.pt")
    with pytest.raises(ValueError, match="does not fit its agent") as caught:
        load_policy(tmp_path / "lie.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "observations, goals, reason",
    [
        (np.zeros((2, 5, 9)), np.zeros((2, 5, 3)), "observations must be"),
        (np.zeros((5, 10)), np.zeros((5, 3)), "observations must be"),
        (np.zeros((1, 5, 10)), np.zeros((1, 5, 3)), "observations must be"),
        (np.zeros((2, 5, 10)), np.zeros((2, 5, 4)), "goals must be"),
        (np.full((2, 5, 10), np.nan), np.zeros((2, 5, 3)), "NaN"),
        (np.zeros((2, 5, 10)), np.full((2, 5, 3), np.inf), "goals holds NaN"),
    ],
)
def test_a_policy_checks_what_it_sees(saved, observations, goals, reason):
    with pytest.raises(ValueError, match=reason):
        load_policy(saved[0])(observations, goals)


def test_a_failed_save_leaves_the_old_checkpoint(saved, tmp_path, monkeypatch):
    import os

    path = tmp_path / "checkpoint.pt"
    path.write_bytes(saved[0].read_bytes())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    run = fresh()
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, run.state_dict(), {})
    assert path.read_bytes() == saved[0].read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_random_numbers_of_a_gpu_are_named(saved):
    content = spoil(read_checkpoint(saved[0]), "generators of a GPU")
    with pytest.raises(ValueError, match="of another kind of device"):
        restore(content, fresh())
    assert load_policy(saved[0]).seeds
