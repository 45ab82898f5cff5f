import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close
from two_d_fixture import fill_by_place, films, random_films, seen_in_the_films

from baselines.moment.mmn import (
    Joint,
    Mmn,
    convert_checkpoint,
    film_scores,
    fit_logits,
    moment_scores,
    ranked_moments,
)
from baselines.moment.mmn_config import PRESETS, MmnConfig
from baselines.moment.mmn_losses import SentenceTargets, mmn_losses, sentence_loss, video_loss
from baselines.moment.spans import ClipGrid, iou

TINY = MmnConfig(
    video_width=6, text_width=768, width=8, joint=4, rows=32, clips=16, scales=(8, 4), kernel=3, layers=2,
    legacy_zeroed_negatives=True, keep=1000,
)  # fmt: skip
IDS = ([2, 3, 4, 9], [2, 5, 9], [2, 7, 8, 6, 9])
DURATIONS = (20.0, 20.0, 30.0)
FILM = torch.tensor([0, 0, 1])
GOLD = ((4.0, 9.5), (6.0, 18.0), (12.0, 27.0))


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def words():
    """The token features of the sheet's stand-in for BERT."""
    ids = np.array([[*row, *[0] * (5 - len(row))] for row in IDS])
    mask = torch.arange(5) < torch.tensor([len(row) for row in IDS])[:, None]
    return torch.from_numpy(0.5 * np.sin(0.37 * np.arange(768) + 1.3 * ids[..., None])), mask


def targets():
    edges = [ClipGrid.equal(16, d).edges(double(gold)) for d, gold in zip(DURATIONS, GOLD, strict=True)]
    return SentenceTargets(FILM, torch.stack(edges))


def at(values, cell):
    return values[..., TINY.layout.cells.tolist().index(list(cell))].item()


@pytest.fixture(scope="module")
def tiny():
    return fill_by_place(Mmn(TINY), positive=True)


@pytest.fixture(scope="module")
def encoded(tiny):
    with torch.no_grad():
        return tiny.encode_texts(*words()), tiny.encode_films(films())


# --- parity with the authors' code (section 10 of the sheet) -------------------------------------------------------


@torch.no_grad()
def test_parity_of_the_sentences(tiny):
    contrastive, fit = tiny.text_encoder(*words())
    expected = [
        [-4.204933, -2.265651, -0.511322, 1.030187],
        [-4.672311, -2.714092, -0.939723, 0.622880],
        [-4.190345, -2.295443, -0.585422, 0.911962],
    ]
    assert_close(contrastive, double(expected), atol=2e-6, rtol=0)
    assert_close(fit[0], double([12.961077, 11.094095, 9.352810, 7.814220]), atol=2e-6, rtol=0)


@torch.no_grad()
def test_parity_of_the_maps(tiny):
    names = sorted(tiny.state_dict())
    assert len(names) == 26
    assert (names[0], names[12]) == ("featpool.conv.bias", "proposal_conv.conv1x1_contrastive.bias")
    contrastive, fit = tiny.proposal_conv.heads(tiny.feat2d(tiny.featpool(films())))
    assert contrastive.sum().item() == pytest.approx(-19.278682, abs=1e-5)
    assert fit.sum().item() == pytest.approx(88.450832, abs=1e-5)


def test_parity_of_the_scores(encoded):
    texts, proposals = encoded
    own = proposals[FILM]
    cosine = torch.einsum("sc,spc->sp", texts.contrastive, own.contrastive)
    fit = fit_logits(texts, own).sigmoid()
    final = moment_scores(texts, own, 0.5)
    for sentence, cell, expected in (
        (0, (3, 7), (-0.7506599, 0.68311897, 0.24120006)),
        (1, (0, 9), (-0.67321401, 0.67665895, 0.2735184)),
        (2, (0, 15), (-0.73881981, 0.66093765, 0.2388447)),
        (2, (2, 4), (-0.73462041, 0.67510373, 0.24591741)),
    ):
        found = [at(values[sentence], cell) for values in (cosine, fit, final)]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_parity_of_the_answers(encoded):
    texts, proposals = encoded
    scores = moment_scores(texts, proposals[FILM], 0.5)
    found = [ranked_moments(TINY, row, ClipGrid.equal(16, d)) for row, d in zip(scores, DURATIONS, strict=True)]
    assert [len(answer.scores) for answer in found] == [35, 35, 37]
    assert_close(found[0].seconds[:2], double([[8.75, 18.75], [3.75, 13.75]]))
    assert_close(found[1].seconds[:2], double([[8.75, 18.75], [3.75, 13.75]]))
    assert_close(found[2].seconds[:2], double([[5.625, 20.625], [13.125, 28.125]]))


