"""The weights and features on which the models with a 2D map were compared with the authors' code."""

import numpy as np
import torch


def fill_by_place(model, positive=False):
    """Parameters by a formula over their place among the sorted names, so that any implementation can be compared.

    Args:
        positive: scales of normalisation layers and running variances are filled around 1.
    """
    state = model.double().state_dict()
    for i, name in enumerate(sorted(state)):
        value = state[name]
        if not value.is_floating_point():
            continue
        x = 0.3 * np.sin(0.9 * np.arange(value.numel()) + 1.7 * i + 0.4)
        if positive and value.dim() == 1 and name.endswith(".weight"):
            x = 1 + 0.3 * x
        if positive and name.endswith("running_var"):
            x = 1 + abs(x)
        value.copy_(torch.from_numpy(x.reshape(value.shape)))
    return model.eval()


def films():
    b, t, c = np.ogrid[:2, :32, :6]
    return torch.from_numpy(np.sin(0.3 * t + 0.7 * c + 1.1 * b))


def random_films(count, rows, width, seed=0):
    return torch.randn(count, rows, width, generator=torch.Generator().manual_seed(seed))


def seen_in_the_films(clips, width, moments, seed):
    """Features of films that show a concept during a moment, and the words for it.

    Args:
        moments: first and last clip, int ``[films, 2]``.

    Returns:
        Features ``[films, clips, width]`` and words ``[films, 2, width]``: a common one, then the concept.
    """
    generator = torch.Generator().manual_seed(seed)
    concepts = torch.randn(len(moments), width, generator=generator)
    others = torch.randn(len(moments), width, generator=generator)
    video = others[:, None] + 0.3 * torch.randn(len(moments), clips, width, generator=generator)
    for film, (first, last) in enumerate(moments):
        video[film, first : last + 1] += concepts[film] - others[film]
    common = torch.randn(width, generator=generator)
    return video, torch.stack((common.expand_as(concepts), concepts), 1)
