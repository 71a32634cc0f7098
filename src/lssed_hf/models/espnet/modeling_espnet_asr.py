# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""ESPnet-style speech recogniser (hybrid CTC/attention) in PyTorch, and its encoder as an audio classifier."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_espnet_asr import EspnetAsrConfig
from .decoder_espnet_asr import EspnetAsrDecoder
from .encoders_espnet_asr import make_encoder
from .generation_espnet_asr import EspnetAsrGenerationConfig, EspnetAsrGenerationMixin
from .layers_espnet_asr import EspnetAsrRelativeAttention, zero_padding
from .losses_espnet_asr import ctc_loss, label_smoothing_loss
from .rnn_decoder_espnet_asr import EspnetAsrRnnDecoder
from .specaug_espnet_asr import spec_augment


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_espnet_asr.EspnetAsrConfig",
    "AutoFeatureExtractor": "feature_extraction_espnet_asr.EspnetAsrFeatureExtractor",
    "AutoModel": "modeling_espnet_asr.EspnetAsrModel",
    "AutoModelForSpeechSeq2Seq": "modeling_espnet_asr.EspnetAsrForSpeechSeq2Seq",
    "AutoModelForAudioClassification": "modeling_espnet_asr.EspnetAsrForAudioClassification",
}
# The pipeline looks for models that generate in this table of names, and not in the Auto class.
MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES.setdefault(EspnetAsrConfig.model_type, "EspnetAsrForSpeechSeq2Seq")


@dataclass
class EspnetAsrOutput(ModelOutput):
    """Output of `EspnetAsrForSpeechSeq2Seq`.

    Attributes:
        loss: Weighted loss `ctc_weight * ctc_loss + (1 - ctc_weight) * attention_loss`, with labels.
        ctc_loss: CTC loss. None where it has no weight.
        attention_loss: Attention loss. None where it has no weight.
        logits: Logits of the decoder for the tokens behind sos and each label, (batch, tokens + 1, vocab_size). Given
            with labels or `decoder_input_ids`.
        ctc_logits: Logits of the CTC layer, (batch, time, vocab_size).
        encoder_last_hidden_state: Output of the encoder, (batch, time, hidden_size).
        encoder_hidden_states: States of all layers, on request.
    """

    loss: torch.Tensor | None = None
    ctc_loss: torch.Tensor | None = None
    attention_loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    ctc_logits: torch.Tensor | None = None
    encoder_last_hidden_state: torch.Tensor | None = None
    encoder_hidden_states: tuple[torch.Tensor, ...] | None = None


class EspnetAsrPreTrainedModel(PreTrainedModel):
    """Base of the recogniser, its encoder and the classifier: initial weights, and saving with the code."""

    config: EspnetAsrConfig
    base_model_prefix = "model"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = [
        "EspnetAsrTransformerLayer",
        "EspnetAsrConformerLayer",
        "EspnetAsrEBranchformerLayer",
        "EspnetAsrRnn",
        "EspnetAsrDecoderLayer",
    ]

    def freeze_base_model(self) -> None:
        """Freeze all but the head. The body keeps its weights and batch statistics, and nothing is dropped out."""
        self.base_model.requires_grad_(False)
        self.train(self.training)

    def freeze_feature_encoder(self) -> None:
        """Freeze the convolutions in front of the layers, as in transformers.

        Raises:
            ValueError: The encoder is recurrent and has none.
        """
        convolutions = self.base_model.encoder.convolutions
        if convolutions is None:
            raise ValueError("encoder_type='rnn' has no convolutions to freeze; freeze_base_model freezes all layers")
        convolutions.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True):
        super().train(mode)
        for module in self.modules():  # else the running statistics of frozen weights would move
            if isinstance(module, _BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only name the class that is saved, and the other Auto classes could not open the folder.
        self.config.auto_map = {**AUTO_MAP, **(getattr(self.config, "auto_map", None) or {})}
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module):
        # ESPnet's `init: xavier_uniform` with biases of 0, as in its LibriSpeech recipes.
        super()._init_weights(module)
        if getattr(module, "opens_gate", False):
            init.normal_(module.weight, std=1e-6)
            init.ones_(module.bias)
        elif isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            init.xavier_uniform_(module.weight)
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                # Except here, where biases are torch's own: frames that SpecAugment sets to 0 would reach the layer
                # norms as 0, and with an epsilon of 1e-12 each then makes gradients a million times larger.
                bound = module.weight[0].numel() ** -0.5
                init.uniform_(module.bias, -bound, bound)
            elif module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight)
        elif isinstance(module, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell)):
            for name, parameter in module.named_parameters():
                (init.zeros_ if "bias" in name else init.xavier_uniform_)(parameter)
        elif isinstance(module, EspnetAsrRelativeAttention):
            init.xavier_uniform_(module.pos_bias_u)
            init.xavier_uniform_(module.pos_bias_v)


