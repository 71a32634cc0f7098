# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""PyTorch FCN-Attention model."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_fcn_attention import FcnAttentionConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_fcn_attention.FcnAttentionConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_fcn_attention.FcnAttentionModel",
    "AutoModelForAudioClassification": "modeling_fcn_attention.FcnAttentionForAudioClassification",
}


@dataclass
class FcnAttentionModelOutput(BaseModelOutputWithPoolingAndNoAttention):
    """With `attention_weights` (batch, mel, frames) on request: the weight of each position, 0 for padding, sum 1."""

    attention_weights: torch.Tensor | None = None


@dataclass
class FcnAttentionClassifierOutput(SequenceClassifierOutput):
    """With `attention_weights` (batch, mel, frames) on request: the weight of each position, 0 for padding, sum 1."""

    attention_weights: torch.Tensor | None = None


def _output_lengths(lengths: torch.Tensor | None, size: int, stride: int, padding: int = 0) -> torch.Tensor | None:
    """Valid frames of each clip behind a convolution or a pooling."""
    return None if lengths is None else (lengths + 2 * padding - size) // stride + 1


def _frame_mask(lengths: torch.Tensor, frames: int) -> torch.Tensor:
    """Boolean (batch, 1, 1, frames), true for valid frames."""
    return (torch.arange(frames, device=lengths.device) < lengths[:, None])[:, None, None, :]


class FcnAttentionResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation, in half precision too, where torch has none on the CPU and squares overflow."""

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(hidden_state.dtype, torch.float32)
        return super().forward(hidden_state.to(dtype)).to(hidden_state.dtype)


class FcnAttentionConvLayer(nn.Module):
    """One of AlexNet's convolutions with ReLU, normalisation and, behind convolutions 1, 2 and 5, max-pooling."""

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
        if lengths is not None:  # padded frames are zero, which is what a clip alone has behind its end
            hidden_state = hidden_state * _frame_mask(lengths, hidden_state.shape[-1]).to(hidden_state.dtype)
        return hidden_state, lengths


class FcnAttentionCheckpointedConvLayer(GradientCheckpointingLayer, FcnAttentionConvLayer):
    """All layers but the first, whose input needs no gradient, without which re-entrant checkpointing stops there."""


class FcnAttentionPooling(nn.Module):
    """Attention over the positions a_i of a map: e_i = u^T tanh(W a_i + b), softmax of `attention_scale` * e_i."""

    def __init__(self, config: FcnAttentionConfig):
        super().__init__()
        self.scale = config.attention_scale
        self.projection = nn.Linear(config.hidden_size, config.hidden_size)
        self.score = nn.Linear(config.hidden_size, 1, bias=False)

    def forward(self, hidden_state: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, channels, mel, frames) to a mean (batch, channels) under weights (batch, mel, frames), and those."""
        scores = self.score(torch.tanh(self.projection(hidden_state.permute(0, 2, 3, 1)))).squeeze(-1)
        scores = self.scale * scores.to(torch.promote_types(scores.dtype, torch.float32))
        if lengths is not None:
            scores = scores.masked_fill(~_frame_mask(lengths, scores.shape[-1]).squeeze(1), -torch.inf)
        # A softmax over two axes. Flattening them instead, torch.export could not do for any number of frames.
        weights = (scores - scores.logsumexp(dim=(1, 2), keepdim=True)).exp()
        return (hidden_state * weights[:, None]).sum(dim=(2, 3)).to(hidden_state.dtype), weights


class FcnAttentionPreTrainedModel(PreTrainedModel):
    config: FcnAttentionConfig
    base_model_prefix = "fcn_attention"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["FcnAttentionConvLayer", "FcnAttentionCheckpointedConvLayer"]
    _can_compile_fullgraph = True

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only enter the class that is saved, and AutoModel could not open a classifier's folder.
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
    """The bare FCN-Attention: log-mel frames in, a feature map and its attention-weighted mean out."""

    _auto_class = "AutoModel"  # saving puts a copy of this code beside the weights

    def __init__(self, config: FcnAttentionConfig):
        super().__init__(config)
        self.layers = nn.ModuleList([FcnAttentionConvLayer(config, 0)])
        self.layers.extend(FcnAttentionCheckpointedConvLayer(config, index) for index in range(1, 5))
        self.attention = FcnAttentionPooling(config)
        self._frozen = False
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Freeze convolutions and attention, batch statistics included: the classifier trains on fixed features."""
        self._frozen = True
        self.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True):
        return super().train(mode and not self._frozen)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs,
    ) -> FcnAttentionModelOutput:
        r"""
        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel spectrogram, as `PyResNetFeatureExtractor` makes it. Clips of fewer than
                `config.min_size` frames, or mel bins, are filled up with zeros.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. Padding then changes nothing; only with
                `norm="batch"` batch normalisation still counts padded positions in `train` mode.
            output_hidden_states (`bool`, *optional*):
                Whether to return the maps after each of the five layers.
            output_attentions (`bool`, *optional*):
                Whether to return `attention_weights`.

        Returns:
            `last_hidden_state` (batch, hidden_size, mel, frames) and `pooler_output` (batch, hidden_size), the mean of
            all valid positions under the attention's weights.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if input_features.dim() != 3:
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, num_mel_bins) is expected"
            )
        hidden_state = input_features.transpose(1, 2).unsqueeze(1).to(self.dtype)
        tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if attention_mask is None or (not tracing and bool(attention_mask.all())):
            lengths = None  # nothing is padded, so nothing has to be masked
        else:
            lengths = attention_mask.long().sum(dim=1).clamp(min=self.config.min_size)
            # Whatever the padding holds, NaN included.
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
        return FcnAttentionModelOutput(
            last_hidden_state=hidden_state,
            pooler_output=pooled,
            hidden_states=hidden_states,
            attention_weights=weights if output_attentions else None,
        )


class FcnAttentionForAudioClassification(FcnAttentionPreTrainedModel):
    """FCN-Attention with dropout and a linear classifier."""

    _auto_class = "AutoModelForAudioClassification"  # saving puts a copy of this code beside the weights

    def __init__(self, config: FcnAttentionConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.fcn_attention = FcnAttentionModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """See [`FcnAttentionModel.freeze_feature_encoder`]."""
        self.fcn_attention.freeze_feature_encoder()

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs,
    ) -> FcnAttentionClassifierOutput:
        r"""
        Args:
            input_features, attention_mask, output_hidden_states, output_attentions:
                See [`FcnAttentionModel.forward`].
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`. A loss is returned when they are given.
        """
        outputs = self.fcn_attention(
            input_features,
            attention_mask=attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))
        # kwargs carries `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        return FcnAttentionClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attention_weights=outputs.attention_weights,
        )


__all__ = ["FcnAttentionForAudioClassification", "FcnAttentionModel", "FcnAttentionPreTrainedModel"]
