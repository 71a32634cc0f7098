"""Own recordings: `metadata.csv` with segments of one recording per speaker, and clips in folders by speaker."""

from pathlib import Path

from .common import Cast, claim, format_table, write_audio, write_files, write_recording


_COLUMNS = ("path", "emotion", "speaker", "gender", "age", "start", "end", "transcript")
_IN_RECORDING = ("neutral", "angry", "happy", "sad")
_AS_CLIPS = ("neutral", "angry", "happy", "sad", "surprised")


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    claim(output_dir, "folder")
    cast = Cast(num_speakers, seed)
    rows = []
    for number, speaker in enumerate(cast.speakers, 1):
        name = f"speaker{number:02d}"
        who = (name, speaker.gender, speaker.age)
        recording = f"recordings/{name}.wav"
        spoken = [cast.say(speaker, emotion) for emotion in _IN_RECORDING]
        for said, (start, end) in zip(spoken, write_recording(output_dir / recording, spoken)):
            rows.append((recording, said.emotion, *who, f"{start:.3f}", f"{end:.3f}", said.text))
        for emotion in _AS_CLIPS:
            said = cast.say(speaker, emotion)
            clip = f"clips/{name}/{emotion}.flac"
            write_audio(output_dir / clip, said.samples)
            rows.append((clip, emotion, *who, None, None, said.text))
    write_files(output_dir, {"metadata.csv": format_table(_COLUMNS, rows)})
