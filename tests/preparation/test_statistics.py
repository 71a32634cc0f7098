import json
from collections import Counter

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.text import Text

from lssed_hf import cli
from lssed_hf.audio import encode_audio
from lssed_hf.corpora import corpus_features, load_corpus
from lssed_hf.labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS
from lssed_hf.preparation import charts, durations
from lssed_hf.preparation.charts import plot_statistics
from lssed_hf.preparation.lssed_tables import PUBLISHED_EMOTIONS, PUBLISHED_SPEAKERS
from lssed_hf.preparation.statistics import corpus_statistics
from lssed_hf.preparation.statistics_report import format_statistics


def features(*, audio: bool = False, emotions=EMOTIONS) -> datasets.Features:
    schema = corpus_features(emotions)
    if not audio:
        del schema["audio"]
    return schema


def dataset(*, audio: bool = False, emotions=EMOTIONS, **splits) -> datasets.DatasetDict:
    """Make splits from lists of rows, with names instead of numbers; missing values are unknown."""
    schema = features(audio=audio, emotions=emotions)

    def encoded(row: dict) -> dict:
        numbers = {"emotion": -1, "gender": -1, "age_group": -1}
        for field in set(numbers) & set(row):
            numbers[field] = schema[field].str2int(row[field])
        numbers["secondary_emotions"] = [EMOTIONS.index(name) for name in row.get("secondary_emotions", ())]
        return {**row, **numbers}

    return datasets.DatasetDict(
        {
            split: datasets.Dataset(pa.Table.from_pylist([encoded(row) for row in rows], schema=schema.arrow_schema))
            for split, rows in splits.items()
        }
    )


def clip(seconds: float) -> dict:
    return {"bytes": encode_audio(np.zeros(round(seconds * 16000), dtype=np.float32)), "path": "clip.flac"}


@pytest.fixture
def small():
    """Anna and Berta speak in train, Anna and Carl in test. Carl's age is unknown, one utterance has no speaker."""
    anna = {"speaker_id": "anna", "gender": "female", "age_group": "young"}
    berta = {"speaker_id": "berta", "gender": "female", "age_group": "old"}
    carl = {"speaker_id": "carl", "gender": "male"}
    return dataset(
        train=[
            {"id": "a1", "emotion": "sad", "start": 0.0, "end": 2.0, "transcript": "yes", **anna},
            {"id": "a2", "emotion": "sad", "start": 2.0, "end": 3.0, "secondary_emotions": ["bored", "other"], **anna},
            {"id": "b1", "emotion": "angry", "start": 0.5, "end": 4.5, "transcript": "", **berta},
        ],
        test=[
            {"id": "a3", "emotion": "sad", "start": 0.0, "end": 3.0, "secondary_emotions": ["bored"], **anna},
            {"id": "c1", "emotion": "happy", **carl},
            {"id": "n1", "start": 0.0, "end": 10.0},
        ],
    )


