"""Sound, damaged and hostile archives."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from lssed_hf import unpack
from lssed_hf.unpack import ArchiveError, extract_archive


GOOD = {"a/one.wav": b"1" * 1000, "a/b/two.wav": b"2" * 10, "three.csv": b""}


def write_zip(path, members):
    """Write a .zip of members: names or `ZipInfo`s, and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def write_tar(path, members):
    """Write a .tar of members: names or `TarInfo`s, and contents."""
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_entry(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def tar_entry(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestExtractArchive:
    @pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.ZIP"])
    def test_good(self, tmp_path, name):
        write = write_zip if name.lower().endswith("zip") else write_tar
        archive = write(tmp_path / name, GOOD.items())
        folder = extract_archive(archive, tmp_path / "new" / "out")
        assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == GOOD
        assert names(tmp_path / "new") == ["out"]
        with pytest.raises(FileExistsError, match="out is there already"):
            extract_archive(archive, folder)

    def test_folders_and_dots(self, tmp_path):
        entries = [(tar_entry(".", tarfile.DIRTYPE), b""), (tar_entry("./a", tarfile.DIRTYPE), b""), ("./a/b", b"1")]
        folder = extract_archive(write_tar(tmp_path / "x.tar", entries), tmp_path / "out")
        assert (folder / "a" / "b").read_bytes() == b"1"
        entries = [(zip_entry("a/", stat.S_IFDIR | 0o755), b""), ("a/b", b"1")]
        assert (extract_archive(write_zip(tmp_path / "x.zip", entries), tmp_path / "o2") / "a" / "b").is_file()

    def test_no_permissions_are_taken_over(self, tmp_path):
        info = tarfile.TarInfo("x")
        info.mode = 0o4777
        folder = extract_archive(write_tar(tmp_path / "x.tar", [(info, b"1")]), tmp_path / "out")
        assert not (folder / "x").stat().st_mode & 0o7111

    def test_wanted(self, tmp_path):
        archive = write_zip(tmp_path / "x.zip", GOOD.items())
        folder = extract_archive(archive, tmp_path / "out", lambda name: name.endswith("one.wav"))
        assert [path.name for path in folder.rglob("*.*")] == ["one.wav"]

    @pytest.mark.parametrize("suffix", [".zip", ".tar"])
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("/etc/evil", "leads out"),
            ("../evil", "leads out"),
            ("a/../../evil", "leads out"),
            ("C:/evil", "leads out"),
            ("c:evil", "leads out"),
            ("..\\evil", "backslash"),
            ("a\\evil", "backslash"),
            ("good.wav", "would overwrite 'good.wav'"),
            ("./good.wav", "would overwrite 'good.wav'"),
            ("GOOD.wav", "would overwrite 'good.wav'"),
            ("good.wav/evil", "cannot be unpacked"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_hostile_names(self, tmp_path, suffix, name, message):
        write = write_zip if suffix == ".zip" else write_tar
        (tmp_path / "in").mkdir()
        archive = write(tmp_path / "in" / f"x{suffix}", [("good.wav", b"1"), (name, b"2")])
        with pytest.raises(ArchiveError) as error:
            extract_archive(archive, tmp_path / "new" / "out")
        assert str(archive) in str(error.value) and repr(name) in str(error.value) and message in str(error.value)
        assert names(tmp_path) == ["in", "new"] and names(tmp_path / "new") == []

    def test_names_of_one_letter_that_come_twice(self, tmp_path):
        archive = write_tar(tmp_path / "x.tar", [("x", b"1"), ("x", b"2")])
        with pytest.raises(ArchiveError, match="would overwrite 'x'"):
            extract_archive(archive, tmp_path / "out")

    def test_a_nul_in_a_name(self, tmp_path):
        archive = write_zip(tmp_path / "x.zip", [("good.wavXevil", b"1")])
        archive.write_bytes(archive.read_bytes().replace(b"good.wavXevil", b"good.wav\0evil"))
        with pytest.raises(ArchiveError, match="NUL"):
            extract_archive(archive, tmp_path / "out")

    @pytest.mark.parametrize(
        "entry",
        [
            tar_entry("link", tarfile.SYMTYPE, "../../etc/passwd"),
            tar_entry("link", tarfile.SYMTYPE, "/etc"),
            tar_entry("link", tarfile.SYMTYPE, "good.wav"),
            tar_entry("link", tarfile.LNKTYPE, "../evil"),
            tar_entry("link", tarfile.CHRTYPE),
            tar_entry("link", tarfile.BLKTYPE),
            tar_entry("link", tarfile.FIFOTYPE),
            zip_entry("link", stat.S_IFLNK | 0o777),
            zip_entry("link", stat.S_IFCHR | 0o666),
        ],
    )
    def test_links_and_devices(self, tmp_path, entry):
        is_zip = isinstance(entry, zipfile.ZipInfo)
        write = write_zip if is_zip else write_tar
        archive = write(tmp_path / f"x{'.zip' if is_zip else '.tar'}", [("good.wav", b"1"), (entry, b"")])
        with pytest.raises(ArchiveError, match=r"member 'link' is a link or a device"):
            extract_archive(archive, tmp_path / "out")
        assert names(tmp_path) == [archive.name]

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
    def test_bombs(self, tmp_path, monkeypatch, suffix):
        write = write_zip if suffix == ".zip" else write_tar
        archive = write(tmp_path / f"x{suffix}", [(f"{i}.wav", bytes(1_000_000)) for i in range(3)])
        monkeypatch.setattr(unpack, "HARMLESS", 2_500_000)
        with pytest.raises(ArchiveError, match=r"unpacks to more than 100 times its own size .*from member '2\.wav'"):
            extract_archive(archive, tmp_path / "out")
        monkeypatch.setattr(unpack, "HARMLESS", 3_000_000)
        monkeypatch.setattr(unpack.shutil, "disk_usage", lambda path: type("", (), {"free": 1_500_000}))
        with pytest.raises(ArchiveError, match=r"more than there is room for .*from member '1\.wav'"):
            extract_archive(archive, tmp_path / "out")
        assert names(tmp_path) == [archive.name]

    def test_more_bytes_than_declared_are_not_written(self, tmp_path):
        archive = write_zip(tmp_path / "x.zip", [("a.wav", bytes(100_000))])
        size = (100_000).to_bytes(4, "little")
        archive.write_bytes(archive.read_bytes().replace(size, (10).to_bytes(4, "little")))
        with pytest.raises(ArchiveError, match=r"'a\.wav' cannot be unpacked: .*CRC"):
            extract_archive(archive, tmp_path / "out")

    @pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
    @pytest.mark.parametrize("part", [0.0, 0.5, 0.97])
    def test_truncated(self, tmp_path, name, part):
        write = write_zip if name.endswith("zip") else write_tar
        archive = write(tmp_path / name, [("a.wav", os.urandom(50_000)), ("b.wav", os.urandom(50_000))])
        whole = archive.read_bytes()
        archive.write_bytes(whole[: int(part * 100_000)])
        with pytest.raises(ArchiveError, match=name):
            extract_archive(archive, tmp_path / "out")
        assert names(tmp_path) == [name]

    def test_a_wrong_checksum_at_the_end_of_a_tar(self, tmp_path):
        noise = os.urandom(50_000)  # which gzip stores as it is
        archive = write_tar(tmp_path / "x.tar.gz", [("a.wav", noise), ("b.wav", b"1")])
        raw = archive.read_bytes()
        assert noise[20_000:20_100] in raw
        archive.write_bytes(raw.replace(noise[20_000:20_100], bytes(100)))
        with pytest.raises(ArchiveError, match=r"x\.tar\.gz is damaged or incomplete: CRC"):
            extract_archive(archive, tmp_path / "out")
        assert names(tmp_path) == ["x.tar.gz"]

    def test_a_member_before_the_beginning(self, tmp_path):
        path = write_zip(tmp_path / "x.zip", GOOD.items())
        content = bytearray(path.read_bytes())
        place = content.rindex(b"PK\5\6") + 16  # where the directory begins
        begin = int.from_bytes(content[place : place + 4], "little")
        content[place : place + 4] = (begin + 5).to_bytes(4, "little")
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match=r"x\.zip"):
            extract_archive(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_wrong_checksum_names_the_member(self, tmp_path):
        archive = tmp_path / "x.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.wav", b"good" * 100)
            file.writestr("b.wav", b"evil" * 100)
        archive.write_bytes(archive.read_bytes().replace(b"evilevil", b"evilEVIL", 1))
        with pytest.raises(ArchiveError, match=r"member 'b\.wav' cannot be unpacked: Bad CRC-32"):
            extract_archive(archive, tmp_path / "out")
        assert names(tmp_path) == ["x.zip"]

    def test_encrypted(self, tmp_path):
        archive = write_zip(tmp_path / "x.zip", [("a.wav", b"1")])
        raw = bytearray(archive.read_bytes())
        for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            raw[raw.index(header) + flags] |= 1
        archive.write_bytes(raw)
        with pytest.raises(ArchiveError, match=r"'a\.wav' cannot be unpacked: .*password"):
            extract_archive(archive, tmp_path / "out")

    def test_an_interruption_leaves_nothing(self, tmp_path, monkeypatch):
        archive = write_zip(tmp_path / "x.zip", GOOD.items())
        copies = []

        def interrupted(source, target, size):
            if copies:
                raise KeyboardInterrupt
            copies.append(target.write(source.read()))

        monkeypatch.setattr(unpack.shutil, "copyfileobj", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract_archive(archive, tmp_path / "out")
        assert copies and names(tmp_path) == ["x.zip"]

    def test_another_format(self, tmp_path):
        (tmp_path / "x.rar").write_bytes(b"Rar!")
        with pytest.raises(ArchiveError, match=r"x\.rar is neither \.zip nor \.tar"):
            extract_archive(tmp_path / "x.rar", tmp_path / "out")
