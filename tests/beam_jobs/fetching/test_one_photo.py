import io
import tarfile

import pytest

from beam_jobs.config import FetchConfig
from beam_jobs.fetching.fetcher import FetchFailedError
from beam_jobs.fetching.one_photo import read_photo
from tests.images import good_images

JPEG = good_images()["rgb.jpg"]
ONCE = FetchConfig(attempts=1, allow_private_addresses=True)


def test_a_file_an_url_and_a_member_of_an_archive_are_read(tmp_path, web):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    with tarfile.open(tmp_path / "00.tar", "w") as archive:
        member = tarfile.TarInfo("photos/a.jpg")
        member.size = len(JPEG)
        archive.addfile(member, io.BytesIO(JPEG))
    for uri in (f"{tmp_path}/a.jpg", web.url("photo.jpg"), f"{tmp_path}/00.tar#photos/a"):
        assert read_photo(uri, ONCE) == JPEG
    assert read_photo("a.jpg", ONCE.replace(base_folder=str(tmp_path))) == JPEG


def test_what_cannot_be_read_is_an_error_with_its_cause(tmp_path, web):
    with pytest.raises(FetchFailedError) as failed:
        read_photo(f"{tmp_path}/none.jpg", ONCE)
    assert isinstance(failed.value.__cause__, FileNotFoundError)
    with pytest.raises(FetchFailedError) as failed:
        read_photo(web.url("missing.jpg"), ONCE)
    assert type(failed.value.__cause__).__name__ == "HttpStatusError"