class TestCounts:
    def test_corpus_and_splits(self, small):
        stats = corpus_statistics(small)
        assert stats["corpus"] == {
            "speakers": 3,
            "seconds": 20.0,
            "utterances": 6,
            "classes": 3,
            "mean_duration": 4.0,
        }
        assert stats["splits"] == {
            "train": {"utterances": 3, "speakers": 2},
            "test": {"utterances": 3, "speakers": 2},
        }

    def test_speakers(self, small):
        speakers = corpus_statistics(small)["speakers"]
        assert speakers["table"] == {
            "female": {"young": 1, "middle_aged": 0, "old": 1, "unknown": 0, "total": 2},
            "male": {"young": 0, "middle_aged": 0, "old": 0, "unknown": 1, "total": 1},
            "total": {"young": 1, "middle_aged": 0, "old": 1, "unknown": 1, "total": 3},
        }
        assert speakers["utterances_per_speaker"] == {"min": 1, "median": 1, "max": 3}
        assert speakers["utterances_without"] == 1 and speakers["inconsistent"] == []

    def test_emotions(self, small):
        stats = corpus_statistics(small)
        assert list(stats["emotions"]) == [*EMOTIONS, "no label"]
        assert stats["emotions"]["sad"] == {"splits": {"train": 2, "test": 1}, "total": 3, "percent": 50.0}
        assert stats["emotions"]["bored"]["total"] == 0
        assert stats["emotions"]["no label"]["splits"] == {"train": 0, "test": 1}
        assert stats["secondary_emotions"] == {"utterances": 2, "counts": {"bored": 2, "other": 1}}

    def test_coverage_counts_empty_text_as_unknown(self, small):
        coverage = corpus_statistics(small)["coverage"]
        assert coverage["transcript"] == {"train": 1, "test": 0}
        assert coverage["emotion"] == {"train": 3, "test": 2} and coverage["age_group"] == {"train": 3, "test": 1}
        assert coverage["secondary_emotions"] == {"train": 1, "test": 1}
        assert "audio" not in coverage

    def test_a_speaker_of_two_genders_and_ages_is_listed_and_counts_as_the_usual_one(self):
        rows = [{"emotion": "sad", "speaker_id": "x", "gender": g, "age_group": "old"} for g in ("male", *GENDERS)]
        rows += [{"emotion": "sad", "speaker_id": "y", "age_group": age} for age in ("old", "young", "young")]
        stats = corpus_statistics(dataset(train=rows))
        table = stats["speakers"]["table"]
        assert table["male"]["old"] == 1 and table["unknown"]["young"] == 1 and table["total"]["total"] == 2
        assert stats["speakers"]["inconsistent"] == [
            {"speaker_id": "x", "gender": {"male": 2, "female": 1}, "age_group": {"old": 3}},
            {"speaker_id": "y", "gender": {}, "age_group": {"old": 1, "young": 2}},
        ]
        assert "- x: male 2, female 1, old 3\n- y: old 1, young 2" in format_statistics(stats)

    def test_without_speakers_they_are_unknown(self):
        stats = corpus_statistics(dataset(train=[{"emotion": "sad"}] * 2, test=[{"emotion": "happy"}]))
        assert stats["corpus"]["speakers"] is stats["speakers"] is None
        assert stats["overlap"] == [
            {"splits": ["train", "test"], "speakers": None, "utterances": {"train": None, "test": None}}
        ]
        text = format_statistics(stats)
        assert "Speakers are unknown" in text and "Whether splits share speakers is unknown." in text
        assert "No two splits" not in text

    def test_other_columns_and_plain_text(self):
        rows = datasets.Dataset.from_dict({"emotion": ["sad", "glad", None], "gender": ["f", "f", "m"]})
        stats = corpus_statistics(datasets.DatasetDict(train=rows.add_column("speaker_id", [7, 7, 8])))
        totals = {emotion: row["total"] for emotion, row in stats["emotions"].items()}
        assert totals == {"glad": 1, "sad": 1, "no label": 1} and stats["corpus"]["classes"] == 2
        assert stats["speakers"]["table"]["f"]["unknown"] == 1 and stats["coverage"]["transcript"] == {"train": 0}

    def test_rows_that_were_selected(self, small):
        stats = corpus_statistics(datasets.DatasetDict(train=small["train"].select([2])))
        assert stats["emotions"]["angry"]["total"] == stats["corpus"]["utterances"] == 1

    def test_no_emotions(self):
        rows = datasets.Dataset.from_dict({"label": ["sad"]})
        with pytest.raises(ValueError, match="split 'train' has no column 'emotion'; it has label"):
            corpus_statistics(datasets.DatasetDict(train=rows))