def _refuse_attentions(config: EspnetAsrConfig, output_attentions: bool | None = None, **_) -> None:
    """Refuse to return attention weights, which none of the layers keeps."""
    if config.output_attentions if output_attentions is None else output_attentions:
        raise ValueError("output_attentions=True: the layers keep no attention weights; leave it out")


class EspnetAsrModel(EspnetAsrPreTrainedModel):
    """Encoder: log-mel frames in, hidden states and their mean over time out.

    ```python
    >>> import torch
    >>> from lssed_hf import EspnetAsrConfig, EspnetAsrModel

    >>> model = EspnetAsrModel(EspnetAsrConfig(num_hidden_layers=2))
    >>> model(torch.zeros(1, 100, 80)).last_hidden_state.shape
    torch.Size([1, 24, 256])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: EspnetAsrConfig):
        super().__init__(config)
        self.encoder = make_encoder(config)
        self.post_init()

    def train(self, mode: bool = True):
        return super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))

    def encode(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...] | None]:
        """Return hidden states (batch, time, hidden_size), their boolean mask (batch, time), and all layers' states.

        The latter are None if not asked for.

        Raises:
            ValueError: The features are not (batch, frames, num_mel_bins), the mask does not fit them or has padding
                in front, or, with `mask_padding=False`, clips have fewer frames than the convolutions need.
        """
        config = self.config
        if input_features.dim() != 3 or input_features.shape[-1] != config.num_mel_bins:
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, {config.num_mel_bins}) is "
                "expected"
            )
        features, mask = input_features.to(self.dtype), None
        if attention_mask is not None:
            if attention_mask.shape != input_features.shape[:2]:
                raise ValueError(
                    f"attention_mask has shape {tuple(attention_mask.shape)}; {tuple(input_features.shape[:2])} is "
                    "expected, as the input_features"
                )
            mask = attention_mask.bool()
            # A compiled or exported network cannot depend on values.
            if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
                if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
                    raise ValueError("attention_mask has padding in front of valid frames; pad behind the clips")
                if bool(mask.all()):
                    mask = None  # nothing is padded, so nothing has to be masked
        if config.mask_padding:
            features = zero_padding(features, mask)  # padding may hold anything, NaN included
        features, mask = self._fill_up(features, mask)
        if self.training and config.specaug is not None:
            frames = features.shape[1]
            lengths = [frames] * len(features) if mask is None else mask.sum(dim=1).tolist()
            features = spec_augment(features, lengths, config.specaug)
        hidden, mask, hidden_states = self.encoder(features, mask, output_hidden_states)
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        return hidden, mask, hidden_states

    def _fill_up(self, features: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Fill up features and mask with zeros where the batch is too short for the convolutions."""
        missing = self.config.min_frames - features.shape[1]
        if missing <= 0:
            return features, mask
        if not self.config.mask_padding:
            raise ValueError(
                f"clips of {features.shape[1]} frames are too short: with mask_padding=False at least "
                f"{self.config.min_frames} frames are needed, as in ESPnet; drop them, or set mask_padding=True"
            )
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        return F.pad(features, (0, 0, 0, missing)), F.pad(mask, (0, missing))

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        r"""Compute hidden states and pooled vectors.

        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel frames, as `EspnetAsrFeatureExtractor` makes them.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. With `config.mask_padding` padding changes
                nothing in `eval` mode, and clips too short for the convolutions are filled up with zeros. In `train`
                mode batch normalisation counts padded positions.
            output_hidden_states (`bool`, *optional*):
                Whether to return the states behind the subsampling and behind each layer, the last one normalised.
            **kwargs: Ignored, but for `output_attentions`, which is refused.

        Returns:
            `last_hidden_state` (batch, time, hidden_size) and `pooler_output` (batch, hidden_size), its mean over the
            valid frames.
        """
        _refuse_attentions(self.config, **kwargs)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        hidden, mask, hidden_states = self.encode(input_features, attention_mask, output_hidden_states)
        pooled = zero_padding(hidden, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden, pooler_output=pooled, hidden_states=hidden_states
        )


