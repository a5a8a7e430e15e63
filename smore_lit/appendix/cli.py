# Generated from book/appendix/cli.md by make sync. Edit the chapter, not this file.
"""Inside the command line: read words, answer in one line.

How `smore-lit` is built: each command answers a person or a program, and each
mistake gets one line that says what to do.
"""

__all__ = [
    "build_parser",
    "never",
    "always",
    "has_folder",
    "add_command",
    "add_task",
    "add_data",
    "add_mixture",
    "add_percent",
    "add_seed",
    "add_workers",
    "add_data_commands",
    "add_import",
    "add_train",
    "add_policy_commands",
    "add_plan_command",
    "add_verify",
    "add_demo",
    "TABLES",
    "PROTOCOLS",
    "add_grid",
    "add_report",
    "SHELLS",
    "write_completion",
    "offer",
    "main",
    "KEPT",
    "interrupt",
    "read_words",
    "drop_output",
]


# book/appendix/cli.md, section "Inside the command line: read words, answer in one line"
import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence

import smore_lit
from smore_lit.appendix import commands
from smore_lit.appendix.answers import (
    MORE,
    Answer,
    Parser,
    answer_error,
    complain,
    plain,
)
from smore_lit.appendix.options import (
    add_choice,
    add_fields,
    add_learning,
    add_plan,
    first_line,
    flag,
    most_workers,
    read_comments,
    read_number,
    whole,
)
from smore_lit.worlds.tasks import list_tasks


# book/appendix/cli.md, section "Commands"
def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="smore-lit",
        description="Offline goal-conditioned reinforcement learning.",
        epilog=f"Every command has its own --help. {MORE}=1 shows tracebacks.",
    )
    parser.add_argument(
        "--version", action="version", version=smore_lit.__version__
    )
    words = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )
    tasks = add_command(words, "tasks", commands.show_tasks)
    tasks.add_argument("--task", metavar="NAME", help="this one only")
    text = "Make, inspect, import and export datasets."
    data = words.add_parser("data", help=text, description=text)
    add_data_commands(
        data.add_subparsers(dest="action", metavar="ACTION", required=True)
    )
    algorithms = add_command(words, "algorithms", commands.show_algorithms)
    algorithms.add_argument(
        "algo", nargs="?", metavar="NAME", help="this one, in detail"
    )
    add_train(words)
    add_policy_commands(words)
    add_verify(words)
    add_plan_command(words)
    doctor = add_command(words, "doctor", commands.show_health)
    doctor.add_argument("--root", metavar="DIR", help="of the data")
    add_demo(words)
    add_grid(words)
    shells = add_command(words, "completion", write_completion)
    shells.add_argument("shell", choices=SHELLS, help="your shell")
    return parser


# book/appendix/cli.md, section "Commands"
def never(options) -> bool:
    """Return False."""
    return False


def always(options) -> bool:
    """Return True."""
    return True


def has_folder(options) -> bool:
    """Tell whether results go to a folder."""
    return options.out is not None


def add_command(
    commands,
    name: str,
    answer: Callable,
    goes_on: Callable = never,
    late=None,
) -> Parser:
    """Add a command that `answer` serves and return its parser.

    Args:
        commands: what `add_subparsers` returned.
        name: of the command.
        answer: (options) -> Answer; its docstring is the help.
        goes_on: (options) -> whether the same command finishes what was
            interrupted.
        late: adds options when the command is called, see `Parser`.
    """
    text = first_line(answer)
    parser = commands.add_parser(
        name, late=late, help=text, description=text
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object"
    )
    parser.set_defaults(answer=answer, goes_on=goes_on)
    return parser


# book/appendix/cli.md, section "What several commands take"
def add_task(parser) -> None:
    """Add TASK, which may also be given as --task TASK."""
    group = parser.add_mutually_exclusive_group(required=True)
    options = dict(metavar="TASK", help="module:NAME for one of your own")
    group.add_argument(
        "task", nargs="?", default=argparse.SUPPRESS, **options
    )  # left out, it must not overwrite what --task said
    group.add_argument("--task", **options)