def contrasts(config, texts, proposals):
    """L_iou, L_vid and L_sent without their weights."""
    parts = mmn_losses(replace(config, contrastive_weight=1.0), texts, proposals, targets())
    return [parts[name].item() for name in ("video", "sentence", "iou")]


def test_parity_of_the_losses(encoded):
    np.testing.assert_allclose(contrasts(TINY, *encoded), [3.773687, 13.524371, 1.082462], atol=5e-6)
    three = contrasts(replace(TINY, positives=3), *encoded)
    np.testing.assert_allclose(three[:2], [3.770814, 13.475470], atol=5e-6)


@torch.no_grad()
def test_parity_of_the_losses_in_training():
    tiny = fill_by_place(Mmn(TINY), positive=True).train()
    found = contrasts(TINY, tiny.encode_texts(*words()), tiny.encode_films(films()))
    np.testing.assert_allclose(found, [3.782735, 13.247077, 1.482964], atol=5e-6)


@torch.no_grad()
def test_parity_in_single_precision(encoded):
    tiny = fill_by_place(Mmn(TINY), positive=True).float()
    text, mask = words()
    scores = tiny(films().float()[FILM], text.float(), mask)
    expected = moment_scores(encoded[0], encoded[1][FILM], TINY.gamma)
    assert_close(scores, expected.float(), atol=1e-4, rtol=0)
    single = contrasts(TINY, tiny.encode_texts(text.float(), mask), tiny.encode_films(films().float()))
    np.testing.assert_allclose(single, contrasts(TINY, *encoded), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("preset", "count"), [("paper", 85_855_232), ("paper-charades", 55_196_672), ("paper-tacos", 55_196_672)]
)
def test_published_sizes(preset, count):
    with torch.device("meta"):
        model = Mmn(PRESETS[preset])
    bert = sum(p.numel() for p in model.text_encoder.bert.parameters())
    assert bert == 66_362_880
    assert sum(p.numel() for p in model.parameters()) == count + bert


def authors_names():
    """The names and shapes of the Charades checkpoint in the sheet, without those of DistilBERT."""
    shapes = {"featpool.conv.weight": [512, 4096, 1], "featpool.conv.bias": [512]}
    for i in range(8):
        shapes |= {f"proposal_conv.convs.{i}.weight": [512, 512, 5, 5], f"proposal_conv.convs.{i}.bias": [512]}
        kinds = ("weight", "bias", "running_mean", "running_var")
        shapes |= {f"proposal_conv.bn.{i}.{kind}": [512] for kind in kinds}
        shapes[f"proposal_conv.bn.{i}.num_batches_tracked"] = []
    for head in ("iou", "contrastive"):
        shapes |= {f"proposal_conv.conv1x1_{head}.weight": [256, 512, 1, 1]}
        shapes |= {f"proposal_conv.conv1x1_{head}.bias": [256]}
    for i in (1, 2):
        shapes |= {f"text_encoder.fc_out{i}.weight": [256, 768], f"text_encoder.fc_out{i}.bias": [256]}
    return shapes | {"text_encoder.layernorm.weight": [768], "text_encoder.layernorm.bias": [768]}


def test_names_of_the_authors_checkpoints():
    with torch.device("meta"):
        state = Mmn(PRESETS["paper-charades"]).state_dict()
    assert {
        name: list(value.shape) for name, value in state.items() if not name.startswith("text_encoder.bert.")
    } == authors_names()
    assert "text_encoder.bert.transformer.layer.5.ffn.lin2.weight" in state


