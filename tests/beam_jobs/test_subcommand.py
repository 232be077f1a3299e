import pytest
from apache_beam.io.filesystems import FileSystems

from beam_jobs.subcommand import CommandParser, parse_words
from model_lib.errors import ConfigError


@pytest.fixture
def parser() -> CommandParser:
    made = CommandParser(prog="caption-images status")
    made.add_argument("output")
    return made


@pytest.fixture(autouse=True)
def _options_as_before():
    yield
    FileSystems.set_options(None)


def test_beams_options_reach_the_file_systems(parser):
    words = ["--s3_endpoint_url=http://localhost:1", "out", "--s3_region_name", "here"]
    assert parse_words(parser, words).output == "out"
    options = FileSystems._pipeline_options.get_all_options()
    assert options["s3_endpoint_url"] == "http://localhost:1"
    assert options["s3_region_name"] == "here"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: output; see caption-images status --help"),
        (["out", "--jsno"], "unexpected argument '--jsno'; see caption-images status --help"),
        (["out", "other"], "unexpected argument 'other'; see caption-images status --help"),
    ],
)
def test_words_that_nobody_knows_are_refused(parser, words, message):
    with pytest.raises(ConfigError) as raised:
        parse_words(parser, words)
    assert str(raised.value) == message
