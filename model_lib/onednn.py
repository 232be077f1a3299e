"""oneDNN, the faster convolutions and products of TensorFlow on CPUs.

TensorFlow turns it on by itself only where a CPU has instructions for neural networks (VNNI, AMX);
on other x86 CPUs it helps as well, but is off. The choice is read once, when TensorFlow is
imported, so this module imports nothing of it.
"""

import os
import platform
import sys

# TensorFlow's own variable; what it is set to before counts.
VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_X86 = ("x86_64", "AMD64")


def prefer_onednn() -> None:
    """Turns oneDNN on for this process and those that it starts, where that is still possible.

    Does nothing once TensorFlow is imported, on other processors (there its own choice is right),
    and where `TF_ENABLE_ONEDNN_OPTS` is set.
    """
    if "tensorflow" not in sys.modules and platform.machine() in _X86:
        os.environ.setdefault(VARIABLE, "1")
