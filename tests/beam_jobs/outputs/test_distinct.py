import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.outputs import journal
from beam_jobs.outputs.distinct import first_of_each, part_digests, uri_digests
from beam_jobs.records import CAPTIONS
from tests.beam_jobs.outputs.parts import commit

PARTS = st.lists(st.lists(st.text("abc", max_size=2), max_size=6), max_size=5)


@given(PARTS, st.lists(st.text("abc", max_size=2), max_size=4))
def test_the_first_row_of_each_uri_stays(parts, excluded):
    masks = first_of_each([uri_digests(part) for part in parts], uri_digests(excluded))
    seen = set(excluded)
    expected = []
    for part in parts:
        expected.append([uri not in seen and not seen.add(uri) for uri in part])
    assert [mask.tolist() for mask in masks] == expected


def test_digests_are_as_many_as_uris_and_equal_where_these_are():
    digests = uri_digests(["a", "b", "a", ""])
    assert len(np.unique(digests)) == 3
    assert digests[0] == digests[2] != digests[1]
    assert len(np.unique(uri_digests(str(number) for number in range(10_000)))) == 10_000


def test_digests_of_a_part_are_those_of_its_rows(tmp_path):
    commit(str(tmp_path), "r1", captions="ab")
    [part] = journal.committed_parts(str(tmp_path), CAPTIONS)
    assert part_digests(part).tolist() == uri_digests(["a.jpg", "b.jpg"]).tolist()
