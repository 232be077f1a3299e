from tests.train.evaluation_results import bundle_results, comparison, model_results, two_models
from train.evaluation_text import data_text, results_text


def test_a_comparison_is_a_table():
    assert results_text(two_models(), "both.json") == [
        "flickr8k/ dev: 1000 photos",
        "                        small                    saved",
        "BLEU-1                  0.5000 [0.4000, 0.6000]  0.5000 [0.4000, 0.6000]",
        "  to the first                                   +0.0000 [-0.1000, +0.1000]",
        "CIDEr                   0.6000 [0.5000, 0.8000]  0.4000 [0.3000, 0.6000]",
        "  to the first                                   -0.2000 [-0.3000, -0.1000] *",
        "fingerprint             0123456789ab",
        "size                    20.5 MB",
        "parameters, encoder     3,400,000",
        "parameters, decoder     6,500",
        "decoding                beam 3",
        "photos/s                21.1",
        "captions with a defect  2.50%",
        "distinct captions       1,234                    1,234",
        "[95 % interval of 1,000 resamples]; * a difference whose interval excludes 0",
        "captions: small.predictions.jsonl",
        "captions: saved.predictions.jsonl",
        "results: both.json",
    ]


def alone(model):
    common = comparison()
    del common["models"]
    return {**model, **common}


def test_one_bundle_is_a_list():
    assert results_text(alone(bundle_results("small", 0.6)), "e.json") == [
        "toy 0123456789ab on flickr8k/ dev: 1000 photos",
        "  BLEU-1    0.5000  [0.4000, 0.6000]",
        "  CIDEr     0.6000  [0.5000, 0.8000]",
        "  defects empty 0.00%, any 2.50%",
        "  score and CIDEr: Spearman 0.44",
        "  confidence: off by 0.021 (mean of tenths)",
        "  21.1 photos/s",
        "captions: small.predictions.jsonl",
        "results: e.json",
    ]


def test_saved_captions_have_only_metrics():
    lines = results_text(alone(model_results("run", 0.6)), "e.json")
    assert lines[0] == "saved captions on flickr8k/ dev: 1000 photos"
    assert len(lines) == 5


def test_references_stand_for_the_data():
    results = comparison(data=None, split=None, references="truth.csv")
    assert data_text(results) == "truth.csv: 1000 photos"
