# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of the standard convolutional networks."""

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


# Blocks of a ResNet, or convolutions of a VGG, per stage.
DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
    "adv_vgg16": (2, 2, 3, 3, 3),
}


@strict
class SerCnnConfig(PreTrainedConfig):
    r"""Configuration of a standard convolutional network on log-mel pictures of one channel.

    Args:
        backbone (`str`, *optional*, defaults to `"resnet18"`):
            Architecture. From timm: `resnet18`, `34`, `50`, `101`, `152` (He et al. 2016) and `vgg11`, `13`, `16`,
            `19` (Simonyan and Zisserman 2015, without batch norm, with the fully connected layers). `adv_vgg16` is the
            VGG-16 of Ren et al. (ICASSP 2020): batch norm, no biases, global max pooling and one linear layer.
        depths (`list[int]`, *optional*):
            Residual blocks, or convolutions of a VGG, per stage. Default: the backbone's own.
        hidden_sizes (`list[int]`, *optional*):
            Channels after each stage. Default: the backbone's own.
        mlp_size (`int`, *optional*, defaults to 4096):
            Units of the two fully connected layers below the classifier of `vgg11` to `vgg19`.
        classifier_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the classifier, and between the fully connected layers of `vgg11` to `vgg19`. The paper of
            VGG has 0.5.
        zero_init_residual (`bool`, *optional*, defaults to `True`):
            Whether the last batch norm of each residual block starts at a scale of 0, as in timm. A new network then
            begins as its shortcuts alone (Goyal et al. 2017, section 5.1).
        num_mel_bins (`int`, *optional*):
            Mel bins of the input; others are refused. Default: any number.

    ```python
    >>> from lssed_hf import SerCnnConfig, SerCnnForAudioClassification

    >>> model = SerCnnForAudioClassification(SerCnnConfig(backbone="resnet50", num_labels=4))
    >>> model.num_parameters()
    23509956
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "ser_cnn"

    backbone: str = "resnet18"
    depths: list[int] | tuple[int, ...] | None = None
    hidden_sizes: list[int] | tuple[int, ...] | None = None
    mlp_size: int = 4096
    classifier_dropout: float = 0.0
    zero_init_residual: bool = True
    num_mel_bins: int | None = None

    def __post_init__(self, **kwargs):
        if self.backbone not in DEPTHS:
            raise ValueError(f"backbone={self.backbone!r} is not one of {', '.join(DEPTHS)}")
        widths = [64 * self.expansion * 2**stage for stage in range(4)] if self.is_resnet else [64, 128, 256, 512, 512]
        self.depths = list(DEPTHS[self.backbone] if self.depths is None else self.depths)
        self.hidden_sizes = list(widths if self.hidden_sizes is None else self.hidden_sizes)
        super().__post_init__(**kwargs)

    @property
    def is_resnet(self) -> bool:
        """True for a ResNet, False for a VGG."""
        return self.backbone.startswith("resnet")

    @property
    def has_mlp(self) -> bool:
        """True where fully connected layers follow the last map, as in the paper of VGG."""
        return self.backbone.startswith("vgg")

    @property
    def expansion(self) -> int:
        """Ratio of the channels after a residual block to those inside: 4 in bottlenecks, 1 in basic blocks."""
        return 1 if self.backbone in ("resnet18", "resnet34") else 4

    @property
    def hidden_size(self) -> int:
        """Length of the vector that the classifier sees."""
        return self.mlp_size if self.has_mlp else self.hidden_sizes[-1]

    @property
    def min_frames(self) -> int:
        """Frames of the shortest input. Poolings of a VGG halve it, rounding down; those of a ResNet round up."""
        return 1 if self.is_resnet else 2 ** len(self.depths)

    def map_frames(self, frames: int) -> list[int]:
        """Return the frames of the map after each stage, for an input of so many frames."""
        if self.is_resnet:
            return [-(-frames // 2 ** (stage + 2)) for stage in range(len(self.depths))]
        return [frames // 2 ** (stage + 1) for stage in range(len(self.depths))]

    def validate_num_mel_bins(self):
        """Check the number of mel bins."""
        if self.num_mel_bins is not None and self.num_mel_bins < 1:
            raise ValueError(f"num_mel_bins={self.num_mel_bins} must be at least 1, or None for any number")

    def validate_sizes(self):
        """Check the fields that do not belong to a stage."""
        if self.mlp_size < 1:
            raise ValueError(f"mlp_size={self.mlp_size} must be at least 1")
        if not 0 <= self.classifier_dropout <= 1:
            raise ValueError(f"classifier_dropout={self.classifier_dropout} must lie in [0, 1]")

    def validate_stages(self):
        """Check that the per-stage lists fit each other and that every layer can be built."""
        if not 1 <= len(self.depths) == len(self.hidden_sizes):
            raise ValueError(
                f"depths={self.depths} and hidden_sizes={self.hidden_sizes} need one entry per stage, the same number"
            )
        if self.is_resnet and len(self.depths) > 4:
            raise ValueError(f"depths={self.depths}: a ResNet has at most 4 stages")
        if min(self.depths) < 1:
            raise ValueError(f"depths={self.depths}: every stage needs at least one layer")
        if min(self.hidden_sizes) < 1 or (self.is_resnet and any(n % self.expansion for n in self.hidden_sizes)):
            raise ValueError(f"hidden_sizes={self.hidden_sizes}: positive multiples of {self.expansion} are needed")


__all__ = ["SerCnnConfig"]
