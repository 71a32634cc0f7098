# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Truncated Whisper encoders with statistics pooling, in PyTorch."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_whisper_statistics import WhisperStatisticsConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_whisper_statistics.WhisperStatisticsConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_whisper_statistics.WhisperStatisticsModel",
    "AutoModelForAudioClassification": "modeling_whisper_statistics.WhisperStatisticsForAudioClassification",
}
#: Decibels of a unit of Whisper's log-mel values, and the range of these below a clip's peak: 80 dB.
LOG_MEL_UNIT, LOG_MEL_RANGE = 40.0, 2.0


class WhisperStatisticsInt8Linear(nn.Module):
    """Linear layer whose weights are 8-bit integers with a scale per row."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features, 1))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to(hidden_state.dtype) * self.scale.to(hidden_state.dtype)
        return F.linear(hidden_state, weight, self.bias)


def _linear(config: WhisperStatisticsConfig, in_features: int, out_features: int, bias: bool = True) -> nn.Module:
    layer = WhisperStatisticsInt8Linear if config.weight_bits == 8 else nn.Linear
    return layer(in_features, out_features, bias=bias)


class WhisperStatisticsAttention(nn.Module):
    """Self-attention of Whisper's encoder: no bias in the keys' projection."""

    def __init__(self, config: WhisperStatisticsConfig):
        super().__init__()
        self.num_heads, size = config.num_attention_heads, config.hidden_size
        self.q_proj = _linear(config, size, size)
        self.k_proj = _linear(config, size, size, bias=False)
        self.v_proj = _linear(config, size, size)
        self.out_proj = _linear(config, size, size)

    def forward(self, hidden_state: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        query, key, value = (heads(layer(hidden_state)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class WhisperStatisticsLayer(GradientCheckpointingLayer):
    """Layer of Whisper's encoder, with its names of weights."""

    def __init__(self, config: WhisperStatisticsConfig):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(config.hidden_size)
        self.self_attn = WhisperStatisticsAttention(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)
        self.fc1 = _linear(config, config.hidden_size, config.intermediate_size)
        self.fc2 = _linear(config, config.intermediate_size, config.hidden_size)

    def forward(self, hidden_state: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden_state = hidden_state + self.self_attn(self.self_attn_layer_norm(hidden_state), mask)
        return hidden_state + self.fc2(F.gelu(self.fc1(self.final_layer_norm(hidden_state))))


class WhisperStatisticsPreTrainedModel(PreTrainedModel):
    """Base of the models: initial weights, and saving with the code."""

    config: WhisperStatisticsConfig
    base_model_prefix = "whisper_statistics"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["WhisperStatisticsLayer"]
    _supports_sdpa = True
    _can_compile_fullgraph = True

    def freeze_base_model(self) -> None:
        """Freeze all but the head, which is then trained on fixed features."""
        self.base_model.requires_grad_(False)
        self.train(self.training)

    def freeze_feature_encoder(self) -> None:
        """Freeze the convolutions in front of the layers, as in transformers."""
        for convolution in (self.base_model.conv1, self.base_model.conv2):
            convolution.requires_grad_(False)

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only name the class that is saved, and AutoModel could not open a classifier's folder.
        self.config.auto_map = dict(AUTO_MAP)
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, WhisperStatisticsInt8Linear):
            init.zeros_(module.weight)
            init.ones_(module.scale)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, WhisperStatisticsModel):
            init.copy_(module.positions, module.sinusoids())
        elif isinstance(module, WhisperStatisticsForAudioClassification):
            init.zeros_(module.embedding_mean)
            init.ones_(module.embedding_std)
            init.zeros_(module.class_means)
            init.zeros_(module.within_variance)
            init.ones_(module.speaker_temperature)


