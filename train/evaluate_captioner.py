"""`evaluate-captioner`: captions a data set with a bundle and scores the captions.

Takes a command line; gives an exit code: 0 done, 2 the command line, the bundle or the data is
wrong. Predictions are saved before they are scored, so that no hour of captioning is lost.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_lib.config import DecodeConfig
from model_lib.errors import ConfigError
from train import console
from train.arguments import DECODE_FLAGS, ArgumentParser, add_config_flags, decode_from_flags
from train.durable_files import replace_text

if TYPE_CHECKING:
    from train.predictions import Prediction

BATCH_SIZE = 32
DESCRIPTION = """\
Captions the photos of a data set with a model bundle and scores the captions against the
human ones: BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr, as COCO's evaluation computes them."""
EPILOG = """\
examples:
  evaluate-captioner --data flickr8k/ --output eval.json
  evaluate-captioner --data coco_captions --data_dir ~/tensorflow_datasets --bundle my_bundle/ \\
      --beam_width 5 --output eval.json
  evaluate-captioner --data flickr8k/ --predictions_from eval.predictions.jsonl --output new.json
  evaluate-captioner --data flickr8k/ --predictions_from captioned/ --output job.json

exit codes: 0 done; 2 the command line, the bundle or the data is wrong.
"""
_DISTRIBUTIONS = ("batch-image-captioning", "keras", "pycocoevalcap", "tensorflow")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates.

    Args:
        argv: the command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)

    def command() -> None:
        arguments = build_parser().parse(words)
        results = evaluate(arguments)
        print(*_table(results, arguments.output), sep="\n")

    return console.run("evaluate-captioner", command)


