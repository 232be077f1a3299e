"""Results of evaluations as tests of texts and pages need them."""

from typing import Any


def model_results(label: str, cider: float, **more: Any) -> dict[str, Any]:
    """Returns the results of saved captions, with two metrics."""
    return {
        "label": label,
        "metrics": {"BLEU-1": 0.5, "CIDEr": cider},
        "intervals": {"BLEU-1": [0.4, 0.6], "CIDEr": [cider - 0.1, cider + 0.2]},
        "counts": {"distinct_captions": 1234},
        "bundle": None,
        "decode": None,
        "predictions": f"{label}.predictions.jsonl",
        **more,
    }


def bundle_results(label: str, cider: float, **more: Any) -> dict[str, Any]:
    """Returns the results of a bundle."""
    of_a_bundle = {
        "bundle": {"name": "toy", "fingerprint": "0123456789abcdef", "path": label},
        "decode": {"method": "beam", "beam_width": 3},
        "size_bytes": 20_480_000,
        "parameters": {"encoder": 3_400_000, "decoder": 6_500},
        "images_per_sec": 21.06,
        "defects": {"empty": 0.0, "any": 0.025},
        "confidence": {"error": 0.0213},
        "scores": {"spearman": 0.444},
    }
    return model_results(label, cider, **{**of_a_bundle, **more})


def difference(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "excludes_zero": low > 0 or high < 0}


def comparison(*models: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Returns the results of several models."""
    return {
        "data": "flickr8k/",
        "split": "dev",
        "counts": {"images": 1000, "references": 5000},
        "bootstrap": {"resamples": 1000, "seed": 0, "share": 0.95},
        "hardware": {"cpu": "Some CPU", "cores": 2, "gpus": []},
        "models": list(models),
        **more,
    }


def two_models() -> dict[str, Any]:
    """Returns a bundle, and captions from a file that are surely worse in one metric."""
    apart = {"BLEU-1": difference(0.0, -0.1, 0.1), "CIDEr": difference(-0.2, -0.3, -0.1)}
    return comparison(bundle_results("small", 0.6), model_results("saved", 0.4, differences=apart))
