"""A tiny InterLLaVA with random films: big enough for shapes and gradients, small enough for milliseconds."""

import re

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from baselines.interllava import prompts
from baselines.interllava.assembly import Assembler, FilmFrames
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.model import InterLlava

PIECE = r"###|\w+|[^\w\s]"
WORDS = {
    word
    for text in (
        "### Human: Assistant: find a red star when is it here it is",
        prompts.RETRIEVAL_PREFIX,
        prompts.MOMENT_PREFIX,
        *prompts.INTENT_SENTENCES.values(),
        *(prompts.AFTER_INDEX, prompts.BETWEEN_TIMES, prompts.AFTER_TIMES),
    )
    for word in re.findall(PIECE, text)
}
TINY = InterLlavaConfig(
    vision_width=16, vision_heads=2, shared_width=8, hidden=32, layers=2, heads=2, mlp=48, max_frames=16
)


def tiny_tokenizer():
    vocabulary = {word: place for place, word in enumerate(["<pad>", "<unk>", *sorted(WORDS)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECE), "removed", invert=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    fast.add_tokens(["<s>", prompts.END_OF_ANSWER, *prompts.ADDED_TOKENS], special_tokens=True)
    return fast


def random_film(frames, rng, duration=None):
    shared = rng.normal(size=(frames, TINY.shared_width))
    shared /= np.linalg.norm(shared, axis=-1, keepdims=True)
    keys = rng.normal(size=(frames, 5, TINY.vision_width))
    return FilmFrames(keys.astype(np.float16), shared.astype(np.float16), duration or frames / 2)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def assembler():
    return Assembler(tiny_tokenizer(), TINY)


@pytest.fixture
def model(assembler):
    torch.manual_seed(0)
    return InterLlava(TINY, len(assembler.tokenizer)).eval()


@pytest.fixture
def retrieval_sample(assembler, rng):
    films = [random_film(12, rng) for _ in range(10)]
    answer = prompts.retrieval_answer(3, "here it is")
    dialogue = prompts.render_dialogue((), "find a red star")
    return assembler.retrieval(dialogue, rng.normal(size=TINY.shared_width), films, answer, 3)


@pytest.fixture
def moment_sample(assembler, rng):
    answer = prompts.moment_answer(2, 4, "here it is")
    dialogue = prompts.render_dialogue((), "when is the red star in it")
    query = rng.normal(size=TINY.shared_width)
    return assembler.moment(dialogue, query, random_film(13, rng, 6.5), answer, (2.0, 4.5))
