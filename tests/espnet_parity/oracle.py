"""What ESPnet itself computes, for tests/models/espnet/test_parity_espnet_asr.py.

    .venv-espnet/bin/python tests/espnet_parity/oracle.py tests/models/espnet/fixtures

runs in an environment of its own (`make test-espnet` makes it), because ESPnet pins old versions of much. Per case it
writes a folder with `config.yaml`, the names and shapes of the weights, and `reference.npz` and `.json`: features,
encoder output, losses and what its beam search finds. The weights come from `fixture_weights.py`.
"""

import argparse
import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
import yaml


sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models" / "espnet"))
from fixture_weights import make_weights


def _stub(*names: str) -> None:
    """Put empty packages where ESPnet imports what speech recognition never calls."""
    for full in names:
        parts = full.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            if name not in sys.modules:
                module = types.ModuleType(name)
                module.__path__ = []
                module.__spec__ = importlib.machinery.ModuleSpec(name, None)
                sys.modules[name] = module
                if end > 1:
                    setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], module)


_stub("torchaudio.compliance.kaldi", "tacotron_cleaner.cleaners", "g2p_en", "jamo")
sys.modules["g2p_en"].G2p = object
sys.modules["jamo"].hangul_to_jamo = None

from espnet.nets.batch_beam_search import BatchBeamSearch  # noqa: E402
from espnet.nets.beam_search import BeamSearch  # noqa: E402
from espnet.nets.scorer_interface import BatchScorerInterface  # noqa: E402
from espnet.nets.scorers.ctc import CTCPrefixScorer  # noqa: E402
from espnet.nets.scorers.length_bonus import LengthBonus  # noqa: E402
from espnet2.asr.frontend.default import DefaultFrontend  # noqa: E402
from espnet2.tasks.asr import ASRTask  # noqa: E402


TOKENS = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJ", "<sos/eos>"]
# Frames of 4 ms: 82, 76 and 33. A clip of 76 frames has one output frame more when padded (19, alone 18).
SAMPLES = [5200, 4800, 2100]
LABELS = [[3, 4, 4, 5, 2, 7], [8, 2, 9], [12]]
FRONTEND = {"fs": "16k", "n_fft": 128, "hop_length": 64, "n_mels": 20}
TRANSFORMER_DECODER = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}
BLOCKS = {"output_size": 16, "attention_heads": 4, "linear_units": 24, "num_blocks": 2}

CASES = {
    "conformer": {
        "encoder": "conformer",
        "encoder_conf": {**BLOCKS, "macaron_style": True, "rel_pos_type": "latest", "cnn_module_kernel": 7},
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": "feats_stats.npz"},
    },
    "conformer_legacy": {
        "encoder": "conformer",
        "encoder_conf": {**BLOCKS, "cnn_module_kernel": 7},
        "normalize": None,
        "frontend_conf": {**FRONTEND, "win_length": 100, "window": "hamming"},
    },
    "transformer": {
        "encoder": "transformer",
        "encoder_conf": BLOCKS,
        "model_conf": {"ctc_weight": 0.5, "lsm_weight": 0.0, "length_normalized_loss": True},
    },
    "transformer_conv2d6": {
        "encoder": "transformer",
        "encoder_conf": {**BLOCKS, "input_layer": "conv2d6"},
        "normalize_conf": {"norm_vars": True},
        "model_conf": {"ctc_weight": 1.0},
        "decoder": None,
    },
    "e_branchformer": {
        "encoder": "e_branchformer",
        "encoder_conf": {
            **BLOCKS,
            "cgmlp_linear_units": 32,
            "cgmlp_conv_kernel": 7,
            "merge_conv_kernel": 5,
            "use_ffn": True,
            "macaron_ffn": True,
        },
        "normalize_conf": {"norm_vars": True},
    },
    "e_branchformer_plain": {
        "encoder": "e_branchformer",
        "encoder_conf": {
            **BLOCKS,
            "input_layer": "conv2d8",
            "cgmlp_linear_units": 32,
            "cgmlp_conv_kernel": 7,
            "use_linear_after_conv": True,
            "gate_activation": "tanh",
            "pos_enc_layer_type": "abs_pos",
            "attention_layer_type": "selfattn",
        },
        "model_conf": {"ctc_weight": 0.0, "lsm_weight": 0.1},
        "ctc_conf": {},
    },
    "vgg_rnn": {
        "encoder": "vgg_rnn",
        "encoder_conf": {"num_layers": 2, "hidden_size": 12, "output_size": 16},
        "decoder": "rnn",
        "decoder_conf": {
            "num_layers": 2,
            "hidden_size": 12,
            "att_conf": {"adim": 14, "aconv_chans": 3, "aconv_filts": 2},
        },
    },
    "rnn": {
        "encoder": "rnn",
        "encoder_conf": {"num_layers": 3, "hidden_size": 12, "output_size": 16, "subsample": [2, 3]},
        "decoder": "rnn",
        "decoder_conf": {"rnn_type": "gru", "hidden_size": 12, "context_residual": True},
    },
    "vgg_gru": {
        "encoder": "vgg_rnn",
        "encoder_conf": {"num_layers": 2, "hidden_size": 12, "output_size": 16, "rnn_type": "gru",
                         "use_projection": False},
    },
}  # fmt: skip
# The others' would only fill the repository: what the encoder makes of them is compared.
WITH_FEATURES = ("conformer", "transformer")

