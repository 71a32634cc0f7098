"""LSSED: `metadata_english_all.csv` and `wav_all/E0091_0003.wav`. Nothing but the layout is LSSED's."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from ...files import replacing
from ...labels import BENCHMARK_EMOTIONS
from ..voices import PROSODY, SENTENCES, Speaker, make_speakers, speak_as
from .common import claim, format_table


METADATA_NAME = "metadata_english_all.csv"
METADATA_COLUMNS = ("name", "faces", "gender", "age", "age_group", "start", "end", "transcript")
# Every speaker has the emotions of the benchmark. The rest is drawn with an imbalance like LSSED's, neutral ahead.
_WEIGHTS = {"angry": 3, "neutral": 9, "happy": 5, "sad": 4}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    write_synthetic_lssed(output_dir, num_speakers=num_speakers, seed=seed)


def write_synthetic_lssed(
    output_dir: str | os.PathLike[str],
    *,
    num_speakers: int = 12,
    utterances_per_speaker: int = 20,
    emotions: Sequence[str] | None = None,
    seed: int = 0,
    sampling_rate: int = 16000,
) -> Path:
    """Write a corpus of synthetic speech in the layout of an LSSED release.

    The layout is `metadata_english_all.csv` (columns `name`, `faces` = the emotion, `gender`, `age`, `age_group`,
    `start`, `end`, `transcript`), `wav_all/<name>.wav` (16-bit PCM, mono) and a `README.txt` that calls it synthetic.
    In a name such as `E0091_0003`, `name[1:5]` is the speaker's number. `start` and `end` are seconds in the speaker's
    imagined recording. The metadata is written last, so a folder that has it is complete. The same arguments write
    the same bytes.

    Args:
        output_dir: Folder to write. An earlier synthetic corpus there is replaced.
        num_speakers: Number of speakers, 1 to 9,999.
        utterances_per_speaker: Utterances of each speaker, 1 to 10,000, of 1 to 5 seconds each.
        emotions: Emotions to use; by default all 11. Every speaker has each of angry, neutral, happy and sad that is
            among them, as far as the utterances go. The rest follows fixed proportions over the whole corpus, so a
            rare emotion may be absent from a very small one.
        seed: Seed of everything random, 0 or more.
        sampling_rate: Sampling rate in Hz.

    Returns:
        `output_dir` as a path.

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: An emotion is unknown, or a number out of range.
        FileExistsError: `output_dir` holds a corpus that is not ours.
    """
    emotions = list(PROSODY) if emotions is None else list(dict.fromkeys(emotions))
    if not emotions or (unknown := [emotion for emotion in emotions if emotion not in PROSODY]):
        raise ValueError(f"emotions must be among {', '.join(PROSODY)}; got {unknown if emotions else 'none'}")
    if not 1 <= utterances_per_speaker <= 10000:
        raise ValueError(f"utterances_per_speaker must be between 1 and 10000, got {utterances_per_speaker}")
    speakers = make_speakers(num_speakers, seed=seed)

    output_dir = Path(output_dir)
    claim(output_dir, "LSSED", replaces=(METADATA_NAME, "wav_all/E????_????.wav"), beside_others=True)
    (output_dir / "wav_all").mkdir(exist_ok=True)
    rows = []
    assigned = _assign_emotions(emotions, num_speakers, utterances_per_speaker, np.random.default_rng(seed))
    for index, (speaker, speaker_emotions) in enumerate(zip(speakers, assigned, strict=True)):
        rows += _write_speaker(output_dir / "wav_all", speaker, speaker_emotions, [seed, 1 + index], sampling_rate)
    with replacing(output_dir / METADATA_NAME) as path:
        path.write_bytes(format_table(METADATA_COLUMNS, rows))
    return output_dir


def _write_speaker(
    folder: Path, speaker: Speaker, emotions: Sequence[str], seed: Sequence[int], sampling_rate: int
) -> list[tuple]:
    """Write the clips of a speaker, and return their rows of the metadata."""
    rows = []
    end = 0.0
    for number, emotion in enumerate(emotions):
        # A generator for each clip, which so stays as it is when others change their number of draws.
        rng = np.random.default_rng([*seed, 1 + number])
        text = SENTENCES[rng.integers(len(SENTENCES))]
        clip = speak_as(speaker, emotion, text, rng=rng, sampling_rate=sampling_rate)
        name = f"E{speaker.number:04d}_{number:04d}"
        samples = (clip * 32767).round().astype(np.int16)
        soundfile.write(folder / f"{name}.wav", samples, sampling_rate, subtype="PCM_16")
        start = end + rng.uniform(0.5, 5)
        end = start + len(clip) / sampling_rate
        rows.append(
            (name, emotion, speaker.gender, speaker.age, speaker.age_group, f"{start:.3f}", f"{end:.3f}", text)
        )
    return rows


def _assign_emotions(
    emotions: list[str], num_speakers: int, utterances_per_speaker: int, rng: np.random.Generator
) -> list[list[str]]:
    """Deal emotions to utterances: the benchmark's to every speaker, then the rest by `_WEIGHTS`."""
    core = [emotion for emotion in BENCHMARK_EMOTIONS if emotion in emotions][:utterances_per_speaker]
    num_dealt = utterances_per_speaker - len(core)
    weights = np.array([_WEIGHTS.get(emotion, 1) for emotion in emotions])
    shares = num_speakers * num_dealt * weights / weights.sum()
    counts = np.floor(shares).astype(int)
    # Largest remainders, the earlier emotion first.
    counts[np.argsort(counts - shares, kind="stable")[: num_speakers * num_dealt - counts.sum()]] += 1
    deck = rng.permutation(np.repeat(emotions, counts)).reshape(num_speakers, num_dealt)
    return [rng.permutation(core + hand.tolist()).tolist() for hand in deck]
