"""Batches side by side: how a CPU's cores are kept busy.

A layer's work does not always fill all cores, and between two layers they wait for each other.
Parts of a batch that go through the network side by side fill these gaps. A GPU takes whole
batches one after another.
"""

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Streams:
    """Runs the parts of batches side by side, in threads that are kept."""

    def __init__(self, count: int, smallest_part: int) -> None:
        """Starts no thread yet.

        Args:
            count: most parts at a time; with 1 all runs in the caller's thread.
            smallest_part: as for `split`.
        """
        self._count = count
        self._smallest_part = smallest_part
        self._threads = concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix="caption")

    def map(
        self,
        function: Callable[[Sequence[Item]], Result],
        items: Sequence[Item],
        batch_size: int,
    ) -> list[Result]:
        """Calls a function for the parts of a list.

        Args:
            function: takes up to `batch_size` items; called from several threads.
            items: any number.
            batch_size: most items of a part.

        Returns:
            What the function returned for each part, in order.

        Raises:
            Exception: what the function raised for the first part that failed.
        """
        parts = list(split(items, batch_size, self._count, self._smallest_part))
        if self._count == 1 or len(parts) < 2:
            return [function(part) for part in parts]
        return list(self._threads.map(function, parts))


def split(
    items: Sequence[Item], batch_size: int, streams: int, smallest_part: int
) -> Iterator[Sequence[Item]]:
    """Cuts a list into batches, and batches into parts of one size, a stream each.

    40 items, batches of 32, 2 streams and 16 items at least give parts of 16, 16 and 8.

    Args:
        items: any number.
        batch_size: most items of a part.
        streams: most parts of a batch.
        smallest_part: a batch is cut only where its parts keep so many items.
    """
    for start in range(0, len(items), batch_size):
        batch = items[start : start + batch_size]
        parts = max(min(streams, len(batch) // smallest_part), 1)
        size = -(-len(batch) // parts)
        for first in range(0, len(batch), size):
            yield batch[first : first + size]
