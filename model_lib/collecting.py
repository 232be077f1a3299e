"""Python's search for cyclic garbage, kept away from what is made once and stays.

After TensorFlow's import there are hundreds of thousands of objects. A pass over all of them takes
0.4 seconds, and each import or model that adds a quarter to them starts another: a second and more
of a job's start.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Searches for no garbage meanwhile; leaves what is there at the end out of later searches.

    For imports and the loading of models. What is garbage by then stays until the process ends.
    Threads may overlap: the search goes on when the first of them that paused it is done.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