class TestOverlap:
    def test_of_every_pair_of_splits(self, small):
        stats = corpus_statistics(datasets.DatasetDict({**small, "validation": small["test"].select([1])}))
        assert stats["overlap"] == [
            {"splits": ["train", "test"], "speakers": 1, "utterances": {"train": 2, "test": 1}},
            {"splits": ["train", "validation"], "speakers": 0, "utterances": {"train": 0, "validation": 0}},
            {"splits": ["test", "validation"], "speakers": 1, "utterances": {"test": 1, "validation": 1}},
        ]
        text = format_statistics(stats)
        assert "Warning: 1 speaker is in both train and test (2 and 1 utterances)" in text
        assert "both train and validation" not in text and "No two splits" not in text

    @pytest.fixture(scope="class")
    def lssed(self, tmp_path_factory, write_clip):
        folder = tmp_path_factory.mktemp("lssed")
        names = [f"E{speaker:04}_{clip:04}" for speaker in range(1, 11) for clip in range(5)]
        for name in names:
            write_clip(folder / "wav_all" / f"{name}.wav", seconds=0.1)
        lines = ["name,faces", *(f"{name},{'sad' if name.endswith('0') else 'angry'}" for name in names)]
        (folder / "metadata_english_all.csv").write_text("\n".join(lines))
        return folder

    def test_found_in_the_papers_split_and_not_in_that_by_speakers(self, lssed, tmp_path):
        def statistics_of(scheme):
            corpus = load_corpus("lssed", lssed, split_scheme=scheme, cache_dir=tmp_path)
            return corpus_statistics(corpus)

        leaking = statistics_of("paper")
        assert leaking["overlap"][0]["speakers"] > 0 and "Warning" in format_statistics(leaking)
        apart = statistics_of("speaker")
        assert [pair["speakers"] for pair in apart["overlap"]] == [0, 0, 0]
        assert "No two splits share a speaker." in format_statistics(apart)
        assert apart["corpus"]["speakers"] == leaking["corpus"]["speakers"] == 10
        assert apart["corpus"]["seconds"] == leaking["corpus"]["seconds"] == pytest.approx(5)


class TestDurations:
    def test_summary_by_split(self):
        rows = [{"emotion": "sad", "audio": clip(seconds)} for seconds in (1, 2, 3, 4, 10)]
        stats = corpus_statistics(dataset(audio=True, train=rows[:4], test=rows[4:]))
        durations = stats["durations"]
        assert durations["source"] == "headers" and durations["unreadable"] == []
        assert durations["splits"]["train"] == {
            "clips": 4,
            "unreadable": 0,
            "total": 10.0,
            "mean": 2.5,
            "min": 1.0,
            "quartiles": [1.75, 2.5, 3.25],
            "max": 4.0,
        }
        assert durations["splits"]["test"]["quartiles"] == [10.0] * 3
        assert stats["corpus"]["seconds"] == 20 and stats["corpus"]["mean_duration"] == 4

    @pytest.mark.parametrize("num_proc", [1, 3])
    def test_clips_without_one_are_listed(self, tmp_path, write_clip, num_proc):
        (tmp_path / "broken.wav").write_bytes(b"no sound at all")
        write_clip(tmp_path / "empty.wav", seconds=0)
        write_clip(tmp_path / "good.wav", seconds=0.5)
        paths = {name: str(tmp_path / f"{name}.wav") for name in ("broken", "good", "gone", "empty")}
        rows = [{"id": name, "emotion": "sad", "audio": {"bytes": None, "path": paths[name]}} for name in paths]
        rows += [{"id": "null", "emotion": "sad"}]
        stats = corpus_statistics(dataset(audio=True, train=rows), num_proc=num_proc)
        unreadable = stats["durations"]["unreadable"]
        assert [(clip["split"], clip["id"]) for clip in unreadable] == [
            ("train", name) for name in ("broken", "gone", "empty", "null")
        ]
        reasons = ["not an audio file", "no such file or folder", "holds no samples", "no audio"]
        assert all(reason in clip["reason"] for reason, clip in zip(reasons, unreadable))
        assert stats["corpus"]["seconds"] == 0.5 and stats["durations"]["all"]["unreadable"] == 4
        text = format_statistics(stats)
        assert "4 clips without a duration" in text and f"- gone (train): {paths['gone']}" in text

    def test_more_clips_than_one_batch(self, monkeypatch):
        monkeypatch.setattr(durations, "_BATCH", 3)
        rows = [{"id": str(i), "emotion": "sad", "audio": clip(0.1) if i % 4 else None} for i in range(10)]
        found = corpus_statistics(dataset(audio=True, train=rows))["durations"]
        assert [clip["id"] for clip in found["unreadable"]] == ["0", "4", "8"]
        assert found["all"]["clips"] == 7

    def test_the_list_is_cut_in_text_alone(self):
        stats = corpus_statistics(dataset(audio=True, train=[{"emotion": "sad"}] * 30))
        assert len(stats["durations"]["unreadable"]) == 30 and stats["corpus"]["seconds"] is None
        text = format_statistics(stats)
        assert text.count("no audio") == 20 and "and 10 more, all of them in stats.json" in text

    def test_feature_sets_go_by_their_times(self, small):
        durations = corpus_statistics(small)["durations"]
        assert durations["source"] == "times" and "end minus start" in durations["note"]
        assert [clip["id"] for clip in durations["unreadable"]] == ["c1"]
        assert durations["splits"]["train"]["max"] == 4.0

    def test_neither_sound_nor_times(self):
        stats = corpus_statistics(dataset(train=[{"emotion": "sad"}]))
        assert stats["durations"]["source"] is stats["durations"]["histogram"] is None
        text = format_statistics(stats)
        assert "durations are unknown" in text and "| unknown  | unknown |          1 |" in text

    def test_histogram_has_a_bin_for_the_tail(self):
        lengths = [1.0 + i / 1000 for i in range(1000)] + [100.0]
        rows = [{"emotion": "sad", "start": 0.0, "end": length} for length in lengths]
        histogram = corpus_statistics(dataset(train=rows))["durations"]["histogram"]
        assert histogram["tail"] and histogram["edges"][-1] == 100
        assert histogram["edges"][:3] == [1.0, 1.05, 1.1] and histogram["edges"][-2] == 2.0
        assert histogram["splits"]["train"] == [50] * 20 + [1]

    def test_histogram_of_one_length(self):
        rows = [{"emotion": "sad", "start": 0.0, "end": 2.0}] * 3
        histogram = corpus_statistics(dataset(train=rows))["durations"]["histogram"]
        assert histogram == {"edges": [2.0, 2.05], "tail": False, "splits": {"train": [3]}}


