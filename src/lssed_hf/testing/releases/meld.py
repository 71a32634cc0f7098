"""MELD: three CSV files, and folders of videos with 48 kHz stereo sound. Guests' names and all words are invented."""

import csv
from pathlib import Path

from ...corpora.meld import EMOTION_NAMES, MAIN_CHARACTERS, MEDIA_FOLDERS
from ..voices import Speaker
from .common import SAMPLING_RATE, Cast, claim, write_video


_COLUMNS = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"]
_COLUMNS += ["Season", "Episode", "StartTime", "EndTime"]
_GUESTS = {"Agnes": "female", "Bernard": "male", "Cordelia": "female", "The Postman": "male"}
_DIALOGUES = {"train": 4, "dev": 2, "test": 2}  # of seven utterances, one of each emotion
_POSITIVE = ("joy", "surprise")


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    genders = {**MAIN_CHARACTERS, **_GUESTS}
    if num_speakers > len(genders):
        raise ValueError(f"this layout has {len(genders)} names, got num_speakers={num_speakers}")
    claim(output_dir, "meld")
    cast = Cast(2 * num_speakers, seed)
    voices = {gender: iter(cast.of(gender)) for gender in ("female", "male")}
    speakers = [(name, next(voices[genders[name]])) for name in list(genders)[:num_speakers]]
    for part in MEDIA_FOLDERS:
        rows = _write_part(output_dir, part, cast, speakers)
        with (output_dir / f"{part}_sent_emo.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, *rows])
    # The release also has a file of macOS, and a clip that no line names.
    (output_dir / MEDIA_FOLDERS["train"] / "._dia0_utt0.mp4").write_bytes(b"\0\5\26\7")
    spoken = cast.say(speakers[0][1], "neutral")
    write_video(output_dir / MEDIA_FOLDERS["test"] / "final_videos_testdia0_utt0.mp4", spoken.samples)


def _write_part(output_dir: Path, part: str, cast: Cast, speakers: list[tuple[str, Speaker]]) -> list[list]:
    """Write the videos of a part, and return the rows of its table."""
    rows: list[list] = []
    for dialogue in range(_DIALOGUES[part]):
        now = 60.0 * (dialogue + 1)  # seconds into the episode
        for number, (label, emotion) in enumerate(EMOTION_NAMES.items()):
            name, speaker = speakers[len(rows) % len(speakers)]
            spoken = cast.say(speaker, emotion)
            write_video(output_dir / MEDIA_FOLDERS[part] / f"dia{dialogue}_utt{number}.mp4", spoken.samples)
            sentiment = "neutral" if label == "neutral" else "positive" if label in _POSITIVE else "negative"
            end = now + len(spoken.samples) / SAMPLING_RATE
            times = [_time(now), _time(end)]
            rows.append([len(rows) + 1, spoken.text, name, label, sentiment, dialogue, number, 1, 1, *times])
            now = end + 1
    return rows


def _time(seconds: float) -> str:
    """Format a time as in subtitles: 00:16:16,059."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"
