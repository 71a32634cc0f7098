"""Training end to end on a little synthetic speech, and from where it stopped."""

import csv
import json
from itertools import pairwise

import datasets
import numpy as np
import pytest
import torch
from interruption import run_killed, stopped_at
from safetensors.torch import load_file
from tones import FLAGS as TONE_FLAGS
from tones import write_emodb, write_ravdess
from transformers import AutoModelForAudioClassification, pipeline

from lssed_hf import (
    AudioError,
    EspnetAsrConfig,
    EspnetAsrFeatureExtractor,
    EspnetAsrForSpeechSeq2Seq,
    PyResNetFeatureExtractor,
    create_model,
)
from lssed_hf.cli import train as train_command
from lssed_hf.corpora.sources import load_splits
from lssed_hf.corpora.splits import speaker_split
from lssed_hf.training.arguments import DataArguments
from lssed_hf.training.classification_loss import ClassificationLoss, balanced_class_weights
from lssed_hf.training.selection import few_speakers, held_out_speakers, with_extra_corpora, with_validation


pytest.importorskip("espeakng_loader")

TINY = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 4,
    "hidden_sizes": [16, 16, 16, 16],
    "groups": [[1] * 4, [1] * 3, [1, 1], [1]],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from lssed_hf.testing.releases.lssed import write_synthetic_lssed

    return write_synthetic_lssed(tmp_path_factory.mktemp("corpus"), num_speakers=6, utterances_per_speaker=8)


