"""Phase 1 from an IVCR-Mini dataset to an artefact folder: ``python -m baselines.interllava.phase1_run OUT``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, set_seed

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever
from baselines.backbones.text_tower import TextTower
from baselines.backbones.tokenizer import train_tokenizer
from baselines.interllava.phase1 import (
    DialogueRetriever,
    Phase1,
    Phase1Config,
    dialogue_text,
    encode_tubelets,
    load_phase1,
    save_phase1,
)
from baselines.interllava.phase1_data import (
    LANGUAGES,
    DialogueBatches,
    Phase1Training,
    ShotBatches,
    queries_of,
    request_of,
)
from baselines.interllava.phase1_training import train_blip2, train_x_pool
from baselines.interllava.prompts import ADDED_TOKENS, ASSISTANT, FOUND, HUMAN, INTENT_SENTENCES
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.data.mini.build import ensure_videos, read_truth
from ivcr_bench.data.mini.captions import caption
from ivcr_bench.data.mini.dialogues import TURN_COUNTS, split_dialogues
from ivcr_bench.data.mini.world import Film
from ivcr_bench.data.video import sample_rate
from ivcr_bench.progress import track
from ivcr_bench.schema import Dialogue, Split

CAPTIONS_PER_SHOT = 4
FIRST_FURTHER_SEED = 1_000_000


def train_phase1(
    dataset: Dataset, out: Path, training: Phase1Training, *, seed: int = 0, resume: bool = False
) -> Phase1:
    """Train both steps on the training films of ``dataset`` and write the artefact folder ``out``.

    Checkpoints go to ``out/checkpoints``; with ``resume``, training goes on from the last of them.
    """
    films = _films(dataset, "train")
    dialogues = training_dialogues(dataset, training.dialogue_seeds)
    tokenizer = _tokenizer(films, dialogues)
    config = Phase1Config(Blip2RetrieverConfig.mini(len(tokenizer)))
    images = decode_films(dataset, "train", config)
    set_seed(seed)
    blip2 = Blip2VideoRetriever(config.blip2)
    shots = ShotBatches(films, images, caption, tokenizer, config, training, seed)
    train_blip2(blip2, shots, out / "checkpoints" / "blip2", resume=resume)
    blip2.eval()
    features = encode_films(blip2, images)
    retriever = DialogueRetriever(config)
    retriever.text_tower = TextTower.copy_of(blip2)
    batches = DialogueBatches(queries_of(dialogues), features, tokenizer, config, training, seed)
    train_x_pool(retriever, batches, out / "checkpoints" / "x_pool", resume=resume)
    save_phase1(out, config, blip2, retriever, tokenizer)
    return load_phase1(out)


def validate(phase1: Phase1, dataset: Dataset, split: Split = "val") -> dict[str, float]:
    """R@1 and R@10 in percent on the video-retrieval turns of ``split``, gold history, by language and need.

    "alone" are turns that can be understood alone, "history" those that cannot.
    """
    corpus = dataset.corpus(split)
    images = decode_films(dataset, split, phase1.config)
    index = phase1.retriever.x_pool.index(torch.stack([phase1.film_vectors(images[v.video_id]) for v in corpus.videos]))
    turns = [
        (dialogue, number)
        for dialogue in dataset.split(split)
        for number, turn in enumerate(dialogue.turns, start=1)
        if turn.intent == "video_retrieval"
    ]
    texts = [dialogue_text(request_of(dialogue, number)) for dialogue, number in turns]
    order = phase1.retriever.x_pool.score(phase1.text_vectors(texts), index).argsort(1, descending=True)
    ids = [video.video_id for video in corpus.videos]
    groups: dict[str, list[int]] = {}
    for (dialogue, number), row in zip(turns, order.tolist(), strict=True):
        turn = dialogue.turns[number - 1]
        rank = next(place for place, film in enumerate(row) if ids[film] in turn.gold.videos)
        for group in ("all", dialogue.language, "history" if turn.depends_on else "alone"):
            groups.setdefault(group, []).append(rank)
    return {
        f"{group} R@{k}": round(100 * float(np.mean(np.array(ranks) < k)), 1)
        for group, ranks in groups.items()
        for k in (1, 10)
    }


def decode_films(dataset: Dataset, split: Split, config: Phase1Config) -> dict[str, np.ndarray]:
    """Every film of ``split``, rendered if need be: uint8 ``[frames, height, width, 3]`` by film id."""
    corpus = dataset.corpus(split)
    ensure_videos(dataset, [video.video_id for video in corpus.videos])
    ids = track([video.video_id for video in corpus.videos], "Decoding films")
    size = (config.blip2.image_size, config.blip2.image_size)
    return {video_id: sample_rate(corpus.path(video_id), config.rate, size).images for video_id in ids}


def encode_films(blip2: Blip2VideoRetriever, images: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Projected queries of every tubelet of every film, float16 ``[tubelets, queries, shared_width]``."""
    return {
        video_id: encode_tubelets(blip2, images[video_id], np.arange(len(images[video_id]))).half()
        for video_id in track(list(images), "Encoding films")
    }


def _films(dataset: Dataset, split: Split) -> list[Film]:
    truth = read_truth(dataset)
    return [truth[video.video_id] for video in dataset.corpus(split).videos]


def training_dialogues(dataset: Dataset, further_seeds: int) -> list[Dialogue]:
    """The training dialogues, and for IVCR-Mini as many again about the same films for each further seed."""
    dialogues = list(dataset.split("train"))
    if dataset.card.mini is not None:
        films = _films(dataset, "train")
        for seed in range(FIRST_FURTHER_SEED, FIRST_FURTHER_SEED + further_seeds):
            rng = np.random.default_rng(seed)
            dialogues += split_dialogues(films, "train", TURN_COUNTS["mini"]["train"], rng)
    return dialogues


def _tokenizer(films: Iterable[Film], dialogues: Iterable[Dialogue]) -> PreTrainedTokenizerFast:
    rng = np.random.default_rng(0)
    texts = [
        caption(shot, language, rng)
        for film in films
        for shot in film.shots
        for language in LANGUAGES
        for _ in range(CAPTIONS_PER_SHOT)
    ]
    texts += [text for d in dialogues for turn in d.turns for text in (turn.utterance, turn.gold.response)]
    texts += [*INTENT_SENTENCES.values(), FOUND, "This frame is sampled at 12.5 second."] * 100
    # The text tower reads lower case, the LLaMA writes both.
    return train_tokenizer([*texts, *map(str.lower, texts)], [HUMAN, ASSISTANT, *ADDED_TOKENS])


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--dataset", "spec", default="mini", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in OUT.")
@click.option("--blip2-steps", type=int, help="Instead of the preset's number of steps.")
@click.option("--x-pool-steps", type=int, help="Instead of the preset's number of steps.")
def main(out: Path, spec: str, seed: int, resume: bool, blip2_steps: int | None, x_pool_steps: int | None) -> None:
    """Train phase 1 and print its recall on the validation films."""
    training = Phase1Training()
    if blip2_steps is not None:
        training = replace(training, blip2=replace(training.blip2, steps=blip2_steps))
    if x_pool_steps is not None:
        training = replace(training, x_pool=replace(training.x_pool, steps=x_pool_steps))
    dataset = open_dataset(spec)
    phase1 = train_phase1(dataset, out, training, seed=seed, resume=resume)
    for name, value in validate(phase1, dataset).items():
        click.echo(f"{name:14} {value:5.1f}")


if __name__ == "__main__":
    main()