@pytest.mark.parametrize("wrapped", [True, False])
def test_checkpoints_are_unwrapped(tiny, wrapped):
    theirs = {f"module.{name}": tensor for name, tensor in tiny.state_dict().items()}
    theirs["module.text_encoder.bert.embeddings.position_ids"] = torch.arange(512)[None]
    checkpoint = {"model": theirs, "epoch": 3} if wrapped else theirs
    Mmn(TINY).load_state_dict(convert_checkpoint(checkpoint, TINY))


@torch.no_grad()
def test_convolved_proposals_of_a_checkpoint():
    config = replace(TINY, proposals="conv")
    model = fill_by_place(Mmn(config), positive=True)
    theirs, place = {}, 0
    for scale, count in ((0, 7), (1, 4)):
        for i in range(count):
            for kind in ("weight", "bias"):
                theirs[f"feat2d.convs.{place}.{kind}"] = model.state_dict()[f"feat2d.layers.{scale}.{i}.{kind}"]
            place += 1
    assert theirs["feat2d.convs.7.weight"].shape == (8, 8, 3)
    rest = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("feat2d.")}
    assert convert_checkpoint(theirs | rest, config).keys() == model.state_dict().keys()
    # The main diagonal is the clips themselves.
    clips = model.featpool(films())
    assert torch.equal(model.feat2d(clips).diagonal(dim1=2, dim2=3), clips)


# --- the losses, against the formulas of the sheet in NumPy ----------------------------------------------------------


def reference_losses(config, texts, proposals, batch, cell_iou):
    """Sums of exponentials, sentence by sentence."""
    t, v = texts.contrastive.numpy(), proposals.contrastive.numpy()
    film, tau, m = batch.film.tolist(), config.temperature, config.margin
    gold = batch.edges.numpy()

    def overlap(a, b):
        common = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
        return common / (a[1] - a[0] + b[1] - b[0] - common)

    vid, sent = [], []
    for s in range(len(t)):
        g = cell_iou[s].numpy()
        for p in np.argsort(-g, kind="stable")[: config.positives]:
            moment = v[film[s], p]
            total = 0.0
            for u in range(len(t)):
                if u == s or film[u] != film[s] or overlap(gold[u], gold[s]) < config.same_moment_iou:
                    total += np.exp((moment @ t[u] - m * (u == s)) / tau)
            positive = (moment @ t[s] - m) / tau
            vid.append(np.log(total) - positive)
            a = sum(
                np.exp(t[s] @ v[film[s], q] / tau) if g[q] < config.negative_iou else config.legacy_zeroed_negatives
                for q in range(len(g))
            )
            o = sum(np.exp(t[s] @ v[b, q] / tau) for b in range(len(v)) if b != film[s] for q in range(len(g)))
            sent.append(np.log(np.exp(positive) + a + o + 1e-6) - positive)
    return np.mean(vid), np.mean(sent)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 2), st.integers(1, 3))
def test_contrasts_are_the_formulas(seed, legacy, positives, count):
    config = replace(TINY, clips=8, scales=(4, 2), rows=8, legacy_zeroed_negatives=legacy, positives=positives, joint=3)
    rng = np.random.default_rng(seed)

    def unit(*shape):
        return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)

    sentences = 5
    texts = Joint(unit(sentences, 3), unit(sentences, 3))
    proposals = Joint(*(unit(count, len(config.layout.cells), 3) for _ in range(2)))
    # Near each other, so that some are the same moment.
    starts = 0.1 + 0.11 * rng.random(sentences)
    edges = torch.from_numpy(np.stack((starts, starts + 0.2 + 0.5 * rng.random(sentences)), 1))
    batch = SentenceTargets(torch.from_numpy(rng.integers(0, count, sentences)), edges)
    overlap = config.layout.gold_iou(edges)
    found = [loss(config, texts, proposals, batch, overlap).item() for loss in (video_loss, sentence_loss)]
    np.testing.assert_allclose(found, reference_losses(config, texts, proposals, batch, overlap), atol=1e-9)