def add_data(parser) -> None:
    """Add what names data: a task, a manifest, or --task for either."""
    add = parser.add_argument
    text = "whose data, or the file that describes them"
    add("data", metavar="TASK|MANIFEST", nargs="?", help=text)
    add("--task", metavar="TASK", help="module:NAME for one of your own")


# book/appendix/cli.md, section "What several commands take"
def add_mixture(parser) -> None:
    """Add the options that name a dataset."""
    add = parser.add_argument
    text = "paper, cpu or tiny (default paper)"
    add("--size", default="paper", metavar="NAME", help=text)
    add_percent(parser)
    text = "spread of noise on the actions (default 0)"
    add("--noise", type=float, default=0.0, metavar="FLOAT", help=text)
    add("--root", metavar="DIR", help="else $SMORE_LIT_DATA, else data")


def add_percent(parser) -> None:
    """Add the option that says how many of the episodes are an expert's."""
    text = "share of expert episodes (default: as published, mostly 10)"
    parser.add_argument(
        "--expert-percent",
        type=float,
        metavar="FLOAT",
        help=text,
    )


def add_seed(parser) -> None:
    """Add the option that chooses what chance brings."""
    parser.add_argument(
        "--seed",
        type=whole(0, 2**53),
        default=0,
        metavar="N",
        help="of all that is random (default 0)",
    )


def add_workers(parser) -> None:
    """Add the option that says how many processes simulate."""
    parser.add_argument(
        "--workers",
        type=whole(0, most_workers()),
        default=2,
        metavar="N",
        help="simulator processes (default 2); 0 simulates in this one",
    )


# book/appendix/cli.md, section "The options of each command"
def add_data_commands(words) -> None:
    """Add `data make`, `data info`, `data import` and `data export`."""
    parser = add_command(words, "make", commands.make_data, always)
    add_task(parser)
    add_mixture(parser)
    add_seed(parser)
    add_workers(parser)
    parser = add_command(words, "info", commands.show_data)
    add_data(parser)
    add_mixture(parser)
    parser.add_argument(
        "--verify", action="store_true", help="read and check every byte"
    )
    add_import(add_command(words, "import", commands.import_data))
    parser = add_command(words, "export", commands.export_data)
    add_data(parser)
    parser.add_argument("--to", choices=["minari"], default="minari")
    parser.add_argument("--id", metavar="NAME", help="ends with -v0 or so")
    parser.add_argument("--out", metavar="DIR", help="else Minari's own")
    add_mixture(parser)


# book/appendix/cli.md, section "The options of each command"
def add_import(parser) -> None:
    """Add the options of `data import`."""
    add = parser.add_argument
    add("file", metavar="FILE")
    add("--format", required=True, help="buffer, d4rl, minari or ogbench")
    add("--task", required=True, metavar="TASK", help="whose data they are")
    add("--expert", metavar="FILE", help="with expert episodes, to mix in")
    add_percent(parser)
    add("--steps", type=whole(1), metavar="N", help="cut equal pieces")
    add("--goal", metavar="X,Y,...|reached", help="left out: the file's own")
    add("--clip", action="store_true", help="actions to [-1, 1]")
    add("--out", metavar="DIR", help="left out: ROOT/TASK/FORMAT")
    add("--root", metavar="DIR", help="else $SMORE_LIT_DATA, else data")


# book/appendix/cli.md, section "The options of each command"
def add_train(words) -> None:
    """Add `train`."""
    parser = add_command(
        words, "train", commands.train_agent, always, add_learning
    )
    parser.usage = "%(prog)s [--task] TASK [options]"
    add = parser.add_argument
    add_task(parser)
    add_choice(parser)
    add_mixture(parser)
    add("--manifest", metavar="FILE", help="data by their manifest instead")
    add("--stored-goal", metavar="X,Y,...", help="left out: as recorded")
    add("--out", metavar="DIR", help="left out: runs/, named after the run")
    add("--device", choices=("cpu", "cuda"), help="left out: cuda if any")
    add(
        "--logger",
        default="csv",
        choices=("csv", "tensorboard"),
        help="what to write besides CSV (default csv: nothing)",
    )
    add_workers(parser)


