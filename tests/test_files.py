import pytest

from lssed_hf.files import replacing


def test_a_block_that_succeeds_replaces_the_file_and_makes_the_folder(tmp_path):
    target = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(target) as path:
            path.write_text(text, encoding="utf-8")
        assert target.read_text(encoding="utf-8") == text
    assert list(target.parent.iterdir()) == [target]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), replacing(target) as path:
        path.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]