@pytest.fixture
def flags(corpus, tmp_path):
    return [
        *("--dataset_name", "lssed", "--data_dir", str(corpus), "--output_dir", str(tmp_path / "model")),
        *("--config_overrides", json.dumps(TINY), "--crop_seconds", "1", "--disable_tqdm", "true"),
        *("--num_train_epochs", "3", "--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "2"),
        *("--report_to", "none"),
    ]


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_train_writes_a_model_that_serves_and_its_scores_on_the_test_split(flags, tmp_path, capsys, pictures):
    assert train_command.main(flags) == 0

    folder = tmp_path / "model"
    results = json.loads((folder / "results.json").read_text())
    assert results["labels"] == ["angry", "neutral", "happy", "sad"]
    speakers = "The only test speaker is not in the training set."
    assert results["context"] == {"model": str(folder), "dataset": "lssed", "split": "test", "speakers": speakers}
    assert speakers in (folder / "report.md").read_text()
    assert results["majority"]["unweighted_accuracy"] == 0.25
    with (folder / "left_out.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == sum(entry["count"] for entry in results["left_out"]) > 0
    assert {(row["source"], row["reason"]) for row in listed} == {
        (entry["source"], entry["reason"]) for entry in results["left_out"]
    }
    assert f"Loading the data left out {len(listed)} rows: " in (folder / "report.md").read_text()
    assert {"report.md", "confusion_matrix.png", "predictions.csv", "README.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder / "confusion_matrix.png").stat().st_size > 1000
    assert json.loads((folder / "train_results.json").read_text())["peak_memory_mb"] > 100
    printed = capsys.readouterr().out
    assert 'always "neutral"' in printed and speakers in printed
    assert "The second row always answers with the largest class of the training set.\n" in printed
    assert "Training started from random weights." in (folder / "README.md").read_text()
    assert PyResNetFeatureExtractor.from_pretrained(folder).mean is not None
    assert AutoModelForAudioClassification.from_pretrained(folder).config.id2label[0] == "angry"


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["random", "balanced", "by length"])
def test_a_stopped_run_ends_in_the_same_weights(flags, tmp_path, sampling, forking_python):
    flags += ["--save_strategy", "steps", "--save_steps", "3", "--eval_strategy", "steps", "--eval_steps", "3"]
    flags += ["--mixup", "0.3", "--time_mask", "8", "--freq_mask", "8", "--optim", "adamw_torch"]
    flags += ["--train_sampling_strategy", "group_by_length"] if sampling == "by length" else ["--sampling", sampling]
    whole = [flag.replace(str(tmp_path / "model"), str(tmp_path / "whole")) for flag in flags]
    train_command.main(whole)

    # Step 5 lies between the checkpoints of steps 3 and 6, in the middle of an epoch.
    if sampling == "random":
        run_killed(forking_python, 5, ["train", *flags])
    else:
        with stopped_at(5), pytest.raises(KeyboardInterrupt):
            train_command.main(flags)
    assert (tmp_path / "model" / "checkpoint-3").is_dir()
    assert not (tmp_path / "model" / "model.safetensors").exists()
    train_command.main(flags)

    expected, resumed = weights(tmp_path / "whole"), weights(tmp_path / "model")
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("mixup", ["0", "0.3"])
def test_updates_do_not_depend_on_gradient_accumulation(flags, tmp_path, mixup):
    # A frozen encoder keeps batch statistics, which do depend on the batch, out of it.
    at = flags.index("--per_device_train_batch_size")
    flags = [*flags[:at], *flags[at + 4 :], "--num_trainable_stages", "0", "--mixup", mixup, "--max_steps", "3"]
    for size, steps in ((8, 1), (2, 4)):
        batch = ["--per_device_train_batch_size", str(size), "--gradient_accumulation_steps", str(steps)]
        train_command.main([*flags, *batch, "--output_dir", str(tmp_path / f"{size}x{steps}")])
    whole = weights(tmp_path / "8x1")["classifier.weight"]
    assert torch.allclose(weights(tmp_path / "2x4")["classifier.weight"], whole, atol=1e-6)


@pytest.mark.slow
def test_restart_ignores_earlier_checkpoints(flags, tmp_path):
    flags[flags.index("3")] = "1"
    train_command.main(flags)
    checkpoint = next((tmp_path / "model").glob("checkpoint-*"))
    marker = checkpoint / "earlier"
    marker.touch()
    train_command.main([*flags, "--restart"])
    assert not marker.exists()


def test_the_papers_recipe_is_the_default(tmp_path):
    from transformers import HfArgumentParser

    from lssed_hf.training.arguments import RecipeArguments

    (args,) = HfArgumentParser(RecipeArguments).parse_args_into_dataclasses(["--output_dir", str(tmp_path)])
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 256
    assert (args.num_train_epochs, args.learning_rate, args.weight_decay) == (60, 0.01, 0.001)
    assert (args.lr_step_epochs, args.lr_step_gamma, args.optim, args.momentum) == (20, 0.1, "sgd", 0.9)


@pytest.mark.slow
def test_the_learning_rate_drops_every_so_many_epochs(flags, tmp_path):
    train_command.main([*flags, "--lr_step_epochs", "1", "--logging_steps", "1"])
    history = json.loads((tmp_path / "model" / "trainer_state.json").read_text())["log_history"]
    by_epoch = {}
    for entry in history:
        if "learning_rate" in entry:
            by_epoch.setdefault(int(np.ceil(entry["epoch"] - 1e-6)), set()).add(round(entry["learning_rate"], 8))
    # What is logged after an epoch's last step is already the next one's rate.
    assert 0.01 in by_epoch[1] and 0.001 in by_epoch[2] and 0.0001 in by_epoch[3]
    assert set.union(*by_epoch.values()) <= {0.01, 0.001, 0.0001, 0.00001}


def test_validation_speakers_are_held_out_where_there_is_no_validation_split(flags, tmp_path, caplog):
    with caplog.at_level("INFO"):
        train_command.main([*flags, "--split_scheme", "paper", "--max_steps", "1", "--validation_fraction", "0.3"])
    assert "training clips are held out" in caplog.text


@pytest.mark.slow
def test_a_pretrained_classifier_gets_a_new_head(flags, tmp_path):
    source = tmp_path / "pretrained"
    create_model("pyresnet50", num_labels=2, **TINY).save_pretrained(source)
    PyResNetFeatureExtractor(mean=[0.0] * 128, std=[10.0] * 128).save_pretrained(source)
    at = flags.index("--config_overrides")
    train_command.main([*flags[:at], *flags[at + 2 :], "--model_name_or_path", str(source), "--max_steps", "1"])
    assert AutoModelForAudioClassification.from_pretrained(tmp_path / "model").config.num_labels == 4
    assert PyResNetFeatureExtractor.from_pretrained(tmp_path / "model").std == [10.0] * 128, "statistics belong to it"


@pytest.mark.slow
def test_the_encoder_of_a_recogniser_trains_on_its_own_features(flags, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "vocab_size": 9, "num_mel_bins": 40}
    at = flags.index("--config_overrides")
    flags = [*flags[:at], *flags[at + 2 :]]
    overrides = ["--config_overrides", json.dumps(sizes), "--feature_extractor_overrides", '{"num_mel_bins": 40}']
    augmentation = ["--time_mask", "5", "--gain_db", "6", "--mixup", "0.2"]
    train_command.main(
        [*flags, "--model_name_or_path", "espnet-conformer", *overrides, *augmentation, "--max_steps", "2"]
    )
    extractor = EspnetAsrFeatureExtractor.from_pretrained(tmp_path / "model")
    assert len(extractor.mean) == 40 and -20 < extractor.mean[0] < 0, "statistics of its own features"
    assert json.loads((tmp_path / "model" / "results.json").read_text())["num_utterances"] > 0
    classify = pipeline("audio-classification", model=str(tmp_path / "model"), device="cpu")
    assert sum(entry["score"] for entry in classify(np.zeros(8000, np.float32))) == pytest.approx(1, abs=1e-4)

    # Its encoder starts another classifier, as a recogniser's would.
    source = tmp_path / "recogniser"
    EspnetAsrForSpeechSeq2Seq(EspnetAsrConfig(**sizes)).save_pretrained(source)
    extractor.mean[0] = -3.0
    extractor.save_pretrained(source)
    tuned = [*flags, "--model_name_or_path", str(source), "--num_trainable_stages", "0"]
    tuned += ["--restart", "--max_steps", "1"]
    train_command.main(tuned)
    assert EspnetAsrFeatureExtractor.from_pretrained(tmp_path / "model").mean == extractor.mean
    before, after = weights(source), weights(tmp_path / "model")
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items() if name.startswith("model."))


@pytest.mark.slow
def test_any_transformers_audio_classifier_trains(flags, tmp_path):
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    source = tmp_path / "wav2vec2"
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(40, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
    )
    Wav2Vec2ForSequenceClassification(config).save_pretrained(source)
    Wav2Vec2FeatureExtractor().save_pretrained(source)
    at = flags.index("--config_overrides")
    flags = [*flags[:at], *flags[at + 2 :], "--model_name_or_path", str(source)]
    with pytest.raises(ValueError, match="work on the features of this package"):
        train_command.main([*flags, "--mixup", "0.2"])
    train_command.main([*flags, "--max_steps", "2", "--freeze_feature_encoder"])
    assert json.loads((tmp_path / "model" / "results.json").read_text())["num_utterances"] > 0


def test_class_weights_and_smoothing_match_torch():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(9, 4, generator=generator), torch.randint(4, (9,), generator=generator)
    weights = [0.5, 2.0, 1.0, 0.5]
    reference = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(ClassificationLoss(4, None, 0.1)({"logits": logits}, labels), reference)
    reference = torch.nn.functional.cross_entropy(logits, labels, torch.tensor(weights), reduction="sum") / 9
    assert torch.allclose(ClassificationLoss(4, weights)({"logits": logits}, labels), reference)


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_does_not_depend_on_how_a_batch_is_divided(soft):
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(8, 4, generator=generator), torch.randint(4, (8,), generator=generator)
    if soft:
        labels = torch.nn.functional.one_hot(labels, 4).float()
    loss = ClassificationLoss(4)
    items = labels.ne(-100).sum()  # as the Trainer counts
    parts = [loss({"logits": logits[i : i + 2]}, labels[i : i + 2], items) for i in range(0, 8, 2)]
    assert torch.allclose(sum(parts), loss({"logits": logits}, labels))


def test_balanced_class_weights_average_to_one_over_the_clips():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = balanced_class_weights(labels, 4)
    assert weights[2] == 0 and weights[0] < weights[1] < weights[3]
    assert np.isclose(np.mean([weights[label] for label in labels]), 1)


def test_few_training_speakers_are_drawn_by_the_seed_and_nested():
    rows = datasets.Dataset.from_dict(
        {"speaker_id": ["a", "b", None, "c", "d", "a", "e"], "emotion": [0] * 7, "number": list(range(7))}
    )

    def speakers(number, seed):
        data_args = DataArguments(dataset_name="x", max_train_speakers=number)
        chosen = few_speakers(rows, data_args, seed)
        assert set(chosen["number"]) == {
            i for i, name in enumerate(rows["speaker_id"]) if name in chosen["speaker_id"]
        }
        return set(chosen["speaker_id"])

    drawn = [speakers(number, 0) for number in range(1, 6)]
    assert [len(names) for names in drawn] == [1, 2, 3, 4, 5] and None not in drawn[-1]
    assert all(few < more for few, more in pairwise(drawn))
    assert len({tuple(sorted(speakers(2, seed))) for seed in range(8)}) > 1
    with pytest.raises(ValueError, match="--max_train_speakers 6: x has 5 training speakers"):
        speakers(6, 0)
    with pytest.raises(ValueError, match="needs a column 'speaker_id'; there are emotion, number"):
        few_speakers(rows.remove_columns("speaker_id"), DataArguments("x", max_train_speakers=1), 0)


def test_people_with_one_label_are_held_out_by_label():
    groups = [f"p{index}" for index in range(40) for _ in range(3)]
    labels = [int(int(name[1:]) % 5 == 0) for name in groups]  # 8 of 40
    held_out = held_out_speakers(groups, labels, 0.25, seed=3)
    assert sum(int(name[1:]) % 5 == 0 for name in held_out) == 2 and len(held_out) == 10
    assert held_out_speakers(groups, labels, 0.25, seed=4) != held_out
    mixed = [index % 2 for index in range(len(groups))]
    alike = speaker_split(groups, {"validation": 0.25, "train": 0.75})["validation"]
    assert held_out_speakers(groups, mixed, 0.25, 0) == alike
    assert held_out_speakers(["a", "a"], [0, 1], 0.25, 0) == set()


def test_missing_split_and_label_column_are_named(flags):
    with pytest.raises(ValueError, match="has no split 'nope'"):
        train_command.main([*flags, "--train_split_name", "nope"])
    with pytest.raises(ValueError, match="no column 'nope'"):
        train_command.main([*flags, "--label_column_name", "nope"])


def test_splits_are_joined_and_other_speakers_held_out_for_every_seed():
    splits = {"train": "abcdefgh", "validation": "ij", "test": "kl"}
    dataset = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict({"speaker_id": list(speakers) * 2, "emotion": [0, 1] * len(speakers)})
            for name, speakers in splits.items()
        }
    )
    data_args = DataArguments("x", train_split_name="train+validation", validation_split_name="selection")
    data_args.validation_fraction = 0.3
    held_out = set()
    for seed in range(4):
        joined = with_validation(dataset, data_args, seed)
        sets = {name: set(joined[name]["speaker_id"]) for name in ("train+validation", "selection", "test")}
        assert sets["train+validation"] | sets["selection"] == set("abcdefghij") and len(sets["selection"]) == 3
        assert not sets["train+validation"] & sets["selection"] and sets["test"] == set("kl")
        held_out.add("".join(sorted(sets["selection"])))
    assert len(held_out) > 1
    for wrong in ("train+test", "train+validation"):
        data_args = DataArguments("x", train_split_name=wrong)
        with pytest.raises(ValueError, match="holds the split of validation or test"):
            with_validation(dataset, data_args, 0)


