import pytest

from beam_jobs.redaction import without_secrets


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            ["--s3_secret_access_key", "SESAME", "--limit", "3"],
            ["--s3_secret_access_key", "HIDDEN", "--limit", "3"],
        ),
        (["--password=SESAME"], ["--password=HIDDEN"]),
        ({"api_key": "SESAME", "seed": 3}, {"api_key": "HIDDEN", "seed": 3}),
        ({"a": [{"token": "SESAME"}]}, {"a": [{"token": "HIDDEN"}]}),
        (["--max_length_tokens", "12"], ["--max_length_tokens", "12"]),
        (7, 7),
    ],
)
def test_only_values_of_secrets_are_hidden(value, expected):
    assert without_secrets(value) == expected
