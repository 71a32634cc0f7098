# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""AlexNet and ResNet with multi-time-scale (MTS) convolutions in PyTorch."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_mts import ALEXNET_LAYERS, MtsConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_mts.MtsConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_mts.MtsModel",
    "AutoModelForAudioClassification": "modeling_mts.MtsForAudioClassification",
}

# In this module, `lengths` (batch,) counts the valid frames of each clip in a padded map; None if all are valid.


def _output_lengths(lengths: torch.Tensor | None, size: int, stride: int, padding: int) -> torch.Tensor | None:
    """Return the valid frames of each clip behind a convolution or a pooling."""
    return None if lengths is None else (lengths + 2 * padding - size) // stride + 1


def _mask_frames(hidden_state: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of (batch, channels, mel, frames): behind its end a clip alone has zeros, too."""
    if lengths is None:
        return hidden_state
    mask = torch.arange(hidden_state.shape[-1], device=lengths.device) < lengths[:, None]
    return hidden_state * mask[:, None, None, :].to(hidden_state.dtype)


def _resize_frames(
    hidden_state: torch.Tensor, size: int, lengths: torch.Tensor | None, new_lengths: torch.Tensor | None
) -> torch.Tensor:
    """Resize bilinearly along time to `size` frames, each clip from its own length to its own new length."""
    if lengths is None:
        return F.interpolate(hidden_state, (hidden_state.shape[-2], size), mode="bilinear", align_corners=False)
    old = torch.arange(hidden_state.shape[-1], device=lengths.device)[:, None]
    new = torch.arange(size, device=lengths.device)
    lengths, new_lengths = lengths[:, None, None], new_lengths[:, None, None]
    source = ((new + 0.5) * (lengths / new_lengths) - 0.5).clamp(min=0).minimum(lengths - 1)
    weights = (1 - (source - old).abs()).clamp(min=0).to(hidden_state.dtype)
    return torch.bmm(hidden_state.flatten(1, 2), weights).unflatten(1, hidden_state.shape[1:3])


def _average_pool(hidden_state: torch.Tensor, size: int, lengths: torch.Tensor | None) -> torch.Tensor:
    """Average adaptively to `size` rows and columns, over the valid frames of each clip."""
    if lengths is None:
        return F.adaptive_avg_pool2d(hidden_state, size)
    frames, lengths = torch.arange(hidden_state.shape[-1], device=lengths.device), lengths[:, None]
    columns = []
    for column in range(size):
        first, behind = column * lengths // size, ((column + 1) * lengths + size - 1) // size
        weights = ((frames >= first) & (frames < behind)) / (behind - first)
        columns.append((hidden_state * weights[:, None, None, :].to(hidden_state.dtype)).sum(dim=-1))
    return F.adaptive_avg_pool2d(torch.stack(columns, dim=-1), size)


class MtsConv2d(nn.Conv2d):
    """Multi-time-scale convolution: the largest response of one kernel at several lengths along time (the last axis).

    A branch resamples the kernel bilinearly, convolves with the same bias, stride and padding, and resizes its map
    bilinearly to the size of the kernel's own. There is one parameter; the gradients of all branches add up in it.
    """

    def __init__(self, config: MtsConfig, in_channels: int, out_channels: int, size: int, **kwargs):
        super().__init__(in_channels, out_channels, size, **kwargs)
        self.other_lengths = config.kernel_lengths(size)[1:]

    def output_lengths(self, lengths: torch.Tensor | None, size: int | None = None) -> torch.Tensor | None:
        """Return the valid frames of each clip behind the kernel at length `size` (default: its own)."""
        return _output_lengths(lengths, size or self.kernel_size[1], self.stride[1], self.padding[1])

    def forward(self, hidden_state: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        result = super().forward(hidden_state)
        frames, new_lengths = result.shape[-1], self.output_lengths(lengths)
        for size in self.other_lengths:
            kernel = F.interpolate(self.weight, (self.kernel_size[0], size), mode="bilinear", align_corners=False)
            branch = self._conv_forward(hidden_state, kernel, self.bias)
            branch = _resize_frames(branch, frames, self.output_lengths(lengths, size), new_lengths)
            result = torch.maximum(result, branch)
        return result


class MtsAlexNetLayer(nn.Module):
    """Convolution of AlexNet with ReLU and, behind convolutions 1, 2 and 5, max-pooling."""

    def __init__(self, config: MtsConfig, index: int):
        super().__init__()
        channels = [1, *config.hidden_sizes][index : index + 2]
        size, stride, padding, multi_scale, self.pooled = ALEXNET_LAYERS[index]
        if multi_scale:
            self.convolution = MtsConv2d(config, *channels, size, stride=stride, padding=padding)
        else:
            self.convolution = nn.Conv2d(*channels, size, stride=stride, padding=padding)
        self.geometry = size, stride, padding

    def forward(
        self, hidden_state: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if isinstance(self.convolution, MtsConv2d):
            hidden_state = F.relu(self.convolution(hidden_state, lengths))
        else:
            hidden_state = F.relu(self.convolution(hidden_state))
        lengths = _output_lengths(lengths, *self.geometry)
        if self.pooled:
            hidden_state = F.max_pool2d(hidden_state, 3, stride=2)
            lengths = _output_lengths(lengths, 3, 2, 0)
        return _mask_frames(hidden_state, lengths), lengths


class MtsAlexNetCheckpointedLayer(GradientCheckpointingLayer, MtsAlexNetLayer):
    """Layer of AlexNet behind the first, whose input needs no gradient: re-entrant checkpointing would stop there."""


class MtsResNetStem(nn.Module):
    """Stem: 7x7 MTS convolution with stride 2, batch norm, ReLU, max-pooling."""

    def __init__(self, config: MtsConfig):
        super().__init__()
        self.convolution = MtsConv2d(config, 1, config.embedding_size, 7, stride=2, padding=3, bias=False)
        self.normalization = nn.BatchNorm2d(config.embedding_size)

    def forward(
        self, hidden_state: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        hidden_state = F.relu(self.normalization(self.convolution(hidden_state, lengths)))
        lengths = self.convolution.output_lengths(lengths)
        hidden_state = F.max_pool2d(_mask_frames(hidden_state, lengths), 3, stride=2, padding=1)
        lengths = _output_lengths(lengths, 3, 2, 1)
        return _mask_frames(hidden_state, lengths), lengths


class MtsResNetBottleneck(GradientCheckpointingLayer):
    """Bottleneck: 1x1, 3x3 MTS convolution (with the stride), 1x1, each with batch norm, beside a shortcut."""

    def __init__(self, config: MtsConfig, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        width = out_channels // 4
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.reduce_normalization = nn.BatchNorm2d(width)
        self.convolution = MtsConv2d(config, width, width, 3, stride=stride, padding=1, bias=False)
        self.normalization = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, out_channels, 1, bias=False)
        self.expand_normalization = nn.BatchNorm2d(out_channels)
        # On the layer itself: transformers calls _init_weights only for modules with parameters of their own.
        self.expand_normalization.zero_init = config.zero_init_residual
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(
        self, hidden_state: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        residual = self.shortcut(hidden_state)
        hidden_state = F.relu(self.reduce_normalization(self.reduce(hidden_state)))
        hidden_state = self.convolution(_mask_frames(hidden_state, lengths), lengths)
        hidden_state = F.relu(self.normalization(hidden_state))
        hidden_state = F.relu(self.expand_normalization(self.expand(hidden_state)) + residual)
        return hidden_state, self.convolution.output_lengths(lengths)


class MtsResNetStage(nn.Module):
    """Stage of bottlenecks. The first one strides, except in the first stage, which follows a pooling."""

    def __init__(self, config: MtsConfig, stage: int):
        super().__init__()
        in_channels, out_channels = [config.embedding_size, *config.hidden_sizes][stage : stage + 2]
        self.layers = nn.ModuleList(
            [MtsResNetBottleneck(config, in_channels, out_channels, stride=1 if stage == 0 else 2)]
        )
        self.layers.extend(
            MtsResNetBottleneck(config, out_channels, out_channels, stride=1) for _ in range(config.depths[stage] - 1)
        )

    def forward(
        self, hidden_state: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        for layer in self.layers:
            hidden_state, lengths = layer(hidden_state, lengths)
        return _mask_frames(hidden_state, lengths), lengths


class MtsPreTrainedModel(PreTrainedModel):
    """Base of the MTS networks: initial weights, and saving with the code."""

    config: MtsConfig
    base_model_prefix = "mts"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["MtsAlexNetLayer", "MtsAlexNetCheckpointedLayer", "MtsResNetBottleneck"]
    _can_compile_fullgraph = True

    def freeze_base_model(self) -> None:
        """Freeze all but the head. The body keeps its weights and batch statistics, and nothing is dropped out."""
        self.base_model.requires_grad_(False)
        self.train(self.training)

    def freeze_feature_encoder(self) -> None:
        """Freeze the first layer, as transformers freezes convolutions in front of a body."""
        self.base_model.layers[0].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True):
        super().train(mode)
        for module in self.modules():  # else the running statistics of frozen weights would move
            if isinstance(module, _BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only name the class that is saved, and AutoModel could not open a classifier's folder.
        self.config.auto_map = dict(AUTO_MAP)
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d) and self.config.architecture == "resnet":
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            # torch's own default, which torchvision's AlexNet starts from.
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = 1 / math.sqrt(module.weight[0].numel())
            init.uniform_(module.bias, -bound, bound)
        elif getattr(module, "zero_init", False):
            init.zeros_(module.weight)


class MtsModel(MtsPreTrainedModel):
    """MTS network without a head: log-mel frames in, a feature map and its average out.

    With gradient checkpointing the blocks run twice a step, so batch norm's running statistics move twice as well.

    ```python
    >>> import torch
    >>> from lssed_hf import MtsConfig, MtsModel

    >>> model = MtsModel(MtsConfig())
    >>> model(torch.zeros(1, 200, 128)).pooler_output.shape
    torch.Size([1, 9216])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: MtsConfig):
        super().__init__(config)
        if config.architecture == "alexnet":
            layers = [MtsAlexNetLayer(config, 0), *(MtsAlexNetCheckpointedLayer(config, i) for i in range(1, 5))]
        else:
            layers = [MtsResNetStem(config), *(MtsResNetStage(config, stage) for stage in range(len(config.depths)))]
        self.layers = nn.ModuleList(layers)
        self.min_frames, self.min_mel_bins = config.min_frames, config.min_mel_bins
        self.post_init()

    def train(self, mode: bool = True):
        return super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        r"""Compute feature maps and pooled vectors.

        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel spectrogram, as `PyResNetFeatureExtractor` makes it. Clips of fewer than
                `config.min_frames` frames, or `config.min_mel_bins` mel bins, are filled up with zeros.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. Padding then changes nothing, except that batch
                normalisation counts padded positions in `train` mode.
            output_hidden_states (`bool`, *optional*):
                Whether to return the maps after each layer of AlexNet, or after the stem and each stage of ResNet.
            **kwargs: Ignored.

        Returns:
            `last_hidden_state` (batch, hidden_sizes[-1], mel, frames) and `pooler_output` (batch, hidden_size), its
            average over `pooled_size` rows and columns, channel by channel.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        bins = self.config.num_mel_bins
        if input_features.dim() != 3 or bins not in (None, input_features.shape[-1]):
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, {bins or 'num_mel_bins'}) "
                "is expected (config.num_mel_bins)"
            )
        hidden_state = input_features.transpose(1, 2).unsqueeze(1).to(self.dtype)
        tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if attention_mask is None or (not tracing and bool(attention_mask.all())):
            lengths = None  # nothing is padded, so nothing has to be masked
        elif not tracing and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
            raise ValueError("attention_mask has padding in front of valid frames; pad behind the clips")
        else:
            lengths = attention_mask.long().sum(dim=1).clamp(min=self.min_frames)
            # Padding may hold anything, NaN included.
            hidden_state = hidden_state.masked_fill(attention_mask[:, None, None, :] == 0, 0.0)
        _, _, mel_bins, frames = hidden_state.shape
        if mel_bins < self.min_mel_bins or frames < self.min_frames:
            missing = (max(0, self.min_frames - frames), max(0, self.min_mel_bins - mel_bins))
            hidden_state = F.pad(hidden_state, (0, missing[0], 0, missing[1]))

        hidden_states = () if output_hidden_states else None
        for layer in self.layers:
            hidden_state, lengths = layer(hidden_state, lengths)
            if output_hidden_states:
                hidden_states += (hidden_state,)
        pooled = _average_pool(hidden_state, self.config.pooled_size, lengths)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden_state, pooler_output=pooled.flatten(1), hidden_states=hidden_states
        )


class MtsForAudioClassification(MtsPreTrainedModel):
    """MTS network with the classifier of its architecture: three linear layers for AlexNet, one for ResNet.

    ```python
    >>> import torch
    >>> from lssed_hf import MtsConfig, MtsForAudioClassification

    >>> model = MtsForAudioClassification(MtsConfig(num_labels=4))
    >>> model(torch.zeros(1, 200, 128)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights

    def __init__(self, config: MtsConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.mts = MtsModel(config)
        widths, head = [config.hidden_size, *config.classifier_hidden_sizes], []
        for inputs, outputs in itertools.pairwise(widths):
            head += [nn.Dropout(config.classifier_dropout), nn.Linear(inputs, outputs), nn.ReLU()]
        self.head = nn.Sequential(*head)
        self.classifier = nn.Linear(widths[-1], config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""Compute the logits of the classes, and the loss where labels are given.

        Args:
            input_features: See [`MtsModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`.
            output_hidden_states: See there.
            **kwargs: Arguments of the loss function.
        """
        outputs = self.mts(input_features, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.head(outputs.pooler_output))
        # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        if loss is not None and self.config.problem_type != "single_label_classification":
            # transformers uses it in the loss of that problem alone.
            loss = loss * labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


__all__ = ["MtsConv2d", "MtsForAudioClassification", "MtsModel", "MtsPreTrainedModel"]
