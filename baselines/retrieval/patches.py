"""Patches that reach into the frames before and after: CLIP4Clip's ``linear_patch=3d``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.retrieval.clip_backbone import ClipBackbone


class PatchEmbedding3d(nn.Module):
    """A convolution over three frames in place of one; it starts as the convolution of the middle frame alone."""

    def __init__(self, flat: nn.Conv2d, frames: int) -> None:
        super().__init__()
        side = flat.kernel_size[0]
        self.frames = frames
        self.conv2 = nn.Conv3d(
            flat.in_channels, flat.out_channels, (3, side, side), stride=(1, side, side), padding=(1, 0, 0), bias=False
        )
        with torch.no_grad():
            self.conv2.weight.zero_()
            self.conv2.weight[:, :, 1] = flat.weight

    @property
    def weight(self) -> Tensor:
        """Hugging Face reads the dtype of the patch embedding from it."""
        return self.conv2.weight

    def forward(self, pixels: Tensor) -> Tensor:
        """``[videos * frames, width, grid, grid]`` from ``[videos * frames, 3, height, width]``."""
        films = pixels.unflatten(0, (-1, self.frames)).transpose(1, 2)
        return self.conv2(films).transpose(1, 2).flatten(0, 1)


def use_3d_patches(clip: ClipBackbone, frames: int) -> None:
    """Exchange the patch embedding of ``clip``, which then takes films of exactly ``frames`` frames.

    Raises:
        ValueError: its patches are not linear.
    """
    embeddings = clip.vision_model.embeddings
    flat = embeddings.patch_embedding
    if not isinstance(flat, nn.Conv2d):
        raise ValueError("3d patches start from linear ones, found a convolutional stem")
    embeddings.patch_embedding = PatchEmbedding3d(flat, frames)
