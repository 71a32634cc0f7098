"""CMU-MOSEI: `Raw/` with a recording, a transcript and three raters' answers for each video, and the authors' folds.

Each video has a segment of each emotion, a neutral one, and one on which the raters are divided. The last video has no
sound, as some in the release.
"""

from pathlib import Path

from ...corpora.cmu_mosei import EMOTION_NAMES, FOLDS
from .common import Cast, claim, format_table, write_files, write_recording, write_text


_FOLDS = ("train", "valid", "test")
_NUM_RATERS = 3


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    claim(output_dir, "cmu_mosei")
    cast = Cast(num_speakers, seed)
    raw = output_dir / "Raw"
    emotions = [*EMOTION_NAMES.values(), "neutral", "divided"]
    rows, folds = [], {fold: [] for fold in _FOLDS}
    for index in range(num_speakers + 1):
        video, silent = f"video_{index:03}x", index == num_speakers
        folds[_FOLDS[index % len(_FOLDS)]].append(video)
        lines = []
        if not silent:
            speaker = cast.speakers[index]
            spoken = [cast.say(speaker, "neutral" if emotion == "divided" else emotion) for emotion in emotions]
            times = write_recording(raw / "Audio" / "Full" / "WAV_16000" / f"{video}.wav", spoken)
            for clip, ((start, end), utterance) in enumerate(zip(times, spoken)):
                lines.append(f"{video}___{clip}___{start:.4f}___{end:.4f}___{utterance.text}\n")
        write_text(raw / "Transcript" / "Segmented" / "Combined" / f"{video}.txt", "".join(lines))
        for clip, emotion in enumerate(emotions):
            heard = ("happy", "sad") if emotion == "divided" else (emotion,)
            # All raters hear the emotion, and one of them is a little surprised.
            answers = [[2 * (name in heard) for name in EMOTION_NAMES.values()] for _ in range(_NUM_RATERS)]
            if emotion not in ("neutral", "divided"):
                answers[0][-1] = max(answers[0][-1], 1)
            rows += [[video, clip, *answer, f"rater{rater}"] for rater, answer in enumerate(answers)]
    header = ["Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{name}" for name in EMOTION_NAMES), "WorkerId"]
    write_files(raw / "Labels", {"Batch_batch_results.csv": format_table(header, rows)})
    write_text(output_dir / FOLDS, "".join(f"standard_{fold}_fold = {videos!r}\n" for fold, videos in folds.items()))
