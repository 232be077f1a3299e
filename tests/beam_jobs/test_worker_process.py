from tests.fresh_python import run_fresh

PROGRAM = """
import logging, sys
from apache_beam.runners.worker import sdk_worker_main
from beam_jobs import worker_process

def harness(argv):
    assert argv is sys.argv
    logging.warning("a library is not here")
    logging.getLogger().setLevel(logging.INFO)
    logging.info("Python sdk harness starting.")
    print("worked")

sdk_worker_main.main = harness
worker_process.main()
"""


def test_log_lines_do_not_reach_the_screen():
    run = run_fresh(PROGRAM, {})
    assert (run.stdout, run.stderr) == ("worked\n", "")
