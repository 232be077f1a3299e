import ctypes

import pytest

from tests.fresh_python import run_fresh

# Blocks of glibc's heaps, too small for memory of their own; one in forty stays, so that no heap
# has a large free end.
PROGRAM = """
from model_lib.freed_memory import return_freed_memory

def resident_bytes():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096

blocks = [bytearray(b"x" * 50_000) for _ in range(4_000)]
kept = blocks[::40]
blocks.clear()
before = resident_bytes()
return_freed_memory()
print(before - resident_bytes())
assert all(block == b"x" * 50_000 for block in kept)
return_freed_memory()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_lies_free_between_blocks_in_use_goes_back() -> None:
    assert int(run_fresh(PROGRAM, {}).stdout) > 150_000_000


def test_another_c_library_is_left_alone() -> None:
    program = """
import ctypes
ctypes.CDLL = lambda name: object()
from model_lib.freed_memory import return_freed_memory
print(return_freed_memory())
"""
    assert run_fresh(program, {}).stdout == "None\n"
