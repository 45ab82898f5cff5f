"""GroundingGPT against the authors' code, whose numbers `grounding_gpt_authors` holds, and at its published size."""

from dataclasses import asdict, replace

import grounding_gpt_authors as authors
import pytest
import torch

from baselines.mllm.grounding_gpt import METHOD, PRESETS, GroundingGpt, GroundingGptConfig
from baselines.mllm.grounding_gpt.conversion import convert_checkpoint, frozen_parts
from baselines.mllm.grounding_gpt.generation import generate
from baselines.mllm.grounding_gpt.model import Float32LayerNorm, init_added_rows, waves
from baselines.mllm.grounding_gpt.stages import STAGES, keep_gradient_of, trained
from baselines.mllm.llama import Decoding, PromptBatch, answer_loss, embed
from baselines.mllm.pieces import FILM_PLACE, IGNORED

PROMPT = [1, 5, authors.START, *[FILM_PLACE] * authors.VIDEO_TOKENS, authors.END, 7, 8, 9, 10, 11, 2]
NEVER = [0]


def close(found, expected, atol=1e-5):
    torch.testing.assert_close(found, torch.as_tensor(expected), atol=atol, rtol=0)


def batch_of(*rows, learned=0):
    ids = torch.tensor(rows)
    labels = torch.full_like(ids, IGNORED)
    if learned:
        labels[:, -learned:] = ids[:, -learned:]
    return PromptBatch(ids, torch.ones_like(ids), labels)


@pytest.fixture(scope="module")
def model():
    model = GroundingGpt(authors.CONFIG).eval()
    model.load_state_dict(convert_checkpoint(authors.state()))
    return model


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return METHOD.build(METHOD.preset("paper"))


@pytest.fixture(scope="module")
def film(model):
    with torch.no_grad():
        return model.film_tokens(model.encode_frames(authors.pixels()).unsqueeze(0))


@torch.no_grad()
def test_each_part_of_the_vision_path_is_the_authors(model, film):
    pixels = authors.pixels()
    close(model.frames.vision_model(pixels).last_hidden_state[3, 2, :4], authors.VISION_ROW)
    close(model.encode_frames(pixels)[3, 2, :4], authors.FRAME_ROW)
    assert film.shape == (1, authors.VIDEO_TOKENS, 64)
    close(film[0, :, :3], authors.FILM_TOKENS)
    close(film.sum(), authors.FILM_TOKENS_SUM, atol=1e-4)
    close(film.abs().mean(), authors.FILM_TOKENS_MEAN)


@torch.no_grad()
def test_splice_logits_and_loss_are_the_authors(model, film):
    batch = batch_of(PROMPT, learned=4)
    embeddings = embed(model.llama, batch, film)
    close(embeddings.sum(), authors.EMBEDDINGS_SUM, atol=1e-4)
    words = model.llama.get_input_embeddings().weight
    close(embeddings[0, [2, 9]], words[[authors.START, authors.END]], atol=0)
    close(embeddings[0, 3:9], film[0], atol=0)
    logits = model.llama(inputs_embeds=embeddings, attention_mask=batch.mask).logits
    close(logits[0, -1, :6], authors.LAST_LOGITS, atol=1e-4)
    close(answer_loss(model.llama, batch, film), authors.LOSS, atol=1e-4)


def test_answer_with_an_encoded_film_is_the_authors_who_encode_it_for_every_token(model, film):
    question = PROMPT[:-4]
    assert generate(model.llama, batch_of(question), film, NEVER, Decoding(12)) == [authors.GREEDY]


@torch.no_grad()
def test_encoding_once_changes_no_token():
    torch.manual_seed(3)
    model = GroundingGpt(replace(authors.CONFIG, llama=replace(authors.CONFIG.llama, initializer_range=0.3))).eval()
    pixels = authors.pixels()
    film = model.film_tokens(model.encode_frames(pixels).unsqueeze(0))
    ids = PROMPT[:-3]
    for _ in range(12):
        again = model.film_tokens(model.encode_frames(pixels).unsqueeze(0))
        states = model.llama.model(inputs_embeds=embed(model.llama, batch_of(ids), again)).last_hidden_state
        ids = [*ids, int(model.llama.lm_head(states[0, -1]).argmax())]
    slow = ids[len(PROMPT[:-3]) :]
    assert len(set(slow)) > 3
    assert generate(model.llama, batch_of(PROMPT[:-3]), film, NEVER, Decoding(12)) == [slow]
    assert generate(model.llama, batch_of(PROMPT[:-3]), film, [slow[3], 0], Decoding(12)) == [
        slow[: slow.index(slow[3])]
    ]


