"""The verification notices what is wrong, and nothing else."""

import json
import math
from dataclasses import dataclass
from decimal import Decimal

import mpmath as mp
import numpy as np
import pytest

from smore_lit.running.files import results_folder
from smore_lit.theory import verification
from smore_lit.theory.divergences import (
    DIVERGENCES,
    Hellinger,
    JensenShannon,
    KullbackLeibler,
    Pearson,
    find_divergence,
)
from smore_lit.theory.duality import random_problem
from smore_lit.theory.verification import (
    DEFINED,
    MUTANTS,
    ORDER,
    check_best_policy,
    check_fixed_policy,
    check_propositions,
    check_special_cases,
    conjugate_error,
    conjugate_slopes,
    count_kinds,
    describe_verification,
    draw_problems,
    exact_conjugate,
    make_row,
    plant,
    verify_theory,
)


@pytest.fixture(scope="module")
def found():
    return verify_theory(problems=3, seed=5)


def test_all_bars_hold_and_all_kinds_are_measured(found):
    assert found["holds"] and found["problems"] == 3 and found["seed"] == 5
    assert {row["name"] for row in found["rows"]} == set(ORDER)
    for row in found["rows"]:
        assert math.isfinite(row["value"]) and row["value"] >= 0
        expected = None if row["bar"] is None else row["value"] <= row["bar"]
        assert row["holds"] is expected
    assert len(found["records"]) == 3 * len(DIVERGENCES)
    for name in DIVERGENCES:
        own = [r for r in found["rows"] if r["divergence"] == name]
        bars = {(r["name"], r["quantity"]): r["bar"] for r in own}
        assert bars["Theorem 1", "relative gap"] == 1e-8
        assert bars["Theorem 2, corrected", "gap to the primal"] == 1e-6
        assert bars["Conjugates", "over x >= 0"] == 1e-10
        assert bars["Theorem 2, printed", "largest excess"] is None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_mutant_fails(name):
    with plant(name), np.errstate(all="ignore"):
        mutated = verify_theory(problems=1, seed=0)
    assert not mutated["holds"]
    assert verify_theory_of_today()


def verify_theory_of_today():
    """Tell whether every definition is back in its place."""
    problem = draw_problems(1, 0)[0]
    rng = np.random.default_rng(0)
    errors = verification.check_definitions(problem, 0.5, rng)
    return set(errors) == set(DEFINED) and max(errors.values()) < 1e-10


def test_without_a_mutant_all_bars_hold():
    assert len(MUTANTS) >= 10
    assert verify_theory(problems=1, seed=0)["holds"]


def test_ugly_problems_are_drawn_and_counted():
    kinds = count_kinds(draw_problems(50, 0))
    for kind in (
        "one state",
        "one action",
        "one start of several states",
        "states that are never reached",
        "policy with zeros",
        "data below 1e-20",
        "gamma 0",
        "gamma 0.999",
        "gamma 0.9999",
    ):
        assert kinds[kind] >= 2, kind
    gammas = [n for k, n in kinds.items() if k.startswith("gamma")]
    assert sum(gammas) == 50


def test_result_survives_json(found):
    again = json.loads(json.dumps(found))
    assert describe_verification(again) == describe_verification(found)


def test_same_seed_same_numbers_and_more_problems_keep_the_first(found):
    again = verify_theory(problems=1, seed=5)
    assert again["records"] == found["records"][: len(DIVERGENCES)]
    one, other = draw_problems(2, 5), draw_problems(2, 6)
    assert any(
        a.rho.shape != b.rho.shape or not np.allclose(a.rho, b.rho)
        for a, b in zip(one, other)
    )


def test_watch_sees_every_problem():
    seen = []

    def watch(problems):
        for problem in problems:
            seen.append(problem)
            yield problem

    verify_theory(problems=1, seed=0, watch=watch)
    assert len(seen) == 1


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", True, None])
def test_bad_counts_are_refused_in_one_line(bad):
    with pytest.raises(ValueError, match="problems is") as error:
        verify_theory(problems=bad)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [-1, 0.5, "a"])
def test_bad_seeds_are_refused_in_one_line(bad):
    with pytest.raises(ValueError, match="seed is"):
        draw_problems(1, bad)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_slopes_hold_edges_kinks_and_their_neighbours(name):
    slopes = conjugate_slopes(find_divergence(name)).tolist()
    assert len(slopes) == 200
    edge = find_divergence(name).domain[1]
    corners = [edge] if edge < math.inf else []
    corners += {"chi2": [-2.0], "tv": [-0.5]}.get(name, [])
    for corner in corners:
        for point in (corner, *np.nextafter(corner, [-9, 9])):
            assert point in slopes


