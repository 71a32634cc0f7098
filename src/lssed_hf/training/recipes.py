"""Named sets of flags for `lssed-hf train`, chosen with `--recipe`."""

import argparse
from collections.abc import Sequence

from ..corpora.sources import Source, find_source
from ..models.registry import list_models
from .feature_sets import FEATURE_SET_FLAGS


#: Flags that a name stands for. Those of the paper are the defaults.
RECIPES: dict[str, tuple[str, ...]] = {
    "paper": (),
    "small": (
        *("--model_name_or_path", "pyresnet-small"),
        *("--optim", "adamw_torch_fused", "--learning_rate", "1e-3", "--weight_decay", "0.05"),
        *("--decay_norm_and_bias", "false", "--lr_scheduler_type", "cosine", "--warmup_steps", "100"),
        *("--max_grad_norm", "1", "--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1"),
        *("--eval_strategy", "no", "--load_best_model_at_end", "false", "--save_total_limit", "1"),
        *("--num_train_epochs", "60", "--crop_seconds", "2.5"),
        *("--mixup", "0.2", "--perturbed_copies", "4", "--speed", "0.1", "--pitch_shift", "2"),
    ),
}


def with_recipe(flags: Sequence[str]) -> list[str]:
    """Return the flags behind those of their `--recipe`, whose place they take.

    Where none is named, networks of the zoo learn recordings of your own by the recipe `small`, all else by the
    paper's. LSSED's feature sets come with flags of their own.
    """
    parser = argparse.ArgumentParser(prog="lssed-hf train", add_help=False, allow_abbrev=False)
    for flag in ("--recipe", "--data_dir", "--model_name_or_path", "--dataset_config_name"):
        parser.add_argument(flag)
    parser.add_argument("--dataset_name", "--corpus")
    known = parser.parse_known_args(flags)[0]
    source = _source(known)
    is_own = source is not None and source.corpus == "folder" and source.manifest is None  # recordings, and no corpus
    if known.recipe is None and (known.model_name_or_path or "pyresnet-small") in list_models() and is_own:
        flags = ["--recipe", "small", *flags]
        known.recipe = "small"
    config = known.dataset_config_name or ((source and source.manifest) or {}).get("config")
    of_feature_set = FEATURE_SET_FLAGS.get(config, ()) if source and source.corpus == "lssed" else ()
    return [*RECIPES.get(known.recipe, ()), *of_feature_set, *flags]  # the flags' own parser refuses what is no recipe


def _source(known: argparse.Namespace) -> Source | None:
    """Return the origin of the data, None where the loading will say what is wrong."""
    try:
        return find_source(known.dataset_name, known.data_dir)
    except (ValueError, OSError):
        return None