def test_sentences_about_one_moment_are_not_negatives(encoded):
    texts, proposals = encoded
    # The IoU of the first two is 6/8.
    same = SentenceTargets(FILM, double([[0.2, 0.5], [0.2, 0.6], [0.4, 0.9]]))
    overlap = TINY.layout.gold_iou(same.edges)
    loss = video_loss(TINY, texts, proposals, same, overlap)
    expected = reference_losses(TINY, texts, proposals, same, overlap)[0]
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    everyone = replace(TINY, same_moment_iou=1.1)
    assert video_loss(everyone, texts, proposals, same, overlap) > loss


def test_late_training_keeps_a_hundredth_of_the_contrast(encoded):
    early, late = (mmn_losses(TINY, *encoded, targets(), late=late) for late in (False, True))
    assert early["iou"] == late["iou"]
    for name in ("video", "sentence"):
        assert_close(late[name] * 100, early[name])


# --- answers do not depend on company -------------------------------------------------------------------------------


@torch.no_grad()
def test_one_at_a_time_is_all_at_once():
    config = PRESETS["mini"]
    torch.manual_seed(0)
    model = Mmn(config).eval()
    video = random_films(32, config.rows, config.video_width)
    text = random_films(32, 9, config.text_width, seed=1)
    lengths = torch.arange(32) % 8 + 1
    mask = torch.arange(9) < lengths[:, None]
    together = model(video, text, mask)
    for i in range(32):
        n = int(lengths[i])
        alone = model(video[i : i + 1], text[i : i + 1, :n], mask[i : i + 1, :n])
        assert_close(alone[0], together[i], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_corpus_is_scored_as_its_films_are(tiny, encoded):
    texts, proposals = encoded
    whole = film_scores(texts, proposals)
    for film in range(2):
        alone = tiny.encode_films(films()[film : film + 1])
        assert_close(film_scores(texts, alone)[:, 0], whole[:, film])
        expected = (texts.contrastive @ alone.contrastive[0].T).amax(1)
        assert_close(whole[:, film], expected)
    assert_close(film_scores(texts, proposals, chunk=1), whole)
    assert film_scores(texts, proposals[:0]).shape == (3, 0)


def test_distilbert_reads_ids():
    torch.manual_seed(0)
    model = Mmn(replace(TINY, distilbert=True)).eval()
    ids, mask = torch.tensor([[101, 7, 102, 0], [101, 7, 9, 102]]), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    with torch.no_grad():
        together = model.encode_texts(model.text_encoder.states(ids, mask), mask)
        alone = model.encode_texts(model.text_encoder.states(ids[:1, :3], mask[:1, :3]), mask[:1, :3])
    assert_close(alone.iou[0], together.iou[0], atol=1e-5, rtol=0)


# --- it learns ------------------------------------------------------------------------------------------------------


def test_ten_films_are_learned_by_heart():
    torch.manual_seed(0)
    config = MmnConfig(
        video_width=16, text_width=16, width=32, joint=32, rows=16, clips=16, scales=(16,), kernel=3, layers=3, keep=1
    )
    moments = torch.tensor([[i, i + 3 + i % 4] for i in range(10)])
    moments[:, 1].clamp_(max=15)
    video, text = seen_in_the_films(16, 16, moments, seed=1)
    mask = torch.ones(10, 2, dtype=torch.bool)
    edges = torch.stack((moments[:, 0], moments[:, 1] + 1), 1).double() / 16
    batch = SentenceTargets(torch.arange(10), edges)
    model = Mmn(config)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, (0.9, 0.99), weight_decay=1e-5)
    began = time.perf_counter()
    for step in range(150):
        optimiser.zero_grad()
        parts = mmn_losses(config, model.encode_texts(text, mask), model.encode_films(video), batch, late=step > 60)
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    model.eval()
    scores = model(video, text, mask)
    hits = [
        iou(ranked_moments(config, row, ClipGrid.equal(16, 1.0)).seconds[0], wanted).item() >= 0.7
        for row, wanted in zip(scores, edges, strict=True)
    ]
    assert np.mean(hits) >= 0.9
    ranking = film_scores(model.encode_texts(text, mask), model.encode_films(video)).argmax(1)
    assert (ranking == torch.arange(10)).float().mean() >= 0.9
    assert time.perf_counter() - began < 30
