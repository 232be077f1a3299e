"""What a speed was measured on, as plain values for results.

Takes nothing; asks the operating system and TensorFlow.
"""

import os
import platform
from pathlib import Path
from typing import Any

_CPU_INFO = Path("/proc/cpuinfo")


def hardware() -> dict[str, Any]:
    """Returns `cpu`, its model; `cores`, those of the machine; and `gpus`, their models."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpus": [one.get("device_name", "GPU") for one in details],
    }


def hardware_text(found: dict[str, Any]) -> str:
    """Returns one line: `2 cores of AMD EPYC, NVIDIA L4`."""
    return ", ".join([f"{found['cores']} cores of {found['cpu']}", *found["gpus"]])


def _cpu() -> str:
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
