"""What the report shows of a run's two tables, read in one pass with bounded memory.

Takes an output folder on any file system Beam knows, with the tables as the job publishes
them; gives counts, histograms and a few chosen rows. Only one batch of the narrow columns is
in memory at a time, so a table of ten million rows needs no more than a small one. Which rows
are chosen depends on the rows and the seed, not on the order of files or rows.
"""

import collections
import dataclasses
import hashlib
import heapq
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beam_jobs.records import CAPTIONS, FAILURES
from beam_jobs.report.histogram import Histogram
from beam_jobs.report.tables import read_batches

BATCH_ROWS = 16_384
MAX_WORDS_SHOWN = 32
LOWEST_SCORE_SHOWN = -6.0
SCORE_BINS = 48
MAX_FAILURE_GROUPS = 50
CAPTION_COLUMNS = (
    "uri",
    "image_sha256",
    "caption",
    "score",
    "candidates",
    "confidence",
    "num_tokens",
    "finished",
    "sentence",
    "low_confidence",
    "width",
    "height",
    "format",
    "size_bytes",
)
FAILURE_COLUMNS = ("uri", "stage", "error_type", "error_message", "attempts", "transient")


def confidence(score: float | None, calibrated: float | None = None) -> float | None:
    """Returns what is shown as confidence, 0..1; None if unknown.

    Args:
        score: of a caption.
        calibrated: the row's column `confidence`; where it is null, exp(score) is taken, the
            geometric mean of the words' probabilities.
    """
    if calibrated is not None:
        return calibrated
    if score is None or not math.isfinite(score):
        return None
    return min(math.exp(min(score, 0.0)), 1.0)


@dataclasses.dataclass(frozen=True)
class CaptionedPhoto:
    """One row of the captions table, as far as the report shows it.

    Attributes:
        uri: the photo, as given.
        image_sha256: hex digest of its encoded bytes.
        caption: the best caption.
        score: its mean log-probability a token (natural log), or None.
        confidence: of `confidence`.
        alternatives: the other candidates' captions, best first.
        num_tokens: tokens of the caption, `<end>` included.
        finished: false where the length limit cut it.
        sentence: the caption as a sentence; empty where that was not asked for.
        low_confidence: whether the score is below the run's `--min_score`; false without one.
        width: of the original, in pixels.
        height: of the original, in pixels.
        format: jpeg, png, ...
        size_bytes: of the encoded photo.
    """

    uri: str
    image_sha256: str
    caption: str
    score: float | None
    confidence: float | None
    alternatives: tuple[str, ...]
    num_tokens: int
    finished: bool
    sentence: str
    low_confidence: bool
    width: int
    height: int
    format: str
    size_bytes: int

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "CaptionedPhoto":
        """Makes it from a row with the columns `CAPTION_COLUMNS`; nulls become empty."""
        score = row["score"]
        candidates = row["candidates"] or []
        return cls(
            uri=row["uri"] or "",
            image_sha256=row["image_sha256"] or "",
            caption=row["caption"] or "",
            score=score if score is not None and math.isfinite(score) else None,
            confidence=confidence(score, row["confidence"]),
            alternatives=tuple(item["caption"] or "" for item in candidates[1:]),
            num_tokens=row["num_tokens"] or 0,
            finished=bool(row["finished"]),
            sentence=row["sentence"] or "",
            low_confidence=bool(row["low_confidence"]),
            width=row["width"] or 0,
            height=row["height"] or 0,
            format=row["format"] or "",
            size_bytes=row["size_bytes"] or 0,
        )

    @property
    def text(self) -> str:
        """What is shown: the sentence where there is one, else the caption."""
        return self.sentence or self.caption

    @property
    def name(self) -> str:
        """The last part of the URI, its query left out."""
        path = self.uri.split("?", 1)[0].rstrip("/\\")
        return path.replace("\\", "/").rsplit("/", 1)[-1] or self.uri


@dataclasses.dataclass(frozen=True)
class CaptionSummary:
    """The captions table in short.

    Attributes:
        total: number of rows.
        unfinished: rows whose caption the length limit cut.
        scores: histogram of the score; the first bin also holds all that are lower.
        confidences: histogram of `confidence`, 0..1.
        words: histogram of words a caption.
        sample: rows drawn at random, ordered by URI.
        most_confident: rows with the highest scores, best first.
        least_confident: rows with the lowest scores, worst first.
        judged: rows that `--min_score` was asked for.
        doubtful: of these, rows with a lower score.
    """

    total: int
    unfinished: int
    scores: Histogram
    confidences: Histogram
    words: Histogram
    sample: tuple[CaptionedPhoto, ...]
    most_confident: tuple[CaptionedPhoto, ...]
    least_confident: tuple[CaptionedPhoto, ...]
    judged: int = 0
    doubtful: int = 0


@dataclasses.dataclass(frozen=True)
class FailureExample:
    """One row of the failures table: which input, what was wrong, how often it was tried."""

    uri: str
    message: str
    attempts: int


@dataclasses.dataclass(frozen=True)
class FailureGroup:
    """All failures of one stage and error type.

    Attributes:
        stage: where they happened.
        error_type: class name of the error.
        count: their number.
        transient: of these, those where another try may succeed.
        examples: the first few by URI.
    """

    stage: str
    error_type: str
    count: int
    transient: int
    examples: tuple[FailureExample, ...]


@dataclasses.dataclass(frozen=True)
class FailureSummary:
    """The failures table in short: number of rows, and its groups, largest first."""

    total: int
    groups: tuple[FailureGroup, ...]


