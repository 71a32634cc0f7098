# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""FCN-Attention in PyTorch."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_fcn_attention import FcnAttentionConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_fcn_attention.FcnAttentionConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_fcn_attention.FcnAttentionModel",
    "AutoModelForAudioClassification": "modeling_fcn_attention.FcnAttentionForAudioClassification",
}


def _output_lengths(lengths: torch.Tensor | None, size: int, stride: int, padding: int = 0) -> torch.Tensor | None:
    """Return the valid frames of each clip behind a convolution or a pooling."""
    return None if lengths is None else (lengths + 2 * padding - size) // stride + 1


def _frame_mask(lengths: torch.Tensor, frames: int) -> torch.Tensor:
    """Return a boolean mask (batch, 1, 1, frames), true for valid frames."""
    return (torch.arange(frames, device=lengths.device) < lengths[:, None])[:, None, None, :]


class FcnAttentionResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation in single precision: in half, torch has none on the CPU and squares overflow."""

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(hidden_state.dtype, torch.float32)
        return super().forward(hidden_state.to(dtype)).to(hidden_state.dtype)


class FcnAttentionConvLayer(nn.Module):
    """Convolution of AlexNet with ReLU, normalisation and, behind convolutions 1, 2 and 5, max-pooling."""

    def __init__(self, config: FcnAttentionConfig, index: int):
        super().__init__()
        in_channels = 1 if index == 0 else config.hidden_sizes[index - 1]
        size, stride, padding = [(11, 4, config.conv1_padding), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)][index]
        self.convolution = nn.Conv2d(
            in_channels, config.hidden_sizes[index], size, stride, padding, groups=config.groups[index]
        )
        self.normalization = nn.Identity()
        if config.norm == "batch":
            self.normalization = nn.BatchNorm2d(config.hidden_sizes[index])
        self.response_normalization = nn.Identity()
        if config.norm == "local_response" and index < 2:
            self.response_normalization = FcnAttentionResponseNorm(
                config.lrn_size, config.lrn_alpha, config.lrn_beta, config.lrn_k
            )
        self.pooled = index in (0, 1, 4)

    def forward(
        self, hidden_state: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        hidden_state = F.relu(self.normalization(self.convolution(hidden_state)))
        hidden_state = self.response_normalization(hidden_state)
        convolution = self.convolution
        lengths = _output_lengths(
            lengths, convolution.kernel_size[0], convolution.stride[0], padding=convolution.padding[0]
        )
        if self.pooled:
            hidden_state = F.max_pool2d(hidden_state, 3, stride=2)
            lengths = _output_lengths(lengths, 3, stride=2)
        if lengths is not None:  # behind its end a clip alone has zeros, too
            hidden_state = hidden_state * _frame_mask(lengths, hidden_state.shape[-1]).to(hidden_state.dtype)
        return hidden_state, lengths


class FcnAttentionCheckpointedConvLayer(GradientCheckpointingLayer, FcnAttentionConvLayer):
    """Layer behind the first, whose input needs no gradient: re-entrant checkpointing would stop there."""


class FcnAttentionPooling(nn.Module):
    """Attention over the positions a_i of a map: e_i = u^T tanh(W a_i + b), softmax of `attention_scale` * e_i."""

    def __init__(self, config: FcnAttentionConfig):
        super().__init__()
        self.scale = config.attention_scale
        self.projection = nn.Linear(config.hidden_size, config.hidden_size)
        self.score = nn.Linear(config.hidden_size, 1, bias=False)

    def forward(self, hidden_state: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weighted mean (batch, channels) of a map (batch, channels, mel, frames), and the weights.

        Weights have the shape (batch, mel, frames).
        """
        scores = self.score(torch.tanh(self.projection(hidden_state.permute(0, 2, 3, 1)))).squeeze(-1)
        scores = self.scale * scores.to(torch.promote_types(scores.dtype, torch.float32))
        if lengths is not None:
            scores = scores.masked_fill(~_frame_mask(lengths, scores.shape[-1]).squeeze(1), -torch.inf)
        # A softmax over two axes: torch.export cannot flatten them for any number of frames.
        weights = (scores - scores.logsumexp(dim=(1, 2), keepdim=True)).exp()
        return (hidden_state * weights[:, None]).sum(dim=(2, 3)).to(hidden_state.dtype), weights


