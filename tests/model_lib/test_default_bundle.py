"""The bundle that is shipped: whole, small, as good as it says, and usable offline."""

from pathlib import Path

from model_lib.bundle import default_bundle_path, load_bundle, read_bundle_info

FOLDER = Path(default_bundle_path())
PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


def test_it_is_small_and_holds_nothing_else():
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sorted(sizes) == [
        "MODEL_CARD.md",
        "bundle.json",
        "decoder.weights.h5",
        "encoder.keras",
        "vocabulary.txt",
    ]
    assert sum(sizes.values()) <= 25_000_000


def test_its_metrics_are_above_what_was_asked_for():
    info = read_bundle_info(str(FOLDER))
    assert info.name == "flickr8k-small"
    assert info.decode.method == "beam"
    assert info.metrics["CIDEr"] >= 0.60
    assert info.metrics["BLEU-4"] >= 0.225
    assert info.metrics["METEOR"] >= 0.21
    assert 1.0 < info.score_temperature < 3.0


def test_its_card_says_what_a_user_must_know():
    card = (FOLDER / "MODEL_CARD.md").read_text()
    info = read_bundle_info(str(FOLDER))
    for text in (
        "non-commercial",
        "train-captioner --preset flickr8k-small",
        "Seed 1",
        "## Limits",
    ):
        assert text in card
    for name, value in info.metrics.items():
        assert f"| {name} | {value:.4f} |" in card


def test_it_captions_photos():
    captioner = load_bundle(str(FOLDER))
    paths = sorted(path for path in PHOTOS.iterdir() if path.suffix != ".md")
    captions = captioner.caption_bytes([path.read_bytes() for path in paths], batch_size=8)
    assert len(captions) == len(paths) == 8
    for [caption] in captions:
        words = caption.text.split()
        assert caption.finished
        assert 3 <= len(words) == caption.num_tokens - 1
        assert set(words) <= set(captioner.tokenizer.words[4:])
        assert caption.score == caption.log_prob / caption.num_tokens < 0
