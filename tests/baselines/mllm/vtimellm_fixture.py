"""A tiny VTimeLLM, and a tokenizer of LLaMA's kind whose tokens can be written down by hand."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from baselines.mllm.llama import Decoding, LlamaSizes
from baselines.mllm.lora import ALL_LINEAR, LoraSizes
from baselines.mllm.protocol import Shown
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from baselines.mllm.vtimellm.prompts import SYSTEM

FRAMES, WIDTH = 6, 16
TINY = VTimeLlmConfig(
    frames=FRAMES,
    feature_width=WIDTH,
    llama=LlamaSizes(vocab_size=200, hidden=64, layers=2, heads=4, mlp=128, positions=256, initializer_range=0.1),
    lora=LoraSizes(4, 8, targets=ALL_LINEAR),
    decoding=Decoding(longest=20),
)
SHOWN = Shown(FRAMES, (0.0, 2.0, 4.0, 6.0, 8.0, 10.0), 10.0)
WORDS = f"{SYSTEM} USER ASSISTANT during which frames can we see a red star From to at The once again why it runs"
MARKS = "\n:?.,'-"


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, with ``▁`` where it begins; each sign and each digit alone."""
    words = dict.fromkeys(part for word in WORDS.replace("'", " ' ").split() for part in word.strip(".,").split())
    vocabulary = ["<unk>", "<s>", "</s>", "▁", *(f"▁{word}" for word in words), *words, *MARKS, *"0123456789"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(dict.fromkeys(vocabulary))}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(rf"[{MARKS}]"), "isolated"),
            pre_tokenizers.Split(Regex("▁(?=[0-9])"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


TOKENIZER = tokenizer()


def tokenize(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]
