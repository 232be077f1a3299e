"""The page of an evaluation: metrics with their intervals, and photos with all captions.

Takes results and photos; gives HTML that holds no script and loads nothing. Captions and names
are outside text: all of it is escaped.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from train.comparison_photos import ComparedPhoto
from train.evaluation_text import data_text, difference_text, fact_rows
from train.hardware import hardware_text

_MARGIN = 0.06  # of an axis, left free at both ends


@dataclasses.dataclass(frozen=True)
class MetricCell:
    """A model's value of a metric, and where it stands on the metric's axis, 0..1.

    Attributes:
        value: as text.
        interval: as text.
        left: of the interval.
        width: of the interval.
        at: of the value.
        difference: to the first model, as text; empty for the first.
        tone: `better` or `worse` where the difference's interval excludes 0, else empty.
    """

    value: str
    interval: str
    left: float
    width: float
    at: float
    difference: str
    tone: str


def render_page(results: Mapping[str, Any], photos: Sequence[ComparedPhoto]) -> str:
    """Returns the page as HTML.

    Args:
        results: of an evaluation.
        photos: to show, in their order.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("train"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    models = results.get("models") or [results]
    return environment.get_template("comparison.html.j2").render(
        results=results,
        models=models,
        metrics=[(name, metric_cells(models, name)) for name in models[0]["metrics"]],
        facts=fact_rows(models),
        data=data_text(results),
        hardware=hardware_text(results["hardware"]),
        photos=photos,
    )


def metric_cells(models: Sequence[Mapping[str, Any]], name: str) -> list[MetricCell]:
    """Returns a metric's values, all on one axis that just holds their intervals.

    Args:
        models: results of each model.
        name: of the metric.
    """
    ends = [end for model in models for end in model["intervals"][name]]
    ends += [model["metrics"][name] for model in models]
    low, high = min(ends), max(ends)
    scale = (1 - 2 * _MARGIN) / (high - low) if high > low else 0.0

    def place(value: float) -> float:
        return _MARGIN + scale * (value - low) if scale else 0.5

    cells = []
    for model in models:
        start, end = model["intervals"][name]
        difference = model.get("differences", {}).get(name)
        cells.append(
            MetricCell(
                value=f"{model['metrics'][name]:.4f}",
                interval=f"{start:.4f} – {end:.4f}",  # noqa: RUF001
                left=place(start),
                width=place(end) - place(start),
                at=place(model["metrics"][name]),
                difference=difference_text(difference).removesuffix(" *") if difference else "",
                tone=_tone(difference) if difference else "",
            )
        )
    return cells


def _tone(difference: Mapping[str, Any]) -> str:
    if not difference["excludes_zero"]:
        return ""
    return "better" if difference["value"] > 0 else "worse"
