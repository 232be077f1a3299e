import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from model_lib.bundle_info import (
    HASHED_FILES,
    BundleInfo,
    _sha256_of_json,
    info_from_bytes,
    info_to_bytes,
)
from model_lib.config import DecodeConfig, ModelConfig, PreprocessConfig
from model_lib.errors import BundleError

INFO = BundleInfo(
    name="toy",
    model=ModelConfig(encoder="toy", width=16),
    preprocess=PreprocessConfig(image_size=32),
    decode=DecodeConfig(temperature=2),
    file_sha256={name: f"{number:064x}" for number, name in enumerate(HASHED_FILES)},
    provenance={"data": "none", "seed": 3},
    metrics={"CIDEr": 0.25},
)
WHERE = "gs://bucket/toy/bundle.json"


def forged(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Changes the content and makes its checksum right again."""
    content = json.loads(info_to_bytes(INFO))
    change(content)
    del content["sha256"]
    content["sha256"] = _sha256_of_json(content)
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def test_the_file_is_sorted_json() -> None:
    content = json.loads(info_to_bytes(INFO))
    assert list(content) == sorted(content)
    assert content == {
        "format_version": 1,
        "name": "toy",
        "fingerprint": INFO.fingerprint,
        "model": INFO.model.to_dict(),
        "preprocess": INFO.preprocess.to_dict(),
        "decode": INFO.decode.to_dict(),
        "file_sha256": INFO.file_sha256,
        "provenance": {"data": "none", "seed": 3},
        "metrics": {"CIDEr": 0.25},
        "sha256": content["sha256"],
    }
    assert info_from_bytes(info_to_bytes(INFO), WHERE) == INFO
    assert forged(lambda content: None) == info_to_bytes(INFO)


def test_any_changed_or_missing_byte_is_noticed() -> None:
    data = info_to_bytes(INFO)
    for place in range(len(data)):
        for flip in (0x01, 0x80):
            changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
            with pytest.raises(BundleError, match=WHERE):
                info_from_bytes(changed, WHERE)
    for wrong in (b"", data[:-1], data[: len(data) // 2], data + b"\n", b"[]", b"null", b"\xff"):
        with pytest.raises(BundleError, match=f"^{WHERE}: damaged or not a bundle .*copy"):
            info_from_bytes(wrong, WHERE)


def test_the_fingerprint_covers_what_decides_captions_and_nothing_else() -> None:
    def fingerprint(**changes: Any) -> str:
        return dataclasses.replace(INFO, **changes).fingerprint

    def hashes(name: str) -> dict[str, str]:
        return {**INFO.file_sha256, name: "f" * 64}

    same = {
        INFO.fingerprint,
        fingerprint(name="other"),
        fingerprint(metrics={}),
        fingerprint(provenance={}),
        fingerprint(decode=DecodeConfig(seed=1)),
        fingerprint(file_sha256=hashes("MODEL_CARD.md")),
    }
    others = [
        fingerprint(model=INFO.model.replace(num_heads=4)),
        fingerprint(preprocess=INFO.preprocess.replace(fit="pad")),
        *[fingerprint(file_sha256=hashes(n)) for n in HASHED_FILES if n != "MODEL_CARD.md"],
    ]
    assert len(same) == 1
    assert len({*same, *others}) == 6
    assert all(len(text) == 64 and int(text, 16) >= 0 for text in others)


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_another_format_version_is_named_with_what_to_do(version: Any) -> None:
    data = forged(lambda content: content.update(format_version=version))
    with pytest.raises(BundleError) as caught:
        info_from_bytes(data, WHERE)
    assert str(caught.value) == (
        f"{WHERE}: format version {version!r} is not known, this release reads 1; install the "
        "release that wrote the bundle, or save it again"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("metrics"),
        lambda content: content.update(more=1),
        lambda content: content.update(format_version=True),
        lambda content: content.update(fingerprint="0" * 64),
        lambda content: content["model"].update(width=0),
        lambda content: content["model"].update(width="16"),
        lambda content: content["model"].update(layers=3),
        lambda content: content["decode"].update(temperature=2),
        lambda content: content.update(preprocess=None),
        lambda content: content["file_sha256"].pop("vocabulary.txt"),
        lambda content: content["file_sha256"].update({"../../etc/passwd": "0" * 64}),
        lambda content: content.update(file_sha256=["encoder.keras"]),
    ],
)
def test_a_well_summed_file_of_other_content_is_refused(
    change: Callable[[dict[str, Any]], Any],
) -> None:
    with pytest.raises(BundleError, match=f"^{WHERE}: damaged or not a bundle"):
        info_from_bytes(forged(change), WHERE)
