"""What mypy, as `pyproject.toml` sets it, says of the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLANTED = {
    "return-value": ("updates: int) -> bool:", "updates: int) -> str:"),
    "call-arg": ("sweep(folder)", "sweep()"),
}


def check(folder: Path) -> subprocess.CompletedProcess:
    """Run mypy on the package in `folder`, with the settings there."""
    return subprocess.run(
        [sys.executable, "-m", "mypy"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.weekly
def test_mypy_finds_planted_errors_in_a_module_and_no_others(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "smore_lit", tmp_path / "smore_lit")
    place = tmp_path / "smore_lit" / "running" / "loop.py"
    source = place.read_text(encoding="utf-8")
    found = check(tmp_path)
    assert not found.returncode, found.stdout
    for code, (old, new) in PLANTED.items():
        assert source.count(old) == 1, old
        place.write_text(source.replace(old, new), encoding="utf-8")
        found = check(tmp_path)
        assert found.returncode == 1, found.stderr
        assert f"[{code}]" in found.stdout
        assert all(
            line.startswith("smore_lit/running/loop.py:")
            for line in found.stdout.splitlines()[:-1]
        )
