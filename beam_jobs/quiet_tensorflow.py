"""TensorFlow without its start-up lines.

They are written by C++ code, whatever the log level, straight to file descriptor 2; a person who
runs a command should see the command's own lines only.
"""

import os
import sys
import tempfile

from beam_jobs.collecting import collection_paused
from model_lib.onednn import prefer_onednn


def load_tensorflow(notice: str = "") -> None:
    """Imports TensorFlow now, and keeps its start-up lines off the screen.

    Args:
        notice: written to standard error first, since this takes seconds.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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
