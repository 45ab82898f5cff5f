"""The authors' checkpoint under our names.

``zwli/GroundingGPT`` is one folder of shards with everything but CLIP:

=============================================== ===============================================================
theirs                                          ours
=============================================== ===============================================================
``model.embed_tokens.``, ``model.layers.N.``,   the same under ``llama.``
``model.norm.``, ``lm_head.``
``model.visual_encoder.``, ``model.ln_vision.`` ``frames.vision_model.``, as `lavis_names` renames LAVIS's
``model.Qformer.bert.``                         ``frames.qformer.``, likewise
``model.query_tokens``                          ``frames.query_tokens``
``model.video_Qformer.bert.``                   ``video.qformer.``, likewise
``model.video_query_tokens``                    ``video.query_tokens``
``model.video_frame_position_embedding.``       ``video.frame_positions.``
``model.llama_proj.``                           ``video.projection.``
``model.mm_vision_projector.``,                 nothing: images and sound are left out
``model.audio_*``
=============================================== ===============================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from baselines.retrieval.blip2 import lavis_names

_LLAMA = ("model.embed_tokens.", "model.layers.", "model.norm.", "lm_head.")
_FRAMES = ("visual_encoder.", "ln_vision.", "Qformer.", "query_tokens")
_VIDEO = (
    ("video_query_tokens", "query_tokens"),
    ("video_frame_position_embedding.", "frame_positions."),
    ("llama_proj.", "projection."),
)
_LEFT_OUT = ("mm_vision_projector.", "audio_", "vision_tower.")
_BUFFERS = (".position_ids", ".rotary_emb.inv_freq")
_HUGGING_FACE = ("vision_model.", "qformer.", "query_tokens")


def convert_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model has of a checkpoint, under our names; what it has no name for stays as it is."""
    kept = {name: value for name, value in state.items() if not name.endswith(_BUFFERS)}
    llama = {f"llama.{name}": value for name, value in kept.items() if name.startswith(_LLAMA)}
    rest = {name.removeprefix("model."): value for name, value in kept.items() if not name.startswith(_LLAMA)}
    rest = {name: value for name, value in rest.items() if not name.startswith(_LEFT_OUT)}
    frames = {name: rest.pop(name) for name in list(rest) if name.startswith(_FRAMES)}
    video = {name.removeprefix("video_"): rest.pop(name) for name in list(rest) if name.startswith("video_Qformer.")}
    for theirs, ours in _VIDEO:
        video |= {ours + name.removeprefix(theirs): rest.pop(name) for name in list(rest) if name.startswith(theirs)}
    return {
        **llama,
        **{f"frames.{name}": value for name, value in lavis_names(frames).items()},
        **{f"video.{name}": value for name, value in lavis_names(video).items()},
        **rest,
    }


def frozen_parts(blip2: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder of frames from Hugging Face's ``Salesforce/blip2-flan-t5-xxl``, for a checkpoint without it."""
    return {f"frames.{name}": value for name, value in blip2.items() if name.startswith(_HUGGING_FACE)}
