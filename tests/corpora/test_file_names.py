"""Corpora whose files tell speaker and emotion by their names."""

import json

import datasets
import pytest

from lssed_hf import load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder


#: Path of a clip, and what its utterance says.
CLIPS = {
    "tess": {
        "OAF_angry/OAF_back_angry.wav": ("OAF_back_angry", "angry", "female", "OAF", 64, "Say the word back."),
        "YAF_pleasant_surprised/YAF_food_ps.wav": (
            *("YAF_food_ps", "surprised", "female", "YAF", 26, "Say the word food."),
        ),
        "OAF_neutral/OA_bite_neutral.wav": (
            *("OAF_bite_neutral", "neutral", "female", "OAF", 64, "Say the word bite."),
        ),
    },
    "savee": {
        "AudioData/DC/sa01.wav": ("DC_sa01", "sad", "male", "DC", None, None),
        "AudioData/JK/su15.wav": ("JK_su15", "surprised", "male", "JK", None, None),
        "ALL/KL_n30.wav": ("KL_n30", "neutral", "male", "KL", None, None),
    },
    "aesdd": {
        "anger/a03 (4).wav": ("a03_4", "angry", None, "4", None, None),
        "fear/f10 (01).wav": ("f10_1", "fearful", None, "1", None, None),
        "anger/a06 (5)b.wav": ("a06_5b", "angry", None, "5", None, None),
        "happiness/h20 (6).wav": ("h20_6", "happy", None, "6", None, None),
    },
    "jl_corpus": {
        "Raw/JL(wav+txt)/female1_angry_10a_1.wav": ("female1_angry_10a_1", "angry", "female", "female1", None, "Hi."),
        "Raw/JL(wav+txt)/male2_anxious_4b_2.wav": ("male2_anxious_4b_2", "fearful", "male", "male2", None, None),
        "Raw/JL(wav+txt)/male1_assertive_1a_2.wav": ("male1_assertive_1a_2", "other", "male", "male1", None, None),
    },
    "shemo": {
        "female/F03S02.wav": ("F03S02", "sad", "female", "F03", None, "سلام"),
        "male/M02F01.wav": ("M02F01", "fearful", "male", "M02", None, None),
        "male/M40W100.wav": ("M40W100", "surprised", "male", "M40", None, None),
    },
    "cafe": {
        "Colère/Faible/01-C-1-1.wav": ("01-C-1-1", "angry", "male", "01", 46, "Un cheval fou dans mon jardin"),
        "Neutre/12-N-0-6.aiff": ("12-N-0-6", "neutral", "female", "12", 37, "Six ours aimants domestiqués"),
    },
    "subesco": {
        "F_01_OISHI_S_10_ANGRY_1.wav": ("F_01_OISHI_S_10_ANGRY_1", "angry", "female", "F_01", None, None),
        "F_02_MONIKA_S_2_SURPRISE_3].wav": ("F_02_MONIKA_S_2_SURPRISE_3", "surprised", "female", "F_02", None, None),
        "M_10_ANIK_S_1_FEAR_5.wav": ("M_10_ANIK_S_1_FEAR_5", "fearful", "male", "M_10", None, None),
    },
    "asvp_esd": {
        "Audio/actor_36/03-01-09-01-06-36-02-02-01-39.wav": (
            *("03-01-09-01-06-36-02-02-01-39", "excited", "male", "36", None, None),
        ),
        "Audio/actor_101/03-01-04-01-00-101-01-01-00-14-02.wav": (
            *("03-01-04-01-00-101-01-01-00-14-02", "sad", "female", "101", None, None),
        ),
    },
}
NAMES = sorted(CLIPS)
#: Names that are of no such corpus.
STRANGERS = {
    "tess": ["BAF_back_angry.wav", "OAF_back_calm.wav", "OA_bite.wav"],
    "savee": ["XX/sa01.wav", "DC/x01.wav", "DC/sa1.wav"],
    "aesdd": ["n01 (1).wav", "a01.wav", "a1 (1).wav"],
    "jl_corpus": ["JL(wav+txt)/female3_angry_1a_1.wav", "JL(wav+txt)/male1_calm_1a_1.wav"],
    "shemo": ["X01A01.wav", "F01B01.wav", "F01A.wav"],
    "cafe": ["13-C-1-1.wav", "01-X-1-1.wav", "01-C-1-7.wav"],
    "subesco": ["F_01_OISHI_S_10_CALM_1.wav", "01_OISHI_S_10_ANGRY_1.wav"],
    "asvp_esd": ["03-03-09-01-06-36-02-02-01.wav", "03-01-99-01-06-36-02-02-01.wav", "03-01-09.wav"],
}


@pytest.fixture
def write_corpus(tmp_path, write_clip):
    """Return a function that writes the clips of a corpus."""

    def write_corpus(name: str, *more: str):
        for path in (*CLIPS[name], *more):
            write_clip(tmp_path / "data" / path)
        return tmp_path / "data"

    return write_corpus


@pytest.fixture
def read(tmp_path):
    return lambda name, folder, **options: corpus_builder(name)(cache_dir=str(tmp_path / "c"), **options).read(folder)


@pytest.mark.parametrize("name", NAMES)
def test_utterances(name, write_corpus, read):
    folder = write_corpus(name)
    (folder / "modified_shemo.json").write_text(json.dumps({"F03S02.wav": {"transcript": "سلام"}}), encoding="utf-8")
    if name == "jl_corpus":
        (folder / "Raw/JL(wav+txt)/female1_angry_10a_1.txt").write_text("Hi.\n")
    utterances, rejects = read(name, folder)
    assert {
        row.path.removeprefix(f"{folder}/"): (
            *(row.id, row.emotion, row.gender, row.speaker_id, row.age, row.transcript),
        )
        for row in utterances
    } == CLIPS[name]
    assert not rejects


