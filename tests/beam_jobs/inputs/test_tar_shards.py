import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs import storage
from beam_jobs.inputs import tar_shards
from beam_jobs.inputs.formats import InputSpec
from beam_jobs.inputs.reading import read_rows
from beam_jobs.inputs.rows import InputRow, Problem, Span
from beam_jobs.inputs.tar_shards import find_member, read_members
from tests.beam_jobs.inputs.shards import tar, webdataset_shard
from tests.beam_jobs.inputs.tables import outcomes, planned, rows_of, types_of
from tests.images import good_images

JPEG = good_images()["rgb.jpg"]
NAMES = ["a.jpg", "x.txt", "dir/b.c.PNG", "dir.d/e.webp", "f.json", "long/" + "g" * 300 + ".gif"]


def members_of(path: str) -> list[InputRow]:
    return list(read_members(InputSpec(path, "webdataset"), path))


def data_at(span: Span) -> bytes:
    with storage.open_read(span.address) as stream:
        stream.seek(span.offset_bytes)
        return stream.read(span.num_bytes)


def test_a_shard_that_webdataset_wrote(tmp_path):
    samples = [
        {"__key__": f"photos/{n:03}", "jpg": JPEG + bytes([n]), "json": {"n": n}, "txt": "a dog"}
        for n in range(20)
    ]
    path = webdataset_shard(tmp_path / "00.tar", samples)
    spec = planned(path)
    assert types_of(spec) == {"key": "string"}
    rows = rows_of(path)
    read_by_webdataset = list(webdataset.WebDataset(path, shardshuffle=False))
    assert [
        (row.uri, row.carried, row.position, data_at(row.span), row.problem) for row in rows
    ] == [
        (f"{path}#{sample['__key__']}", (sample["__key__"],), (0, at), sample["jpg"], None)
        for at, sample in enumerate(read_by_webdataset)
    ]
    assert len(rows) == 20
    assert [find_member(row.uri) for row in rows] == [row.span for row in rows]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_keys_go_to_the_first_dot_of_the_last_name(tmp_path, kind):
    names = [name for name in NAMES if kind != tarfile.USTAR_FORMAT or len(name) < 100]
    path = tar(tmp_path / "s.tar", [(name, name.encode()) for name in names], format=kind)
    keys = {"a.jpg": "a", "dir/b.c.PNG": "dir/b", "dir.d/e.webp": "dir.d/e"}
    keys |= {name: name[:-4] for name in names if name.endswith(".gif")}
    rows = members_of(path)
    assert [(row.uri, data_at(row.span).decode()) for row in rows] == [
        (f"{path}#{key}", name) for name, key in keys.items()
    ]
    assert [webdataset.tariterators.base_plus_ext(name)[0] for name in keys] == list(keys.values())


def test_images_with_the_same_key(tmp_path):
    names = ["a.jpg", "a.png", "b.jpg", "a.seg.png", "a.jpg", "a.json"]
    path = tar(tmp_path / "s.tar", [(name, b"x") for name in names])
    uris = [row.uri.removeprefix(f"{path}#") for row in rows_of(path)]
    assert uris == ["a", "a.png", "b", "a.seg.png", "a.jpg"]
    assert [row.carried for row in rows_of(path)] == [("a",), ("a",), ("b",), ("a",), ("a",)]
    assert find_member(f"{path}#a.png").offset_bytes == members_of(path)[1].span.offset_bytes
    assert find_member(f"{path}#c") is find_member(f"{tmp_path}/gone.tar#a") is None


