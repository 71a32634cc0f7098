"""Schema and registry of all corpora, and errors of `load_corpus`."""

import datasets
import pytest

import lssed_hf
from lssed_hf import corpora, list_corpora, load_corpus
from lssed_hf.corpora import (
    CorpusBuilder,
    CorpusDataError,
    Utterance,
    aesdd,
    afew,
    asvp_esd,
    cafe,
    cmu_mosei,
    corpus_builder,
    corpus_features,
    crema_d,
    emodb,
    emovo,
    enterface,
    esd,
    fau_aibo,
    iemocap,
    jl_corpus,
    meld,
    msp_improv,
    msp_podcast,
    nemo,
    ravdess,
    rml,
    savee,
    shemo,
    subesco,
    tess,
)
from lssed_hf.labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS, emotion_of_word
from lssed_hf.preparation.prepare import prepare


def test_schema():
    features = corpus_features()
    emotion = datasets.ClassLabel(names=list(EMOTIONS))
    assert features == {
        "id": datasets.Value("string"),
        "audio": datasets.Audio(sampling_rate=16000),
        "emotion": emotion,
        "secondary_emotions": datasets.Sequence(emotion),
        "gender": datasets.ClassLabel(names=list(GENDERS)),
        "age_group": datasets.ClassLabel(names=list(AGE_GROUPS)),
        "age": datasets.Value("float32"),
        "speaker_id": datasets.Value("string"),
        "session_id": datasets.Value("string"),
        "start": datasets.Value("float64"),
        "end": datasets.Value("float64"),
        "transcript": datasets.Value("string"),
    }
    assert features["gender"].names == ["female", "male"]
    assert features["age_group"].names == ["young", "middle_aged", "old"]


def test_schema_of_the_benchmark_differs_in_the_emotion_alone():
    features = corpus_features(BENCHMARK_EMOTIONS)
    assert features.pop("emotion").names == list(BENCHMARK_EMOTIONS)
    assert features == {name: value for name, value in corpus_features().items() if name != "emotion"}


def test_ratings_are_columns_of_the_corpora_that_have_them():
    features = corpus_features(dimensions=["valence", "arousal"])
    assert list(features)[-2:] == ["valence", "arousal"] and features["valence"] == datasets.Value("float32")
    rated = {name for name in list_corpora() if corpus_builder(name).RATED}
    assert rated == {"iemocap", "msp_improv", "msp_podcast"}


def test_list_corpora():
    assert {"ravdess", "emodb", "lssed", "synthetic"} <= set(list_corpora())
    assert list_corpora() == sorted(list_corpora())
    for name in list_corpora():
        builder = corpus_builder(name)
        assert "default" in builder.builder_configs
        assert ("benchmark" in builder.builder_configs) == (builder.LABEL_COLUMN == "emotion")


def test_unknown_corpus():
    with pytest.raises(ValueError, match=r"unknown corpus 'iemocaps'; known are .*ravdess"):
        load_corpus("iemocaps", ".")


@pytest.fixture
def clips(tmp_path, write_clip):
    for actor in (1, 15, 17):
        write_clip(tmp_path / "data" / f"03-01-01-01-01-01-{actor:02}.wav")
    return tmp_path / "data"


def test_no_data_dir():
    with pytest.raises(ValueError, match=r"lssed needs data_dir=.*https://github.com/tobefans/LSSED"):
        load_corpus("lssed")


