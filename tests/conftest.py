"""Environment of all tests: the CPU, few threads, little of TensorFlow's log, no screen.

It is set here because TensorFlow reads it once, when it is imported. Property tests have no
deadline: on a busy machine a slow example is no failure.
"""

import logging
import os

import pytest
from hypothesis import settings

# Servers are started when a test first asks for one (tests/services/fixtures.py).
pytest_plugins = ["tests.services.fixtures"]

# Under `pytest -n 2` each of two processes gets one of the two cores that CI has.
THREADS = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"

for name, value in {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_NUM_INTRAOP_THREADS": THREADS,
    "TF_NUM_INTEROP_THREADS": THREADS,
    "OMP_NUM_THREADS": THREADS,
    "MPLBACKEND": "Agg",
}.items():
    os.environ.setdefault(name, value)

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory) -> str:
    from tests.toy import make_toy_bundle

    return make_toy_bundle(str(tmp_path_factory.mktemp("bundles") / "toy"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: a long one at the end would run while a core idles."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _logging_as_in_a_new_process():
    """Undoes what a command does to the process's logging, in a test or in a module's fixture."""
    handlers = list(logging.getLogger().handlers)
    logging.getLogger().setLevel(logging.WARNING)
    for name in ("absl", "beam_jobs", "model_lib", "train"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield
    for handler in set(logging.getLogger().handlers) - set(handlers):
        logging.getLogger().removeHandler(handler)
