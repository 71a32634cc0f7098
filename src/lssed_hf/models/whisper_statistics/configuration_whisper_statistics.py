# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of truncated Whisper encoders with statistics pooling."""

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


@strict
class WhisperStatisticsConfig(PreTrainedConfig):
    r"""Configuration of the first layers of Whisper's encoder, with mean and deviation over time as the embedding.

    Sources: Whisper is of Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, arXiv
    2212.04356. Statistics pooling is of Snyder et al., "X-Vectors", ICASSP 2018. Lower layers of speech encoders keep
    more of the speaker's manner than upper ones, so a model of emotions needs only these.

    Defaults are those of Whisper tiny. Front end: `PyResNetFeatureExtractor(num_mel_bins=80, n_fft=400,
    hop_length=160, do_denoise=False, gain=1.0, mean=[-40.0] * 80, std=[40.0] * 80)`, whose log-mel values are
    Whisper's.

    Args:
        num_mel_bins (`int`, *optional*, defaults to 80):
            Mel bins of the front end.
        hidden_size (`int`, *optional*, defaults to 384):
            Width of the encoder.
        num_hidden_layers (`int`, *optional*, defaults to 2):
            Transformer layers that are kept. 0 leaves the two convolutions alone.
        num_attention_heads (`int`, *optional*, defaults to 6):
            Attention heads of each layer.
        intermediate_size (`int`, *optional*, defaults to 1536):
            Width of the feed-forward networks.
        pooled_layers (`list[int]`, *optional*, defaults to `[2]`):
            Layers whose states are pooled, side by side. 0 is the input of the first layer.
        pooled_statistics (`list[str]`, *optional*, defaults to `["mean", "std"]`):
            Statistics over time of each pooled layer: `"mean"`, `"std"` or both.
        pooled_range (`float`, *optional*):
            Pool only positions whose level (mean of the log-mel values) is at most so many dB below that of the
            loudest one, which leaves pauses out. Default: all positions of the clip.
        max_frames (`int`, *optional*, defaults to 3000):
            Most frames that attend to each other: 30 s, what Whisper was trained on. Longer clips are cut into blocks
            of that length, and the statistics are those of all blocks.
        margin_frames (`int`, *optional*, defaults to 50):
            Frames of silence behind a clip (half a second), which take part in the attention and in no statistics.
        weight_bits (`int`, *optional*, defaults to 32):
            32 for weights in floating point, 8 for linear layers with integers and a scale per row.

    ```python
    >>> from lssed_hf import WhisperStatisticsConfig, WhisperStatisticsForAudioClassification

    >>> model = WhisperStatisticsForAudioClassification(WhisperStatisticsConfig(num_labels=4))
    >>> model.num_parameters()
    4086532
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "whisper_statistics"

    num_mel_bins: int = 80
    hidden_size: int = 384
    num_hidden_layers: int = 2
    num_attention_heads: int = 6
    intermediate_size: int = 1536
    pooled_layers: list[int] | tuple[int, ...] = (2,)
    pooled_statistics: list[str] | tuple[str, ...] = ("mean", "std")
    pooled_range: float | None = None
    max_frames: int = 3000
    margin_frames: int = 50
    weight_bits: int = 32

    def __post_init__(self, **kwargs):
        self.pooled_layers = list(self.pooled_layers)
        self.pooled_statistics = list(self.pooled_statistics)
        super().__post_init__(**kwargs)

    @property
    def embedding_size(self) -> int:
        """Length of the embedding: all statistics of each pooled layer."""
        return self.hidden_size * len(self.pooled_statistics) * len(self.pooled_layers)

    def validate_fields(self):
        """Check that the network can be built."""
        sizes = {name: getattr(self, name) for name in ("num_mel_bins", "num_attention_heads", "intermediate_size")}
        if min(sizes.values()) < 1:
            raise ValueError(f"{', '.join(f'{name}={size}' for name, size in sizes.items())} must be 1 or more")
        if self.hidden_size < 4 or self.hidden_size % 2 or self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} must be even, 4 or more, and a multiple of num_attention_heads="
                f"{self.num_attention_heads}"
            )
        last = max(self.pooled_layers, default=-1)
        if min(self.pooled_layers, default=-1) < 0 or last > self.num_hidden_layers:
            raise ValueError(
                f"pooled_layers={self.pooled_layers} must be numbers from 0 to num_hidden_layers="
                f"{self.num_hidden_layers}, one at least"
            )
        if self.margin_frames < 0 or self.max_frames < 2 or self.max_frames % 2:
            raise ValueError(
                f"margin_frames={self.margin_frames} must be 0 or more, and max_frames={self.max_frames} even and "
                "above 0"
            )
        if self.margin_frames > self.max_frames:
            raise ValueError(f"margin_frames={self.margin_frames} must be at most max_frames={self.max_frames}")
        if self.pooled_statistics not in (["mean"], ["std"], ["mean", "std"]):
            raise ValueError(f"pooled_statistics={self.pooled_statistics} must be mean, std, or mean and std")
        if self.pooled_range is not None and self.pooled_range < 0:
            raise ValueError(f"pooled_range={self.pooled_range} must be 0 dB or more")
        if self.weight_bits not in (8, 32):
            raise ValueError(f"weight_bits={self.weight_bits} is neither 8 nor 32")


__all__ = ["WhisperStatisticsConfig"]
