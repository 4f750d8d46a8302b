from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_module_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dashboards", "--check", "--output", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "is missing" in told.stderr
    assert not list(tmp_path.iterdir())
