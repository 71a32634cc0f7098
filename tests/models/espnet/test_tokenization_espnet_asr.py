import json
import pickle
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf.models.espnet.tokenization_espnet_asr import EspnetAsrTokenizer, read_token_list


LETTERS = string.ascii_uppercase + "'ÄÖ<>|"
CHARACTERS = ["<blank>", "<unk>", "<space>", *LETTERS, "<sos/eos>"]
SENTENCES = [
    "THE TRAIN LEAVES THE STATION AT HALF PAST SEVEN",
    "SHE PUT THE BLUE CUP ON THE KITCHEN TABLE",
    "THERE ARE TWELVE CHAIRS IN THE MEETING ROOM",
    "DOGS ARE SITTING BY THE DOOR",
] * 5


@pytest.fixture
def characters() -> EspnetAsrTokenizer:
    return EspnetAsrTokenizer(token_list=CHARACTERS)


@pytest.fixture(scope="session")
def bpe_file(tmp_path_factory):
    """A sentencepiece model, and the token list that ESPnet makes of it: other numbers, pieces of its own in front."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("bpe")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix=str(folder / "bpe"), vocab_size=40, minloglevel=2
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "bpe.model"))
    pieces = [processor.id_to_piece(number) for number in range(3, processor.get_piece_size())]
    tokens = ["<blank>", "<unk>", *reversed(pieces), "<sos/eos>"]
    (folder / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return folder / "bpe.model"


def test_numbers_are_places_in_the_list(characters):
    assert characters("AB A").input_ids == [3, 4, 2, 3]
    assert (characters.unk_token_id, characters.eos_token_id, characters.bos_token_id) == (1, 35, 35)
    assert len(characters) == characters.vocab_size == 36 == len(characters.get_vocab())
    assert characters.convert_ids_to_tokens([0, 2, 35]) == ["<blank>", "<space>", "<sos/eos>"]
    assert characters("A1B").input_ids == [3, 1, 4]
    assert characters(["A", "ABC"], padding=True).attention_mask == [[1, 0, 0], [1, 1, 1]]


def test_special_tokens_are_left_out_on_request(characters):
    ids = [35, 3, 0, 2, 1, 4, 35, 35]
    assert characters.decode(ids, skip_special_tokens=True) == "A B"
    assert characters.decode(ids) == "<sos/eos>A<blank> <unk>B<sos/eos><sos/eos>"
    assert characters.batch_decode([[3], [35, 4, 35]], skip_special_tokens=True) == ["A", "B"]


def test_special_tokens_in_a_text_are_text(characters):
    ids = characters("<blank>").input_ids
    assert 0 not in ids and len(ids) == 7 and ids[0] == CHARACTERS.index("<")
    words = EspnetAsrTokenizer(token_list=["<blank>", "<unk>", "A", "<sos/eos>"], token_type="word")
    assert words("A <blank> <sos/eos> B").input_ids == [2, 1, 1, 1]
    assert words.decode([2, 2]) == "A A"


@given(st.text(alphabet=LETTERS + " ", max_size=30))
def test_characters_of_the_list_survive(text):
    tokenizer = EspnetAsrTokenizer(token_list=CHARACTERS)
    ids = tokenizer(text).input_ids
    assert len(ids) == len(text) and not {0, 1, 35} & set(ids)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@given(st.text(max_size=20))
def test_any_text_has_as_many_tokens_as_characters(text):
    ids = EspnetAsrTokenizer(token_list=CHARACTERS)(text).input_ids
    assert len(ids) == len(text) and all(0 < number < 35 for number in ids)


def test_non_linguistic_symbols_are_one_token_each(tmp_path):
    tokens = ["<blank>", "<unk>", "<noise>", "<noise>s", "<space>", "A", "s", "<sos/eos>"]
    tokenizer = EspnetAsrTokenizer(token_list=tokens, non_linguistic_symbols=["<noise>", "<noise>s"])
    assert tokenizer("A <noise>s<noise>A").input_ids == [5, 4, 3, 2, 5]
    tokenizer.save_pretrained(tmp_path)
    assert EspnetAsrTokenizer.from_pretrained(tmp_path)("<noise>").input_ids == [2]


def test_saved_and_loaded_it_is_the_same(characters, tmp_path):
    for again in (_saved(characters, tmp_path), pickle.loads(pickle.dumps(characters))):
        assert again("AB <blank>").input_ids == characters("AB <blank>").input_ids
        assert again.get_vocab() == characters.get_vocab()
        assert again.all_special_ids == characters.all_special_ids and again.token_type == "char"
    _saved(_saved(characters, tmp_path / "1"), tmp_path / "2")
    assert (tmp_path / "1" / "vocab.json").read_bytes() == (tmp_path / "2" / "vocab.json").read_bytes()


def _saved(tokenizer, folder) -> EspnetAsrTokenizer:
    tokenizer.save_pretrained(folder)
    return EspnetAsrTokenizer.from_pretrained(folder)


def test_pieces_are_looked_up_in_the_token_list(bpe_file, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(bpe_file))
    tokens = read_token_list(bpe_file.with_name("tokens.txt"))
    tokenizer = EspnetAsrTokenizer(vocab_file=bpe_file.with_name("tokens.txt"), bpe_file=bpe_file)
    for text in SENTENCES[:4]:
        pieces = processor.encode(text, out_type=str)
        ids = tokenizer(text).input_ids
        assert ids == [tokens.index(piece) for piece in pieces] != processor.encode(text)
        assert tokenizer.decode([tokens.index("<sos/eos>"), *ids]) == "<sos/eos> " + text
        assert tokenizer.decode(ids) == processor.decode(pieces) == text
    assert 1 in tokenizer("qqq").input_ids
    again = _saved(tokenizer, tmp_path)
    assert (tmp_path / "bpe.model").read_bytes() == bpe_file.read_bytes()
    assert again.token_type == "bpe" and again(SENTENCES[0]).input_ids == tokenizer(SENTENCES[0]).input_ids


@given(st.text(alphabet="ADEHT  ▁", max_size=20))
def test_pieces_are_joined_as_sentencepiece_joins_them(bpe_file, text):
    sentencepiece = pytest.importorskip("sentencepiece")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(bpe_file))
    tokenizer = EspnetAsrTokenizer(vocab_file=bpe_file.with_name("tokens.txt"), bpe_file=bpe_file)
    pieces = processor.encode(text, out_type=str)
    assert tokenizer.convert_tokens_to_string(pieces) == processor.decode(pieces)


def test_decoding_pieces_takes_no_sentencepiece(bpe_file, monkeypatch):
    tokenizer = EspnetAsrTokenizer(vocab_file=bpe_file.with_name("tokens.txt"), bpe_file=bpe_file)
    ids = tokenizer(SENTENCES[3]).input_ids
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    assert tokenizer.decode(ids) == SENTENCES[3]
    fresh = EspnetAsrTokenizer(vocab_file=bpe_file.with_name("tokens.txt"), bpe_file=bpe_file)
    fresh.bpe_model = tokenizer.bpe_model + b"\x00"  # not the one that was loaded before
    with pytest.raises(ImportError, match="pip install sentencepiece"):
        fresh("A")


def test_token_lists_are_read_in_three_forms(tmp_path):
    odd = ["<blank>", "<unk>", "\u2028", "a", " b", "<sos/eos>"]  # line separators are tokens of some languages
    forms = {
        "tokens.txt": "\n".join(odd) + "\n",
        "windows.txt": "\r\n".join(odd) + "\r\n",
        "list.json": json.dumps(odd),
        "dictionary.json": json.dumps({token: number for number, token in reversed(list(enumerate(odd)))}),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        assert read_token_list(tmp_path / name) == odd
    for broken in ('{"a": 0, "b": 2}', '{"a": "x"}', "[1, 2]", '"text"'):
        (tmp_path / "broken.json").write_text(broken)
        with pytest.raises(ValueError, match=r"broken.json is neither a list of tokens nor a dictionary"):
            read_token_list(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of vocab_file and token_list"),
        ({"token_list": []}, "the first token must be <blank>, found nothing"),
        ({"token_list": ["<unk>", "<blank>", "<sos/eos>"]}, "the first token must be <blank>, found '<unk>'"),
        ({"token_list": ["<blank>", "<unk>", "a"]}, "the last token must be <sos/eos>, found 'a'"),
        ({"token_list": ["<blank>", "a", "<sos/eos>"]}, "there is no <unk>"),
        ({"token_list": ["<blank>", "<unk>", "a", "a", "<sos/eos>"]}, "come more than once: 'a'"),
        ({"token_list": CHARACTERS, "token_type": "phn"}, "'phn' is not one of char, bpe, word"),
        ({"token_list": CHARACTERS, "token_type": "bpe"}, "'bpe' needs bpe_file"),
    ],
)
def test_what_cannot_be_a_tokenizer_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EspnetAsrTokenizer(**options)


def test_numbers_outside_of_the_list_are_refused(characters):
    with pytest.raises(ValueError, match="token 36 is not among the 36"):
        characters.decode([36])