# book/appendix/cli.md, section "The options of each command"
def add_policy_commands(words) -> None:
    """Add `eval` and `video`."""
    where = "folder of a run, a checkpoint, or builtin"
    answers = {"eval": commands.evaluate_policy, "video": commands.film_policy}
    for name, answer in answers.items():
        parser = add_command(words, name, answer)
        add = parser.add_argument
        add("policy", metavar="DIR|builtin", help=where)
        add("--task", metavar="TASK", help="left out: the one of its training")
        add_seed(parser)
        if name == "eval":
            text = "per seed of the training (default 50)"
            add("--episodes", type=whole(1), default=50, help=text)
            add_workers(parser)
            add("--out", metavar="FILE", help="also write a CSV file")
        else:
            text = "one after the other (default 1)"
            add("--episodes", type=whole(1, 50), default=1, help=text)
            add("--out", required=True, metavar="FILE", help=".gif or .mp4")
            add("--drawing", action="store_true", help="draw, do not render")


# book/appendix/cli.md, section "The options of each command"
def add_plan_command(words) -> None:
    """Add `plan`."""
    parser = add_command(words, "plan", commands.plan_problem, has_folder)
    add = parser.add_argument
    text = "cartpole, hole, hopper, locomotion, pixels or pushing"
    add("problem", metavar="PROBLEM", help=text)
    text = "sgp (default), none, ensemble, cem or mppi"
    add("--planner", metavar="NAME", default=argparse.SUPPRESS, help=text)
    text = "weight of what it is charged; else the one chosen for sgp"
    add(
        "--beta", type=read_number, metavar="FLOAT",
        default=argparse.SUPPRESS, help=text,
    )
    text = "of cem and mppi: distance (default) or ensemble"
    add("--penalty", metavar="NAME", default=argparse.SUPPRESS, help=text)
    add_seed(parser)
    text = "of each network; else the problem's own"
    add("--updates", type=whole(1), metavar="N", help=text)
    text = "models that are learned; 3 for an ensemble, else the problem's own"
    add("--members", type=whole(1, 100), metavar="N", help=text)
    text = "folder of networks, films and a JSON file per planner"
    add("--out", metavar="DIR", help=text)


# book/appendix/cli.md, section "The options of each command"
def add_verify(words) -> None:
    """Add `verify`."""
    parser = add_command(words, "verify", commands.verify_part)
    add = parser.add_argument
    add("part", metavar="PART", help="theory or planning")
    add(
        "--problems",
        type=whole(1, 10_000),
        default=50,
        metavar="N",
        help="random problems, a second each or less (default 50)",
    )
    add_seed(parser)


def add_demo(words) -> None:
    """Add `demo`."""

    def add(parser, given):
        from smore_lit.appendix.demo import PLAN

        return add_plan(parser, given, **PLAN)

    parser = add_command(words, "demo", commands.play_demo, always, add)
    text = "folder of all that is written (default demo)"
    parser.add_argument("--out", default="demo", metavar="DIR", help=text)
    text = "paper or tiny (default paper)"
    parser.add_argument("--size", default="paper", metavar="NAME", help=text)
    add_workers(parser)


# book/appendix/cli.md, section "The options of each command"
TABLES = ("1", "2", *map(str, range(6, 17)))
PROTOCOLS = "smoke, screen, small, cpu or full"


def add_grid(words) -> None:
    """Add `grid` and `report`."""
    parser = add_command(words, "grid", commands.train_grid, always)
    add = parser.add_argument
    add("--table", nargs="+", choices=TABLES, help="of the paper")
    add("--figure", nargs="+", choices=["2"], help="of the paper")
    add("--study", nargs="+", metavar="NAME", help="of our own, such as lag")
    add("--protocol", default="cpu", metavar="NAME", help=PROTOCOLS)
    text = "constants: shared (default), released or paper"
    add("--preset", nargs="+", default=["shared"], metavar="NAME", help=text)
    text = "these tasks and algorithms only"
    add("--only", nargs="+", default=[], metavar="NAME", help=text)
    add("--seeds", type=whole(1), metavar="N", help="not the protocol's")
    add("--seed", type=whole(1), metavar="N", help="the first of them")
    add("--updates", type=whole(1), metavar="N", help="likewise")
    add("--shard", default="1/1", metavar="I/N", help="every N-th run")
    add("--engine", default="local", choices=["local", "ray"])
    text = "runs at a time; left out: one for each core"
    add("--processes", type=whole(1, most_workers()), metavar="N", help=text)
    add("--dry-run", action="store_true", help="say what it would cost")
    add("--runs", default="runs", metavar="DIR", help="default runs")
    add("--root", metavar="DIR", help="else $SMORE_LIT_DATA, else data")
    add("--store", metavar="DIR", help="of results; else the package's own")
    add_report(words)


