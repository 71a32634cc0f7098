"""Tiny interviews of tones in the columns of DAIC-WOZ, as a folder of Parquet files."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from lssed_hf.audio import encode_audio


def write_interviews(folder: Path, flip: tuple[str, ...] = ()) -> Path:
    """Write participants of both classes, three turns each, in three splits; `flip` names splits with other labels."""
    rng = np.random.default_rng(0)
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": datasets.Audio(sampling_rate=16000),
            "depression": datasets.ClassLabel(names=["not_depressed", "depressed"]),
            "gender_code": datasets.Value("string"),
            "speaker_id": datasets.Value("string"),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, size in (("train", 10), ("validation", 6), ("test", 4)):
        rows = {name: [] for name in features}
        for person in range(size):
            depressed = int(person % 2 == 0)
            number += 1
            for turn in range(3):
                frequency = (400 if depressed else 900) * rng.uniform(0.7, 1.5)
                samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(6400) / 16000) + 0.02 * rng.normal(size=6400)
                rows["id"].append(f"{number}_{turn}")
                rows["audio"].append(
                    {"bytes": encode_audio(samples.astype(np.float32), 16000), "path": f"{number}_{turn}.flac"}
                )
                rows["depression"].append(depressed if split not in flip else int(person < size // 2))
                rows["gender_code"].append(str(person % 2))
                rows["speaker_id"].append(str(number))
        # Not from_dict, which would encode the audio once more, by torchcodec.
        table = pa.Table.from_pydict(rows, schema=features.arrow_schema)
        datasets.Dataset(table).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder
