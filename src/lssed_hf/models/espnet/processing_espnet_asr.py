# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Processor of ESPnet models: the feature extractor for audio, the tokenizer for transcripts."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import BatchFeature, ProcessorMixin
from transformers.tokenization_utils_base import BatchEncoding


#: Label that the losses ignore.
IGNORED = -100


class EspnetAsrProcessor(ProcessorMixin):
    r"""Processor of recognisers: a feature extractor for audio and a tokenizer for transcripts.

    ```python
    >>> import numpy as np
    >>> from lssed_hf import EspnetAsrFeatureExtractor, EspnetAsrProcessor, EspnetAsrTokenizer

    >>> tokenizer = EspnetAsrTokenizer(token_list=["<blank>", "<unk>", "<space>", "A", "B", "<sos/eos>"])
    >>> processor = EspnetAsrProcessor(EspnetAsrFeatureExtractor(normalization="none"), tokenizer)
    >>> batch = processor(np.zeros(16000, dtype=np.float32), text="AB", sampling_rate=16000, return_tensors="pt")
    >>> batch["input_features"].shape, batch["labels"]
    (torch.Size([1, 101, 80]), tensor([[3, 4]]))
    ```

    Args:
        feature_extractor ([`EspnetAsrFeatureExtractor`]): Feature extractor of audio.
        tokenizer ([`EspnetAsrTokenizer`]): Tokenizer of text.
    """

    _auto_class = "AutoProcessor"  # saving copies this code beside the configuration

    def __init__(self, feature_extractor, tokenizer):
        super().__init__(feature_extractor, tokenizer)

    def __call__(
        self,
        audio: Any = None,
        text: str | Sequence[str] | None = None,
        sampling_rate: int | None = None,
        return_tensors: str | None = None,
        **kwargs,
    ) -> BatchFeature | BatchEncoding:
        r"""Turn audio into features, and transcripts into labels.

        Args:
            audio:
                One clip or several, in a form that the feature extractor takes.
            text (`str` or `list[str]`, *optional*):
                Transcripts, one per clip. With audio they become `labels`, alone `input_ids`.
            sampling_rate (`int`, *optional*):
                Sampling rate of the audio in Hz.
            return_tensors (`str`, *optional*):
                `"pt"` for tensors, with labels padded with -100, which the losses ignore.
            **kwargs:
                Arguments of the feature extractor if there is audio, else of the tokenizer.

        Returns:
            `input_features`, `attention_mask` and `labels`, as far as they can be made.
        """
        if audio is None and text is None:
            raise ValueError("give audio, text or both")
        if audio is None:
            return self.tokenizer(text, return_tensors=return_tensors, **kwargs)
        inputs = self.feature_extractor(audio, sampling_rate=sampling_rate, return_tensors=return_tensors, **kwargs)
        if text is not None:
            labels = self.tokenizer([text] if isinstance(text, str) else list(text)).input_ids
            if len(labels) != len(inputs["input_features"]):
                raise ValueError(f"{len(inputs['input_features'])} clips but {len(labels)} transcripts")
            inputs["labels"] = labels if return_tensors is None else pad_labels(labels)
        return inputs

    def pad(self, features: Sequence[dict[str, Any]], **kwargs) -> BatchFeature:
        """Make a batch of rows with `input_features` (frames, num_mel_bins) and, optionally, `labels`."""
        batch = self.feature_extractor.pad(
            {"input_features": [row["input_features"] for row in features]}, return_tensors="pt", **kwargs
        )
        if "labels" in features[0]:
            batch["labels"] = pad_labels([row["labels"] for row in features])
        return batch


def pad_labels(labels: Sequence[Sequence[int]]) -> torch.LongTensor:
    """Return token numbers of unequal length as (batch, longest), filled up with -100."""
    rows = [torch.as_tensor(row, dtype=torch.long) for row in labels]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED)


__all__ = ["EspnetAsrProcessor", "pad_labels"]