class EspnetAsrCtc(nn.Module):
    """CTC layer, under ESPnet's name."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.dropout = nn.Dropout(config.ctc_dropout)
        self.ctc_lo = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.ctc_lo(self.dropout(hidden))


class EspnetAsrForSpeechSeq2Seq(EspnetAsrPreTrainedModel, EspnetAsrGenerationMixin):
    """Recogniser: encoder, CTC layer and decoder. `generate` searches with both.

    The loss is ESPnet's, a sum over tokens and a mean over clips. The Trainer therefore does not divide it by the
    number of tokens: with gradient accumulation it averages the losses of the steps.

    ```python
    >>> import torch
    >>> from lssed_hf import EspnetAsrConfig, EspnetAsrForSpeechSeq2Seq

    >>> config = EspnetAsrConfig(vocab_size=30, num_hidden_layers=2, decoder_layers=1)
    >>> model = EspnetAsrForSpeechSeq2Seq(config).eval()
    >>> model.generate(torch.zeros(1, 100, 80), ctc_greedy=True).shape[0]
    1
    ```
    """

    _auto_class = "AutoModelForSpeechSeq2Seq"  # saving copies this code beside the weights
    accepts_loss_kwargs = False
    generation_config_class = EspnetAsrGenerationConfig

    def __init__(self, config: EspnetAsrConfig):
        super().__init__(config)
        self.model = EspnetAsrModel(config)
        decoder_class = EspnetAsrRnnDecoder if config.decoder_type == "rnn" else EspnetAsrDecoder
        self.decoder = decoder_class(config) if config.ctc_weight < 1 else None
        self.ctc = EspnetAsrCtc(config) if config.ctc_weight > 0 else None
        self.post_init()

    def get_encoder(self, modality=None) -> EspnetAsrModel:
        """Return the encoder."""
        return self.model

    def get_decoder(self) -> EspnetAsrDecoder | EspnetAsrRnnDecoder | None:
        """Return the decoder, or None in a model of CTC alone."""
        return self.decoder

    def encode(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states and their mask, see [`EspnetAsrModel.encode`]."""
        return self.model.encode(input_features, attention_mask)[:2]

    def ctc_log_probs(self, hidden: torch.Tensor) -> torch.Tensor:
        """Turn hidden states (batch, time, hidden_size) into log probabilities (batch, time, vocab_size).

        Raises:
            ValueError: The model has no CTC layer.
        """
        if self.ctc is None:
            raise ValueError("this model has no CTC layer (it was made with ctc_weight=0): generate with ctc_weight=0")
        return self.ctc(hidden).log_softmax(dim=-1)

    def decode_step(
        self,
        prefixes: torch.Tensor,
        memory: torch.Tensor,
        memory_mask: torch.Tensor | None = None,
        cache: tuple[torch.Tensor, ...] | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return log probabilities (N, vocab_size) of the token behind each prefix, and the next call's `cache`.

        Args:
            prefixes: Tokens that begin with sos, int64 (N, length).
            memory: Hidden states of `encode`, (N, time, hidden_size).
            memory_mask: Boolean mask of the memory, (N, time).
            cache: Cache that the call for `prefixes[:, :-1]` returned, with its tensors put into the order of these
                prefixes along the first dimension. Default: compute all anew.

        Raises:
            ValueError: The model has no decoder.
        """
        if self.decoder is None:
            raise ValueError("this model has no decoder (it was made with ctc_weight=1): generate with ctc_weight=1")
        return self.decoder.step(prefixes, memory, memory_mask, cache)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> EspnetAsrOutput:
        r"""Compute logits of decoder and CTC layer, and the loss where labels are given.

        Args:
            input_features: See [`EspnetAsrModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch, tokens)`, *optional*):
                Transcripts without sos and eos, padded behind with -100. Sos and eos are added.
            decoder_input_ids (`torch.LongTensor` of shape `(batch, tokens)`, *optional*):
                Tokens that begin with sos, in place of labels.
            output_hidden_states: See there.
            **kwargs: Ignored, but for `output_attentions`, which is refused.
        """
        _refuse_attentions(self.config, **kwargs)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        hidden, mask, hidden_states = self.model.encode(input_features, attention_mask, output_hidden_states)
        targets = None
        if labels is not None:
            decoder_input_ids, targets = self._add_sos_and_eos(labels)
        logits = None
        if self.decoder is not None and decoder_input_ids is not None:
            logits = self.decoder(decoder_input_ids, hidden, mask)
        ctc_logits = None if self.ctc is None else self.ctc(hidden)

        loss = losses = None
        if labels is not None:
            losses = self._losses(logits, ctc_logits, mask, labels, targets)
            weights = (self.config.ctc_weight, 1 - self.config.ctc_weight)
            loss = sum(weight * part for weight, part in zip(weights, losses) if part is not None)
        return EspnetAsrOutput(
            loss=loss,
            ctc_loss=None if losses is None else losses[0],
            attention_loss=None if losses is None else losses[1],
            logits=logits,
            ctc_logits=ctc_logits,
            encoder_last_hidden_state=hidden,
            encoder_hidden_states=hidden_states,
        )

    def _losses(self, logits, ctc_logits, mask, labels, targets) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        config = self.config
        of_ctc = of_attention = None
        if ctc_logits is not None:
            of_ctc = ctc_loss(ctc_logits, mask.sum(dim=1), labels, config.blank_token_id, config.ctc_zero_infinity)
        if logits is not None:
            of_attention = label_smoothing_loss(logits, targets, config.label_smoothing, config.length_normalized_loss)
        return of_ctc, of_attention

    def _add_sos_and_eos(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn labels (batch, tokens) into the decoder's input and target, each (batch, tokens + 1)."""
        valid = labels != -100
        if bool((valid[:, 1:] & ~valid[:, :-1]).any()):
            raise ValueError("labels have -100 in front of tokens; pad transcripts behind their end")
        known = labels[valid]
        if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < self.config.vocab_size:
            raise ValueError(
                f"labels hold {int(known.min())} to {int(known.max())}; tokens from 0 to "
                f"{self.config.vocab_size - 1}, and -100 for padding, are expected"
            )
        inputs = F.pad(labels.masked_fill(~valid, self.config.eos_token_id), (1, 0), value=self.config.bos_token_id)
        targets = F.pad(labels, (0, 1), value=-100)
        return inputs, targets.scatter(1, valid.sum(dim=1, keepdim=True), self.config.eos_token_id)


class EspnetAsrForAudioClassification(EspnetAsrPreTrainedModel):
    """Encoder with a linear classifier on its mean over time. It can start from the folder of a recogniser.

    ```python
    >>> import torch
    >>> from lssed_hf import EspnetAsrConfig, EspnetAsrForAudioClassification

    >>> model = EspnetAsrForAudioClassification(EspnetAsrConfig(num_hidden_layers=2, num_labels=4))
    >>> model(torch.zeros(1, 100, 80)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights
    _keys_to_ignore_on_load_unexpected = [r"^decoder\.", r"^ctc\."]

    def __init__(self, config: EspnetAsrConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = EspnetAsrModel(config)
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
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""Compute the logits of the classes, and the loss where labels are given.

        Args:
            input_features: See [`EspnetAsrModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`.
            output_hidden_states: See there.
            **kwargs: Arguments of the loss function.
        """
        _refuse_attentions(self.config, **kwargs)
        outputs = self.model(input_features, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        if loss is not None and self.config.problem_type != "single_label_classification":
            # transformers uses it in the loss of that problem alone.
            loss = loss * labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


__all__ = [
    "EspnetAsrForAudioClassification",
    "EspnetAsrForSpeechSeq2Seq",
    "EspnetAsrModel",
    "EspnetAsrPreTrainedModel",
]