def add_report(words) -> None:
    """Add `report`."""
    parser = add_command(words, "report", commands.report_table)
    add = parser.add_argument
    add("--table", required=True, choices=TABLES, help="of the paper")
    add("--protocol", default="cpu", metavar="NAME", help=PROTOCOLS)
    add("--preset", default="shared", metavar="NAME", help="whose constants")
    add("--study", metavar="NAME", help="another study of the store")
    add("--format", default="md", choices=["md", "tex", "csv", "html"])
    add("--out", metavar="DIR", help="also write all formats and curves")
    add("--store", metavar="DIR", help="of results; else the package's own")


# book/appendix/cli.md, section "Completion"
SHELLS = ("bash", "zsh", "fish", "tcsh")


def write_completion(options) -> Answer:
    """Write a script that completes words in a shell."""
    import shtab

    from smore_lit.learning.agent import list_agents

    agents, parser = list_agents(), build_parser()
    presets = dict.fromkeys(p for a in agents.values() for p in a.presets)
    names = {"task": list_tasks(), "data": list_tasks(), "algo": agents}
    offer(parser, names | {"preset": ["shared", *presets]}, agents)
    script = shtab.complete(parser, options.shell)
    return Answer({"shell": options.shell, "script": script}, script)


def offer(parser, names: dict, agents: dict) -> None:
    """Give options, here and in all commands below, their usual values.

    Args:
        parser: changed in place; it is then for reading off, not parsing.
        names: usual values by the name of the option.
        agents: whose hyperparameters a command with `--algo` takes.
    """
    if parser.late:
        parser.late(parser, [])
    if parser.late is add_learning:
        for agent in agents.values():
            known = parser._option_string_actions
            fields = read_comments(agent.config)
            more = [name for name in fields if flag(name) not in known]
            add_fields(parser, agent.name, agent.config(), more)
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                offer(command, names, agents)
        elif action.dest in names:
            action.choices = list(names[action.dest])


# book/appendix/cli.md, section "Main"
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line; those of the process if None.

    Returns:
        The exit code: 0, 1 if a bar fails, 2 after a mistake, 3 after a
        fault of ours, 130, 141 and 143 after an interruption, a closed pipe
        and SIGTERM, as shells count them.
    """
    options = None
    if arguments is None:  # the process is ours
        signal.signal(signal.SIGTERM, interrupt)
    try:
        options = read_words(arguments)
        values, text, code = options.answer(options)
        if options.json:
            text = json.dumps(plain(values), allow_nan=False)
        print(text, flush=True)
        return code
    except KeyboardInterrupt as error:
        kept = options is not None and options.goes_on(options)
        complain(f"interrupted: {KEPT if kept else 'no result'}")
        return 128 + (error.args or (signal.SIGINT,))[0]
    except BrokenPipeError:
        drop_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        code = answer_error(error)
        drop_output()
        return code


# book/appendix/cli.md, section "Main"
KEPT = "what was saved is kept, and the same command goes on from it"


def interrupt(number: int, frame) -> None:
    """Answer a signal as Ctrl-C is answered."""
    raise KeyboardInterrupt(number)


def read_words(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options that the words mean; help is written at once."""
    try:
        return build_parser().parse_args(arguments)
    finally:
        sys.stdout.flush()


# book/appendix/cli.md, section "Main"
def drop_output() -> None:
    """Send what a stuck output still holds to nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    raise SystemExit(main())
