"""Assembly, gradients and decoding of InterLLaVA's second phase."""

from dataclasses import replace

import pytest
import torch

from baselines.interllava import prompts
from baselines.interllava.assembly import IGNORED
from baselines.interllava.generation import Decoder, choose_index, choose_interval
from baselines.interllava.model import InterLlava
from baselines.interllava.objective import loss_parts, official_terms


def test_every_visual_place_is_filled(assembler, model, retrieval_sample, moment_sample):
    batch = assembler.collate([retrieval_sample, moment_sample])
    # Ten candidates of 12 frames: 6 windows each; 13 frames: 7 windows; two visual tokens a window.
    assert batch.visual_places.sum(-1).tolist() == [10 * 6 * 2, 7 * 2]
    assert len(batch.keys) == 10 * 6 + 7
    assert batch.query_places.sum(-1).tolist() == [1, 1]
    assert model.embed(batch).shape == (*batch.input_ids.shape, assembler.config.hidden)


def test_labels_cover_the_answer_and_its_end(assembler, retrieval_sample):
    batch = assembler.collate([retrieval_sample])
    kept = batch.labels[0][batch.labels[0] != IGNORED].tolist()
    assert assembler.decode(kept).endswith("</s>")
    assert "<vid_4>" in assembler.decode(kept)


def test_anchors_are_the_ends_of_candidates_and_the_seconds_of_a_film(assembler, retrieval_sample, moment_sample):
    ids = retrieval_sample.ids
    assert {ids[place] for place in retrieval_sample.anchors} == {assembler.film_end_id}
    assert len(moment_sample.anchors) == 7  # 6.5 s of film touch seconds 0 to 6
    assert moment_sample.anchor_tokens == assembler.time_ids[:7]


@pytest.mark.parametrize("rank", [0, 4])
def test_index_and_interval_losses_reach_every_trained_part(assembler, retrieval_sample, moment_sample, rank):
    torch.manual_seed(0)
    model = InterLlava(replace(assembler.config, lora_rank=rank), len(assembler.tokenizer))
    parts = loss_parts(model, assembler.collate([retrieval_sample, moment_sample]), assembler)
    visual = model.visual
    targets = [visual.projection.weight, visual.video_query_tokens, visual.frame_positions.weight]
    if rank:
        targets += [p for name, p in model.llm.named_parameters() if "lora_B" in name]
    for loss in (parts.index, parts.interval):
        for grad in torch.autograd.grad(loss, targets, retain_graph=True):
            assert grad.abs().sum() > 0


def test_equation_4(assembler, model, retrieval_sample, moment_sample):
    parts = loss_parts(model, assembler.collate([retrieval_sample, moment_sample]), assembler)
    total = parts.language + 0.01 * parts.index + 0.02 * parts.interval
    assert parts.total(0.01, 0.02).item() == pytest.approx(total.item())


def test_the_published_code_descends_the_language_loss_alone(assembler, model, retrieval_sample, moment_sample):
    batch = assembler.collate([retrieval_sample, moment_sample])
    parts = loss_parts(model, batch, assembler)
    weights = [p for p in model.parameters() if p.requires_grad]
    official = torch.autograd.grad(parts.total(0.01, 0.01, "official_logged"), weights, retain_graph=True)
    language = torch.autograd.grad(parts.language, weights)
    assert all(torch.equal(a, b) for a, b in zip(official, language, strict=True))
    index, moment = official_terms(model, batch, assembler)
    assert index in (pytest.approx(0.01 * 0.000413), pytest.approx(0.01 * 9.9904))
    assert 0 <= moment <= 0.01


def test_decoding_sees_what_training_sees(assembler, model, retrieval_sample):
    """The cached, left-padded decoder gives the logits of one full pass over prompt and answer."""
    batch = assembler.collate([retrieval_sample])
    rows = torch.zeros(1, dtype=torch.long)
    ids = batch.input_ids[0].tolist()
    column = torch.tensor([ids.index(assembler.index_ids[3], retrieval_sample.answer_start)])
    with torch.inference_mode():
        full = model.logits_at(model.states(batch), batch, rows, column - 1)
        prompt = replace(retrieval_sample, ids=retrieval_sample.ids[: retrieval_sample.answer_start])
        shifted = [place + 3 for place in prompt.anchors]
        longer = replace(prompt, ids=[assembler.begin] * 3 + prompt.ids, anchors=shifted)
        decoder = Decoder(model, assembler, [prompt, longer])
        decoder.feed_text(prompts.RETRIEVAL_PREFIX)
    assert torch.allclose(decoder.logits[:1], full, atol=1e-4)


def test_chosen_interval_lies_within_the_film(assembler, model, moment_sample):
    prompt = replace(moment_sample, ids=moment_sample.ids[: moment_sample.answer_start])
    with torch.inference_mode():
        interval, answers = choose_interval(model, assembler, [prompt, prompt])
    assert (interval[:, 0] <= interval[:, 1]).all()
    assert (interval >= 0).all()
    assert (interval <= 6.5).all()
    assert len(answers) == 2


def test_the_prior_decides_between_candidates_that_look_alike(assembler, model, retrieval_sample):
    prompt = replace(
        retrieval_sample,
        ids=retrieval_sample.ids[: retrieval_sample.answer_start],
        films=[retrieval_sample.films[0]] * 10,
    )
    prior = torch.zeros(1, 10)
    prior[0, 6] = 100.0
    with torch.inference_mode():
        scores, _ = choose_index(model, assembler, [prompt], prior)
    assert scores.argmax(-1).item() == 6


def test_a_tiny_model_overfits_one_turn_of_each_kind(assembler, retrieval_sample, moment_sample):
    torch.manual_seed(0)
    model = InterLlava(assembler.config, len(assembler.tokenizer))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batch = assembler.collate([retrieval_sample, moment_sample])
    for _ in range(100):
        optimiser.zero_grad()
        parts = loss_parts(model, batch, assembler)
        parts.total(1.0, 1.0).backward()
        optimiser.step()
    assert parts.language.item() < 0.3
    assert parts.index.item() < 0.05
    assert parts.interval.item() < 0.2
