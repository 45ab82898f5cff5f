"""TimeChat against its published layers written down again (section 10 of its sheet)."""

from dataclasses import replace

import pytest
import torch
from lavis_reference import linear, qformer, vit
from timechat_fixture import ADAPTED, BEGIN, END, FRAMES, HEADS, QUERIES, TINY, authors_file, decode, letters, loaded
from torch.nn import functional as F
from torch.testing import assert_close

from baselines.mllm import lora
from baselines.mllm.llama import Decoding, answer_loss, collate, embed, generate
from baselines.mllm.pieces import FILM_PLACE, IGNORED, encode
from baselines.mllm.protocol import Round, Shown
from baselines.mllm.timechat import METHOD, TimeChat
from baselines.mllm.timechat.config import PRESETS
from baselines.mllm.timechat.conversion import convert_checkpoint, stretched
from baselines.mllm.timechat.model import prepare_training
from ivcr_bench.errors import IvcrError

SHOWN = Shown(TINY.tokens(FRAMES), [0.0, 1.0], 2.0)
DIALOGUE = [Round("When?", "in 1.0 - 2.0 seconds."), Round("And then?", "Nothing.")]
STATE = authors_file()


@pytest.fixture(scope="module")
def model():
    return loaded(STATE)


@pytest.fixture(scope="module")
def frames():
    """Pixels, ids and mask of ten frames; the words of the last are one token shorter."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(FRAMES, 7, dtype=torch.long)
    mask[-1, -1] = 0
    ids = torch.randint(3, 101, (FRAMES, 7), generator=generator) * mask
    return torch.randn(FRAMES, 3, 28, 28, generator=generator), ids, mask


@pytest.fixture(scope="module")
def rows(frames):
    pixels, ids, mask = frames
    queries = STATE["query_tokens"].expand(FRAMES, -1, -1)
    return qformer(STATE, "Qformer", queries, vit(STATE, pixels, HEADS), HEADS, 2, ids, mask)


@torch.no_grad()
def test_vit(model, frames):
    found = model.frame_encoder.vision_model(frames[0]).last_hidden_state
    assert_close(found, vit(STATE, frames[0], HEADS), atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_of_frames(model, frames, rows):
    assert rows.shape == (FRAMES, QUERIES + 7, 48)
    assert_close(model.encode_frames(*frames), rows, atol=1e-4, rtol=0)
    without = TimeChat(replace(TINY, keep_time_rows=False)).eval()
    without.load_state_dict(model.state_dict())
    assert_close(without.encode_frames(*frames), rows[:, :QUERIES], atol=1e-4, rtol=0)


@torch.no_grad()
def test_each_window_and_the_short_last_one(model, rows):
    placed = rows + STATE["video_frame_position_embedding.weight"][:, None]
    windows = [placed[0:4], placed[4:8], placed[8:10]]
    hidden = [
        qformer(STATE, "video_Qformer", STATE["video_query_tokens"], window.flatten(0, 1)[None], HEADS, 1)
        for window in windows
    ]
    expected = linear(STATE, "llama_proj", torch.cat(hidden, 1))
    assert expected.shape == (1, SHOWN.tokens, 64)
    assert_close(model.film_tokens(rows[None]), expected, atol=1e-4, rtol=0)
    assert_close(model.film_tokens(rows[None].expand(2, -1, -1, -1))[1:], expected, atol=1e-4, rtol=0)


def test_a_model_on_given_rows_has_no_encoder(frames):
    with pytest.raises(ValueError, match="outputs are given"):
        TimeChat(replace(TINY, blip2=None)).encode_frames(*frames)


def prompt():
    return encode(METHOD.conversation(DIALOGUE, SHOWN, TINY), letters, BEGIN)


@torch.no_grad()
def test_visual_tokens_stand_in_their_places(model):
    batch = collate([prompt()])
    film = torch.randn(1, SHOWN.tokens, 64)
    found = embed(model.llama, batch, film)[0]
    place = prompt().ids.index(FILM_PLACE)
    assert batch.ids[0].tolist().count(FILM_PLACE) == SHOWN.tokens == 18
    assert_close(found[place : place + 18], film[0])
    words = torch.tensor([i for i in prompt().ids if i != FILM_PLACE])
    assert_close(torch.cat([found[:place], found[place + 18 :]]), model.llama.get_input_embeddings()(words))
    with pytest.raises(ValueError, match="18 places for 17"):
        embed(model.llama, batch, film[:, 1:])


def test_answers_and_what_closes_them_are_learned():
    """The blank before ``</s>`` is learned too (section 5)."""
    labels = prompt().labels
    learned = decode(label for label in labels if label != IGNORED)
    assert learned == " in 1.0 - 2.0 seconds. </s> Nothing. </s>"
    assert all(label in (IGNORED, i) for label, i in zip(labels, prompt().ids, strict=True))


def test_loss(model):
    """Against all logits of the whole sequence, with its labels shifted by one."""
    short = encode(METHOD.conversation(DIALOGUE[:1], SHOWN, TINY), letters, BEGIN)
    batch, films = collate([prompt(), short]), torch.randn(2, SHOWN.tokens, 64)
    with torch.no_grad():
        logits = model.llama(inputs_embeds=embed(model.llama, batch, films), attention_mask=batch.mask).logits
        expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED)
        assert_close(answer_loss(model.llama, batch, films), expected, atol=1e-5, rtol=0)


def test_gradients_reach_what_the_authors_train(frames):
    torch.manual_seed(0)
    model = prepare_training(TimeChat(TINY)).train()
    answer_loss(model.llama, collate([prompt()]), model.film_tokens(model.encode_frames(*frames)[None])).backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert not trained & frozen
    adapters = {name for name in trained if name.startswith("language_model.")}
    assert len(adapters) == 2 * len(ADAPTED)
    assert all("lora_" in name for name in adapters)
    assert all(name.startswith(("language_model.", "frame_encoder.vision_model.")) for name in frozen)
    # The last layer's feed-forward of words feeds the rows that are kept, so nothing of the Q-Formers is idle.
    assert trained | frozen == {name for name, _ in model.named_parameters()}


@torch.no_grad()
def test_merged_and_attached_adapters_agree(model):
    base = {name: value for name, value in STATE.items() if name.startswith(("model.", "lm_head."))}
    plain = TINY.llama.build().eval()
    plain.load_state_dict(base)
    attached = lora.attach(plain, TINY.lora).eval()
    factors = lora.adapter_factors({n: v for n, v in STATE.items() if n.startswith("llama_model.")})
    assert sorted(factors) == sorted(ADAPTED)
    for module, (a, b) in factors.items():
        layer = attached.get_base_model().get_submodule(module)
        layer.lora_A["default"].weight.copy_(a)
        layer.lora_B["default"].weight.copy_(b)
    embeddings = 0.5 * torch.randn(1, 9, 64)
    found = model.llama(inputs_embeds=embeddings).logits
    assert_close(attached(inputs_embeds=embeddings).logits, found, atol=1e-4, rtol=1e-4)
    name = f"{ADAPTED[0]}.weight"
    expected = STATE[name] + 2.0 * factors[ADAPTED[0]][1] @ factors[ADAPTED[0]][0]  # alpha 8 / rank 4
    assert_close(model.llama.state_dict()[name], expected, atol=1e-5, rtol=0)


def test_adapters_without_a_name_load_too():
    bare = {name.replace(".default.", "."): value for name, value in STATE.items()}
    expected, found = convert_checkpoint(STATE, TINY), convert_checkpoint(bare, TINY)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_half_an_adapter_is_refused():
    broken = {name: value for name, value in STATE.items() if "layers.1.self_attn.k_proj.lora_B" not in name}
    with pytest.raises(IvcrError, match=r"layers\.1\.self_attn\.k_proj: found lora_A alone"):
        convert_checkpoint(broken, TINY)


def test_an_adapter_of_another_model_is_refused():
    orphan = {name: value for name, value in STATE.items() if name != "model.layers.0.self_attn.q_proj.weight"}
    with pytest.raises(IvcrError, match="not found in the language model"):
        convert_checkpoint(orphan, TINY)
    wide = STATE | {"model.layers.0.self_attn.q_proj.weight": torch.zeros(32, 64)}
    with pytest.raises(IvcrError, match=r"adapter for \(64, 64\), expected \(32, 64\)"):
        convert_checkpoint(wide, TINY)


def test_the_key_map_is_complete():
    with torch.device("meta"):
        expected = TimeChat(TINY).state_dict()
    found = convert_checkpoint(STATE, TINY)
    assert found.keys() == expected.keys()
    assert {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in expected.items()}


def test_what_is_unknown_is_not_lost():
    assert "scaler" in convert_checkpoint(STATE | {"scaler": torch.ones(1)}, TINY)


def test_positions_are_stretched():
    """Video-LLaMA's 32 rows become 96: each three times (section 5)."""
    table = torch.arange(32.0)[:, None].expand(-1, 4)
    assert stretched(table, 96)[:, 0].tolist() == [float(row) for row in range(32) for _ in range(3)]
    assert stretched(table, 32) is table
    short = STATE | {"video_frame_position_embedding.weight": torch.arange(5.0)[:, None].expand(-1, 48)}
    found = convert_checkpoint(short, TINY)["video_frame_position_embedding.weight"]
    assert found[:, 7].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@torch.no_grad()
