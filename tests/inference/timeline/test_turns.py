"""Turns of speakers from RTTM files, tables, subtitles and transcripts."""

import pytest

from lssed_hf import read_turns
from lssed_hf.inference.timeline.turns import Turn


RTTM = (
    ";; a comment\n"
    "SPKR-INFO talk 1 <NA> <NA> <NA> adult_male bob <NA> <NA>\n"
    "SPEAKER talk 1 4.50 1.5 <NA> <NA> bob <NA> <NA>\n"
    "SPEAKER talk 1 0.00 5.0 <NA> <NA> alice 0.9\n"
    "LEXEME talk 1 0.00 1.0 hello lex alice 0.9 <NA>\n"
    "SPEAKER talk 2 7 1 <NA> <NA> <NA> <NA> <NA>\n\n"
)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_rttm(tmp_path):
    expected = [Turn(0, 5, "alice"), Turn(4.5, 6, "bob"), Turn(7, 8, None)]
    assert read_turns(write(tmp_path / "a.rttm", RTTM)) == expected
    assert read_turns(write(tmp_path / "a.rttm", b"\xef\xbb\xbf" + RTTM.replace("\n", "\r\n").encode())) == expected


@pytest.mark.parametrize(
    "name, content",
    [
        (
            "a.srt",
            "1\n00:00:00,000 --> 00:00:05,000\n[alice]: I said --\nand meant\n\n"
            "2\n00:00:04,500 --> 00:00:06,000\n[bob]: so\n\n3\n00:00:07,000 --> 00:00:08,000\nwho?\n",
        ),
        (
            "a.vtt",
            "WEBVTT\n\nNOTE made by hand\n\n00:00.000 --> 00:05.000 align:left\n<v alice>I said\n\n"
            "b\n00:00:04.500 --> 00:00:06.000\n<v.loud bob>so</v>\n\n00:07.000 --> 00:08.000\nwho?\n",
        ),
        (
            "a.json",
            '{"segments": [{"start": 4.5, "end": 6, "text": "so", "speaker": "bob"}, {"start": 0.0, "end": 5.0, '
            '"speaker": "alice", "words": []}, {"start": 7, "end": 8, "text": "who?"}], "language": "en"}',
        ),
    ],
)
def test_subtitles_and_transcripts(tmp_path, name, content):
    expected = [Turn(0, 5, "alice"), Turn(4.5, 6, "bob"), Turn(7, 8, None)]
    assert read_turns(write(tmp_path / name, content)) == expected
    assert read_turns(write(tmp_path / name, content.replace("\n", "\r\n"))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01 --> 00:00:02\n[ ]: press A --> B\n",
        "WEBVTT\n\nNOTE from 1 --> 2\n\n00:01.000-->00:02.000\n--> so\n",
    ],
)
def test_arrows_in_text_and_times_without_fractions(tmp_path, text):
    for content in (text, text.encode("utf-16")):
        assert read_turns(write(tmp_path / "a.srt", content)) == [Turn(1, 2, None)]


def test_hours_of_subtitles_count(tmp_path):
    cue = "1\n01:02:03,400 --> 01:02:04,000\nlate\n"
    assert read_turns(write(tmp_path / "a.srt", cue)) == [Turn(3723.4, 3724.0)]


@pytest.mark.parametrize(
    "name, content, problem",
    [
        ("a.srt", "1\n00:00:01,000 --> soon\nhello\n", r"a\.srt, line 2: .* has no two times"),
        ("a.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nback\n", r"a\.vtt, line 3: a turn from 2 to 1 s"),
        ("a.json", '{"text": "no segments"}', r"a\.json: holds no list of segments"),
        ("a.json", '{"segments": [{"start": 0, "end": 1}, {"end": 2}]}', r"a\.json, segment 2: start None"),
        ("a.json", '{"segments": [{"start": 3, "end": 2}]}', r"a\.json, segment 1: a turn from 3 to 2 s"),
        ("a.json", "{", r"a\.json: holds no list of segments"),
        ("a.json", '{"segments": [{"start": true, "end": 2}]}', r"a\.json, segment 1: start True"),
        ("a.json", '{"segments": [{"start": 0, "end": ' + "1" * 400 + "}]}", r"a\.json, segment 1: start 0"),
        ("a.vtt", "WEBVTT\n\n" + "1" * 400 + ":00:00.0 --> 00:01.000\nlate\n", r"a\.vtt, line 3: .* has no two times"),
    ],
)
def test_damaged_subtitles_name_their_line(tmp_path, name, content, problem):
    with pytest.raises(ValueError, match=problem):
        read_turns(write(tmp_path / name, content))


