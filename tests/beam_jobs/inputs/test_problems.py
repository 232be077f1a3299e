import tarfile
import zlib

import pyarrow as pa
import pytest
import requests
from apache_beam.io.filesystem import BeamIOError

from beam_jobs.inputs.problems import (
    BadRowError,
    DamagedInputError,
    damaged,
    is_damage,
    passing_over_damage,
    problem,
)
from beam_jobs.inputs.rows import Problem
from model_lib.errors import ConfigError

DAMAGE = [
    EOFError(),
    zlib.error("x"),
    tarfile.ReadError("x"),
    pa.ArrowInvalid("x"),
    OSError("Corrupt snappy compressed data."),
    BadRowError("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
]
STORAGE = [
    FileNotFoundError(2, "x"),
    OSError(5, "Input/output error"),
    PermissionError(),
    BeamIOError("x"),
    requests.ConnectionError("x"),
    ConfigError("x"),
    MemoryError(),
]


@pytest.mark.parametrize("error", DAMAGE, ids=repr)
def test_damage_costs_the_rest_of_a_file(error):
    assert is_damage(error)
    with passing_over_damage():
        raise error


@pytest.mark.parametrize("error", STORAGE, ids=repr)
def test_a_storage_that_fails_stops_the_run(error):
    assert not is_damage(error)
    with pytest.raises(type(error)), passing_over_damage():
        raise error


def test_a_rows_problem_is_the_class_and_what_utf_8_can_hold():
    assert problem(BadRowError("x\udce9" + "y" * 2000)) == Problem(
        "BadRowError", ("x\\udce9" + "y" * 2000)[:1000]
    )


def test_the_rest_of_a_file_names_the_first_error():
    told = damaged(EOFError())
    assert isinstance(told, DamagedInputError)
    assert str(told) == "nothing can be read from here on: EOFError: EOFError()"
    own = BadRowError("x")
    assert damaged(own) is own
