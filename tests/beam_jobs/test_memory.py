import subprocess
import sys

import numpy as np
import pytest

from beam_jobs.memory import peak_memory_bytes

PROGRAM = """
from beam_jobs.memory import peak_memory_bytes
print(peak_memory_bytes())
held = bytearray(80_000_000)
print(peak_memory_bytes())
del held
print(peak_memory_bytes())
"""


def test_the_peak_is_this_process_s_own_and_stays():
    held = np.ones(40_000_000)  # 320 MB, of which a child must know nothing
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    first, second, third = map(int, run.stdout.split())
    assert first < 100_000_000
    assert 80_000_000 <= second - first < 90_000_000
    # The system counts pages of several cores in steps: two looks differ a little.
    assert third == pytest.approx(second, abs=2_000_000)
    assert peak_memory_bytes() > held.nbytes
