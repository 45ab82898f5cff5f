"""BLIP-2 behind the retrieval protocol; its backbone against Hugging Face is in test_blip2.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from retrieval_cases import films, recall_after_training, sentences
from transformers import Blip2Config as HuggingFaceConfig
from transformers import Blip2ForImageTextRetrieval

from baselines.backbones import blip2_losses as losses
from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever
from baselines.retrieval.blip2 import BELOW, BIASES, Blip2, Blip2Config, lavis_names, tokenize
from baselines.retrieval.protocol import Block

TINY = Blip2RetrieverConfig(
    image_size=32, patch_size=16, vision_width=32, vision_layers=2, vision_heads=4, vision_mlp=64,
    width=32, layers=2, heads=4, mlp=64, queries=4, vocab_size=64, max_text=16, shared_width=16,
    initializer_range=0.1, dropout=0.0,
)  # fmt: skip


def tiny(**options):
    torch.manual_seed(0)
    config = replace(Blip2Config(TINY, frames=4, words=12, matching_frames=2, matched=3), **options)
    return Blip2(config, Blip2VideoRetriever(TINY)).eval()


def hugging_face(model):
    config = HuggingFaceConfig(
        vision_config=TINY.vision().to_dict(), qformer_config=TINY.qformer().to_dict(),
        num_query_tokens=TINY.queries, image_text_hidden_size=TINY.shared_width,
    )  # fmt: skip
    theirs = Blip2ForImageTextRetrieval(config).eval()
    state = model.blip2.state_dict()
    theirs.load_state_dict({k: v for k, v in state.items() if k != "temp" and not k.startswith("lm_head.")})
    return theirs


@pytest.mark.parametrize("pooling", ["frame_mean", "query_mean", "max", "lse"])
@torch.inference_mode()
def test_films_of_one_frame_score_as_images_of_hugging_face(pooling):
    """By the contrastive head, and matched: the sum of both scores, as LAVIS ranks."""
    model = tiny(pooling=pooling, frames=1, matching_frames=1, matched=0)
    theirs, (ids, mask), pixels = hugging_face(model), sentences(5), films(3, 1)
    contrast = theirs(pixels[:, 0], ids, mask, use_image_text_matching_head=False).logits_per_image.T
    found = model.similarity(model.encode_texts(ids, mask), model.encode_videos(pixels))
    torch.testing.assert_close(found, contrast, atol=1e-5, rtol=0)

    model.config = replace(model.config, matched=3)
    pairs = pixels[:, 0].repeat(5, 1, 1, 1), ids.repeat_interleave(3, 0), mask.repeat_interleave(3, 0)
    match = theirs(*pairs, use_image_text_matching_head=True).logits_per_image[:, 1].view(5, 3)
    found = model.similarity(model.encode_texts(ids, mask), model.encode_videos(pixels))
    torch.testing.assert_close(found, contrast + match, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_matching_reorders_the_best_and_keeps_the_rest_behind_them():
    model = tiny()
    texts, videos = model.encode_texts(*sentences(6)), model.encode_videos(films(8, 4))
    scores = model.similarity(texts, videos)
    model.config = replace(model.config, matched=0)
    cosines = model.similarity(texts, videos)
    order, before = scores.argsort(1, descending=True), cosines.argsort(1, descending=True)
    assert torch.equal(order[:, :3].sort(1).values, before[:, :3].sort(1).values)
    assert not torch.equal(order[:, :3], before[:, :3])
    assert torch.equal(order[:, 3:], before[:, 3:])
    rest = before[:, 3:]
    torch.testing.assert_close(scores.gather(1, rest), cosines.gather(1, rest) - BELOW)


@pytest.mark.parametrize("matching", ["concat", "frame_mean"])
@torch.inference_mode()
def test_match_of_several_frames(matching):
    """``frame_mean`` is the mean over single frames; ``concat`` one pass over the tokens of all."""
    model = tiny(matching=matching)
    (ids, mask), pixels = sentences(3), films(3, 4)
    texts, videos = model.encode_texts(ids, mask), model.encode_videos(pixels)
    assert videos["tokens"].shape[:2] == (3, 2)
    tokens = model.blip2.encode_frames(pixels[:, [1, 3]]).tokens
    if matching == "concat":
        expected = model.blip2.score_itm(tokens, ids, mask)
    else:
        expected = torch.stack([model.blip2.score_itm(tokens[:, [f]], ids, mask) for f in (0, 1)]).mean(0)
    torch.testing.assert_close(model.match(texts, videos), expected[:, 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["frame_mean", "query_mean", "max", "lse"])
@torch.inference_mode()
def test_the_order_of_frames_does_not_count(pooling):
    model = tiny(pooling=pooling, matched=0)
    texts, pixels = model.encode_texts(*sentences(5)), films(3, 4)
    forward, backward = (model.similarity(texts, model.encode_videos(x)) for x in (pixels, pixels.flip(1)))
    torch.testing.assert_close(forward, backward)


@torch.inference_mode()
def test_blip2_in_blocks_as_at_once():
    model = tiny()
    texts, videos = model.encode_texts(*sentences(7)), model.encode_videos(films(5, 4))
    whole = model.similarity(texts, videos)
    for block in (Block(1, 2), Block(3, 5)):
        torch.testing.assert_close(model.similarity(texts, videos, block), whole, atol=1e-5, rtol=0)


def test_contrast_with_any_positives_against_numpy():
    """Sheet, section 5: targets are shared among the positives, and smoothed by 0.1."""
    rng = np.random.default_rng(0)
    cosines, positive = rng.normal(size=(4, 4)), np.eye(4, dtype=bool)
    positive[0, 2] = positive[3, 1] = positive[3, 0] = True
    total = 0.0
    for scores, right in ((cosines / 0.07, positive), (cosines.T / 0.07, positive.T)):
        target = 0.9 * right / right.sum(1, keepdims=True) + 0.1 / 4
        top = scores.max(1, keepdims=True)
        log_softmax = scores - top - np.log(np.exp(scores - top).sum(1, keepdims=True))
        total -= (target * log_softmax).sum(1).mean() / 2
    found = losses.contrast(torch.tensor(cosines), torch.tensor(0.07), torch.tensor(positive))
    assert found.item() == pytest.approx(total, rel=1e-5)


def test_no_positive_is_drawn_as_a_negative():
    positive = torch.eye(4, dtype=torch.bool)
    positive[0, 2] = positive[0, 3] = True
    for seed in range(20):
        drawn = losses.draw_negatives(torch.zeros(4, 4), positive, torch.Generator().manual_seed(seed))
        assert not positive[torch.arange(4), drawn].any()
        assert drawn[0] == 1


def lavis_file(model):
    """What LAVIS would save for ``model``: the map of the sheet, the other way round."""
    file = {}
    for name, value in model.blip2.state_dict().items():
        for ours, theirs in (
            ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
            ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
            ("vision_model.embeddings.patch_embedding.", "visual_encoder.patch_embed.proj."),
            ("vision_model.encoder.layers.", "visual_encoder.blocks."),
            ("vision_model.post_layernorm.", "ln_vision."),
            ("embeddings.word_embeddings.", "Qformer.bert.embeddings.word_embeddings."),
            ("embeddings.position_embeddings.", "Qformer.bert.embeddings.position_embeddings."),
            ("qformer.layernorm.", "Qformer.bert.embeddings.LayerNorm."),
            ("qformer.encoder.", "Qformer.bert.encoder."),
            ("lm_head.bias", "Qformer.cls.predictions.bias"),
            ("lm_head.dense.", "Qformer.cls.predictions.transform.dense."),
            ("lm_head.norm.", "Qformer.cls.predictions.transform.LayerNorm."),
            ("vision_projection.", "vision_proj."),
            ("text_projection.", "text_proj."),
            (".layer_norm1.", ".norm1."),
            (".layer_norm2.", ".norm2."),
            (".self_attn.qkv.", ".attn.qkv."),
            (".self_attn.projection.", ".attn.proj."),
            (".attention.attention.", ".attention.self."),
            (".crossattention.attention.", ".crossattention.self."),
        ):
            name = theirs + name.removeprefix(ours) if name.startswith(ours) else name.replace(ours, theirs)
        file[name] = value
    for name in [name for name in file if name.endswith("attn.qkv.bias")]:
        query, _, value = file.pop(name).chunk(3)
        file[name.replace("qkv.bias", "q_bias")], file[name.replace("qkv.bias", "v_bias")] = query, value
    words = file["Qformer.bert.embeddings.word_embeddings.weight"]
    return file | {
        "Qformer.cls.predictions.decoder.weight": words,
        "Qformer.bert.embeddings.position_ids": torch.arange(16)[None],
    }


def test_a_file_of_lavis_is_renamed_whole():
    model = tiny()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        for layer in model.blip2.vision_model.encoder.layers:
            layer.self_attn.qkv.bias[32:64] = 0  # LAVIS has no bias for keys
    file = lavis_file(model)
    assert not any(name.startswith(("vision_model", "qformer", "embeddings")) for name in file)
    assert sum(name.endswith(BIASES) for name in file) == 4
    found, expected = lavis_names(file), model.blip2.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert lavis_names(found).keys() == expected.keys()


def test_blip2_has_the_published_size():
    config = Blip2Config.paper()
    with torch.device("meta"):
        model = Blip2(config, Blip2VideoRetriever(config.blip2))
    own = sum(p.numel() for name, p in model.named_parameters() if "temp" in name or "lm_head" in name)
    assert sum(p.numel() for p in model.parameters()) - own == 1_172_032_258


def test_mini_blip2_is_small():
    config = Blip2Config.mini(1240)
    with torch.device("meta"):
        model = Blip2(config, Blip2VideoRetriever(config.blip2))
    assert sum(p.numel() for p in model.parameters()) < 1.2e6


def test_blip2_overfits_16_pairs():
    before, after = recall_after_training(tiny(matched=0), frames=4, steps=60, rate=2e-3)
    assert before < 0.5
    assert after == 1.0


def test_a_hidden_frame_is_refused():
    with pytest.raises(ValueError, match="repeat the last frame"):
        tiny().encode_videos(films(1, 2), torch.tensor([[1, 0]]))


class Letters:
    """A tokenizer: a letter, a token."""

    cls_token_id, sep_token_id = 1, 2

    def __call__(self, texts, max_length, **_):
        return {"input_ids": [[ord(letter) for letter in text][-max_length:] for text in texts]}


def test_texts_are_lower_cased_cut_in_front_and_closed():
    ids, mask = tokenize(Letters(), ["aB", "abcdef"], 5, separator=True)
    assert ids.tolist() == [[1, 97, 98, 2, 0], [1, 100, 101, 102, 2]]
    assert mask.tolist() == [[1, 1, 1, 1, 0], [1] * 5]
    ids, _ = tokenize(Letters(), ["abcdef"], 5, separator=False)
    assert ids.tolist() == [[1, 99, 100, 101, 102]]
