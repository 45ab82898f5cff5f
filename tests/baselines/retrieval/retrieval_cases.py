"""What the tests of the retrieval baselines share: parameters by formula, tiny backbones, a batch to overfit."""

import torch
from torch import Tensor, nn

from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig

EOS = 63
TINY = ClipConfig(
    image_size=32, patch_size=8, vision_width=32, vision_layers=3, vision_heads=2,
    text_width=32, text_layers=2, text_heads=2, width=32, vocab_size=64, max_text=16, eos_token_id=EOS,
)  # fmt: skip
GOLDEN = ClipConfig(
    image_size=16, patch_size=8, vision_width=8, vision_layers=2, vision_heads=2,
    text_width=8, text_layers=2, text_heads=2, width=8, vocab_size=64, eos_token_id=EOS,
)  # fmt: skip
"""Of the golden values: width 8, two blocks, two heads, 77 positions."""


def fill_by_name(model: nn.Module, prefixes: tuple[str, ...], ones: tuple[str, ...]) -> None:
    """Set parameters by a formula over their names, so that any implementation can be compared with the results."""
    for name, parameter in model.named_parameters():
        if name.startswith(prefixes):
            shift = sum(name.encode()) % 97
            values = 0.2 * torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + shift)
            parameter.data = (values + float(name.endswith(ones))).view_as(parameter).float()


def wave(*shape: int, step: float, start: float) -> Tensor:
    """sin(step * i + start) in row-major order."""
    count = torch.tensor(shape).prod().item()
    return torch.sin(step * torch.arange(count, dtype=torch.float64) + start).view(shape).float()


def golden_clip() -> ClipBackbone:
    clip = ClipBackbone.build(GOLDEN)
    clip.logit_scale.data = torch.tensor(20.0).log()
    return clip


def close(found: Tensor, expected: list, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found.detach(), torch.tensor(expected), atol=atol, rtol=0)


def sentences(count: int, length: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random texts of 3 to ``length`` tokens, begin 1 and end `EOS`, padded with 0."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, EOS, (count, length), generator=generator)
    lengths = torch.randint(3, length + 1, (count, 1), generator=generator)
    places = torch.arange(length)
    ids[:, 0] = 1
    ids = torch.where(places == lengths - 1, EOS, ids)
    mask = (places < lengths).long()
    return ids * mask, mask


def films(count: int, frames: int, seed: int = 0) -> Tensor:
    """Random normalised frames of the size of `TINY`; frames of one film resemble each other."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.randn(count, 1, 3, 32, 32, generator=generator)
    return scene + 0.3 * torch.randn(count, frames, 3, 32, 32, generator=generator)


def recall_after_training(model: nn.Module, *, frames: int, steps: int, rate: float = 1e-3) -> tuple[float, float]:
    """R@1 over 16 pairs before and after ``steps`` steps on them."""
    (ids, mask), pixels = sentences(16), films(16, frames)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)

    def recall() -> float:
        model.eval()
        with torch.no_grad():
            scores = model.similarity(model.encode_texts(ids, mask), model.encode_videos(pixels))
        return (scores.argmax(1) == torch.arange(16)).float().mean().item()

    before = recall()
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        model.loss(model.encode_texts(ids, mask), model.encode_videos(pixels)).backward()
        optimiser.step()
    return before, recall()
