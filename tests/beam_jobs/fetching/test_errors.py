import pytest

from beam_jobs.fetching import errors
from beam_jobs.fetching.errors import Prospect, ReadError, prospect_of_status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599])
def test_statuses_that_may_pass(status):
    assert prospect_of_status(status) is Prospect.RETRY


@pytest.mark.parametrize("status", [300, 304, 400, 401, 402, 403, 404, 405, 410, 418, 451])
def test_statuses_that_will_not(status):
    assert prospect_of_status(status) is Prospect.NONE


def test_every_error_has_its_prospect():
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ReadError)
    ]
    hopeful = {kind.__name__: kind.prospect for kind in kinds if kind.prospect is not Prospect.NONE}
    assert hopeful == {
        "FetchTimeoutError": Prospect.RETRY,
        "BrokenConnectionError": Prospect.RETRY,
        "NameServerError": Prospect.RETRY,
        "NameLookupError": Prospect.ANOTHER_RUN,
        "ReadStoppedError": Prospect.ANOTHER_RUN,
    }


def test_messages_say_what_to_do():
    assert str(errors.TooManyBytesError(9)) == "more than 9 bytes; --max_image_bytes sets the limit"
    assert str(errors.RobotsDisallowedError("noai")) == (
        "X-Robots-Tag: noai; --ignore_robots_tag reads it all the same"
    )
    assert str(errors.HttpStatusError(404, "Not Found")) == "HTTP 404 Not Found"
    assert str(errors.HttpStatusError(599, "")) == "HTTP 599"