def test_data_dir_that_is_no_folder(tmp_path, write_clip):
    with pytest.raises(FileNotFoundError, match=r"emodb: data_dir .*gone is not a folder"):
        load_corpus("emodb", tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_corpus("emodb", write_clip(tmp_path / "03a01Fa.wav"))


def test_unknown_config_and_split_scheme(clips, tmp_path):
    with pytest.raises(ValueError, match="'six'"):
        load_corpus("ravdess", clips, "six", cache_dir=tmp_path / "cache")
    with pytest.raises(ValueError, match="split_scheme='paper'; ravdess has speaker"):
        load_corpus("ravdess", clips, split_scheme="paper", cache_dir=tmp_path / "cache")


def test_relative_and_home_paths(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for data_dir in ("data", "~/data", str(clips)):
        rows = load_corpus("ravdess", data_dir, cache_dir=tmp_path / "cache")["test"]
        rows = rows.cast_column("audio", datasets.Audio(decode=False))
        assert rows[0]["audio"]["path"] == str(clips / "03-01-01-01-01-01-17.wav")


def test_several_processes_give_the_same_rows(tmp_path, write_clip, monkeypatch):
    from lssed_hf.corpora import base

    monkeypatch.setattr(base, "_ROWS_PER_TABLE", 2)
    for actor in range(1, 25):
        write_clip(tmp_path / "data" / f"03-01-01-01-01-01-{actor:02}.wav")
    one = load_corpus("ravdess", tmp_path / "data", cache_dir=tmp_path / "one")
    two = load_corpus("ravdess", tmp_path / "data", cache_dir=tmp_path / "two", num_proc=2)
    assert {name: list(rows["id"]) for name, rows in one.items()} == {
        name: list(rows["id"]) for name, rows in two.items()
    }
    assert len(one["train"]) == 14


def test_bars_know_how_many_utterances_there_are(clips, tmp_path, capsys):
    datasets.enable_progress_bars()
    rows = load_corpus("ravdess", clips, cache_dir=tmp_path / "cache")
    assert f"| 0/{len(rows['test'])} [" in capsys.readouterr().err


def test_importing_twice_keeps_one_registration():
    from datasets import packaged_modules

    before = dict(packaged_modules._PACKAGED_DATASETS_MODULES)
    lssed_hf.registration.register()
    assert before == packaged_modules._PACKAGED_DATASETS_MODULES and "lssed" in before


def test_synthetic_makes_its_own_data(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    from lssed_hf.testing import synthetic

    written = []

    def write_a_small_one(folder):
        written.append(folder)
        return write(folder, num_speakers=4, utterances_per_speaker=4)

    write = synthetic.write_synthetic_lssed
    monkeypatch.setattr(synthetic, "write_synthetic_lssed", write_a_small_one)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    for _ in range(2):
        splits = load_corpus("synthetic", config_name="benchmark")
        assert sum(map(len, splits.values())) == 16 and set(splits) == {"train", "validation", "test"}
    assert written == [tmp_path / "lssed_hf_synthetic"]  # once


@pytest.mark.parametrize(
    "table",
    [
        aesdd.EMOTION_CODES,
        afew.EMOTION_FOLDERS,
        asvp_esd.EMOTION_CODES,
        cafe.EMOTION_CODES,
        cmu_mosei.EMOTION_NAMES,
        crema_d.EMOTION_CODES,
        emodb.EMOTION_CODES,
        emovo.EMOTION_CODES,
        enterface.EMOTION_FOLDERS,
        esd.EMOTION_FOLDERS,
        fau_aibo.EMOTION_CODES,
        iemocap.EMOTION_CODES,
        jl_corpus.EMOTION_NAMES,
        meld.EMOTION_NAMES,
        msp_improv.EMOTION_CODES,
        msp_podcast.EMOTION_CODES,
        nemo.EMOTION_NAMES,
        ravdess.EMOTION_CODES,
        rml.EMOTION_CODES,
        savee.EMOTION_CODES,
        shemo.EMOTION_CODES,
        subesco.EMOTION_CODES,
        tess.EMOTION_CODES,
    ],
)
def test_corpora_agree_with_the_spellings_of_emotions(table):
    """No word in the table of a corpus means another emotion elsewhere."""
    assert set(table.values()) <= set(EMOTIONS)
    assert all(emotion_of_word(name) in (None, emotion) for name, emotion in table.items())


class Mistaken(CorpusBuilder):
    """A corpus whose reader gives what the test says."""

    fields: dict = {}
    splits: list | None = None

    def read_utterances(self, data_dir):
        for path in sorted(data_dir.glob("*.wav")):
            yield Utterance(**{"id": path.stem, "path": str(path), "emotion": "sad", "split": "train", **self.fields})

    def assign_splits(self, utterances, scheme):
        return super().assign_splits(utterances, scheme) if self.splits is None else self.splits


@pytest.fixture
def mistaken(clips, tmp_path, monkeypatch):
    """Return a function that loads the corpus with the fields or splits that its reader gives."""
    monkeypatch.setitem(corpora._CORPORA, "test_base", (__name__, "Mistaken"))  # datasets names it so

    def load(splits=None, **fields):
        monkeypatch.setattr(Mistaken, "fields", fields)
        monkeypatch.setattr(Mistaken, "splits", splits)
        return load_corpus("test_base", clips, cache_dir=tmp_path / "cache")

    return load


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"gender": "woman"}, "gender='woman'; known are female, male; did you mean female?"),
        ({"age_group": "elderly"}, "age_group='elderly'; known are young, middle_aged, old; did you mean old?"),
        ({"split": "dev"}, "split='dev'; known are train, validation, test; did you mean validation?"),
        ({"emotion": "disgust"}, f"emotion='disgust'; known are {', '.join(EMOTIONS)}; did you mean disgusted?"),
        ({"emotion": "hapy"}, f"emotion='hapy'; known are {', '.join(EMOTIONS)}; did you mean happy?"),
        ({"emotion": 3}, f"emotion=3; known are {', '.join(EMOTIONS)}"),
        ({"emotion": None}, "no emotion; yield a Reject instead"),
        ({"secondary_emotions": ("angry", "joy")}, "secondary_emotions='joy'"),
        ({"splits": ["train", "dev", None]}, "split='dev'"),
    ],
)
def test_a_mistake_of_a_reader_is_named(fields, said, mistaken, clips, tmp_path):
    clip = "03-01-01-01-01-01-15" if "splits" in fields else "03-01-01-01-01-01-01"
    with pytest.raises(CorpusDataError) as raised:
        mistaken(**fields)
    assert f"test_base: the reader gives {clip} {said}" in str(raised.value)
    with pytest.raises(CorpusDataError, match="the reader gives"):
        prepare("test_base", clips, tmp_path / "out")


def test_as_many_splits_as_utterances(mistaken):
    with pytest.raises(CorpusDataError, match="test_base: assign_splits gives 2 splits for 3 utterances"):
        mistaken(splits=["train", "test"])


def test_known_emotions_that_a_configuration_lacks_are_left_out_by_rule(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(Mistaken, "fields", {"emotion": "bored"})
    builder = Mistaken(config_name="benchmark", cache_dir=str(tmp_path / "cache"))
    utterances, rejects = builder.read(clips)
    assert [builder.label_of(row) for row in utterances] == [None] * 3 and not rejects


def test_a_wrong_line_in_the_table_is_named(monkeypatch):
    monkeypatch.setitem(corpora._CORPORA, "rml", (".rml", "RML"))
    with pytest.raises(ImportError, match=r"_CORPORA\['rml'\] names the class RML; lssed_hf.corpora.rml has Rml"):
        corpus_builder("rml")
    monkeypatch.setitem(corpora._CORPORA, "rml", (".rmls", "Rml"))
    with pytest.raises(ImportError, match=r"_CORPORA\['rml'\] names the module lssed_hf.corpora.rmls, and"):
        corpus_builder("rml")
