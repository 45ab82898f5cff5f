"""One small tokenizer for English and Chinese: byte-pair encoding over words, with digits and Han characters alone.

Spaces are kept (as ``▁`` before a word), so decoding gives the text back. ASCII letters, digits and punctuation
are always in the vocabulary: an English word never seen before falls apart into letters, not into [UNK].
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, CLS, SEP, DECODER, MASK, BEGIN, END = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", "[MASK]", "<s>", "</s>",
)  # fmt: skip
SPECIAL_TOKENS = (PAD, UNKNOWN, CLS, SEP, DECODER, MASK, BEGIN, END)
_SPACE = "▁"
_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"


def train_tokenizer(
    texts: Iterable[str], added_tokens: Sequence[str] = (), vocab_size: int = 2000
) -> PreTrainedTokenizerFast:
    """Learn the vocabulary of ``texts``.

    Args:
        added_tokens: strings that are one token each, wherever they stand; part of ``vocab_size``.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always"),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(_HAN), behavior="isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *added_tokens],
        initial_alphabet=[_SPACE, *string.ascii_letters, *string.digits, *string.punctuation],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrap(tokenizer)


def load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """Read a ``tokenizer.json``."""
    return _wrap(Tokenizer.from_file(str(path)))


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Write a ``tokenizer.json``."""
    tokenizer.backend_tokenizer.save(str(path))


def _wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        bos_token=BEGIN,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        padding_side="right",
        truncation_side="left",
    )
