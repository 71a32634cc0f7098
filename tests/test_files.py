import errno
import os
import socket
import sys
import threading

import pytest

from lssed_hf.files import check_writable, read_json, replacing, write_json, write_together


posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and permissions of POSIX")


def test_a_block_that_succeeds_replaces_the_file_and_makes_the_folder(tmp_path):
    target = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(target) as path:
            path.write_text(text, encoding="utf-8")
        assert target.read_text(encoding="utf-8") == text
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failing", ["one", "two", "three"])
def test_files_that_belong_together_are_written_all_or_none(failing, tmp_path):
    def write(path):
        path.write_text("new", encoding="utf-8")

    def fail(path):
        path.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "two").write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="No space left") as caught:
        write_together(tmp_path, {name: fail if name == failing else write for name in ("one", "two", "three")})
    assert caught.value.filename == str(tmp_path / failing)
    assert [path.name for path in tmp_path.iterdir()] == ["two"] and (tmp_path / "two").read_text() == "old"
    write_together(tmp_path / "new", dict.fromkeys(("one", "two", "three"), write))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"one", "two", "three"}


def test_errors_name_the_file_and_not_the_one_that_takes_its_place(tmp_path):
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path / "outer") as outer, replacing(outer) as inner:
        inner.unlink()
        inner.mkdir()
        try:
            inner.write_bytes(b"")
        finally:
            inner.rmdir()
    assert caught.value.filename == str(tmp_path / "outer") and list(tmp_path.iterdir()) == []


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), replacing(target) as path:
        path.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


@posix
def test_a_link_keeps_leading_to_its_file_and_a_file_keeps_its_permissions(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o600)
    link.symlink_to(target)
    with replacing(link) as path:
        path.write_text("new", encoding="utf-8")
    assert link.is_symlink() and target.read_text(encoding="utf-8") == "new"
    assert target.stat().st_mode & 0o777 == 0o600


@posix
def test_a_link_that_someone_laid_at_the_name_of_the_new_file_is_not_followed(tmp_path, monkeypatch):
    target, victim = tmp_path / "file.txt", tmp_path / "victim.txt"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / f".file.txt.{socket.gethostname()}.{os.getpid()}").symlink_to(victim)  # a name that can be guessed
    old = os.umask(0o027)
    try:
        with replacing(target) as path:
            path.write_text("new", encoding="utf-8")
        with replacing(target) as one, replacing(target) as other:
            assert one != other and not {one, other} & {path}
    finally:
        os.umask(old)
    assert victim.read_text(encoding="utf-8") == "precious" and target.stat().st_mode & 0o777 == 0o640

    (tmp_path / ".file.txt.known").symlink_to(victim)
    monkeypatch.setattr("lssed_hf.files.secrets.token_hex", lambda _: "known")
    with pytest.raises(FileExistsError), replacing(target):
        pass
    assert victim.read_text(encoding="utf-8") == "precious"


@posix
def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    with replacing(pipe) as path:
        path.write_text("through", encoding="utf-8")
    reader.join()
    assert heard == ["through"] and pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "is empty"),
        ("folder", IsADirectoryError, "folder is a folder"),
        ("file/below.csv", NotADirectoryError, "is a file and no folder"),
    ],
)
def test_what_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, name, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        check_writable(name)
    check_writable("new/deep/file.csv")
    assert not (tmp_path / "new").exists()


def test_json_comes_back(tmp_path):
    path, value = tmp_path / "new" / "file.json", {"wütend": [1, 0.5, None]}
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_text(encoding="utf-8") == '{\n  "wütend": [\n    1,\n    0.5,\n    null\n  ]\n}\n'


def test_nan_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")}, allow_nan=False)
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "file.json cannot be read"), (b"\xff", "cannot be read"), (b"[]", "holds list, not")],
)
def test_other_files_than_json_objects_are_refused(tmp_path, content, message):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json(path)