@pytest.mark.parametrize("name", NAMES)
def test_strangers_are_named(name, write_corpus, read):
    title = corpus_builder(name).TITLE
    strangers = [f"Raw/{path}" if name == "jl_corpus" else path for path in STRANGERS[name]]
    utterances, rejects = read(name, write_corpus(name, *strangers))
    assert len(utterances) == len(CLIPS[name])
    assert sorted(reject.source.rpartition("/data/")[2] for reject in rejects) == sorted(strangers)
    assert all(f"not one of {title}'s" in reject.reason and not reject.by_rule for reject in rejects)


@pytest.mark.parametrize("name", NAMES)
def test_another_corpus(name, tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "hello.wav")
    builder = corpus_builder(name)
    with pytest.raises(CorpusDataError, match=f"is not {builder.TITLE}: looked for clips such as "):
        read(name, tmp_path / "data")


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_in_two_formats_is_read_once(name, write_corpus, read):
    path = next(iter(CLIPS[name]))
    utterances, (reject,) = read(name, write_corpus(name, path.replace(".wav", ".flac")))
    assert len(utterances) == len(CLIPS[name]) and reject.by_rule and reject.source.endswith(".flac")


@pytest.mark.parametrize(
    ("name", "speakers", "splits"),
    [
        ("tess", {"OAF_a_sad": "OAF", "YAF_a_sad": "YAF"}, {"train": {"OAF"}, "test": {"YAF"}}),
        (
            "savee",
            {f"{name}/a01": name for name in ("DC", "JE", "JK", "KL")},
            {"train": {"DC", "JE"}, "validation": {"JK"}, "test": {"KL"}},
        ),
        (
            "aesdd",
            {f"a01 ({number})": str(number) for number in range(1, 8)},
            {"train": {"1", "2", "3", "7"}, "validation": {"4"}, "test": {"5", "6"}},
        ),
        (
            "jl_corpus",
            {f"{actor}_sad_1a_1": actor for actor in ("female1", "female2", "male1", "male2")},
            {"train": {"female1", "male1"}, "test": {"female2", "male2"}},
        ),
        (
            "cafe",
            {f"{number:02}-C-1-1": f"{number:02}" for number in range(1, 13)},
            {"train": {f"{n:02}" for n in range(1, 9)}, "validation": {"09", "10"}, "test": {"11", "12"}},
        ),
    ],
)
def test_the_fixed_split_and_one_speaker_left_out(name, speakers, splits, tmp_path, write_clip):
    for clip in speakers:
        write_clip(tmp_path / "data" / f"{clip}.wav")
    loaded = load_corpus(name, tmp_path / "data", cache_dir=tmp_path / "cache")
    assert {split: set(rows["speaker_id"]) for split, rows in loaded.items()} == splits
    first = next(iter(speakers.values()))
    loaded = load_corpus(name, tmp_path / "data", split_scheme=f"speaker_{first}", cache_dir=tmp_path / "cache")
    assert set(loaded["test"]["speaker_id"]) == {first} and first not in loaded["train"]["speaker_id"]


def test_known_defects_are_left_out_by_rule(write_corpus, read):
    _, (reject,) = read("aesdd", write_corpus("aesdd", "sadness/s05 (3).wav"))
    assert reject.by_rule and "corrupt" in reject.reason


def test_folders_beside_the_raw_clips_of_jl_corpus_do_not_count(write_corpus, read):
    utterances, rejects = read("jl_corpus", write_corpus("jl_corpus", "Processed/female1_angry_10a_1.wav", "x.wav"))
    assert len(utterances) == 3 and not rejects


def test_texts_of_shemo_that_cannot_be_read(write_corpus, read):
    folder = write_corpus("shemo")
    for text in ("[]", "{", '{"F03S02.wav": {}}', '{"F03S02.wav": 1}', "[" * 100_000):
        (folder / "modified_shemo.json").write_text(text)
        with pytest.raises(CorpusDataError, match=r"modified_shemo.json is not the JSON of clips with transcripts"):
            read("shemo", folder)


def test_sounds_of_asvp_esd_that_are_no_speech(write_corpus, read):
    laughter, unknown = "03-02-03-01-06-36-01-02-01.wav", "03-01-17-01-06-36-02-02-01.wav"
    folder = write_corpus("asvp_esd", laughter, unknown)
    utterances, rejects = read("asvp_esd", folder)
    assert len(utterances) == 2 and {reject.reason for reject in rejects if reject.by_rule} == {
        "no speech (keep_nonspeech=True keeps these)",
        "its emotion is unknown (17)",
    }
    kept, (reject,) = read("asvp_esd", folder, keep_nonspeech=True)
    assert len(kept) == 3 and "unknown" in reject.reason
    assert {row.id: row.age_group for row in kept}[laughter.removesuffix(".wav")] == "old"


def test_one_row(tmp_path, write_clip):
    path = write_clip(tmp_path / "data" / "Joie" / "Fort" / "11-J-2-3.wav")
    rows = load_corpus("cafe", tmp_path / "data", cache_dir=tmp_path / "cache")["test"]
    assert rows.cast_column("audio", datasets.Audio(decode=False))[0] == {
        "id": "11-J-2-3",
        "audio": {"bytes": None, "path": str(path)},
        "emotion": 2,
        "secondary_emotions": [],
        "gender": 1,
        "age_group": -1,
        "age": 35.0,
        "speaker_id": "11",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": "Trois cygnes aveugles au bord du lac",
    }
