"""Score networks: the loop's promises, and data that have no score."""

import math

import numpy as np
import pytest
import torch

from smore_lit.planning.distances import kernel_score
from smore_lit.planning.score_matching import (
    ScoreConfig,
    ScoreLearner,
    ScoreNetwork,
    as_points,
    train_score,
)
from smore_lit.running.checkpoints import read_checkpoint
from smore_lit.running.files import read_table
from smore_lit.running.loop import Schedule

DATA = np.random.default_rng(0).normal(size=(30, 2)) * [1.0, 5.0] + [0, 3.0]
SMALL = {"hidden": (8,), "batch_size": 16, "waves": 1}
SHORT = {"updates": 12, "checkpoint_every": 4, "log_every": 3, "seeds": 2}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    whole = train_score(DATA, tmp_path / "whole", SMALL, **SHORT)
    step = ScoreLearner.step

    def stop(learner):
        if learner.updates == 7:
            raise KeyboardInterrupt
        return step(learner)

    with monkeypatch.context() as patch:
        patch.setattr(ScoreLearner, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_score(DATA, tmp_path / "twice", SMALL, **SHORT)
    saved = read_checkpoint(tmp_path / "twice" / "checkpoint.pt")
    assert saved["updates"] == 4
    again = train_score(DATA, tmp_path / "twice", SMALL, **SHORT)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    one, two = (
        read_table(tmp_path / place / "metrics.csv")
        for place in ("whole", "twice")
    )
    assert one == two and len(one) == 2 * 4


def test_another_run_in_the_folder_is_refused(tmp_path):
    train_score(DATA, tmp_path, SMALL, **SHORT)
    for changed in (
        dict(data=DATA + 1e-3 * DATA**2),
        dict(settings=SMALL | {"largest": 2.0}),
        dict(seed=1),
    ):
        given = dict(data=DATA, out=tmp_path, settings=SMALL, **SHORT)
        with pytest.raises(ValueError, match="another run"):
            train_score(**given | changed)


def test_seeds_do_not_mix():
    both = train_score(DATA, settings=SMALL, **SHORT).state_dict()
    alone = train_score(DATA, settings=SMALL, **SHORT | {"seeds": 1})
    for name, value in alone.state_dict().items():
        pair = both[name]
        if name.startswith("network"):
            pair = pair[:1]
            assert not torch.equal(pair, both[name][1:]), name
        torch.testing.assert_close(value, pair, rtol=1e-4, atol=1e-5)


def test_one_datum_of_noise_is_learned_and_units_are_the_data_s():
    """Two far points: near each, the score is the way back to it."""
    pair = np.array([[0.0, 100.0], [10.0, 300.0]])
    settings = {"smallest": 0.2, "largest": 0.2, "hidden": (32, 32)}
    net = train_score(pair, settings=settings, updates=400, seeds=1)
    spread = torch.tensor([5.0, 100.0])
    points = torch.tensor([[[0.3, 105.0], [9.0, 310.0]]])
    found = net(points, 0.2)[0] * spread
    due = kernel_score(points[0] / spread, torch.tensor(pair) / spread, 0.2)
    torch.testing.assert_close(found.double(), due, rtol=0.1, atol=0.3)


@pytest.mark.parametrize(
    "data, reason",
    [
        (np.zeros((0, 2)), "two rows or more"),
        (np.ones((1, 2)), "two rows or more"),
        (np.zeros(5), "two rows or more"),
        (np.zeros((5, 0)), "two rows or more"),
        (np.zeros((5, 2, 2)), "two rows or more"),
        (np.array([[0.0, math.nan], [1.0, 2.0]]), "no NaN"),
        (np.array([[0.0, math.inf], [1.0, 2.0]]), "no NaN"),
        (np.array([[0.0, 3.0], [1.0, 3.0]]), "column 1 of the data never"),
        (None, "data must be an array of real numbers"),
        ([[1.0], [1.0, 2.0]], "data must be an array of real numbers"),
        (DATA.astype(object), "data must be an array of real numbers"),
        (DATA.astype(str), "data must be an array of real numbers"),
        (DATA + 1j, "data must be an array of real numbers"),
        (DATA + 1e9, "column 0 of data varies by less than 1e-5"),
        (DATA + [0.0, 1e7], "column 1 of data varies by less than 1e-5"),
    ],
)
def test_data_without_a_score_are_refused(data, reason, tmp_path):
    with pytest.raises(ValueError, match=reason) as caught:
        train_score(data, tmp_path / "new", SMALL, **SHORT)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "changed, reason",
    [
        (dict(settings={"smallest": 0.0}), "smallest must be positive"),
        (dict(settings={"smallest": math.nan}), "smallest must be positive"),
        (dict(settings={"smallest": 2.0}), "largest must be smallest"),
        (dict(settings={"largest": math.inf}), "largest must be smallest"),
        (dict(settings={"hidden": ()}), "hidden must be"),
        (dict(settings={"waves": -1}), "waves must be"),
        (dict(settings={"waves": 1.5}), "waves must be a whole number"),
        (dict(settings={"hidden": "8"}), "hidden must be"),
        (dict(settings={"largest": "1"}), "largest must be a finite"),
        (dict(settings={"batch_size": 0}), "batch_size must be"),
        (dict(settings={"learning_rate": 1.0}), "learning_rate must be"),
        (dict(settings={"sigma": 1.0}), "unknown option of a score"),
        (dict(updates=0), "updates"),
        (dict(epochs=3), "unknown option of a score"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed, reason):
    with pytest.raises(ValueError, match=reason):
        train_score(DATA, **changed)


def test_a_network_without_weights_answers_for_a_normal_cloud():
    net = ScoreNetwork(2, 3, ScoreConfig())
    points = torch.randn(2, 5, 3)
    for scale in (1e-3, 0.5, 100.0):
        due = -points / (1 + scale**2)
        torch.testing.assert_close(net(points, scale), due)
    schedule = Schedule(seeds=3, seed=5)
    learner = ScoreLearner(as_points(DATA), ScoreConfig(), schedule)
    assert learner.seeds == (5, 6, 7)
    assert learner.step()["loss"].shape == (3,)


def test_data_and_settings_of_any_kind(tmp_path):
    due = train_score(DATA, settings=SMALL, **SHORT)
    settings = {"hidden": np.array([8]), "batch_size": 16.0}
    settings |= {"waves": np.int64(1), "largest": np.float64(1.0)}
    given = (
        torch.tensor(DATA, requires_grad=True),
        DATA[::-1].copy()[::-1],
        DATA.tolist(),
    )
    for k, data in enumerate(given):
        found = train_score(data, tmp_path / str(k), settings, **SHORT)
        for name, value in due.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name
