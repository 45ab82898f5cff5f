"""The untrained copy of a retrieval baseline: the weights with which its training begins.

python benchmarks/untrained.py NAME [--out runs/untrained-NAME] [--seed 0]
ivcr-bench run --system NAME:runs/untrained-NAME --history gold

The backbone is the small CLIP, or the BLIP-2 of InterLLaVA's first phase: what a trained model is better by is owed to
its own training. ``--scratch`` draws the backbone anew, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transformers import set_seed

from baselines.retrieval.methods import METHODS
from baselines.retrieval.settings import training_named
from baselines.retrieval.training import BACKBONES, read_tokenizer
from baselines.retrieval.weights import TrainedOn, save_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=METHODS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", action="store_true")
    options = parser.parse_args()
    method, training = METHODS[options.name], training_named(options.name, "mini")
    source = BACKBONES[method.family.part, "mini"]
    set_seed(options.seed)
    model = method.start(method.preset("mini"), source)
    if options.scratch:
        model = method.build(model.config)
    folder = options.out or Path("runs") / f"untrained-{options.name}"
    save_weights(folder, options.name, model, read_tokenizer(source), TrainedOn(training.policy, training.rate))
    print(folder)


if __name__ == "__main__":
    main()
