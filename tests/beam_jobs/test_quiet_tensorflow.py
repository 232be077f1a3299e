from tests.fresh_python import run_fresh

PROGRAM = """
import os, platform, sys
from beam_jobs.quiet_tensorflow import load_tensorflow
load_tensorflow("wait ...")
assert "tensorflow" in sys.modules
assert platform.machine() != "x86_64" or os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
print("after", file=sys.stderr)
"""


def test_of_tensorflow_s_start_nothing_is_seen_and_what_follows_is():
    run = run_fresh(PROGRAM, {})
    assert (run.stdout, run.stderr) == ("", "wait ...after\n")
