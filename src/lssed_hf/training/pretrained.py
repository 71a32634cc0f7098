"""Pretrained encoders for classification, also with shorter clips than those that they pad to a fixed length."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, SequenceFeatureExtractor

from ..inference.classifiers.checks import check_labels, refusing
from ..inference.classifiers.loading import find_model
from ..inference.classifiers.network import open_encoder, open_front_end
from ..inference.classifiers.pretrained import list_pretrained
from ..models.encoders import encoder_of
from ..models.registry import list_models
from ..suggest import did_you_mean
from .arguments import ModelArguments


def label_maps(labels: Sequence[str]) -> dict[str, dict]:
    """Return the fields of a model's configuration that name its classes."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def find_start(name: str) -> Path:
    """Return the folder of a pretrained model to start from, or its name on the Hub.

    Raises:
        OSError: There is no such model, or the Hub cannot be asked.
        ValueError: The name is that of no folder, and cannot be one of the Hub.
    """
    known = [*list_models(), *list_pretrained()]
    if not os.path.isdir(name) and "/" not in name and name not in known:
        raise ValueError(
            f"unknown model {name!r}{did_you_mean(name, known)} (see lssed_hf.list_models(), list_pretrained())"
        )
    return find_model(name)


def load_pretrained(
    model_args: ModelArguments, label_maps: Mapping[str, Any], **overrides: Any
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return a pretrained classifier in float32, with a new head where its labels differ, and its front end.

    Args:
        model_args: Model and changes to its configuration.
        label_maps: Fields `id2label` and `label2id` of the configuration.
        **overrides: Further fields of the configuration, which win over those of `model_args`.

    Raises:
        OSError: See `find_start`.
        ValueError: The same, the files hold no weights for the encoder, or `--chunk_length` does not fit the model.
    """
    name = find_start(model_args.model_name_or_path)
    remote = {"trust_remote_code": model_args.trust_remote_code}
    overrides = {**json.loads(model_args.config_overrides or "{}"), **label_maps, **overrides}
    with refusing(name):
        check_labels(PretrainedConfig.get_config_dict(name)[0], f"{name}/config.json")
        config = AutoConfig.from_pretrained(name, **overrides, **remote)
    # Some are stored in half precision, in which training on a CPU goes wrong.
    model = open_encoder(name, config=config, dtype=torch.float32, **remote)
    feature_extractor = open_front_end(name, **remote)
    settings = json.loads(model_args.feature_extractor_overrides or "{}")
    if settings:
        # Statistics of other features would be wrong ones.
        own = feature_extractor.to_dict()
        if "num_mel_bins" in settings:
            own.pop("feature_size", None)  # it follows
        settings = {**own, "mean": None, "std": None, **settings}
        feature_extractor = type(feature_extractor).from_dict(settings)
    if model_args.chunk_length is not None:
        model, feature_extractor = shorten(model, feature_extractor, model_args.chunk_length)
    return model, feature_extractor


def shorten(
    model: PreTrainedModel, feature_extractor: SequenceFeatureExtractor, chunk_length: int
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Make an encoder of fixed length take clips of `chunk_length` seconds, keeping its first positions.

    Whisper pads every clip to 30 s, and its positions end there (Radford et al. 2022, section 2.2); the first ones
    mean the same in a shorter input, and the cost falls with its length. Longer clips are cut off.

    Args:
        model: Model with `max_source_positions` in its configuration and `embed_positions` in its encoder. It is
            changed in place.
        feature_extractor: Front end with a `chunk_length`.
        chunk_length: Length in whole seconds.

    Returns:
        The model, and a feature extractor of that length.

    Raises:
        ValueError: The model has no fixed length, or the length is not between 1 and that.
    """
    encoder = encoder_of(model)
    config: PretrainedConfig = model.config
    own = getattr(feature_extractor, "chunk_length", None)
    if own is None or not hasattr(config, "max_source_positions") or not hasattr(encoder, "embed_positions"):
        raise ValueError(
            f"--chunk_length is for models that pad every clip to a fixed length, as Whisper does; "
            f"{type(model).__name__} takes clips of any length"
        )
    if not 1 <= chunk_length <= own:
        raise ValueError(f"--chunk_length {chunk_length}: it must be from 1 to {own} s, which the model was made for")
    positions = math.ceil(config.max_source_positions * chunk_length / own)
    weight = encoder.embed_positions.weight[:positions].detach().clone()
    encoder.embed_positions = torch.nn.Embedding.from_pretrained(
        weight, freeze=not encoder.embed_positions.weight.requires_grad
    )
    encoder.max_source_positions = config.max_source_positions = positions
    settings = feature_extractor.to_dict()
    settings = {key: value for key, value in settings.items() if key not in ("n_samples", "nb_max_frames")}
    return model, type(feature_extractor).from_dict({**settings, "chunk_length": chunk_length})
