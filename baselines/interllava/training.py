"""`ivcr-bench train interllava`: both phases, one after the other, each resumable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from baselines.interllava import prompts
from baselines.interllava.assembly import Assembler, FilmFrames
from baselines.interllava.config import InterLlavaConfig, load_preset
from baselines.interllava.film_encoder import FilmEncoder
from baselines.interllava.model import InterLlava
from baselines.interllava.phase1 import Phase1, copy_phase1, load_phase1
from baselines.interllava.phase1_data import Phase1Training
from baselines.interllava.phase1_run import train_phase1, training_dialogues
from baselines.interllava.phase2 import HARD_NEGATIVES, StepBundles, TrainingTurn, gold_exchanges, train_phase2
from baselines.interllava.retriever import Stage1Retriever
from baselines.interllava.routing import gold_route
from baselines.interllava.weights import phase2_tokenizer, save_weights, write_card
from ivcr_bench.data.dataset import Corpus, Dataset
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.data.mini.build import ensure_videos
from ivcr_bench.progress import track
from ivcr_bench.schema import Dialogue, Request, Turn

TEXTS_AT_ONCE = 256


def train(dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
    """Train InterLLaVA on the train split of ``dataset``.

    Args:
        preset: a YAML file of `baselines.interllava.presets`.
        out: ``phase1/`` and ``phase2/`` hold checkpoints, ``weights/`` the result.
        resume: go on from the last checkpoint of each phase.

    Returns:
        ``out/weights``.
    """
    config, training = load_preset(preset)
    corpus = dataset.corpus("train")
    ensure_videos(dataset, [video.video_id for video in corpus.videos])
    weights = out / "weights"
    phase1_folder = weights / "phase1"
    if not (resume and (phase1_folder / "config.json").is_file()):
        train_phase1(dataset, out / "phase1", Phase1Training(), seed=seed, resume=resume)
        copy_phase1(out / "phase1", phase1_folder)
    phase1 = load_phase1(phase1_folder)
    tokenizer = phase2_tokenizer(phase1)
    assembler = Assembler(tokenizer, config)
    films = encode_films(phase1, config, corpus)
    turns = training_turns(training_dialogues(dataset, training.further_dialogue_seeds), phase1, corpus)
    torch.manual_seed(seed)
    model = InterLlava(config, len(tokenizer))
    train_phase2(model, StepBundles(turns, films, assembler, training, seed), out / "phase2", resume=resume)
    save_weights(weights, model.eval(), tokenizer)
    command = f"ivcr-bench train interllava --preset {preset} --seed {seed}"
    write_card(weights, dataset, preset=preset, seed=seed, command=command)
    return weights


def encode_films(phase1: Phase1, config: InterLlavaConfig, corpus: Corpus) -> dict[str, tuple[FilmFrames, FilmFrames]]:
    """Each film as a candidate (uniform frames) and as the film of a moment turn (all frames)."""
    encoder = FilmEncoder(phase1, config, FeatureCache())
    films = {}
    for video in track(corpus.videos, "Encoding films"):
        whole = encoder.encode(corpus.path(video.video_id))
        films[video.video_id] = (whole.uniform(config.retrieval_frames), whole)
    return films


def training_turns(dialogues: Iterable[Dialogue], phase1: Phase1, corpus: Corpus) -> list[TrainingTurn]:
    """Every turn with its prompt, its query vector, and the films that the first stage confuses with the right one."""
    stage1 = Stage1Retriever(phase1, FeatureCache())
    stage1.prepare(corpus)
    ids = [video.video_id for video in corpus.videos]
    turns: list[TrainingTurn] = []
    for chunk in track(list(_chunks(_requests(dialogues))), "Ranking training turns"):
        requests = [request for request, _ in chunk]
        vectors = stage1.text_vectors(requests)
        order = np.argsort(-stage1.rank(requests), axis=1, kind="stable")
        for (request, turn), vector, row in zip(chunk, vectors, order, strict=True):
            route = gold_route(turn, request.history)
            wrong: list[str] = []
            if route == "video_retrieval":
                ranked = (ids[place] for place in row)
                wrong = [v for v in ranked if v not in turn.gold.videos][:HARD_NEGATIVES]
            prompt = prompts.render_dialogue(request.history, request.utterance)
            turns.append(TrainingTurn(prompt, vector, route, turn, wrong))
    return turns


def _requests(dialogues: Iterable[Dialogue]) -> Iterator[tuple[Request, Turn]]:
    for dialogue in dialogues:
        past = gold_exchanges(dialogue)
        for number, turn in enumerate(dialogue.turns, start=1):
            history = tuple(past[: number - 1])
            yield (
                Request(dialogue.dialogue_id, number, dialogue.language, turn.utterance, history),
                turn,
            )


def _chunks(items: Iterable[tuple[Request, Turn]]) -> Iterator[Sequence[tuple[Request, Turn]]]:
    chunk: list[tuple[Request, Turn]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == TEXTS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
