# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""PyTorch ESPnet-style speech recogniser (hybrid CTC/attention), and its encoder as an audio classifier."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
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
# By the names of this table, not by the Auto class, the pipeline knows whom to ask for `generate`.
MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES.setdefault(EspnetAsrConfig.model_type, "EspnetAsrForSpeechSeq2Seq")


@dataclass
class EspnetAsrOutput(ModelOutput):
    """Output of `EspnetAsrForSpeechSeq2Seq`.

    Attributes:
        loss: `ctc_weight * ctc_loss + (1 - ctc_weight) * attention_loss`, with labels.
        ctc_loss, attention_loss: its parts; `None` where a part has no weight.
        logits: of the decoder, (batch, tokens + 1, vocab_size): what follows sos and each label. With labels or
            `decoder_input_ids`.
        ctc_logits: (batch, time, vocab_size).
        encoder_last_hidden_state: (batch, time, hidden_size).
        encoder_hidden_states: of all layers, if asked.
    """

    loss: torch.Tensor | None = None
    ctc_loss: torch.Tensor | None = None
    attention_loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    ctc_logits: torch.Tensor | None = None
    encoder_last_hidden_state: torch.Tensor | None = None
    encoder_hidden_states: tuple[torch.Tensor, ...] | None = None


class EspnetAsrPreTrainedModel(PreTrainedModel):
    config: EspnetAsrConfig
    base_model_prefix = "model"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = [
        "EspnetAsrTransformerLayer",
        "EspnetAsrConformerLayer",
        "EspnetAsrEBranchformerLayer",
        "EspnetAsrRnn",
        "EspnetAsrDecoderLayer",
    ]

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only enter the class that is saved, and the other Auto classes could not open the folder.
        self.config.auto_map = {**AUTO_MAP, **(getattr(self.config, "auto_map", None) or {})}
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module):
        # ESPnet's `init: xavier_uniform`, which its LibriSpeech recipes have: biases 0.
        super()._init_weights(module)
        if getattr(module, "opens_gate", False):
            init.normal_(module.weight, std=1e-6)
            init.ones_(module.bias)
        elif isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            init.xavier_uniform_(module.weight)
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                # Except here: frames that SpecAugment sets to 0 would reach the layer norms as 0, and with an epsilon
                # of 1e-12 each of them then makes gradients a million times larger. These are torch's own.
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


class EspnetAsrModel(EspnetAsrPreTrainedModel):
    """The encoder: log-mel frames in, hidden states and their mean over time out."""

    _auto_class = "AutoModel"  # saving puts a copy of this code beside the weights

    def __init__(self, config: EspnetAsrConfig):
        super().__init__(config)
        self.encoder = make_encoder(config)
        self._frozen = False
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Freeze the encoder, batch statistics, dropout and SpecAugment included, as a linear probe does."""
        self._frozen = True
        self.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True):
        # Else the running statistics of a frozen network would move.
        return super().train(mode and not self._frozen)

    def encode(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...] | None]:
        """Hidden states (batch, time, hidden_size), their mask bool (batch, time), and those of all layers if asked.

        Raises:
            ValueError: the features are not (batch, frames, num_mel_bins), the mask does not fit them or has padding
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
            # What is compiled or exported cannot depend on values.
            if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
                if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
                    raise ValueError("attention_mask has padding in front of valid frames; pad behind the clips")
                if bool(mask.all()):
                    mask = None  # nothing is padded, so nothing has to be masked
        if config.mask_padding:
            features = zero_padding(features, mask)  # whatever the padding holds, NaN included
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
        r"""
        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel frames, as `EspnetAsrFeatureExtractor` makes them.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding behind its end. With `config.mask_padding` padding changes
                nothing in `eval` mode; in `train` mode batch normalisation still counts padded positions. Clips too
                short for the convolutions are filled up with zeros then.
            output_hidden_states (`bool`, *optional*):
                Whether to return the states behind the subsampling and behind each layer, the last one normalised.

        Returns:
            `last_hidden_state` (batch, time, hidden_size) and `pooler_output` (batch, hidden_size), its mean over the
            valid frames.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        hidden, mask, hidden_states = self.encode(input_features, attention_mask, output_hidden_states)
        pooled = zero_padding(hidden, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden, pooler_output=pooled, hidden_states=hidden_states
        )


class EspnetAsrCtc(nn.Module):
    """The CTC layer, under ESPnet's name."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.dropout = nn.Dropout(config.ctc_dropout)
        self.ctc_lo = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.ctc_lo(self.dropout(hidden))


