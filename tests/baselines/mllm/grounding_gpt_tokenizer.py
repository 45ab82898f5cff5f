"""A tokenizer that treats what matters here as LLaMA's does: ``▁###`` at the head of a text, ``##``, ``#`` within."""

import string

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from baselines.mllm.grounding_gpt.encoding import add_marks

SPECIAL = ("<unk>", "<s>", "</s>")
SIGNS = (
    *SPECIAL,
    "▁",
    "\n",
    "＃",
    "＜",
    *string.ascii_letters,
    *string.digits,
    *string.punctuation,
    *"红色星星落下何时在",
)
PAIRS = (("#", "#"), ("▁", "##"), ("▁##", "#"))


def llama_like():
    """With the nine marks added."""
    words = list(dict.fromkeys([*SIGNS, *(first + last for first, last in PAIRS)]))
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(PAIRS), unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(sign, special=True, normalized=False) for sign in SPECIAL])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
    add_marks(fast, len(vocabulary) + 9)
    return fast
