# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""PyResNet in PyTorch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_pyresnet import PyResNetConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_pyresnet.PyResNetConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_pyresnet.PyResNetModel",
    "AutoModelForAudioClassification": "modeling_pyresnet.PyResNetForAudioClassification",
}


@dataclass
class PyResNetClassifierOutput(SequenceClassifierOutput):
    """Output of the classifier, with the ratings of its second head where it has one.

    Attributes:
        loss: Loss, if labels were given.
        logits: Logits of the classes, (batch, num_labels).
        hidden_states: Maps after the stem and after each stage, if they were asked for.
        attentions: None.
        dimensions: Rating of each of `config.dimensions` on the scale of the corpus, (batch, num_dimensions). None
            without such dimensions.
    """

    dimensions: torch.FloatTensor | None = None


def _mask_frames(hidden_state: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of (batch, channels, mel, frames): behind its end a clip alone has zeros, too."""
    # A product, since masked_fill is slower and loses the channels-last layout.
    return hidden_state if mask is None else hidden_state * mask.to(hidden_state.dtype)


def _halve_mask(mask: torch.Tensor | None) -> torch.Tensor | None:
    """Return every other frame of a mask (batch, 1, 1, frames), as it is behind a convolution of stride 2."""
    # By pooling, since torch.export has to prove that the length equals the convolution's.
    return None if mask is None else F.max_pool2d(mask, 1, stride=(1, 2))


class PyResNetPyramidConv(nn.Module):
    """Pyramid convolution: parallel convolutions with growing kernels and groups, concatenated on channels.

    Source: Duta et al., "Pyramidal Convolution", arXiv 2006.11538, section 3. It divides mel and frames of (batch,
    width, mel, frames) by `stride`.
    """

    def __init__(self, config: PyResNetConfig, stage: int, stride: int):
        super().__init__()
        width = config.hidden_sizes[stage] // 4
        levels = zip(config.level_channels(stage), config.kernel_sizes[stage], config.groups[stage])
        self.levels = nn.ModuleList(
            nn.Conv2d(width, channels, size, stride=stride, padding=size // 2, groups=groups, bias=False)
            for channels, size, groups in levels
        )

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        if len(self.levels) == 1:
            return self.levels[0](hidden_state)
        return torch.cat([level(hidden_state) for level in self.levels], dim=1)


class PyResNetShortcut(nn.Module):
    """Projection shortcut: max-pool 3x3 where the block strides, then 1x1 convolution and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=stride, padding=1) if stride > 1 else nn.Identity()
        self.convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.normalization = nn.BatchNorm2d(out_channels)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.normalization(self.convolution(self.pool(hidden_state)))


