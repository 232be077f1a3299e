import pytest

from beam_jobs.fetching.robots import forbidding_directive

US = "batch-image-captioning"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([""], None),
        (["all"], None),
        (["nofollow, noarchive"], None),
        (["noai"], "noai"),
        (["NOAI"], "noai"),
        (["noimageai"], "noimageai"),
        (["noindex"], "noindex"),
        (["noimageindex"], "noimageindex"),
        (["none"], "none"),
        (["nofollow ,  noimageai"], "noimageai"),
        (["nofollow", "noai"], "noai"),
        (["otherbot: noai"], None),
        (["otherbot: noai, noindex"], None),
        (["otherbot: noai", "noimageindex"], "noimageindex"),
        (["otherbot: nofollow, batch-image-captioning: noai"], "noai"),
        (["batch-image-captioning: nofollow, otherbot: noai"], None),
        (["batch-image-captioning: noai"], "noai"),
        (["Batch-Image-Captioning:noindex"], "noindex"),
        (["batch-image-captioning: nofollow, noai"], "noai"),
        (["*: noai"], "noai"),
        (["max-snippet:0, noai"], "noai"),
        (["max-image-preview: none"], None),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], "noai"),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 PST, noai"], "noai"),
        (["noaim, xnoai, no ai"], None),
        ([":::,,,:"], None),
    ],
)
def test_what_is_forbidden_to_us(headers, expected):
    assert forbidding_directive(headers, US) == expected
