from dataclasses import replace

import numpy as np
import openai_clip
import pytest
import torch
from retrieval_cases import TINY

from baselines.retrieval.checkpoints import convert_checkpoint
from baselines.retrieval.clip4clip import Clip4Clip, Clip4ClipConfig
from baselines.retrieval.clip_backbone import ClipBackbone
from ivcr_bench.errors import IvcrError

SIZE = replace(TINY, vision_layers=2)


def model(head="meanP", **options):
    return Clip4Clip(Clip4ClipConfig(SIZE, head, frames=4, layers=2, **options), ClipBackbone.build(SIZE))


def authors_file(target, **extra):
    """What CLIP4Clip saves for ``target``: CLIP in float16 under OpenAI's names, the head under its own."""
    clip = openai_clip.random_state(np.random.default_rng(0))
    state = {f"clip.{name}": torch.as_tensor(value).half() for name, value in clip.items()}
    head = {name: value + 1 for name, value in target.state_dict().items() if not name.startswith("clip.")}
    return {**state, **head, **extra}


@pytest.mark.parametrize("head", ["meanP", "seqLSTM", "seqTransf", "tightTransf"])
def test_a_file_of_clip4clip_loads_whole(head):
    target = model(head)
    file = authors_file(target)
    found = convert_checkpoint(file, target)
    assert (found.missing, found.unexpected) == ((), ())
    assert found.ignored == ("clip.context_length", "clip.input_resolution", "clip.vocab_size")
    target.load_state_dict(found.state)
    in_proj = file["clip.transformer.resblocks.1.attn.in_proj_weight"].float()
    attention = target.clip.text_model.encoder.layers[1].self_attn
    assert torch.equal(attention.k_proj.weight, in_proj[32:64])
    assert torch.equal(target.clip.visual_projection.weight, file["clip.visual.proj"].float().T)
    assert all(value.dtype == torch.float32 for value in found.state.values())


def test_what_is_missing_and_what_is_too_much_is_reported():
    target = model("seqTransf")
    file = authors_file(target, stray=torch.zeros(1))
    del file["transformerClip.resblocks.0.ln_1.weight"], file["clip.visual.proj"]
    found = convert_checkpoint(file, target)
    assert found.missing == ("clip.visual_projection.weight", "transformerClip.resblocks.0.ln_1.weight")
    assert found.unexpected == ("stray",)


def test_tables_that_a_head_saves_without_reading_are_ignored():
    table = {"frame_position_embeddings.weight": torch.zeros(16, 32)}
    found = convert_checkpoint(authors_file(model("seqLSTM"), **table), model("seqLSTM"))
    assert "frame_position_embeddings.weight" in found.ignored
    assert found.unexpected == ()


def test_3d_patches_load_beside_flat_ones():
    target = model(patches="3d")
    kernel = torch.randn(32, 3, 3, 8, 8)
    found = convert_checkpoint(authors_file(target, **{"clip.visual.conv2.weight": kernel}), target)
    assert (found.missing, found.unexpected) == ((), ())
    assert "clip.vision_model.embeddings.patch_embedding.weight" in found.ignored
    target.load_state_dict(found.state)
    assert torch.equal(target.clip.vision_model.embeddings.patch_embedding.conv2.weight, kernel)


def test_hugging_face_names_and_an_optimiser_beside_them():
    target = model()
    state = target.state_dict() | {"clip.text_model.embeddings.position_ids": torch.arange(16)[None]}
    found = convert_checkpoint({"epoch": 3, "state_dict": state, "optimizer": {}}, target)
    assert (found.missing, found.unexpected) == ((), ())
    assert found.ignored == ("clip.text_model.embeddings.position_ids",)
    target.load_state_dict(found.state)


def test_another_size_is_named():
    file = authors_file(model("seqTransf"))
    file["transformerClip.resblocks.0.ln_1.weight"] = torch.zeros(33)
    with pytest.raises(IvcrError, match=r"ln_1.weight: found shape \(33,\), expected \(32,\)"):
        convert_checkpoint(file, model("seqTransf"))


def test_checkpoints_convert_onto_a_model_without_memory():
    file = authors_file(model("seqTransf"))
    with torch.device("meta"):
        target = model("seqTransf")
    assert convert_checkpoint(file, target).missing == ()