CLOSED = {
    "chi2": lambda y: y + y**2 / 4 if y >= -2 else mp.mpf(-1),
    "kl": lambda y: mp.exp(y - 1),
    "hellinger": lambda y: y / (1 - y) if y < 1 else mp.inf,
    "js": lambda y: -mp.log(2 - mp.exp(y)) if y < mp.log(2) else mp.inf,
    "tv": lambda y: max(y, mp.mpf(-0.5)) if y <= 0.5 else mp.inf,
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_search_against_closed_forms(name):
    with mp.workdps(50):
        for y in conjugate_slopes(find_divergence(name))[::7].tolist():
            exact = CLOSED[name](mp.mpf(y))
            search = exact_conjugate(name, y)
            if exact == mp.inf:
                assert search == Decimal("Infinity")
                continue
            size = max(1, abs(exact))
            assert abs(mp.mpf(str(search)) - exact) / size < 1e-12


def test_exact_generator_knows_its_names():
    with pytest.raises(ValueError, match="no exact generator 'renyi'"):
        exact_conjugate("renyi", 0.0)


@dataclass(frozen=True)
class NoClamp(Pearson):
    def nonnegative_conjugate(self, y):
        return self.conjugate(y)


@dataclass(frozen=True)
class Exponent(KullbackLeibler):
    def nonnegative_conjugate(self, y):
        return y.exp()


@dataclass(frozen=True)
class NoPole(Hellinger):
    def nonnegative_conjugate(self, y):
        return y / (1 - y)


@dataclass(frozen=True)
class Halved(JensenShannon):
    def generator(self, x):
        return 0.5 * super().generator(x)


@pytest.mark.parametrize("wrong", [NoClamp(), Exponent(), NoPole()])
def test_wrong_conjugates_are_noticed(wrong):
    assert not conjugate_error(wrong) < 1e-10


@pytest.mark.parametrize("wrong", [Exponent(), Halved()])
def test_a_wrong_pair_breaks_theorem_1(wrong):
    problem = draw_problems(1, 0)[0]
    gaps = check_fixed_policy(wrong, problem, np.random.default_rng(0))
    assert gaps["gap"] > 1e-2


def test_a_failing_bar_fails_the_whole(monkeypatch):
    monkeypatch.setitem(verification.DIVERGENCES, "kl", Exponent())
    found = verify_theory(problems=1, seed=0)
    failed = {
        (row["name"], row["divergence"])
        for row in found["rows"]
        if row["holds"] is False
    }
    assert not found["holds"]
    assert {("Conjugates", "kl"), ("Theorem 1", "kl")} <= failed
    assert {divergence for _, divergence in failed} == {"kl"}
    text = describe_verification(found)
    assert "!" in text and "bars fail" in text.splitlines()[-1]


def test_a_solver_that_gives_up_fails(monkeypatch):
    def give_up(*given, **options):
        raise ValueError("no")

    monkeypatch.setattr(verification, "solve_dual", give_up)
    found = verify_theory(problems=1, seed=0)
    gaps = [
        row
        for row in found["rows"]
        if (row["name"], row["quantity"]) == ("Theorem 1", "relative gap")
    ]
    assert len(gaps) == 5 and not any(row["holds"] for row in gaps)
    assert not found["holds"]


def test_rows_without_a_number_do_not_hold():
    for value in (math.nan, math.inf, 2e-8):
        assert make_row("a", "b", "kl", value, 1e-8)["holds"] is False
    assert make_row("a", "b", "kl", 3)["holds"] is None
    assert isinstance(make_row("a", "b", "kl", 3, 0)["value"], int)


def test_propositions_are_broken_by_what_lies_below_kl():
    counts = dict.fromkeys(DIVERGENCES, 0)
    for i in range(9):
        problem = random_problem(np.random.default_rng(i))
        for name, f in DIVERGENCES.items():
            slack = check_propositions(f, problem, (0.5, 2.0, 8.0)[i % 3])
            counts[name] += slack["first"] < -1e-10
            if name == "kl":
                assert abs(slack["first"]) < 1e-10
                assert abs(slack["second"] - slack["jensen"]) < 1e-10
    assert counts["chi2"] == counts["kl"] == 0
    assert counts["js"] == counts["hellinger"] == 9


def test_special_cases_hold_and_the_printed_factor_is_one_over_gamma():
    for problem in draw_problems(6, 1):
        got = check_special_cases(problem, np.random.default_rng(0))
        over = 1 / (1 - problem.mdp.gamma)
        assert got.pop("printed") == pytest.approx(over, rel=1e-6)
        assert max(got.values()) < 1e-10


def test_printed_clamp_is_reported_where_it_is_wrong():
    excess = []
    for i in range(6):
        problem = random_problem(np.random.default_rng([0, i]))
        rng = np.random.default_rng(0)
        got = check_best_policy(find_divergence("chi2"), problem, rng)
        excess.append(got["excess"])
        assert (got["least d"] < -1e-9) == (got["excess"] > 1e-9)
        assert got["gap"] < 1e-6 and got["below 0"] < 1e-12
    assert max(excess) > 1e-3 and min(excess) < 1e-9


def test_kept_run_is_whole_and_its_table_is_that_of_its_records():
    path = results_folder() / "theory_verification.json"
    kept = json.loads(path.read_text())
    assert kept["problems"] == 50 and kept["seed"] == 0 and kept["holds"]
    assert len(kept["records"]) == 250
    for name in DIVERGENCES:
        own = [r for r in kept["records"] if r["divergence"] == name]
        rows = {
            (r["name"], r["quantity"]): r["value"]
            for r in kept["rows"]
            if r["divergence"] == name
        }
        worst = max(r["t1.gap"] for r in own)
        assert rows["Theorem 1", "relative gap"] == worst
        worst = max(r["t2.gap"] for r in own)
        assert rows["Theorem 2, corrected", "gap to the primal"] == worst
        above = sum(r["t2.excess"] > 1e-6 for r in own)
        assert rows["Theorem 2, printed", "problems above primal"] == above
