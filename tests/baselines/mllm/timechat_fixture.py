"""A tiny TimeChat, what its authors would save of it, and a tokenizer whose tokens can be told from the text."""

import torch
from lavis_reference import qformer_shapes, random_state, vit_shapes

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm.llama import LlamaSizes
from baselines.mllm.lora import LoraSizes
from baselines.mllm.timechat import TimeChat, TimeChatConfig
from baselines.mllm.timechat.conversion import convert_checkpoint

FRAMES, QUERIES, HEADS = 10, 5, 4
BLIP2 = Blip2RetrieverConfig(
    image_size=28, vision_width=64, vision_layers=3, vision_heads=HEADS, vision_mlp=96, width=48, layers=4, heads=HEADS,
    mlp=80, queries=QUERIES, vocab_size=101, max_text=16,
)  # fmt: skip
TINY = TimeChatConfig(
    blip2=BLIP2,
    width=48,
    frames=FRAMES,
    window=4,
    stride=4,
    window_tokens=6,
    video_heads=HEADS,
    video_mlp=80,
    llama=LlamaSizes(vocab_size=256, hidden=64, layers=2, heads=4, mlp=128, positions=2048, initializer_range=0.1),
    lora=LoraSizes(rank=4, alpha=8),
    prompt_style="train",
)
ADAPTED = [f"model.layers.{layer}.self_attn.{name}" for layer in range(2) for name in TINY.lora.targets]
BEGIN, END = 1, 2


def letters(text):
    """Ids of a text: ``▁`` (32) in front as LLaMA's tokenizer has it, then one a letter, ``<s>`` or ``</s>``."""
    ids = [32]
    while text:
        mark = next((mark for mark in ("</s>", "<s>") if text.startswith(mark)), "")
        ids.append({"</s>": END, "<s>": BEGIN}[mark] if mark else min(ord(text[0]), 255))
        text = text[len(mark or " ") :]
    return ids


def decode(ids):
    return "".join({BEGIN: "<s>", END: "</s>"}.get(number) or chr(number) for number in ids)


def authors_file(std=0.2):
    """A checkpoint with all that it builds on; every number random."""
    shapes = vit_shapes(64, 3, 96, 28, 14)
    shapes |= qformer_shapes("Qformer", 48, 4, 80, 64, 2, vocabulary=101, positions=16)
    shapes |= qformer_shapes("video_Qformer", 48, 2, 80, 48, 1)
    shapes |= {
        "query_tokens": (1, QUERIES, 48),
        "video_query_tokens": (1, 6, 48),
        "video_frame_position_embedding.weight": (FRAMES, 48),
        "llama_proj.weight": (64, 48),
        "llama_proj.bias": (64,),
    }
    with torch.device("meta"):
        llama = TINY.llama.build().state_dict()
    shapes |= {name: tuple(value.shape) for name, value in llama.items()}
    for module in ADAPTED:
        shapes[f"llama_model.base_model.model.{module}.lora_A.default.weight"] = (4, 64)
        shapes[f"llama_model.base_model.model.{module}.lora_B.default.weight"] = (64, 4)
    unread = {
        "Qformer.bert.embeddings.position_ids": torch.arange(16)[None],
        "video_Qformer.bert.embeddings.position_ids": torch.arange(16)[None],
        "llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
    }
    return random_state(shapes, std) | unread


def loaded(state):
    model = TimeChat(TINY)
    model.load_state_dict(convert_checkpoint(state, TINY), strict=True)
    return model.eval()
