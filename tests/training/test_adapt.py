"""`lssed-hf adapt` on recordings of tones: what it prints, saves and refuses."""

import json
import re
import shutil

import datasets
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tiny_classifier import write_classifier
from tiny_whisper import write_whisper
from tones import write_ravdess
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

import lssed_hf
from lssed_hf import cli, load_classifier
from lssed_hf.cli import train as train_command


pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000
LABELS = ["angry", "neutral", "happy", "sad"]
TONES = {"wut": 3000, "neutral": 300, "freude": 1500, "trauer": 700}
PROBE = ["--probe", "true", "--probe_pooling", "statistics", "--probe_layer", "1", "--probe_C", "0.1"]
UA = "unweighted_accuracy"


def write_tones(folder, people=("anna", "bert", "carl"), tones=TONES, takes=2):
    """Write a folder for each speaker, and in it a folder for each label."""
    rng = np.random.default_rng(2)
    for number, person in enumerate(people):
        for label, frequency in tones.items():
            for take in range(takes):
                path = folder / person / label / f"{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                wave = np.sin(2 * np.pi * frequency * (1 + 0.1 * number) * np.arange(6400) / RATE)
                soundfile.write(path, 0.3 * wave + 0.02 * rng.normal(size=6400), RATE)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("recordings") / "own")


