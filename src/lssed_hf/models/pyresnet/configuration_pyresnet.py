# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of PyResNet."""

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


@strict
class PyResNetConfig(PreTrainedConfig):
    r"""Configuration of PyResNet (LSSED paper, section 2.4). The defaults give PyResNet-50.

    PyResNet is a ResNet for log-mel pictures. Its 3x3 convolutions are pyramid convolutions, and its pooling keeps the
    frequency axis.

    Args:
        embedding_size (`int`, *optional*, defaults to 64):
            Channels after the 7x7 stem.
        hidden_sizes (`list[int]`, *optional*, defaults to `[256, 512, 1024, 2048]`):
            Channels after each stage. Inside its bottlenecks a stage has a quarter of them.
        depths (`list[int]`, *optional*, defaults to `[3, 4, 6, 3]`):
            Bottlenecks per stage: `[3, 4, 6, 3]` is PyResNet-50, `[3, 4, 23, 3]` is 101, `[3, 8, 36, 3]` is 152.
        kernel_sizes (`list[list[int]]`, *optional*, defaults to `[[3, 5, 7, 9], [3, 5, 7], [3, 5], [3]]`):
            Odd kernel sizes of the pyramid levels of each stage. Each of `n` levels gets 1/2^ceil(log2 n) of the
            channels, and the last one the rest.
        groups (`list[list[int]]`, *optional*, defaults to `[[1, 4, 8, 16], [1, 4, 8], [1, 4], [1]]`):
            Convolution groups of the same levels.
        num_frequency_rows (`int`, *optional*, defaults to 4):
            Rows of the frequency axis that the pooling keeps. 128 mel bins leave exactly 4.
        classifier_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the classifier. The paper has none.
        zero_init_residual (`bool`, *optional*, defaults to `False`):
            Whether the last batch norm of each block starts at a scale of 0, so that a new network begins as its
            shortcuts alone (Goyal et al. 2017, section 5.1). The authors' definition has it off. On small corpora and
            in bfloat16 training hardly works without it, because gradients grow towards the input.
        standardize_embedding (`bool`, *optional*, defaults to `False`):
            Whether the pooled vector is standardised before the classifier, by statistics of the corpus that a
            speaker's own may replace.
        dimensions (`list[str]`, *optional*, defaults to `[]`):
            Names of dimensions that a second linear head rates beside the classes, such as
            `["valence", "arousal", "dominance"]`. Without names there is no such head.
        num_mel_bins (`int`, *optional*):
            Mel bins of the input; others are refused. Default: any number.

    ```python
    >>> from lssed_hf import PyResNetConfig, PyResNetForAudioClassification

    >>> model = PyResNetForAudioClassification(PyResNetConfig(depths=[3, 4, 23, 3], num_labels=4))
    >>> model.num_parameters()
    40285444
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "pyresnet"

    embedding_size: int = 64
    hidden_sizes: list[int] | tuple[int, ...] = (256, 512, 1024, 2048)
    depths: list[int] | tuple[int, ...] = (3, 4, 6, 3)
    kernel_sizes: list | tuple = ((3, 5, 7, 9), (3, 5, 7), (3, 5), (3,))
    groups: list | tuple = ((1, 4, 8, 16), (1, 4, 8), (1, 4), (1,))
    num_frequency_rows: int = 4
    classifier_dropout: float = 0.0
    zero_init_residual: bool = False
    standardize_embedding: bool = False
    dimensions: list[str] | tuple[str, ...] = ()
    num_mel_bins: int | None = None

    def __post_init__(self, **kwargs):
        self.hidden_sizes = list(self.hidden_sizes)
        self.depths = list(self.depths)
        self.kernel_sizes = [list(sizes) for sizes in self.kernel_sizes]
        self.groups = [list(groups) for groups in self.groups]
        self.dimensions = list(self.dimensions)
        super().__post_init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Length of the pooled vector: channels of the last stage times the frequency rows kept."""
        return self.hidden_sizes[-1] * self.num_frequency_rows

    def level_channels(self, stage: int) -> list[int]:
        """Return the output channels of each pyramid level of a stage (PyConv, arXiv 2006.11538, table 1)."""
        width, levels = self.hidden_sizes[stage] // 4, len(self.kernel_sizes[stage])
        share = width // 2 ** (levels - 1).bit_length()
        return [share] * (levels - 1) + [width - share * (levels - 1)]

    def validate_num_mel_bins(self):
        """Check the number of mel bins."""
        if self.num_mel_bins is not None and self.num_mel_bins < 1:
            raise ValueError(f"num_mel_bins={self.num_mel_bins} must be at least 1, or None for any number")

    def validate_sizes(self):
        """Check the fields that do not belong to a stage."""
        for name in ("embedding_size", "num_frequency_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 <= self.classifier_dropout <= 1:
            raise ValueError(f"classifier_dropout={self.classifier_dropout} must lie in [0, 1]")

    def validate_dimensions(self):
        """Check that dimensions have names of their own, and an embedding that no speaker changes."""
        if len(set(self.dimensions)) < len(self.dimensions) or not all(self.dimensions):
            raise ValueError(f"dimensions={self.dimensions}: give each one a name of its own")
        if self.dimensions and self.standardize_embedding:
            raise ValueError(f"dimensions={self.dimensions} need standardize_embedding=False")

    def validate_stages(self):
        """Check that the per-stage lists fit each other and that every convolution can be built."""
        lists = ("hidden_sizes", "depths", "kernel_sizes", "groups")
        lengths = {name: len(getattr(self, name)) for name in lists}
        if len(set(lengths.values())) != 1 or not self.depths:
            raise ValueError(f"these need one entry per stage, the same number each: {lengths}")
        if min(self.depths) < 1:
            raise ValueError(f"depths={self.depths}: every stage needs at least one block")
        for stage, (kernel_sizes, groups) in enumerate(zip(self.kernel_sizes, self.groups)):
            if self.hidden_sizes[stage] % 4 or self.hidden_sizes[stage] < 4:
                raise ValueError(f"hidden_sizes[{stage}]={self.hidden_sizes[stage]} is not a positive multiple of 4")
            if len(kernel_sizes) != len(groups) or not groups:
                raise ValueError(f"stage {stage}: {len(kernel_sizes)} kernel sizes but {len(groups)} groups")
            if any(size < 1 or size % 2 == 0 for size in kernel_sizes):
                raise ValueError(f"kernel_sizes[{stage}]={kernel_sizes}: only odd sizes keep the length")
            if min(groups) < 1:
                raise ValueError(f"groups[{stage}]={groups}: every level needs at least one group")
            width = self.hidden_sizes[stage] // 4
            for count, channels in zip(groups, self.level_channels(stage)):
                if channels == 0 or width % count or channels % count:
                    raise ValueError(
                        f"stage {stage}: {count} groups do not divide {width} input and {channels} output channels; "
                        f"choose larger hidden_sizes[{stage}] or smaller groups[{stage}]"
                    )


__all__ = ["PyResNetConfig"]