@torch.no_grad()
def test_a_padded_film_and_a_padded_prompt_change_nothing(model, film):
    rows = model.encode_frames(authors.pixels())[:4]
    padded = torch.cat([rows, torch.full_like(rows[:2], 9.0)])
    alone = model.video(rows.unsqueeze(0))
    present = torch.tensor([[True] * 4 + [False] * 2])
    close(model.video(padded.unsqueeze(0), present), alone)
    short, long = PROMPT[:-4], [1, 3, 3, *PROMPT[1:-4]]
    ids = torch.tensor([[0, 0, *short], long])
    mask = torch.tensor([[0, 0, *[1] * len(short)], [1] * len(long)])
    batch = PromptBatch(ids, mask, torch.full_like(ids, IGNORED))
    both = generate(model.llama, batch, film.expand(2, -1, -1), NEVER, Decoding(8))
    assert both[0] == authors.GREEDY[:8]
    assert both[1] == generate(model.llama, batch_of(long), film, NEVER, Decoding(8))[0]


def test_every_name_of_the_checkpoint_has_a_place_and_the_rest_is_left_out():
    shapes = {name: tuple(value.shape) for name, value in GroundingGpt(authors.CONFIG).state_dict().items()}
    dropped = {
        **{name: torch.zeros(1, 16) for name in authors.BUFFERS},
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8),
        "model.mm_vision_projector.0.weight": torch.zeros(64, 8),
        "model.audio_Qformer.bert.embeddings.LayerNorm.weight": torch.zeros(48),
        "model.audio_query_tokens": torch.zeros(1, 8, 48),
        "model.audio_llama_proj.bias": torch.zeros(64),
        "model.audio_position_embedding.weight": torch.zeros(8, 16),
        "model.audio_encoder.modality_trunks.audio.blocks.0.norm_1.weight": torch.zeros(16),
    }
    found = convert_checkpoint(authors.state() | dropped)
    assert {name: tuple(value.shape) for name, value in found.items()} == shapes
    assert "new.weight" in convert_checkpoint({"model.new.weight": torch.zeros(1)})


def test_the_frozen_part_can_come_from_blip2():
    model = GroundingGpt(authors.CONFIG)
    expected = {name for name in model.state_dict() if name.startswith("frames.")}
    theirs = {name.removeprefix("frames."): value for name, value in model.state_dict().items() if name in expected}
    found = frozen_parts(
        theirs | {"language_model.shared.weight": torch.zeros(1), "language_projection.bias": torch.zeros(1)}
    )
    assert found.keys() == expected


def test_parameters_at_the_published_size(paper):
    count = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in {
            "llama": paper.llama,
            "vit": paper.frames.vision_model,
            "qformer": paper.frames.qformer,
            "video": paper.video.qformer,
            "projection": paper.video.projection,
        }.items()
    }
    width, mlp = 4096, 11_008
    # Vicuna-7B with nine more words, read and written: 13.5 GB in bfloat16.
    block = 4 * width**2 + 3 * width * mlp + 2 * width
    assert count["llama"] == 2 * 32_009 * width + 32 * block + width == 6_738_489_344
    # A block of the ViT: norms, qkv, projection, MLP; then patches, class and positions, last norm: 2 GB.
    w, m = 1408, 6144
    vit = 39 * (4 * w + 3 * (w**2 + w) + w**2 + w + 2 * w * m + m + w) + (3 * 14**2 + 1) * w + w + 257 * w + 2 * w
    assert count["vit"] == vit == 985_952_256
    # A layer of a Q-Former: attention and its norm, MLP and its norm; attention to keys of another width; 0.25 GB.
    q, layer = 768, 4 * (768**2 + 768) + 2 * 768 + 2 * 768 * 3072 + 3072 + 768 + 2 * 768
    cross = [2 * (q**2 + q) + 2 * (keys * q + q) + 2 * q for keys in (1408, 768)]
    assert count["qformer"] == 12 * layer + 6 * cross[0] + 2 * q == 105_137_664
    assert count["video"] == 2 * (layer + cross[1]) + 2 * q == 18_905_088
    assert count["projection"] == 768 * 4096 + 4096
    assert paper.frames.query_tokens.shape == (1, 32, 768)
    assert paper.video.query_tokens.shape == (1, 64, 768)
    assert paper.video.frame_positions.weight.shape == (64, 768)
    assert paper.frames.vision_model.post_layernorm.eps == 1e-5
    assert paper.frames.vision_model.encoder.layers[0].layer_norm1.eps == 1e-6


