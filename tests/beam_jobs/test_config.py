import dataclasses
import os

import pytest

from beam_jobs.config import FetchConfig, JobConfig
from model_lib.config import DecodeConfig
from model_lib.errors import ConfigError

MINIMAL = {"input": ("photos",), "output": "out"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": ()}, "JobConfig.input is empty"),
        ({"input": ("a", "")}, "JobConfig.input is empty"),
        ({"output": ""}, "--output FOLDER or --output_table TABLE is missing"),
        ({"overwrite": True, "resume": True}, "--overwrite and --resume exclude each other"),
        ({"recompute": True}, "--recompute is of use with --resume only"),
        ({"commit_every": 0}, "JobConfig.commit_every is 0"),
        ({"machines": 0}, "JobConfig.machines is 0"),
        ({"images_per_sec": 0.0}, "JobConfig.images_per_sec is 0.0; expected above 0"),
        ({"price_per_hour": -1.0}, "JobConfig.price_per_hour is -1.0"),
        ({"max_redirects": -1}, "FetchConfig.max_redirects is -1"),
        ({"read_threads": 0}, "FetchConfig.threads is 0"),
        ({"max_reads_per_host": 0}, "FetchConfig.max_reads_per_host is 0"),
        ({"batch_size": -1}, "JobConfig.batch_size is -1; expected at least 0 and at most 4096"),
        ({"workers": 0}, "JobConfig.workers is 0"),
        ({"limit": 0}, "JobConfig.limit is 0; expected at least 1"),
        ({"max_failure_rate": 1.5}, "JobConfig.max_failure_rate is 1.5"),
        ({"http_timeout_secs": 0.0}, "FetchConfig.timeout_secs is 0.0; expected above 0"),
        ({"read_attempts": 0}, "FetchConfig.attempts is 0"),
        ({"max_image_bytes": 0}, "FetchConfig.max_image_bytes is 0"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        JobConfig(**{**MINIMAL, **changes})


def test_fetch_settings_come_from_the_flags():
    config = JobConfig(
        **MINIMAL,
        http_timeout_secs=2.5,
        read_attempts=7,
        max_image_bytes=99,
        max_redirects=2,
        read_threads=3,
        max_reads_per_host=1,
        allow_private_addresses=True,
        ignore_robots_tag=True,
    )
    assert config.fetch_config() == FetchConfig(
        timeout_secs=2.5,
        attempts=7,
        max_image_bytes=99,
        max_redirects=2,
        threads=3,
        max_reads_per_host=1,
        allow_private_addresses=True,
        respect_robots_tag=False,
        base_folder=os.getcwd(),
    )


def test_an_output_is_not_needed_where_there_is_a_table_or_an_estimate():
    assert JobConfig(input=("a",), output_table="p:d.t").output is None
    assert JobConfig(input=("a",), estimate=True).output is None


def test_decode_settings_left_out_are_the_bundle_s():
    defaults = DecodeConfig(method="sample", top_k=10, seed=4, max_length_tokens=12)
    assert JobConfig(**MINIMAL).decode_config(defaults) == defaults


def test_each_decode_flag_has_its_effect():
    config = JobConfig(
        **MINIMAL,
        decode="sample",
        num_captions=5,
        temperature=0.5,
        top_k=10,
        top_p=0.9,
        seed=3,
        min_length_tokens=2,
        max_length_tokens=9,
        no_repeat_ngram_size=2,
    )
    assert config.decode_config(DecodeConfig()) == DecodeConfig(
        method="sample",
        num_captions=5,
        temperature=0.5,
        top_k=10,
        top_p=0.9,
        seed=3,
        min_length_tokens=2,
        max_length_tokens=9,
        no_repeat_ngram_size=2,
    )
    beam = JobConfig(**MINIMAL, decode="beam", beam_width=5, length_penalty=0.7)
    assert beam.decode_config(DecodeConfig(method="greedy")) == DecodeConfig(
        method="beam", beam_width=5, length_penalty=0.7
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_k": 5}, "top_k has no effect with beam decoding, only with sample"),
        ({"decode": "greedy", "beam_width": 5}, "beam_width has no effect with greedy decoding"),
        ({"decode": "greedy", "num_captions": 2}, "only with beam and sample"),
        ({"num_captions": 4}, "num_captions 4 is more than beam_width 3"),
        ({"decode": "sample", "top_p": 2.0}, "top_p is 2.0"),
    ],
)
def test_decode_flags_without_effect_or_sense_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        JobConfig(**MINIMAL, **changes).decode_config(DecodeConfig())


def test_every_field_is_a_flag_with_help():
    for field in dataclasses.fields(JobConfig):
        assert field.metadata["group"]
        assert field.metadata["help"]


def test_settings_survive_json():
    config = JobConfig(**MINIMAL, limit=3, decode="greedy")
    again = JobConfig.from_dict({**config.to_dict(), "input": tuple(config.to_dict()["input"])})
    assert again == config