def test_generation_is_the_argmax_of_the_whole_context(model):
    """A batch padded on the left answers as each prompt alone, without a cache."""
    dialogues = ([Round("When?")], [Round("When does it turn around?")])
    prompts = [encode(METHOD.conversation(rounds, SHOWN, TINY), letters, BEGIN) for rounds in dialogues]
    films = torch.randn(2, SHOWN.tokens, 64)
    answers = generate(model.llama, collate(prompts, pad_left=True), films, END, Decoding(longest=8))
    for prompt_alone, film, answer in zip(prompts, films, answers, strict=True):
        context = embed(model.llama, collate([prompt_alone]), film[None])
        for token in answer:
            assert model.llama(inputs_embeds=context).logits[0, -1].argmax() == token
            context = torch.cat([context, model.llama.get_input_embeddings()(torch.tensor([[token]]))], dim=1)
    third = answers[0][2]
    (cut, _) = generate(model.llama, collate(prompts, pad_left=True), films, third, Decoding(longest=8))
    assert cut == answers[0][: answers[0].index(third)]


def parameters(module, *, trained=False):
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


def test_the_paper_preset_has_the_published_sizes():
    with torch.device("meta"):
        model = TimeChat(PRESETS["paper"])
        assert parameters(model.llama) == 6_738_415_616  # LLaMA-2-7B
        assert parameters(model.frame_encoder.vision_model) == 985_952_256  # ViT-g of EVA-CLIP, ln_vision
        # Image Q-Former 185,684,736 with its queries, LoRA 32 * 4 * 2 * 32 * 4096, the video side 22,153,216.
        # At 3 * 4 bytes each (weights, two moments of AdamW) they are the 2.9 GB of the released file.
        assert parameters(prepare_training(model), trained=True) == 241_392_384
    factors = [name for name, _ in model.named_parameters() if "lora_" in name]
    assert len(factors) == 256
    assert model.video_frame_position_embedding.weight.shape == (96, 768)
    assert model.llama_proj.weight.shape == (4096, 768)
    assert PRESETS["paper"].tokens(96) == 96


def test_the_mini_preset_is_small_and_reads_given_rows():
    with torch.device("meta"):
        model = TimeChat(PRESETS["mini"])
        assert parameters(model) < 3e6
        assert model.film_tokens(torch.empty(3, 30, 24, 96)).shape == (3, 32, 128)
    assert PRESETS["mini"].tokens(30) == 32