def test_what_each_stage_trains(paper):
    first, *later = ({name for name, _ in trained(paper, stage)} for stage in STAGES)
    everything = {name for name, _ in paper.named_parameters()}
    assert {name.split(".")[0] for name in first} == {"video", "llama"}
    assert {name for name in first if name.startswith("llama.")} == {"llama.model.embed_tokens.weight"}
    assert all(names == {name for name in everything if not name.startswith("frames.")} for names in later)
    assert [stage.learning_rate for stage in STAGES] == [1e-3, 2e-5, 2e-5]
    assert not any(p.requires_grad for p in paper.frames.parameters())
    assert not paper.train().frames.training


def test_only_the_marks_of_a_film_learn_in_the_first_stage():
    model = METHOD.build(authors.CONFIG)
    words = model.llama.get_input_embeddings().weight
    keep_gradient_of(words, [authors.START, authors.END])
    rows = torch.randn(1, authors.FRAMES, 5, 48)
    answer_loss(model.llama, batch_of(PROMPT, learned=4), model.film_tokens(rows)).backward()
    moved = words.grad.abs().sum(1).nonzero().flatten().tolist()
    assert moved == [authors.START, authors.END]
    assert model.video.query_tokens.grad.abs().sum() > 0


def test_added_words_start_at_the_mean():
    model = METHOD.build(authors.CONFIG)
    mean = model.llama.lm_head.weight[:-9].mean(0)
    init_added_rows(model, 9)
    close(model.llama.lm_head.weight[-9:], mean.expand(9, -1), atol=1e-7)
    assert model.llama.get_input_embeddings().weight[-9:].var(0).max() < 1e-12


def test_mini_learns_from_frames_that_are_given():
    config = PRESETS["mini"]
    torch.manual_seed(0)
    model = METHOD.build(config)
    rows = torch.randn(2, config.frames, config.frame_tokens, config.width)
    film = model.film_tokens(rows)
    assert film.shape == (2, 32, 128)
    ids = [1, *[FILM_PLACE] * 32, 5, 6]
    answer_loss(model.llama, batch_of(ids, ids, learned=2), film).backward()
    assert all(p.grad is not None for p in model.parameters())
    close(model.video.frame_positions.weight.detach(), waves(32, 96), atol=0)
    assert sum(p.numel() for p in model.parameters()) == 1_090_592
    with pytest.raises(ValueError, match="no encoder of frames"):
        model.encode_frames(authors.pixels())


def test_waves_are_sines_and_cosines_of_the_frame_number():
    # Width 4: wavelengths 1 and 100, so row 2 is sin 2, cos 2, sin 0.02, cos 0.02.
    close(waves(3, 4)[2], [0.9092974, -0.4161468, 0.0199987, 0.9998000], atol=1e-6)


def test_norm_in_float32():
    norm = Float32LayerNorm(2, eps=1e-5).bfloat16()
    found = norm(torch.tensor([[256.0, 258.0]], dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16
    close(found.float(), [[-1.0, 1.0]], atol=1e-3)


@pytest.mark.parametrize("name", PRESETS)
def test_config_as_plain_data_and_back(name):
    assert GroundingGptConfig.from_dict(asdict(PRESETS[name])) == PRESETS[name]