@pytest.fixture(scope="module")
def statistics_model(tmp_path_factory):
    """A truncated Whisper encoder that was trained with speakers' statistics."""
    folder = tmp_path_factory.mktemp("model")
    data = ["--dataset_name", "ravdess", "--data_dir", str(write_ravdess(folder / "ravdess"))]
    flags = ["--validation_fraction", "0", "--speaker_normalization", "all", "--report_to", "none"]
    whisper = ["--model_name_or_path", str(write_whisper(folder / "whisper"))]
    out = folder / "out"
    assert train_command.main([*data, *whisper, *PROBE, *flags, "--output_dir", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    torch.manual_seed(0)
    return write_classifier(tmp_path_factory.mktemp("network"), LABELS)


@pytest.fixture(scope="module")
def adapted(statistics_model, recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "out"
    return out, lssed_hf.adapt(statistics_model, recordings, out)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def state(folder):
    return load_classifier(folder, device="cpu").model.state_dict()


class TestResult:
    def test_holds_clips_labels_and_scores(self, adapted):
        out, results = adapted
        assert results == read(out / "adapt.json")
        assert results["labels"] == LABELS and results["num_clips"] == 24 and results["num_speakers"] == 3
        assert results["matched_labels"] == {
            "freude": "happy", "neutral": "neutral", "trauer": "sad", "wut": "angry"
        }  # fmt: skip
        assert results["clips_by_label"] == dict.fromkeys(LABELS, 6)
        assert (results["folds"], results["num_folds"]) == ("speakers", 3)
        assert list(results[UA]) == ["without speakers", "by speaker"] and len(results["temperatures"]) == 2
        assert "3 speakers: intervals are too narrow" in results["notes"]

    def test_before_is_the_score_of_the_model_as_it_is(self, adapted, statistics_model, recordings):
        _, results = adapted
        for view, kind in (("without speakers", "none"), ("by speaker", "all")):
            scores = lssed_hf.evaluate(
                recordings, statistics_model, split="all", speaker_normalization=kind, label_set="lssed",
                label_map={"wut": "angry", "freude": "happy", "trauer": "sad"},
            )  # fmt: skip
            assert results[UA][view]["before"]["value"] == pytest.approx(scores["metrics"][UA])

    def test_the_model_opens_like_any_other(self, adapted, recordings):
        out, _ = adapted
        clip = str(recordings / "anna" / "wut" / "0.wav")
        [mine] = lssed_hf.predict(clip, out)
        [theirs] = [pipeline("audio-classification", model=str(out))(soundfile.read(clip, dtype="float32")[0])]
        assert theirs[0]["label"] == mine.label and theirs[0]["score"] == pytest.approx(mine.score, abs=1e-4)
        by_speaker = lssed_hf.predict(recordings, out, speaker_from="path")
        assert len(by_speaker) == 24 and not any(one.error for one in by_speaker)

    def test_the_head_has_moved_and_the_encoder_has_not(self, adapted, statistics_model):
        old, new = state(statistics_model), state(adapted[0])
        changed = {name for name in old if not torch.equal(old[name], new[name])}
        assert changed == {"classifier.weight", "classifier.bias", "within_variance", "speaker_temperature"}

    def test_record_and_card_tell_the_start(self, adapted, statistics_model):
        facts = read(adapted[0] / "training.json")
        assert facts["start"]["name"] == statistics_model.name
        assert facts["settings"]["head"] == "adapted" and facts["settings"]["recalibrated"]
        card = (adapted[0] / "README.md").read_text(encoding="utf-8")
        assert (
            "UA on the clips that it was adapted to, by speaker, by cross-validation with 3 folds of speakers" in card
        )
        assert "anna" not in card and "anna" not in (adapted[0] / "training.json").read_text(encoding="utf-8")

    def test_it_can_be_adapted_again(self, adapted, recordings, tmp_path):
        again = lssed_hf.adapt(adapted[0], recordings, tmp_path / "again")
        assert again[UA]["by speaker"]["before"]["value"] >= adapted[1][UA]["by speaker"]["before"]["value"]


class TestLabels:
    def test_others_get_a_new_head(self, statistics_model, tmp_path):
        own = write_tones(tmp_path / "own", tones={"boredom": 400, "fear": 2500}, takes=4)
        results = lssed_hf.adapt(statistics_model, own, tmp_path / "out")
        assert results["matched_labels"] is None and results["labels"] == ["boredom", "fear"]
        for scores in results[UA].values():
            assert scores["before"] is None and scores["change"] is None and scores["after"]["value"] > 0.9
        assert "the labels are not those of the model" in results["notes"][0]
        assert not any("chance" in note for note in results["notes"])
        model = load_classifier(tmp_path / "out")
        assert model.labels == ["boredom", "fear"] and model.model.class_means.shape[0] == 2
        found = lssed_hf.predict(own, tmp_path / "out", speaker_from="path")
        assert np.mean([one.label in one.file for one in found]) > 0.9

    def test_a_new_head_that_learns_nothing_is_told_of(self, statistics_model, tmp_path):
        own = write_tones(tmp_path / "own", tones={"boredom": 900, "fear": 900}, takes=4)
        notes = lssed_hf.adapt(statistics_model, own, tmp_path / "out")["notes"]
        assert len([note for note in notes if "may be no better than chance, UA 0.500" in note]) == 1

    def test_two_that_are_the_same_are_no_match(self, statistics_model, tmp_path):
        own = write_tones(tmp_path / "own", tones={"wut": 400, "anger": 2500, "sad": 900})
        results = lssed_hf.adapt(statistics_model, own, tmp_path / "out")
        assert results["labels"] == ["anger", "sad", "wut"] and results["matched_labels"] is None

    def test_some_of_the_models_leave_the_others_as_they_are(self, statistics_model, tmp_path):
        own = write_tones(tmp_path / "own", tones={"SAD": 400, "happiness": 2500})
        results = lssed_hf.adapt(statistics_model, own, tmp_path / "out")
        assert results["labels"] == LABELS and results["matched_labels"] == {"SAD": "sad", "happiness": "happy"}
        assert "no clips of angry, neutral: what the model knows of them stays" in results["notes"]
        assert results["temperatures"] is None  # 12 clips
        old, new = state(statistics_model), state(tmp_path / "out")
        np.testing.assert_array_equal(old["classifier.weight"][:2], new["classifier.weight"][:2])

    def test_one_is_not_enough(self, statistics_model, tmp_path, capsys):
        own = write_tones(tmp_path / "own", tones={"sad": 400})
        argv = ["adapt", str(statistics_model), str(own), "--output_dir", str(tmp_path / "out"), "--label_map", "x=y"]
        assert cli.main([*argv[:5], "--label_pattern", r"/(sad)/"]) == 1
        assert "all clips are sad: a classifier needs clips of two classes at least" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


class TestNetworks:
    def test_a_pyresnet_keeps_its_layers(self, network, recordings, tmp_path):
        results = lssed_hf.adapt(network, recordings, tmp_path / "out")
        assert list(results[UA]) == ["without speakers"] and results[UA]["without speakers"]["before"] is not None
        old = lssed_hf.models.pyresnet.modeling_pyresnet.PyResNetForAudioClassification.from_pretrained(network)
        new = type(old).from_pretrained(tmp_path / "out")
        changed = {n for n, value in old.state_dict().items() if not torch.equal(value, new.state_dict()[n])}
        assert changed == {"classifier.weight", "classifier.bias"}

    def test_the_saved_head_is_the_one_that_was_scored(self, network, recordings, tmp_path, monkeypatch):
        heads = []
        monkeypatch.setattr(
            "lssed_hf.training.adapt.save",
            lambda classifier, head, *rest, save=lssed_hf.training.adapt.save: (
                heads.append(head) or save(classifier, head, *rest)
            ),
        )
        lssed_hf.adapt(network, recordings, tmp_path / "out")
        clip = lssed_hf.load_audio(recordings / "anna" / "wut" / "0.wav", RATE)
        [embedding] = load_classifier(network).embeddings([clip])
        expected = (embedding - heads[0].mean) / heads[0].std @ heads[0].weight.T + heads[0].bias
        found = load_classifier(tmp_path / "out").logits([clip])[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_one_with_speaker_normalization_is_adapted_by_speaker(self, recordings, tmp_path):
        model = write_classifier(tmp_path / "model", LABELS, normalization="speaker")
        results = lssed_hf.adapt(model, recordings, tmp_path / "out")
        assert list(results[UA]) == ["by speaker"]
        flags = {"label_map": {"wut": "angry", "freude": "happy", "trauer": "sad"}}
        scores = lssed_hf.evaluate(recordings, model, split="all", speaker_normalization="all", **flags)
        assert results[UA]["by speaker"]["before"]["value"] == pytest.approx(scores["metrics"][UA])

    def test_a_head_of_two_layers_is_refused_by_name(self, recordings, tmp_path, capsys):
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = Wav2Vec2Config(**sizes, conv_dim=(8,), conv_stride=(320,), conv_kernel=(400,), num_labels=4)
        Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path / "wav2vec2")
        Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "wav2vec2")
        out = ["--output_dir", str(tmp_path / "out")]
        assert cli.main(["adapt", str(tmp_path / "wav2vec2"), str(recordings), *out]) == 1
        error = capsys.readouterr().err
        assert "wav2vec2 cannot be adapted: its head is not one linear layer on the embedding" in error
        assert not (tmp_path / "out").exists()


class TestSpeakers:
    def test_of_a_table_beside_the_recordings(self, statistics_model, recordings, tmp_path):
        table = tmp_path / "speakers.csv"
        paths = sorted(recordings.rglob("*.wav"))
        rows = [f"{path},{'x' if 'anna' in str(path) else 'y'}" for path in paths]
        table.write_text("\n".join(["file,speaker", *rows]), encoding="utf-8")
        results = lssed_hf.adapt(statistics_model, recordings, tmp_path / "out", speaker_from=table)
        assert results["num_speakers"] == 2 and results["num_folds"] == 2
        assert read(tmp_path / "out" / "training.json")["splits"]["train"]["num_speakers"] == 2

    def test_one_who_is_called_none_is_known(self, recordings, tmp_path):
        own = shutil.copytree(recordings, tmp_path / "own")
        (own / "anna").rename(own / "None")
        model = write_classifier(tmp_path / "model", LABELS, normalization="speaker")
        results = lssed_hf.adapt(model, own, tmp_path / "out")
        same = lssed_hf.adapt(model, recordings, tmp_path / "same")
        assert results["num_speakers"] == 3
        assert results[UA]["by speaker"]["before"] == same[UA]["by speaker"]["before"]

    def test_folders_of_labels_are_no_speakers(self, statistics_model, recordings, tmp_path):
        with pytest.raises(ValueError, match="the folders here are those of labels"):
            lssed_hf.adapt(statistics_model, recordings, tmp_path / "out", speaker_from="path")

    def test_unknown_ones_are_noted(self, statistics_model, recordings, tmp_path):
        own = shutil.copytree(recordings / "anna", tmp_path / "own")
        results = lssed_hf.adapt(statistics_model, own, tmp_path / "out")
        assert (results["folds"], results["num_speakers"]) == ("clips", 0) and list(results[UA]) == [
            "without speakers"
        ]
        assert any("the same voices are on both sides of a fold" in note for note in results["notes"])
        assert any("fewer than 5 clips of angry, neutral, happy, sad" in note for note in results["notes"])
        assert any("fewer than 20 clips: confidence is not calibrated anew" in note for note in results["notes"])


class TestCommand:
    def test_prints_a_table_and_notes(self, statistics_model, recordings, tmp_path, capsys):
        out = tmp_path / "out"
        assert cli.main(["adapt", str(statistics_model), str(recordings), "--output_dir", str(out)]) == 0
        printed = capsys.readouterr()
        counts = "24 clips of 3 speakers in 4 classes: 6 angry, 6 neutral, 6 happy, 6 sad"
        assert printed.out.startswith(f"{statistics_model} is adapted to {counts}\n")
        assert "Labels: freude is happy, trauer is sad, wut is angry\n" in printed.out
        assert "adapted to\nother speakers (3 folds)." in printed.out
        assert re.search(r"^clips  +before  +after  +change$", printed.out, re.MULTILINE)
        assert "\nwithout speakers " in printed.out and "\nby speaker " in printed.out
        assert f"The adapted model is in {out}: lssed-hf predict {out} RECORDING ..." in printed.out
        assert "Note: 3 speakers: intervals are too narrow" in printed.err

    def test_says_nothing_of_libraries_and_of_splits(self, recordings, tmp_path, capsys, caplog):
        """Bars are for terminals, and nothing is divided where all clips are taken."""
        own = shutil.copytree(recordings / "anna", tmp_path / "own")
        datasets.enable_progress_bars()
        assert cli.main(["adapt", "encoder-small", str(own), "--output_dir", str(tmp_path / "out")]) == 0
        said = capsys.readouterr().err
        assert not re.search(r"it/s|examples|shards|\d%", said) and said.count("\n") == said.count("Note: ") > 0
        assert [record.message for record in caplog.records] == [
            "folder: 4 labels from the 1st folder level, no speakers (--speaker_pattern finds them in paths)"
        ]

    def test_takes_the_data_by_flags(self, network, recordings, tmp_path, capsys):
        argv = ["adapt", str(network), "--data_dir", str(recordings), "--output_dir", str(tmp_path / "out")]
        assert cli.main([*argv, "--label_map", "wut=play", "freude=work"]) == 0
        assert "n/a" in capsys.readouterr().out
        assert load_classifier(tmp_path / "out").labels == ["neutral", "play", "trauer", "work"]

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["model", "own"], "required: --output_dir"),
            (["--output_dir", "out"], "name the folder of your recordings"),
            (["a", "b", "c", "--output_dir", "out"], "no more than a model in front of it"),
            (["a", "b", "--data_dir", "{own}", "--output_dir", "out"], "no more than a model in front of it"),
        ],
    )
    def test_needs_a_folder_and_an_output(self, recordings, capsys, argv, message):
        with pytest.raises(SystemExit):
            cli.main(["adapt", *(word.format(own=recordings) for word in argv)])
        assert message in capsys.readouterr().err

    def test_does_not_write_over_the_model(self, network, recordings, capsys):
        before = (network / "model.safetensors").read_bytes()
        assert cli.main(["adapt", str(network), str(recordings), "--output_dir", str(network)]) == 1
        assert "is the folder of the model to adapt" in capsys.readouterr().err
        assert (network / "model.safetensors").read_bytes() == before


def test_a_data_set_in_memory(network, recordings, tmp_path):
    paths = sorted(recordings.glob("anna/*/*.wav"))
    data = {"audio": [str(path) for path in paths], "emotion": [path.parent.name for path in paths]}
    data = datasets.Dataset.from_dict(data).cast_column("audio", datasets.Audio(RATE))
    results = lssed_hf.adapt(network, data, tmp_path / "out")
    assert results["num_clips"] == 8 and results["folds"] == "clips" and results["num_folds"] == 2
    assert results["matched_labels"]["wut"] == "angry"


def test_a_model_without_finite_scores_is_not_saved(recordings, tmp_path):
    model = write_classifier(tmp_path / "model", LABELS, dimensions=["arousal"])
    network = load_file(model / "model.safetensors")
    (name,) = (name for name in network if name.startswith("dimension_head") and name.endswith("weight"))
    network[name] = torch.full_like(network[name], 3e38)
    save_file(network, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="freude/0: the model gives no finite scores"):
        lssed_hf.adapt(model, recordings, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