class _SmallestRows:
    """Keeps the `size` rows with the smallest keys; equal keys are ordered by URI."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[float, str, dict[str, Any]]] = []

    def offer(self, keys: npt.NDArray[np.float64], batch: pa.RecordBatch) -> None:
        """Looks at a batch; `keys` is float64 [rows], and a row with NaN is never kept."""
        if self._size == 0:
            return
        limit = self._kept[-1][0] if len(self._kept) == self._size else np.inf
        chosen = np.flatnonzero(keys <= limit)
        if len(chosen) > self._size:
            limit = np.partition(keys[chosen], self._size - 1)[self._size - 1]
            chosen = np.flatnonzero(keys <= limit)
        rows = batch.take(pa.array(chosen)).to_pylist()
        new = [
            (float(key), row["uri"] or "", row) for key, row in zip(keys[chosen], rows, strict=True)
        ]
        self._kept = heapq.nsmallest(self._size, self._kept + new, key=lambda item: item[:2])

    def photos(self) -> tuple[CaptionedPhoto, ...]:
        """Returns the rows kept, smallest key first."""
        return tuple(CaptionedPhoto.from_row(row) for _, _, row in self._kept)


def summarize_captions(
    output: str, *, sample_size: int, ranked_size: int, seed: int
) -> CaptionSummary:
    """Reads the captions table once.

    The sample holds the rows with the smallest hashes of seed and URI: a uniform draw without
    replacement that is the same however the runner split the rows over files.

    Args:
        output: the run's output folder.
        sample_size: rows of the sample at most.
        ranked_size: rows of the most and of the least confident at most; each is a quarter of
            the scored rows at most, so that the two never overlap.
        seed: of the sample.

    Returns:
        The summary; all zero and empty where there is no caption.

    Raises:
        OSError: when a file cannot be read.
        TableError: when a file is damaged.
    """
    sample, most, least = (_SmallestRows(n) for n in (sample_size, ranked_size, ranked_size))
    score_counts = Histogram(LOWEST_SCORE_SHOWN, 0.0, SCORE_BINS)
    confidences = Histogram(0.0, 1.0, 25)
    words = Histogram(-0.5, MAX_WORDS_SHOWN + 0.5, MAX_WORDS_SHOWN + 1)
    total = unfinished = judged = doubtful = 0
    for batch in read_batches(output, CAPTIONS, CAPTION_COLUMNS, BATCH_ROWS):
        scores = _numbers(batch, "score")
        scores[~np.isfinite(scores)] = np.nan
        finished = _numbers(batch, "finished")
        score_counts.add(scores)
        calibrated = _numbers(batch, "confidence")
        plain = np.exp(np.minimum(scores, 0.0))
        confidences.add(np.where(np.isfinite(calibrated), calibrated, plain))
        words.add(_numbers(batch, "num_tokens") - finished)
        sample.offer(_random_keys(batch, seed), batch)
        most.offer(-scores, batch)
        least.offer(scores, batch)
        total += batch.num_rows
        unfinished += int(batch.num_rows - np.nansum(finished))
        low = _numbers(batch, "low_confidence")
        judged += int(np.isfinite(low).sum())
        doubtful += int(np.nansum(low))
    ranked = min(ranked_size, confidences.total // 4)
    return CaptionSummary(
        total=total,
        unfinished=unfinished,
        scores=score_counts,
        confidences=confidences,
        words=words,
        sample=tuple(sorted(sample.photos(), key=lambda photo: photo.uri)),
        most_confident=most.photos()[:ranked],
        least_confident=least.photos()[:ranked],
        judged=judged,
        doubtful=doubtful,
    )


def summarize_failures(output: str, *, examples: int) -> FailureSummary:
    """Reads the failures table once.

    Args:
        output: the run's output folder.
        examples: examples kept for each pair of stage and error type.

    Returns:
        The summary; groups beyond the first `MAX_FAILURE_GROUPS` seen are joined in one.

    Raises:
        OSError: when a file cannot be read.
        TableError: when a file is damaged.
    """
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    transient: collections.Counter[tuple[str, str]] = collections.Counter()
    kept: dict[tuple[str, str], list[FailureExample]] = {}
    for batch in read_batches(output, FAILURES, FAILURE_COLUMNS, BATCH_ROWS):
        for row in batch.to_pylist():
            key = (row["stage"] or "", row["error_type"] or "")
            if key not in counts and len(counts) >= MAX_FAILURE_GROUPS:
                key = ("other", "all further kinds")
            counts[key] += 1
            transient[key] += bool(row["transient"])
            first = kept.setdefault(key, [])
            first.append(
                FailureExample(row["uri"] or "", row["error_message"] or "", row["attempts"] or 0)
            )
            if len(first) > 4 * examples + 64:
                kept[key] = _first_by_uri(first, examples)
    groups = [
        FailureGroup(*key, count, transient[key], tuple(_first_by_uri(kept[key], examples)))
        for key, count in counts.items()
    ]
    groups.sort(key=lambda group: (-group.count, group.stage, group.error_type))
    return FailureSummary(total=sum(counts.values()), groups=tuple(groups))


def _first_by_uri(rows: list[FailureExample], size: int) -> list[FailureExample]:
    return heapq.nsmallest(size, rows, key=lambda row: (row.uri, row.message))


def _numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    column = batch.column(name)
    numbers = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return np.array(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _random_keys(batch: pa.RecordBatch, seed: int) -> npt.NDArray[np.float64]:
    salt = f"{seed}:".encode()
    digests = b"".join(
        hashlib.blake2b(salt + (uri or "").encode(), digest_size=8).digest()
        for uri in batch.column("uri").to_pylist()
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.float64)