def test_the_training_clips_of_other_corpora_are_added(tmp_path, caplog):
    first, second = write_ravdess(tmp_path / "ravdess"), write_emodb(tmp_path / "emodb")
    data_args = DataArguments("ravdess", data_dir=str(first), extra_corpora=[f"emodb={second}"])
    dataset = load_splits("ravdess", None, first)
    joined = with_extra_corpora(dataset, data_args)
    assert len(joined["train"]) == len(dataset["train"]) + 24 and joined["test"] is dataset["test"]
    speakers = set(joined["train"]["speaker_id"])
    assert {"emodb_03", "emodb_08"} <= speakers and len(speakers) == 4
    rows = joined["train"].cast_column("audio", datasets.Audio(decode=False))
    names = rows.features["emotion"].names
    for row in rows:
        if row["speaker_id"].startswith("emodb"):  # the sixth letter of its names is the emotion
            code = row["audio"]["path"].rpartition("/")[2][5]
            assert names[row["emotion"]] == {"N": "neutral", "F": "happy", "T": "sad", "W": "angry"}[code]
    bored = write_emodb(tmp_path / "bored", "NLTW")
    data_args.dataset_config_name, data_args.extra_corpora = "default", [f"emodb={bored}"]
    with pytest.raises(ValueError, match="--extra_corpora emodb has labels that ravdess lacks: bored"):
        with_extra_corpora(dataset, data_args)


