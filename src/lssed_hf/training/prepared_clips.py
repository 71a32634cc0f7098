"""Front end for clips that `lssed-hf prepare` denoised or made louder: no step is applied twice."""

import json
import logging

from transformers import SequenceFeatureExtractor

from ..corpora.prepared import applied_steps
from ..corpora.sources import find_source
from .arguments import DataArguments, ModelArguments


logger = logging.getLogger(__name__)

_FLAGS = {"do_denoise": "--denoise", "gain": "--gain"}


def without_applied_steps(
    feature_extractor: SequenceFeatureExtractor, data_args: DataArguments, model_args: ModelArguments
) -> SequenceFeatureExtractor:
    """Return a front end without the steps that the manifest of a prepared folder names, with a warning.

    Its statistics go too, because they are those of other features.

    Args:
        feature_extractor: Front end of the model.
        data_args: Data to train on.
        model_args: Model to train.

    Raises:
        ValueError: A flag asks for a step that was applied, or corpora that are trained on were prepared differently.
    """
    if data_args.dataset_name is None:
        return feature_extractor
    applied = applied_steps(find_source(data_args.dataset_name, data_args.data_dir).manifest)
    for text in data_args.extra_corpora or ():
        name, _, folder = text.partition("=")
        if applied_steps(find_source(name, folder or None).manifest) != applied:
            raise ValueError(
                f"--extra_corpora {name} was prepared with another --denoise or --gain than {data_args.dataset_name}: "
                "prepare both alike"
            )
    active = {name: off for name, off in applied.items() if getattr(feature_extractor, name, off) != off}
    if not active:
        return feature_extractor
    flags = " and ".join(_FLAGS[name] for name in active)
    asked = json.loads(model_args.feature_extractor_overrides or "{}")
    if twice := sorted(active.keys() & asked.keys()):
        raise ValueError(
            f"--feature_extractor_overrides {', '.join(twice)}: {data_args.dataset_name} was prepared with {flags}, "
            "so the step would be applied twice; leave it out, or prepare the corpus without"
        )
    logger.warning(
        f"{data_args.dataset_name} was prepared with {flags}: the front end leaves that out ({json.dumps(active)}). "
        "The model expects clips that were prepared alike; for recordings as they are, train on a corpus prepared "
        "without"
    )
    settings = {**feature_extractor.to_dict(), "mean": None, "std": None, **active}
    return type(feature_extractor).from_dict(settings)
