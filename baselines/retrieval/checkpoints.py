"""The authors' checkpoints under our names.

Outside ``clip`` our modules bear the authors' names, so there is nothing to rename but the backbone, which
CLIP4Clip and TS2-Net (and X-Pool, if told to) keep under OpenAI's names and we under Hugging Face's:

=================================== =========================================================================
OpenAI                              Hugging Face
=================================== =========================================================================
``token_embedding.weight``          ``text_model.embeddings.token_embedding.weight``
``positional_embedding``            ``text_model.embeddings.position_embedding.weight``
``transformer.resblocks.N.``        ``text_model.encoder.layers.N.``
``ln_final.``                       ``text_model.final_layer_norm.``
``text_projection``                 ``text_projection.weight``, transposed
``visual.class_embedding``          ``vision_model.embeddings.class_embedding``
``visual.positional_embedding``     ``vision_model.embeddings.position_embedding.weight``
``visual.conv1.weight``             ``vision_model.embeddings.patch_embedding.weight``
``visual.conv2.weight``             ``vision_model.embeddings.patch_embedding.conv2.weight`` (CLIP4Clip's 3d patches)
``visual.ln_pre.``                  ``vision_model.pre_layrnorm.``
``visual.transformer.resblocks.N.`` ``vision_model.encoder.layers.N.``
``visual.ln_post.``                 ``vision_model.post_layernorm.``
``visual.proj``                     ``visual_projection.weight``, transposed
in a block: ``attn.in_proj_*``      ``self_attn.{q,k,v}_proj.*``, a third each
``attn.out_proj.``                  ``self_attn.out_proj.``
``ln_1.``, ``ln_2.``                ``layer_norm1.``, ``layer_norm2.``
``mlp.c_fc.``, ``mlp.c_proj.``      ``mlp.fc1.``, ``mlp.fc2.``
=================================== =========================================================================

TS2-Net wraps the attention of two layers: ``attn.net.`` is read as ``attn.``, and beats an ``attn.`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ivcr_bench.errors import IvcrError

_PREFIXES = (
    ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
    ("visual.conv2.", "vision_model.embeddings.patch_embedding.conv2."),
    ("visual.ln_pre.", "vision_model.pre_layrnorm."),
    ("visual.ln_post.", "vision_model.post_layernorm."),
    ("visual.proj", "visual_projection.weight"),
    ("transformer.resblocks.", "text_model.encoder.layers."),
    ("token_embedding.", "text_model.embeddings.token_embedding."),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final.", "text_model.final_layer_norm."),
    ("text_projection", "text_projection.weight"),
)
_TRANSPOSED = ("visual.proj", "text_projection")
_IN_BLOCK = (
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)
_DEAD = re.compile(
    r"(^|\.)(input_resolution|context_length|vocab_size)$"  # numbers that OpenAI's files carry along
    r"|\.position_ids$"  # a buffer of older versions of transformers
    r"|^(visual_prompt_encoder|text_token_selector)\."  # TS2-Net builds and saves these, and never runs them
    r"|^stochastic\.std_branch\.learnable_scalar$"  # so does T-MASS with uninitialised memory
)
_UNREAD = ("frame_position_embeddings.weight", "clip.vision_model.embeddings.patch_embedding.weight")
"""Saved by heads that do not read them: CLIP4Clip's ``seqLSTM``, and its flat patches beside 3d ones."""


@dataclass(frozen=True)
class Conversion:
    """A checkpoint under our names.

    Attributes:
        state: what loads into the model, in float32.
        missing: parameters of the model that the checkpoint lacks.
        unexpected: entries of the checkpoint that the model has no place for.
        ignored: entries that no model reads; nothing is lost with them.
    """

    state: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]


def convert_checkpoint(checkpoint: Mapping[str, Any], model: nn.Module) -> Conversion:
    """Rename what an author's file holds to what ``model`` calls it.

    Args:
        checkpoint: what `torch.load(..., weights_only=True)` gives: a state dict, or one under ``state_dict``.
        model: a retrieval baseline, or a `ClipBackbone` for OpenAI's own files; it may be on ``meta``.

    Raises:
        IvcrError: an entry has another shape than the model's.
    """
    state = checkpoint.get("state_dict", checkpoint)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    renamed = our_names(state, expected)
    ignored = [name for name in state if _DEAD.search(name)]
    ignored += [name for name in hugging_face_names(state) if name in _UNREAD and name not in expected]
    ours = {name: value for name, value in renamed.items() if name in expected}
    _check_shapes(ours, expected)
    return Conversion(
        {name: value.to(torch.float32).contiguous() for name, value in ours.items()},
        tuple(sorted(expected.keys() - renamed.keys())),
        tuple(sorted(renamed.keys() - expected.keys())),
        tuple(sorted(ignored)),
    )


def our_names(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """What a file of the authors holds, under our names, without what no model reads.

    Args:
        expected: names of the model.
    """
    renamed = hugging_face_names({name: value for name, value in state.items() if not _DEAD.search(name)})
    return {name: value for name, value in renamed.items() if name in expected or name not in _UNREAD}


def hugging_face_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone under Hugging Face's names; what lies outside it, or bears them already, stays as it is.

    The backbone is what is under ``clip.``, or all if nothing is.
    """
    inside = "clip." if any(name.startswith("clip.") for name in state) else ""
    renamed: dict[str, Tensor] = {}
    # Wrapped attention comes last, so that it replaces a stale copy beside it.
    for name in sorted(state, key=lambda name: ".attn.net." in name):
        if name.startswith(inside):
            bare = name.removeprefix(inside).replace(".attn.net.", ".attn.")
            renamed |= {inside + ours: value for ours, value in _from_openai(bare, state[name]).items()}
        else:
            renamed[name] = state[name]
    return renamed


def _from_openai(name: str, value: Tensor) -> dict[str, Tensor]:
    if name in _TRANSPOSED:
        value = value.T
    for theirs, ours in _PREFIXES:
        if name.startswith(theirs) and not name.startswith(ours):
            name = ours + name.removeprefix(theirs)
            break
    block, found, kind = name.partition(".attn.in_proj_")
    if found:
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{block}.self_attn.{letter}_proj.{kind}": part for letter, part in parts}
    if ".layers." in name:
        for theirs, ours in _IN_BLOCK:
            name = name.replace(theirs, ours)
    return {name: value}


def _check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, value in found.items():
        if tuple(value.shape) != expected[name]:
            raise IvcrError(
                f"{name}: found shape {tuple(value.shape)}, expected {expected[name]}",
                hint="the checkpoint belongs to another size or variant of the model",
            )
