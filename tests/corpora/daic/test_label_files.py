"""Label files of DAIC-WOZ and E-DAIC. All participants and scores here are invented."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interviews import COLUMNS, DEV, FULL_TEST, TEST, TRAIN

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.daic.label_files import DAIC_WOZ_FILES, E_DAIC_FILES, find_label_files, read_labels


ITEMS = ",".join(
    f"PHQ8_{item}"
    for item in ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure", "Concentrating", "Moving")
)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes label files, given as name -> lines, and reads them."""

    def read(files: dict[str, list[str] | bytes], names=DAIC_WOZ_FILES, **options):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
        return read_labels(find_label_files(tmp_path, names), **options)

    return read


def summary(participants):
    return [(one.id, one.split, one.depression, one.score, one.gender_code) for one in participants]


class TestFiles:
    def test_all_four(self, read):
        participants, rejects = read(
            {
                TRAIN: [f"{COLUMNS},{ITEMS}", "303,0,4,1,0,0,1,1,1,1,0,0", "304,1,12,0,2,2,,1,1,1,1,1"],
                DEV: [f"{COLUMNS},{ITEMS}", "305,0,9,0,1,1,1,1,1,1,1,2"],
                TEST: ["participant_ID,Gender", "306,1", "307,0"],
                FULL_TEST: ["Participant_ID,PHQ_Binary,PHQ_Score,Gender", "306,1,10,1", "307,0,0,0", ",,,", ",,,"],
            }
        )
        assert summary(participants) == [
            (303, "train", "not_depressed", 4, "1"),
            (304, "train", "depressed", 12, "0"),  # an item is missing
            (305, "validation", "not_depressed", 9, "0"),
            (306, "test", "depressed", 10, "1"),
            (307, "test", "not_depressed", 0, "0"),
        ]
        assert not rejects

    def test_labels_of_the_test_set_are_in_another_file(self, read):
        participants, rejects = read({TEST: ["participant_ID,Gender", "306,1"]})
        assert summary(participants) == [(306, "test", None, None, "1")] and not rejects

    def test_one_below(self, read):
        participants, _ = read({f"labels/{TRAIN}": [COLUMNS, "303,0,4,1"], f"more/{DEV}": [COLUMNS, "304,0,4,1"]})
        assert [one.split for one in participants] == ["train", "validation"]

    def test_not_in_sessions_nor_in_hidden_folders(self, read):
        lines = [COLUMNS, "303,0,4,1"]
        assert read({f"303_P/{TRAIN}": lines, f".git/{TRAIN}": lines, f"__MACOSX/{TRAIN}": lines}) == ([], [])

    def test_copies(self, read):
        files = {TRAIN: [COLUMNS, "303,0,4,1"], f"labels/{TRAIN}": [COLUMNS, "303,0,4,1"]}
        assert len(read(files)[0]) == 1
        files[f"labels/{TRAIN}"] = [COLUMNS, "303,0,5,1"]
        with pytest.raises(CorpusDataError, match=rf"{TRAIN} and .*labels/{TRAIN} differ"):
            read(files)

    def test_a_link_out(self, tmp_path, read):
        (tmp_path.parent / "other.csv").write_text(f"{COLUMNS}\n303,0,4,1\n")
        (tmp_path / TRAIN).symlink_to(tmp_path.parent / "other.csv")
        with pytest.raises(CorpusDataError, match=f"{TRAIN} is a link out of"):
            read({})

    def test_e_daic(self, read):
        header = "Participant_ID,Gender,PHQ_Binary,PHQ_Score,PCL-C (PTSD),PTSD Severity"
        files = {"labels/train_split.csv": [header, "601,female,0,3,0,20"]}
        files["labels/test_split.csv"] = [header, "602,male,0,14,0,20"]
        participants, _ = read(files, E_DAIC_FILES)
        assert summary(participants) == [
            (601, "train", "not_depressed", 3, "female"),
            (602, "test", "depressed", 14, "male"),
        ]


