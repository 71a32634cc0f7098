"""Translation of the config.yaml of an ESPnet2 speech recogniser into this package's configurations.

A config.yaml may leave out options at their defaults, so the defaults of ESPnet 202511's classes stand here. An option
that would change a result and is not supported is refused by name. Options that matter in training alone are listed in
`notes`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...models.espnet.configuration_espnet_asr import SPECAUG_DEFAULTS, SUBSAMPLING
from .result import UnsupportedModelError


@dataclass
class EspnetSettings:
    """Contents of a config.yaml.

    Attributes:
        model: Fields of `EspnetAsrConfig`.
        feature_extractor: Arguments of `EspnetAsrFeatureExtractor`, without statistics.
        norm_means: Whether `global_mvn` subtracts the means.
        norm_vars: Whether `global_mvn` divides by the deviations.
        tokens: Token list.
        token_type: Kind of tokens: "bpe", "char" or "word".
        bpe_model: Name of the sentencepiece file, if any.
        non_linguistic_symbols: Symbols, or the name of the file that lists them, if any.
        notes: Options that matter in training alone and are not taken over.
    """

    model: dict[str, Any] = field(default_factory=dict)
    feature_extractor: dict[str, Any] = field(default_factory=dict)
    norm_means: bool = True
    norm_vars: bool = True
    tokens: list[str] = field(default_factory=list)
    token_type: str = "bpe"
    bpe_model: str | None = None
    non_linguistic_symbols: str | list[str] | None = None
    notes: list[str] = field(default_factory=list)


class _Section:
    """Options of one part of the model. `finish` refuses any that is neither taken, required nor passed over."""

    def __init__(self, name: str, options: Any, notes: list[str]):
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            raise UnsupportedModelError(f"{name} is no mapping of options but {options!r}")
        self.name, self.left, self.notes = name, dict(options), notes

    def take(self, key: str, default: Any) -> Any:
        return self.left.pop(key, default)

    def require(self, **defaults: Any) -> None:
        """Refuse options that are not at their defaults."""
        for key, default in defaults.items():
            value = self.left.pop(key, default)
            if value != default:
                raise UnsupportedModelError(f"{self.name}: {key}={value!r} is not supported, only {default!r} is")

    def training_only(self, **defaults: Any) -> None:
        """Note options that are not at their defaults and change nothing in recognition."""
        for key, default in defaults.items():
            value = self.left.pop(key, default)
            if value != default:
                self.notes.append(f"{self.name}: {key}={value!r} matters in training alone and is not taken over")

    def irrelevant(self, *keys: str) -> None:
        for key in keys:
            self.left.pop(key, None)

    def finish(self) -> None:
        if self.left:
            options = ", ".join(f"{key}={value!r}" for key, value in self.left.items())
            raise UnsupportedModelError(f"{self.name}: unknown option {options}")


def read_settings(config: Any) -> EspnetSettings:
    """Read the contents of a config.yaml.

    Raises:
        UnsupportedModelError: The file describes no speech recogniser, or has parts or options that are not
            supported; the message names them.
    """
    if not isinstance(config, Mapping) or "token_list" not in config:
        raise UnsupportedModelError("config.yaml is not that of an ESPnet2 speech recogniser: it has no token_list")
    try:
        return _read(config)
    except (TypeError, OverflowError) as error:  # a list where a name should be, and the like
        raise UnsupportedModelError(f"config.yaml has a value of the wrong kind: {error}") from error


def _read(config: Mapping) -> EspnetSettings:
    settings = EspnetSettings()
    _whole(config, settings)
    _frontend(config, settings)
    _normalization(config, settings)
    _tokens(config, settings)
    kind = config.get("encoder", "rnn")
    readers = {
        "transformer": _transformer,
        "conformer": _conformer,
        "e_branchformer": _e_branchformer,
        "vgg_rnn": _vgg_rnn,
        "rnn": _rnn,
    }
    if kind not in readers:
        raise UnsupportedModelError(f"encoder {kind!r} is not supported; {', '.join(readers)} are")
    section = _Section(f"encoder_conf of {kind}", config.get("encoder_conf"), settings.notes)
    settings.model |= {"encoder_type": kind, **readers[kind](section)}
    section.finish()
    _decoder(config, settings)
    return settings


def _whole(config: Mapping, settings: EspnetSettings) -> None:
    """Read the combination of encoder, decoder and CTC, its losses and SpecAugment."""
    for key in ("preencoder", "postencoder"):
        if config.get(key) is not None:
            raise UnsupportedModelError(f"{key} {config[key]!r} is not supported, only models without one are")
    if config.get("model", "espnet") != "espnet":
        raise UnsupportedModelError(f"model {config['model']!r} is not supported, only 'espnet' is")
    if config.get("input_size") is not None:
        raise UnsupportedModelError(
            "input_size is given: models of ready-made features, without a frontend, are not supported"
        )
    if config.get("use_adapter"):
        raise UnsupportedModelError("use_adapter: true is not supported: merge the adapters into the weights first")

    model = _Section("model_conf", config.get("model_conf"), settings.notes)
    settings.model |= {
        "ctc_weight": model.take("ctc_weight", 0.5),
        "label_smoothing": model.take("lsm_weight", 0.0),
        "length_normalized_loss": model.take("length_normalized_loss", False),
    }
    model.require(sym_blank="<blank>", sym_sos="<sos/eos>", sym_eos="<sos/eos>", sym_space="<space>", lang_token_id=-1)
    model.training_only(interctc_weight=0.0, aux_ctc=None)
    model.irrelevant("ignore_id", "report_cer", "report_wer", "autocast_frontend", "extract_feats_in_collect_stats")
    model.irrelevant("transducer_multi_blank_durations", "transducer_multi_blank_sigma")
    model.finish()

    ctc = _Section("ctc_conf", config.get("ctc_conf"), settings.notes)
    settings.model["ctc_dropout"] = ctc.take("dropout_rate", 0.0)
    zero_infinity, ignore_nan_grad = ctc.take("zero_infinity", True), ctc.take("ignore_nan_grad", None)
    settings.model["ctc_zero_infinity"] = zero_infinity if ignore_nan_grad is None else ignore_nan_grad
    ctc.training_only(ctc_type="builtin")
    ctc.irrelevant("reduce", "brctc_risk_strategy", "brctc_group_strategy", "brctc_risk_factor")
    ctc.finish()

    if config.get("specaug") is not None:
        if config["specaug"] != "specaug":
            raise UnsupportedModelError(f"specaug {config['specaug']!r} is not supported, only 'specaug' is")
        options = _Section("specaug_conf", config.get("specaug_conf"), settings.notes)
        settings.model["specaug"] = {key: options.take(key, None) for key in SPECAUG_DEFAULTS if key in options.left}
        options.finish()


def _frontend(config: Mapping, settings: EspnetSettings) -> None:
    kind = config.get("frontend", "default")
    if kind != "default":
        raise UnsupportedModelError(f"frontend {kind!r} is not supported, only 'default' (log-mel filter banks) is")
    section = _Section("frontend_conf", config.get("frontend_conf"), settings.notes)
    section.require(center=True, normalized=False, onesided=True, apply_stft=True)
    enhancement = _Section("frontend_conf.frontend_conf", section.take("frontend_conf", None), settings.notes)
    enhancement.require(use_wpe=False, use_beamformer=False)
    enhancement.left.clear()  # options of a front end that is off
    n_fft = section.take("n_fft", 512)
    rate = _frequency(section.take("fs", 16000))
    f_min, f_max = section.take("fmin", None), section.take("fmax", None)
    settings.model["num_mel_bins"] = section.take("n_mels", 80)
    settings.feature_extractor |= {
        "sampling_rate": rate,
        "num_mel_bins": settings.model["num_mel_bins"],
        "n_fft": n_fft,
        "win_length": section.take("win_length", None) or n_fft,
        "hop_length": section.take("hop_length", 128),
        "window_function": section.take("window", "hann"),
        "f_min": float(f_min or 0),
        "f_max": rate / 2 if f_max is None else float(f_max),
        "mel_scale": "htk" if section.take("htk", False) else "slaney",
    }
    section.finish()


def _frequency(value: Any) -> int:
    """Return a sampling rate in Hz, given as a number or as text such as 16k."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(k?)(?:hz)?\s*", str(value).lower())
    if not found:
        raise UnsupportedModelError(f"frontend_conf: fs={value!r} is no sampling rate")
    return round(float(found[1]) * (1000 if found[2] else 1))


