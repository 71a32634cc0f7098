"""One's own recordings: `metadata.csv` with parts of a recording per speaker, and clips in folders by speaker."""

import csv
from pathlib import Path

from .cast import Cast, write_audio, write_recording


_COLUMNS = ("path", "emotion", "speaker", "gender", "age", "start", "end", "transcript")
_IN_RECORDING = ("neutral", "angry", "happy", "sad")
_AS_CLIPS = ("neutral", "angry", "happy", "sad", "surprised")


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    cast = Cast(num_speakers, seed)
    rows = []
    for number, speaker in enumerate(cast.speakers, 1):
        name = f"speaker{number:02d}"
        who = {"speaker": name, "gender": speaker.gender, "age": speaker.age}
        recording = f"recordings/{name}.wav"
        spoken = [cast.say(speaker, emotion) for emotion in _IN_RECORDING]
        for said, (start, end) in zip(spoken, write_recording(output_dir / recording, spoken)):
            times = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
            rows.append({"path": recording, "emotion": said.emotion, **who, **times, "transcript": said.text})
        for emotion in _AS_CLIPS:
            said = cast.say(speaker, emotion)
            clip = f"clips/{name}/{emotion}.flac"
            write_audio(output_dir / clip, said.samples)
            rows.append({"path": clip, "emotion": emotion, **who, "transcript": said.text})
    with (output_dir / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
