"""`lssed-hf timeline` and its files."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tiny_classifier import write_classifier

import lssed_hf
from lssed_hf import cli
from lssed_hf.inference.classifiers.outputs import Outputs
from lssed_hf.inference.timeline.envelope import Envelope
from lssed_hf.inference.timeline.formats import flatten, intervals, tiers, write_rttm, write_textgrid
from lssed_hf.inference.timeline.scoring import NO_SPEECH, NO_TURN, TimelineSegment


LABELS = ["angry", 'so "sad"']
OUTPUTS = Outputs(tuple(LABELS))
SECONDS = 11.37


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), LABELS)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "a talk.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, round(SECONDS * 16000)), 16000)
    return path


def run(*arguments):
    return cli.main(["timeline", *map(str, arguments)])


def outputs(folder):
    return {
        "--csv": folder / "t.csv",
        "--json": folder / "t.json",
        "--textgrid": folder / "t.TextGrid",
        "--rttm": folder / "t.rttm",
        "--figure": folder / "t.png",
    }


def flags(files):
    return [part for pair in files.items() for part in pair]


def read_rttm(path):
    """Read lines as NIST defines them: (type, file, onset, end, name)."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, file, channel, onset, duration, orthography, subtype, name, confidence, lookahead = line.split(" ")
        assert kind in ("SPEAKER", "NON-SPEECH", "NOSCORE") and channel == "1" and orthography == lookahead == "<NA>"
        assert subtype == ("other" if kind == "NON-SPEECH" else "<NA>") and float(duration) > 0
        assert (name == "<NA>") == (confidence == "<NA>") == (kind != "SPEAKER")
        assert confidence == "<NA>" or 0 <= float(confidence) <= 1
        rows.append((kind, file, float(onset), float(onset) + float(duration), name))
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    return rows


def read_textgrid(path):
    """Read the tiers of Praat's long text format as (start, end, text) without gaps or overlap."""
    textgrid = pytest.importorskip("praatio.textgrid")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert grid.minTimestamp == 0
    for tier in grid.tiers:
        edges = [(entry.start, entry.end) for entry in tier.entries]
        assert edges[0][0] == 0 and edges[-1][1] == grid.maxTimestamp and all(start < end for start, end in edges)
        assert all(before[1] == after[0] for before, after in pairwise(edges))
    return {tier.name: [tuple(entry) for entry in tier.entries] for tier in grid.tiers}


def covers(spans, end):
    """Return whether spans cover 0 to `end` without gaps."""
    reached = 0.0
    for start, stop in sorted(spans):
        if start > reached + 1e-9:
            return False
        reached = max(reached, stop)
    return reached == pytest.approx(end, abs=1e-3)