class WhisperStatisticsModel(WhisperStatisticsPreTrainedModel):
    """First layers of Whisper's encoder: log-mel frames in, states and their mean and deviation over the clip out.

    ```python
    >>> import torch
    >>> from lssed_hf import WhisperStatisticsConfig, WhisperStatisticsModel

    >>> model = WhisperStatisticsModel(WhisperStatisticsConfig())
    >>> model(torch.zeros(1, 300, 80)).pooler_output.shape
    torch.Size([1, 768])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: WhisperStatisticsConfig):
        super().__init__(config)
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.hidden_size, 3, padding=1)
        self.conv2 = nn.Conv1d(config.hidden_size, config.hidden_size, 3, stride=2, padding=1)
        self.register_buffer("positions", self.sinusoids(), persistent=False)
        self.layers = nn.ModuleList(WhisperStatisticsLayer(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    def sinusoids(self) -> torch.Tensor:
        """Return Whisper's embeddings of positions, (max_frames / 2, hidden_size)."""
        half = self.config.hidden_size // 2
        rates = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
        angles = torch.arange(self.config.max_frames // 2)[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        r"""Compute states and their statistics over each clip.

        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Whisper's log-mel values, see `WhisperStatisticsConfig`.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end, which changes nothing.
            output_hidden_states (`bool`, *optional*):
                Whether to return the input of the first layer and the states behind each layer.
            **kwargs: Ignored, but for `output_attentions`, which is refused.

        Returns:
            `last_hidden_state` (batch, positions, hidden_size), a position for two frames, and `pooler_output` (batch,
            embedding_size): mean and deviation of each pooled layer, one after the other. Positions behind a clip hold
            the margin's states, then zeros.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        attentions = kwargs.get("output_attentions")
        if self.config.output_attentions if attentions is None else attentions:
            raise ValueError("output_attentions=True: the layers keep no attention weights; leave it out")
        if input_features.dim() != 3 or input_features.shape[2] != self.config.num_mel_bins:
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, "
                f"{self.config.num_mel_bins}) is expected"
            )
        if attention_mask is None:
            attention_mask = torch.ones(input_features.shape[:2], device=input_features.device)
        elif attention_mask.shape != input_features.shape[:2]:
            raise ValueError(
                f"attention_mask has shape {tuple(attention_mask.shape)}, and input_features "
                f"{tuple(input_features.shape)}: a mask of (batch, frames) is expected"
            )
        # A compiled or exported network cannot depend on values.
        tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if not tracing and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
            raise ValueError("attention_mask has padding in front of valid frames; pad behind the clips")
        lengths = attention_mask.long().sum(dim=1).clamp(min=1)
        features, mask = self._with_margin(input_features.to(self.dtype), lengths)
        states = self._states(features, mask)
        weights = self._weights(features, lengths, states[0].shape[1])
        pooled = self._statistics([states[layer] for layer in self.config.pooled_layers], weights)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=states[-1],
            pooler_output=pooled,
            hidden_states=tuple(states) if output_hidden_states else None,
        )

    def _with_margin(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features with silence behind each clip, and a boolean mask of clip and silence."""
        frames = torch.arange(features.shape[1] + self.config.margin_frames, device=features.device)
        own = (frames < lengths[:, None])[:, :, None]
        # Padding may hold anything, NaN included. Infinite values instead would hide the range from quantisation.
        features = torch.where(own, F.pad(features, (0, 0, 0, self.config.margin_frames)), features[:, :1])
        peak = features.amax(dim=(1, 2), keepdim=True)
        mask = frames < lengths[:, None] + self.config.margin_frames
        features = torch.where(own, features, peak - LOG_MEL_RANGE)
        return features.masked_fill(~mask[:, :, None], 0.0), mask

    def _states(self, features: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """Return the input of the first layer and the states behind each, (batch, positions, hidden_size)."""
        hidden_state = F.gelu(self.conv1(features.transpose(1, 2))) * mask[:, None].to(features.dtype)
        hidden_state = F.gelu(self.conv2(hidden_state)).transpose(1, 2)
        mask = mask[:, 2 * torch.arange(hidden_state.shape[1], device=mask.device)]
        batch, length, size = hidden_state.shape
        most = self.config.max_frames // 2
        positions = torch.arange(length, device=hidden_state.device)
        # An exported program computes the table, which would be a quarter of the file.
        table = self.sinusoids() if torch.compiler.is_exporting() else self.positions
        hidden_state = hidden_state + table[positions % most].to(hidden_state.dtype)
        if torch.compiler.is_exporting():  # one program for clips of any length: no block has a shape of its own
            attended = mask[:, None] & (positions[:, None] // most == positions // most)
        else:
            block = min(length, most)
            hidden_state = F.pad(hidden_state, (0, 0, 0, -length % block)).reshape(-1, block, size)
            attended = F.pad(mask, (0, -length % block)).reshape(-1, 1, block)
        # A block behind a short clip has no position of its own; attention to nothing would be NaN.
        attended = (attended | ~attended.any(dim=2, keepdim=True))[:, None]
        states = [hidden_state]
        for layer in self.layers:
            states.append(layer(states[-1], attended))
        if not torch.compiler.is_exporting():
            states = [state.reshape(batch, -1, size)[:, :length] for state in states]
        return [state * mask[:, :, None].to(state.dtype) for state in states]

    def _weights(self, features: torch.Tensor, lengths: torch.Tensor, count: int) -> torch.Tensor:
        """Return the weight of each of `count` positions in the statistics, (batch, positions): alike, or 0."""
        positions = torch.arange(count, device=lengths.device)
        counted = positions < ((lengths + 1) // 2)[:, None]
        if self.config.pooled_range is not None:
            levels, last = features.mean(dim=2), lengths[:, None] - 1
            pair = [levels.gather(1, torch.minimum(2 * positions + more, last)) for more in (0, 1)]
            loudness = (pair[0] + pair[1]) / 2
            peak = torch.where(counted, loudness, loudness[:, :1]).amax(dim=1, keepdim=True)
            counted = counted & (loudness >= peak - self.config.pooled_range / LOG_MEL_UNIT)
        return counted.to(features.dtype) / counted.sum(dim=1, keepdim=True)

    def _statistics(self, states: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
        """Return weighted means and deviations over time."""
        weights, pooled = weights[:, :, None], []
        for state in states:
            mean = (weights * state).sum(dim=1)
            variance = (weights * (state - mean[:, None]).square()).sum(dim=1)
            # As a summand it would be dropped by ONNX Runtime.
            found = {"mean": mean, "std": variance.clamp(min=1e-8).sqrt()}
            pooled += [found[name] for name in self.config.pooled_statistics]
        return torch.cat(pooled, dim=1)


class WhisperStatisticsForAudioClassification(WhisperStatisticsPreTrainedModel):
    """Truncated Whisper encoder with a linear classifier on standardised statistics.

    The embedding is standardised by `embedding_mean` and `embedding_std`. A speaker's own may replace them; logits are
    then to be divided by `speaker_temperature`. Two facts tell a speaker's voice from the emotions in it:
    `class_means`, the means of the classes in standardised embeddings of speakers with zero mean, and
    `within_variance`, the variance of logits of one speaker's clips of one class.

    ```python
    >>> import torch
    >>> from lssed_hf import WhisperStatisticsConfig, WhisperStatisticsForAudioClassification

    >>> model = WhisperStatisticsForAudioClassification(WhisperStatisticsConfig(num_labels=4))
    >>> model(torch.zeros(1, 300, 80)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights

    def __init__(self, config: WhisperStatisticsConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.whisper_statistics = WhisperStatisticsModel(config)
        self.register_buffer("embedding_mean", torch.zeros(config.embedding_size))
        self.register_buffer("embedding_std", torch.ones(config.embedding_size))
        self.register_buffer("class_means", torch.zeros(config.num_labels, config.embedding_size))
        self.register_buffer("within_variance", torch.zeros(()))
        self.register_buffer("speaker_temperature", torch.ones(()))
        self.classifier = nn.Linear(config.embedding_size, config.num_labels)
        self.post_init()

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the logits (batch, num_labels) of embeddings (batch, size) that are not standardised yet."""
        return self.classifier((embeddings - self.embedding_mean) / self.embedding_std)

    def quantize(self) -> "WhisperStatisticsForAudioClassification":
        """Return a copy whose linear layers in the encoder hold 8-bit integers, with the scale of each row's peak."""
        config = type(self.config)(**{**self.config.to_dict(), "weight_bits": 8})
        state = self.state_dict()
        for name, module in self.whisper_statistics.named_modules(prefix="whisper_statistics"):
            if isinstance(module, nn.Linear):
                scale = module.weight.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
                state[f"{name}.weight"] = (module.weight.detach() / scale).round().to(torch.int8)
                state[f"{name}.scale"] = scale
        copy = type(self)(config)
        copy.load_state_dict(state)
        return copy.to(self.device, self.dtype).train(self.training)

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
            input_features: See [`WhisperStatisticsModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`.
            output_hidden_states: See there.
            **kwargs: Arguments of the loss function.
        """
        outputs = self.whisper_statistics(
            input_features,
            attention_mask=attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=kwargs.pop("output_attentions", None),
        )
        logits = self.classify(outputs.pooler_output)
        # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        if loss is not None and self.config.problem_type != "single_label_classification":
            # transformers uses it in the loss of that problem alone.
            loss = loss * labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


__all__ = [
    "WhisperStatisticsForAudioClassification",
    "WhisperStatisticsModel",
    "WhisperStatisticsPreTrainedModel",
]
