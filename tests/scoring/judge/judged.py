"""Items for the loopback server, and judges that ask it without patience."""

import random

from loopback import KEY, MODEL

from ivcr_bench.scoring.judge.items import JudgeItem
from ivcr_bench.scoring.judge.limits import Limits
from ivcr_bench.scoring.judge.openai_client import Settings
from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
from ivcr_bench.scoring.judge.retries import RetryPolicy


def name_of(item):
    return f"turn-{item.dialogue_id.removeprefix('d')}-{item.turn}"


def items(count, language=None):
    """Turns of five-turn dialogues; every other dialogue is Chinese."""
    for number in range(count):
        dialogue, turn = divmod(number, 5)
        spoken = language or ("zh" if dialogue % 2 else "en")
        reference = f"turn-{dialogue}-{turn + 1} {'夜里的红星' if spoken == 'zh' else 'a red star'}"
        yield JudgeItem(f"d{dialogue}", turn + 1, spoken, ("the film, please",), reference, "a red star at night")


def openai_judge(url, store, concurrency=16, seconds=20.0, key=KEY, model=MODEL, policy=None, **settings):
    policy = policy or RetryPolicy(base=0.002, cap=0.02, random=random.Random(0))
    settings.setdefault("limits", Limits(concurrency))
    return OpenAIJudge(Settings(model, key, url, seconds), store, policy=policy, **settings)
