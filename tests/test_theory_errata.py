"""What the book says of the paper is sorted, quoted, placed and true."""

import re
from pathlib import Path

import numpy as np
import pytest

from smore_lit.running.files import read_table, results_folder
from smore_lit.theory.duality import bellman_difference
from smore_lit.theory.goal_transitions import hard_goal_transitions
from smore_lit.theory.mixtures import mix
from smore_lit.theory.occupancies import (
    policy_of,
    random_mdp,
    random_policy,
)
from smore_lit.theory.special_cases import kl_game

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "theory" / "errata.md").read_text()
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *(ROOT / "book").rglob("*.md")]
}
KINDS = (
    "False as printed",
    "Needs a condition",
    "Notation or slip",
    "Reading of ours",
)
LINES = ["Place", "Printed", "Holds", "Shown", "Depends"]
FALSE = {1, 2, 3, 4, 7, 8}
READINGS = {9, 30, 33, 34, 37}


def entries():
    """Return kind and lines by name of every entry, by number."""
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        kind, *blocks = re.split(r"^\(erratum-(\d+)\)=$", part, flags=re.M)
        for number, block in zip(blocks[::2], blocks[1::2], strict=True):
            lines = re.findall(r"^- \*(\w+):\* (.*(?:\n  .*)*)", block, re.M)
            found[int(number)] = kind.splitlines()[0], lines
    return found


def letters():
    table = PAGE.partition("### Letters only")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows[1:]]


def line(number, name):
    return dict(entries()[number][1])[name]


def test_every_entry_has_a_kind_a_place_and_the_papers_words():
    found = entries()
    assert sorted(found) == list(range(1, len(found) + 1))
    assert len(found) >= 37
    for number, (kind, lines) in found.items():
        assert kind in KINDS, number
        assert [name for name, _ in lines] == LINES, number
        quotes = re.findall(r'"([^"]+)"', dict(lines)["Printed"])
        assert quotes and all(len(quote) < 160 for quote in quotes), number
        place = dict(lines)["Place"]
        assert re.search(r"Section|Table|Theorem|Prop|[A-D]\.\d", place)
    for row in letters():
        assert len(row) == 3 and all(row)
        assert re.search(r'"[^"]+"', row[1]), row


def test_kinds_are_what_the_text_of_the_paper_bears_out():
    kinds = {number: kind for number, (kind, _) in entries().items()}
    of = {kind: {n for n, k in kinds.items() if k == kind} for kind in KINDS}
    assert of["False as printed"] == FALSE
    assert of["Reading of ours"] == READINGS


def test_summary_counts_the_page():
    table = PAGE.partition("\n## Summary\n")[2]
    counted = {
        kind: int(number)
        for kind, number in re.findall(r"^\| (.+) \| (\d+) \|$", table, re.M)
    }
    kinds = [kind for kind, _ in entries().values()]
    true = {kind: kinds.count(kind) for kind in KINDS}
    assert counted == true | {"Letters only": len(letters())}
    assert not re.search(r"twelve are false|six change a result", PAGE)


WITHDRAWN = {
    "f* has the range R": r"\$?\\mathbb\{R\}_\+\$? to \$?\\mathbb\{R\}_\+",
    "pi_g has its goal": r"has no \$g\$ in its policy",
    "Slater's linear and feasible": r"constraints linear, hence no gap",
    "Slater's strict inequality": r"strictly positive \$d\^\\pi\$ is not",
    "frozen M, sampled successor": r"charges a score for varying",
    "Eq. 6's second policy": r"without its goal and once as",
    "reasons the paper gives": r"The other is not in the paper",
    "half of the mass": r"\\delta < \\tfrac12\$, (?:when|which needs)",
    "the fingers of HandReach": r"allows each finger 1 cm|reads as if each",
    "a quotation that is none": r'"any offline distribution',
}


@pytest.mark.parametrize("pattern", WITHDRAWN.values(), ids=WITHDRAWN)
def test_no_page_repeats_what_was_withdrawn(pattern):
    where = [name for name, text in TEXTS.items() if re.search(pattern, text)]
    assert not where


CONTEXT = {
    8: ("Holds", "no constant"),
    9: ("Holds", "on finite spaces"),
    10: ("Printed", "w.l.o.g."),
    12: ("Holds", r"C = \tfrac1\alpha\log Z"),
    13: ("Holds", "a uniform measure over goals"),
    16: ("Printed", r"\mathbb{R}_+ \to \mathbb{R}$"),
    17: ("Printed", "constraints linear and feasible"),
    18: ("Holds", r"\delta \le \tfrac12"),
    25: ("Printed", "sparse and binary"),
    27: ("Depends", "both halves of the square trained"),
}


@pytest.mark.parametrize("number", CONTEXT)
def test_entries_keep_the_context_of_the_paper(number):
    name, words = CONTEXT[number]
    assert words in line(number, name)


def equation_66(world, score, less, starts):
    mdp, policy, rho, q, beta = world
    y = bellman_difference(mdp, policy, score)
    by_policy = np.einsum("sga,sag->sg", policy, score)
    by_data = np.einsum("sga,sag->sg", policy_of(rho), score)
    linear = beta * (1 - mdp.gamma) * (starts * by_policy).sum()
    linear += (1 - beta) * (starts * by_data).sum()
    return linear + (mix(beta, q, rho) * np.exp(y - less)).sum()


@pytest.mark.parametrize("beta", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_shift_of_the_printed_exponents(beta, gamma):
    rng = np.random.default_rng(3)
    mdp = random_mdp(rng, 5, 3, 2, gamma)
    policy, score = random_policy(rng, mdp), rng.normal(size=(5, 3, 2))
    rho = rng.dirichlet(np.ones(30)).reshape(5, 3, 2)
    world = mdp, policy, rho, hard_goal_transitions(mdp), beta
    up = score + 1 / (1 - gamma)
    eq_65 = kl_game(*world, up, "printed") - kl_game(*world, score)
    assert np.isclose(eq_65, 1)
    law = np.outer(mdp.start, mdp.goal_law)
    for starts in (law, rho.sum(axis=1)):
        added = equation_66(world, up, 0, starts)
        added -= equation_66(world, score, 1, starts)
        assert np.isclose(added, (1 - beta * gamma) / (1 - gamma))


def test_entry_of_the_exponents_states_both_shifts():
    holds = line(14, "Holds")
    assert "Eq. 65 as printed" in holds
    assert r"$(1-\beta\gamma)/(1-\gamma)$" in holds


def means(table, algorithm, percent):
    return {
        row["task"]: float(row["mean"])
        for row in read_table(results_folder() / "paper_tables.csv")
        if (row["table"], row["algorithm"], row["expert_percent"])
        == (table, algorithm, percent)
    }


def test_numbers_of_the_two_tables_are_listed():
    five, half = (
        np.mean(list(means("table2", "GoFAR", percent).values()))
        for percent in ("5", "2.5")
    )
    drops = 100 * (1 - 11.49 / 16.18), 100 * (1 - half / five)
    assert "28.4% with 2.5%" in line(35, "Printed")
    assert line(35, "Holds").startswith(f"{drops[0]:.1f} %")
    assert f"{drops[1]:.1f} %" in line(35, "Holds")
    whole = means("table16", "SMORe", "10")
    bare = means("table14", "SMORe", "0")
    rows = [task for task in whole if whole[task] == bare[task]]
    assert rows == ["SawyerReach", "SawyerDoor"]
    assert all(task in line(36, "Place") for task in rows)
