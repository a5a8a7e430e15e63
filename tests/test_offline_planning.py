"""Models, searches and the planners on arrays: what holds, what is refused."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from smore_lit.appendix.cli import main
from smore_lit.planning import cartpole, models, offline, search
from smore_lit.planning.planners import Descent, roll_out

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(60, 2)) * [1.0, 5.0]
ACTIONS = RNG.normal(size=(60, 1))
AFTER = STATES + 0.1 * np.concatenate((STATES[:, 1:], ACTIONS), axis=1)
TABLES = dict(states=STATES, actions=ACTIONS, next_states=AFTER)
TINY = {"hidden": (8,), "batch_size": 16}
SHORT = dict(updates=4, model=TINY, score=TINY | {"waves": 1})
QUICK = offline.Method(
    descent=Descent(steps=3, rate=0.1), search=search.Search(3, 8, 3)
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def known():
    return offline.fit_planner(**TABLES, members=3, **SHORT)


def miss(x, u):
    return (x[:, -1] - 1).square().sum(-1)


def plan(known, method, seeds=(0, 1), steps=5):
    given = torch.zeros(len(seeds), 2), torch.zeros(len(seeds), steps, 1)
    return offline.plan_offline(known, *given, miss, method, seeds)


def methods():
    for planner in offline.PLANNERS:
        searches = planner in ("cem", "mppi")
        for penalty in offline.PENALTIES if searches else ["distance"]:
            yield dataclasses.replace(QUICK, planner=planner, penalty=penalty)


@pytest.mark.parametrize("method", list(methods()), ids=lambda m: m.planner)
def test_every_planner_plans_each_start_as_if_alone(known, method):
    both = plan(known, method)
    assert both.states.shape == (2, 6, 2) and both.actions.shape == (2, 5, 1)
    for k in range(2):
        alone = plan(known, method, seeds=(k,))
        torch.testing.assert_close(
            alone.actions[0], both.actions[k], rtol=1e-3, atol=1e-4
        )
    torch.testing.assert_close(both.costs, miss(both.states, both.actions))
    again = roll_out(known.dynamics, torch.zeros(2, 2), both.actions)
    torch.testing.assert_close(again, both.states, rtol=1e-3, atol=1e-4)


def test_what_is_charged_moves_the_plan(known):
    """Every planner but none follows its penalty, and that one only."""
    free = plan(known, dataclasses.replace(QUICK, planner="none"))
    for method in methods():
        charged = dataclasses.replace(method, beta=50.0)
        found = plan(known, charged).actions
        if method.planner == "none":
            assert torch.equal(found, free.actions)
            continue
        light = plan(known, dataclasses.replace(method, beta=0.0)).actions
        assert not torch.allclose(found, light), method
    gradient = dataclasses.replace(QUICK, planner="ensemble", beta=0.0)
    torch.testing.assert_close(plan(known, gradient).actions, free.actions)


def test_one_model_cannot_disagree(known):
    alone = dataclasses.replace(known, model=models.first_member(known.model))
    for changes in (
        dict(planner="ensemble"),
        dict(planner="cem", penalty="ensemble"),
    ):
        with pytest.raises(ValueError, match="one model cannot disagree"):
            plan(alone, dataclasses.replace(QUICK, **changes))


def test_disagreement_is_the_variance_of_the_members(known):
    x, u = torch.randn(2, 4, 2), torch.randn(2, 3, 1)
    due = torch.zeros(2)
    for b in range(2):
        for t in range(3):
            guess = known.model(x[b, t : t + 1], u[b, t : t + 1])[:, 0]
            units = (guess / known.model.reach).numpy()
            due[b] += units.var(axis=0).sum()
    found = known.disagreement(x, u)
    torch.testing.assert_close(found, due, rtol=1e-3, atol=1e-6)
    alone = models.first_member(known.model)
    one = x[0, :1], u[0, :1]
    torch.testing.assert_close(alone(*one)[0], known.model(*one)[0])


def test_distance_is_the_smoothed_one(known):
    from smore_lit.planning.distances import smoothed_distance

    x, u = torch.randn(2, 4, 2), torch.randn(2, 3, 1)
    spread = known.score.spread
    z = torch.cat((x[:, :-1], u), dim=-1) / spread
    due = smoothed_distance(z, known.points / spread, 0.3).sum(-1)
    torch.testing.assert_close(
        known.distance(x, u, 0.3), due, rtol=1e-3, atol=1e-4
    )


def test_episodes_become_transitions_without_padding():
    episodes = dict(
        observations=RNG.normal(size=(2, 4, 3)),
        actions=RNG.uniform(-1, 1, size=(2, 3, 2)),
        achieved_goals=RNG.normal(size=(2, 4, 1)),
        desired_goals=RNG.normal(size=(2, 1)),
        lengths=np.array([3, 1]),
    )
    x, u, after = offline.list_transitions(episodes)
    seen = episodes["observations"].astype(np.float32)
    assert np.array_equal(x, np.concatenate((seen[0, :3], seen[1, :1])))
    assert np.array_equal(after, np.concatenate((seen[0, 1:], seen[1, 1:2])))
    assert u.shape == (4, 2)


def test_networks_in_a_folder_go_on(tmp_path):
    first = offline.fit_planner(**TABLES, out=tmp_path, **SHORT)
    again = offline.fit_planner(**TABLES, out=tmp_path, **SHORT)
    for one, two in ((first.model, again.model), (first.score, again.score)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, two.state_dict()[name]), name
    with pytest.raises(ValueError, match="another run"):
        offline.fit_planner(**TABLES, out=tmp_path, **SHORT, seed=1)


def changed(**tables):
    return TABLES | tables


@pytest.mark.parametrize(
    "tables, reason",
    [
        (changed(states=STATES[:, 0]), "states must be a table"),
        (changed(states=STATES[:1], actions=ACTIONS[:1]), "two rows or more"),
        (changed(actions=ACTIONS[:-1]), "no transitions"),
        (changed(next_states=AFTER[:, :1]), "no transitions"),
        (changed(actions=np.zeros((60, 0))), "actions must be a table"),
        (changed(states=STATES * math.nan), "states must hold no NaN"),
        (changed(next_states=AFTER + math.inf), "next_states must hold no"),
        (changed(actions=0 * ACTIONS), "column 0 of actions never varies"),
        (
            changed(states=STATES * [1, 0]),
            "column 1 of states never varies",
        ),
        (changed(next_states=STATES), "the change of states never varies"),
    ],
)
def test_transitions_without_a_model_are_refused(tables, reason, tmp_path):
    with pytest.raises(ValueError, match=reason) as caught:
        offline.fit_planner(**tables, out=tmp_path / "new", **SHORT)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: offline.Method("cme"), "unknown planner 'cme'; known: sgp"),
        (lambda: offline.Method(penalty="far"), "unknown penalty 'far'"),
        (lambda: offline.Method(beta=-1.0), "beta must be 0 or more"),
        (
            lambda: offline.Method("sgp", penalty="ensemble"),
            "the planner sgp has no penalty to choose",
        ),
        (lambda: offline.Method(beta=math.nan), "beta must be 0 or more"),
        (lambda: search.Search(steps=0), "steps must be 1"),
        (lambda: search.Search(samples=1), "samples must be 2"),
        (lambda: search.Search(elites=1), "elites must be 2 to samples"),
        (lambda: search.Search(elites=200), "elites must be 2 to samples"),
        (lambda: search.Search(temperature=0.0), "temperature must be pos"),
        (lambda: models.ModelConfig(hidden=()), "hidden must be"),
        (lambda: models.ModelConfig(batch_size=0), "batch_size must be"),
        (lambda: models.ModelConfig(learning_rate=2.0), "learning_rate must"),
        (lambda: models.ModelConfig(hidden=64), "hidden must be"),
        (lambda: models.ModelConfig(hidden="64"), "hidden must be"),
        (lambda: models.ModelConfig(hidden=(8.5,)), "hidden must be"),
        (lambda: models.ModelConfig(batch_size=1.5), "batch_size must be"),
        (lambda: offline.Method(beta="1"), "beta must be a finite number"),
        (lambda: offline.Method(beta=None), "beta must be a finite number"),
        (lambda: offline.Method(descent=3), "descent must be a Descent"),
        (lambda: offline.Method(search=None), "search must be a Search"),
        (lambda: search.Search(samples=8.5), "samples must be a whole"),
        (lambda: search.Search(steps="3"), "steps must be a whole"),
        (lambda: search.Search(temperature="1"), "temperature must be a f"),
        (
            lambda: models.train_model(STATES, ACTIONS, AFTER, epochs=3),
            "unknown option of a model",
        ),
        (lambda: offline.find_problem("chess"), "unknown problem 'chess'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_searches_refuse_plans_that_mean_nothing(known):
    for method in (QUICK, dataclasses.replace(QUICK, planner="cem")):
        with pytest.raises(ValueError, match="horizon of 0"):
            plan(known, method, steps=0)

    def blown(x, u):
        return x[:, 0, 0] * math.inf

    given = torch.zeros(1, 2), torch.zeros(1, 2, 1)
    method = dataclasses.replace(QUICK, planner="mppi")
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        offline.plan_offline(known, *given, blown, method, [0])


def test_a_broken_sample_does_not_stop_a_search(known):
    """Costs that are NaN count as the worst, unless all are."""

    def cost(x, u):
        far = miss(x, u)
        return torch.where(u[:, 0, 0] > 0.5, math.nan, far)

    given = torch.zeros(1, 2), torch.zeros(1, 2, 1)
    for planner in ("cem", "mppi"):
        method = dataclasses.replace(QUICK, planner=planner, beta=0.0)
        found = offline.plan_offline(known, *given, cost, method, [0])
        assert found.actions.isfinite().all()


def test_the_pole_keeps_its_energy_without_a_force():
    state = torch.tensor([[0.1, 2.0, 0.3, -1.0]]).double()

    def energy(s):
        p, angle, speed, turn = s[0].tolist()
        swing = cartpole.LENGTH * turn
        moving = (cartpole.CART + cartpole.POLE) * speed**2 / 2
        moving += cartpole.POLE * math.cos(angle) * speed * swing
        moving += cartpole.POLE * swing**2 / 2
        height = -cartpole.LENGTH * math.cos(angle)
        return moving + cartpole.POLE * cartpole.GRAVITY * height

    before, idle = energy(state), torch.zeros(1, 1).double()
    for _ in range(40):
        state = cartpole.step_cartpole(state, idle)
    assert energy(state) == pytest.approx(before, rel=1e-3)


def test_recorded_carts_begin_and_end_in_the_box():
    x, u, after = cartpole.record_cartpole(cartpole.NARROW, 5_000, 0)
    assert 3_000 < len(x) < 5_000
    assert cartpole.NARROW.holds(torch.cat((x, u), dim=1)).all()
    assert cartpole.NARROW.holds(after).all()
    again = cartpole.record_cartpole(cartpole.NARROW, 5_000, 0)
    assert torch.equal(again[0], x)
    outside = torch.tensor([[0.7, 0, 0, 0], [0, 0, 0, 9.1]])
    assert not cartpole.NARROW.holds(outside).any()


@pytest.mark.parametrize(
    "words, reason",
    [
        ("plan chess", "unknown problem 'chess'"),
        ("plan cartpole --planner best", "unknown planner 'best'"),
        ("plan cartpole --penalty far", "unknown penalty 'far'"),
        ("plan cartpole --penalty ensemble", "no penalty to choose"),
        ("plan cartpole --beta -1", "beta must be 0 or more"),
        ("plan cartpole --beta much", "must be a finite number"),
        ("plan cartpole --beta nan", "must be a finite number"),
        ("plan cartpole --updates 0", "must be a whole number"),
        ("plan cartpole --members 0", "must be a whole number"),
        ("plan cartpole --seed -1", "must be a whole number"),
        ("plan", "PROBLEM"),
    ],
)
def test_the_command_refuses_what_means_nothing(words, reason, capsys):
    try:
        code = main(words.split())
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    said = capsys.readouterr()
    assert reason in said.err and said.out == ""
    assert len(said.err.strip().splitlines()) <= 3


def fails(reason, call, *given, **named):
    with pytest.raises(ValueError, match=reason) as caught:
        call(*given, **named)
    assert "\n" not in str(caught.value)


ALL = pytest.mark.parametrize(
    "method", list(methods()), ids=lambda m: m.planner
)
ZERO = torch.zeros(2, 2), torch.zeros(2, 5, 1)


@ALL
def test_costs_are_looked_at_by_every_planner(known, method):
    def ask(cost):
        return offline.plan_offline(known, *ZERO, cost, method, [0, 1])

    for bad in (
        lambda x, u: miss(x, u).mean(),
        lambda x, u: miss(x, u)[:, None],
        lambda x, u: x[:, :, 0],
        lambda x, u: 1.0,
        lambda x, u: None,
        lambda x, u: miss(x, u).detach().numpy(),
        lambda x, u: miss(x, u).tolist(),
    ):
        fails(r"a cost must return a tensor \(B,\) = \(", ask, bad)
    found = ask(lambda x, u: miss(x, u).double())
    torch.testing.assert_close(found.actions, ask(miss).actions)
    assert found.costs.dtype == torch.float32

    def still(x, u):
        return miss(x, u).detach()

    if method.planner in ("cem", "mppi"):
        assert torch.equal(ask(still).actions, ask(miss).actions)
    else:
        fails("no gradient in the plan: use cem or mppi", ask, still)


@ALL
def test_starts_and_actions_of_any_kind_and_the_sizes_learned(known, method):
    def ask(starts, actions):
        return offline.plan_offline(
            known, starts, actions, miss, method, [0, 1]
        ).actions

    due = ask(*ZERO)
    for kind in (np.asarray, torch.Tensor.double, torch.Tensor.tolist):
        assert torch.equal(ask(*map(kind, ZERO)), due)
    sizes = "n = 2 and actions of m = 1 numbers, but starts have"
    fails(f"{sizes} 3 and actions 1", ask, torch.zeros(2, 3), ZERO[1])
    fails(f"{sizes} 2 and actions 2", ask, ZERO[0], torch.zeros(2, 5, 2))
    fails(f"{sizes} 1 and actions 2", ask, ZERO[0][:, 1:], np.ones((2, 5, 2)))
    fails("there is no plan", ask, ZERO[0][:0], ZERO[1][:0])
    fails("starts must be an array", ask, [["a", "b"]] * 2, ZERO[1])


@pytest.mark.parametrize("planner", ["cem", "mppi"])
def test_each_plan_of_a_search_has_one_seed(known, planner):
    method = dataclasses.replace(QUICK, planner=planner)

    def ask(seeds):
        return offline.plan_offline(known, *ZERO, miss, method, seeds)

    due = ask([0, 1]).actions
    for seeds in (np.arange(2), range(2), (0.0, np.int64(1))):
        assert torch.equal(ask(seeds).actions, due)
    for seeds in ([0], [0, 1, 2], [], 3, None):
        fails("seeds must be a list of 2, one for each plan", ask, seeds)
    for seeds in ([0, 0.5], [0, -1], "ab"):
        fails("a seed must be a whole number", ask, seeds)
    fails("a seed must be below", ask, [0, 2**63])


def test_a_replanner_takes_arrays(known):
    due = offline.Replanner(known, miss, QUICK, 3, 2)(ZERO[0])
    for kind in (np.asarray, torch.Tensor.double, torch.Tensor.tolist):
        act = offline.Replanner(known, miss, QUICK, 3, 2)
        assert torch.equal(act(kind(ZERO[0])), due)
    act = offline.Replanner(known, miss, QUICK, 3, 2)
    fails(r"states must be \(B, n\)", act, np.zeros((2, 3)))
    fails("there is no plan", act, np.zeros((0, 2)))


def test_settings_of_a_planner_are_checked_before_it_learns(
    monkeypatch,
):
    due = offline.fit_planner(**TABLES, **SHORT, seed=1, reference=10)
    for seed, reference in ((np.int64(1), 10.0), (1.0, np.int32(10))):
        found = offline.fit_planner(
            **TABLES, **SHORT, seed=seed, reference=reference
        )
        assert torch.equal(found.points, due.points)
    monkeypatch.setattr(offline, "train_model", None)  # is not reached
    for changes, reason in (
        (dict(seed=-1), "seed must be a whole number, 0 or more"),
        (dict(seed=0.5), "seed must be a whole number"),
        (dict(seed=2**63), "seed must be below"),
        (dict(reference=0), "reference must be a whole number, 1 or more"),
        (dict(reference=-5), "reference must be a whole number, 1 or more"),
        (dict(reference=1.5), "reference must be a whole number"),
        (dict(members=0), "members must be a whole number"),
        (dict(score={"sigma": 1.0}), "unknown option of a score"),
        (dict(score={"waves": -1}), "waves must be"),
        (dict(score=3), "unknown option of a score"),
    ):
        fails(reason, offline.fit_planner, **TABLES, **(SHORT | changes))


def test_numbers_of_any_kind_are_learned_from(tmp_path):
    settings = {"hidden": np.array([8]), "batch_size": 16.0}
    settings |= {"learning_rate": np.float32(0.001)}
    plain = {"hidden": (8,), "batch_size": 16, "learning_rate": 0.001}
    due = models.train_model(*TABLES.values(), settings=plain, updates=2)
    free = [torch.tensor(t, requires_grad=True) for t in TABLES.values()]
    back = [t[::-1].copy()[::-1] for t in TABLES.values()]
    lists = [t.tolist() for t in TABLES.values()]
    for k, given in enumerate((free, back, lists)):
        found = models.train_model(
            *given, tmp_path / str(k), settings=settings, updates=2
        )
        for name, value in due.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name


@pytest.mark.parametrize("name", ["states", "actions", "next_states"])
def test_what_holds_no_numbers_is_refused(name):
    array = f"{name} must be an array of real numbers, got"
    for values in (
        None,
        "states",
        [[1.0], [1.0, 2.0]],
        TABLES[name].astype(object),
        TABLES[name].astype(str),
        TABLES[name] + 1j,
    ):
        fails(array, models.as_transitions, **changed(**{name: values}))
    values = torch.tensor(TABLES[name] + 1j)
    given = changed(**{name: values})
    fails(f"{name} must hold real", models.as_transitions, **given)


@pytest.mark.parametrize("offset", [1e6, -1e9])
def test_a_column_lost_to_rounding_is_refused(offset):
    x, u, after = (t.copy() for t in TABLES.values())
    x[:, 0] += offset
    after[:, 0] += offset
    reason = "column 0 of states varies by less .* subtract an offset"
    fails(reason, models.as_transitions, x, u, after)
    fails(reason, models.as_transitions, *map(torch.tensor, (x, u, after)))
    fair = TABLES["states"] + [1e3, 0]
    assert len(models.as_transitions(fair, u, fair)) == 3


def test_leaving_the_data_is_told_of_numbers_only(known):
    x, u = STATES[:4], ACTIONS[:4]
    due = offline.leave_data(known, x, u)
    assert due.tolist() == [False] * 4
    far = offline.leave_data(known, (x + 99).tolist(), torch.tensor(u))
    assert far.all() and len(offline.leave_data(known, x[:0], u[:0])) == 0
    leave = offline.leave_data
    fails("no NaN or infinity", leave, known, x * math.nan, u)
    fails("no NaN or infinity", leave, known, x, u + math.inf)
    for bad in ((x, u[:3]), (x[:, :1], u), (x[0], u[0]), (u, x), (1.0, 2.0)):
        fails(r"states must be \(M, 2\) and actions", leave, known, *bad)
    one = dataclasses.replace(known, points=known.points[:1])
    fails("reference=2 or more", leave, one, x, u)
