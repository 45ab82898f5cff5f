import pytest
import torch
from transformers import Blip2Config, Blip2ForImageTextRetrieval

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever, score_itc

TINY = Blip2RetrieverConfig(
    image_size=28, patch_size=14, vision_width=32, vision_layers=2, vision_heads=4, vision_mlp=64,
    width=32, layers=2, heads=4, mlp=64, queries=4, vocab_size=50, max_text=16, shared_width=16,
)  # fmt: skip


def tiny(**changes) -> Blip2VideoRetriever:
    torch.manual_seed(0)
    return Blip2VideoRetriever(TINY if not changes else Blip2RetrieverConfig(**{**vars(TINY), **changes})).eval()


def texts(count: int, length: int = 7):
    ids = torch.randint(1, 50, (count, length))
    mask = torch.ones_like(ids)
    mask[0, length - 3 :] = 0
    return ids.masked_fill(mask == 0, 0), mask


def hugging_face(model: Blip2VideoRetriever) -> Blip2ForImageTextRetrieval:
    config = Blip2Config(
        vision_config=model.config.vision().to_dict(),
        qformer_config=model.config.qformer().to_dict(),
        num_query_tokens=model.config.queries,
        image_text_hidden_size=model.config.shared_width,
    )
    theirs = Blip2ForImageTextRetrieval(config).eval()
    ours = {k: v for k, v in model.state_dict().items() if k != "temp" and not k.startswith("lm_head.")}
    theirs.load_state_dict(ours)
    return theirs


@torch.inference_mode()
def test_scores_are_those_of_hugging_face():
    model = tiny()
    theirs = hugging_face(model)
    pixels, (ids, mask) = torch.randn(3, 3, 28, 28), texts(5)
    frames = model.encode_frames(pixels[:, None])
    expected = theirs(pixels, ids, mask, use_image_text_matching_head=False).logits_per_image
    found = score_itc(frames.itc, model.encode_text(ids, mask)).T
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    expected = theirs(pixels, ids[:3], mask[:3], use_image_text_matching_head=True).logits_per_image
    torch.testing.assert_close(model.score_itm(frames.tokens, ids[:3], mask[:3]), expected, atol=1e-5, rtol=0)


def test_published_size():
    """Without our temperature and LM head, as many parameters as Hugging Face's class has."""
    with torch.device("meta"):
        model = Blip2VideoRetriever(Blip2RetrieverConfig())
    own = {"temp", "lm_head.dense.weight", "lm_head.dense.bias", "lm_head.norm.weight", "lm_head.norm.bias"}
    own.add("lm_head.bias")
    assert sum(p.numel() for n, p in model.named_parameters() if n not in own) == 1_172_032_258


@pytest.mark.parametrize("pooling", ["frame_mean", "query_mean", "max", "lse"])
def test_one_frame_scores_as_the_image_and_frame_order_does_not_count(pooling):
    itc = torch.nn.functional.normalize(torch.randn(3, 5, 4, 16), dim=-1)
    text = torch.nn.functional.normalize(torch.randn(2, 16), dim=-1)
    image = torch.einsum("td,vqd->tvq", text, itc[:, 0]).amax(-1)
    torch.testing.assert_close(score_itc(itc[:, :1], text, pooling), image)
    turned = itc[:, torch.tensor([3, 1, 4, 0, 2])]
    torch.testing.assert_close(score_itc(turned, text, pooling), score_itc(itc, text, pooling))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.inference_mode()
def test_generation_sees_the_film_and_the_past_only(attention):
    model = tiny(initializer_range=0.2)
    model.qformer.config._attn_implementation = attention
    ids, mask = texts(2)
    mask[:] = 1
    tokens = model.encode_frames(torch.randn(2, 3, 3, 28, 28)).tokens
    before = model.generate_logits(tokens, ids, mask)
    ids[:, 4] = 49 - ids[:, 4]
    after = model.generate_logits(tokens, ids, mask)
    torch.testing.assert_close(after[:, :4], before[:, :4], atol=1e-6, rtol=0)
    assert (after[:, 4:] - before[:, 4:]).abs().amax(-1).min() > 1e-4
    other = model.generate_logits(tokens.flip(0), ids, mask)
    assert (other - after).abs().max() > 1e-4


def test_losses_start_near_chance_and_reach_every_part():
    model = tiny(stem="conv", patch_size=4, tubelet=2)
    ids, mask = texts(6)
    parts = model.training_losses(
        torch.randn(6, 2, 6, 28, 28), ids, mask, torch.arange(6), decoder_start=1,
        tags=torch.zeros(6, 50).scatter_(1, ids, 1.0), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert parts["itm"].item() == pytest.approx(0.69, abs=0.2)
    assert parts["itg"].item() == pytest.approx(3.91, abs=0.3)  # ln 50
    sum(parts.values()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_stem_needs_a_power_of_two():
    with pytest.raises(ValueError, match="patch_size is 14"):
        tiny(stem="conv")
