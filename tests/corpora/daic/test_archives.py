"""Search for sessions, and unpacking of their archives: whole or not at all, and nothing outside."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from interviews import HEADER, Release

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.daic import archives as daic_archives
from lssed_hf.corpora.daic.archives import find_sessions, locate_session, unpack_session
from lssed_hf.unpack import ArchiveError


FILES = {"300_AUDIO.wav": b"RIFF", "300_TRANSCRIPT.csv": f"{HEADER}\n".encode()}
EXTRA = {
    "300_COVAREP.csv": b"0,0\n",
    "._300_AUDIO.wav": b"\0",
    "__MACOSX/._300_AUDIO.wav": b"\0",
    "__MACOSX/300_AUDIO.wav": b"\0",
    ".~lock.300_TRANSCRIPT.csv#": b",",
    "301_AUDIO.wav": b"another's",
}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return (tmp_path / "data").resolve()


@pytest.fixture
def cache(tmp_path) -> Path:
    return (tmp_path / "cache").resolve()


def locate(data, cache, participant=300):
    return locate_session(participant, find_sessions(data)[participant], data, cache)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestFind:
    @pytest.mark.parametrize("place", ["", "300_P", "DAIC-WOZ/300_P", "DAIC-WOZ/data/300_P", "300_P/300_P", "sounds"])
    def test_where_a_session_may_be(self, data, cache, place):
        for name, content in {**FILES, **EXTRA}.items():
            (data / place / name).parent.mkdir(parents=True, exist_ok=True)
            (data / place / name).write_bytes(content)
        assert locate(data, cache) == (data / place / "300_AUDIO.wav", data / place / "300_TRANSCRIPT.csv")
        assert not cache.exists()

    def test_recordings_and_transcripts_in_folders_of_their_own(self, data, cache):
        for folder, (name, content) in zip(("audio", "text"), FILES.items()):
            (data / folder).mkdir()
            (data / folder / name.lower()).write_bytes(content)
        assert locate(data, cache) == (data / "audio" / "300_audio.wav", data / "text" / "300_transcript.csv")

    def test_too_deep_and_other_names(self, data):
        for name in ("a/b/c/d/300_AUDIO.wav", "300_AUDIO.mp3", "x300_AUDIO.wav", "30_AUDIO.wav", "300_P.rar"):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).touch()
        assert find_sessions(data) == {}

    def test_a_folder_alone_is_a_session_that_lacks_everything(self, data, cache):
        (data / "300_P").mkdir()
        assert locate(data, cache) == (None, None)

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_two_of_a_kind(self, data, cache, name):
        Release(data)
        (data / name).write_bytes(b"RIFF")
        with pytest.raises(
            CorpusDataError, match=f"{name} and .*{name} are of the same participant; keep one of them"
        ):
            locate(data, cache)

    def test_a_broken_unpacking_by_hand_beside_the_archive(self, data, cache):
        write_zip(data / "300_P.zip", FILES)
        (data / "300_P").mkdir()
        (data / "300_P" / "300_TRANSCRIPT.csv").touch()
        assert locate(data, cache)[1].read_bytes() == FILES["300_TRANSCRIPT.csv"]


class TestLinks:
    def test_a_file_out(self, data, cache, tmp_path):
        (tmp_path / "secret.wav").touch()
        (data / "300_AUDIO.wav").symlink_to(tmp_path / "secret.wav")
        (data / "300_TRANSCRIPT.csv").touch()
        with pytest.raises(CorpusDataError, match=r"300_AUDIO\.wav is a link out of"):
            locate(data, cache)

    @pytest.mark.parametrize("kind", ["300_P", "300_P.zip"])
    def test_a_session_out(self, data, cache, tmp_path, kind):
        write_zip(tmp_path / "elsewhere" / "300_P.zip", FILES)
        (data / kind).symlink_to(tmp_path / "elsewhere" / ("" if kind == "300_P" else kind))
        with pytest.raises(CorpusDataError, match=rf"{kind} is a link out of"):
            locate(data, cache)

    def test_to_nothing_and_to_itself(self, data, cache):
        for name in FILES:
            (data / name).symlink_to(data / name)
        with pytest.raises(CorpusDataError, match="or to nothing"):
            locate(data, cache)

    def test_loops_and_links_inside(self, data, cache):
        Release(data)
        (data / "300_P" / "loop").symlink_to(data)
        (data / "all").mkdir()
        (data / "all" / "301_P").symlink_to(data / "301_P")
        assert locate(data, cache)[0] == data / "300_P" / "300_AUDIO.wav"
        with pytest.raises(CorpusDataError, match="of the same participant"):
            locate(data, cache, 301)


@pytest.mark.parametrize("write", [write_zip, write_tar])
class TestUnpack:
    def archive(self, data, write, files=FILES):
        return write(data / ("300_P.zip" if write is write_zip else "300_P.tar.gz"), files)

    @pytest.mark.parametrize("prefix", ["", "300_P/"])
    def test_only_what_is_read(self, data, cache, write, prefix):
        archive = self.archive(
            data, write, {f"{prefix}{name}": content for name, content in {**FILES, **EXTRA}.items()}
        )
        audio, transcript = locate(data, cache)
        assert names(cache / "300_P") == [f"{prefix}300_AUDIO.wav", f"{prefix}300_TRANSCRIPT.csv"]
        assert audio.read_bytes() == FILES["300_AUDIO.wav"] and transcript.parent == audio.parent
        before = audio.stat().st_mtime_ns
        assert locate(data, cache)[0].stat().st_mtime_ns == before  # not unpacked again
        assert names(data) == [archive.name]

    def test_a_new_version_of_the_archive_is_unpacked_again(self, data, cache, write):
        archive = self.archive(data, write)
        locate(data, cache)
        self.archive(data, write, {**FILES, "300_AUDIO.wav": b"other"})
        os.utime(archive, ns=(1, 1))
        assert locate(data, cache)[0].read_bytes() == b"other"

    @pytest.mark.parametrize("moment", ["before", "while", "after"])
    def test_killed_and_called_again(self, data, cache, write, monkeypatch, moment):
        archive = self.archive(data, write)
        whole = daic_archives.extract_archive

        def die(archive, folder, wanted):
            if moment == "while":
                half = folder.with_name(f".{folder.name}.1234")
                half.mkdir(parents=True)
                (half / "300_AUDIO.wav").write_bytes(b"RI")
            if moment == "after":
                whole(archive, folder, wanted)
            raise KeyboardInterrupt

        monkeypatch.setattr(daic_archives, "extract_archive", die)
        with pytest.raises(KeyboardInterrupt):
            unpack_session(archive, 300, cache)
        assert (cache / "300_P").exists() == (moment == "after")
        monkeypatch.undo()
        assert names(unpack_session(archive, 300, cache)) == sorted(FILES)
        assert not [path for path in cache.iterdir() if path.is_dir() and path.name != "300_P"]

    def test_a_folder_that_is_not_ours_stays(self, data, cache, write):
        archive = self.archive(data, write)
        (cache / "300_P").mkdir(parents=True)
        (cache / "300_P" / "mine.txt").touch()
        with pytest.raises(FileExistsError, match="300_P is there and did not come from"):
            unpack_session(archive, 300, cache)
        assert names(cache / "300_P") == ["mine.txt"]

    @pytest.mark.parametrize(
        "name",
        ["../300_AUDIO.wav", "/300_AUDIO.wav", "300_P/../../300_AUDIO.wav", "C:300_AUDIO.wav", "a\\300_AUDIO.wav"],
    )
    def test_names_that_lead_out(self, data, cache, write, name):
        self.archive(data, write, {**FILES, name: b"evil"})
        with pytest.raises(ArchiveError, match=r"300_P\.(zip|tar\.gz): member .*(leads out of the folder|backslash)"):
            locate(data, cache)
        assert not list(cache.parent.rglob("*AUDIO*"))

    def test_members_twice(self, data, cache, write):
        archive = self.archive(data, write, {**FILES, "./300_AUDIO.wav": b"x"} if write is write_tar else FILES)
        if write is write_zip:
            with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
                file.writestr("300_AUDIO.wav", b"x")
        with pytest.raises(ArchiveError, match="would overwrite"):
            locate(data, cache)

    def test_two_places_in_an_archive(self, data, cache, write):
        self.archive(data, write, {**FILES, **{f"copy/{name}": content for name, content in FILES.items()}})
        with pytest.raises(CorpusDataError, match="are of the same participant"):
            locate(data, cache)

    @pytest.mark.parametrize(
        "files",
        [
            {},
            {"readme.txt": b"hi"},
            {"300_AUDIO.wav": b"RIFF"},
            {"301_AUDIO.wav": b"RIFF", "301_TRANSCRIPT.csv": b""},
            {"300_P.zip": b"PK\5\6" + bytes(18)},
            {f"._{name}": content for name, content in FILES.items()},
        ],
        ids=["empty", "nothing of it", "no transcript", "another's", "nested", "macOS"],
    )
    def test_archives_that_lack_the_session(self, data, cache, write, files):
        self.archive(data, write, files)
        with pytest.raises(ArchiveError, match=r"300_P\.(zip|tar\.gz) holds no (recording|transcript) of 300"):
            locate(data, cache)

    @pytest.mark.parametrize(
        "damage", [lambda content: content[:-40], lambda content: b"", lambda content: b"x" * 400]
    )
    def test_damaged(self, data, cache, write, damage):
        archive = self.archive(data, write, {**FILES, "300_AUDIO.wav": os.urandom(5000)})
        archive.write_bytes(damage(archive.read_bytes()))
        with pytest.raises(ArchiveError, match=r"300_P\.(zip|tar\.gz)"):
            locate(data, cache)
        assert not (cache / "300_P").exists()


def test_several_archives(data, cache):
    write_zip(data / "300_P.zip", FILES)
    write_tar(data / "data" / "300_P.tar.gz", FILES)
    with pytest.raises(CorpusDataError, match=r"300_P\.(zip|tar\.gz): keep one of them"):
        locate(data, cache)


def test_a_link_in_an_archive(data, cache):
    with tarfile.open(data / "300_P.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("300_AUDIO.wav")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ArchiveError, match="is a link or a device"):
        locate(data, cache)
