"""What `make demo` shows is so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
CLIENT = EXAMPLES / "one_code_two_clouds.py"


def test_the_program_knows_no_cloud() -> None:
    text = CLIENT.read_text().lower()
    assert not any(word in text for word in ("mock", "local", "nimbi", "qemu", "ec2"))


@pytest.mark.guest
def test_the_demo_runs_on_three_clouds_and_leaves_nothing(tmp_path: Path) -> None:
    if not shutil.which("qemu-system-x86_64") and os.environ.get("CI") != "true":
        pytest.skip("qemu-system-x86 is not installed")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        env=os.environ | {"NIMBI_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "two-clouds" in done.stdout
    assert all(cloud in done.stdout for cloud in ("local", "mock", "ec2"))
    assert "no process is left" in done.stdout