def published_lssed(*, seconds: bool = False) -> datasets.DatasetDict:
    """Make rows that add up to the paper's tables: 147,025 utterances of 820 speakers."""
    people = [
        (gender, age)
        for gender, row in enumerate(GENDERS)
        for age, group in enumerate(AGE_GROUPS)
        for _ in range(PUBLISHED_SPEAKERS[row][group])
    ]
    schema = features().arrow_schema
    splits = {}
    for column, split in enumerate(("train", "test")):
        emotion = np.repeat(np.arange(11), [numbers[column] for numbers in PUBLISHED_EMOTIONS.values()])
        speaker = np.arange(len(emotion)) % 820
        known = {
            "emotion": emotion,
            "gender": np.array(people)[speaker, 0],
            "age_group": np.array(people)[speaker, 1],
            "speaker_id": speaker.astype(str),
        }
        if seconds:
            known["start"] = np.zeros(len(emotion))
            known["end"] = np.full(len(emotion), (206 * 60 + 25) * 60 / 147025)
        arrays = [
            pa.array(known[field.name], field.type) if field.name in known else pa.nulls(len(emotion), field.type)
            for field in schema
        ]
        splits[split] = datasets.Dataset(pa.Table.from_arrays(arrays, schema=schema))
    return datasets.DatasetDict(splits)


