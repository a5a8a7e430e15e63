# Generated from book/appendix/options.md by make sync. Edit the chapter, not this file.
"""Inside the options: make options from fields.

The name, type, default and comment of each field of a dataclass make an option
of the command line.
"""

__all__ = [
    "whole",
    "read_whole",
    "most_workers",
    "read_number",
    "read_comments",
    "show",
    "KINDS",
    "flag",
    "add_fields",
    "given",
    "add_choice",
    "add_plan",
    "add_learning",
    "respell",
    "HOLDS",
    "first_line",
    "describe_agents",
    "describe_fields",
]


# book/appendix/options.md, section "Inside the options: make options from fields"
import argparse
import contextlib
import dataclasses
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from smore_lit.appendix.answers import Parser
from smore_lit.running.files import as_whole


# book/appendix/options.md, section "Read a value"
def whole(
    least: float = -math.inf, most: float = math.inf
) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`.

    The reader raises argparse.ArgumentTypeError, which the parser prints.
    """
    due = "a whole number"
    if least > -math.inf:
        due += f", {least} "
        due += "or more" if most == math.inf else f"to {most}"

    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            value = read_whole(text)
            if least <= value <= most:
                return value
        raise argparse.ArgumentTypeError(f"must be {due}, got {text!r}")

    return read


def read_whole(text: str) -> int:
    """Read "500" or "5e2" as a whole number; ValueError if it is none."""
    try:
        return int(text)
    except ValueError:
        return as_whole("it", float(text), None)


def most_workers() -> int:
    """Return how many simulator processes this machine is trusted with."""
    return max(8, 4 * (os.cpu_count() or 1))


# book/appendix/options.md, section "Read a value"
def read_number(text: str) -> float:
    """Read a finite number; argparse.ArgumentTypeError if it is none."""
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"must be a finite number, got {text!r}")


# book/appendix/options.md, section "From a field to an option"
def read_comments(config: type) -> dict[str, str]:
    """Return the comment beside each field of a dataclass, by name."""
    found: dict[str, str] = {}
    for kind in reversed(config.__mro__):
        if dataclasses.is_dataclass(kind):
            lines = inspect.getsource(kind)
            pairs = re.findall(r"^    (\w+): .*?  # (.+)$", lines, re.M)
            found |= dict(pairs)
    return found


def show(value: Any) -> str:
    """Return a default as it would be typed, or on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)


# book/appendix/options.md, section "From a field to an option"
KINDS: dict[type, dict[str, Any]] = {
    int: {"metavar": "INT", "type": whole()},
    float: {"metavar": "FLOAT", "type": read_number},
    str: {"metavar": "NAME"},
    tuple: {"metavar": "INT", "type": whole(), "nargs": "+"},
    bool: {"action": argparse.BooleanOptionalAction},
}


def flag(name: str) -> str:
    """Return the option of a field, as "--learning-rate"."""
    return "--" + name.replace("_", "-")


def add_fields(
    parser, title: str, config: Any, names: Iterable[str] | None = None
) -> None:
    """Add an option for each field of a dataclass.

    Args:
        parser: gets a group of options.
        title: of the group.
        config: an instance; its values are shown as the defaults.
        names: of fields; None: all.
    """
    comments = read_comments(type(config))
    group = parser.add_argument_group(title)
    for name in comments if names is None else names:
        value = getattr(config, name)
        text = f"{comments[name]} (default {show(value)})".replace("%", "%%")
        kind = KINDS[type(value)]
        group.add_argument(
            flag(name), default=argparse.SUPPRESS, help=text, **kind
        )


def given(options: argparse.Namespace, config: type) -> dict[str, Any]:
    """Return those fields of a dataclass that the options hold, by name."""
    names = (field.name for field in dataclasses.fields(config))
    return {n: getattr(options, n) for n in names if hasattr(options, n)}


# book/appendix/options.md, section "Options that other options decide"
def add_choice(parser) -> None:
    """Add what decides which hyperparameters there are."""
    add = parser.add_argument
    text = "of those that smore-lit algorithms lists (default smore)"
    add("--algo", default="smore", metavar="NAME", help=text)
    text = "paper or released, where there is one (default shared)"
    add("--preset", default="shared", metavar="NAME", help=text)
    text = "older spelling of --NAME VALUE, for any hyperparameter"
    several = {"action": "append", "default": []}
    add("--set", metavar="NAME=VALUE", help=text, **several)


def add_plan(parser, words: list[str], **plan) -> list[str]:
    """Add the fields of `Plan`; return the words as they are.

    Args:
        parser: of a command that trains.
        words: of its call.
        plan: fields for which the command has a default of its own.
    """
    from smore_lit.learning.training import Plan

    add_fields(parser, "how long to train, and when to look", Plan(**plan))
    return words


# book/appendix/options.md, section "Options that other options decide"
def add_learning(parser, words: list[str]) -> list[str]:
    """Add the options of the plan and of the algorithm that is chosen.

    Returns:
        The words, those of `--set` as options.

    Raises:
        ValueError: no such algorithm, preset or setting, or one twice.
    """
    add_plan(parser, words)
    from smore_lit.learning.agent import AgentConfig, find_agent, make_config

    first = Parser(prog=parser.prog, add_help=False)
    add_choice(first)
    chosen, rest = first.parse_known_args(words)
    agent = find_agent(chosen.algo)
    config = make_config(agent, chosen.preset)
    shared = [field.name for field in dataclasses.fields(AgentConfig)]
    own = [n for n in read_comments(agent.config) if n not in shared]
    add_fields(parser, "hyperparameters of every algorithm", config, shared)
    add_fields(parser, f"hyperparameters of {agent.name}", config, own)
    if chosen.algo != first.get_default("algo"):
        parser.prog += f" --algo {agent.name}"
    settings = []
    for text in chosen.set:
        settings += respell(agent.config, text, rest)
    choice = [f"--algo={chosen.algo}", f"--preset={chosen.preset}"]
    return [*settings, *choice, *rest]


# book/appendix/options.md, section "Options that other options decide"
def respell(config: type, text: str, words: Iterable[str]) -> list[str]:
    """Return "name=value" as words of the option `--name`.

    Args:
        config: a dataclass with a default for every field.
        text: such as "gamma=0.98" or "hidden=128,128".
        words: all others; the option must not stand among them.

    Raises:
        ValueError: no such setting, or given both ways.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    known = {f.name: f.default for f in dataclasses.fields(config)}
    if not equals or name not in known:
        raise ValueError(
            f"--set wants name=value, got {text!r}; names: {', '.join(known)}"
        )
    if flag(name) in {word.partition("=")[0] for word in words}:
        raise ValueError(f"{name} is given twice: drop {flag(name)} or --set")
    if isinstance(known[name], tuple):
        return [flag(name), *value.split(",")]
    if not isinstance(known[name], bool):
        return [f"{flag(name)}={value}"]
    switch = {"true": flag(name), "false": flag(f"no_{name}")}
    if value.lower() not in switch:
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return [switch[value.lower()]]


# book/appendix/options.md, section "What there is to choose from"
HOLDS = "Hold the hyperparameters of "


def first_line(part: Any) -> str:
    """Return the first line of the docstring of a class or function."""
    return (part.__doc__ or "").partition("\n")[0]


def describe_agents() -> list[dict]:
    """Return name, presets, chapter and one line about every agent."""
    from smore_lit.learning.agent import list_agents, list_presets

    return [
        {
            "name": name,
            "presets": list_presets(agent),
            "chapter": "/".join(agent.config.__module__.split(".")[1:]),
            "about": first_line(agent.config).removeprefix(HOLDS),
        }
        for name, agent in list_agents().items()
    ]


def describe_fields(name: str) -> list[dict]:
    """Return name, option, type, values and help of each hyperparameter.

    Args:
        name: of an agent; its values are listed by preset.

    Raises:
        ValueError: no agent of that name.
    """
    from smore_lit.learning.agent import find_agent, list_presets, make_config

    agent = find_agent(name)
    presets = {p: make_config(agent, p) for p in list_presets(agent)}
    return [
        {
            "name": field,
            "option": flag(field),
            "type": type(getattr(presets["shared"], field)).__name__,
            "values": {p: getattr(c, field) for p, c in presets.items()},
            "help": text,
        }
        for field, text in read_comments(agent.config).items()
    ]