FRONTENDS = {
    "espnet": {},
    "librispeech": {"fs": "16k", "n_fft": 512, "hop_length": 160},
    "lssed": {"n_fft": 512, "win_length": 400, "hop_length": 160},
    "htk": {
        "n_fft": 400,
        "hop_length": 200,
        "n_mels": 40,
        "fmin": 80,
        "fmax": 7600,
        "htk": True,
        "window": "blackman",
    },
}


def write_case(name: str, case: dict, clips: list[np.ndarray], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "token_list": TOKENS,
        "token_type": "char",
        "frontend": "default",
        "frontend_conf": FRONTEND,
        "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1, "report_cer": False, "report_wer": False},
        "decoder": "transformer",
        "decoder_conf": TRANSFORMER_DECODER if case.get("decoder", True) else {},
        **case,
    }
    settings["model_conf"] = {"report_cer": False, "report_wer": False, **settings["model_conf"]}
    # One as ESPnet writes it, with all its defaults; of the others only what was chosen.
    complete = {**ASRTask.get_default_config(), **settings}
    written = complete if name == "conformer" else settings
    (folder / "config.yaml").write_text(yaml.safe_dump(written, sort_keys=True), encoding="utf-8")

    bins = settings["frontend_conf"]["n_mels"]
    stats = folder / "feats_stats.npz"
    np.savez(stats, count=np.array(9), sum=np.zeros(bins), sum_square=np.full(bins, 9.0))
    for key in ("normalize_conf", "ctc_conf", "specaug_conf"):
        complete[key] = settings.get(key, {})
    if complete["normalize"] == "global_mvn":
        complete["normalize_conf"] = {"stats_file": str(stats)}
    model = ASRTask.build_model(argparse.Namespace(**complete)).eval()
    stats.unlink()

    state = model.state_dict()
    shapes = {key: list(value.shape) for key, value in state.items()}
    (folder / "weights.json").write_text(json.dumps(shapes, indent=0) + "\n", encoding="utf-8")
    weights = make_weights(shapes, state["frontend.logmel.melmat"].numpy())
    model.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in weights.items()}, strict=True)

    arrays, found = references(model, clips, with_features=name in WITH_FEATURES)
    np.savez_compressed(folder / "reference.npz", **arrays)
    (folder / "reference.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


@torch.no_grad()
def references(model, clips: list[np.ndarray], with_features: bool) -> tuple[dict[str, np.ndarray], dict]:
    speech = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
    lengths = torch.tensor([len(clip) for clip in clips])
    text = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in LABELS], batch_first=True, padding_value=-1)
    text_lengths = torch.tensor([len(row) for row in LABELS])

    features, frames = model._extract_feats(speech.clone(), lengths)
    if model.normalize is not None:
        features, frames = model.normalize(features, frames)
    hidden, hidden_lengths = model.encode(speech.clone(), lengths)
    arrays = {
        **({"features": features.numpy()} if with_features else {}),
        "frames": frames.numpy(),
        "hidden": hidden.numpy(),
        "hidden_lengths": hidden_lengths.numpy(),
    }
    # ESPnet searches with recurrent decoders one hypothesis at a time, and then forgets the end where it is not among
    # the 1.5 * beam_size tokens that the decoder likes best; with a beam this large it is.
    beam_size = 10 if _is_recurrent(model.decoder) else 4
    found = {"batch": _losses(model, speech, lengths, text, text_lengths), "beam_size": beam_size, "clips": []}
    for index, clip in enumerate(clips):
        one, length = torch.from_numpy(clip)[None], lengths[index : index + 1]
        alone, _ = model.encode(one.clone(), length)
        arrays[f"hidden_{index}"] = alone[0].numpy()
        row, row_length = text[index : index + 1, : len(LABELS[index])], text_lengths[index : index + 1]
        entry = _losses(model, one, length, row, row_length)
        weights = [weight for weight in (0.0, 0.3, 1.0) if _can_search(model, weight)]
        entry["beam"] = {str(weight): beam_search(model, alone[0], weight, beam_size) for weight in weights}
        found["clips"].append(entry)
    return arrays, found


