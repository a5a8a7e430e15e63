"""A book and a package in one text: offline goal-conditioned RL with SMORe.

The modules below this one are exported from the chapters under `book/`.
Names in `PUBLIC` are imported from their modules when they are first used.
"""

import contextlib
import ctypes
import os
from importlib import import_module

__version__ = "0.2.0"

# Threads that share a product wait for each other. By default they spin
# without end, and as soon as another process wants the cores, the one waited
# for cannot run. So they sleep after some turns of that loop. OpenMP reads
# this once, when PyTorch is loaded.
if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE") == "PASSIVE":
    os.environ.setdefault("GOMP_SPINCOUNT", "50000")

# An update frees its memory and asks for it again. By default glibc hands
# much of it back to the system in between, which clears each page anew.
# So it keeps up to a gigabyte, in pieces of up to 32 megabytes.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of malloc.h
if not {"MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ):
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt  # glibc has it
        mallopt(TRIM_THRESHOLD, 2**30)
        mallopt(MMAP_THRESHOLD, 2**25)

PUBLIC = {
    "Task": "smore_lit.worlds.tasks",
    "load_task": "smore_lit.worlds.tasks",
    "make_dataset": "smore_lit.data.datasets",
    "load_dataset": "smore_lit.data.datasets",
    "read_dataset": "smore_lit.data.datasets",
    "tiny_dataset": "smore_lit.data.datasets",
    "record": "smore_lit.data.datasets",
    "as_trajectories": "smore_lit.learning.trajectories",
    "train": "smore_lit.learning.training",
    "evaluate": "smore_lit.running.evaluation",
    "load_policy": "smore_lit.learning.policies",
}

__all__ = ["__version__", *PUBLIC]


def __getattr__(name):
    if name not in PUBLIC:
        raise AttributeError(f"module 'smore_lit' has no attribute {name!r}")
    value = getattr(import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(PUBLIC))
