"""A folder that holds, tiny, what the documentation's examples name: corpora, recordings, models and their scores."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_classifier import write_classifier

from lssed_hf import (
    EspnetAsrConfig,
    EspnetAsrFeatureExtractor,
    EspnetAsrForSpeechSeq2Seq,
    EspnetAsrProcessor,
    EspnetAsrTokenizer,
)
from lssed_hf.cli import evaluate
from lssed_hf.labels import BENCHMARK_EMOTIONS
from lssed_hf.testing import voices
from lssed_hf.testing.synthesize import synthesize


#: Folders, the layout that each is written in, and how many people speak there.
CORPORA = {
    "RAVDESS": ("ravdess", 24),
    "EMODB": ("emodb", 10),
    "IEMOCAP": ("iemocap", 10),
    "LSSED": ("lssed", 6),
    "DAIC-WOZ": ("daic_woz", 8),
    "my_recordings": ("folder", 4),
}
#: Of the 24 actors, those whose clips stay.
ACTORS = (1, 2, 10, 15, 17, 18)


def write_home(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        quick_speech(monkeypatch)
        for name, (layout, speakers) in CORPORA.items():
            synthesize(layout, folder / name, num_speakers=speakers)
    for actor in set(range(1, 25)) - set(ACTORS):
        shutil.rmtree(folder / "RAVDESS" / f"Actor_{actor:02}")
    (folder / "DAIC").symlink_to("DAIC-WOZ")
    shutil.copytree(folder / "my_recordings", folder / "aufnahmen")
    table = folder / "aufnahmen" / "metadata.csv"
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    for name, own in {"path": "Datei", "emotion": "Kategorie", "speaker": "Sprecher"}.items():
        header = header.replace(name, own)
    table.write_text("\n".join([header, *rows]), encoding="utf-8")

    rng = np.random.default_rng(0)
    for name in ("recordings", "neutral"):
        (folder / name).mkdir()
    names = (
        "clip.wav",
        "clip.flac",
        "other.wav",
        "interview.wav",
        *(f"anna_neutral_{number}.wav" for number in (1, 2)),
        "neutral/1.wav",
        *(f"recordings/{number}.wav" for number in range(4)),
    )
    for name in names:
        seconds = 12 if name == "interview.wav" else 2
        soundfile.write(folder / name, 0.1 * rng.normal(size=seconds * 16000).clip(-3, 3), 16000)
    session = folder / "DAIC-WOZ" / "363_P"  # its transcript is as it should be
    for path in session.glob("363_[AT]*"):  # a session as it comes, under the number that examples have
        shutil.copy(path, folder / path.name.replace(session.name[:3], "300", 1))

    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").touch()
    outputs = folder / "outputs"
    for name in ("pyresnet50", "plain"):
        write_classifier(outputs / name, BENCHMARK_EMOTIONS)
    write_classifier(outputs / "mine", ["angry", "happy", "neutral", "sad", "surprised"])
    write_classifier(outputs / "own_baseline", BENCHMARK_EMOTIONS, normalization="speaker")
    write_recogniser(outputs / "recogniser")
    flags = {
        "--model_name_or_path": outputs / "pyresnet50",
        "--dataset_name": "emodb",
        "--data_dir": folder / "EMODB",
        "--output_dir": outputs / "on_emodb",
    }
    assert evaluate.main([str(word) for flag in flags.items() for word in flag]) == 0
    return folder


def quick_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short tone in place of what eSpeak NG would say: the layouts are the real ones, in a fraction of the time."""

    def speak(text: str, *, pitch: int = 50, **_) -> tuple[np.ndarray, int]:
        return 0.3 * np.sin(2 * np.pi * (200 + 10 * pitch) * np.arange(6400) / 16000, dtype=np.float32), 16000

    monkeypatch.setattr(voices, "speak", speak)


def write_recogniser(folder: Path) -> None:
    tokens = ["<blank>", "<unk>", "<space>", *"abcdefgh", "<sos/eos>"]
    config = EspnetAsrConfig(
        vocab_size=len(tokens),
        num_mel_bins=20,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_intermediate_size=16,
    )
    model = EspnetAsrForSpeechSeq2Seq(config)
    model.generation_config.update(num_beams=4)
    model.save_pretrained(folder)
    extractor = EspnetAsrFeatureExtractor(num_mel_bins=20, normalization="utterance_mvn")
    EspnetAsrProcessor(extractor, EspnetAsrTokenizer(token_list=tokens)).save_pretrained(folder)


def names_at_hand() -> dict[str, object]:
    """What blocks of Python may use without having made it: what a reader brings along."""
    import torch

    rng = np.random.default_rng(1)
    clips = [0.1 * rng.normal(size=size).astype(np.float32) for size in (16000, 24000)]
    return {
        "samples": clips[0],
        "waveform": clips[0],
        "clips": clips,
        "waveforms": clips,
        "input_features": torch.from_numpy(rng.normal(size=(2, 60, 80)).astype(np.float32)),
        "attention_mask": torch.ones(2, 60, dtype=torch.long),
        "labels": torch.tensor([[5, 6, 7], [8, 9, -100]]),
    }