def test_what_is_no_image_file_is_skipped(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{kind.decode()}.jpg")
            member.type, member.linkname = kind, "real.jpg"
            archive.addfile(member)
        for name in (".jpg", "dir/.png", "dir/._a.jpg", "jpg", "notes.txt", "a.jpg.txt"):
            archive.addfile(tarfile.TarInfo(name))
        archive.addfile(tarfile.TarInfo("real.jpg"))
    assert [row.uri for row in members_of(f"{tmp_path}/s.tar")] == [f"{tmp_path}/s.tar#real"]


def test_a_sparse_member_is_a_problem(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with open(tmp_path / "b.jpg", "wb") as stream:
        stream.seek(10_000_000)
        stream.write(b"x" * 5000)
    command = ["tar", "--sparse", "-cf", "s.tar", "a.jpg", "b.jpg"]
    subprocess.run(command, cwd=tmp_path, check=True)
    good, sparse = members_of(f"{tmp_path}/s.tar")
    assert good.problem is None
    assert sparse.uri == f"{tmp_path}/s.tar#b"
    assert sparse.problem == Problem(
        "BadRowError", "stored as a sparse file, whose bytes do not lie together"
    )


def test_a_name_that_is_not_utf_8_is_a_problem(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    path = tar(tmp_path / "s.tar", [(name, b"x"), ("b.jpg", b"x")], format=tarfile.GNU_FORMAT)
    assert outcomes(rows_of(path), tmp_path) == [
        (r"s.tar#caf\udce9", "NotUtf8Error"),
        ("s.tar#b", ""),
    ]


def cut(path: str, size: int) -> bytes:
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:size])
    return data


@pytest.mark.parametrize(
    ("size", "good", "message"),
    [
        (512 + 600, 0, "cut off inside a.jpg, at byte 1112"),
        (512 + 1000, 1, "nothing can be read from here on: ReadError: unexpected end of data"),
        (512 + 1024, 1, "the archive has no end mark; cut off at byte 1536?"),
        (512 + 1024 + 100, 1, "no member begins at byte 1536, nor does the archive end"),
    ],
)
def test_a_torn_archive_is_one_problem_after_what_is_whole(tmp_path, size, good, message):
    path = tar(tmp_path / "s.tar", [(f"{name}.jpg", b"x" * 1000) for name in "abc"])
    cut(path, size)
    rows = rows_of(path)
    assert [row.uri for row in rows] == [f"{path}#a"] * good + [f"{path}#row={good + 1}"]
    assert rows[-1] == InputRow(
        f"{path}#row={good + 1}",
        (None,),
        (0, good),
        problem=Problem("DamagedInputError", message),
    )


def test_a_damaged_header_in_the_middle_is_one_problem(tmp_path):
    path = tar(tmp_path / "s.tar", [(f"{name}.jpg", b"x") for name in "abc"])
    data = bytearray(Path(path).read_bytes())
    data[1024:1030] = b"\xff" * 6
    Path(path).write_bytes(data)
    assert outcomes(rows_of(path), tmp_path) == [
        ("s.tar#a", ""),
        ("s.tar#row=2", "DamagedInputError"),
    ]


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path):
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 10 * 2**30
    (tmp_path / "s.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    [row] = members_of(f"{tmp_path}/s.tar")
    assert row.problem.error_type == "DamagedInputError"
    assert row.problem.message.startswith("a header of 10737418240 bytes")


@given(st.binary(max_size=1500), st.integers(0, 4000))
def test_any_damage_is_a_problem_and_never_raises(tmp_path_factory, noise, at):
    folder = tmp_path_factory.mktemp("tar")
    path = tar(folder / "s.tar", [(f"{name}.jpg", b"x" * 300) for name in "abc"])
    data = bytearray(Path(path).read_bytes())
    data[at : at + len(noise)] = noise
    Path(path).write_bytes(data)
    rows = members_of(path)
    assert sum(row.problem is None for row in rows) <= 4
    assert all(row.problem is None for row in rows[:-1])


class CountingStream(io.RawIOBase):
    """A file that counts what is read of it."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "rb")  # noqa: SIM115
        self.num_bytes = 0
        self.num_reads = 0

    def readinto(self, buffer) -> int:
        count = self.file.readinto(buffer)
        self.num_bytes += count
        self.num_reads += 1
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def test_data_is_sought_over(tmp_path, monkeypatch):
    path = tar(tmp_path / "s.tar", [(f"{n}.jpg", b"x" * 2**20) for n in range(16)])
    raw = CountingStream(path)
    # As Beam's S3 reader: 16 MiB for the smallest read.
    stream = io.BufferedReader(raw, 2**24)
    monkeypatch.setattr(storage, "open_read", lambda address: stream)
    assert len(members_of(path)) == 16
    assert raw.num_bytes <= 18 * tar_shards.HEADER_BUFFER_BYTES
    assert raw.num_reads <= 2 * 18


def test_shards_in_an_object_store(bucket, tmp_path):
    path = tar(tmp_path / "s.tar", [(f"{n}.jpg", bytes([n]) * 2**20) for n in range(3)])
    for name in ("00.tar", "01.tar"):
        storage.write_bytes(f"{bucket}/shards/{name}", Path(path).read_bytes())
    rows = list(read_rows(planned(f"{bucket}/shards/*.tar")))
    assert [row.uri for row in rows] == [
        f"{bucket}/shards/{name}.tar#{n}" for name in ("00", "01") for n in range(3)
    ]
    assert data_at(rows[5].span) == bytes([2]) * 2**20
    assert find_member(rows[5].uri) == rows[5].span


def test_googles_reader_is_told_to_fetch_little(gcs_bucket):
    storage.write_bytes(f"{gcs_bucket}/x", b"x")
    with storage.open_read(f"{gcs_bucket}/x") as reader:
        assert reader._chunk_size == 2**24
        assert tar_shards._small_reads(reader).read(1) == b"x"
        assert reader._chunk_size == tar_shards.HEADER_BUFFER_BYTES


def test_relative_shards_are_found_from_the_base_folder(tmp_path):
    tar(tmp_path / "s#1.tar", [("a#b.jpg", b"x")])
    spec = InputSpec("s#1.tar", "webdataset", base_folder=str(tmp_path))
    [row] = read_rows(spec)
    assert (row.uri, row.span) == ("s#1.tar#a#b", Span("s#1.tar", 512, 1))
    assert find_member(row.uri, str(tmp_path)) == row.span
