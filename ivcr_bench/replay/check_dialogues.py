"""A dozen tiny dialogues, in both languages, that ask for everything a system may be asked for."""

from __future__ import annotations

from itertools import cycle

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Behaviour, Dialogue, Gold, Intent, Language, Turn, Video

CANDIDATES = 10

_KINDS: dict[str, tuple[Intent, Behaviour]] = {
    "find": ("video_retrieval", "new_topic"),
    "refine": ("video_retrieval", "refine"),
    "alike": ("video_retrieval", "analogous"),
    "whole": ("video_retrieval", "short2long"),
    "when": ("moment_retrieval", "long2short"),
    "scene": ("moment_retrieval", "new_topic"),
    "talk": ("natural_dialogue", "chitchat"),
}

_SCRIPTS: tuple[tuple[Language, tuple[tuple[str, str], ...]], ...] = (
    (
        "en",
        (
            ("find", "I'm looking for a film with a red star in it."),
            ("when", "When does it show up for the first time?"),
            ("talk", "Thanks, that was all!"),
        ),
    ),
    (
        "en",
        (
            ("find", "a thriller at night, please"),
            ("refine", "The same, but in the snow."),
            ("when", "And where in that one does the chase begin?"),
            ("alike", "Is there another one like it?"),
            ("when", "show me the part where it ends"),
            ("find", "Now something else: a dance in the city."),
            ("talk", "Lovely. Why are there only shapes in these films?"),
        ),
    ),
    ("en", (("scene", "Find the moment in which a blue square falls down."), ("whole", "I want the whole film."))),
    ("en", (("talk", "Hello! What can you do for me?"), ("find", "ok then, something with two actors"))),
    ("en", (("find", "?"), ("refine", "no"))),
    ("en", (("find", "long and winding, " * 300 + "that is the film I mean"), ("when", "When?"))),
    (
        "zh",
        (
            ("find", "帮我找一部有红色星星的片子。"),
            ("when", "它第一次出现是在什么时候？"),
            ("talk", "谢谢，没有别的了！"),
        ),
    ),
    (
        "zh",
        (
            ("find", "来一部夜里的惊悚片"),
            ("refine", "还是这种，不过要在雪地里的。"),
            ("when", "那部里面追逐是从哪一秒开始的？"),
            ("alike", "有没有跟它差不多的？"),
            ("talk", "这些片子里为什么只有图形？"),
        ),
    ),
    ("zh", (("scene", "找蓝色方块掉下来的那一段。"), ("whole", "这是哪部片子？我想看全片。"))),
    ("zh", (("talk", "你好，你能做什么？"), ("find", "那就随便来一部有两个角色的吧"))),
    ("zh", (("find", "。"), ("refine", "不是"))),
    ("zh", (("find", "想看 dance film 🎬，城市里的"), ("when", "精彩的部分是哪一段？"))),
)


def check_dialogues(corpus: Corpus) -> tuple[Dialogue, ...]:
    """The dialogues, about films of ``corpus``; their gold is of the right form but means nothing."""
    films = cycle(corpus.videos[:CANDIDATES])
    candidates = tuple(video.video_id for video in corpus.videos[:CANDIDATES])
    return tuple(
        Dialogue(
            dialogue_id=f"check-{number:02d}",
            language=language,
            split="test",
            type=0,
            turns=tuple(_turn(kind, utterance, next(films), candidates) for kind, utterance in script),
        )
        for number, (language, script) in enumerate(_SCRIPTS, start=1)
    )


def _turn(kind: str, utterance: str, film: Video, candidates: tuple[str, ...]) -> Turn:
    intent, behaviour = _KINDS[kind]
    talk, asks_moment = intent == "natural_dialogue", intent == "moment_retrieval"
    gold = Gold(
        videos=() if talk else (film.video_id,),
        moments=((0.0, film.duration / 2),) if asks_moment else (),
        response="...",
    )
    return Turn(utterance, intent, behaviour, gold, candidates=candidates if intent == "video_retrieval" else None)
