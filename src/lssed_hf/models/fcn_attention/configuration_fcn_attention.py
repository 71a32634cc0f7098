# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of FCN-Attention."""

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


NORMS = ("local_response", "batch", "none")


@strict
class FcnAttentionConfig(PreTrainedConfig):
    r"""Configuration of FCN-Attention: AlexNet without fully connected layers, and attention over its last map.

    Source: Zhang, Du, Wang, Zhang and Tu, "Attention Based Fully Convolutional Network for Speech Emotion
    Recognition", APSIPA 2018, arXiv 1806.01506.

    The authors published no code, and only the abstract of the paper was at hand. Where each choice comes from:

    - The abstract: a fully convolutional network on whole utterances, and attention over time and frequency.
    - Ports by third parties: the widths, the formula of the attention and its scale of 0.3.
    - AlexNet: the order of convolution, ReLU and local response normalisation, and its constants.
    - This package: padding 2 in the first convolution (which makes room for 64 mel bins), no convolution groups, the
      dropout, and random initial weights. The paper starts from weights trained on ImageNet.

    Args:
        hidden_sizes (`list[int]`, *optional*, defaults to `[96, 256, 384, 384, 256]`):
            Channels after each of the five convolutions.
        groups (`list[int]`, *optional*, defaults to `[1, 1, 1, 1, 1]`):
            Groups of each convolution. `[1, 2, 1, 2, 2]` is the split of AlexNet over two GPUs.
        conv1_padding (`int`, *optional*, defaults to 2):
            Zeros around the input of the 11x11 convolution. With 0, both axes need 67 values instead of 63.
        norm (`str`, *optional*, defaults to `"local_response"`):
            Normalisation. `"local_response"`: after the ReLU of convolutions 1 and 2, as in AlexNet; `"batch"`: batch
            normalisation before every ReLU; `"none"`.
        lrn_size, lrn_alpha, lrn_beta, lrn_k (*optional*, defaults to 5, 1e-4, 0.75 and 2.0):
            Constants of the local response normalisation, as `torch.nn.LocalResponseNorm` takes them.
        attention_scale (`float`, *optional*, defaults to 0.3):
            Factor on the scores before the softmax: 1 is a plain softmax, 0 the mean over all positions.
        classifier_dropout (`float`, *optional*, defaults to 0.5):
            Dropout before the classifier.
        num_mel_bins (`int`, *optional*):
            Mel bins of the input; others are refused. Default: any number.

    ```python
    >>> from lssed_hf import FcnAttentionConfig, FcnAttentionForAudioClassification

    >>> model = FcnAttentionForAudioClassification(FcnAttentionConfig(num_labels=4))
    >>> model.num_parameters()
    3791044
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "fcn_attention"

    hidden_sizes: list[int] | tuple[int, ...] = (96, 256, 384, 384, 256)
    groups: list[int] | tuple[int, ...] = (1, 1, 1, 1, 1)
    conv1_padding: int = 2
    norm: str = "local_response"
    lrn_size: int = 5
    lrn_alpha: float = 1e-4
    lrn_beta: float = 0.75
    lrn_k: float = 2.0
    attention_scale: float = 0.3
    classifier_dropout: float = 0.5
    num_mel_bins: int | None = None

    def __post_init__(self, **kwargs):
        self.hidden_sizes = list(self.hidden_sizes)
        self.groups = list(self.groups)
        super().__post_init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Length of the pooled vector: channels of the last convolution."""
        return self.hidden_sizes[-1]

    @property
    def min_size(self) -> int:
        """Frames and mel bins of the smallest input, which leaves one position of the last map. Others are padded."""
        return 67 - 2 * self.conv1_padding

    def validate_num_mel_bins(self):
        """Check the number of mel bins."""
        if self.num_mel_bins is not None and self.num_mel_bins < 1:
            raise ValueError(f"num_mel_bins={self.num_mel_bins} must be at least 1, or None for any number")

    def validate_fields(self):
        """Check the fields that do not belong to a layer."""
        if self.norm not in NORMS:
            raise ValueError(f"norm={self.norm!r} is not one of {', '.join(NORMS)}")
        if not 0 <= self.conv1_padding <= 5:
            raise ValueError(f"conv1_padding={self.conv1_padding} must lie in [0, 5]")
        if self.lrn_size < 1:
            raise ValueError(f"lrn_size={self.lrn_size} must be at least 1")
        if self.attention_scale < 0:
            raise ValueError(f"attention_scale={self.attention_scale} must not be negative")
        if not 0 <= self.classifier_dropout <= 1:
            raise ValueError(f"classifier_dropout={self.classifier_dropout} must lie in [0, 1]")

    def validate_layers(self):
        """Check that every convolution can be built."""
        if len(self.hidden_sizes) != 5 or len(self.groups) != 5:
            raise ValueError(f"hidden_sizes={self.hidden_sizes} and groups={self.groups} need 5 entries each")
        for index, (inputs, outputs, groups) in enumerate(
            zip([1, *self.hidden_sizes], self.hidden_sizes, self.groups)
        ):
            if outputs < 1 or groups < 1 or inputs % groups or outputs % groups:
                raise ValueError(f"groups[{index}]={groups} must divide {inputs} input and {outputs} output channels")


__all__ = ["FcnAttentionConfig"]
