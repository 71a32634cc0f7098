"""Zoo of networks: names, and networks built by name with random weights."""

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import FAMILIES, family_class


if TYPE_CHECKING:
    from transformers import PreTrainedModel, SequenceFeatureExtractor


# Name -> family and the configuration fields that make the variant.
_ZOO = {
    "pyresnet50": ("pyresnet", {"depths": [3, 4, 6, 3]}),
    "pyresnet101": ("pyresnet", {"depths": [3, 4, 23, 3]}),
    "pyresnet152": ("pyresnet", {"depths": [3, 8, 36, 3]}),
    # One block a stage, a quarter of the channels, for corpora of some hundreds of clips.
    "pyresnet-small": (
        "pyresnet",
        {
            "depths": [1, 1, 1, 1],
            "embedding_size": 16,
            "hidden_sizes": [64, 128, 256, 512],
            "groups": [[1, 2, 4, 4], [1, 4, 8], [1, 4], [1]],
            "zero_init_residual": True,
        },
    ),
    "resnet18": ("cnn", {"backbone": "resnet18"}),
    "resnet34": ("cnn", {"backbone": "resnet34"}),
    "resnet50": ("cnn", {"backbone": "resnet50"}),
    "resnet101": ("cnn", {"backbone": "resnet101"}),
    "resnet152": ("cnn", {"backbone": "resnet152"}),
    "vgg11": ("cnn", {"backbone": "vgg11", "classifier_dropout": 0.5}),
    "vgg13": ("cnn", {"backbone": "vgg13", "classifier_dropout": 0.5}),
    "vgg16": ("cnn", {"backbone": "vgg16", "classifier_dropout": 0.5}),
    "vgg19": ("cnn", {"backbone": "vgg19", "classifier_dropout": 0.5}),
    "adv-vgg16": ("cnn", {"backbone": "adv_vgg16"}),
    "fcn-attention-alexnet": ("fcn_attention", {}),
    "mts3-alexnet": ("mts", {"architecture": "alexnet", "scale_factors": [0.7, 1.0, 1.428]}),
    "mts5-alexnet": ("mts", {"architecture": "alexnet", "scale_factors": [0.5, 0.7, 1.0, 1.428, 2.0]}),
    "mts3-resnet152": ("mts", {"architecture": "resnet", "scale_factors": [0.7, 1.0, 1.428]}),
    "mts5-resnet152": ("mts", {"architecture": "resnet", "scale_factors": [0.5, 0.7, 1.0, 1.428, 2.0]}),
    "espnet-transformer": ("espnet", {"encoder_type": "transformer"}),
    "espnet-conformer": ("espnet", {"encoder_type": "conformer"}),
    "espnet-e-branchformer": (
        "espnet",
        {
            "encoder_type": "e_branchformer",
            "intermediate_size": 1024,
            "cgmlp_linear_units": 1536,
            "merge_conv_kernel": 31,
        },
    ),
    "espnet-vgg-blstm": ("espnet", {"encoder_type": "vgg_rnn", "num_hidden_layers": 4, "hidden_size": 320}),
}
# A family without variants is one network, under its own name.
_ZOO |= {name: (name, {}) for name in FAMILIES.keys() - {family for family, _ in _ZOO.values()}}

# Name -> parameters of its front end that differ from the family's.
_FRONT_ENDS = {
    "pyresnet-small": {"num_mel_bins": 64},
    "whisper_statistics": {
        **{"num_mel_bins": 80, "n_fft": 400, "hop_length": 160, "do_denoise": False, "gain": 1.0},
        **{"mean": [-40.0] * 80, "std": [40.0] * 80},  # in dB; the unit of Whisper's log-mel values is 40 dB
    },
}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that `create_model` knows and that match a shell pattern.

    ```python
    >>> import lssed_hf

    >>> lssed_hf.list_models("pyresnet*")
    ['pyresnet50', 'pyresnet101', 'pyresnet152', 'pyresnet-small']
    ```
    """
    return fnmatch.filter(_ZOO, pattern)


def create_model(
    name: str, num_labels: int | None = None, labels: Sequence[str] | None = None, **overrides
) -> "PreTrainedModel":
    """Build a network with random weights.

    ```python
    >>> import lssed_hf

    >>> model = lssed_hf.create_model("pyresnet-small", labels=["angry", "neutral", "happy", "sad"])
    >>> model.config.id2label[0]
    'angry'
    ```

    Args:
        name: One of `list_models()`.
        num_labels: Number of classes, which are then called LABEL_0, LABEL_1, ...
        labels: Names of the classes.
        **overrides: Fields of the model's configuration, e.g. `depths=[1, 1, 1, 1]` or `id2label`.

    Raises:
        ValueError: The name is unknown, a label comes twice, or `num_labels` is not the number of labels.
    """
    family, preset = _look_up(name)
    if labels is not None:
        labels = list(labels)
        if len(set(labels)) < len(labels) or num_labels not in (None, len(labels)):
            raise ValueError(
                f"labels={labels} with num_labels={num_labels}: give each class once, and no other number"
            )
        overrides |= {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
        }
    elif num_labels is not None:
        overrides["num_labels"] = num_labels
    # Networks of ESPnet and Whisper have theirs as a default.
    bins = {"num_mel_bins": create_feature_extractor(name).num_mel_bins}
    config = family_class(family, "AutoConfig")(**{**bins, **preset, **overrides})
    return family_class(family, "AutoModelForAudioClassification")(config)


def create_feature_extractor(name: str, **overrides) -> "SequenceFeatureExtractor":
    """Return the front end that a network is made for, without statistics of a corpus.

    ```python
    >>> import lssed_hf

    >>> extractor = lssed_hf.create_feature_extractor("pyresnet-small", normalization="utterance")
    >>> extractor.num_mel_bins == lssed_hf.create_model("pyresnet-small").config.num_mel_bins == 64
    True
    ```

    Args:
        name: One of `list_models()`.
        **overrides: Parameters of the front end, e.g. `normalization="none"`.

    Raises:
        ValueError: The name is unknown.
    """
    return family_class(_look_up(name)[0], "AutoFeatureExtractor")(**{**_FRONT_ENDS.get(name, {}), **overrides})


def _look_up(name: str) -> tuple[str, dict]:
    if name not in _ZOO:
        raise ValueError(f"unknown model {name!r}; known are {', '.join(_ZOO)}")
    return _ZOO[name]


__all__ = ["create_feature_extractor", "create_model", "list_models"]
