import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, platform, sys
from beam_jobs.quiet_tensorflow import load_tensorflow
load_tensorflow("wait ...")
assert "tensorflow" in sys.modules
assert platform.machine() != "x86_64" or os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
print("after", file=sys.stderr)
"""


def test_of_tensorflow_s_start_nothing_is_seen_and_what_follows_is():
    root = Path(__file__).resolve().parents[2]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=root,
        env=clean,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("", "wait ...after\n")
