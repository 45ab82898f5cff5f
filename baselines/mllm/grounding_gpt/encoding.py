"""From the pieces of a conversation to token ids and labels, tokenised as one text, as the authors' is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerFast

from baselines.mllm.grounding_gpt.config import MARKS, GroundingGptConfig
from baselines.mllm.grounding_gpt.dialogue import without_oldest
from baselines.mllm.grounding_gpt.prompts import END, PATCH, START, conversation
from baselines.mllm.pieces import FILM_PLACE, IGNORED, Encoded, Piece, render
from baselines.mllm.protocol import Round
from ivcr_bench.errors import IvcrError


def add_marks(tokenizer: PreTrainedTokenizerFast, vocab_size: int) -> None:
    """Add `MARKS`, those that are missing, to the tokenizer of a model with ``vocab_size`` words.

    Raises:
        IvcrError: the tokenizer is of another model.
    """
    for mark in MARKS:
        tokenizer.add_tokens([mark], special_tokens=True)
    ids: Any = tokenizer.convert_tokens_to_ids(list(MARKS))
    expected = list(range(vocab_size - len(MARKS), vocab_size))
    if ids != expected:
        raise IvcrError(f"tokenizer: found {MARKS[0]} to {MARKS[-1]} at {ids}, expected {expected}")


def encode(tokenizer: PreTrainedTokenizerFast, pieces: Sequence[Piece]) -> Encoded:
    """Ids and labels; a token is learned if the piece in which it begins is.

    The authors count tokens piece by piece instead, which agrees with this only for the vocabulary of LLaMA.

    Raises:
        ValueError: a film is not enclosed by its two marks.
    """
    text = render(pieces, PATCH)
    learned = [piece.learned for piece in pieces for _ in (PATCH * piece.film if piece.film else piece.text)]
    found: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    patch: Any = tokenizer.convert_tokens_to_ids(PATCH)
    ids: list[int] = [token if token != patch else FILM_PLACE for token in found["input_ids"]]
    _check_film(ids, tokenizer)
    labels = [
        token if begin < len(learned) and learned[begin] else IGNORED
        for token, (begin, _) in zip(ids, found["offset_mapping"], strict=True)
    ]
    return Encoded([_begin(tokenizer), *ids], [IGNORED, *labels])


def encode_rounds(
    tokenizer: PreTrainedTokenizerFast, rounds: Sequence[Round], config: GroundingGptConfig, film_tokens: int
) -> Encoded:
    """A conversation that leaves room for an answer; the oldest rounds are left out for that.

    Args:
        film_tokens: 0 for a conversation without a film.

    Raises:
        IvcrError: the last question alone is too long.
    """
    longest = config.llama.positions - config.max_new_tokens
    kept = list(rounds)
    while True:
        encoded = encode(tokenizer, conversation(kept, film_tokens, config.prompt_style))
        if len(encoded.ids) <= longest:
            return encoded
        if len(kept) == 1:
            raise IvcrError(f"GroundingGPT: found a question of {len(encoded.ids)} tokens, expected at most {longest}")
        kept = without_oldest(kept)


def ends(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Ids of the tokens that end an answer: all with a number sign, which no answer holds, and the end of text."""
    return sorted({place for token, place in tokenizer.get_vocab().items() if "#" in token} | _text_end(tokenizer))


def _text_end(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    return set() if tokenizer.eos_token_id is None else {int(tokenizer.eos_token_id)}


def _begin(tokenizer: PreTrainedTokenizerFast) -> int:
    begin: Any = tokenizer.bos_token_id
    return int(begin)


def _check_film(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> None:
    """The places of a film stand between its marks; there is at most one film, for the model has no room for two."""
    marks: Any = tokenizer.convert_tokens_to_ids([START, END])
    start, end = marks
    places = [number for number, token in enumerate(ids) if token == FILM_PLACE]
    starts = [number for number, token in enumerate(ids) if token == start]
    if not places and not starts:
        return
    if len(starts) != 1 or len(places) == 0:
        raise ValueError(f"found {len(starts)} films with {len(places)} places, expected one film")
    first = starts[0] + 1
    if places != list(range(first, first + len(places))) or ids[first + len(places) : first + len(places) + 1] != [end]:
        raise ValueError(f"the {len(places)} places of a film are not between {START} and {END}")
