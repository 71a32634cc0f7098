# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of the ESPnet-style speech recogniser."""

import math


try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    raise ImportError(f"this model needs pip install 'transformers>=5.13' ({error})") from error


ENCODERS = ("conformer", "transformer", "e_branchformer", "vgg_rnn", "rnn")
RECURRENT = ("vgg_rnn", "rnn")
POSITION_EMBEDDINGS = ("absolute", "relative", "relative_legacy")
#: Name of ESPnet's input layer -> kernel size and stride of its convolutions, which have no padding.
SUBSAMPLING = {
    "conv2d1": ((3, 1), (3, 1)),
    "conv2d2": ((3, 2), (3, 1)),
    "conv2d": ((3, 2), (3, 2)),
    "conv2d6": ((3, 2), (5, 3)),
    "conv2d8": ((3, 2), (3, 2), (3, 2)),
}
ACTIVATIONS = ("relu", "swish", "tanh", "selu", "hardtanh")
#: Options of `specaug` and ESPnet's defaults.
SPECAUG_DEFAULTS = {
    "apply_time_warp": True,
    "time_warp_window": 5,
    "time_warp_mode": "bicubic",
    "apply_freq_mask": True,
    "freq_mask_width_range": [0, 20],
    "num_freq_mask": 2,
    "apply_time_mask": True,
    "time_mask_width_range": None,
    "time_mask_width_ratio_range": None,
    "num_time_mask": 2,
    "replace_with_zero": True,
}


