"""Training as in transformers' audio classification example: a plain Trainer, nothing of `lssed_hf.training`."""

import evaluate
import numpy as np
import pytest
from datasets import Audio, load_dataset
from transformers import Trainer, TrainingArguments, pipeline

from lssed_hf import PyResNetConfig, PyResNetFeatureExtractor, PyResNetForAudioClassification, load_audio, metric_path


pytest.importorskip("espeakng_loader")


def test_plain_trainer_with_frozen_encoder_metric_and_card(tmp_path, monkeypatch):
    from lssed_hf.testing.releases.lssed import write_synthetic_lssed

    corpus = write_synthetic_lssed(tmp_path / "corpus", num_speakers=4, utterances_per_speaker=6)
    dataset = load_dataset("lssed", "benchmark", data_dir=str(corpus), split_scheme="paper")
    dataset = dataset.cast_column("audio", Audio(decode=False))
    feature_extractor = PyResNetFeatureExtractor(normalization="utterance")

    def preprocess(batch):
        clips = [load_audio(clip) for clip in batch["audio"]]
        inputs = feature_extractor(clips, sampling_rate=16000, padding=False)
        return {**inputs, "labels": batch["emotion"]}

    dataset.set_transform(preprocess)
    names = dataset["train"].features["emotion"].names
    model = PyResNetForAudioClassification(
        PyResNetConfig(
            depths=[1, 1],
            hidden_sizes=[16, 32],
            embedding_size=8,
            kernel_sizes=[[3, 5], [3]],
            groups=[[1, 1], [1]],
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
        )
    )
    model.freeze_base_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    metric = evaluate.load(metric_path())
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "model"),
            num_train_epochs=1,
            per_device_train_batch_size=4,
            remove_unused_columns=False,
            report_to="none",
            use_cpu=True,
        ),
        train_dataset=dataset["train"],
        eval_dataset=dataset["test"],
        processing_class=feature_extractor,
        compute_metrics=lambda p: {
            key: value
            for key, value in metric.compute(
                predictions=np.argmax(p.predictions, axis=1), references=p.label_ids, num_labels=len(names)
            ).items()
            if isinstance(value, float)
        },
    )
    trainer.train()
    scores = trainer.evaluate()
    trainer.save_model()
    trainer.create_model_card(tasks="audio-classification", finetuned_from=None)

    assert 0 <= scores["eval_unweighted_accuracy"] <= 1 and 0 <= scores["eval_weighted_accuracy"] <= 1
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    card = (tmp_path / "model" / "README.md").read_text()
    assert "- lssed" in card and "Unweighted Accuracy" in card, "the builder's name earns the card its results"

    monkeypatch.chdir(tmp_path)
    classifier = pipeline("audio-classification", model="model")
    clip = {"array": load_audio(next((corpus / "wav_all").iterdir())), "sampling_rate": 16000}
    assert {row["label"] for row in classifier(clip)} == set(names)