class TestFormats:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(f"\ufeff{COLUMNS}\r\n303,1,12,1\r\n".encode(), id="BOM and CRLF"),
            pytest.param(b"PARTICIPANT_id,phq_binary,PHQ8_SCORE,gender\n303,1,12,1", id="mixed names"),
            pytest.param(f"{COLUMNS},,\n303,1,12,1,,\n,,,,,\n\n,,,\n".encode(), id="empty columns and rows"),
            pytest.param(f"{COLUMNS}\n303.0,1.0,12.0,1\n".encode(), id="as floats"),
            pytest.param(f"{COLUMNS}\n 303 , 1 ,12 , 1\n".encode(), id="spaces"),
            pytest.param(COLUMNS.replace(",", ";").encode() + b"\n303;1;12;1\n", id="semicolons"),
            pytest.param(f"{COLUMNS}\n,1,12,1\n303,1,12,1\n".encode(), id="a row without its number"),
            pytest.param(b"Participant_ID,PHQ8_Score,Gender\n303,12,1", id="no binary column"),
        ],
    )
    def test_read(self, read, content):
        participants, rejects = read({TRAIN: content})
        assert summary(participants) == [(303, "train", "depressed", 12, "1")]
        assert all(reject.reason == "has no Participant_ID" and reject.by_rule for reject in rejects)

    def test_binary_without_score(self, read):
        participants, _ = read({TRAIN: ["Participant_ID,PHQ8_Binary,Gender", "303,1,"]})
        assert summary(participants) == [(303, "train", "depressed", None, None)]

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("abc,0,3,1", "participant 'abc' is no number"),
            ("-303,0,3,1", "participant '-303' is no number"),
            ("303.5,0,3,1", "participant '303.5' is no number"),
            ("3e2,0,3,1", "participant '3e2' is no number"),
            ("٣٠٣x,0,3,1", "is no number"),
            ("9" * 5000 + ",0,3,1", "is no number"),
            ("303,0,25,1", "PHQ-8 score 25 is not between 0 and 24"),
            ("303,0,-1,1", "PHQ-8 score '-1' is no number"),
            ("303,0,7.5,1", "PHQ-8 score '7.5' is no number"),
            ("303,0,nan,1", "PHQ-8 score 'nan' is no number"),
            ("303,2,3,1", "PHQ-8 binary label 2 is neither 0 nor 1"),
            ("303,yes,3,1", "PHQ-8 binary label 'yes' is no number"),
            ("303,0,3,1,99", "5 cells where the header has 4"),
            ("303,0\0,3,1", "holds zero bytes"),
        ],
    )
    def test_rows_that_are_listed(self, read, row, reason):
        participants, (reject,) = read({TRAIN: [COLUMNS, "308,0,3,1", row, "309,0,3,1"]})
        assert [one.id for one in participants] == [308, 309]
        assert reason in reject.reason and reject.source.endswith(f"{TRAIN}, line 3") and not reject.by_rule

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "has no participant column: .*an empty file"),
            (b"id,score\n303,4\n", "has no participant column: looked for participant_id, found id, score"),
            (f"{COLUMNS},Gender\n303,0,4,1,1\n".encode(), "the column gender more than once"),
            (f"{COLUMNS}\n303,0,4,1\n".encode("utf-16-le"), "line 1: not UTF-8"),
            (f'{COLUMNS}\n"303,0,4,1\n'.encode(), "line 2: unexpected end"),
            (f"{COLUMNS}\n303,0,4,\x81\n".encode("latin-1"), "line 2: not UTF-8"),
        ],
    )
    def test_files_that_are_refused(self, read, content, message):
        with pytest.raises(CorpusDataError, match=f"{TRAIN}.*{message}"):
            read({TRAIN: content})


