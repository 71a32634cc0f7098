"""Token lists, in ESPnet's order, from transcripts."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..files import replacing
from ..models.espnet.tokenization_espnet_asr import BLANK, END, SPACE, UNKNOWN


logger = logging.getLogger(__name__)


def character_tokens(transcripts: Sequence[str]) -> list[str]:
    """Return `<blank>`, `<unk>`, the characters in Unicode's order (a space is `<space>`), and `<sos/eos>`.

    Raises:
        ValueError: The transcripts hold no character.
    """
    characters = sorted(set().union(*transcripts))
    if not characters:
        raise ValueError("the transcripts hold no character to learn")
    return [BLANK, UNKNOWN, *(SPACE if character == " " else character for character in characters), END]


def sentencepiece_tokens(
    transcripts: Sequence[str], vocab_size: int, output_dir: str | os.PathLike
) -> tuple[list[str], Path]:
    """Train a unigram model (Kudo 2018, arXiv 1804.10959) on transcripts, as ESPnet's recipes do.

    Args:
        transcripts: Transcripts to train on.
        vocab_size: Number of pieces to aim at, sentencepiece's own `<unk>`, `<s>` and `</s>` included (ESPnet:
            `nbpe`). Few transcripts give fewer.
        output_dir: Folder for `bpe.model`.

    Returns:
        `<blank>`, `<unk>`, the pieces, `<sos/eos>`; and the path of the model.

    Raises:
        ImportError: The package sentencepiece is not installed.
        ValueError: The size is too small for the characters. The message says how many are needed.
    """
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError("--token_type bpe takes sentencepiece: pip install sentencepiece") from error
    path = Path(output_dir) / "bpe.model"
    needed = len(set().union(*transcripts, "▁")) + 3
    if vocab_size < needed:
        raise ValueError(f"--vocab_size {vocab_size} is too small: the transcripts' characters alone take {needed}")
    with replacing(path) as temporary, temporary.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(transcripts),
            model_writer=file,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,
            minloglevel=2,
        )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    pieces = [piece for number, piece in enumerate(pieces) if not processor.is_control(number)]
    pieces = [piece for piece in pieces if piece != processor.id_to_piece(processor.unk_id())]
    logger.info(f"sentencepiece: {len(pieces)} pieces")
    return [BLANK, UNKNOWN, *pieces, END], path
