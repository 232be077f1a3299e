"""Flags made from settings: each one takes effect, and none is taken that has no effect."""

import dataclasses

import pytest

from model_lib.config import DecodeConfig, JsonConfig, ModelConfig
from model_lib.errors import ConfigError
from train.arguments import (
    DECODE_FLAGS,
    ArgumentParser,
    add_config_flags,
    attribute_docs,
    config_from_flags,
    decode_from_flags,
)
from train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Sample(JsonConfig):
    """A sample.

    Attributes:
        rate: share of `things`, 50% at
            most.
        mirror: whether to mirror.
    """

    rate: float = 0.25
    mirror: bool = True
    undocumented: int = 3


@pytest.fixture
def decode_parser():
    parser = ArgumentParser(allow_abbrev=False)
    add_config_flags(parser, DecodeConfig, DECODE_FLAGS)
    return parser


def sample_parser(**options):
    parser = ArgumentParser(allow_abbrev=False)
    add_config_flags(parser, Sample, **options)
    return parser


def test_docs_come_from_the_docstring():
    assert attribute_docs(Sample) == {
        "rate": "share of things, 50% at most",
        "mirror": "whether to mirror",
        "undocumented": "",
    }


@pytest.mark.parametrize("config_type", [DecodeConfig, ModelConfig, TrainConfig])
def test_every_setting_of_the_project_has_a_text(config_type):
    assert [name for name, text in attribute_docs(config_type).items() if not text] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Sample()),
        (["--rate", "0.5"], Sample(rate=0.5)),
        (["--mirror"], Sample(mirror=True)),
        (["--no-mirror", "--undocumented=-7"], Sample(mirror=False, undocumented=-7)),
    ],
)
def test_flags_replace_defaults(words, expected):
    assert config_from_flags(sample_parser().parse(words), Sample()) == expected


def test_help_says_defaults_where_asked():
    assert "50% at most (default: 0.25)" in sample_parser(show_defaults=True).format_help()
    assert "default" not in sample_parser().format_help()


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (
            ["--beam-width", "7", "--length_penalty", "0.5"],
            {"beam_width": 7, "length_penalty": 0.5},
        ),
        (
            ["--num_captions=2", "--max_length_tokens=9"],
            {"num_captions": 2, "max_length_tokens": 9},
        ),
        (
            ["--decode=sample", "--temperature=0.7", "--top-k=10", "--top-p=0.9", "--seed=4"],
            {"method": "sample", "temperature": 0.7, "top_k": 10, "top_p": 0.9, "seed": 4},
        ),
        (
            ["--decode", "greedy", "--min-length-tokens", "2"],
            {"method": "greedy", "min_length_tokens": 2},
        ),
    ],
)
def test_decode_flags_change_the_bundles_settings(decode_parser, words, changes):
    defaults = DecodeConfig(max_length_tokens=20)
    assert decode_from_flags(decode_parser.parse(words), defaults) == defaults.replace(**changes)


def test_another_method_than_the_bundles_begins_with_one_caption(decode_parser):
    defaults = DecodeConfig(num_captions=3)
    decode = decode_from_flags(decode_parser.parse(["--decode", "greedy"]), defaults)
    assert decode == DecodeConfig(method="greedy", num_captions=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top_k", "5"], "top_k has no effect with beam decoding, only with sample"),
        (["--decode", "greedy", "--beam_width", "2"], "no effect with greedy decoding"),
        (["--num_captions", "9"], "more than beam_width 3"),
        (["--beam_width", "0"], "beam_width is 0"),
    ],
)
def test_decode_flags_without_effect_or_out_of_range_are_refused(decode_parser, words, message):
    with pytest.raises(ConfigError, match=message):
        decode_from_flags(decode_parser.parse(words), DecodeConfig())


@pytest.mark.parametrize(
    "words", [["--beam_widht", "2"], ["--beam_width", "x"], ["--decode", "best"]]
)
def test_wrong_flags_are_refused(decode_parser, words):
    with pytest.raises(ConfigError, match="see --help"):
        decode_parser.parse(words)
