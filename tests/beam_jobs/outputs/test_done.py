import pytest

from beam_jobs.outputs import journal
from beam_jobs.outputs.done import DoneMark, DonePart, is_done, read_marks
from beam_jobs.records import CAPTIONS, FAILURES
from tests.beam_jobs.outputs.parts import commit, failed

PASSING = DoneMark("r1", True, True)
LASTING = DoneMark("r1", True, False)


def test_marks_of_parts_name_what_their_rows_are(tmp_path):
    output = str(tmp_path)
    commit(output, "r1", captions="ab")
    rows = [failed("c", "r1"), {**failed("d", "r1"), "transient": True}]
    journal.commit(output, FAILURES, "r1", rows)
    [captions] = journal.committed_parts(output, CAPTIONS)
    [failures] = journal.committed_parts(output, FAILURES)
    assert list(read_marks(DonePart(captions.path, False))) == [
        ("a.jpg", DoneMark()),
        ("b.jpg", DoneMark()),
    ]
    assert list(read_marks(DonePart(failures.path, True))) == [
        ("c.jpg", LASTING),
        ("d.jpg", PASSING),
    ]


@pytest.mark.parametrize(
    ("marks", "done"),
    [
        ([], (False, False, False)),
        ([DoneMark()], (True, True, True)),
        ([PASSING], (False, False, True)),
        ([LASTING], (False, True, True)),
        ([PASSING, DoneMark()], (True, True, True)),
        ([LASTING._replace(run_id="r2"), PASSING], (False, True, True)),
        ([PASSING._replace(run_id="r2"), LASTING], (False, False, True)),
    ],
)
def test_which_failures_are_tried_again(marks, done):
    assert tuple(is_done(marks, choice) for choice in ("all", "transient", "none")) == done
