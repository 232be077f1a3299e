from tests.fresh_python import run_fresh

PROGRAM = """
import sys
from model_lib.caption import Caption
print(Caption("a dog", (4, 5, 3), -1.5, -0.5, 3, True), "tensorflow" in sys.modules)
"""
EXPECTED = (
    "Caption(text='a dog', token_ids=(4, 5, 3), log_prob=-1.5, score=-0.5, num_tokens=3, "
    "finished=True) False\n"
)


def test_a_process_that_only_reads_captions_needs_no_tensorflow():
    assert run_fresh(PROGRAM, {}).stdout == EXPECTED
