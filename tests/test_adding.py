"""A new task and a new method are one chapter and one line each."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

({name})=
# {title}

*{summary}*

```{{code-cell}} ipython3
:tags: [export]
{imports}
```

```{{code-cell}} ipython3
:tags: [export]
{code}
```
"""
HILL = '''
class Hill:
    """Move a cart in one dimension."""

    def reset(self, rng):
        """Return the first observation (1,) and the goal (1,)."""
        self.x = np.zeros(1)
        return self.x, rng.uniform(-1, 1, 1)

    def step(self, action):
        """Move by a tenth of the action; return the observation."""
        self.x = self.x + 0.1 * action
        return self.x


HILL = Task(
    name="Hill",
    env_id="smore_lit/Hill-v1",
    entry_point="smore_lit.worlds.hill:Hill",
    observation_size=1,
    goal_size=1,
    action_size=1,
    goal_index=(0,),
    threshold=0.1,
    horizon=20,
    source="a test",
    simulators=(),
    cpu_episodes=20,
)
FAMILY = (HILL,)
'''
PLAIN = '''
@dataclass(frozen=True)
class PlainConfig(AgentConfig):
    """Hold what plain cloning needs."""

    strength: float = 1.0  # factor of the loss


def losses(config, networks, targets, rho, q, updates):
    """Return the squared error of the actions of rho."""
    told = networks["policy"](rho.observations, rho.goals)[0]
    missed = (told - rho.actions).square().mean(dim=(-2, -1))
    return {"loss_policy": config.strength * missed}, {}


def init(config, sizes, seeds):
    """Return the policy."""
    state = sizes.observation + sizes.goal
    policy = GaussianPolicy(seeds, state, sizes.action, config.hidden)
    return nn.ModuleDict({"policy": policy})


PLAIN = Agent("plain", PlainConfig, init, (), (), losses, act)
'''


@pytest.fixture
def tree(tmp_path):
    for name in ("smore_lit", "book"):
        unwanted = shutil.ignore_patterns("__pycache__", "*.gif", "*.ipynb")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    for name in ("_toc.yml", "_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def add(tree, chapter, after, **content):
    (tree / "book" / f"{chapter}.md").write_text(HEAD.format(**content))
    toc = (tree / "_toc.yml").read_text()
    line = f"      - file: book/{after}\n"
    new = line + line.replace(after, chapter)
    (tree / "_toc.yml").write_text(toc.replace(line, new))
    run(tree, "-m", "smore_lit.appendix.literate", "sync")


def run(tree, *words):
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.weekly
def test_a_task_and_a_method_are_a_chapter_each(tree):
    add(
        tree,
        "worlds/hill",
        "worlds/points",
        name="hill",
        title="Climb a hill",
        summary="One dimension, for a test.",
        imports="import numpy as np\n\n"
        "from smore_lit.worlds.tasks import Task",
        code=HILL.strip(),
    )
    add(
        tree,
        "baselines/plain",
        "baselines/supervised",
        name="plain",
        title="Clone by squares",
        summary="The simplest method, for a test.",
        imports="from dataclasses import dataclass\n\n"
        "from torch import nn\n\n"
        "from smore_lit.learning.agent import Agent, AgentConfig\n"
        "from smore_lit.learning.extraction import act\n"
        "from smore_lit.learning.networks import GaussianPolicy",
        code=PLAIN.strip(),
    )
    command = "-m", "smore_lit.appendix.cli"
    tasks = json.loads(run(tree, *command, "tasks", "--json"))
    assert "Hill" in json.dumps(tasks)
    assert "plain" in run(tree, *command, "algorithms")
    place = "--root", "data", "--size", "cpu", "--expert-percent", "0"
    run(tree, *command, "data", "make", "Hill", *place)
    words = "Hill", "--algo", "plain", *place, "--updates", "2"
    words += "--seeds", "1", "--eval-episodes", "1", "--strength", "2.0"
    run(tree, *command, "train", *words, "--out", "run")
    config = json.loads((tree / "run" / "config.json").read_text())
    assert config["config"]["strength"] == 2.0
    assert "smore_lit.baselines.plain" in config["code"]
