"""Turns, rows and windows of an interview, and the account of every row."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interviews import ROWS, SECONDS

from lssed_hf.corpora.daic import segments as reasons
from lssed_hf.corpora.daic.segments import KEPT, Repairs, Segmentation, segment
from lssed_hf.corpora.daic.transcripts import TranscriptRow


ALL = Repairs(
    drop_sync=True, drop_scrubbed=True, drop_chatter=True, auto_transcribed=True, split_without_interviewer=True
)


def rows_of(*rows):
    return [TranscriptRow(line, *row) for line, row in enumerate(rows, 2)]


def divide(*rows, repairs=ALL, duration=SECONDS, **how):
    return segment(rows_of(*rows), duration, Segmentation(**how), repairs)


def times(segments):
    return [(round(part.start, 6), round(part.end, 6)) for part in segments.kept]


class TestTurns:
    def test_consecutive_rows_of_the_participant_are_one(self):
        segments = divide(*ROWS)
        assert times(segments) == [(2.0, 5.0), (8.0, 9.0), (30.0, 36.0)]
        assert [part.text for part in segments.kept][1] == "well um yes"
        assert {part.role for part in segments.kept} == {"participant"}
        assert [part.name for part in segments.kept] == ["0003", "0005", "0010"]
        assert segments.rows == {KEPT: 4, reasons.NOT_CHOSEN: 4, reasons.TOO_SHORT: 1}
        assert segments.counts == {KEPT: 3, reasons.TOO_SHORT: 1}

    def test_both_speakers(self):
        segments = divide(*ROWS, speakers=["participant", "interviewer"])
        assert "".join(part.role[0] for part in segments.kept) == "ipipiip"
        assert segments.rows == {KEPT: 8, reasons.TOO_SHORT: 1}

    def test_interviewer_alone(self):
        segments = divide(*ROWS, speakers=["interviewer"])
        assert times(segments) == [(0.5, 1.5), (6.0, 7.0), (10.0, 12.0), (21.0, 22.0)]

    def test_a_pause_ends_a_turn(self):
        rows = [
            (0, 1, "Ellie", "a"),
            (1, 3, "Participant", "b"),
            (3.5, 5, "Participant", "c"),
            (8, 10, "Participant", "d"),
        ]
        assert times(divide(*rows)) == [(1, 10)]
        assert times(divide(*rows, max_gap_seconds=2)) == [(1, 5), (8, 10)]
        assert times(divide(*rows, max_gap_seconds=0.5)) == [(1, 5), (8, 10)]
        assert times(divide(*rows, max_gap_seconds=0)) == [(1, 3), (3.5, 5), (8, 10)]

    @pytest.mark.parametrize(
        "between",
        [
            (4, 5, "Participant", "scrubbed_entry"),
            (4, 5, "Participant", "[sync]"),
            (4, 5, "Someone", "hello"),
            (4, 5, "", "hello"),
            (4, 5, "Participant", ""),
            (4, 5, "Ellie", "mhm"),
        ],
    )
    def test_what_is_left_out_in_between_ends_a_turn(self, between):
        """Check that no turn contains sound that is left out."""
        rows = [(0, 1, "Ellie", "a"), (1, 3, "Participant", "b"), between, (6, 8, "Participant", "c")]
        rows = [TranscriptRow(line, *row, None if row[2] and row[3] else "x") for line, row in enumerate(rows, 2)]
        segments = segment(rows, SECONDS, Segmentation(), ALL)
        assert times(segments) == [(1, 3), (6, 8)]

    def test_rows_without_times_end_no_turn(self):
        rows = rows_of((0, 1, "Ellie", "a"), (1, 3, "Participant", "b"), (4, 6, "Participant", "c"))
        rows.insert(2, TranscriptRow(9, None, None, "Participant", "", "its times are missing or no numbers"))
        segments = segment(rows, SECONDS, Segmentation(), ALL)
        assert times(segments) == [(1, 6)] and sum(segments.rows.values()) == 4

    def test_rows_out_of_order_and_overlapping(self):
        rows = [
            (0, 1, "Ellie", "a"),
            (4, 6, "Participant", "c"),
            (1, 5, "Participant", "b"),
            (1.5, 2, "Participant", "d"),
        ]
        segments = divide(*rows)
        assert times(segments) == [(1, 6)] and segments.kept[0].text == "b d c" and segments.kept[0].line == 4

    def test_speakers_in_any_case(self):
        assert times(divide((0, 1, "ELLIE", "a"), (1, 3, "participant", "b"))) == [(1, 3)]


class TestLengths:
    TURN = ((0, 1, "Ellie", "a"), (1.0, 8.3, "Participant", "b"))

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            ({}, [(1.0, 4.0), (4.0, 7.0), (7.0, 8.3)]),
            ({"window_rest": "drop"}, [(1.0, 4.0), (4.0, 7.0)]),
            ({"min_seconds": 2}, [(1.0, 4.0), (4.0, 7.0)]),
            ({"hop_seconds": 2}, [(1.0, 4.0), (3.0, 6.0), (5.0, 8.0), (7.0, 8.3)]),
        ],
    )
    def test_windows(self, how, expected):
        segments = divide(*self.TURN, segmentation="windows", window_seconds=3, **how)
        assert times(segments) == expected
        assert all(len(part.name) == len("0003_00") for part in segments.kept)
        left = segments.counts[reasons.WINDOW_REST]
        assert left == (how.get("window_rest") == "drop" or how.get("min_seconds") == 2)
        assert segments.rows[KEPT] == 1

    @pytest.mark.parametrize(("rest", "kept"), [("keep", [(2.0, 5.0)]), ("drop", [])])
    def test_turns_below_a_window(self, rest, kept):
        segments = divide(*ROWS[:3], segmentation="windows", window_seconds=4, window_rest=rest)
        assert times(segments) == kept
        assert segments.rows[reasons.WINDOW_REST] == (not kept)

    def test_windows_that_fit_exactly(self):
        rows = [(0, 1, "Ellie", "a"), (0.1, 0.1 + 3 * 0.7, "Participant", "b")]
        segments = divide(*rows, segmentation="windows", window_seconds=0.7, min_seconds=0.1)
        assert len(segments.kept) == 3 and segments.counts == {KEPT: 3}

    def test_words_of_a_window_are_those_of_the_rows_that_touch_it(self):
        rows = [
            (0, 1, "Ellie", "x"),
            (1, 3, "Participant", "a"),
            (3, 5, "Participant", "b"),
            (6, 7, "Participant", "c"),
        ]
        segments = divide(*rows, segmentation="windows", window_seconds=2)
        assert [part.text for part in segments.kept] == ["a", "b", "c"]

    def test_long_turns_are_divided_evenly(self):
        segments = divide(*self.TURN, max_seconds=3)
        assert times(segments) == [(1.0, 3.433333), (3.433333, 5.866667), (5.866667, 8.3)]
        assert times(divide(*self.TURN, max_seconds=7.3)) == [(1.0, 8.3)]

    def test_rows(self):
        assert times(divide(*ROWS, segmentation="rows", min_seconds=0.5)) == [
            (2.0, 5.0),
            (8.0, 8.5),
            (20.0, 20.5),
            (30.0, 36.0),
        ]

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"speakers": ["ellie"]}, "speakers=.*participant, interviewer"),
            ({"speakers": []}, "speakers="),
            ({"segmentation": "sentences"}, "segmentation='sentences'; known are turns, rows, windows"),
            ({"segmentation": "windows"}, "go together"),
            ({"window_seconds": 3}, "go together"),
            ({"segmentation": "windows", "window_seconds": 3, "hop_seconds": 4}, "may not exceed"),
            ({"segmentation": "windows", "window_seconds": 3, "max_seconds": 4}, "max_seconds is for turns and rows"),
            ({"segmentation": "windows", "window_seconds": 0.5}, "window_seconds is below min_seconds"),
            ({"segmentation": "windows", "window_seconds": 3, "window_rest": "pad"}, "window_rest='pad'"),
            ({"hop_seconds": 1}, "hop_seconds goes with"),
            ({"max_seconds": 0.5}, "max_seconds is below min_seconds"),
            ({"min_seconds": -1}, "min_seconds=-1"),
            ({"min_seconds": "1"}, "min_seconds='1'"),
            ({"max_gap_seconds": float("nan")}, "max_gap_seconds=nan"),
            ({"speakers": None}, "give max_gap_seconds, or segmentation='rows'"),
        ],
    )
    def test_settings_that_cannot_be(self, how, message):
        with pytest.raises(ValueError, match=message):
            Segmentation(**how)


class TestDefects:
    def test_offset(self):
        segments = divide(*ROWS, repairs=Repairs(offset=3.1234567), duration=45)
        assert times(segments)[0] == (5.123457, 8.123457)

    @pytest.mark.parametrize(
        "text", ["<sync>", "<synch>", "[sync]", "[Synch].", " [syncing] ", "[synching]?", "<SYNC>!"]
    )
    def test_sync_markers(self, text):
        rows = [(0, 1, "Ellie", "a"), (1, 3, "Participant", text), (4, 6, "Participant", "yes")]
        assert divide(*rows).rows[reasons.SYNC] == 1
        assert times(divide(*rows, repairs=Repairs())) == [(1, 6)]

    @pytest.mark.parametrize("text", ["sync", "in sync", "<syncopation>", "[sync] and then", "synchronise"])
    def test_words_that_are_no_sync_markers(self, text):
        assert divide((0, 1, "Ellie", "a"), (1, 3, "Participant", text)).rows[KEPT] == 1

    def test_chatter(self):
        rows = [
            (0, 2, "Participant", "is it on"),
            (2, 3, "Participant", "<sync>"),
            (3, 4, "Ellie", "hi"),
            (5, 7, "Participant", "yes"),
        ]
        segments = divide(*rows)
        assert times(segments) == [(5, 7)]
        assert segments.rows == {reasons.CHATTER: 1, reasons.SYNC: 1, reasons.NOT_CHOSEN: 1, KEPT: 1}
        assert times(divide(*rows, repairs=Repairs(drop_sync=True))) == [(0, 2), (5, 7)]

    def test_a_first_row_of_the_interviewer_that_says_nothing(self):
        rows = [
            (0, 1, "Ellie", "<sync>"),
            (1, 3, "Participant", "is it on"),
            (3, 4, "Ellie", "hi"),
            (5, 7, "Participant", "a"),
        ]
        assert times(divide(*rows)) == [(5, 7)]

    def test_no_interviewer(self):
        """Check that no rows are merged, because she may be heard between any two."""
        rows = [
            (0, 1, "Participant", "[sync]"),
            (1, 3, "Participant", "a"),
            (9, 11, "Participant", "b"),
            (11.2, 13, "Participant", "c"),
        ]
        segments = divide(*rows)
        assert times(segments) == [(1, 3), (9, 11), (11.2, 13)] and not segments.has_interviewer
        assert times(divide(*rows, max_gap_seconds=0.5)) == [(1, 3), (9, 13)]
        assert times(divide(*rows, repairs=Repairs(drop_sync=True))) == [(1, 13)]

    def test_interruption(self):
        rows = [
            (0, 1, "Ellie", "a"),
            (1, 3, "Participant", "b"),
            (9, 13, "Participant", "c"),
            (21, 23, "Participant", "d"),
        ]
        span = {"interruptions": [(10.0, 20.0)]}
        segments = divide(*rows, repairs=Repairs(**span))
        assert times(segments) == [(1, 3), (21, 23)] and segments.rows[reasons.INTERRUPTED] == 1
        # The interruption holds no row, but its sound does not belong in a turn.
        assert times(divide(*rows[:2], rows[3], repairs=Repairs(**span))) == [(1, 3), (21, 23)]
        assert times(divide(*rows)) == [(1, 23)]

    @pytest.mark.parametrize("text", ["scrubbed_entry", "i live in scrubbed_entry", "Scrubbed_Entry"])
    def test_scrubbed(self, text):
        rows = [(0, 1, "Ellie", "a"), (1, 3, "Participant", text), (4, 6, "Participant", "b")]
        assert times(divide(*rows)) == [(4, 6)]
        assert times(divide(*rows, repairs=Repairs())) == [(1, 6)]

    @pytest.mark.parametrize(
        ("text", "spoken"),
        [
            ("IntroV4Confirmation (hi i'm ellie)", "hi i'm ellie"),
            ("mm_hm (mhm)", "mhm"),
            ("what did you do (or say) then", "what did you do (or say) then"),
            ("yes", "yes"),
            ("empty ()", "empty ()"),
            ("nested_1 (well (maybe))", "well (maybe)"),
        ],
    )
    def test_automatic_rows_of_the_interviewer(self, text, spoken):
        rows = [(0, 2, "Ellie", text), (3, 5, "Participant", "yeah (laughs)")]
        segments = divide(*rows, speakers=["participant", "interviewer"])
        assert [part.text for part in segments.kept] == [spoken, "yeah (laughs)"]
        plain = divide(*rows, speakers=["participant", "interviewer"], repairs=Repairs())
        assert plain.kept[0].text == text


class TestRecording:
    def test_what_is_after_the_recording(self):
        rows = [
            (0, 1, "Ellie", "a"),
            (37, 39, "Participant", "b"),
            (39.5, 41, "Participant", "c"),
            (50, 52, "Participant", "d"),
        ]
        segments = divide(*rows)
        assert times(segments) == [(37, 39)] and segments.rows[reasons.BEYOND] == 2

    def test_rounding(self):
        assert times(divide((0, 1, "Ellie", "a"), (38, 40.04, "Participant", "b"))) == [(38, 40.0)]
        assert divide((0, 1, "Ellie", "a"), (38, 40.06, "Participant", "b")).rows[reasons.BEYOND] == 1


NUMBERS = st.integers(0, 400).map(lambda tenth: tenth / 10)
VALUES = st.sampled_from(["yes", "<sync>", "scrubbed_entry", "id (words)", ""])
SPEAKERS = st.sampled_from(["Ellie", "Participant", "Participant", "Someone"])
TIMED = st.tuples(NUMBERS, st.integers(1, 80).map(lambda tenth: tenth / 10), SPEAKERS, VALUES)
HOW = st.sampled_from(
    [
        {},
        {"speakers": ["participant", "interviewer"]},
        {"segmentation": "rows", "min_seconds": 0},
        {"max_gap_seconds": 0.5, "max_seconds": 3},
        {"segmentation": "windows", "window_seconds": 1.5, "hop_seconds": 0.5},
        {"segmentation": "windows", "window_seconds": 1.5, "window_rest": "drop"},
    ]
)


@given(timed=st.lists(TIMED, max_size=12), how=HOW, chatter=st.booleans(), span=st.booleans())
def test_every_row_is_accounted_for(timed, how, chatter, span):
    rows = [
        TranscriptRow(line, start, round(start + length, 3), speaker, value, None if value else "has no text")
        for line, (start, length, speaker, value) in enumerate(timed, 2)
    ]
    rows += [TranscriptRow(99, None, None, None, "", "broken")]
    repairs = Repairs(
        interruptions=[(10.0, 12.0)] if span else [], drop_sync=True, drop_scrubbed=True, drop_chatter=chatter
    )
    segments = segment(rows, SECONDS, Segmentation(**how), repairs)
    assert sum(segments.rows.values()) == len(rows)
    assert segments.counts[KEPT] == len(segments.kept)
    assert len({part.name for part in segments.kept}) == len(segments.kept)
    by_line = {row.line: row for row in rows}
    left_out = {
        line for name, line, reason in segments.left_out if reason not in (reasons.TOO_SHORT, reasons.WINDOW_REST)
    }
    for part in segments.kept:
        assert 0 <= part.start < part.end <= SECONDS + 1e-6
        assert part.end - part.start >= how.get("min_seconds", 1.0) - 1e-6
        assert by_line[part.line].speaker.lower() in {"participant": "participant", "interviewer": "ellie"}[part.role]
        if span:
            assert part.end <= 10 or part.start >= 12
    # No segment contains a row that was left out and lies between its own rows.
    for part, line in itertools.product(segments.kept, left_out):
        row = by_line[line]
        inside = row.start is not None and part.start < row.start and row.stop < part.end
        if inside:  # it lies within one row, or within rows that overlap it
            assert any(
                other.start is not None and other.start <= row.start and other.stop > row.start and other.line != line
                for other in rows
            )
