import json

import pytest

from benchmarks.watching import watch

HOLD = "import time; data = bytearray(60_000_000); time.sleep(1.2); "
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"


def test_a_child_is_watched_with_all_below_it():
    watched = watch(["-c", NESTED + "; print('done')"])
    assert watched.output == "done\n"
    assert watched.processes == 2
    assert watched.seconds > 1
    assert watched.tree_peak_bytes > 60_000_000 > watched.own_peak_bytes


def test_the_environment_is_passed_on():
    program = "import os, json; print(json.dumps(os.environ['THREADS']))"
    assert json.loads(watch(["-c", program], {"THREADS": "1"}).output) == "1"


def test_a_failure_is_said_with_its_reason():
    with pytest.raises(SystemExit, match="no such thing"):
        watch(["-c", "raise ValueError('no such thing')"])
