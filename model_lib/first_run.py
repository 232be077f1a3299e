"""The first run of a compiled graph: ahead of time in a thread, or when it is called.

TensorFlow optimises a graph when it is run for the first time: a second or two of C++, for which
Python, and with it the tracing of the next graph, need not wait. Where several threads share a
graph it is done once, and not by each of them. It takes many times the graph's constants of
memory, which goes back to the operating system afterwards.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from model_lib.freed_memory import return_freed_memory


def run_ahead(graph: Callable[..., Any], *example: Any) -> Callable[..., Any]:
    """Starts the first run of a graph, in a thread of its own.

    Args:
        graph: a function of arrays or tensors.
        example: arguments for it; what it returns for them is thrown away.

    Returns:
        The same function, whose calls wait until that run is over. Where the run failed nothing
        is said: a call that has the same reason to fail raises its own error.
    """

    def first_run() -> None:
        with contextlib.suppress(Exception):
            graph(*example)
        return_freed_memory()

    thread = threading.Thread(target=first_run, name="first-run")
    thread.start()

    def after_first_run(*inputs: Any) -> Any:
        thread.join()
        return graph(*inputs)

    return after_first_run


def run_when_called(graph: Callable[..., Any]) -> Callable[..., Any]:
    """Leaves the first run of a graph to its first call, in the caller's thread.

    Returns:
        The same function.
    """
    has_run = False

    def run(*inputs: Any) -> Any:
        nonlocal has_run
        outputs = graph(*inputs)
        if not has_run:
            has_run = True
            return_freed_memory()
        return outputs

    return run
