"""The model against a LLaMA in NumPy, the film spliced in as the authors do it (recipes 2, 3 and 5 of its sheet)."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from vtimellm_fixture import FRAMES, SHOWN, TINY, TOKENIZER, WIDTH, tokenize

from baselines.mllm.llama import answer_loss, collate, embed, generate
from baselines.mllm.pieces import FILM_PLACE, IGNORED, encode
from baselines.mllm.protocol import Round
from baselines.mllm.vtimellm import METHOD
from baselines.mllm.vtimellm.config import PRESETS
from baselines.mllm.vtimellm.prompts import conversation

CHATS = (
    [Round("why", "it runs")],
    [Round("During which frames can we see a red star?", "From 17 to 34."), Round("again", "From 00 to 99.")],
)
END = TOKENIZER.eos_token_id


def encoded(rounds):
    return encode(conversation(rounds, SHOWN, TINY), tokenize, TOKENIZER.bos_token_id)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    built = METHOD.build(TINY).eval()
    for name, parameter in built.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.1)
    return built


@pytest.fixture(scope="module")
def rows():
    return torch.randn(2, FRAMES, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def weights(model):
    return {name: value.detach().double().numpy() for name, value in model.state_dict().items()}


def spliced(weights, ids, labels, film):
    """One sentinel for the whole film, cut there, the projected rows put in."""
    first = ids.index(FILM_PLACE)
    words = weights["llama.model.embed_tokens.weight"]
    visual = film.double().numpy() @ weights["mm_projector.weight"].T + weights["mm_projector.bias"]
    before, after = ids[:first], ids[first + FRAMES :]
    learned = [*labels[:first], *[IGNORED] * FRAMES, *labels[first + FRAMES :]]
    return np.concatenate([words[before], visual, words[after]]), np.array(learned)


def llama_logits(weights, x, heads=TINY.llama.heads, layers=TINY.llama.layers):
    """LLaMA (Touvron et al. 2023) on embeddings ``[length, hidden]``."""
    length, hidden = x.shape
    half = hidden // heads // 2
    angles = np.arange(length)[:, None] / 10_000 ** (np.arange(half) / half)

    def norm(x, name):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weights[f"llama.model.{name}.weight"]

    def turned(x):
        one, other = x[..., :half], x[..., half:]
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([one * cos - other * sin, other * cos + one * sin], -1)

    def split(x):
        return x.reshape(length, heads, 2 * half).swapaxes(0, 1)

    for layer in range(layers):
        name = f"layers.{layer}."
        q, k, v, o, gate, up, down = (
            weights[f"llama.model.{name}{part}_proj.weight"].T
            for part in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")
        )
        h = norm(x, f"{name}input_layernorm")
        scores = turned(split(h @ q)) @ turned(split(h @ k)).swapaxes(1, 2) / np.sqrt(2 * half)
        scores = np.exp(scores + np.triu(np.full((length, length), -np.inf), 1))
        mixed = scores / scores.sum(-1, keepdims=True) @ split(h @ v)
        x = x + mixed.swapaxes(0, 1).reshape(length, hidden) @ o
        h = norm(x, f"{name}post_attention_layernorm")
        opened = h @ gate
        x = x + (opened / (1 + np.exp(-opened)) * (h @ up)) @ down
    return norm(x, "norm") @ weights["llama.lm_head.weight"].T


def cross_entropy(logits, labels):
    logits, labels = logits[:-1], labels[1:]
    due = labels != IGNORED
    logits, labels = logits[due], labels[due]
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("left", [False, True])
@torch.no_grad()
def test_the_film_is_spliced_in(model, rows, weights, left):
    chats = [encoded(rounds) for rounds in CHATS]
    batch = collate(chats, pad_left=left)
    found = embed(model.llama, batch, model.film_tokens(rows))
    for row, chat in enumerate(chats):
        expected, labels = spliced(weights, chat.ids, chat.labels, rows[row])
        held = batch.mask[row].bool()
        assert held.sum() == len(expected)
        assert held[-1 if left else 0]
        assert_close(found[row, held].double(), torch.from_numpy(expected), atol=1e-6, rtol=0)
        assert batch.labels[row, held].tolist() == labels.tolist()
        assert set(batch.labels[row, ~held].tolist()) <= {IGNORED}


@torch.no_grad()
def test_logits_and_loss(model, rows, weights):
    chats = [encoded(rounds) for rounds in CHATS]
    batch, films = collate(chats), model.film_tokens(rows)
    logits = model.llama(inputs_embeds=embed(model.llama, batch, films), attention_mask=batch.mask).logits
    losses = []
    for row, chat in enumerate(chats):
        x, labels = spliced(weights, chat.ids, chat.labels, rows[row])
        expected = llama_logits(weights, x)
        assert_close(logits[row, : len(x)].double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
        losses.append(cross_entropy(expected, labels))
    expected = np.concatenate(losses).mean()
    assert answer_loss(model.llama, batch, films).item() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_greedy_answers(model, rows, weights):
    chats = [encoded([Round("why")]), encoded([Round("During which frames can we see a red star?")])]
    answers = generate(model.llama, collate(chats, pad_left=True), model.film_tokens(rows), END, TINY.decoding)
    for chat, film, answer in zip(chats, rows, answers, strict=True):
        x, _ = spliced(weights, chat.ids, chat.labels, film)
        expected = []
        while len(expected) < TINY.decoding.longest:
            expected.append(int(llama_logits(weights, x)[-1].argmax()))
            x = np.concatenate([x, weights["llama.model.embed_tokens.weight"][expected[-1:]]])
        assert answer == (expected[: expected.index(END)] if END in expected else expected)


def test_two_films_in_one_chat_stand_in_order(model, rows):
    first, second = (encoded([Round("why")]) for _ in range(2))
    chat = type(first)(first.ids + second.ids, first.labels + second.labels)
    tokens = model.film_tokens(rows)
    found = embed(model.llama, collate([chat]), tokens)[0][torch.tensor(chat.ids) == FILM_PLACE]
    assert torch.equal(found, tokens.flatten(0, 1))


def test_a_picture_is_a_film_of_one_frame(model, rows):
    assert_close(model.film_tokens(rows[:, :1]), model.film_tokens(rows)[:, :1])


def test_frames_are_told_apart_by_their_code(rows):
    coded = METHOD.build(PRESETS["mini"])
    same = torch.ones(1, 16, 64)
    tokens = coded.film_tokens(same)
    assert len(torch.unique(tokens[0], dim=0)) == 16
    code = tokens - coded.mm_projector(same)
    # Frame 2, rate 1 of the sines: sin 2; frame 0 has cosines of 1.
    assert code[0, 2, 0].item() == pytest.approx(np.sin(2), abs=1e-5)
    assert_close(code[0, 0, 64:], torch.ones(64))


@pytest.mark.parametrize(
    ("preset", "llama", "projector"),
    [("paper", 6_738_415_616, 3_149_824), ("paper-13b", 13_015_864_320, 3_937_280)],
)
def test_published_sizes(preset, llama, projector):
    # 768 * 4096 + 4096 = 3,149,824; 768 * 5120 + 5120 = 3,937,280; those of LLaMA-2 are as published.
    with torch.device("meta"):
        model = METHOD.build(METHOD.preset(preset))
    assert sum(p.numel() for p in model.llama.parameters()) == llama
    assert sum(p.numel() for p in model.mm_projector.parameters()) == projector
    assert tuple(model.mm_projector.weight.shape) == (model.config.llama.hidden, 768)
