"""Results of an evaluation as lines of text for a terminal.

Takes what `train.evaluation` returns; a single model gives a list, several give a table with a
column for each.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_GAP = "  "


def results_text(results: Mapping[str, Any], output: str) -> list[str]:
    """Returns the lines.

    Args:
        results: of an evaluation.
        output: where they were written.
    """
    models = results.get("models")
    lines = _comparison(results, models) if models else _single(results)
    files = [model["predictions"] for model in models or [results]]
    return [*lines, *[f"captions: {path}" for path in files], f"results: {output}"]


def data_text(results: Mapping[str, Any]) -> str:
    """Returns on what was scored: `flickr8k/ dev: 1,000 photos`."""
    source = results["references"] if results["data"] is None else _data_set(results)
    return f"{source}: {results['counts']['images']} photos"


def fact_rows(models: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Returns name and text of each model of what is known of a model beside its metrics."""
    rows = {
        "fingerprint": lambda one: one["bundle"]["fingerprint"][:12],
        "size": lambda one: f"{one['size_bytes'] / 1e6:.1f} MB",
        "parameters, encoder": lambda one: f"{one['parameters']['encoder']:,}",
        "parameters, decoder": lambda one: f"{one['parameters']['decoder']:,}",
        "decoding": lambda one: _decoding(one["decode"]),
        "photos/s": lambda one: f"{one['images_per_sec']:.1f}",
        "captions with a defect": lambda one: f"{one['defects']['any']:.2%}",
    }
    texts = {
        name: [text(one) if one["bundle"] else "" for one in models] for name, text in rows.items()
    }
    texts["distinct captions"] = [f"{one['counts']['distinct_captions']:,}" for one in models]
    return [(name, cells) for name, cells in texts.items() if any(cells)]


def difference_text(difference: Mapping[str, Any]) -> str:
    """Returns `+0.0123 [+0.0011, +0.0240] *`; the star where the interval excludes 0."""
    low, high = difference["interval"]
    star = " *" if difference["excludes_zero"] else ""
    return f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}]{star}"


def _data_set(results: Mapping[str, Any]) -> str:
    return f"{results['data']} {results['split']}"


def _decoding(decode: Mapping[str, Any]) -> str:
    width = f" {decode['beam_width']}" if decode["method"] == "beam" else ""
    return f"{decode['method']}{width}"


def _single(results: Mapping[str, Any]) -> list[str]:
    bundle = results["bundle"]
    source = f"{bundle['name']} {bundle['fingerprint'][:12]}" if bundle else "saved captions"
    lines = [f"{source} on {data_text(results)}"]
    for name, value in results["metrics"].items():
        low, high = results["intervals"][name]
        lines.append(f"  {name:<8}{value:8.4f}  [{low:.4f}, {high:.4f}]")
    if bundle:
        shares = results["defects"]
        lines.append("  defects " + ", ".join(f"{name} {shares[name]:.2%}" for name in shares))
        spearman = results["scores"]["spearman"]
        if spearman is not None:
            lines.append(f"  score and CIDEr: Spearman {spearman:.2f}")
        lines.append(f"  confidence: off by {results['confidence']['error']:.3f} (mean of tenths)")
        lines.append(f"  {results['images_per_sec']:.1f} photos/s")
    return lines


def _comparison(results: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [("", [model["label"] for model in models])]
    for name in models[0]["metrics"]:
        cells = []
        for model in models:
            low, high = model["intervals"][name]
            cells.append(f"{model['metrics'][name]:.4f} [{low:.4f}, {high:.4f}]")
        rows.append((name, cells))
        apart = [difference_text(model["differences"][name]) for model in models[1:]]
        rows.append(("  to the first", ["", *apart]))
    rows += fact_rows(models)
    resamples = results["bootstrap"]["resamples"]
    note = f"[95 % interval of {resamples:,} resamples]; * a difference whose interval excludes 0"
    return [data_text(results), *_aligned(rows), note]


def _aligned(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    cells = [(name, *texts) for name, texts in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