def _losses(model, speech, lengths, text, text_lengths) -> dict:
    loss, stats, _ = model(speech.clone(), lengths, text.clone(), text_lengths.clone())
    parts = {name: stats.get(name) for name in ("loss_ctc", "loss_att")}
    return {"loss": loss.item(), **{name: None if part is None else part.item() for name, part in parts.items()}}


def _can_search(model, weight: float) -> bool:
    return (weight == 0 or model.ctc is not None) and (weight == 1 or model.decoder is not None)


def _is_recurrent(decoder) -> bool:
    return decoder is not None and not isinstance(decoder, BatchScorerInterface)


def beam_search(model, hidden: torch.Tensor, ctc_weight: float, beam_size: int) -> list[dict]:
    """The three best hypotheses, as `espnet2.bin.asr_inference.Speech2Text` sets the search up."""
    search = (BeamSearch if _is_recurrent(model.decoder) else BatchBeamSearch)(
        beam_size=beam_size,
        weights={"decoder": 1 - ctc_weight, "ctc": ctc_weight, "length_bonus": 0.0},
        scorers={
            "decoder": model.decoder,
            "ctc": None if model.ctc is None else CTCPrefixScorer(ctc=model.ctc, eos=model.eos),
            "length_bonus": LengthBonus(len(TOKENS)),
        },
        sos=model.sos,
        eos=model.eos,
        vocab_size=len(TOKENS),
        token_list=TOKENS,
        pre_beam_score_key=None if ctc_weight == 1 else "full",
    ).eval()
    hypotheses = search(x=hidden, maxlenratio=0.0, minlenratio=0.0)[:3]
    return [{"tokens": h.yseq[1:-1].tolist(), "score": float(h.score)} for h in hypotheses]


@torch.no_grad()
def write_frontends(clip: np.ndarray, folder: Path) -> None:
    arrays = {}
    for name, settings in FRONTENDS.items():
        frontend = DefaultFrontend(**settings).eval()
        arrays[name] = frontend(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))[0][0].numpy()
    np.savez_compressed(folder / "frontends.npz", **arrays)
    (folder / "frontends.json").write_text(json.dumps(FRONTENDS, indent=1) + "\n", encoding="utf-8")


def make_clips() -> list[np.ndarray]:
    """Coloured noise whose level rises and falls, kept to 16 bits."""
    clips = []
    for index, samples in enumerate(SAMPLES):
        noise = np.random.RandomState(index).normal(0, 1, samples + 8)
        coloured = np.convolve(noise, np.arange(9, 0, -1) / 20, mode="valid")
        envelope = 0.2 + np.sin(np.arange(samples) / 900 + index) ** 2
        clips.append((3000 * envelope * coloured).astype(np.int16))
    return clips


def main(output: Path) -> None:
    torch.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    pcm = make_clips()
    np.savez_compressed(output / "clips.npz", **{str(index): clip for index, clip in enumerate(pcm)})
    (output / "labels.json").write_text(json.dumps(LABELS) + "\n", encoding="utf-8")
    clips = [clip.astype(np.float32) / 32768 for clip in pcm]
    write_frontends(clips[2], output)
    for name, case in CASES.items():
        write_case(name, case, clips, output / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
