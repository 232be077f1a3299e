"""The state of an output folder, and how `caption-images status` says it.

Holds plain values; computes nothing of them and reads nothing.
"""

import dataclasses
import datetime
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from beam_jobs.tally import FailureKind

State = Literal["published", "running", "interrupted"]
KINDS_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class RunState:
    """One run of the job.

    Attributes:
        run_id: of the run.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC; None for a run that is going on or was interrupted.
        command_line: the words it was started with.
        captions: rows of the captions table that it wrote; those of a run that is not published
            may repeat.
        failures: rows of the failures table likewise.
    """

    run_id: str
    started_at: str
    finished_at: str | None
    command_line: tuple[str, ...]
    captions: int
    failures: int


@dataclasses.dataclass(frozen=True)
class ResumeState:
    """What `--resume` would go on from, and what it will insist on.

    Attributes:
        captioned: images that are not captioned again.
        retried: failures that are tried again, for each choice of `--retry_failures`; the others
            are left as they are.
        identity: bundle fingerprint, decode settings, carried columns and output format that a
            resumed run must have.
    """

    captioned: int
    retried: Mapping[str, int]
    identity: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Status:
    """The state of an output folder.

    Attributes:
        output: the folder.
        state: `published` where all that is there is in the tables; else `running`, or
            `interrupted` where nothing new has come for a while.
        secs_since_news: since the newest part or note of a run; None where there are none.
        published: of the manifest: `status`, `run_id`, `finished_at` and `counts`; None where
            there is no manifest.
        captions: images with a caption, published or not.
        failures: images without one that failed, published or not.
        unpublished_captions: of the captions, those not in the published table.
        unpublished_failures: of the failures, those not in the published table.
        failures_by_kind: number of failures by kind, most first.
        runs: all runs of the job, oldest first.
        resume: what `--resume` would do; None for what an earlier release wrote.
    """

    output: str
    state: State
    secs_since_news: float | None
    published: Mapping[str, Any] | None
    captions: int
    failures: int
    unpublished_captions: int
    unpublished_failures: int
    failures_by_kind: Mapping[FailureKind, int]
    runs: tuple[RunState, ...]
    resume: ResumeState | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the status as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kinds = [
            {**kind._asdict(), "count": count} for kind, count in self.failures_by_kind.items()
        ]
        runs = [dataclasses.asdict(run) for run in self.runs]
        resume = None if self.resume is None else dataclasses.asdict(self.resume)
        return {**values, "failures_by_kind": kinds, "runs": runs, "resume": resume}


def status_lines(status: Status) -> Iterator[str]:
    """Yields what a person reads."""
    yield f"{status.output}: {_state_text(status)}"
    yield ""
    yield f"{'captions':<12}{status.captions:>10,}{_new_text(status.unpublished_captions)}"
    yield f"{'failures':<12}{status.failures:>10,}{_new_text(status.unpublished_failures)}"
    for number, (kind, count) in enumerate(status.failures_by_kind.items()):
        if number == KINDS_SHOWN:
            yield f"{'':<12}and {len(status.failures_by_kind) - KINDS_SHOWN} more kinds; see --json"
            break
        may_pass = ", may pass" if kind.transient else ""
        yield f"{'':<12}{count:>10,}  {kind.error_type} ({kind.stage}{may_pass})"
    yield from _published_lines(status.published)
    yield from _run_lines(status)
    yield from _resume_lines(status)


def _state_text(status: Status) -> str:
    if status.secs_since_news is None or status.state == "published":
        return "published, nothing is waiting"
    age = datetime.timedelta(seconds=round(status.secs_since_news))
    if status.state == "running":
        return f"running, or stopped just now; its newest file is {age} old"
    return f"interrupted, or held up; its newest file is {age} old"


def _new_text(count: int) -> str:
    return f"  ({count:,} of them not yet published)" if count else ""


def _published_lines(published: Mapping[str, Any] | None) -> Iterator[str]:
    yield ""
    if published is None:
        yield "published   nothing yet"
        return
    counts = published["counts"]
    yield (
        f"published   {counts['captions']:,} captions, {counts['failures']:,} failures "
        f"({published['status']}, {published['finished_at']})"
    )


def _run_lines(status: Status) -> Iterator[str]:
    yield ""
    for run in status.runs:
        end = f"finished {run.finished_at}" if run.finished_at else "not finished"
        yield f"run         {run.run_id}: {end}"
        yield f"{'':<12}{run.captions:,} rows of captions, {run.failures:,} of failures"
        yield f"{'':<12}caption-images {shlex.join(run.command_line)}"


def _resume_lines(status: Status) -> Iterator[str]:
    if status.resume is None:
        return
    retried = ", ".join(f"{count:,} ({name})" for name, count in status.resume.retried.items())
    yield ""
    yield f"--resume    leaves {status.resume.captioned:,} captioned images as they are"
    yield f"{'':<12}tries failures again by --retry_failures: {retried}"
    yield f"{'':<12}insists on:"
    for name, value in status.resume.identity.items():
        yield f"{'':<14}{name.replace('_', ' ')}: {value or 'none'}"
