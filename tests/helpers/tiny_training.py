"""A network of two blocks, a `SpeechDataset` of made-up features, and a Trainer for both."""

import datasets
import numpy as np
import torch
from torch import nn

from lssed_hf import PyResNetFeatureExtractor, create_model
from lssed_hf.training.arguments import RecipeArguments
from lssed_hf.training.data import ClipCollator, SpeechDataset
from lssed_hf.training.problem import Problem
from lssed_hf.training.trainer import SpeechTrainer


TINY = {
    "depths": [1, 1],
    "embedding_size": 4,
    "hidden_sizes": [16, 16],
    "kernel_sizes": [[3], [3]],
    "groups": [[1], [1]],
    "num_mel_bins": None,
}


def network(num_labels: int, seed: int = 0, batch_norm: bool = True, **changes):
    torch.manual_seed(seed)
    model = create_model("pyresnet50", num_labels=num_labels, **{**TINY, **changes})
    if not batch_norm:
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, nn.Identity())
    return model


def speech_dataset(features: np.ndarray, labels, num_labels: int, **kwargs) -> SpeechDataset:
    """Return clips of features (num_clips, frames, num_mel_bins) that are taken as they are."""
    bins = features.shape[2]
    columns = {"values": [clip.ravel() for clip in features], "width": [bins] * len(features), "emotion": labels}
    schema = {
        "values": datasets.Sequence(datasets.Value("float32")),
        "width": datasets.Value("int32"),
        "emotion": datasets.ClassLabel(num_classes=num_labels),
    }
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(schema))
    extractor = PyResNetFeatureExtractor(num_mel_bins=bins, normalization="none")
    return SpeechDataset(rows, extractor, "emotion", num_labels=num_labels, **kwargs)


def trainer(folder, model, dataset: SpeechDataset, **changes) -> SpeechTrainer:
    fields = {
        "output_dir": str(folder),
        "report_to": "none",
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_step_epochs": 0,
        "disable_tqdm": True,
    }
    return SpeechTrainer(
        model=model,
        args=RecipeArguments(**{**fields, **changes}),
        train_dataset=dataset,
        problem=Problem(list(model.config.id2label.values()), "emotion"),
        data_collator=ClipCollator(dataset.feature_extractor),
    )