def test_rttm_on_several_recordings(tmp_path):
    other = "SPEAKER other 1 1 2 <NA> <NA> eve <NA> <NA>\n"
    path = write(tmp_path / "a.rttm", RTTM + other)
    assert read_turns(path, "folder/other.wav") == [Turn(1, 3, "eve")]
    for recording in (None, "mine.wav"):
        with pytest.raises(ValueError, match=r"a\.rttm: is on the recordings other, talk"):
            read_turns(path, recording)
    assert read_turns(write(tmp_path / "b.rttm", other), "mine.wav") == [Turn(1, 3, "eve")]  # whatever it is called


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", 'start,end,speaker,text\n2.5,3,bob,"so, yes"\n0,1e0,alice,\n'),
        ("a.csv", "Start;End;Speaker\n2.5;3;bob\n\n0;1;alice\n"),
        ("a.csv", "start;end;speaker\n2,5;3;bob\n0;1;alice\n"),  # as a German Excel writes it
        ("a.csv", "start\tend\tspeaker\n2.5\t3\tbob\n0\t1\talice\n".encode("utf-16")),
        ("a.tsv", "speaker\tstart_time\tend_time\nbob\t2.5\t3\nalice\t0\t1\n"),
        ("a.jsonl", '{"start": 0, "end": 1, "speaker": "alice"}\n{"start": 2.5, "stop": 3, "speaker": "bob"}\n'),
        ("1_TRANSCRIPT.csv", 'start_time\tstop_time\tspeaker\tvalue\n0\t1\talice\t"oh\n2.5\t3\tbob\tuh huh\n'),
    ],
)
def test_tables(tmp_path, name, content):
    assert read_turns(write(tmp_path / name, content)) == [Turn(0, 1, "alice"), Turn(2.5, 3, "bob")]


def test_transcripts_without_speakers(tmp_path):
    content = 'Start_Time,End_Time,Text,Confidence\n1.5,2.5,"well, I",0.9\n3,4,think,0.8\n'
    assert read_turns(write(tmp_path / "300_Transcript.csv", content)) == [Turn(1.5, 2.5), Turn(3, 4)]


@pytest.mark.parametrize(
    "start, end", [("-1", "2"), ("3", "2"), ("2", "2"), ("nan", "2"), ("0", "inf"), ("", "1"), ("x", "1")]
)
def test_times_that_are_none_name_their_line(tmp_path, start, end):
    message = r"line 3: .*(correct|remove)"
    with pytest.raises(ValueError, match=r"a\.csv, " + message):
        read_turns(write(tmp_path / "a.csv", f"start,end,speaker\n0,1,A\n{start},{end},A\n"))
    with pytest.raises(ValueError, match=r"b\.csv, " + message):
        read_turns(
            write(tmp_path / "b.csv", f"start_time\tstop_time\tspeaker\tvalue\n0\t1\tA\ta\n{start}\t{end}\tA\ta\n")
        )


HEADER = "start_time\tstop_time\tspeaker\tvalue"


def test_transcripts_of_daic_woz_are_repaired_as_prepare_does(tmp_path, caplog):
    rows = [
        *("0.1\t0.4\tParticipant\tis it on", "0.5\t1\tEllie\t<synch>", "2\t3\tEllie\thello", "4\t5\tParticipant\thi"),
        *("6\t7\tParticipant\tscrubbed_entry", "9\t8\tParticipant\tno", "400\t401\tParticipant\tin between"),
        *("500\t501\tParticipant\tbye",),
    ]
    for name, offset, interrupted in (("300", 0, False), ("321", 3.8379167, False), ("373", 0, True)):
        caplog.clear()
        with caplog.at_level("WARNING"):
            turns = read_turns(write(tmp_path / f"{name}_TRANSCRIPT.csv", "\n".join([HEADER, *rows])))
        times = [2, 4, *([] if interrupted else [400]), 500]
        assert [turn.start for turn in turns] == pytest.approx([time + offset for time in times])
        assert [turn.speaker for turn in turns[:2]] == ["Ellie", "Participant"]
        assert f"{5 if interrupted else 4} of 8 rows are left out: " in caplog.text
        assert ("times are moved by 3.83792 s" in caplog.text) == (offset > 0)
    (tmp_path / "commas").mkdir()
    commas = write(tmp_path / "commas" / "300_TRANSCRIPT.csv", "\n".join([HEADER, *rows]).replace("\t", ","))
    assert read_turns(commas) == read_turns(tmp_path / "300_TRANSCRIPT.csv")


def test_scrubbed_rows_of_e_daic_are_left_out(tmp_path):
    text = "Start_Time,End_Time,Text,Confidence\n1,2,hi,0.9\n3,4,scrubbed_entry,0.9\n"
    assert read_turns(write(tmp_path / "600_Transcript.csv", text)) == [Turn(1, 2)]


def test_a_transcript_without_a_usable_row_has_no_turn(tmp_path):
    with pytest.raises(ValueError, match="holds no turn"):
        read_turns(write(tmp_path / "300_TRANSCRIPT.csv", f"{HEADER}\n1\t2\tParticipant\tscrubbed_entry\n"))


@pytest.mark.parametrize(
    "start, length", [("-1", "2"), ("3", "-2"), ("2", "0"), ("nan", "2"), ("0", "inf"), ("<NA>", "1")]
)
def test_rttm_times_that_are_none_name_their_line(tmp_path, start, length):
    line = f"SPEAKER talk 1 {start} {length} <NA> <NA> bob <NA> <NA>"
    with pytest.raises(ValueError, match=r"a\.rttm, line 8: .*correct"):
        read_turns(write(tmp_path / "a.rttm", RTTM + line))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.rttm", "SPEAKER talk 1 0\n", "line 1: a SPEAKER line has 9 or 10 fields"),
        ("a.rttm", "", "holds no turn"),
        ("a.csv", "start,end\n", "holds no turn"),
        ("a.csv", "", "no start column"),
        ("a.csv", "start,speaker\n1,a\n", "no end column"),
        ("a.csv", "start,end\n1,2,3\n", "line 2: 3 cells"),
        ("a.csv", 'start,end\n1,"2\n', "quotes"),
        ("a.txt", "1 2\n", r"turns are read from \.rttm"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_turns(write(tmp_path / name, content))
    assert name in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file of turns"):
        read_turns(tmp_path / "a.rttm")