def test_other_corpora_are_recorded_and_no_folder_is(tmp_path):
    first, second = write_ravdess(tmp_path / "ravdess"), write_emodb(tmp_path / "emodb")
    argv = ["--dataset_name", "ravdess", "--data_dir", str(first), "--extra_corpora", f"emodb={second}"]
    train_command.main([*argv, "--output_dir", str(tmp_path / "out"), *TONE_FLAGS])
    record = (tmp_path / "out" / "training.json").read_text()
    assert [corpus["corpus"] for corpus in json.loads(record)["corpora"]] == ["ravdess", "emodb"]
    assert json.loads(record)["splits"]["train"]["num_utterances"] == 32 + 24
    card = (tmp_path / "out" / "README.md").read_text()
    assert "emodb" in card and str(tmp_path) not in record + card


@pytest.mark.parametrize("model", ["pyresnet50", "compare-svm"])
def test_a_damaged_test_clip_is_found_before_the_training(model, tmp_path):
    corpus, out = write_ravdess(tmp_path / "ravdess"), tmp_path / "out"
    clip = next(corpus.glob("*-18.wav"))
    clip.write_bytes(clip.read_bytes()[:3000])
    flags = TONE_FLAGS if model == "pyresnet50" else []
    argv = ["--dataset_name", "ravdess", "--data_dir", str(corpus), "--model_name_or_path", model, *flags]
    with pytest.raises(AudioError, match=rf"{clip.name}: truncated.*lssed-hf prepare ravdess"):
        train_command.main([*argv, "--output_dir", str(out)])
    assert {path.name for path in out.iterdir()} <= {"train_settings.json", ".lock"}
