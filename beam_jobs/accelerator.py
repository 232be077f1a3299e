"""The accelerator of the captioning workers, as Beam's resource hints name it.

Takes what `--accelerator` says; gives the arguments of `PTransform.with_resource_hints`. A worker
machine has one GPU and one copy of the model on it: more speed comes from more machines. So a
count above one is refused, it would be paid for and stay idle.
"""

import re

from model_lib.errors import ConfigError

INSTALL_DRIVER = "install-nvidia-driver"
SHARE_GPU = "use_nvidia_mps"
EXAMPLE = f"type:nvidia-l4;count:1;{INSTALL_DRIVER}"

_TYPE = re.compile(r"nvidia-[a-z0-9]+(-[a-z0-9]+)*")
_OPTION = re.compile(rf"machine_type:[a-z0-9-]+|{INSTALL_DRIVER}(:[\w.-]+)?|{SHARE_GPU}")
_RAM = re.compile(r"[1-9][0-9]*([.][0-9]+)?([KMGT]i?)?B")


def resource_hints(accelerator: str | None, min_ram: str | None = None) -> dict[str, str]:
    """Returns the resource hints of the captioning steps.

    `resource_hints("nvidia-l4")` gives
    `{"accelerator": "type:nvidia-l4;count:1;install-nvidia-driver"}`.

    Args:
        accelerator: a GPU's type, or type, count and options as Dataflow writes them; None for
            workers without one.
        min_ram: least memory of a worker machine, for example `16GB`.

    Returns:
        Arguments for `with_resource_hints`; empty where nothing is asked for.

    Raises:
        ConfigError: for what Dataflow would not take, or this job would not use.
    """
    hints = {}
    if accelerator is not None:
        hints["accelerator"] = complete_accelerator(accelerator)
    if min_ram is not None:
        if not _RAM.fullmatch(min_ram):
            raise ConfigError(f"min_ram {min_ram!r}: expected a size with its unit, as 16GB")
        hints["min_ram"] = min_ram
    return hints


def complete_accelerator(text: str) -> str:
    """Returns an accelerator in full: type, count, options; a bare type gets the driver too.

    Raises:
        ConfigError: for an unknown form, a type that is not an NVIDIA GPU, or more than one.
    """
    parts = [part.strip() for part in text.split(";")]
    if len(parts) == 1 and not parts[0].startswith(("type:", "count:")):
        parts = [f"type:{parts[0]}", INSTALL_DRIVER]
    settings = dict(part.split(":", 1) for part in parts if part.startswith(("type:", "count:")))
    options = [part for part in parts if not part.startswith(("type:", "count:"))]
    if len(settings) + len(options) != len(parts):
        raise _refusal(text, "a part stands there twice")
    kind, count = settings.get("type", ""), settings.get("count", "1")
    if not _TYPE.fullmatch(kind):
        raise _refusal(text, f"its type is {kind!r}, not an NVIDIA GPU such as nvidia-l4")
    if count != "1":
        raise _refusal(
            text, f"its count is {count}, and a worker machine uses one GPU: ask for more machines"
        )
    for option in options:
        if not _OPTION.fullmatch(option):
            raise _refusal(
                text, f"{option!r} is none of machine_type:M, {INSTALL_DRIVER}, {SHARE_GPU}"
            )
    return ";".join([f"type:{kind}", "count:1", *options])


def _refusal(text: str, reason: str) -> ConfigError:
    return ConfigError(f"--accelerator {text}: {reason}; expected a form like {EXAMPLE}")