class TestBesideThePaper:
    @pytest.fixture(scope="class")
    def published(self):
        return published_lssed(seconds=True)

    def test_the_published_numbers_add_up(self):
        train, test = (sum(column) for column in zip(*PUBLISHED_EMOTIONS.values()))
        assert (train, test, train + test) == (117620, 29405, 147025)
        for row in PUBLISHED_SPEAKERS.values():
            assert row["total"] == sum(row[age] for age in AGE_GROUPS)
        for column, total in PUBLISHED_SPEAKERS["total"].items():
            assert total == sum(PUBLISHED_SPEAKERS[gender][column] for gender in GENDERS)
        assert tuple(PUBLISHED_EMOTIONS) == EMOTIONS

    def test_equal_everywhere(self, published):
        stats = corpus_statistics(published, compare_lssed=True)
        comparison = stats["lssed"]
        assert comparison["equal"]
        assert comparison["table1"] == {"speakers": 0, "minutes": 0, "utterances": 0, "classes": 0}
        tables = (comparison["table2"], comparison["table3"])
        assert [number for table in tables for row in table.values() for number in row.values()] == [0] * (12 + 36)
        text = format_statistics(stats)
        assert "| LSSED   |    equal | equal |      equal |   equal |" in text
        assert text.count("equal") == 1 + 4 + 12 + 36
        assert "the wrong way round" in text and "| 820      | 206:25 |    147,025 |      11 |        5.05 s |" in text

    def test_without_durations_the_rest_is_compared(self, published):
        stats = corpus_statistics(published.remove_columns(["start", "end"]), compare_lssed=True)
        assert stats["lssed"]["table1"]["minutes"] is None and stats["lssed"]["equal"]
        assert "unknown" in format_statistics(stats)

    def test_every_difference_shows(self, published):
        train = published["train"].select(range(1, len(published["train"])))
        changed = datasets.DatasetDict(train=train, test=datasets.concatenate_datasets([published["test"]] * 2))
        comparison = corpus_statistics(changed, compare_lssed=True)["lssed"]
        assert not comparison["equal"]
        assert comparison["table1"] == {
            "speakers": 0,
            "minutes": round(29404 / 147025 * 12385),
            "utterances": 29404,
            "classes": 0,
        }
        assert comparison["table3"]["angry"] == {"train": -1, "test": 1298, "total": 1297}
        assert comparison["table3"]["all"] == {"train": -1, "test": 29405, "total": 29404}
        assert comparison["table2"]["male"] == dict.fromkeys([*AGE_GROUPS, "total"], 0)

    def test_validation_counts_as_training(self, published):
        train = published["train"]
        parts = {"train": train.select(range(100, len(train))), "validation": train.select(range(100))}
        comparison = corpus_statistics(datasets.DatasetDict({**parts, "test": published["test"]}), compare_lssed=True)[
            "lssed"
        ]
        assert comparison["equal"] and any("train and validation together" in note for note in comparison["notes"])

    def test_four_emotions(self):
        rows = [{"emotion": "sad"}]
        stats = corpus_statistics(dataset(emotions=BENCHMARK_EMOTIONS, train=rows), compare_lssed=True)
        comparison = stats["lssed"]
        assert comparison["table1"] is comparison["table2"] is None and not comparison["equal"]
        assert list(comparison["table3"]) == [*BENCHMARK_EMOTIONS, "all"]
        assert comparison["table3"]["sad"] == {"train": -9640, "test": -2410, "total": -12050}
        assert comparison["table3"]["all"]["total"] == 1 - (6490 + 60461 + 27033 + 12051)
        assert "this configuration has angry, neutral, happy, sad." in format_statistics(stats)

    @pytest.mark.parametrize(
        ("known", "compared"),
        [({}, set()), ({"gender": "male"}, {"gender"}), ({"gender": "male", "age_group": "old"}, {"gender", "age"})],
    )
    def test_unknown_genders_and_ages_are_not_counted_as_missing_speakers(self, known, compared):
        rows = [{"emotion": "sad", "speaker_id": "a", **known}]
        stats = corpus_statistics(dataset(train=rows), compare_lssed=True)
        table = stats["lssed"]["table2"]
        assert table["total"]["total"] == 1 - 820
        assert table["male"]["total"] == (1 - 335 if "gender" in compared else None)
        assert table["total"]["young"] == (-408 if "age" in compared else None)
        assert table["female"]["young"] == (-253 if compared == {"gender", "age"} else None)
        assert ("−253" in format_statistics(stats)) == (compared == {"gender", "age"})
        assert ("only where those of all speakers are known" in format_statistics(stats)) == (len(compared) < 2)

    def test_no_speakers_cannot_be_compared(self):
        comparison = corpus_statistics(dataset(train=[{"emotion": "sad"}]), compare_lssed=True)["lssed"]
        assert comparison["table1"]["speakers"] is None and comparison["table2"]["total"]["total"] is None


