import pytest

from beam_jobs.inputs.problems import BadRowError
from beam_jobs.inputs.tables import check_names, is_wanted, no_uri_column, positions
from model_lib.errors import ConfigError


def test_only_columns_that_are_needed_must_be_there_once():
    check_names(["uri", "a", "a"], ["uri"], "t.csv")
    with pytest.raises(ConfigError, match=r"^t\.csv: column 'a' is there more than once"):
        check_names(["uri", "a", "a"], ["uri", "a"], "t.csv")


def test_the_uri_column_is_carried_only_by_name():
    assert [is_wanted(name, "uri", None) for name in ("uri", "id")] == [False, True]
    assert [is_wanted(name, "uri", ("uri",)) for name in ("uri", "id")] == [True, False]


def test_where_the_columns_are():
    assert positions(["id", "uri", "x"], "uri", ["x", "gone", "uri"]) == [1, 2, None, 1]
    with pytest.raises(BadRowError, match=r"^the file has no column 'uri'; it has id, x$"):
        positions(["id", "x"], "uri", [])


def test_a_table_without_the_uri_column_says_what_it_has():
    assert str(no_uri_column("uri", ["id", "url"], "t.csv")) == (
        "t.csv: there is no column 'uri'; the columns are id, url; --uri_column names the one "
        "that holds the image's URI"
    )