def _normalization(config: Mapping, settings: EspnetSettings) -> None:
    kind = config.get("normalize", "utterance_mvn")
    section = _Section("normalize_conf", config.get("normalize_conf"), settings.notes)
    section.irrelevant("eps")
    if kind is None:
        settings.feature_extractor["normalization"] = "none"
        section.left.clear()
    elif kind == "global_mvn":
        settings.feature_extractor["normalization"] = kind
        settings.norm_means, settings.norm_vars = section.take("norm_means", True), section.take("norm_vars", True)
        section.irrelevant("stats_file")
    elif kind == "utterance_mvn":
        section.require(norm_means=True)
        settings.feature_extractor |= {"normalization": kind, "norm_vars": section.take("norm_vars", False)}
    else:
        raise UnsupportedModelError(f"normalize {kind!r} is not supported; global_mvn, utterance_mvn and null are")
    section.finish()


def _tokens(config: Mapping, settings: EspnetSettings) -> None:
    tokens = config["token_list"]
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise UnsupportedModelError(
            "token_list is no list of strings: take the config.yaml that ESPnet wrote when it trained, which has one"
        )
    settings.tokens = tokens
    settings.model["vocab_size"] = len(tokens)
    settings.token_type = config.get("token_type", "bpe")
    if settings.token_type not in ("bpe", "char", "word"):
        raise UnsupportedModelError(f"token_type {settings.token_type!r} is not supported; bpe, char and word are")
    settings.bpe_model = config.get("bpemodel")
    settings.non_linguistic_symbols = config.get("non_linguistic_symbols")
    for key in ("cleaner", "g2p"):
        if config.get(key) is not None:
            settings.notes.append(
                f"{key} {config[key]!r}: transcripts were changed by it before training; ours are not"
            )


