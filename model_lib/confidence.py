"""Scores as probabilities.

A score is the mean log-probability of a caption's tokens, and a captioner is surer of its words
than it should be, or less. One number a bundle, the temperature, corrects that: it is fitted on
photos with human captions (`train.calibration`).
"""

import math


def confidence_of(score: float, temperature: float) -> float:
    """Returns how likely a word of the caption is one that people use of the photo.

    Args:
        score: of a caption, 0 at most.
        temperature: of the bundle, above 0; more makes every caption's confidence higher.

    Returns:
        0..1: `exp(score / temperature)`. A score of -0.8 at temperature 2 is 0.67.
    """
    return math.exp(min(0.0, score) / temperature)
