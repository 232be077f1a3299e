"""What the commands share: a mistake is one line and an exit code, and flags of the data."""

import argparse
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from model_lib.errors import ConfigError
from train.console import add_data_flags, run

ROOT = Path(__file__).parents[2]


def test_a_command_that_ends_gives_0_and_nothing_else(capsys):
    done = []
    assert run("a-program", lambda: done.append(1)) == 0
    assert done == [1]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("--width is 0;\n  give 1 or more"), 2, "--width is 0; give 1 or more"),
        (FileNotFoundError(2, "No such file", "a.tsv"), 2, "[Errno 2] No such file: 'a.tsv'"),
        (
            ModuleNotFoundError("No module named 'tensorflow_datasets'"),
            2,
            "No module named 'tensorflow_datasets'; install the training extra: "
            "pip install 'batch-image-captioning[train]'",
        ),
        (KeyboardInterrupt(), 130, "interrupted; go on with --resume"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(error, code, message, capsys):
    def fail():
        raise error

    found = run("a-program", fail, if_interrupted="interrupted; go on with --resume")
    assert found == code
    assert capsys.readouterr() == ("", f"a-program: {message}\n")


def test_an_error_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run("a-program", lambda: 1 / 0)


def test_progress_is_shown_and_other_libraries_chatter_is_not():
    program = (
        "import logging, sys; from train.console import run\n"
        "def command():\n"
        "  for name in ('train.features', 'other', 'absl'):\n"
        "    logging.getLogger(name).info('info of %s', name)\n"
        "    logging.getLogger(name).warning('warning of %s', name)\n"
        "sys.exit(run('a-program', command))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "INFO train.features: info of train.features",
        "WARNING train.features: warning of train.features",
        "WARNING other: warning of other",
    ]


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_data_flags(parser)
    return parser.parse_args(words)


def test_flags_of_the_data():
    assert vars(parse("--data", "d")) == {"data": "d", "data_dir": None, "limit": None}
    assert parse("--data", "d", "--data_dir", "t", "--limit", "5").limit == 5


@pytest.mark.parametrize("limit", ["0", "-3", "1.5", "many"])
def test_a_limit_is_a_number_of_photos(limit):
    with pytest.raises(argparse.ArgumentError, match="--limit"):
        parse("--data", "d", "--limit", limit)


@pytest.fixture(autouse=True)
def logging_as_before():
    before = [(name, logging.getLogger(name).level) for name in ("train", "absl")]
    yield
    for name, level in before:
        logging.getLogger(name).setLevel(level)
