# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of networks with multi-time-scale (MTS) convolutions."""

import itertools


try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


# Defaults of the fields that are None.
ARCHITECTURES = {
    "alexnet": {
        "hidden_sizes": [64, 192, 384, 256, 256],
        "depths": [],
        "pooled_size": 6,
        "classifier_hidden_sizes": [4096, 4096],
    },
    "resnet": {
        "hidden_sizes": [256, 512, 1024, 2048],
        "depths": [3, 8, 36, 3],
        "pooled_size": 1,
        "classifier_hidden_sizes": [],
    },
}
# Kernel size, stride and padding of AlexNet's convolutions, whether they have several time scales, and whether
# max-pooling 3x3 with stride 2 follows.
ALEXNET_LAYERS = ((11, 4, 2, True, True), (5, 1, 2, True, True), (3, 1, 1, False, False))
ALEXNET_LAYERS += ((3, 1, 1, False, False), (3, 1, 1, False, True))


@strict
class MtsConfig(PreTrainedConfig):
    r"""Configuration of networks with multi-time-scale convolutions. The defaults give AlexNet with three branches.

    An MTS convolution applies its kernel at several lengths along time and keeps the largest response. Source: Guizzo,
    Weyde and Leveson, "Multi-Time-Scale Convolution for Emotion Recognition from Speech Audio Signals", ICASSP 2020,
    arXiv 2003.03375. Where each choice comes from:

    - The authors' public code: resampling, resizing and maximum, the factors {0.7, 1, 1.428} and {0.5, 0.7, 1, 1.428,
      2}, and AlexNet with MTS in its first two convolutions.
    - This package: {0.7, 1, 1.428}, and not the authors' other set {0.5, 1, 2}, for three branches; one kernel that
      learns from all branches by autograd (in the authors' code a branch's kernel is an overwritten copy, and copies
      are averaged once an epoch); stride 4 in AlexNet's first convolution (in their MTS variant it is 1).
    - ResNet-152 does not occur in their code. Their rule for ResNet-18 is extended to its bottlenecks: MTS in the stem
      and in every 3x3 convolution.

    Args:
        architecture (`str`, *optional*, defaults to `"alexnet"`):
            Architecture: `"alexnet"` or `"resnet"` (bottlenecks, ResNet-152 by default), both for one input channel.
        scale_factors (`list[float]`, *optional*, defaults to `[0.7, 1.0, 1.428]`):
            Factors on the length of the kernel along time, one per branch. 1, the kernel itself, has to be among them.
            `[1.0]` gives the plain network.
        embedding_size (`int`, *optional*, defaults to 64):
            Channels after the stem of a ResNet.
        hidden_sizes (`list[int]`, *optional*):
            Channels. AlexNet: after each of the five convolutions, by default `[64, 192, 384, 256, 256]`. ResNet:
            after each stage, by default `[256, 512, 1024, 2048]`; inside its bottlenecks a stage has a quarter.
        depths (`list[int]`, *optional*):
            Bottlenecks per stage of a ResNet, by default `[3, 8, 36, 3]`. Empty for AlexNet.
        pooled_size (`int`, *optional*):
            Rows and columns that the last map is averaged to: by default 6 for AlexNet, 1 for ResNet.
        classifier_hidden_sizes (`list[int]`, *optional*):
            Widths of the classifier's hidden layers: by default `[4096, 4096]` for AlexNet, none for ResNet.
        classifier_dropout (`float`, *optional*, defaults to 0.5):
            Dropout before each of the classifier's hidden layers.
        zero_init_residual (`bool`, *optional*, defaults to `False`):
            Whether the last batch norm of each bottleneck starts at a scale of 0 (Goyal et al. 2017, section 5.1).
        num_mel_bins (`int`, *optional*):
            Mel bins of the input; others are refused. Default: any number.

    ```python
    >>> from lssed_hf import MtsConfig, MtsForAudioClassification

    >>> five = [0.5, 0.7, 1.0, 1.428, 2.0]
    >>> model = MtsForAudioClassification(MtsConfig(architecture="resnet", scale_factors=five, num_labels=4))
    >>> model.num_parameters()
    58145732
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "mts"

    architecture: str = "alexnet"
    scale_factors: list | tuple = (0.7, 1.0, 1.428)
    embedding_size: int = 64
    hidden_sizes: list[int] | tuple[int, ...] | None = None
    depths: list[int] | tuple[int, ...] | None = None
    pooled_size: int | None = None
    classifier_hidden_sizes: list[int] | tuple[int, ...] | None = None
    classifier_dropout: float = 0.5
    zero_init_residual: bool = False
    num_mel_bins: int | None = None

    def __post_init__(self, **kwargs):
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture={self.architecture!r} is not one of {', '.join(ARCHITECTURES)}")
        for name, default in ARCHITECTURES[self.architecture].items():
            value = default if getattr(self, name) is None else getattr(self, name)
            setattr(self, name, value if isinstance(value, int) else list(value))
        self.scale_factors = [float(factor) for factor in self.scale_factors]
        super().__post_init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Length of the pooled vector: channels of the last map times the positions it is averaged to."""
        return self.hidden_sizes[-1] * self.pooled_size**2

    def kernel_lengths(self, size: int) -> list[int]:
        """Return the lengths along time of a kernel of this size, the size itself first, without repetitions."""
        return list(dict.fromkeys([size, *(max(1, int(size * factor)) for factor in self.scale_factors)]))

    @property
    def min_frames(self) -> int:
        """Frames of the shortest input that the longest kernel of every layer fits into."""
        return next(frames for frames in itertools.count(1) if self._fits(frames, self.kernel_lengths))

    @property
    def min_mel_bins(self) -> int:
        """Mel bins of the smallest input that every kernel fits into."""
        return next(mel_bins for mel_bins in itertools.count(1) if self._fits(mel_bins, lambda size: [size]))

    def _fits(self, length: int, kernel_lengths) -> bool:
        """Return whether all convolutions and poolings have room on an axis of this length."""
        if self.architecture == "alexnet":
            layers = []  # sizes, stride, padding
            for size, stride, padding, multi_scale, pooled in ALEXNET_LAYERS:
                layers.append((kernel_lengths(size) if multi_scale else [size], stride, padding))
                layers.extend([([3], 2, 0)] * pooled)
        else:
            layers = [(kernel_lengths(7), 2, 3), ([3], 2, 1)]
            for stage, depth in enumerate(self.depths):
                layers.append((kernel_lengths(3), 1 if stage == 0 else 2, 1))
                layers.extend([(kernel_lengths(3), 1, 1)] * (depth - 1))
        for sizes, stride, padding in layers:
            if length + 2 * padding < max(sizes):
                return False
            length = (length + 2 * padding - sizes[0]) // stride + 1
        return True

    def validate_num_mel_bins(self):
        """Check the number of mel bins."""
        if self.num_mel_bins is not None and self.num_mel_bins < 1:
            raise ValueError(f"num_mel_bins={self.num_mel_bins} must be at least 1, or None for any number")

    def validate_factors(self):
        """Check the factors on the length of kernels."""
        if 1.0 not in self.scale_factors or min(self.scale_factors) <= 0:
            raise ValueError(f"scale_factors={self.scale_factors} must be positive and 1 among them")

    def validate_sizes(self):
        """Check that every layer can be built."""
        for name in ("embedding_size", "pooled_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 <= self.classifier_dropout <= 1:
            raise ValueError(f"classifier_dropout={self.classifier_dropout} must lie in [0, 1]")
        for name in ("hidden_sizes", "classifier_hidden_sizes", "depths"):
            if min(getattr(self, name), default=1) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1 each")
        if self.architecture == "alexnet" and (len(self.hidden_sizes) != 5 or self.depths):
            raise ValueError(
                f"AlexNet needs five hidden_sizes and no depths, but has {self.hidden_sizes} and {self.depths}"
            )
        if self.architecture == "resnet":
            if not self.depths or len(self.depths) != len(self.hidden_sizes):
                raise ValueError(f"depths={self.depths} and hidden_sizes={self.hidden_sizes} need an entry per stage")
            if any(size % 4 for size in self.hidden_sizes):
                raise ValueError(f"hidden_sizes={self.hidden_sizes} must be multiples of 4")


__all__ = ["MtsConfig"]
