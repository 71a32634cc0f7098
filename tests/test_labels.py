import pytest

from lssed_hf.corpora import emodb, ravdess
from lssed_hf.corpora.base import corpus_features
from lssed_hf.labels import ALIASES, BENCHMARK_EMOTIONS, EMOTIONS, normalize_emotion


def test_order_is_lsseds_and_begins_with_the_benchmark():
    assert ", ".join(EMOTIONS) == (
        "angry, neutral, happy, sad, disappointed, bored, disgusted, excited, surprised, fearful, other"
    )
    assert BENCHMARK_EMOTIONS == ("angry", "neutral", "happy", "sad")


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_known_names_stay(emotion):
    assert normalize_emotion(emotion) == emotion


@pytest.mark.parametrize(
    ("label", "emotion"),
    [
        ("Anger", "angry"),
        (" happiness ", "happy"),
        ("SADNESS", "sad"),
        ("normal", "neutral"),
        ("calm", "neutral"),
        ("boredom", "bored"),
        ("disgust", "disgusted"),
        ("excitement", "excited"),
        ("surprise", "surprised"),
        ("anxiety", "fearful"),
        ("fear", "fearful"),
        ("disappointment", "disappointed"),
        ("Others", "other"),
    ],
)
def test_aliases(label, emotion):
    assert normalize_emotion(label) == emotion


def test_aliases_lead_to_emotions_and_hide_none():
    assert set(ALIASES.values()) <= set(EMOTIONS)
    assert not set(ALIASES) & set(EMOTIONS)


@pytest.mark.parametrize("label", ["", "angryy", "3", "frustrated"])
def test_unknown_label_is_named_with_what_is_known(label):
    with pytest.raises(ValueError, match=f"unknown emotion '{label}'.*angry, neutral.*anxiety"):
        normalize_emotion(label)


def test_ravdess_codes():
    names = ["neutral", "neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"]
    assert [ravdess.EMOTION_CODES[f"{code:02}"] for code in range(1, 9)] == names


def test_emodb_codes():
    # The initials of Angst, Ekel, Freude, Langeweile, neutral, Trauer and Wut.
    expected = ["A fearful", "E disgusted", "F happy", "L bored", "N neutral", "T sad", "W angry"]
    assert sorted(" ".join(item) for item in emodb.EMOTION_CODES.items()) == expected


def test_benchmark_labels_number_as_in_the_released_checkpoints():
    label = corpus_features(BENCHMARK_EMOTIONS)["emotion"]
    assert [label.str2int(name) for name in ("angry", "neutral", "happy", "sad")] == [0, 1, 2, 3]


COUNTS = {
    ("ravdess", "benchmark"): (504, 72, 288),
    ("ravdess", "default"): (840, 120, 480),
    ("emodb", "benchmark"): (208, 73, 58),
    ("emodb", "default"): (312, 127, 96),
}


@pytest.mark.parametrize(("corpus", "config"), COUNTS)
def test_counts_of_the_real_corpora(shared_data, tmp_path, corpus, config):
    from lssed_hf import load_corpus

    splits = load_corpus(corpus, shared_data / corpus, config, cache_dir=tmp_path)
    assert [splits[name].num_rows for name in ("train", "validation", "test")] == [*COUNTS[corpus, config]]
    num_labels = {"benchmark": 4, "default": 11}[config]
    assert splits["train"].features["emotion"].num_classes == num_labels


def test_ravdess_benchmark_has_calm_in_neutral(shared_data, tmp_path):
    from lssed_hf import load_corpus

    splits = load_corpus("ravdess", shared_data / "ravdess", "benchmark", cache_dir=tmp_path)
    label = splits["train"].features["emotion"]
    counts = dict.fromkeys(label.names, 0)
    for rows in splits.values():
        for emotion, path in zip(rows["emotion"], rows["id"]):
            counts[label.int2str(emotion)] += 1
            assert (label.int2str(emotion) == "neutral") == (path.split("-")[2] in ("01", "02"))
    assert counts == {"angry": 192, "neutral": 288, "happy": 192, "sad": 192}
