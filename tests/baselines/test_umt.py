"""UMT against the authors' code, whose numbers these are (float64), and examples by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from moment_toy import TenFilms, assert_same_answers

from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import MomentTargets
from baselines.moment.spans import ClipGrid, spans_of
from baselines.moment.umt import PRESETS, Umt, UmtConfig, UmtOutput, convert_checkpoint
from baselines.moment.umt.losses import keypoint_targets, training_losses
from baselines.moment.umt.model import ranked_edges
from ivcr_bench.errors import IvcrError

PAPER = PRESETS["paper"]
CORRECT = replace(PAPER, width=16, video_width=6, audio_width=5, text_width=7)
FAULTY = replace(CORRECT, legacy_unmasked_decoder=True, legacy_padded_length=True)
TOY = UmtConfig(video_width=16, text_width=16, width=32, dropout=0, input_dropout=0, text_dropout=0)
CLIPS, WORDS = (12, 9), (4, 3)
GRIDS = [ClipGrid(clips, 2.0, 2.0 * clips) for clips in CLIPS]
MOMENTS = [[[4.0, 10.0], [14.0, 20.0]], [[2.0, 16.0]]]


def close(found, expected, atol=1e-6):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=0)


def filled(config):
    model = Umt(config).double().eval()
    for i, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        x = 0.3 * torch.sin(0.9 * torch.arange(tensor.numel()).double() + 1.7 * i + 0.4).view(tensor.shape)
        tensor.copy_(1 + 0.3 * x if name.endswith(".weight") and x.dim() == 1 else x)
    return model


def fixture():
    sample, place, channel = (torch.arange(n, dtype=torch.float64) for n in (2, 12, 7))
    sample, place = sample[:, None, None], place[:, None]
    video_mask, text_mask = (
        torch.arange(longest) < torch.tensor(lengths)[:, None] for longest, lengths in ((12, CLIPS), (4, WORDS))
    )
    video = torch.sin(0.3 * place + 0.7 * channel[:6] + 1.1 * sample) * video_mask[..., None]
    audio = torch.sin(0.25 * place + 0.6 * channel[:5] + 0.9 * sample) * video_mask[..., None]
    text = torch.cos(0.5 * place[:4] + 0.8 * channel + 0.6 * sample) * text_mask[..., None]
    batch = ClipBatch(video, video_mask, text, text_mask, audio)
    saliency = (0.37 * place[:, 0] + 0.2 * sample[..., 0]) % 1 * video_mask
    moments = [torch.tensor(rows, dtype=torch.float64) for rows in MOMENTS]
    spans = [spans_of(grid.edges(rows)) for grid, rows in zip(GRIDS, moments, strict=True)]
    nothing = torch.zeros(2, 2, dtype=torch.long)
    return batch, MomentTargets(spans, saliency, nothing, nothing)


def second_alone(batch):
    return ClipBatch(
        batch.video[1:, :9], batch.video_mask[1:, :9], batch.text[1:, :3], batch.text_mask[1:, :3], batch.audio[1:, :9]
    )


def sums(rows, mask):
    return (rows * mask[..., None]).sum((1, 2))


@torch.no_grad()
def test_every_stage_matches_the_authors_code():
    batch, _ = fixture()
    model, mask = filled(FAULTY), batch.video_mask
    close(sums(model.video_enc(batch.video, mask), mask), [40.164312, 33.779840])
    close(sums(model.audio_enc(batch.audio, mask), mask), [31.665036, 24.909105])
    clips = model.encode_films(batch)
    close(sums(clips, mask), [-12.648609, -9.974770])
    close(clips[0, 3, :3], [0.295857, 0.288810, 0.814708])
    queries = model.queries(clips, batch)
    close(sums(queries, mask), [2.917507, 2.704468])
    close(sums(model.refine(clips, queries, mask), mask), [6.048873, 4.568906])
    output = model(batch)
    close(torch.stack((output.center[0, 3], output.window[0, 3], output.offset[0, 3])), [1.761823, 2.217376, -2.057926])
    close(output.saliency.sigmoid()[0, :3], [0.206762, 0.206566, 0.204966])


@torch.no_grad()
def test_losses_match_the_authors_code():
    found = training_losses(filled(FAULTY), *fixture())
    expected = {"saliency": 2.22009396, "center": 8.28850555, "window": 0.14042336, "offset": 2.06009176}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        close(found[name], value)


def test_moments_match_the_authors_code():
    batch, _ = fixture()
    found = filled(FAULTY).localise(batch, GRIDS)
    close(
        found[0][:3],
        [[15.773341, 22.226659, 0.854548], [1.773495, 8.226505, 0.854453], [9.776223, 16.223777, 0.854195]],
        atol=2e-6,
    )
    close(found[1][0], [9.766749, 16.233251, 0.856461])


@pytest.mark.parametrize("config", [CORRECT, FAULTY])
def test_moments_of_a_film_alone_match_the_authors_code(config):
    batch, _ = fixture()
    close(filled(config).localise(second_alone(batch), GRIDS[1:])[0][0], [9.759814, 16.240186, 0.857390])


def test_without_the_faults_padding_changes_nothing():
    batch, targets = fixture()
    model = filled(CORRECT)
    close(model.localise(batch, GRIDS)[1], model.localise(second_alone(batch), GRIDS[1:])[0].tolist())
    padded = replace(targets, spans=targets.spans[1:], saliency=targets.saliency[1:])
    batch_of_one = ClipBatch(
        batch.video[1:], batch.video_mask[1:], batch.text[1:], batch.text_mask[1:], batch.audio[1:]
    )
    a = training_losses(model, batch_of_one, padded)
    b = training_losses(model, second_alone(batch), replace(padded, saliency=padded.saliency[:, :9]))
    for name in a:
        close(a[name], b[name].item())


@pytest.mark.parametrize("text", [True, False])
def test_one_query_at_a_time_equals_a_batch(text):
    torch.manual_seed(0)
    assert_same_answers(Umt(replace(TOY, text_width=16 if text else None, nms_sigma=None)), endpoints=False)


def keypoints(moment, clips=12, **how):
    spans = [spans_of(ClipGrid(clips, 2.0, 2.0 * clips).edges(torch.tensor([moment])))]
    return keypoint_targets(replace(TOY, **how), spans, torch.ones(1, clips, dtype=torch.bool))


def test_heat_map_by_hand():
    # [4, 10] are clips 2 to 4, centre 3, length 3 - 1 = 2, radius trunc(.2 * 2) = 0.
    short = keypoints([4.0, 10.0])
    assert short.heat.nonzero().tolist() == [[0, 3]]
    close(torch.stack((short.window[0], short.offset[0])), [2, 0])
    # [2, 16] are clips 1 to 7, centre 4, length 6, radius 1, sigma .4: exp(-1 / .32) = .043937.
    long = keypoints([2.0, 16.0])
    close(long.heat[0, 2:7], [0, 0.043937, 1, 0.043937, 0])
    assert [index.item() for index in long.at] == [0, 4]


def test_the_later_of_two_moments_with_one_centre_counts():
    grid = ClipGrid(12, 2.0, 24.0)
    spans = [spans_of(grid.edges(torch.tensor([[4.0, 10.0], [2.0, 12.0]])))]
    found = keypoint_targets(TOY, spans, torch.ones(1, 12, dtype=torch.bool))
    close(found.window, [4])
    close(found.heat[0, 3:4], [1])


def test_a_moment_shorter_than_a_clip_lies_in_the_film():
    found = keypoints([0.0, 0.5])
    assert [index.item() for index in found.at] == [0, 0]
    close(found.window, [-0.75])
    assert found.heat.max() == 1


def output_at(place, window, offset, clips=12):
    values = {name: torch.zeros(1, clips) for name in ("center", "window", "offset")}
    values["center"] -= 5
    for name, value in (("center", 5.0), ("window", window), ("offset", offset)):
        values[name][0, place] = value
    return UmtOutput(**values)


def test_decoding_by_hand():
    # Centre 3 + .5, length 3: clips 2 to 5, whose seconds are 4 to 12.
    rows = ranked_edges(TOY, output_at(3, 3, 0.5), torch.ones(1, 12, dtype=torch.bool))[0]
    close(rows[0, :2] * 24, [4, 12], atol=1e-5)
    assert len(rows) == 12


@pytest.mark.parametrize("moment", [[4.0, 10.0], [2.0, 16.0], [0.0, 24.0], [7.3, 15.1]])
def test_decoding_undoes_encoding(moment):
    target = keypoints(moment)
    output = output_at(target.at[1].item(), target.window.item(), target.offset.item())
    rows = ranked_edges(TOY, output, torch.ones(1, 12, dtype=torch.bool))[0]
    close(rows[0, :2] * 24, moment, atol=1e-4)


def test_answers_are_few_and_thinned_out():
    films = TenFilms(endpoints=False)
    torch.manual_seed(0)
    model = Umt(replace(TOY, answers=4)).eval()
    for rows, grid in zip(model.localise(films.batch, films.grids), films.grids, strict=True):
        assert len(rows) == 4
        assert (rows[:-1, 2] >= rows[1:, 2]).all()
        assert rows[:, :2].min() >= 0
        assert rows[:, :2].max() <= grid.duration


def test_a_film_that_is_too_long_is_an_error():
    with pytest.raises(IvcrError, match="33 clips"):
        Umt(replace(TOY, max_clips=32))(ClipBatch(torch.zeros(1, 33, 16), *[torch.ones(1, 33, dtype=torch.bool)] * 3))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (PAPER, 14_890_244),
        (replace(PAPER, video_width=4096, text_width=300, saliency=False), 15_163_395),
        (replace(PAPER, video_width=4096, audio_width=4096, text_width=300, saliency=False), 15_687_683),
        (replace(PAPER, video_width=2048, boundary=False, decoder_layers=1), 12_585_985),
    ],
    ids=["QVHighlights", "Charades-STA with audio", "Charades-STA with flow", "TVSum"],
)
def test_sizes_of_the_paper(config, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in Umt(config).parameters()) == parameters


def test_checkpoints_of_the_authors_load():
    model = Umt(CORRECT)
    names = sorted(model.state_dict())
    assert len(names) == 195
    assert names[0] == "audio_enc.encoder.att.k.bias"
    assert names[50] == "cross_enc.encoder.encoder.0.att4.v.weight"
    assert names[100] == "query_dec.decoder.0.ffn.mapping.0.weight"
    assert names[194] == "video_enc.pos_enc.pe"
    assert "pred_head.1.center_pred.linear.bias" in names
    assert len(Umt(replace(CORRECT, saliency=False)).state_dict()) == 193
    theirs = {f"module.{name}": tensor + 1 for name, tensor in model.state_dict().items()}
    model.load_state_dict(convert_checkpoint(theirs))


def test_ten_films_are_learnt():
    films = TenFilms(endpoints=False)
    torch.manual_seed(0)
    model = Umt(TOY)
    assert (films.ious(model.eval().localise(films.batch, films.grids)) >= 0.7).float().mean() < 0.5
    films.train(model, lambda targets: training_losses(model, films.batch, targets), steps=150, clip=1.0)
    assert (films.ious(model.localise(films.batch, films.grids)) >= 0.7).float().mean() >= 0.9


def test_saliency_is_learnt_too():
    films = TenFilms(endpoints=False)
    torch.manual_seed(0)
    model = Umt(replace(TOY, saliency=True))
    films.train(model, lambda targets: training_losses(model, films.batch, targets), steps=60, clip=1.0)
    inside = films.targets(np.random.default_rng(0)).saliency > 0
    saliency = model(films.batch).saliency.sigmoid()
    assert saliency[inside].mean() > 0.8
    assert saliency[films.batch.video_mask & ~inside].mean() < 0.2