maybe = {"gender": st.sampled_from(GENDERS), "age_group": st.sampled_from(AGE_GROUPS)}
rows_of_a_split = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **maybe,
            "emotion": st.sampled_from(EMOTIONS),
            "speaker_id": st.sampled_from("abcd"),
            "start": st.floats(0, 5),
            "end": st.floats(0, 500),
        },
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=settings.default.max_examples // 2)
@given(rows_of_a_split, rows_of_a_split, rows_of_a_split)
def test_totals_add_up(train, validation, test):
    stats = corpus_statistics(dataset(train=train, validation=validation, test=test), compare_lssed=True)
    rows = {"train": train, "validation": validation, "test": test}
    total = len(train) + len(validation) + len(test)
    emotions = stats["emotions"].values()
    assert sum(row["total"] for row in emotions) == stats["corpus"]["utterances"] == total
    assert sum(row["percent"] for row in emotions) == pytest.approx(100)
    for split, members in rows.items():
        assert sum(row["splits"][split] for row in emotions) == stats["splits"][split]["utterances"] == len(members)

    spoken = {split: Counter(row.get("speaker_id") for row in members) for split, members in rows.items()}
    everyone = set().union(*spoken.values()) - {None}
    if everyone:
        table = stats["speakers"]["table"]
        cells = [row[age] for gender, row in table.items() if gender != "total" for age in row if age != "total"]
        assert sum(cells) == table["total"]["total"] == stats["corpus"]["speakers"] == len(everyone)
        for pair in stats["overlap"]:
            one, other = pair["splits"]
            shared = (set(spoken[one]) & set(spoken[other])) - {None}
            assert pair["speakers"] == len(shared)
            assert pair["utterances"] == {s: sum(spoken[s][speaker] for speaker in shared) for s in (one, other)}

    durations = stats["durations"]
    if durations["source"]:
        assert durations["all"]["clips"] + len(durations["unreadable"]) == total
        counts = durations["histogram"]["splits"].values() if durations["histogram"] else []
        assert sum(map(sum, counts)) == durations["all"]["clips"]
    json.dumps(stats, allow_nan=False)
    format_statistics(stats)


class TestPicture:
    @pytest.fixture
    def drawn(self, monkeypatch):
        """Return the boxes (pixels) of all texts and all bars in the latest picture."""
        figures = []

        class Recorded(charts.Figure):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                figures.append(self)

        monkeypatch.setattr(charts, "Figure", Recorded)

        def drawn():
            shown = [text for text in figures[-1].findobj(Text) if text.get_visible() and text.get_text().strip()]
            bars = [bar for axes in figures[-1].axes for bar in axes.patches if bar.get_width() * bar.get_height()]
            return [(text.get_text(), text.get_window_extent()) for text in shown], [
                ("a bar", bar.get_window_extent()) for bar in bars
            ]

        return drawn

    def rows(self, emotions, counts, **others):
        return [{"emotion": emotion, **others} for emotion, count in zip(emotions, counts) for _ in range(count)]

    @pytest.mark.parametrize("case", ["published", "two", "eleven", "no speakers", "emotions alone", "many splits"])
    def test_nothing_overlaps_or_is_cut_off(self, case, tmp_path, drawn):
        long_names = ["happy", "an_emotion_with_quite_a_long_name"]
        speaker = {"speaker_id": "a", "gender": "male", "start": 0.0, "end": 3.0}
        made = {
            "published": lambda: published_lssed(seconds=True),
            "two": lambda: dataset(emotions=long_names, train=self.rows(long_names, (1, 3000), **speaker)),
            "eleven": lambda: dataset(
                train=[{**speaker, "emotion": EMOTIONS[i % 11], "end": 1 + i**2 / 50} for i in range(99)],
                validation=self.rows(EMOTIONS, range(11), speaker_id="b", gender="female", age_group="old"),
                test=self.rows(EMOTIONS, range(1, 12), speaker_id="c", age_group="middle_aged"),
            ),
            "no speakers": lambda: dataset(train=self.rows(EMOTIONS, [5] * 4, start=0.0, end=1.0)),
            "emotions alone": lambda: dataset(train=self.rows(EMOTIONS, [5] * 4), test=self.rows(["sad"], [1])),
            "many splits": lambda: dataset(**{f"fold_{i}": self.rows(EMOTIONS, [i + 1] * 3) for i in range(6)}),
        }
        path = plot_statistics(corpus_statistics(made[case](), name=f"{case} " * 9), tmp_path / "stats.png")
        picture = imread(path)[..., :3]
        edge = 10
        for border in (picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:]):
            assert (border == 1).all()
        texts, bars = drawn()
        assert len(texts) > 5 and bars
        for index, (text, box) in enumerate(texts):
            for other, other_box in texts[:index] + bars:
                # Numbers start where their bars end, to a rounding error.
                width = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
                height = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
                assert min(width, height) < 0.01, f"{text!r} and {other!r} overlap"

    def test_what_it_says(self, small, tmp_path, drawn):
        plot_statistics(corpus_statistics(small, name="small"), tmp_path / "stats.png")
        said = [text.strip() for text, _ in drawn()[0]]
        assert "small: 6 utterances, 3 speakers, 0.3 minutes" in said
        assert "3  (50.0 %)" in said and "age unknown" in said and "bored" not in said
        assert said.index("sad") < said.index("angry")  # by size


