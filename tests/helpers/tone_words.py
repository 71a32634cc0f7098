"""A corpus that a tiny recogniser learns in seconds: each letter is a tone, each space a silence."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import soundfile


FREQUENCIES = {"a": 300, "b": 700, "c": 1500, "d": 3200}
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_kernel_size": 7,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_intermediate_size": 64,
    "ctc_weight": 0.5,
}
FLAGS = [
    *("--config_overrides", json.dumps(TINY), "--feature_extractor_overrides", '{"num_mel_bins": 20}'),
    *("--transcript_column_name", "text", "--disable_tqdm", "true", "--report_to", "none"),
    *("--per_device_train_batch_size", "8", "--generation_overrides", '{"num_beams": 6}'),
]


def speak(text: str, rng: np.random.Generator) -> np.ndarray:
    """Return samples at 16 kHz, about 0.15 s per letter."""
    parts = [np.zeros(800)]
    for letter in text:
        size = int(rng.integers(2000, 2800))
        tone = np.sin(2 * np.pi * FREQUENCIES.get(letter, 0) * rng.uniform(0.95, 1.05) * np.arange(size) / 16000)
        parts += [0.3 * tone, np.zeros(400)]
    samples = np.concatenate(parts)
    return samples + 0.003 * rng.normal(size=samples.size)


def write_tone_words(folder: Path, sizes: dict[str, int], seed: int = 0, texts: Sequence[str | None] = ()) -> Path:
    """Write Parquet files with columns `audio`, `text` ("Ab, cd!") and `speaker_id`, so many utterances in each split.

    The first of `train` have the transcripts `texts`, whatever is heard.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for split, size in sizes.items():
        rows: dict[str, list] = {"audio": [], "text": [], "speaker_id": []}
        for number in range(size):
            words = ["".join(rng.choice(list("abcd"), rng.integers(1, 4))) for _ in range(rng.integers(1, 3))]
            file = io.BytesIO()
            soundfile.write(file, speak(" ".join(words), rng), 16000, format="WAV")
            rows["audio"].append({"bytes": file.getvalue(), "path": f"{number}.wav"})
            replaced = split == "train" and number < len(texts)
            rows["text"].append(texts[number] if replaced else ", ".join(words).capitalize() + "!")
            rows["speaker_id"].append(f"{split}{number % 4}")
        # Cast, because from_dict would encode an Audio column with torchcodec.
        table = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio())
        table.to_parquet(folder / f"{split}.parquet")
    return folder
