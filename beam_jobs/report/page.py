"""The page of the report as HTML, made from what was read of a run.

Takes the manifest, the two tables in short and the previews; gives text. The manifest's
layout is not assumed: the few facts that the page's head shows are looked up by name and
left out where missing, and everything else becomes a table of settings as it is. Values
of options whose name sounds like a secret are hidden.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from beam_jobs.redaction import without_secrets
from beam_jobs.report.attention import AttentionPicture
from beam_jobs.report.charts import confidence_chart, failure_chart, score_chart, words_chart
from beam_jobs.report.data import CaptionSummary, FailureSummary
from beam_jobs.report.lookup import find, find_number, find_text
from beam_jobs.report.runs import command_text, latency_rows, run_rows, speed_facts
from beam_jobs.report.text import (
    count_text,
    duration_text,
    percent_text,
    score_text,
    shorten,
    time_text,
)
from beam_jobs.report.thumbnails import Thumbnail

_SHOWN_ELSEWHERE = (
    "command_line",
    "failures_by_stage",
    "identity",
    "metrics",
    "mismatches",
    "runs",
)


def render_report(
    manifest: Mapping[str, Any],
    captions: CaptionSummary,
    failures: FailureSummary,
    thumbnails: Mapping[str, Thumbnail],
    attention: Sequence[AttentionPicture] = (),
) -> str:
    """Returns the page as HTML.

    Args:
        manifest: the run's manifest.
        captions: of the captions table.
        failures: of the failures table.
        thumbnails: one for each URI that the captions' chosen rows name.
        attention: pictures of what the model looked at; without any there is no such section.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("beam_jobs.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count_text, percent=percent_text, shorten=shorten)
    manifest = without_secrets(manifest)
    return environment.get_template("report.html.j2").render(
        captions=captions,
        failures=failures,
        thumbnails=thumbnails,
        attention=attention,
        attention_places={found.photo.uri: at for at, found in enumerate(attention, 1)},
        can_filter=_can_filter(captions),
        inputs=captions.total + failures.total,
        run=_run_facts(manifest),
        warnings=_warnings(manifest),
        headline=_headline(captions, failures),
        tiles=_tiles(manifest, captions, failures),
        command_line=command_text(find(manifest, "command_line")),
        suffix=find_text(manifest, "settings.output_format") or "parquet",
        latencies=latency_rows(manifest),
        speed=speed_facts(manifest),
        runs=run_rows(manifest),
        settings=_settings(manifest),
        manifest_json=json.dumps(manifest, indent=2, ensure_ascii=False, default=str),
        charts=[
            score_chart(captions.scores),
            confidence_chart(captions.confidences),
            words_chart(captions.words),
        ],
        failure_chart=failure_chart(failures),
    )


def _run_facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "run_id": "run_id",
        "model": "bundle.name",
        "fingerprint": "bundle.fingerprint",
        "started_at": "started_at",
    }
    found = {name: find_text(manifest, path) for name, path in facts.items()}
    return {**found, "started_at": time_text(found["started_at"])}


def _warnings(manifest: Mapping[str, Any]) -> list[str]:
    """Returns what the reader must know before anything else, in sentences."""
    mismatches = find(manifest, "mismatches") or []
    warnings = [f"The numbers do not add up: {sentence}." for sentence in mismatches]
    if find(manifest, "status") == "too_many_failures":
        limit = find_number(manifest, "settings.max_failure_rate")
        allowed = "" if limit is None else f" ({percent_text(limit)})"
        warnings.append(f"More of the inputs failed than --max_failure_rate{allowed} allows.")
    return warnings


def _headline(captions: CaptionSummary, failures: FailureSummary) -> str:
    photos = f"{count_text(captions.total)} photo{'' if captions.total == 1 else 's'} captioned"
    return f"{photos}, {count_text(failures.total)} failed" if failures.total else photos


def _tiles(
    manifest: Mapping[str, Any], captions: CaptionSummary, failures: FailureSummary
) -> list[dict[str, Any]]:
    """Returns the large numbers of the page's head; those not known are left out."""
    inputs = captions.total + failures.total
    secs = find_number(manifest, "elapsed_secs")
    speed = find_number(manifest, "images_per_sec")
    tiles = [
        _tile("Inputs", count_text(inputs)),
        _tile("Captions", count_text(captions.total)),
        _tile(
            "Failures",
            count_text(failures.total),
            note=percent_text(failures.total / inputs) if failures.total else "",
            bad=failures.total > 0,
        ),
    ]
    if captions.confidences.mean is not None:
        tiles.append(_tile("Mean confidence", percent_text(captions.confidences.mean)))
    if captions.judged:
        tiles.append(_low_confidence_tile(manifest, captions))
    if captions.unfinished:
        tiles.append(_tile("Cut short", count_text(captions.unfinished), note="length limit"))
    if secs is not None:
        tiles.append(_tile("Time", duration_text(secs)))
    if speed is not None:
        tiles.append(_tile("Images a second", f"{speed:.1f}"))
    return tiles


def _low_confidence_tile(manifest: Mapping[str, Any], captions: CaptionSummary) -> dict[str, Any]:
    """Returns how many captions are doubtful, and the score that decides it."""
    limit = find_number(manifest, "settings.min_score")
    notes = [percent_text(captions.doubtful / captions.judged)] if captions.doubtful else []
    notes += [] if limit is None else [f"score below {score_text(limit)}"]
    return _tile("Low confidence", count_text(captions.doubtful), ", ".join(notes))


def _can_filter(captions: CaptionSummary) -> bool:
    """Tells whether both doubtful and other captions are shown."""
    shown = (*captions.sample, *captions.most_confident, *captions.least_confident)
    return len({photo.low_confidence for photo in shown}) == 2


def _tile(name: str, value: str, note: str = "", bad: bool = False) -> dict[str, Any]:
    return {"name": name, "value": value, "note": note, "bad": bad}


def _settings(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the manifest as tables: one for each mapping in it, one for the rest."""
    groups = []
    plain = {}
    for key, value in manifest.items():
        if key in _SHOWN_ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            groups.append({"title": _title(key), "rows": list(_rows(value))})
        else:
            plain[key] = value
    groups.insert(0, {"title": "Run", "rows": list(_rows(plain))})
    return [group for group in groups if group["rows"]]


def _rows(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{_title(key)}: ")
        elif value is not None and value != "":
            yield f"{prefix}{_title(key).lower() if prefix else _title(key)}", _value_text(value)


def _title(key: str) -> str:
    words = str(key).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = f" and {len(value) - 5} more" if len(value) > 5 else ""
        return ", ".join(_value_text(item) for item in value[:5]) + more
    return str(value)
