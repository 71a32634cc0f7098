from pathlib import Path

import pytest

from lssed_hf.labels import EMOTIONS


@pytest.fixture
def raw(tmp_path, write_clip):
    """Write a release in LSSED's layout: `speakers` x 6 clips, the emotions in turn, and `extra` lines at the end."""

    def raw(speakers: int = 10, extra: tuple[str, ...] = (), seconds: float = 0.02) -> Path:
        folder = tmp_path / "raw"
        names = [f"E{1 + number // 6:04d}_{number:04d}" for number in range(6 * speakers)]
        for number, name in enumerate(names):
            write_clip(folder / "wav_all" / f"{name}.wav", seconds=seconds, frequency=200 + number)
        lines = [f"{name},{EMOTIONS[number % 11]}" for number, name in enumerate(names)]
        (folder / "metadata.csv").write_text("\n".join(["name,emotion", *lines, *extra]), encoding="utf-8")
        return folder

    return raw
