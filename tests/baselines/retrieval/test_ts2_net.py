from dataclasses import replace
from itertools import product

import numpy as np
import openai_clip
import pytest
import torch
from retrieval_cases import (
    GOLDEN,
    TINY,
    close,
    fill_by_name,
    films,
    golden_clip,
    recall_after_training,
    sentences,
    wave,
)

from baselines.retrieval.checkpoints import convert_checkpoint
from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.protocol import Block, Encoded
from baselines.retrieval.ts2_net import Ts2Net, Ts2NetConfig, frame_softmax, shift_tokens, shifted_places


def tiny(**options):
    torch.manual_seed(0)
    return Ts2Net(Ts2NetConfig(TINY, frames=4, layers=2, samples=50, **options), ClipBackbone.build(TINY))


def golden(masks="fixed"):
    model = Ts2Net(Ts2NetConfig(replace(GOLDEN, image_size=24), frames=3, layers=2, masks=masks), golden_clip()).eval()
    own = ("frame_position_embeddings", "transformerClip", "visual_token_selector")
    fill_by_name(model, own, ("ln_1.weight", "ln_2.weight", "in_conv.0.weight"))
    return model


def test_golden_scores_of_tokens():
    tokens = wave(2, 5, 8, step=0.23, start=0.5)
    close(
        golden().visual_token_selector.score_predictor(tokens),
        [[0.00019, -0.02519, -0.03540, -0.02350, -0.01268], [0.02158, 0.05378, 0.14866, 0.04050, 0.04672]],
    )


@pytest.mark.parametrize(
    ("mask", "masks", "expected"),
    [
        ([[1, 1, 1], [1, 1, 1]], "fixed", [[14.69374, 1.66666], [-12.21281, 16.25986]]),
        ([[1, 1, 1], [1, 1, 0]], "upstream", [[14.69374, 3.49643], [-12.21281, 10.71808]]),
        ([[1, 1, 1], [1, 1, 0]], "fixed", [[14.69374, 2.72559], [-12.21281, 10.42951]]),
    ],
)
def test_golden_scores_of_ts2_net(mask, masks, expected):
    model = golden(masks)
    selected = wave(2, 12, 8, step=0.17, start=2).view(2, 3, 4, 8)
    videos = model.index_selected(selected, torch.tensor(mask))
    close(model.similarity(Encoded(vectors=wave(2, 8, step=0.3, start=1)), videos), expected)


def test_the_shifted_places_of_the_published_sizes():
    assert shifted_places(50) == (list(range(1, 50, 7)), list(range(4, 50, 7)))
    assert shifted_places(197) == ([1, 29, 57, 85, 113, 141, 169], [4, 32, 60, 88, 116, 144, 172])


def test_where_both_directions_want_a_place_the_frame_after_wins():
    """Of 10 tokens, one in 1: places 1, 2, 3 from before; 4 to 9 from after."""
    assert shifted_places(10) == ([1, 2, 3], [4, 5, 6, 7, 8, 9])


def test_too_few_tokens_are_refused():
    with pytest.raises(ValueError, match="5 tokens"):
        shifted_places(5)


def test_a_shift_of_three_frames():
    """Token values are 10 * frame + place; 14 tokens, fold 2: odd places from before, even ones from 4 from after."""
    x = (10.0 * torch.arange(3)[:, None] + torch.arange(14) / 10)[..., None]
    shifted = shift_tokens(x, 3)[..., 0]
    odd, even = slice(1, 14, 2), slice(4, 14, 2)
    assert torch.equal(shifted[:, odd], x[[0, 0, 1], odd, 0])
    assert torch.equal(shifted[:, even], x[[1, 2, 2], even, 0])
    assert torch.equal(shifted[:, [0, 2]], x[:, [0, 2], 0])


def in_numpy(frames):
    """What the attention of the last two of three layers reads, written out token by token."""

    def before_attention(layer, x):
        if layer == 0:
            return x
        shifted = x.copy()
        for row, place in product(range(len(x)), range(x.shape[1])):
            if place >= 4 and place % 2 == 0 and row % frames < frames - 1:
                shifted[row, place] = x[row + 1, place]
            if place % 2 == 1 and row % frames > 0:
                shifted[row, place] = x[row - 1, place]
        return shifted

    return before_attention


def test_a_file_of_ts2_net_loads_whole_and_encodes_as_its_tower():
    """CLIP under OpenAI's names, the attention of the last two layers wrapped, with a stale copy beside one."""
    model = tiny().eval()
    clip = openai_clip.random_state(np.random.default_rng(0), vision_layers=3)
    state = {f"clip.{name}": torch.as_tensor(value) for name, value in clip.items()}
    for layer in (1, 2):
        prefix = f"clip.visual.transformer.resblocks.{layer}.attn."
        for name in [name for name in state if name.startswith(prefix)]:
            state[name.replace(".attn.", ".attn.net.")] = state[name]
            state[name] = torch.zeros_like(state[name])
            if layer == 2:
                del state[name]
    head = {name: value for name, value in model.state_dict().items() if not name.startswith("clip.")}
    dead = {"visual_prompt_encoder.conv1.weight": torch.zeros(1), "text_token_selector.x": torch.zeros(1)}
    found = convert_checkpoint({**state, **head, **dead}, model)
    assert (found.missing, found.unexpected) == ((), ())
    model.load_state_dict(found.state)
    pixels = films(2, 4)
    expected = openai_clip.image_tokens(clip, pixels.flatten(0, 1).numpy(), 2, in_numpy(4)).reshape(2, 4, 17, 32)
    with torch.no_grad():
        np.testing.assert_allclose(model.encode_frames(pixels)["tokens"], expected, atol=1e-4)