def build_parser() -> ArgumentParser:
    """Returns the parser of all flags."""
    parser = ArgumentParser(
        prog="evaluate-captioner",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    data = parser.add_argument_group("Data")
    console.add_data_flags(data)
    data.add_argument(
        "--split", choices=("dev", "train"), default="dev", help="part of the data (default: dev)"
    )
    _add_model_flags(parser)
    _add_result_flags(parser)
    return parser


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Captions, or reads saved captions; scores them; writes the results.

    Args:
        arguments: of `build_parser`.

    Returns:
        What was written to `--output`.

    Raises:
        CaptioningError: where the bundle, the data or the predictions are wrong.
    """
    _check_rescoring(arguments)
    # Imported late: TensorFlow takes seconds, and --help and mistakes do not need it.
    from train.datasets import open_dataset
    from train.java_tools import find_java
    from train.metrics import score_captions

    if not arguments.no_java:
        find_java()  # before an hour of captioning, not after it
    dataset = open_dataset(
        arguments.data, arguments.split, data_dir=arguments.data_dir, limit=arguments.limit
    )
    captions, about_captions, predictions = _captions(arguments, dataset)
    references = dict(zip(dataset.image_ids, dataset.captions, strict=True))
    start = time.perf_counter()
    metrics = score_captions(references, captions, java=not arguments.no_java)
    results = {
        "metrics": metrics,
        "tokenizer": "plain" if arguments.no_java else "ptb",
        "data": arguments.data,
        "split": arguments.split,
        "data_fingerprint": dataset.fingerprint(),
        "counts": {
            "images": len(dataset),
            "references": sum(len(texts) for texts in dataset.captions),
            "distinct_captions": len(set(captions.values())),
        },
        **about_captions,
        **_quality(predictions, references, java=not arguments.no_java),
        "scoring_secs": round(time.perf_counter() - start, 3),
        "versions": _versions(),
    }
    _write_json(arguments.output, results)
    return results


def _add_model_flags(parser: ArgumentParser) -> None:
    model = parser.add_argument_group("Model")
    model.add_argument(
        "--bundle",
        metavar="FOLDER",
        help="folder of the model bundle (default: the one shipped with the package)",
    )
    model.add_argument(
        "--batch_size",
        type=console.positive,
        metavar="N",
        help=f"photos in one run of the model; no effect on captions (default: {BATCH_SIZE})",
    )
    decode = parser.add_argument_group("Captions (what is left out is as the bundle says)")
    add_config_flags(decode, DecodeConfig, DECODE_FLAGS)


def _add_result_flags(parser: ArgumentParser) -> None:
    results = parser.add_argument_group("Results")
    results.add_argument(
        "--output", required=True, metavar="FILE", help="JSON file for the results (required)"
    )
    results.add_argument(
        "--predictions",
        metavar="FILE",
        help="JSON-lines file for the captions (default: beside --output, .predictions.jsonl)",
    )
    results.add_argument(
        "--predictions_from",
        metavar="WHERE",
        help="score saved captions, without the model: of an earlier evaluation, or the output "
        "folder or Parquet files of caption-images",
    )
    results.add_argument(
        "--no_java",
        action="store_true",
        help="a plain tokenizer and no METEOR: for machines without Java; the other metrics "
        "then differ a little from published ones",
    )


def _check_rescoring(arguments: argparse.Namespace) -> None:
    """Refuses flags that would have no effect."""
    if arguments.predictions_from is None:
        return
    model_flags = [DECODE_FLAGS.get(name, name) for name in DecodeConfig.__dataclass_fields__]
    for name in ("bundle", "batch_size", "predictions", *model_flags):
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name} has no effect with --predictions_from; leave one out")


def _quality(
    predictions: Sequence["Prediction"], references: Mapping[str, Sequence[str]], *, java: bool
) -> dict[str, Any]:
    """Returns what the results say beside the metrics; nothing of captions that were only read."""
    from train.caption_quality import defects, diversity, score_meaning
    from train.metrics import cider_by_image

    if not predictions:
        return {}
    captions = {prediction.image_id: prediction.caption for prediction in predictions}
    cider = cider_by_image(references, captions, java=java)
    return {
        "defects": defects(predictions),
        "diversity": diversity(predictions),
        "scores": score_meaning(predictions, cider),
    }


def _captions(
    arguments: argparse.Namespace, dataset: Any
) -> tuple[dict[str, str], dict[str, Any], list["Prediction"]]:
    """Returns captions by image id, what the results say of their source, and the predictions."""
    from train.predictions import read_predictions

    if arguments.predictions_from is None:
        predictions, about = _predict(arguments, dataset)
        return {one.image_id: one.caption for one in predictions}, about, predictions
    captions = read_predictions(arguments.predictions_from)
    about = {"bundle": None, "decode": None, "predictions": arguments.predictions_from}
    return captions, about, []


def _predict(
    arguments: argparse.Namespace, dataset: Any
) -> tuple[list["Prediction"], dict[str, Any]]:
    from tqdm import tqdm

    from model_lib.bundle import default_bundle_path, load_bundle
    from train.predictions import predict, write_predictions

    bundle = arguments.bundle or default_bundle_path()
    captioner = load_bundle(bundle)
    decode = decode_from_flags(arguments, captioner.info.decode)
    path = arguments.predictions or Path(arguments.output).with_suffix(".predictions.jsonl")
    start = time.perf_counter()
    stream = predict(captioner, dataset, decode, arguments.batch_size or BATCH_SIZE)
    progress = tqdm(stream, total=len(dataset), unit="photo", disable=not sys.stderr.isatty())
    predictions = write_predictions(path, progress)
    secs = time.perf_counter() - start
    about = {
        "bundle": {
            "name": captioner.info.name,
            "fingerprint": captioner.info.fingerprint,
            "path": str(bundle),
        },
        "decode": decode.to_dict(),
        "predictions": str(path),
        "captioning_secs": round(secs, 3),
        "images_per_sec": round(len(predictions) / secs, 3),
    }
    return predictions, about


def _write_json(path: str, results: dict[str, Any]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    replace_text(Path(path), json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def _table(results: dict[str, Any], output: str) -> list[str]:
    counts, bundle = results["counts"], results["bundle"]
    source = f"{bundle['name']} {bundle['fingerprint'][:12]}" if bundle else "saved captions"
    lines = [f"{source} on {results['data']} {results['split']}: {counts['images']} photos"]
    lines += [f"  {name:<8}{value:8.4f}" for name, value in results["metrics"].items()]
    if bundle:
        shares = results["defects"]
        lines.append("  defects " + ", ".join(f"{name} {shares[name]:.2%}" for name in shares))
        spearman = results["scores"]["spearman"]
        if spearman is not None:
            lines.append(f"  score and CIDEr: Spearman {spearman:.2f}")
        lines.append(f"  {results['images_per_sec']:.1f} photos/s")
    return [*lines, f"captions: {results['predictions']}", f"results: {output}"]


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    sys.exit(main())