class PyResNetBottleneck(GradientCheckpointingLayer):
    """Bottleneck: 1x1, pyramid convolution (with the stride), 1x1, each with batch norm, beside a shortcut.

    Where the block strides, padded frames have to be zero on entry: the pooling of the shortcut sees them.
    """

    def __init__(self, config: PyResNetConfig, stage: int, in_channels: int, stride: int):
        super().__init__()
        out_channels = config.hidden_sizes[stage]
        width = out_channels // 4
        self.stride = stride
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.reduce_normalization = nn.BatchNorm2d(width)
        self.pyramid = PyResNetPyramidConv(config, stage, stride)
        self.pyramid_normalization = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, out_channels, 1, bias=False)
        self.expand_normalization = nn.BatchNorm2d(out_channels)
        # On the layer itself: transformers calls _init_weights only for modules with parameters of their own.
        self.expand_normalization.zero_init = config.zero_init_residual
        projected = stride > 1 or in_channels != out_channels
        self.shortcut = PyResNetShortcut(in_channels, out_channels, stride) if projected else nn.Identity()

    def forward(self, hidden_state: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        residual = self.shortcut(hidden_state)
        hidden_state = F.relu(self.reduce_normalization(self.reduce(hidden_state)))
        hidden_state = self.pyramid(_mask_frames(hidden_state, mask))
        hidden_state = F.relu(self.pyramid_normalization(hidden_state))
        return F.relu(self.expand_normalization(self.expand(hidden_state)) + residual)


class PyResNetStage(nn.Module):
    """Stage of bottlenecks. The first one strides, in the first stage too: the stem has no pooling."""

    def __init__(self, config: PyResNetConfig, stage: int):
        super().__init__()
        in_channels = config.embedding_size if stage == 0 else config.hidden_sizes[stage - 1]
        self.layers = nn.ModuleList([PyResNetBottleneck(config, stage, in_channels, stride=2)])
        self.layers.extend(
            PyResNetBottleneck(config, stage, config.hidden_sizes[stage], stride=1)
            for _ in range(config.depths[stage] - 1)
        )

    def forward(
        self, hidden_state: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        for layer in self.layers:
            hidden_state = layer(hidden_state, mask)
            if layer.stride > 1:
                mask = _halve_mask(mask)
        return _mask_frames(hidden_state, mask), mask


class PyResNetEmbeddings(nn.Module):
    """Stem: 7x7 convolution with stride 2, batch norm, ReLU."""

    def __init__(self, config: PyResNetConfig):
        super().__init__()
        self.convolution = nn.Conv2d(1, config.embedding_size, 7, stride=2, padding=3, bias=False)
        self.normalization = nn.BatchNorm2d(config.embedding_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return F.relu(self.normalization(self.convolution(pixels)))


def _to_channels_last(model: nn.Module) -> None:
    """Lay the weights of convolutions out as their inputs are. Saved files and values stay as they are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return  # FSDP shards weights in the default order alone
    for module in model.modules():
        # Weights without values are drawn in the default order, and laid out when they are loaded.
        if type(module) is nn.Conv2d and not module.weight.is_meta:
            module.to(memory_format=torch.channels_last)


class PyResNetPreTrainedModel(PreTrainedModel):
    """Base of the PyResNet models: initial weights, and saving with the code."""

    config: PyResNetConfig
    base_model_prefix = "pyresnet"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["PyResNetBottleneck"]
    _can_compile_fullgraph = True

    def post_init(self):
        super().post_init()
        _to_channels_last(self)

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        loaded = super().from_pretrained(*args, **kwargs)
        _to_channels_last(loaded[0] if isinstance(loaded, tuple) else loaded)  # a pair with output_loading_info
        return loaded

    def freeze_base_model(self) -> None:
        """Freeze all but the head. The body keeps its weights and batch statistics, and nothing is dropped out."""
        self.base_model.requires_grad_(False)
        self.train(self.training)

    def freeze_feature_encoder(self, num_stages: int = 0) -> None:
        """Freeze the stem, as transformers does the convolutions in front of a body, and the first stages.

        Args:
            num_stages: Number of stages to freeze with it.
        """
        for module in (self.base_model.embedder, *self.base_model.stages[:num_stages]):
            module.requires_grad_(False)
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
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif getattr(module, "zero_init", False):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear):
            # torch's own default for a linear layer, which the released networks start from.
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, PyResNetForAudioClassification) and module.config.standardize_embedding:
            for buffer in (module.embedding_mean, module.class_means, module.within_variance):
                init.zeros_(buffer)
            for buffer in (module.embedding_std, module.speaker_temperature):
                init.ones_(buffer)


class PyResNetModel(PyResNetPreTrainedModel):
    """PyResNet without a head: log-mel frames in, a feature map and its average over time out.

    With gradient checkpointing the blocks run twice a step, so batch norm's running statistics move twice as well.

    ```python
    >>> import torch
    >>> from lssed_hf import PyResNetConfig, PyResNetModel

    >>> model = PyResNetModel(PyResNetConfig())
    >>> model(torch.zeros(1, 200, 128)).pooler_output.shape
    torch.Size([1, 8192])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: PyResNetConfig):
        super().__init__(config)
        self.embedder = PyResNetEmbeddings(config)
        self.stages = nn.ModuleList(PyResNetStage(config, stage) for stage in range(len(config.depths)))
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
                Normalised log-mel spectrogram, as `PyResNetFeatureExtractor` makes it.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. In `eval` mode padding then changes nothing; in
                `train` mode batch normalisation still counts padded positions.
            output_hidden_states (`bool`, *optional*):
                Whether to return the maps after the stem and after each stage.
            **kwargs: Ignored.

        Returns:
            `last_hidden_state` (batch, hidden_sizes[-1], mel, frames) and `pooler_output` (batch, hidden_size), the
            mean over the valid frames with `num_frequency_rows` rows kept, channel by channel.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        bins = self.config.num_mel_bins
        if input_features.dim() != 3 or bins not in (None, input_features.shape[-1]):
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, {bins or 'num_mel_bins'}) "
                "is expected (config.num_mel_bins)"
            )
        tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if attention_mask is None or (not tracing and bool(attention_mask.all())):
            mask = None  # nothing is padded, so nothing has to be masked
        elif not tracing and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
            raise ValueError("attention_mask has padding in front of valid frames; pad behind the clips")
        else:
            mask = attention_mask[:, None, None, :].to(self.dtype)

        pixels = input_features.transpose(1, 2).unsqueeze(1).to(self.dtype)
        if mask is not None:
            pixels = pixels.masked_fill(mask == 0, 0.0)  # whatever the padding holds, NaN included
        hidden_state = self.embedder(pixels)
        # Convolutions are fastest on channels-last; the map keeps that layout to the end.
        hidden_state = hidden_state.contiguous(memory_format=torch.channels_last)
        mask = _halve_mask(mask)
        hidden_state = _mask_frames(hidden_state, mask)

        hidden_states = (hidden_state,) if output_hidden_states else None
        for stage in self.stages:
            hidden_state, mask = stage(hidden_state, mask)
            if output_hidden_states:
                hidden_states += (hidden_state,)

        if mask is None:
            pooled = hidden_state.mean(dim=-1)
        else:
            pooled = hidden_state.sum(dim=-1) / mask.sum(dim=-1).clamp(min=1).to(hidden_state.dtype)
        if pooled.shape[-1] != self.config.num_frequency_rows:
            pooled = F.adaptive_avg_pool1d(pooled, self.config.num_frequency_rows)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden_state, pooler_output=pooled.flatten(1), hidden_states=hidden_states
        )


class PyResNetForAudioClassification(PyResNetPreTrainedModel):
    """PyResNet with a linear classifier on its pooled features (`fc` of the released networks).

    With `standardize_embedding` the pooled features are standardised by `embedding_mean` and `embedding_std`. A
    speaker's own may replace them; logits are then to be divided by `speaker_temperature`. `class_means` and
    `within_variance` tell a speaker's voice from the emotions in it.

    With `dimensions` a second linear layer rates them, on the same features.

    ```python
    >>> import torch
    >>> from lssed_hf import PyResNetConfig, PyResNetForAudioClassification

    >>> model = PyResNetForAudioClassification(PyResNetConfig(num_labels=4))
    >>> model(torch.zeros(1, 200, 128)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights

    def __init__(self, config: PyResNetConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.pyresnet = PyResNetModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        if config.standardize_embedding:
            self.register_buffer("embedding_mean", torch.zeros(config.hidden_size))
            self.register_buffer("embedding_std", torch.ones(config.hidden_size))
            self.register_buffer("class_means", torch.zeros(config.num_labels, config.hidden_size))
            self.register_buffer("within_variance", torch.zeros(()))
            self.register_buffer("speaker_temperature", torch.ones(()))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        if config.dimensions:
            self.dimension_head = nn.Linear(config.hidden_size, len(config.dimensions))
        self.post_init()

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the logits (batch, num_labels) of embeddings (batch, hidden_size) that are not standardised yet."""
        if self.config.standardize_embedding:
            embeddings = (embeddings - self.embedding_mean) / self.embedding_std
        return self.classifier(self.dropout(embeddings))

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        ratings: torch.Tensor | None = None,
        **kwargs,
    ) -> PyResNetClassifierOutput:
        r"""Compute the logits of the classes and the ratings of the dimensions, and the loss where labels are given.

        Args:
            input_features: See [`PyResNetModel.forward`].
            attention_mask: See there.
            labels (`torch.Tensor`, *optional*):
                Class indices in `[0, num_labels)` of shape `(batch,)`; with another `config.problem_type` than
                `"single_label_classification"`, floats of shape `(batch, num_labels)`.
            output_hidden_states: See there.
            ratings (`torch.FloatTensor` of shape `(batch, num_dimensions)`, *optional*):
                Ratings of `config.dimensions`, NaN where unknown. The mean squared error of the others is added to the
                loss.
            **kwargs: Arguments of the loss function.
        """
        outputs = self.pyresnet(
            input_features, attention_mask=attention_mask, output_hidden_states=output_hidden_states
        )
        logits = self.classify(outputs.pooler_output)
        dimensions = self.dimension_head(self.dropout(outputs.pooler_output)) if self.config.dimensions else None
        loss = None
        if labels is not None:
            # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
            loss = self.loss_function(labels, logits, self.config, **kwargs)
            share = labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
            if self.config.problem_type != "single_label_classification":
                loss = loss * share  # transformers uses the number in the loss of that problem alone
        if loss is not None and ratings is not None:
            if dimensions is None:
                raise ValueError("ratings were given, and config.dimensions names no dimensions")
            errors = torch.where(ratings.isnan(), 0.0, dimensions - ratings.nan_to_num())
            loss = loss + errors.square().mean() * share
        return PyResNetClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, dimensions=dimensions
        )


__all__ = ["PyResNetForAudioClassification", "PyResNetModel", "PyResNetPreTrainedModel"]
