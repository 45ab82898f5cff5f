"""Ten films whose moments can be learnt in seconds, and batches for tests of what may not depend on the batch."""

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import moment_targets
from baselines.moment.spans import ClipGrid, iou

VIDEO_WIDTH, TEXT_WIDTH = 16, 16


def _batch(videos, texts):
    lengths = [torch.tensor([len(x) for x in rows]) for rows in (videos, texts)]
    video, text = (pad_sequence(rows, batch_first=True) for rows in (videos, texts))
    masks = [torch.arange(x.shape[1]) < n[:, None] for x, n in zip((video, text), lengths, strict=True)]
    return ClipBatch(video, masks[0], text, masks[1])


def random_queries(count, seed=0):
    """Films and queries of all lengths, one after another: ``(videos, texts, grids, ids)``."""
    rng = np.random.default_rng(seed)
    videos, texts = (
        [torch.from_numpy(rng.standard_normal((int(rng.integers(low, high)), 16), np.float32)) for _ in range(count)]
        for low, high in ((5, 40), (3, 14))
    )
    grids = [ClipGrid.equal(len(video), float(rng.uniform(10, 200))) for video in videos]
    return videos, texts, grids, [f"query-{i}" for i in range(count)]


def localise_in_batches(model, queries, size, *, endpoints, with_ids=False):
    """Ranked moments of all queries, asked ``size`` at a time."""
    found = []
    for start in range(0, len(queries[0]), size):
        videos, texts, grids, ids = (rows[start : start + size] for rows in queries)
        batch = _batch(videos, texts)
        found += model.localise(batch.with_endpoints() if endpoints else batch, grids, *([ids] if with_ids else []))
    return found


def assert_same_answers(model, *, endpoints, with_ids=False):
    """One query at a time, thirty-two at a time, and thirty-two in another order: the same moments and scores."""
    model.eval()
    queries = random_queries(32)
    how = {"endpoints": endpoints, "with_ids": with_ids}
    alone = localise_in_batches(model, queries, 1, **how)
    for together, order in ((32, range(32)), (32, range(31, -1, -1)), (5, range(32))):
        mixed = localise_in_batches(model, [[rows[i] for i in order] for rows in queries], together, **how)
        for place, i in enumerate(order):
            duration = queries[2][i].duration
            scale = torch.tensor([duration, duration, 1.0])
            # Nearly equal scores may change places, so compare in the order of the moments' starts.
            a, b = ((rows / scale)[rows[:, 0].argsort()] for rows in (alone[i], mixed[place]))
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


class TenFilms:
    """Films of 20 to 32 clips; those of the moment look like the mean word of the query, the others like noise."""

    def __init__(self, *, endpoints):
        rng = np.random.default_rng(7)
        videos, texts, self.grids, self.moments = [], [], [], []
        for _ in range(10):
            clips, words = int(rng.integers(20, 33)), int(rng.integers(4, 9))
            grid = ClipGrid.equal(clips, float(rng.uniform(30, 90)))
            length = float(rng.uniform(0.15, 0.5)) * grid.duration
            start = float(rng.uniform(0, grid.duration - length))
            text = torch.from_numpy(rng.standard_normal((words, TEXT_WIDTH), np.float32))
            video = torch.from_numpy(rng.standard_normal((clips, VIDEO_WIDTH), np.float32)) / 2
            moment = torch.tensor([[start, start + length]], dtype=torch.float64)
            video[grid.inside(moment)[0]] = 2 * text.mean(0)
            videos.append(video)
            texts.append(text)
            self.grids.append(grid)
            self.moments.append(moment)
        batch = _batch(videos, texts)
        self.batch = batch.with_endpoints() if endpoints else batch
        self.films = list(range(10))

    def targets(self, rng):
        return moment_targets(self.moments, self.grids, self.batch.video.shape[1], rng)

    def train(self, model, losses, steps, learning_rate=1e-3, clip=0.1):
        """``losses`` gives the parts of the loss for some targets."""
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=1e-4)
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            torch.stack(list(losses(self.targets(rng)).values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
        return model.eval()

    def ious(self, ranked):
        """IoU of the first moment of each film with the right one."""
        return torch.stack([iou(rows[0, :2], gold[0]) for rows, gold in zip(ranked, self.moments, strict=True)])
