"""Search for recordings in folders and by patterns."""

import os

import pytest

from lssed_hf.scan import AUDIO_SUFFIXES, expand_paths, find_audio_files, scan_folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


class TestScanFolder:
    def test_recordings_of_phones_and_browsers(self, tmp_path):
        names = ["browser.webm", "opus.oga", "pcm16.wav", "phone.m4a", "voice.3gp"]
        touch(tmp_path, *names)
        scan = scan_folder(tmp_path)
        assert [path.name for path in scan.files] == names and not scan.skipped
        assert scan.describe() == f"{tmp_path}: 5 recordings"

    def test_what_is_skipped_is_counted_by_reason(self, tmp_path):
        touch(tmp_path, "a.wav", "b/c.MP4", "notes.txt", "b/more.TXT", "README", ".DS_Store", ".git/config", "x.csv")
        (tmp_path / "other").symlink_to(tmp_path / "b", target_is_directory=True)
        scan = scan_folder(tmp_path)
        assert [path.name for path in scan.files] == ["a.wav", "c.MP4"]
        assert scan.skipped == {".txt": 2, "no suffix": 1, "hidden": 2, ".csv": 1, "link to a folder": 1}
        assert scan.describe() == (
            f"{tmp_path}: 2 recordings; skipped 7 files (2 .txt, 2 hidden, 1 .csv, 1 link to a folder, 1 no suffix)"
        )

    def test_one_of_each(self, tmp_path):
        touch(tmp_path, "a.wav", "b.txt")
        assert scan_folder(tmp_path).describe() == f"{tmp_path}: 1 recording; skipped 1 file (1 .txt)"

    def test_an_empty_folder(self, tmp_path):
        assert scan_folder(tmp_path).describe() == f"{tmp_path}: 0 recordings"

    def test_chosen_suffixes(self, tmp_path):
        touch(tmp_path, "a.wav", "b.mp4")
        assert scan_folder(tmp_path, AUDIO_SUFFIXES).skipped == {".mp4": 1}

    def test_a_folder_that_may_not_be_read(self, tmp_path, monkeypatch):
        touch(tmp_path, "a.wav", "locked/b.wav")
        scandir = os.scandir

        def refuse(path):
            if os.fspath(path).endswith("locked"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        assert scan_folder(tmp_path).skipped == {"unreadable folder": 1}

    def test_a_name_that_is_not_utf_8(self, tmp_path):
        folder = tmp_path / os.fsdecode(b"caf\xe9")
        touch(folder, "a.wav")
        assert scan_folder(folder).describe().encode("utf-8").endswith(b"caf\\udce9: 1 recording")


class TestFindAudioFiles:
    def test_finds_all_formats_at_all_depths_sorted(self, tmp_path):
        names = ["b/deep/2.FLAC", "a.wav", "b/1.mp3", "c.ogg"]
        for name in [*names, "notes.txt", "b/labels.csv", "d.png", "wav"]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert find_audio_files(tmp_path) == sorted(tmp_path / name for name in names)
        assert find_audio_files(str(tmp_path)) == find_audio_files(tmp_path)

    def test_leaves_out_hidden_files_and_folders(self, tmp_path):
        for name in ["a.wav", "._a.wav", ".trash/b.wav", "sub/.cache/c.wav"]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert find_audio_files(tmp_path) == [tmp_path / "a.wav"]

    def test_a_hidden_folder_that_was_asked_for(self, tmp_path):
        folder = tmp_path / ".data"
        folder.mkdir()
        (folder / "a.wav").touch()
        assert find_audio_files(folder) == [folder / "a.wav"]

    def test_leaves_out_folders_named_like_files(self, tmp_path):
        (tmp_path / "folder.wav").mkdir()
        (tmp_path / "folder.wav" / "a.wav").touch()
        assert find_audio_files(tmp_path) == [tmp_path / "folder.wav" / "a.wav"]

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no audio file below .*\.wav, \.flac"):
            find_audio_files(tmp_path)
        with pytest.raises(FileNotFoundError, match="gone is not a folder"):
            find_audio_files(tmp_path / "gone")

    def test_a_link_to_a_folder_is_reported(self, tmp_path, caplog):
        touch(tmp_path, "a/a.wav", "a/notes.txt")
        find_audio_files(tmp_path)
        assert not caplog.records
        (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
        find_audio_files(tmp_path)
        assert "1 link to a folder" in caplog.text


class TestExpandPaths:
    def test_files_folders_and_patterns(self, tmp_path):
        touch(tmp_path, "one.wav", "rec/b.m4a", "rec/a.wav", "rec/deep/c.wav", "rec/deep/d.txt")
        one, rec = tmp_path / "one.wav", tmp_path / "rec"
        assert expand_paths([one, rec]) == [one, rec / "a.wav", rec / "b.m4a", rec / "deep" / "c.wav"]
        assert expand_paths([rec / "*.wav"]) == [rec / "a.wav"]
        assert expand_paths([f"{rec}/**/*.wav"]) == [rec / "a.wav", rec / "deep" / "c.wav"]
        assert expand_paths([rec / "?.*", str(one)]) == [rec / "a.wav", rec / "b.m4a", one]
        assert expand_paths([tmp_path / "r*"]) == expand_paths([rec])  # a folder that matches is searched

    def test_a_path_given_twice_counts_once(self, tmp_path):
        touch(tmp_path, "rec/a.wav", "rec/b.wav")
        rec = tmp_path / "rec"
        assert expand_paths([rec / "b.wav", rec, rec / "*.wav"]) == [rec / "b.wav", rec / "a.wav"]

    def test_a_path_that_exists_is_no_pattern(self, tmp_path):
        touch(tmp_path, "take[1].wav", "take1.wav", "rec[2]/a.wav")
        assert expand_paths([tmp_path / "take[1].wav"]) == [tmp_path / "take[1].wav"]
        assert expand_paths([tmp_path / "rec[2]"]) == [tmp_path / "rec[2]" / "a.wav"]

    def test_nothing_matches(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file matches .*nope\*\.wav; correct the pattern"):
            expand_paths([tmp_path / "nope*.wav"])

    def test_a_file_that_is_not_there_is_left_to_the_reader(self, tmp_path):
        assert expand_paths([tmp_path / "gone.wav"]) == [tmp_path / "gone.wav"]

    def test_skipped_files_are_reported_once_a_folder(self, tmp_path, caplog):
        touch(tmp_path, "a/a.wav", "b/b.wav", "b/notes.txt", "b/.hidden")
        expand_paths([tmp_path / "a", tmp_path / "b"])
        assert [record.message for record in caplog.records] == [
            f"{tmp_path / 'b'}: 1 recording; skipped 2 files (1 .txt, 1 hidden)"
        ]

    def test_a_folder_without_recordings_says_what_it_holds(self, tmp_path):
        touch(tmp_path, "a.txt", "b.txt")
        with pytest.raises(FileNotFoundError, match=r"no audio file below .* \(skipped 2 files \(2 \.txt\)\); looked"):
            expand_paths([tmp_path])
