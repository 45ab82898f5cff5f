from dataclasses import replace

import numpy as np
import openai_clip
import pytest
import torch
from retrieval_cases import EOS, TINY, films, sentences
from safetensors.torch import load_file, save_file

from baselines.backbones.tokenizer import BEGIN, END, train_tokenizer
from baselines.retrieval.checkpoints import convert_checkpoint
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig, tokenize
from ivcr_bench.errors import IvcrError

TWO_LAYERS = replace(TINY, vision_layers=2)


@pytest.fixture
def openai():
    return openai_clip.random_state(np.random.default_rng(0))


def loaded(state) -> ClipBackbone:
    clip = ClipBackbone.build(TWO_LAYERS).eval()
    clip.load_state_dict(convert_checkpoint({k: torch.as_tensor(v) for k, v in state.items()}, clip).state)
    return clip


def test_frames_as_openai_encodes_them(openai):
    pixels = films(2, 3)
    expected = openai_clip.image_tokens(openai, pixels.flatten(0, 1).numpy(), heads=2).reshape(2, 3, 17, 32)
    clip = loaded(openai)
    with torch.no_grad():
        np.testing.assert_allclose(clip.frame_tokens(pixels), expected, atol=1e-4)
        np.testing.assert_allclose(clip.frame_vectors(pixels), expected[:, :, 0], atol=1e-4)


def test_sentences_as_openai_encodes_them(openai):
    ids, mask = sentences(5)
    with torch.no_grad():
        found = loaded(openai).text_features(ids, mask)
    np.testing.assert_allclose(found.sentence, openai_clip.sentence_vectors(openai, ids.numpy(), heads=2), atol=1e-4)
    last = mask.sum(1) - 1
    assert torch.equal(ids[torch.arange(5), last], torch.full((5,), EOS))
    torch.testing.assert_close(found.tokens[torch.arange(5), last], found.sentence)


def test_padding_does_not_change_a_sentence(openai):
    clip = loaded(openai)
    ids, mask = sentences(1, length=4)
    longer = torch.nn.functional.pad(ids, (0, 5)), torch.nn.functional.pad(mask, (0, 5))
    torch.testing.assert_close(clip.sentence_vectors(*longer), clip.sentence_vectors(ids, mask))


@pytest.mark.parametrize(("config", "expected"), [(ClipConfig(), 151_277_313), (ClipConfig.patch16(), 149_620_737)])
def test_clip_has_the_published_size(config, expected):
    with torch.device("meta"):
        clip = ClipBackbone.build(config)
    assert sum(parameter.numel() for parameter in clip.parameters()) == expected


def test_mini_is_small_and_has_the_grid_of_patch32():
    with torch.device("meta"):
        mini, paper = (ClipBackbone.build(config) for config in (ClipConfig.mini(2000, 7), ClipConfig()))
    assert sum(parameter.numel() for parameter in mini.parameters()) < 2.3e6
    assert mini.vision_model.embeddings.num_patches == paper.vision_model.embeddings.num_patches == 49


def test_saved_and_loaded_again(tmp_path):
    clip = ClipBackbone.build(TINY).eval()
    clip.save_pretrained(tmp_path)
    pixels = films(1, 2)
    torch.testing.assert_close(ClipBackbone.load(tmp_path).frame_vectors(pixels), clip.frame_vectors(pixels))


@pytest.mark.parametrize("damage", ["absent", "truncated", "pickled", "foreign", "partial"])
def test_a_folder_that_is_no_clip_is_named(tmp_path, damage):
    weights = tmp_path / "model.safetensors"
    if damage != "absent":
        ClipBackbone.build(TINY).save_pretrained(tmp_path)
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    if damage == "pickled":
        torch.save({}, tmp_path / "pytorch_model.bin")
        weights.unlink()
    if damage == "foreign":
        ClipBackbone.build(replace(TINY, width=16)).save_pretrained(tmp_path / "other")
        (tmp_path / "other" / "model.safetensors").replace(weights)
    if damage == "partial":
        state = load_file(weights)
        del state["visual_projection.weight"]
        save_file(state, weights, {"format": "pt"})
    with pytest.raises(IvcrError, match="no CLIP here"):
        ClipBackbone.load(tmp_path)


def test_an_end_token_of_2_is_refused():
    with pytest.raises(ValueError, match="eos_token_id is 2"):
        replace(TINY, eos_token_id=2).hugging_face()


def test_tokens_begin_and_end_whatever_the_length():
    tokenizer = train_tokenizer(["a red star at night"], vocab_size=150)
    begin, end = tokenizer.convert_tokens_to_ids([BEGIN, END])
    ids, mask = tokenize(tokenizer, ["A red star", "a red star at night, a red star at night"], longest=8)
    assert ids.shape == mask.shape == (2, 8)
    assert ids[:, 0].tolist() == [begin, begin]
    last = mask.sum(1) - 1
    assert ids[[0, 1], last].tolist() == [end, end]
    assert last[0] < last[1] == 7
    assert not ids[0, last[0] + 1 :].any()