class TestCommand:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    @pytest.fixture
    def ravdess(self, tmp_path, write_clip):
        for actor in (1, 2, 15, 17):
            for emotion in (1, 5, 8):
                write_clip(tmp_path / "data" / f"03-01-{emotion:02}-01-01-01-{actor:02}.wav", seconds=0.25)
        (tmp_path / "data" / "03-01-05-01-01-01-15.wav").write_bytes(b"RIFF")
        return tmp_path / "data"

    def run(self, *arguments) -> int:
        return cli.main(["stats", *map(str, arguments)])

    def test_corpus_by_name(self, ravdess, tmp_path, capsys):
        assert self.run("ravdess", "--data_dir", ravdess, "--output_dir", tmp_path / "out") == 0
        printed = capsys.readouterr().out
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["stats.json", "stats.md", "stats.png"]
        stats = json.loads((tmp_path / "out" / "stats.json").read_text())
        assert stats["corpus"] == {
            "speakers": 4,
            "seconds": 2.75,
            "utterances": 12,
            "classes": 3,
            "mean_duration": 0.25,
        }
        assert stats["lssed"] is None and stats["emotions"]["surprised"]["total"] == 4  # all emotions, not four
        [unreadable] = stats["durations"]["unreadable"]
        assert unreadable["id"] == "03-01-05-01-01-01-15" and unreadable["id"] in printed
        page = (tmp_path / "out" / "stats.md").read_text()
        assert page.startswith(format_statistics(stats)) and page.endswith("![ravdess](stats.png)\n")
        assert format_statistics(stats) in printed
        assert imread(tmp_path / "out" / "stats.png").shape[1] > 1500

    def test_prepared_folder(self, tmp_path, capsys):
        folder = tmp_path / "prepared"
        rows = [{"emotion": "sad", "audio": clip(seconds), "speaker_id": "a"} for seconds in (1, 2)]
        for split, members in dataset(audio=True, train=rows, test=rows[:1]).items():
            members.to_parquet(folder / f"{split}.parquet")
        assert self.run(folder) == 0
        printed = capsys.readouterr().out
        assert "# prepared\n" in printed and "1.33 s" in printed and "1 speaker is in both" in printed
        assert "Beside the paper" not in printed
        assert self.run(folder, "--compare_lssed") == 0
        assert "| LSSED   |     −819 | −206:25 |   −147,022 |     −10 |" in capsys.readouterr().out

    def test_lssed_by_name_is_compared_and_named_with_its_split(self, tmp_path, write_clip, capsys):
        for index in range(4):
            write_clip(tmp_path / "lssed" / "wav" / f"E000{index}_0.wav")
        lines = ["name,faces", *(f"E000{index}_0,sad" for index in range(4))]
        (tmp_path / "lssed" / "metadata.csv").write_text("\n".join(lines))
        assert self.run("lssed", "--data_dir", tmp_path / "lssed", "--split_scheme", "paper") == 0
        printed = capsys.readouterr().out
        assert "# lssed paper\n" in printed and "Beside the paper's LSSED" in printed

    def test_mistakes(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert self.run("lssed") == 1
        assert "lssed needs data_dir=" in capsys.readouterr().err
        assert self.run("somewhere", "--split_scheme", "paper") == 1
        assert "somewhere is divided already" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            self.run("somewhere", "--num_proc", "0")
        assert "--num_proc is 0" in capsys.readouterr().err
