"""Words for the start and the trained part of a training."""

import json

import pytest

from lssed_hf.experiments.starts import describe_start, describe_trained


@pytest.mark.parametrize(
    ("architecture", "labels", "corpora", "expected"),
    [
        ("PyResNetForAudioClassification", ["angry", "neutral"], ["lssed", "lssed"], "SER: lssed"),
        ("EspnetAsrForSpeechSeq2Seq", [], ["librispeech"], "ASR: librispeech"),
        ("WhisperForConditionalGeneration", ["LABEL_0", "LABEL_1"], None, "ASR: unknown data (start)"),
        ("Wav2Vec2Model", [], None, "pretrained: unknown data (start)"),
        ("WhisperForAudioClassification", ["0", "1"], ["daic_woz"], "classifier: daic_woz"),
    ],
)
def test_a_start_is_named_by_what_it_is(tmp_path, architecture, labels, corpora, expected):
    folder = tmp_path / "start"
    folder.mkdir()
    config = {"architectures": [architecture], "id2label": dict(enumerate(labels))}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if corpora is not None:
        record = {"corpora": [{"name": name} for name in corpora]}
        (folder / "training.json").write_text(json.dumps(record), encoding="utf-8")
    assert describe_start(str(folder)) == expected


def test_a_start_of_synthetic_speech_says_so(tmp_path):
    (tmp_path / "config.json").write_text('{"id2label": {"0": "angry"}}', encoding="utf-8")
    record = {"corpora": [{"name": "lssed", "synthetic": True}, {"name": "ravdess"}]}
    (tmp_path / "training.json").write_text(json.dumps(record), encoding="utf-8")
    assert describe_start(str(tmp_path)) == "SER: synthetic lssed, ravdess"


def test_labels_in_a_list_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"id2label": ["a", "b"]}')
    with pytest.raises(ValueError, match=r"config\.json: id2label must name from 1"):
        describe_start(str(tmp_path))


def test_random_weights_are_scratch():
    assert describe_start("pyresnet50") == "scratch: pyresnet50"


def test_what_was_trained_is_what_the_record_says():
    record = {"num_parameters": 1000, "trained": {"part": "head", "num_parameters": 10}}
    assert describe_trained(record) == "head, 10 of 1,000 parameters"
    part = {"part": "head and part of the encoder", "num_parameters": 400}
    assert describe_trained({**record, "trained": part}, 2) == "head and last 2 stages, 400 of 1,000 parameters"
    assert describe_trained({"num_parameters": 5, "trained": {"part": "all", "num_parameters": 5}}) == "all"
    assert describe_trained({"num_parameters": 5}) == "not recorded"
