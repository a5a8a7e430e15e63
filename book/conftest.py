"""Keep notebooks as `pytest --nbmake` executed them, for the book to render.

With `--keep-executed FOLDER`, every notebook that passes is written below
FOLDER with its outputs and with the cells of its chapter: without the one
that installs the package, and without the times of execution.
The notebooks in `book/` stay as they are.
A notebook that writes to standard error, a warning above all, fails: a page
would show it.

On Linux every kernel is a fork of one process that has imported PRELOADED, so
that torch is loaded once for all notebooks. smore_lit is not among them: each
notebook imports it anew, and `make weekly-test` runs each from a cold start.
Kernels get ports that no other process of pytest hands out: Jupyter's way, to
ask for a free port and to let go of it until the kernel takes it, gave one
port to two kernels now and then.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parent
PRELOADED = (
    "ipykernel.ipkernel",
    "matplotlib.pyplot",
    "scipy.optimize",
    "scipy.stats",
    "sympy",
    "torch",
    "torch._dynamo",  # every optimiser of torch imports it
)
INLINE = "module://matplotlib_inline.backend_inline"  # as ipykernel sets it
LAUNCHER = "ipykernel_launcher"
SERVER = """
import gc, importlib, json, os, runpy, signal, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
import numpy
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork():
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    launcher, order = sys.argv[1], json.loads(line)
    os.setsid()
    print(os.getpid(), flush=True)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"], JPY_PARENT_PID=str(os.getppid()))
    sys.argv = [launcher, *order["words"]]
    numpy.random.seed()
    runpy.run_module(launcher, run_name="__main__", alter_sys=True)
    break
"""


class Fork:
    """Stand in for the Popen of a process that is not our child."""

    stdin = stdout = stderr = None

    def __init__(self, pid):
        self.pid = pid

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def poll(self):
        try:
            self.send_signal(0)
        except ProcessLookupError:
            return 0
        return None

    wait = poll


class ForkServer:
    """Start kernels as forks of one process, which the first one starts."""

    process = None

    def __init__(self, launch):
        self.launch = launch

    def __call__(self, words, env, cwd, **options):
        if LAUNCHER not in words:
            return self.launch(words, env=env, cwd=cwd, **options)
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, LAUNCHER, *PRELOADED],
                env=env | {"MPLBACKEND": INLINE},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        words = words[words.index(LAUNCHER) + 1 :]
        order = {"words": words, "env": env, "cwd": os.fspath(cwd)}
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return Fork(int(self.process.stdout.readline()))


def own_ports():
    """Return find(cache, ip) -> a free port of this process's hundred."""
    first = 10_000 + 100 * (os.getpid() % 200)  # below those of the system
    ports = itertools.cycle(range(first, first + 100))

    def find(cache, ip):
        for port in itertools.islice(ports, 100):
            with socket.socket() as trial:
                try:
                    trial.bind((ip, port))
                except OSError:
                    continue
            return port
        raise OSError(f"no port from {first} on is free")

    return find


def pytest_addoption(parser):
    parser.addoption(
        "--keep-executed",
        metavar="FOLDER",
        type=Path,
        help="write executed notebooks below FOLDER",
    )


def leave_chapter_cells(notebook):
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if codes and "%pip install" in codes[0].source:
        notebook.cells.remove(codes[0])
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def find_stderr(notebook):
    """Return the cell that wrote to standard error and the text, or None."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                return index, output["text"]
    return None


def pytest_configure(config):
    folder = config.getoption("--keep-executed", None)
    if folder is None or not config.getoption("--nbmake"):
        return
    from jupyter_client.connect import LocalPortCache
    from jupyter_client.launcher import launch_kernel
    from jupyter_client.provisioning import local_provisioner
    from nbmake import pytest_items
    from nbmake.nb_result import NotebookError
    from nbmake.nb_run import NotebookRun

    class KeepingRun(NotebookRun):
        def execute(self):
            result = super().execute()
            if result.error is None and (found := find_stderr(result.nb)):
                index, text = found
                words = f"the page would show: {text.strip()}"
                result.error = NotebookError(words, words, index)
            if result.error is None:
                leave_chapter_cells(result.nb)
                file = folder / self.filename.resolve().relative_to(BOOK)
                file.parent.mkdir(parents=True, exist_ok=True)
                nbformat.write(result.nb, file)
            return result

    pytest_items.NotebookRun = KeepingRun
    LocalPortCache.find_available_port = own_ports()
    if sys.platform == "linux":
        local_provisioner.launch_kernel = ForkServer(launch_kernel)