class TestAgreement:
    @pytest.mark.parametrize(("binary", "score"), [(0, 10), (0, 24), (1, 9), (1, 0)])
    def test_binary_follows_the_score(self, read, caplog, binary, score):
        files = {TRAIN: [COLUMNS, f"303,{binary},{score},1", "304,0,9,1", "305,1,10,1"]}
        participants, _ = read(files)
        assert [one.depression == "depressed" for one in participants] == [score >= 10, False, True]
        assert "disagree for participant 303: the label now follows the score" in caplog.text
        assert "304" not in caplog.text

    def test_binary_as_it_stands(self, read, caplog):
        participants, _ = read({TRAIN: [COLUMNS, "303,0,10,1"]}, recompute_binary=False)
        assert participants[0].depression == "not_depressed"
        assert "disagree for participant 303: the label is kept" in caplog.text

    @pytest.mark.parametrize("other", ["303,1,12,1", "303,0,5,1", "303,0,4,0"])
    def test_lines_that_contradict_each_other(self, read, other):
        participants, (reject,) = read({TRAIN: [COLUMNS, "303,0,4,1", "304,0,4,1", other]})
        assert [one.id for one in participants] == [304]
        assert reject.id == "303" and "differs from" in reject.reason and reject.source.endswith("line 4")

    def test_the_same_line_again(self, read):
        participants, (reject,) = read({TRAIN: [COLUMNS, "303,0,4,1", "303,0,4,1"]})
        assert len(participants) == 1 and reject.by_rule and reject.reason == "the same line again"

    def test_the_two_files_of_the_test_set_contradict_each_other(self, read):
        _, (reject,) = read(
            {
                TEST: ["participant_ID,Gender", "306,1"],
                FULL_TEST: ["Participant_ID,PHQ_Binary,PHQ_Score,Gender", "306,1,10,0"],
            }
        )
        assert reject.id == "306" and "gender_code differs" in reject.reason

    @pytest.mark.parametrize("test_file", [TEST, FULL_TEST])
    def test_nobody_is_in_two_splits(self, read, test_file):
        with pytest.raises(CorpusDataError, match=r"participant 303 is in train .*line 2.* and in test .*line 3"):
            read({TRAIN: [COLUMNS, "303,0,4,1"], test_file: ["participant_ID,Gender", "304,1", "303,1"]})


@given(scores=st.dictionaries(st.integers(300, 492), st.integers(0, 24), min_size=1, max_size=20), data=st.data())
def test_what_was_written_comes_back(tmp_path_factory, scores, data):
    folder = tmp_path_factory.mktemp("labels")
    rows = [f"{one},{int(score >= 10)},{score},{one % 2}" for one, score in scores.items()]
    blank = data.draw(st.sampled_from(["", ",,,", "\n,,,,\n"]))
    (folder / TRAIN).write_text("\n".join([COLUMNS, *rows, blank]))
    participants, rejects = read_labels(find_label_files(folder, DAIC_WOZ_FILES))
    assert {one.id: one.score for one in participants} == scores and not rejects
    assert all((one.depression == "depressed") == (one.score >= 10) for one in participants)


@pytest.mark.fuzz
@given(content=st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: f"{COLUMNS}\n303,0,".encode() + tail))
def test_any_bytes(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("labels")
    (folder / TRAIN).write_bytes(content)
    try:
        participants, rejects = read_labels(find_label_files(folder, DAIC_WOZ_FILES))
    except CorpusDataError as error:
        assert str(folder / TRAIN) in str(error)
        return
    assert all(str(folder / TRAIN) in one.source for one in [*participants, *rejects])
    assert all(one.score is None or 0 <= one.score <= 24 for one in participants)


def test_order_of_lines_does_not_matter(read):
    rows = [f"{300 + index},{int(index > 9)},{index},1" for index in range(20)]
    first, _ = read({TRAIN: [COLUMNS, *rows]})
    random.Random(0).shuffle(rows)
    second, _ = read({TRAIN: [COLUMNS, *rows]})
    assert sorted(summary(first)) == sorted(summary(second))
