"""Uploads of prepared corpora: open licences alone, and no file of the corpus's owner."""

import hashlib
import json

import pytest
from test_push import Hub

from lssed_hf import cli
from lssed_hf.hub import push
from lssed_hf.preparation.prepare import prepare
from lssed_hf.testing.releases.common import claim


@pytest.fixture
def prepared(tmp_path, write_clip):
    """Return a function that prepares a corpus whose files have these names."""

    def make(corpus, *names):
        for number, name in enumerate(names):
            write_clip(tmp_path / "raw" / name, seconds=0.1, frequency=200 + number)
        prepare(corpus, tmp_path / "raw", tmp_path / "out", split_schemes=["speaker"], num_proc=1)
        return tmp_path / "out"

    return make


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr(push, "HfApi", lambda: hub)
    return hub


def subesco(prepared):
    genders = [("F" if speaker % 2 else "M", speaker) for speaker in range(1, 7)]
    return prepared("subesco", *(f"{letter}_{n:02}_NAME_S_1_ANGRY_1.wav" for letter, n in genders))


def test_a_corpus_of_an_open_licence_goes_to_a_dataset_repository(prepared, hub, capsys):
    folder = subesco(prepared)
    (folder / "token").write_text("secret")
    assert cli.main(["push", str(folder), "me/subesco"]) == 0
    assert not hub.calls and "With --yes these files go to me/subesco" in capsys.readouterr().out
    assert cli.main(["push", str(folder), "me/subesco", "--yes"]) == 0
    assert {call[-1]["repo_type"] for call in hub.calls} == {"dataset"}
    shards = [f"data/{path.name}" for path in (folder / "data").iterdir()]
    assert shards and hub.uploaded == sorted(["README.md", "manifest.json", *shards])


def test_synthetic_speech_in_the_layout_of_a_closed_corpus_is_no_copy_of_it(prepared, hub, tmp_path):
    claim(tmp_path / "raw", "emodb", beside_others=True)
    folder = prepared("emodb", *(f"{speaker:02}a01Wa.wav" for speaker in (3, 8, 9, 10, 11, 12)))
    assert cli.main(["push", str(folder), "me/synthetic", "--yes"]) == 0


@pytest.mark.parametrize(
    ("corpus", "names", "reason"),
    [
        ("emodb", [f"{speaker:02}a01Wa.wav" for speaker in (3, 8, 9, 10, 11, 12)], "free for research"),
        ("tess", ["OAF_back_angry.wav", "YAF_back_sad.wav", "OAF_bite_sad.wav"], "CC BY-NC-ND 4.0"),
    ],
)
def test_other_licences_need_a_word(prepared, hub, capsys, corpus, names, reason):
    folder = prepared(corpus, *names)
    assert cli.main(["push", str(folder), "me/copy", "--yes"]) == 1
    error = capsys.readouterr().err
    assert not hub.calls and reason in error and "--data_license_allows_sharing" in error
    assert cli.main(["push", str(folder), "me/copy", "--yes", "--data_license_allows_sharing"]) == 0
    assert hub.calls


def test_damaged_shards_are_refused(prepared, hub, capsys):
    folder = subesco(prepared)
    shard = next((folder / "data").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    assert cli.main(["push", str(folder), "me/subesco", "--yes"]) == 1
    assert not hub.calls and f"data/{shard.name}" in capsys.readouterr().err


def rewrite(folder, **changes):
    """Change the manifest, or its first shard by `shard`."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0] |= changes.pop("shard", {})
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


DAMAGE = {
    "a secret": {"shard": {"path": ".env", "sha256": hashlib.sha256(b"TOKEN=1").hexdigest()}},
    "a place outside": {"shard": {"path": "../raw/F_01.wav"}},
    "an absolute path": {"shard": {"path": "/etc/passwd"}},
    "no text for a path": {"shard": {"path": 5}},
    "no checksum": {"shard": {"sha256": None}},
    "endless positions": {"shard": {"positions": "0-9999999999999"}},
    "positions that take each other away": {"shard": {"positions": "0-999999999 999999999-0"}},
    "words for positions": {"shard": {"positions": "a-b"}},
    "no splits": {"shard": {"splits": {}}},
    "no shards": {"shards": []},
    "numbers for shards": {"shards": 3},
    "words for shards": {"shards": ["a"]},
    "no split schemes": {"split_schemes": []},
    "a list of utterances left out": {"left_out": [1]},
    "no counts": {"counts": {}},
    "an unknown corpus": {"corpus": "nobody"},
}


@pytest.mark.parametrize("changes", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_manifest_is_refused_by_name(prepared, hub, capsys, changes):
    folder = rewrite(subesco(prepared), **changes)
    (folder / ".env").write_text("TOKEN=1")
    for command in (["push", str(folder), "me/subesco", "--yes"], ["stats", str(folder)]):
        assert cli.main(command) == 1
        error = capsys.readouterr().err
        assert "manifest.json" in error and "Traceback" not in error
    assert not hub.calls


@pytest.mark.parametrize("pattern", ["data/*", "README.md", "manifest.json"])
def test_a_link_out_of_the_folder_is_refused(prepared, hub, capsys, tmp_path, pattern):
    folder = subesco(prepared)
    path = next(folder.glob(pattern))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cli.main(["push", str(folder), "me/subesco", "--yes"]) == 1
    assert "is a link out of the folder" in capsys.readouterr().err and not hub.calls
