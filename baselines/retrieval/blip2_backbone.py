"""Where the BLIP-2 of the baseline comes from: InterLLaVA's first phase, or a checkpoint of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import Blip2ForImageTextRetrieval

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever
from baselines.interllava.phase1 import load_phase1
from ivcr_bench.errors import IvcrError

OURS = ("temp", "lm_head.")
"""What Hugging Face's class lacks; it starts afresh."""


def load_blip2(source: str | Path) -> Blip2VideoRetriever:
    """Read a BLIP-2 from this machine; nothing is downloaded.

    Args:
        source: a folder of InterLLaVA's first phase, a folder as Hugging Face's `Blip2ForImageTextRetrieval` is
            saved, or such a Hugging Face name that is in the local cache.

    Raises:
        IvcrError: there is no such model.
    """
    if (Path(source) / "blip2.safetensors").is_file():
        return load_phase1(Path(source)).blip2.requires_grad_(True)
    try:
        loaded: Any = Blip2ForImageTextRetrieval.from_pretrained(
            str(source), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise _no_blip2(source, str(error).splitlines()[0]) from None
    theirs, report = loaded
    if report["missing_keys"]:
        raise _no_blip2(source, f"it lacks {min(report['missing_keys'])}")
    ours = Blip2VideoRetriever(_sizes(theirs.config))
    fresh = {name: value for name, value in ours.state_dict().items() if name.startswith(OURS)}
    ours.load_state_dict({name: value.float() for name, value in theirs.state_dict().items()} | fresh)
    return ours


def _sizes(config: Any) -> Blip2RetrieverConfig:
    vision, qformer = config.vision_config, config.qformer_config
    return Blip2RetrieverConfig(
        image_size=vision.image_size,
        patch_size=vision.patch_size,
        vision_width=vision.hidden_size,
        vision_layers=vision.num_hidden_layers,
        vision_heads=vision.num_attention_heads,
        vision_mlp=vision.intermediate_size,
        vision_norm_eps=vision.layer_norm_eps,
        width=qformer.hidden_size,
        layers=qformer.num_hidden_layers,
        heads=qformer.num_attention_heads,
        mlp=qformer.intermediate_size,
        cross_attention_frequency=qformer.cross_attention_frequency,
        queries=config.num_query_tokens,
        vocab_size=qformer.vocab_size,
        max_text=qformer.max_position_embeddings,
        shared_width=config.image_text_hidden_size,
        dropout=qformer.hidden_dropout_prob,
    )


def _no_blip2(source: str | Path, reason: str) -> IvcrError:
    hint = "name a folder of InterLLaVA's phase 1, or of Blip2ForImageTextRetrieval with config.json"
    return IvcrError(f"{source}: no BLIP-2 here: {reason}", hint=hint)