@strict
class EspnetAsrConfig(PreTrainedConfig):
    r"""Configuration of a hybrid CTC/attention speech recogniser as ESPnet2's `asr` task builds it.

    The defaults are ESPnet's LibriSpeech conformer recipe at half its width (256) and with 12 encoder blocks. Names in
    parentheses are ESPnet's.

    Args:
        vocab_size (`int`, *optional*, defaults to 5000):
            Number of tokens: `<blank>` is the first and `<sos/eos>` the last, as in ESPnet's token lists.
        num_mel_bins (`int`, *optional*, defaults to 80):
            Log-mel bins of the input.
        encoder_type (`str`, *optional*, defaults to `"conformer"`):
            Encoder: `"conformer"`, `"transformer"`, `"e_branchformer"`, `"vgg_rnn"` or `"rnn"`.
        hidden_size (`int`, *optional*, defaults to 256):
            Width of the encoder's output and of the transformer decoder (`output_size`).
        num_hidden_layers (`int`, *optional*, defaults to 12):
            Encoder blocks (`num_blocks`), or recurrent layers (`num_layers`).
        num_attention_heads (`int`, *optional*, defaults to 4):
            Heads of the encoder (`attention_heads`).
        intermediate_size (`int`, *optional*, defaults to 2048):
            Width of the encoder's feed-forward layers (`linear_units`).
        hidden_act (`str`, *optional*):
            Activation: `"relu"`, `"swish"`, `"tanh"`, `"selu"` or `"hardtanh"`. Default: ReLU in the transformer,
            swish elsewhere.
        subsampling (`str`, *optional*, defaults to `"conv2d"`):
            Convolutions that shorten time (`input_layer`): `"conv2d1"`, `"conv2d2"`, `"conv2d"` (by 4), `"conv2d6"` or
            `"conv2d8"`. `vgg_rnn` has its own, by 4, and `rnn` has `rnn_subsample`.
        position_embeddings_type (`str`, *optional*):
            Positions: `"absolute"`, `"relative"` (`rel_pos_type: latest`) or `"relative_legacy"` (`legacy`, ESPnet's
            default where a config.yaml says nothing). Default: absolute in the transformer, relative elsewhere.
        max_position_embeddings (`int`, *optional*, defaults to 5000):
            Number that the positions of `"relative_legacy"` count down from (`max_pos_emb_len`). Others ignore it.
        macaron_style (`bool`, *optional*, defaults to `True`):
            Whether a block begins with a feed-forward layer, too, and both have half weight (`macaron_style`,
            `macaron_ffn`).
        use_cnn_module (`bool`, *optional*, defaults to `True`):
            Whether conformer blocks have their convolution module.
        conv_kernel_size (`int`, *optional*, defaults to 31):
            Depthwise kernel of the conformer (`cnn_module_kernel`) or of the gating MLP (`cgmlp_conv_kernel`), odd.
        cgmlp_linear_units (`int`, *optional*, defaults to 2048):
            Width of the E-Branchformer's convolutional gating MLP, even.
        use_linear_after_conv (`bool`, *optional*, defaults to `False`):
            Whether a linear layer follows the convolution of the gating unit.
        gate_activation (`str`, *optional*, defaults to `"identity"`):
            Activation of the gate: `"identity"` or one of those of `hidden_act`.
        use_feed_forward (`bool`, *optional*, defaults to `True`):
            Whether E-Branchformer blocks have feed-forward layers (`use_ffn`).
        merge_conv_kernel (`int`, *optional*, defaults to 3):
            Kernel of the depthwise convolution that merges the branches, odd.
        rnn_type (`str`, *optional*, defaults to `"lstm"`):
            Layers of the encoders `vgg_rnn` and `rnn`: `"lstm"` or `"gru"`.
        rnn_hidden_size (`int`, *optional*, defaults to 320):
            Units of a recurrent layer and direction.
        bidirectional (`bool`, *optional*, defaults to `True`):
            Whether recurrent layers run in both directions.
        use_projection (`bool`, *optional*, defaults to `True`):
            Whether a linear layer follows each recurrent layer. Without, they are stacked in one module.
        rnn_subsample (`list[int]`, *optional*, defaults to `[2, 2, 1, 1]`):
            Frames per frame that is kept behind each layer of the encoder `rnn` with projections (`subsample`). Behind
            further layers all are kept.
        hidden_dropout, positional_dropout, attention_dropout (`float`, *optional*, defaults to 0.1, 0.1 and 0.0):
            Dropout of the encoder's blocks (`dropout_rate`, `positional_dropout_rate`, `attention_dropout_rate`).
        rnn_dropout (`float`, *optional*, defaults to 0.0):
            Dropout between recurrent layers, in training only. ESPnet applies it in recognition as well.
        layerdrop, decoder_layerdrop (`float`, *optional*, defaults to 0.0):
            Probability of skipping a block in training (`layer_drop_rate`).
        decoder_type (`str`, *optional*, defaults to `"transformer"`):
            Decoder: `"transformer"` or `"rnn"`.
        decoder_layers (`int`, *optional*, defaults to 6):
            Layers of the decoder.
        decoder_attention_heads, decoder_intermediate_size (`int`, *optional*, defaults to 4 and 2048):
            Heads and feed-forward width of the transformer decoder.
        decoder_dropout, decoder_positional_dropout (`float`, *optional*, defaults to 0.1):
            Dropout of the decoder (`dropout_rate` or `dropout`, `positional_dropout_rate`).
        decoder_self_attention_dropout, decoder_src_attention_dropout (`float`, *optional*, defaults to 0.0):
            Dropout of the attention weights of the transformer decoder.
        decoder_rnn_type (`str`, *optional*, defaults to `"lstm"`):
            Cells of the recurrent decoder: `"lstm"` or `"gru"`.
        decoder_hidden_size (`int`, *optional*, defaults to 320):
            Units of the recurrent decoder.
        decoder_context_residual (`bool`, *optional*, defaults to `False`):
            Whether the output layer of the recurrent decoder sees the attended context as well.
        decoder_attention_size, decoder_attention_channels, decoder_attention_filters (`int`, *optional*):
            Sizes of the recurrent decoder's location-aware attention, by default 320, 10 and 100 (`adim`,
            `aconv_chans`, `aconv_filts`).
        ctc_weight (`float`, *optional*, defaults to 0.3):
            Weight of the CTC loss. The attention loss has 1 minus this weight. At 0 the model has no CTC layer, at 1
            no decoder.
        ctc_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the CTC layer, in training only. ESPnet applies it in evaluation as well.
        ctc_zero_infinity (`bool`, *optional*, defaults to `True`):
            Whether transcripts longer than the encoder's output count as a CTC loss of 0.
        label_smoothing (`float`, *optional*, defaults to 0.1):
            Smoothing of the labels in the attention loss (`lsm_weight`). ESPnet's own default is 0.
        length_normalized_loss (`bool`, *optional*, defaults to `False`):
            Whether the attention loss is a mean over tokens instead of the sum per clip.
        blank_token_id (`int`, *optional*, defaults to 0):
            Token of the blank.
        bos_token_id, eos_token_id, pad_token_id (`int`, *optional*):
            Special tokens. Default: the last token, `<sos/eos>`.
        specaug (`dict`, *optional*):
            Options of SpecAugment in `train` mode, under ESPnet's names (`specaug_conf`). Missing ones have ESPnet's
            defaults. Default: no SpecAugment. It acts on normalised features, where 0 is the mean. ESPnet's acts
            before normalisation.
        mask_padding (`bool`, *optional*, defaults to `True`):
            Whether a clip's result is the same alone and padded in a batch. `False` follows ESPnet to the letter: its
            convolutions see padded frames, and a padded clip can be one output frame longer than alone.
        classifier_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the classifier of `EspnetAsrForAudioClassification`.

    ```python
    >>> from lssed_hf import EspnetAsrConfig, EspnetAsrForSpeechSeq2Seq

    >>> model = EspnetAsrForSpeechSeq2Seq(EspnetAsrConfig(vocab_size=30, num_hidden_layers=2, decoder_layers=1))
    >>> model.config.eos_token_id
    29
    ```
    """

    _auto_class = "AutoConfig"  # saving copies this code beside the weights

    model_type = "espnet_asr"

    vocab_size: int = 5000
    num_mel_bins: int = 80
    encoder_type: str = "conformer"
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 2048
    hidden_act: str | None = None
    subsampling: str = "conv2d"
    position_embeddings_type: str | None = None
    max_position_embeddings: int = 5000
    macaron_style: bool = True
    use_cnn_module: bool = True
    conv_kernel_size: int = 31
    cgmlp_linear_units: int = 2048
    use_linear_after_conv: bool = False
    gate_activation: str = "identity"
    use_feed_forward: bool = True
    merge_conv_kernel: int = 3
    rnn_type: str = "lstm"
    rnn_hidden_size: int = 320
    bidirectional: bool = True
    use_projection: bool = True
    rnn_subsample: list[int] | tuple[int, ...] = (2, 2, 1, 1)
    rnn_dropout: float | int = 0.0
    hidden_dropout: float | int = 0.1
    positional_dropout: float | int = 0.1
    attention_dropout: float | int = 0.0
    layerdrop: float | int = 0.0
    decoder_type: str = "transformer"
    decoder_layers: int = 6
    decoder_attention_heads: int = 4
    decoder_intermediate_size: int = 2048
    decoder_dropout: float | int = 0.1
    decoder_positional_dropout: float | int = 0.1
    decoder_self_attention_dropout: float | int = 0.0
    decoder_src_attention_dropout: float | int = 0.0
    decoder_layerdrop: float | int = 0.0
    decoder_rnn_type: str = "lstm"
    decoder_hidden_size: int = 320
    decoder_context_residual: bool = False
    decoder_attention_size: int = 320
    decoder_attention_channels: int = 10
    decoder_attention_filters: int = 100
    ctc_weight: float | int = 0.3
    ctc_dropout: float | int = 0.0
    ctc_zero_infinity: bool = True
    label_smoothing: float | int = 0.1
    length_normalized_loss: bool = False
    blank_token_id: int = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    specaug: dict | None = None
    mask_padding: bool = True
    classifier_dropout: float | int = 0.0

    def __post_init__(self, **kwargs):
        self.rnn_subsample = list(self.rnn_subsample)
        transformer = self.encoder_type == "transformer"
        if self.hidden_act is None:
            self.hidden_act = "relu" if transformer else "swish"
        if self.position_embeddings_type is None:
            self.position_embeddings_type = "absolute" if transformer else "relative"
        if self.bos_token_id is None:
            self.bos_token_id = self.vocab_size - 1
        if self.eos_token_id is None:
            self.eos_token_id = self.vocab_size - 1
        if self.pad_token_id is None:
            self.pad_token_id = self.eos_token_id
        super().__post_init__(**kwargs)

    @property
    def min_frames(self) -> int:
        """Input frames of the shortest clip that gives an output frame."""
        frames = 1
        for kernel, stride in reversed(() if self.encoder_type in RECURRENT else SUBSAMPLING[self.subsampling]):
            frames = (frames - 1) * stride + kernel
        return frames

    @property
    def subsampling_factor(self) -> int:
        """Input frames per output frame."""
        if self.encoder_type == "vgg_rnn":
            return 4
        if self.encoder_type == "rnn":
            return math.prod(self.layer_strides)
        return math.prod(stride for _, stride in SUBSAMPLING[self.subsampling])

    @property
    def layer_strides(self) -> list[int]:
        """Frames per frame that is kept, behind each recurrent layer with a projection."""
        kept = self.rnn_subsample if self.encoder_type == "rnn" and self.use_projection else []
        return [*kept, *[1] * self.num_hidden_layers][: self.num_hidden_layers]

    def validate_choices(self):
        """Check the fields with a few possible values."""
        for name, known in (
            ("encoder_type", ENCODERS),
            ("hidden_act", ACTIVATIONS),
            ("gate_activation", ("identity", *ACTIVATIONS)),
            ("subsampling", tuple(SUBSAMPLING)),
            ("position_embeddings_type", POSITION_EMBEDDINGS),
            ("rnn_type", ("lstm", "gru")),
            ("decoder_type", ("transformer", "rnn")),
            ("decoder_rnn_type", ("lstm", "gru")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(known)}")
        if self.encoder_type == "transformer" and self.position_embeddings_type != "absolute":
            raise ValueError(
                f"position_embeddings_type={self.position_embeddings_type!r}: the transformer encoder has absolute "
                "positions only"
            )

    def validate_sizes(self):
        """Check widths, counts and kernels."""
        for name in (
            "vocab_size",
            "num_mel_bins",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "cgmlp_linear_units",
            "rnn_hidden_size",
            "decoder_layers",
            "decoder_attention_heads",
            "decoder_intermediate_size",
            "decoder_hidden_size",
            "decoder_attention_size",
            "decoder_attention_channels",
            "decoder_attention_filters",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.vocab_size < 3:
            raise ValueError(f"vocab_size={self.vocab_size}: <blank>, <sos/eos> and one token to recognise are needed")
        for name in ("conv_kernel_size", "merge_conv_kernel"):
            if getattr(self, name) < 1 or getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}={getattr(self, name)}: only odd sizes keep the length")
        if self.cgmlp_linear_units % 2:
            raise ValueError(f"cgmlp_linear_units={self.cgmlp_linear_units} must be even: one half gates the other")
        if self.rnn_subsample and min(self.rnn_subsample) < 1:
            raise ValueError(f"rnn_subsample={self.rnn_subsample}: every entry must be at least 1")
        heads = {}
        if self.decoder_type == "transformer" and self.ctc_weight < 1:
            heads["decoder_attention_heads"] = self.decoder_attention_heads
        if self.encoder_type not in RECURRENT:
            heads["num_attention_heads"] = self.num_attention_heads
            if self.num_mel_bins < self.min_frames:
                raise ValueError(
                    f"num_mel_bins={self.num_mel_bins}: subsampling {self.subsampling!r} needs at least "
                    f"{self.min_frames}"
                )
        for name, number in heads.items():
            if self.hidden_size % number:
                raise ValueError(f"hidden_size={self.hidden_size} is not a multiple of {name}={number}")
        if self.hidden_size % 2:
            raise ValueError(f"hidden_size={self.hidden_size} must be even: positions are sines and cosines")

    def validate_rates(self):
        """Check probabilities and weights."""
        for name in (
            "ctc_weight",
            "label_smoothing",
            *(n for n in vars(self) if n.endswith(("dropout", "layerdrop"))),
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")
        unknown = set(self.specaug or {}) - set(SPECAUG_DEFAULTS)
        if unknown:
            raise ValueError(f"specaug: unknown {', '.join(sorted(unknown))}; known are {', '.join(SPECAUG_DEFAULTS)}")
        if self.specaug is not None:
            options = {**SPECAUG_DEFAULTS, **self.specaug}
            _check_specaug(options)
            widths = (options["time_mask_width_range"], options["time_mask_width_ratio_range"])
            if options["apply_time_mask"] and widths.count(None) != 1:
                raise ValueError("specaug: give one of time_mask_width_range and time_mask_width_ratio_range")


def _check_specaug(options: dict) -> None:
    for name, value in options.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name.endswith("_range"):
            bounds = [0, value] if is_number else value if isinstance(value, (list, tuple)) else [None]
            numbers = all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in bounds)
            fits = value is None or (len(bounds) == 2 and numbers and 0 <= bounds[0] <= bounds[1])
            wanted = "two numbers, the smaller one first"
        elif name == "time_warp_mode":
            fits, wanted = value in ("bicubic", "bilinear", "nearest"), "bicubic, bilinear or nearest"
        elif name.startswith(("apply_", "replace_")):
            fits, wanted = isinstance(value, bool), "true or false"
        else:
            fits, wanted = isinstance(value, int) and is_number and value >= 0, "a whole number from 0 on"
        if not fits:
            raise ValueError(f"specaug: {name}={value!r}; give {wanted}")


__all__ = ["EspnetAsrConfig"]