def test_frames_see_their_neighbours_and_no_further():
    """Two shifted layers: a change in frame 0 reaches frames 1 and 2 of the tower's output, but not frame 3."""
    model, pixels = tiny().eval(), films(1, 4)
    before = model.encode_frames(pixels)["tokens"]
    pixels[:, 0] = 0
    changed = (model.encode_frames(pixels)["tokens"] - before).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert changed.tolist() == [True, True, True, False]


def test_films_of_another_length_are_refused():
    with pytest.raises(ValueError, match="films of 3 frames, expected 4"):
        tiny().encode_videos(films(1, 3))


@pytest.mark.parametrize("selection", ["sample", "hard"])
def test_a_film_is_encoded_alike_alone_and_among_others(selection):
    model, pixels = tiny(selection=selection).eval(), films(5, 4)
    with torch.no_grad():
        whole, alone = model.encode_videos(pixels), model.encode_videos(pixels[3:4])
    torch.testing.assert_close(alone["frames"], whole["frames"][3:4], atol=1e-5, rtol=0)


def test_the_noise_of_scoring_is_one_of_many_draws():
    """Shares of 500 samples against the mean of 8 draws: within 5 standard errors of their difference."""
    torch.manual_seed(0)
    selector = Ts2Net(replace(tiny().config, samples=500), ClipBackbone.build(TINY)).visual_token_selector
    scores = selector.score_predictor(torch.randn(2, 17, 32))[:, 1:].detach()
    drawn = torch.stack([selector.train()._choice(scores) for _ in range(8)]).mean(0)
    error = (drawn * (1 - drawn) / 500 * (1 + 1 / 8)).sqrt() + 1e-3
    assert ((selector.eval()._choice(scores) - drawn).abs() < 5 * error).all()


def test_hard_selection_keeps_the_patches_of_the_highest_scores():
    selector = tiny(selection="hard").eval().visual_token_selector
    tokens = torch.randn(1, 17, 32)
    best = selector.score_predictor(tokens)[0, 1:].topk(3).indices.sort().values + 1
    assert torch.equal(selector(tokens)[0], tokens[0, [0, *best.tolist()]])


def test_ts2_net_in_blocks_as_at_once():
    model = tiny().eval()
    with torch.no_grad():
        mask = (torch.arange(4) < torch.randint(1, 5, (11, 1))).long()
        texts, videos = model.encode_texts(*sentences(7)), model.encode_videos(films(11, 4), mask)
        whole = model.similarity(texts, videos, Block(7, 11))
        for block in map(Block._make, product((1, 3), (1, 4))):
            torch.testing.assert_close(model.similarity(texts, videos, block), whole, atol=1e-5, rtol=0)


def test_masked_frames_weigh_nothing_and_a_film_without_any_gives_numbers():
    texts = Encoded(vectors=torch.randn(2, 8))
    frames = torch.nn.functional.normalize(torch.randn(1, 3, 8), dim=-1)
    padded = torch.cat([frames, torch.ones(1, 2, 8)], 1)
    full = frame_softmax(texts, Encoded(frames=frames, mask=torch.ones(1, 3)))
    masked = frame_softmax(texts, Encoded(frames=padded, mask=torch.tensor([[1, 1, 1, 0, 0]])))
    torch.testing.assert_close(masked, full)
    assert frame_softmax(texts, Encoded(frames=frames, mask=torch.zeros(1, 3))).isfinite().all()


@pytest.mark.parametrize(("activation", "learns"), [("tanh", True), ("softmax", False)])
def test_the_scorer_learns_unless_its_softmax_is_over_one_element(activation, learns):
    model = tiny(activation=activation).train()
    model.loss(model.encode_texts(*sentences(4)), model.encode_videos(films(4, 4))).backward()
    gradient = model.visual_token_selector.score_predictor.in_conv[1].weight.grad
    assert (gradient is not None and gradient.abs().max().item() > 0) == learns


def test_ts2_net_has_the_published_size():
    config = Ts2NetConfig.paper()
    with torch.device("meta"):
        model = Ts2Net(config, ClipBackbone.build(config.clip))
    outside = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("clip."))
    scorer = 2 * 512 + 512 * 256 + 512 * 256 + 256
    assert outside == 4 * 3_152_384 + 77 * 512 + scorer
    assert (config.frames, config.samples, config.sigma, config.selected) == (12, 500, 0.05, 3)


def test_ts2_net_overfits_16_pairs():
    before, after = recall_after_training(tiny(scorer_std=0.1), frames=4, steps=30, rate=2e-3)
    assert before < 0.5
    assert after == 1.0
