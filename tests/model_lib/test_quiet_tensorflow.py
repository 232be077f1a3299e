import platform

import pytest

from tests.fresh_python import run_fresh

PROGRAM = """
import os, platform, sys
from model_lib.quiet_tensorflow import load_tensorflow
load_tensorflow("wait ...")
assert "tensorflow" in sys.modules
assert platform.machine() != "x86_64" or os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
print("after", file=sys.stderr)
"""


def test_of_tensorflow_s_start_nothing_is_seen_and_what_follows_is():
    run = run_fresh(PROGRAM, {})
    assert (run.stdout, run.stderr) == ("", "wait ...after\n")


def test_training_leaves_the_choice_of_kernels_to_tensorflow():
    program = "import os; from model_lib.quiet_tensorflow import load_tensorflow_as_told as load\n"
    program += "load(onednn=False); assert 'TF_ENABLE_ONEDNN_OPTS' not in os.environ"
    assert run_fresh(program, {"TF_CPP_MIN_LOG_LEVEL": "2"}).stderr == ""


WORKER = """
import sys
from model_lib.quiet_tensorflow import load_tensorflow_as_told
load_tensorflow_as_told()
import tensorflow
print("after", file=sys.stderr)
"""


@pytest.mark.parametrize("level", ["2", "3"])
def test_workers_are_quiet_where_the_log_level_says_so(level):
    assert run_fresh(WORKER, {"TF_CPP_MIN_LOG_LEVEL": level}).stderr == "after\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow says nothing of oneDNN")
def test_workers_elsewhere_are_not_quiet():
    assert "oneDNN custom operations are on" in run_fresh(WORKER, {}).stderr
