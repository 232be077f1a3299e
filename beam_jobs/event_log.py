"""What happens in a run, as log records: readable lines, or one JSON object a line.

An event is a log record that also carries a name and fields:

    {"time": "2026-11-23T06:30:01.204Z", "level": "info", "event": "progress", "run_id": "...",
     "message": "40 of 58 done, 12.1 images/s, ...", "done": 40, "total": 58, "failed": 0,
     "images_per_sec": 12.1, "secs_left": 1.5}

Other records of the program and of libraries, Python's warnings, and errors that nobody caught
become lines of the same form (event `log` or `crashed`). Secrets are hidden. What C++ code of
TensorFlow writes to stderr by itself does not pass through here.
"""

import datetime
import itertools
import json
import logging
import math
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs.redaction import without_secrets

OUR_PACKAGES = ("beam_jobs", "model_lib")
_LEADING = ("time", "level", "event", "run_id", "message")
_FINISHED_FIELDS = (
    "status",
    "elapsed_secs",
    "images_per_sec",
    "counts",
    "failures_by_stage",
    "mismatches",
)

_logger = logging.getLogger("beam_jobs")


def log_event(event: str, message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs an event.

    Args:
        event: its name, such as `run_started`; docs/metrics.md lists them.
        message: what a person reads.
        level: of the `logging` module.
        fields: what a program reads; plain values.
    """
    _logger.log(level, "%s", message, extra={"event": event, "fields": fields})


def log_run_started(
    run_id: str,
    *,
    inputs: Sequence[str],
    output: str | None,
    bundle: Mapping[str, str],
    earlier_runs: int = 0,
) -> None:
    """Logs that a run begins; its id is in all lines from now on.

    Args:
        run_id: of the run.
        inputs: as the command line has them.
        output: where rows go.
        bundle: path, name and fingerprint.
        earlier_runs: number of runs that this one goes on from.
    """
    set_run_id(run_id)
    log_event(
        "run_started",
        f"run {run_id} begins",
        inputs=list(inputs),
        output=output,
        bundle=dict(bundle),
        earlier_runs=earlier_runs,
    )


def log_run_finished(manifest: Mapping[str, Any], outputs: Mapping[str, str]) -> None:
    """Logs that a run has ended and its tables are written.

    Args:
        manifest: of the run.
        outputs: addresses of what it wrote, by name.
    """
    counts = manifest["counts"]
    fields: dict[str, Any] = {name: manifest.get(name) for name in _FINISHED_FIELDS}
    log_event(
        "run_finished",
        f"{counts['captions']} captions, {counts['failures']} failures in "
        f"{manifest['elapsed_secs']:.1f} s",
        **fields,
        outputs=dict(outputs),
    )


def log_run_failed(reason: object, exit_code: int) -> None:
    """Logs why a run ended without success: the last line of such a run."""
    error_type = type(reason).__name__ if isinstance(reason, BaseException) else None
    log_event(
        "run_failed", str(reason), level=logging.ERROR, exit_code=exit_code, error_type=error_type
    )


def wants_json(words: Sequence[str]) -> bool:
    """Tells whether a command line asks for JSON lines, even one that has mistakes in it."""
    joined = [word.replace("-", "_") for word in words]
    return "__log_format=json" in joined or any(
        pair == ("__log_format", "json") for pair in itertools.pairwise(joined)
    )


class JsonFormatter(logging.Formatter):
    """Makes one line of JSON of a log record, an event or not."""

    def __init__(self, run_id: str = "") -> None:
        """Keeps the run's id, "" while there is none; `set_run_id` sets it later."""
        super().__init__()
        self.run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without its end."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        values: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "run_id": self.run_id,
            "message": record.getMessage(),
        }
        if values["event"] == "log":
            values["logger"] = record.name
        fields = getattr(record, "fields", {})
        values.update({name: value for name, value in fields.items() if name not in _LEADING})
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(_plain(without_secrets(values)), ensure_ascii=False)


def set_up(run_id: str = "") -> None:
    """Makes all that Python writes to stderr lines of JSON, for the rest of the process.

    Of our own packages all records from `INFO` on are shown, of others only errors. Python's
    warnings and errors that end a thread or the program become lines too.

    Args:
        run_id: goes into every line; `set_run_id` sets it later.
    """
    root = logging.getLogger()
    for other in list(root.handlers):
        if isinstance(other, logging.StreamHandler) and other.stream is sys.stderr:
            root.removeHandler(other)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(run_id))
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def is_on() -> bool:
    """Tells whether log lines are JSON."""
    return bool(_json_formatters())


def set_run_id(run_id: str) -> None:
    """Puts the run's id into all lines from now on."""
    for formatter in _json_formatters():
        formatter.run_id = run_id


def _json_formatters() -> list[JsonFormatter]:
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    return [found for found in formatters if isinstance(found, JsonFormatter)]


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    """Stands in for Python's own way to show an error that nobody caught."""
    _logger.critical(
        "%s",
        error,
        exc_info=(kind, error, trace),
        extra={"event": "crashed", "fields": {"error_type": kind.__name__}},
    )


def _plain(value: Any) -> Any:
    """Returns what JSON and UTF-8 have words for: text keys, no NaN, no stray bytes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
