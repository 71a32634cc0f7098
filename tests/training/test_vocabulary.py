import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf import EspnetAsrTokenizer
from lssed_hf.testing.voices import SENTENCES
from lssed_hf.training.vocabulary import character_tokens, sentencepiece_tokens


TRANSCRIPTS = [sentence.lower().strip(".") for sentence in SENTENCES]


def test_characters_come_in_order_between_the_special_tokens():
    assert character_tokens(["bad cab", "é"]) == ["<blank>", "<unk>", "<space>", "a", "b", "c", "d", "é", "<sos/eos>"]
    assert character_tokens(["ba", "ab"]) == character_tokens(["ab"])
    with pytest.raises(ValueError, match="hold no character"):
        character_tokens([""])


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_a_tokenizer_knows_every_character_it_was_made_of(transcripts):
    tokenizer = EspnetAsrTokenizer(token_list=character_tokens(transcripts))
    for transcript in transcripts:
        ids = tokenizer(transcript).input_ids
        assert not {0, 1, len(tokenizer) - 1} & set(ids) and tokenizer.decode(ids) == transcript


def test_pieces_are_as_many_as_asked_for_and_the_same_again(tmp_path):
    pytest.importorskip("sentencepiece")
    tokens, path = sentencepiece_tokens(TRANSCRIPTS, 60, tmp_path)
    assert tokens[:2] == ["<blank>", "<unk>"] and tokens[-1] == "<sos/eos>" and len(tokens) == 60
    assert not {"<s>", "</s>"} & set(tokens) and [child.name for child in tmp_path.iterdir()] == ["bpe.model"]
    assert "▁the" in tokens  # longer than a character
    again, other = sentencepiece_tokens(TRANSCRIPTS, 60, tmp_path / "again")
    assert again == tokens and other.read_bytes() == path.read_bytes()
    few, _ = sentencepiece_tokens(TRANSCRIPTS, 5000, tmp_path / "few")
    assert len(few) < 5000


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    pytest.importorskip("sentencepiece")
    with pytest.raises(ValueError, match=r"--vocab_size 10 is too small: the transcripts' characters alone take 3\d"):
        sentencepiece_tokens(TRANSCRIPTS, 10, tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ImportError, match="pip install sentencepiece"):
        sentencepiece_tokens(TRANSCRIPTS, 60, tmp_path)
