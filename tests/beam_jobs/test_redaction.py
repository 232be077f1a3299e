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
        ({"credentials": {"id": "me"}}, {"credentials": "HIDDEN"}),
        ("run --api_key 'open sesame' --limit 3", "run --api_key HIDDEN --limit 3"),
        ("https://me:SESAME@host/a.jpg", "https://me:HIDDEN@host/a.jpg"),
        (
            "read https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=AKIA%2F1&X-Amz-Expires=9"
            "&X-Amz-Signature=0af3 failed",
            "read https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=HIDDEN&X-Amz-Expires=9"
            "&X-Amz-Signature=HIDDEN failed",
        ),
        ("https://h/a.jpg?w=3&sig=a%2Bb#top", "https://h/a.jpg?w=3&sig=HIDDEN#top"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer HIDDEN"),
        ("{'Authorization': 'Basic QWxh'}", "{'Authorization': 'Basic HIDDEN'}"),
    ],
)
def test_secrets_are_hidden(value, expected):
    assert without_secrets(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        ["--max_length_tokens", "12"],
        {"num_tokens": 9, "token": None},
        {"read": {"NoCredentialsError": 12}},
        "https://host/signature.jpg?size=3&monkey=4",
        "http://host:8080/mail@example.jpg",
        "gs://bucket/keys/a.jpg",
        b"SESAME",
        7,
    ],
)
def test_what_is_no_secret_stays(value):
    assert without_secrets(value) == value
