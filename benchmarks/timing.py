"""Timing by turns: on a shared machine only what ran side by side may be compared.

Takes named runs; gives their seconds, one list each with one entry a round. Ratios are paired by
round, and a median of them is what is published: a minute in which the machine was busy slows
both sides of a pair and spoils one round at most.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

# A run either is timed from outside (it returns None) or reports its own seconds.
Run = Callable[[], float | None]
Clock = Callable[[], float]


def measure_in_turn(
    runs: Mapping[str, Run],
    rounds: int,
    *,
    warm_ups: int = 1,
    clock: Clock = time.perf_counter,
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Runs everything in turn, round after round, so that no run always follows the same one.

    Another run begins each round, and every other round goes backwards. With runs a, b, c and
    two rounds: (warm-up) a b c, then a c b, then c a b.

    Args:
        runs: what to time, by name.
        rounds: rounds that count.
        warm_ups: rounds before them that do not.
        clock: seconds, monotonic.
        quiet: whether to keep off stderr.

    Returns:
        Seconds of each run, one for each round that counts.
    """
    names = list(runs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warm_ups + rounds):
        first = number % len(names)
        order = names[first:] + names[:first]
        for name in reversed(order) if number % 2 else order:
            begin = clock()
            reported = runs[name]()
            elapsed = clock() - begin if reported is None else reported
            if number >= warm_ups:
                seconds[name].append(elapsed)
            if not quiet:
                label = f"round {number - warm_ups + 1}" if number >= warm_ups else "warm-up"
                print(f"{label:>8}  {name:<28}{elapsed:9.4g} s", file=sys.stderr, flush=True)
    return seconds


def rates(images: int, seconds: Sequence[float]) -> list[float]:
    """Returns images a second for each round: `rates(100, [2.0, 4.0]) == [50.0, 25.0]`."""
    return [images / value for value in seconds]


def paired_ratios(left: Sequence[float], right: Sequence[float]) -> tuple[float, ...]:
    """Returns left / right, round by round.

    Raises:
        ValueError: where the two did not run the same rounds.
    """
    return tuple(a / b for a, b in zip(left, right, strict=True))


def median(values: Sequence[float]) -> float:
    """Returns the median of at least one value."""
    return statistics.median(values)