def test_all_outputs_tell_the_same(model, recording, tmp_path, capsys):
    files = outputs(tmp_path)
    assert run(model, recording, *flags(files), "--batch_size", 3) == 0
    assert "10 of 10 segments scored" in capsys.readouterr().err
    with open(files["--csv"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["start"]) for row in rows] == [*range(9), pytest.approx(8.37)]
    assert {round(float(row["end"]) - float(row["start"]), 3) for row in rows} == {3}
    content = json.loads(files["--json"].read_text(encoding="utf-8"))
    assert content["duration"] == pytest.approx(SECONDS) and content["labels"] == LABELS
    assert content["recording"] == str(recording) and content["window_seconds"] == 3 and content["vad"] is False
    for row, segment in zip(rows, content["segments"], strict=True):
        assert sum(segment["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == segment["label"] == max(segment["probabilities"], key=segment["probabilities"].get)
        assert float(row["score"]) == pytest.approx(segment["score"], abs=1e-4)
        for label in LABELS:
            assert float(row[f"probability_{label}"]) == pytest.approx(segment["probabilities"][label], abs=1e-4)
        assert row["speaker"] == row["skipped"] == "" and segment["speaker"] is segment["skipped"] is None
        assert row["baseline"] == "" and segment["baseline"] is None
    assert content["own_baseline"] is False and content["min_confidence"] == 0

    tier = read_textgrid(files["--textgrid"])["emotion"]
    lines = read_rttm(files["--rttm"])
    assert covers([line[2:4] for line in lines], SECONDS)
    assert [text.replace(" ", "_") for *_, text in tier] == [line[4] for line in lines]
    assert {line[1] for line in lines} == {"a_talk"}
    for start, end, text in tier:  # the mean of the windows that cover an instant
        instant = (start + end) / 2
        covering = [s["probabilities"] for s in content["segments"] if s["start"] <= instant < s["end"]]
        assert text == max(LABELS, key=lambda label: sum(row[label] for row in covering))
    assert files["--figure"].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files.values())


def test_without_a_file_to_write_csv_is_printed(model, recording, capsys):
    assert run(model, recording, "--hop_seconds", 3) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("start,end,speaker,label,score,probability_angry") and len(rows) == 4


def test_turns_bear_their_speakers_and_the_rest_is_there_too(model, recording, tmp_path):
    turns = tmp_path / "turns.csv"
    turns.write_text('start,end,speaker\n1,6.5,alice\n5,7,"bob $x"\n9,9.01,alice\n')
    files = outputs(tmp_path)
    assert run(model, recording, "--turns", turns, *flags(files)) == 0
    segments = json.loads(files["--json"].read_text(encoding="utf-8"))["segments"]
    found = [(s["start"], s["end"], s["speaker"], s["skipped"]) for s in segments]
    assert found == [
        *[(0, 1, None, NO_TURN), (1, 4, "alice", None), (2, 5, "alice", None), (3, 6, "alice", None)],
        *[(3.5, 6.5, "alice", None), (5, 7, "bob $x", None), (7, 9, None, NO_TURN), (9, 9.01, "alice", "too short")],
        (9.01, pytest.approx(SECONDS), None, NO_TURN),
    ]
    grid = read_textgrid(files["--textgrid"])
    assert list(grid) == ["alice", "bob $x"]
    assert [text for *_, text in grid["alice"] if text not in LABELS] == ["", "", "(too short)", ""]
    assert [(start, end, text in LABELS) for start, end, text in grid["bob $x"]] == [
        *[(0, 5, False), (5, 7, True), (7, pytest.approx(SECONDS), False)]
    ]
    lines = read_rttm(files["--rttm"])
    assert covers([line[2:4] for line in lines], SECONDS)
    assert {line[4].split(":")[0] for line in lines if line[0] == "SPEAKER"} == {"alice", "bob_$x"}


def test_silence_is_shown_as_what_it_is(model, tmp_path):
    pytest.importorskip("silero_vad")
    path, files = tmp_path / "silence.wav", outputs(tmp_path / "out")
    soundfile.write(path, np.random.default_rng(0).normal(0, 1e-4, 5 * 16000), 16000)
    assert run(model, path, "--vad", *flags(files)) == 0
    rows = json.loads(files["--json"].read_text(encoding="utf-8"))["segments"]
    assert [(row["label"], row["probabilities"], row["skipped"]) for row in rows] == [(None, None, NO_SPEECH)] * 3
    assert read_textgrid(files["--textgrid"]) == {"emotion": [(0, 5, "(no speech)")]}
    assert read_rttm(files["--rttm"]) == [("NON-SPEECH", "silence", 0, 5, "<NA>")]
    assert run(model, path, "--vad", "--min_speech", 0, "--csv", files["--csv"]) == 0
    assert NO_SPEECH not in files["--csv"].read_text(encoding="utf-8")


def test_unsure_windows_have_probabilities_and_no_label(model, recording, tmp_path, capsys):
    segments = list(lssed_hf.score_timeline(lssed_hf.load_classifier(model), recording))
    bound = float(np.median([segment.probabilities.max() for segment in segments]))
    files = outputs(tmp_path)
    assert run(model, recording, "--min_confidence", bound, *flags(files)) == 0
    unsure = [segment.probabilities.max() < bound for segment in segments]
    assert 0 < sum(unsure) < len(unsure)
    assert f"10 of 10 segments scored, {sum(unsure)} unsure" in capsys.readouterr().err
    content = json.loads(files["--json"].read_text(encoding="utf-8"))
    assert content["min_confidence"] == bound
    with open(files["--csv"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for segment, row, is_unsure in zip(content["segments"], rows, unsure, strict=True):
        assert (segment["label"] is None, segment["score"] is None, segment["skipped"]) == (
            (True, True, "unsure") if is_unsure else (False, False, None)
        )
        assert row["skipped"] == ("unsure" if is_unsure else "") and (row["label"] == "") == (row["score"] == "")
        assert (row["label"] == "") == is_unsure
        for label in LABELS:
            assert float(row[f"probability_{label}"]) == pytest.approx(segment["probabilities"][label], abs=1e-4)

    tier = read_textgrid(files["--textgrid"])["emotion"]
    for start, end, text in tier:  # the mean of the windows that cover an instant
        instant = (start + end) / 2
        covering = [s["probabilities"] for s in content["segments"] if s["start"] <= instant < s["end"]]
        means = {label: np.mean([row[label] for row in covering]) for label in LABELS}
        best = max(LABELS, key=means.__getitem__)
        assert text == ("(unsure)" if means[best] < bound else best)
    assert {"(unsure)"} < {text for *_, text in tier}
    lines = read_rttm(files["--rttm"])
    assert covers([line[2:4] for line in lines], SECONDS)
    assert [line[0] == "NOSCORE" for line in lines] == [text == "(unsure)" for *_, text in tier]

    assert run(model, recording, "--min_confidence", 1) == 0
    assert ",unsure," in capsys.readouterr().out
    window = next(iter(lssed_hf.score_timeline(lssed_hf.load_classifier(model), recording, min_confidence=1)))
    assert window.skipped == "unsure" and window.scored and window.probabilities.sum() == pytest.approx(1)


def test_what_fails_late_leaves_no_output(model, tmp_path, capsys):
    path, files = tmp_path / "cut.flac", outputs(tmp_path / "out")
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 400_000), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run(model, path, *flags(files)) == 1
    assert "cut.flac: truncated" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_if_one_output_cannot_be_written_none_is(model, recording, tmp_path, capsys):
    files = outputs(tmp_path / "out")
    files["--figure"].mkdir(parents=True)
    assert run(model, recording, *flags(files)) == 1
    assert "t.png" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t.png"]


def test_mistakes_are_told_before_the_work(model, recording, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lssed_hf.inference.classifiers.classifier.Classifier, "probabilities", None)  # would fail
    (tmp_path / "turns.csv").write_text("start,end\n1,90\n")
    (tmp_path / "empty.wav").touch()
    cases = [
        ([recording, "--csv", tmp_path / "a", "--json", tmp_path / "a"], "given twice"),
        ([recording, "--csv", recording], "given twice"),
        ([recording, "--figure", tmp_path / "a.xyz"], "must end in .png"),
        ([recording, "--batch_size", 0], "--batch_size must be 1 or more"),
        ([recording, "--hop_seconds", 4], "hop_seconds must be at most"),
        ([recording, "--min_confidence", 1.1], "min_confidence must be from 0 to 1, got 1.1"),
        ([recording, "--turns", tmp_path / "turns.csv"], "has no turn from 1.0 to 90.0 s"),
        ([recording, "--turns", tmp_path / "none.rttm"], "no such file of turns"),
        ([tmp_path / "none.wav"], "no such file or folder"),
        ([tmp_path / "empty.wav"], "the file is empty"),
    ]
    for arguments, message in cases:
        assert run(model, *arguments) == 1
        error = capsys.readouterr().err
        assert "lssed-hf timeline: error: " in error and message in error
    assert soundfile.info(recording).duration == pytest.approx(SECONDS)


spans = st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from([None, "A", "B"]), st.floats(0, 1))


@given(st.lists(spans, min_size=1, max_size=8), st.sampled_from([None, NO_SPEECH]))
def test_exports_cover_everything_for_any_segments(tmp_path_factory, given_spans, first_skipped):
    segments = []
    for number, (start, length, speaker, score) in enumerate(sorted(given_spans, key=lambda span: span[0])):
        skipped = first_skipped if number == 0 else None
        row = np.float32([np.nan] * 2 if skipped else [score, 1 - score])
        segments.append(TimelineSegment(start / 7, (start + length) / 7, row, speaker, skipped))
    end = max(segment.end for segment in segments)
    for speaker, pieces in tiers(segments).items():
        assert pieces[0].start == 0 and pieces[-1].end == end
        for piece in pieces:
            middle = (piece.start + piece.end) / 2
            covering = [s for s in segments if s.speaker == speaker and s.start < middle < s.end]
            scored = [s.probabilities for s in covering if s.skipped is None]
            if scored:
                np.testing.assert_allclose(piece.probabilities, np.mean(scored, axis=0), atol=1e-6)
            else:
                assert piece.skipped == (NO_SPEECH if covering else NO_TURN)
    folder = tmp_path_factory.mktemp("exports")
    with open(folder / "a.TextGrid", "w", encoding="utf-8") as file:
        write_textgrid(file, segments, OUTPUTS)
    assert len(read_textgrid(folder / "a.TextGrid")) == len(tiers(segments))
    with open(folder / "a.rttm", "w", encoding="utf-8") as file:
        write_rttm(file, segments, OUTPUTS, "a")
    lines = read_rttm(folder / "a.rttm")
    middles = [(segment.start + segment.end) / 2 for segment in segments]
    assert all(any(start <= middle <= stop for _, _, start, stop, _ in lines) for middle in middles)


def test_neighbours_with_one_answer_are_joined():
    rows = [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]
    segments = [TimelineSegment(i, i + 1.0, np.float32(row)) for i, row in enumerate(rows)]
    joined = intervals(flatten(segments, 4.0), OUTPUTS)
    assert [(one.start, one.end, one.label, one.skipped) for one in joined] == [
        *[(0, 2, "angry", None), (2, 3, LABELS[1], None), (3, 4, None, NO_TURN)]
    ]
    assert joined[0].score == pytest.approx(0.7)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_figures_need_no_display(tmp_path, monkeypatch, count):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("MPLBACKEND", "nonsense")  # which pyplot would stumble over
    labels = [f"${number}_" for number in range(count)]
    row = np.full(count, 1 / count, np.float32)
    nothing = np.full(count, np.nan, np.float32)
    envelope = Envelope()
    envelope.add(np.random.default_rng(0).uniform(-1, 1, 100_000).astype(np.float32))
    segments = [
        *[TimelineSegment(0, 4, row, "$A"), TimelineSegment(4, 5, nothing, "$A", NO_SPEECH)],
        *[TimelineSegment(3, 9000, row, "B"), TimelineSegment(9000, 9001, nothing, None, NO_TURN)],
    ]
    figure = lssed_hf.draw_timeline(iter(segments), labels, envelope, title="$.wav")
    assert len(figure.axes) == 3 and figure.axes[-1].get_xlim() == (0, 9001)
    figure.savefig(tmp_path / "a.svg")
    ElementTree.parse(tmp_path / "a.svg")
    assert len(lssed_hf.draw_timeline(segments[-1:], labels).axes) == 1
    with pytest.raises(ValueError, match="no segments"):
        lssed_hf.draw_timeline([], labels)
