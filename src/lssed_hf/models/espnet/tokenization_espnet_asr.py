# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Tokenizer of ESPnet models: characters, sentencepiece pieces or words, numbered by ESPnet's token list."""

import functools
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizer


VOCAB_FILES_NAMES = {"vocab_file": "vocab.json", "bpe_file": "bpe.model"}
TOKEN_TYPES = ("char", "bpe", "word")
BLANK, UNKNOWN, SPACE, END = "<blank>", "<unk>", "<space>", "<sos/eos>"


class EspnetAsrTokenizer(PreTrainedTokenizer):
    r"""Tokenizer of ESPnet2's speech recognition task: characters, sentencepiece pieces or words.

    Numbers are positions in the token list, which begins with `<blank>` for CTC and ends with `<sos/eos>`. Case and
    punctuation of a text stay. Nothing is added to it: the model puts `<sos/eos>` before and behind it. A special
    token that is spelt out in a text is text. Tokens that the list lacks become `<unk>`, which decoding with
    `skip_special_tokens=True` leaves out.

    Args:
        vocab_file (`str`, *optional*):
            Token list: JSON (a list, or a dictionary from tokens to numbers) or text with one token per line, like
            ESPnet's `tokens.txt`.
        bpe_file (`str`, *optional*):
            Model of sentencepiece (`bpe.model`). Its own numbers play no role. Encoding takes the package
            `sentencepiece`, decoding does not.
        token_list (`list[str]`, *optional*):
            Tokens themselves, in place of `vocab_file`.
        token_type (`str`, *optional*):
            Kind of tokens: `"char"`, `"bpe"` or `"word"`. Default: `"bpe"` with a `bpe_file`, else `"char"`.
        non_linguistic_symbols (`list[str]`, *optional*):
            Symbols such as `<noise>`, which are one token each with `"char"`.

    Raises:
        ValueError: The token list repeats a token or has special tokens in other places than ESPnet's. Or `token_type`
            is unknown or does not fit the files.

    ```python
    >>> from lssed_hf import EspnetAsrTokenizer

    >>> tokenizer = EspnetAsrTokenizer(token_list=["<blank>", "<unk>", "<space>", "A", "B", "<sos/eos>"])
    >>> tokenizer("AB A").input_ids
    [3, 4, 2, 3]
    ```
    """

    _auto_class = "AutoTokenizer"  # saving copies this code beside the vocabulary

    vocab_files_names = VOCAB_FILES_NAMES
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        bpe_file: str | os.PathLike | None = None,
        token_list: Sequence[str] | None = None,
        token_type: str | None = None,
        non_linguistic_symbols: Sequence[str] = (),
        unk_token: str = UNKNOWN,
        bos_token: str = END,
        eos_token: str = END,
        pad_token: str = END,
        extra_special_tokens: Sequence[str] = (BLANK,),
        split_special_tokens: bool = True,
        **kwargs,
    ):
        if (vocab_file is None) == (token_list is None):
            raise ValueError("give one of vocab_file and token_list")
        tokens = list(token_list) if token_list is not None else read_token_list(vocab_file)
        _check_token_list(tokens, "token_list" if token_list is not None else os.fspath(vocab_file))
        token_type = token_type or ("char" if bpe_file is None else "bpe")
        if token_type not in TOKEN_TYPES:
            raise ValueError(f"token_type={token_type!r} is not one of {', '.join(TOKEN_TYPES)}")
        if (token_type == "bpe") != (bpe_file is not None):
            raise ValueError(
                f"token_type={token_type!r} {'needs' if token_type == 'bpe' else 'takes no'} bpe_file, the "
                "sentencepiece model"
            )
        self.encoder = {token: number for number, token in enumerate(tokens)}
        self.decoder = tokens
        self.bpe_model = None if bpe_file is None else Path(bpe_file).read_bytes()
        self.token_type = token_type
        self.non_linguistic_symbols = list(non_linguistic_symbols)
        super().__init__(
            token_type=token_type,
            non_linguistic_symbols=self.non_linguistic_symbols,
            unk_token=unk_token,
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            extra_special_tokens=list(extra_special_tokens),
            split_special_tokens=split_special_tokens,
            **kwargs,
        )

    @property
    def vocab_size(self) -> int:
        return len(self.encoder)

    def get_vocab(self) -> dict[str, int]:
        return {**self.encoder, **self.added_tokens_encoder}

    def _tokenize(self, text: str, **kwargs) -> list[str]:
        if self.token_type == "bpe":
            tokens = _sentencepiece(self.bpe_model).encode(text, out_type=str)
        elif self.token_type == "word":
            tokens = text.split()
        else:
            symbols = "|".join(map(re.escape, sorted(self.non_linguistic_symbols, key=len, reverse=True)))
            pattern = f"{symbols}|." if symbols else "."
            tokens = [SPACE if found == " " else found for found in re.findall(pattern, text, flags=re.DOTALL)]
        # Words may look like special tokens, and the blank as a label would break CTC.
        return [self.unk_token if token in (BLANK, END) else token for token in tokens]

    def _convert_token_to_id(self, token: str) -> int:
        return self.encoder.get(token, self.encoder[UNKNOWN])

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self.decoder):
            raise ValueError(f"token {index} is not among the {len(self.decoder)} of the token list")
        return self.decoder[index]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        if self.token_type == "word":
            return " ".join(tokens)
        if self.token_type == "char":
            return "".join(" " if token == SPACE else token for token in tokens)
        # As in sentencepiece, the word boundary of the first piece is no space.
        return "".join(tokens).replace("▁", " ").removeprefix(" ")

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        vocab_file, bpe_file = (Path(save_directory) / (prefix + name) for name in VOCAB_FILES_NAMES.values())
        vocab_file.write_text(json.dumps(self.encoder, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if self.bpe_model is None:
            return (str(vocab_file),)
        bpe_file.write_bytes(self.bpe_model)
        return str(vocab_file), str(bpe_file)


def read_token_list(path: str | os.PathLike) -> list[str]:
    """Read tokens from a JSON list, a JSON dictionary from tokens to 0, 1, ..., or a text with one token per line.

    Raises:
        ValueError: The numbers of a dictionary are not 0, 1, ..., or the JSON is neither list nor dictionary.
    """
    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix != ".json":
        return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    entries = json.loads(text)
    if isinstance(entries, dict) and sorted(entries.values(), key=str) == sorted(range(len(entries)), key=str):
        return sorted(entries, key=entries.get)
    if not isinstance(entries, list) or not all(isinstance(token, str) for token in entries):
        raise ValueError(f"{path} is neither a list of tokens nor a dictionary from tokens to 0, 1, 2, ...")
    return entries


def _check_token_list(tokens: list[str], source: str) -> None:
    for place, token, number in (("the first", BLANK, 0), ("the last", END, -1)):
        if not tokens or tokens[number] != token:
            found = repr(tokens[number]) if tokens else "nothing"
            raise ValueError(f"{source}: {place} token must be {token}, found {found}")
    if UNKNOWN not in tokens:
        raise ValueError(f"{source}: there is no {UNKNOWN}")
    if len(set(tokens)) < len(tokens):
        twice = sorted({token for token in tokens if tokens.count(token) > 1})
        raise ValueError(f"{source}: these tokens come more than once: {', '.join(map(repr, twice))}")


@functools.lru_cache(maxsize=8)
def _sentencepiece(model: bytes):
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError("encoding text as pieces takes sentencepiece: pip install sentencepiece") from error
    return sentencepiece.SentencePieceProcessor(model_proto=model)


__all__ = ["EspnetAsrTokenizer", "read_token_list"]