class FcnAttentionPreTrainedModel(PreTrainedModel):
    """Base of the FCN-Attention models: initial weights, and saving with the code."""

    config: FcnAttentionConfig
    base_model_prefix = "fcn_attention"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["FcnAttentionConvLayer", "FcnAttentionCheckpointedConvLayer"]
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
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))  # torch's own default
            if module.bias is not None:
                bound = 1 / math.sqrt(module.in_features)
                init.uniform_(module.bias, -bound, bound)


class FcnAttentionModel(FcnAttentionPreTrainedModel):
    """FCN-Attention without a head: log-mel frames in, a feature map and its attention-weighted mean out.

    ```python
    >>> import torch
    >>> from lssed_hf import FcnAttentionConfig, FcnAttentionModel

    >>> model = FcnAttentionModel(FcnAttentionConfig())
    >>> model(torch.zeros(1, 200, 128), output_attentions=True).attentions[0].shape
    torch.Size([1, 3, 5])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: FcnAttentionConfig):
        super().__init__(config)
        self.layers = nn.ModuleList([FcnAttentionConvLayer(config, 0)])
        self.layers.extend(FcnAttentionCheckpointedConvLayer(config, index) for index in range(1, 5))
        self.attention = FcnAttentionPooling(config)
        self.post_init()

    def train(self, mode: bool = True):
        return super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPooling:
        r"""Compute feature maps and pooled vectors.

        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel spectrogram, as `PyResNetFeatureExtractor` makes it. Clips of fewer than
                `config.min_size` frames, or mel bins, are filled up with zeros.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. Padding then changes nothing, except that with
                `norm="batch"` batch normalisation counts padded positions in `train` mode.
            output_hidden_states (`bool`, *optional*):
                Whether to return the maps after each of the five layers.
            output_attentions (`bool`, *optional*):
                Whether to return `attentions`.
            **kwargs: Ignored.

        Returns:
            `last_hidden_state` (batch, hidden_size, mel, frames) and `pooler_output` (batch, hidden_size), the mean of
            all valid positions under the attention's weights. `attentions` are these weights, (batch, mel, frames), in
            a tuple of one: 0 for padding, with a sum of 1.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if output_attentions is None:
            output_attentions = self.config.output_attentions
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
            lengths = attention_mask.long().sum(dim=1).clamp(min=self.config.min_size)
            # Padding may hold anything, NaN included.
            hidden_state = hidden_state.masked_fill(attention_mask[:, None, None, :] == 0, 0.0)
        _, _, mel_bins, frames = hidden_state.shape
        if mel_bins < self.config.min_size or frames < self.config.min_size:
            missing = (max(0, self.config.min_size - frames), max(0, self.config.min_size - mel_bins))
            hidden_state = F.pad(hidden_state, (0, missing[0], 0, missing[1]))

        hidden_states = () if output_hidden_states else None
        for layer in self.layers:
            hidden_state, lengths = layer(hidden_state, lengths)
            if output_hidden_states:
                hidden_states += (hidden_state,)
        pooled, weights = self.attention(hidden_state, lengths)
        return BaseModelOutputWithPooling(
            last_hidden_state=hidden_state,
            pooler_output=pooled,
            hidden_states=hidden_states,
            attentions=(weights,) if output_attentions else None,
        )


class FcnAttentionForAudioClassification(FcnAttentionPreTrainedModel):
    """FCN-Attention with dropout and a linear classifier.

    ```python
    >>> import torch
    >>> from lssed_hf import FcnAttentionConfig, FcnAttentionForAudioClassification

    >>> model = FcnAttentionForAudioClassification(FcnAttentionConfig(num_labels=4))
    >>> model(torch.zeros(1, 200, 128)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights

    def __init__(self, config: FcnAttentionConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.fcn_attention = FcnAttentionModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""Compute the logits of the classes, and the loss where labels are given.

        Args:
            input_features: See [`FcnAttentionModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`.
            output_hidden_states: See there.
            output_attentions: See there.
            **kwargs: Arguments of the loss function.
        """
        outputs = self.fcn_attention(
            input_features,
            attention_mask=attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))
        # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        if loss is not None and self.config.problem_type != "single_label_classification":
            # transformers uses it in the loss of that problem alone.
            loss = loss * labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
        return SequenceClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


__all__ = ["FcnAttentionForAudioClassification", "FcnAttentionModel", "FcnAttentionPreTrainedModel"]
