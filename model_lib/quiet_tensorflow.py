"""TensorFlow without its start-up lines.

They are written by C++ code, whatever the log level, straight to file descriptor 2; a person who
runs a command should see the command's own lines only.
"""

import os
import sys
import tempfile

from model_lib.collecting import collection_paused
from model_lib.onednn import prefer_onednn

_LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY = 2


def load_tensorflow(notice: str = "", *, onednn: bool = True) -> None:
    """Imports TensorFlow now, and keeps its start-up lines off the screen.

    Args:
        notice: written to standard error first, since this takes seconds.
        onednn: whether to prefer oneDNN, see `onednn.prefer_onednn`; else TensorFlow chooses.
    """
    os.environ.setdefault(_LEVEL_VARIABLE, str(_ERRORS_ONLY))
    if onednn:
        prefer_onednn()
    sys.stderr.write(notice)
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            with collection_paused():
                import tensorflow as tf

                tf.config.list_physical_devices()
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def load_tensorflow_as_told(*, onednn: bool = True) -> None:
    """Imports TensorFlow without its start-up lines where `TF_CPP_MIN_LOG_LEVEL` is 2 or more.

    Elsewhere it leaves the import, with these lines, to the first who needs it. For workers: those
    on this machine have the launcher's level, elsewhere the lines are of use. And for commands that
    set the level by default: a person who sets it to 0 sees them.

    Args:
        onednn: as for `load_tensorflow`.
    """
    if onednn:
        prefer_onednn()
    level = os.environ.get(_LEVEL_VARIABLE, "")
    if "tensorflow" not in sys.modules and level.isdecimal() and int(level) >= _ERRORS_ONLY:
        load_tensorflow(onednn=onednn)
