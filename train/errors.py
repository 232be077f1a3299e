"""Named errors of training and evaluation: each says what is wrong, where, and what to do."""

from model_lib.errors import CaptioningError


class DatasetError(CaptioningError):
    """Captioned photos are missing, contradict their table, or cannot be prepared."""


class EvaluationError(CaptioningError):
    """Predictions and references do not belong together, or cannot be scored."""


class JavaMissingError(EvaluationError):
    """A metric runs a Java program, and there is no working Java on this machine."""


class TrainingError(CaptioningError):
    """A training cannot go on, or came to nothing."""