def _blocks(section: _Section, pos_enc: str, attention_key: str, attention: str, rel_pos: str | None) -> dict:
    """Return the options that encoders of blocks share; the defaults of their attention differ."""
    section.require(qk_norm=False, interctc_use_conditioning=False)
    if section.left.get("interctc_layer_idx") in (None, []):
        section.irrelevant("interctc_layer_idx")
    section.training_only(interctc_layer_idx=[])
    section.irrelevant("use_flash_attn", "padding_idx", "gradient_checkpoint_layers", "positionwise_conv_kernel_size")
    layer = section.take("input_layer", "conv2d")
    if layer not in SUBSAMPLING:
        raise UnsupportedModelError(
            f"{section.name}: input_layer={layer!r} is not supported; {', '.join(SUBSAMPLING)} are"
        )
    pos_enc = section.take("pos_enc_layer_type", pos_enc)
    attention = section.take(attention_key, attention)
    rel_pos = section.take("rel_pos_type", rel_pos)
    kinds = {
        ("abs_pos", "selfattn"): "absolute",
        ("rel_pos", "rel_selfattn"): "relative_legacy" if rel_pos == "legacy" else "relative",
        ("legacy_rel_pos", "legacy_rel_selfattn"): "relative_legacy",
    }
    if (pos_enc, attention) not in kinds or rel_pos not in (None, "latest", "legacy"):
        raise UnsupportedModelError(
            f"{section.name}: pos_enc_layer_type={pos_enc!r} with {attention_key}={attention!r} and "
            f"rel_pos_type={rel_pos!r} is not supported"
        )
    return {
        "hidden_size": section.take("output_size", 256),
        "num_attention_heads": section.take("attention_heads", 4),
        "intermediate_size": section.take("linear_units", 2048),
        "hidden_dropout": section.take("dropout_rate", 0.1),
        "positional_dropout": section.take("positional_dropout_rate", 0.1),
        "attention_dropout": section.take("attention_dropout_rate", 0.0),
        "layerdrop": section.take("layer_drop_rate", 0.0),
        "subsampling": layer,
        "position_embeddings_type": kinds[pos_enc, attention],
        "max_position_embeddings": section.take("max_pos_emb_len", 5000),
    }


def _transformer(section: _Section) -> dict:
    section.require(normalize_before=True, concat_after=False, positionwise_layer_type="linear")
    section.left["selfattention_layer_type"] = "selfattn"  # not an option of this encoder
    return {
        **_blocks(section, "abs_pos", "selfattention_layer_type", "selfattn", None),
        "num_hidden_layers": section.take("num_blocks", 6),
        "hidden_act": "relu",
    }


def _conformer(section: _Section) -> dict:
    section.require(normalize_before=True, concat_after=False, positionwise_layer_type="linear")
    section.require(zero_triu=False, ctc_trim=False)
    section.training_only(stochastic_depth_rate=0.0)
    return {
        **_blocks(section, "rel_pos", "selfattention_layer_type", "rel_selfattn", "legacy"),
        "num_hidden_layers": section.take("num_blocks", 6),
        "hidden_act": section.take("activation_type", "swish"),
        "macaron_style": section.take("macaron_style", False),
        "use_cnn_module": section.take("use_cnn_module", True),
        "conv_kernel_size": section.take("cnn_module_kernel", 31),
    }


