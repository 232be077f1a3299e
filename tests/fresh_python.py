"""A program in a Python of its own: for what is decided when TensorFlow is imported."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_fresh(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a program from the repository's root, with `TF_` variables only of `environment`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**clean, **environment},
        check=True,
    )
