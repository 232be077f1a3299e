import apache_beam as beam
import pytest

from beam_jobs.accelerator import EXAMPLE, complete_accelerator, resource_hints
from model_lib.errors import ConfigError

L4 = "type:nvidia-l4;count:1;install-nvidia-driver"


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("nvidia-l4", L4),
        (L4, L4),
        (" type:nvidia-l4 ; install-nvidia-driver ", L4),
        ("type:nvidia-tesla-t4", "type:nvidia-tesla-t4;count:1"),
        (
            "type:nvidia-l4;machine_type:g2-standard-8;install-nvidia-driver:535;use_nvidia_mps",
            "type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver:535;"
            "use_nvidia_mps",
        ),
    ],
)
def test_an_accelerator_is_completed(given, full):
    assert complete_accelerator(given) == full
    assert complete_accelerator(full) == full


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("type:nvidia-l4;count:2", r"its count is 2, and a worker machine uses one GPU"),
        ("type:nvidia-l4;count:0", "its count is 0"),
        ("count:1", "its type is ''"),
        ("", "its type is ''"),
        ("tpu-v5e", "'tpu-v5e', not an NVIDIA GPU"),
        ("type:nvidia-l4;type:nvidia-a100", "twice"),
        ("type:nvidia-l4;driver", "'driver' is none of"),
        ("type:nvidia-l4;", "'' is none of"),
    ],
)
def test_what_would_not_be_used_is_refused(given, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        resource_hints(given)
    assert str(refused.value).startswith(f"--accelerator {given}: ")
    assert EXAMPLE in str(refused.value)


def test_hints_are_what_beam_takes():
    hints = resource_hints("nvidia-l4", min_ram="16GB")
    assert hints == {"accelerator": L4, "min_ram": "16GB"}
    transform = beam.Map(len).with_resource_hints(**hints)
    assert transform.get_resource_hints() == {
        "beam:resources:accelerator:v1": L4.encode(),
        "beam:resources:min_ram_bytes:v1": b"16000000000",
    }


def test_no_hints_where_nothing_is_asked_for():
    assert resource_hints(None) == {}
    with pytest.raises(ConfigError, match="16GB"):
        resource_hints(None, min_ram="much")
