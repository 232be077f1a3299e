"""The learning curve of a training as a picture.

Takes the epochs' logs of each phase; writes a PNG: loss of training and validation, word
accuracy, and the reward of the self-critical phase where there was one.
"""

from pathlib import Path

from matplotlib.figure import Figure

_PANELS = (
    ("cross-entropy a word (natural log)", "word_loss"),
    ("word accuracy", "word_accuracy"),
    ("reward of drawn captions", "reward"),
)


def draw_learning_curve(history: list[dict[str, float]], path: Path) -> None:
    """Writes the picture.

    Args:
        history: one mapping an epoch, the self-critical epochs behind the others.
        path: of the PNG.
    """
    learning_curve(history).savefig(path, dpi=110)


def learning_curve(history: list[dict[str, float]]) -> Figure:
    """Draws one panel for each measure that the logs hold, with a line each for train and dev."""
    panels = [(title, key) for title, key in _PANELS if any(key in row for row in history)]
    figure = Figure(figsize=(5 * len(panels), 3.6), layout="tight")
    axes = figure.subplots(1, len(panels), squeeze=False)
    for axis, (title, key) in zip(axes[0], panels, strict=True):
        for prefix, label in (("", "train"), ("val_", "dev")):
            points = [(n + 1, row[prefix + key]) for n, row in enumerate(history) if key in row]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure
