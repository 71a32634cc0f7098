"""Synthetic releases: the reader of each corpus takes its layout, and foreign files are never overwritten."""

import pytest
from releases import write_release

from lssed_hf import load_audio
from lssed_hf.cli import main as cli
from lssed_hf.corpora import corpus_builder, list_corpora
from lssed_hf.testing.synthesize import LAYOUTS, list_layouts, synthesize


pytest.importorskip("espeakng_loader")
pytest.importorskip("av")


def test_every_layout_is_that_of_a_corpus():
    """A corpus need not have one."""
    assert set(list_layouts()) <= set(list_corpora()) - {"synthetic"}
    assert all(number > 0 for number in LAYOUTS.values())


@pytest.mark.slow
@pytest.mark.parametrize("layout", list_layouts())
def test_each_layout_is_read_without_a_fault(layout, tmp_path):
    raw = write_release(layout, tmp_path / "raw")
    assert f"not {layout}" in (raw / "README.txt").read_text().lower()
    builder = corpus_builder(layout)()
    utterances, rejects = builder.read(raw)
    builder.resolve_classes(utterances)
    assert len(utterances) >= 10 and not [reject for reject in rejects if not reject.by_rule]
    expected = {"angry", "happy"} if builder.LABEL_COLUMN == "emotion" else {"depressed", "not_depressed"}
    assert {builder.label_of(row) for row in utterances} >= expected
    for row in utterances[::7]:
        part = {"start": row.start, "end": row.end} if row.cut else {}
        assert 0.3 < len(load_audio(row.path, **part)) / 16000 < (8 if row.emotion else 20)  # turns are longer


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first, second, other = (
        synthesize("emodb", tmp_path / name, num_speakers=1, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    clips = sorted(path.relative_to(first) for path in first.rglob("*.wav"))
    assert [(first / clip).read_bytes() for clip in clips] == [(second / clip).read_bytes() for clip in clips]
    assert all((first / clip).read_bytes() != (other / clip).read_bytes() for clip in clips)


def test_refusals(tmp_path, capsys):
    with pytest.raises(ValueError, match="unknown layout 'urdu'; known are aesdd, afew"):
        synthesize("urdu", tmp_path / "out")
    with pytest.raises(ValueError, match="RAVDESS has 24 actors, got num_speakers=25"):
        synthesize("ravdess", tmp_path / "many", num_speakers=25)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "03a01Fa.wav").write_text("a real clip")
    with pytest.raises(FileExistsError, match="is not empty, nor our synthetic emodb"):
        synthesize("emodb", tmp_path / "mine")
    assert (tmp_path / "mine" / "03a01Fa.wav").read_text() == "a real clip"
    synthesize("emodb", tmp_path / "ours", num_speakers=1)
    with pytest.raises(FileExistsError, match="nor our synthetic ravdess"):
        synthesize("ravdess", tmp_path / "ours", num_speakers=1)
    assert cli(["synthesize", "emodb", str(tmp_path / "ours"), "--num_speakers", "1"]) == 0  # over its own
    assert capsys.readouterr().out.strip() == str(tmp_path / "ours")
