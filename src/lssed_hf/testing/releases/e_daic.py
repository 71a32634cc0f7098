"""E-DAIC: `labels/`, and `data/600_P` or `data/300_P.tar.gz`. No voice, score or label is a person's."""

import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ...audio import encode_audio
from .common import SAMPLING_RATE, claim, format_table, resample, write_files
from .interviews import Person, make_people, speak_interview


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    write_synthetic_e_daic(output_dir, num_participants=num_speakers, seed=seed)


def write_synthetic_e_daic(folder: str | os.PathLike, *, num_participants: int = 6, seed: int = 0) -> Path:
    """Write interviews in E-DAIC's layout: `labels/`, and `data/` with archives and folders of sessions.

    Every transcript is without speakers and has no row of the interviewer. One recording is at 48 kHz, and one binary
    label disagrees with its score.

    Args:
        folder: New or empty folder, or an earlier release of ours, which is replaced.
        num_participants: Number of participants, up to 150.
        seed: Seed of everything random. The same seed writes the same bytes.

    Returns:
        `folder` as a path.

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: The number of participants is out of its range.
        FileExistsError: The folder holds something that is not ours.
    """
    folder = Path(folder)
    if not 1 <= num_participants <= 150:
        raise ValueError(f"num_participants must be between 1 and 150, got {num_participants}")
    numbers = [(300 if index % 2 else 600) + index // 2 for index in range(num_participants)]
    people = make_people(numbers, seed)
    claim(folder, "e_daic", replaces=("data", "labels"))
    for index, person in enumerate(people):
        files = _session(person, seed, 48000 if index == 2 else SAMPLING_RATE)
        if index % 2:
            _write_tar(folder / "data" / f"{person.number}_P.tar.gz", files)
        else:
            write_files(folder / "data", files)
    header = ("Participant_ID", "Gender", "PHQ_Binary", "PHQ_Score", "PCL-C (PTSD)", "PTSD Severity")
    for part in ("train", "dev", "test"):
        rows = []
        for person in people:
            binary = int(person.depressed != (person is people[0]))
            if person.part == part:
                rows.append((person.number, person.voice.gender, binary, person.score, 0, 17))
        write_files(folder / "labels", {f"{part}_split.csv": format_table(header, rows)})
    return folder


def _session(person: Person, seed: int, sampling_rate: int) -> dict[str, bytes]:
    """Return the files of a participant."""
    interview, name = speak_interview(person, seed), f"{person.number}_P/{person.number}"
    header = ("Start_Time", "End_Time", "Text", "Confidence")
    rows = [
        (f"{start:.1f}", f"{stop:.1f}", text.lower(), "0.9")
        for start, stop, speaker, text in interview.rows
        if speaker == "Participant"
    ]
    return {
        f"{name}_AUDIO.wav": encode_audio(resample(interview.samples, sampling_rate), sampling_rate, "wav"),
        f"{name}_Transcript.csv": format_table(header, rows),
        f"{person.number}_P/features/{person.number}_OpenSMILE2.3.0_mfcc.csv": b"name;frameTime\n",
    }


def _write_tar(path: Path, files: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