def _e_branchformer(section: _Section) -> dict:
    section.require(zero_triu=False)
    use_feed_forward = section.take("use_ffn", False)
    if use_feed_forward:
        section.require(positionwise_layer_type="linear")
    section.irrelevant("positionwise_layer_type")
    return {
        **_blocks(section, "rel_pos", "attention_layer_type", "rel_selfattn", "latest"),
        "num_hidden_layers": section.take("num_blocks", 12),
        "hidden_act": section.take("ffn_activation_type", "swish"),
        "use_feed_forward": use_feed_forward,
        "macaron_style": section.take("macaron_ffn", False),
        "cgmlp_linear_units": section.take("cgmlp_linear_units", 2048),
        "conv_kernel_size": section.take("cgmlp_conv_kernel", 31),
        "use_linear_after_conv": section.take("use_linear_after_conv", False),
        "gate_activation": section.take("gate_activation", "identity"),
        "merge_conv_kernel": section.take("merge_conv_kernel", 3),
    }


def _vgg_rnn(section: _Section) -> dict:
    section.require(in_channel=1)
    return _recurrent(section)


def _rnn(section: _Section) -> dict:
    return {"rnn_subsample": section.take("subsample", [2, 2, 1, 1]) or [], **_recurrent(section)}


def _recurrent(section: _Section) -> dict:
    return {
        "hidden_size": section.take("output_size", 320),
        "num_hidden_layers": section.take("num_layers", 4),
        "rnn_type": section.take("rnn_type", "lstm"),
        "rnn_hidden_size": section.take("hidden_size", 320),
        "bidirectional": section.take("bidirectional", True),
        "use_projection": section.take("use_projection", True),
        "rnn_dropout": section.take("dropout", 0.0),
    }


def _decoder(config: Mapping, settings: EspnetSettings) -> None:
    if settings.model["ctc_weight"] == 1:
        return  # ESPnet makes none then, even if the file names one
    kind = config.get("decoder")
    readers = {"transformer": _transformer_decoder, "rnn": _rnn_decoder}
    if kind not in readers:
        what = "transducers are no CTC/attention models" if kind == "transducer" else f"{', '.join(readers)} are"
        raise UnsupportedModelError(f"decoder {kind!r} is not supported; {what}")
    section = _Section(f"decoder_conf of {kind}", config.get("decoder_conf"), settings.notes)
    settings.model |= {"decoder_type": kind, **readers[kind](section)}
    section.finish()


def _rnn_decoder(section: _Section) -> dict:
    section.require(num_encs=1, replace_sos=False)
    section.training_only(sampling_probability=0.0)
    attention = _Section(f"{section.name}.att_conf", section.take("att_conf", None), section.notes)
    attention.require(atype="location", num_att=1, num_encs=1, han_mode=False)
    attention.irrelevant("aheads", "awin", "han_type", "han_heads", "han_dim", "han_conv_chans", "han_conv_filts")
    attention.irrelevant("han_win")
    read = {
        "decoder_layers": section.take("num_layers", 1),
        "decoder_rnn_type": section.take("rnn_type", "lstm"),
        "decoder_hidden_size": section.take("hidden_size", 320),
        "decoder_dropout": section.take("dropout", 0.0),
        "decoder_context_residual": section.take("context_residual", False),
        "decoder_attention_size": attention.take("adim", 320),
        "decoder_attention_channels": attention.take("aconv_chans", 10),
        "decoder_attention_filters": attention.take("aconv_filts", 100),
    }
    attention.finish()
    return read


def _transformer_decoder(section: _Section) -> dict:
    section.require(input_layer="embed", use_output_layer=True, normalize_before=True, concat_after=False)
    section.require(qk_norm=False)
    section.irrelevant("use_flash_attn", "gradient_checkpoint_layers")
    return {
        "decoder_layers": section.take("num_blocks", 6),
        "decoder_attention_heads": section.take("attention_heads", 4),
        "decoder_intermediate_size": section.take("linear_units", 2048),
        "decoder_dropout": section.take("dropout_rate", 0.1),
        "decoder_positional_dropout": section.take("positional_dropout_rate", 0.1),
        "decoder_self_attention_dropout": section.take("self_attention_dropout_rate", 0.0),
        "decoder_src_attention_dropout": section.take("src_attention_dropout_rate", 0.0),
        "decoder_layerdrop": section.take("layer_drop_rate", 0.0),
    }
