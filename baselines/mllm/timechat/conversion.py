"""The authors' checkpoint, with the models that it builds on, under our names.

=========================================== ========================================================
authors'                                    ours
=========================================== ========================================================
``visual_encoder.``, ``ln_vision.``         under ``frame_encoder.`` as `lavis_names` says
``Qformer.bert.``, ``query_tokens``         under ``frame_encoder.`` as `lavis_names` says
``video_Qformer.bert.``                     ``video_qformer.``, inside as ``Qformer.bert.``
``video_query_tokens``                      the same
``video_frame_position_embedding.``         the same, stretched to the model's number of frames
``llama_proj.``                             the same
``llama_model.base_model.model.*.lora_*``   merged into ``language_model.``
``model.``, ``lm_head.`` (LLaMA-2's files)  under ``language_model.``
=========================================== ========================================================

The checkpoint (its ``model``, without the optimiser) holds what was trained: Q-Formers, projection, LoRA. ViT and
``ln_vision`` are those of BLIP-2, by LAVIS or by Hugging Face; the LLaMA is LLaMA-2-7B-chat.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from baselines.mllm import lora
from baselines.mllm.timechat.config import TimeChatConfig
from baselines.retrieval.blip2 import lavis_names

_FRAMES = ("visual_encoder.", "ln_vision.", "Qformer.", "query_tokens", "vision_model.")
_LLAMA = ("model.", "lm_head.")
_UNREAD = (".position_ids", ".rotary_emb.inv_freq")
_POSITIONS = "video_frame_position_embedding.weight"
_ADAPTER = "llama_model."


def convert_checkpoint(state: Mapping[str, Tensor], config: TimeChatConfig) -> dict[str, Tensor]:
    """Rename the tensors of the authors' checkpoint, of BLIP-2's ViT and of LLaMA-2 for a `TimeChat`.

    Raises:
        IvcrError: the adapter has no counterpart in the LLaMA.
    """
    read = {name: value for name, value in state.items() if not name.endswith(_UNREAD)}
    adapter = lora.adapter_factors({name: value for name, value in read.items() if name.startswith(_ADAPTER)})
    base = {name: value for name, value in read.items() if name.startswith(_LLAMA)}
    frames = lavis_names({name: value for name, value in read.items() if name.startswith(_FRAMES)})
    video = {name.removeprefix("video_"): value for name, value in read.items() if name.startswith("video_Qformer.")}
    renamed = {f"frame_encoder.{name}": value for name, value in frames.items()}
    renamed |= {f"video_{name}": value for name, value in lavis_names(video).items()}
    renamed |= {f"language_model.{name}": value for name, value in lora.merge(base, adapter, config.lora.scale).items()}
    known = (_ADAPTER, "video_Qformer.", *_LLAMA, *_FRAMES)
    renamed |= {name: value for name, value in read.items() if not name.startswith(known)}
    if _POSITIONS in renamed:
        renamed[_POSITIONS] = stretched(renamed[_POSITIONS], config.frames)
    return renamed


def stretched(positions: Tensor, frames: int) -> Tensor:
    """A table of frame positions for more or fewer frames: each row is the nearest one of the table."""
    if len(positions) == frames:
        return positions
    return F.interpolate(positions.T.unsqueeze(0), size=frames, mode="nearest").squeeze(0).T.contiguous()