class EspnetAsrForSpeechSeq2Seq(EspnetAsrPreTrainedModel, EspnetAsrGenerationMixin):
    """The recogniser: encoder, CTC layer and decoder. `generate` searches with both.

    The loss is ESPnet's, a sum over tokens and a mean over clips, so it is not for the Trainer to divide by the number
    of tokens: with gradient accumulation it averages the losses of the steps.
    """

    _auto_class = "AutoModelForSpeechSeq2Seq"  # saving puts a copy of this code beside the weights
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
        """The encoder, an [`EspnetAsrModel`]."""
        return self.model

    def get_decoder(self) -> EspnetAsrDecoder | EspnetAsrRnnDecoder | None:
        """The decoder; `None` in a model of CTC alone."""
        return self.decoder

    def freeze_feature_encoder(self) -> None:
        """See [`EspnetAsrModel.freeze_feature_encoder`]."""
        self.model.freeze_feature_encoder()

    def encode(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (batch, frames, num_mel_bins) and their mask (batch, frames) to hidden states (batch, time,
        hidden_size) and their mask bool (batch, time)."""
        return self.model.encode(input_features, attention_mask)[:2]

    def ctc_log_probs(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (batch, time, hidden_size) to log probabilities (batch, time, vocab_size).

        Raises:
            ValueError: the model has no CTC layer.
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
        """Log probabilities (N, vocab_size) of the token behind each prefix, and the next call's `cache`.

        Args:
            prefixes: int64 (N, length), each beginning with sos.
            memory: hidden states (N, time, hidden_size) of `encode`.
            memory_mask: bool (N, time).
            cache: what the call for `prefixes[:, :-1]` returned, its tensors with prefixes along the first dimension,
                as if they had stood in the order of these; or `None`, to compute all anew.

        Raises:
            ValueError: the model has no decoder.
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
        r"""
        Args:
            input_features, attention_mask, output_hidden_states:
                See [`EspnetAsrModel.forward`].
            labels (`torch.LongTensor` of shape `(batch, tokens)`, *optional*):
                Transcripts without sos and eos, which are added here, padded behind with -100.
            decoder_input_ids (`torch.LongTensor` of shape `(batch, tokens)`, *optional*):
                Without labels, tokens that begin with sos.
        """
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
        """Labels (batch, tokens) to the decoder's input and target, each (batch, tokens + 1)."""
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
    """The encoder with a linear classifier on its mean over time. A recogniser's folder gives it its encoder."""

    _auto_class = "AutoModelForAudioClassification"  # saving puts a copy of this code beside the weights
    _keys_to_ignore_on_load_unexpected = [r"^decoder\.", r"^ctc\."]

    def __init__(self, config: EspnetAsrConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = EspnetAsrModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """See [`EspnetAsrModel.freeze_feature_encoder`]."""
        self.model.freeze_feature_encoder()

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""
        Args:
            input_features, attention_mask, output_hidden_states:
                See [`EspnetAsrModel.forward`].
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`. A loss is returned when they are given.
        """
        outputs = self.model(input_features, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        # kwargs carries `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


__all__ = [
    "EspnetAsrForAudioClassification",
    "EspnetAsrForSpeechSeq2Seq",
    "EspnetAsrModel",
    "EspnetAsrPreTrainedModel",
]
