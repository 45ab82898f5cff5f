"""What does an utterance ask for? Rules for systems that cannot tell, in English and Chinese.

Retrieval-only and localiser-only baselines have no notion of intent, but a dialogue has turns of all kinds. These
rules let them take part. They are general phrases, completed once by what IVCR-Mini's *training* dialogues showed to
be missing (docs/systems.md says how often they are right elsewhere). A system that predicts intents should offer
`ivcr_bench.systems.protocol.Router` instead.

The first rule that fits decides: asks for a whole film: video retrieval; asks for a time or a part of a film: moment
retrieval; asks about a film or the system, though in words that searches use too: natural dialogue; talks without
searching: natural dialogue; anything else: video retrieval, which is also how most elliptical turns are meant ("the
same, but in the snow").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ivcr_bench.schema import Exchange, Intent, Request
from ivcr_bench.systems.protocol import Route

WHOLE_FILM = re.compile(
    r"""
    \b(?:whole|entire|full|complete|all\ of\ the)\ (?:film|movie|video|thing)\b | \bfrom\ the\ (?:start|beginning)\b
    | (?:属于|来自|出自)哪(?:一)?部
    | 整部|整个(?:电影|影片|视频|片子)|全片|完整|从头 | (?:这|那)(?:一|个)?[幕段刻]的(?:电影|影片|视频|片子)
    """,
    re.IGNORECASE | re.VERBOSE,
)
MOMENT = re.compile(
    r"""
    (?:^|[,.;:!?-]\s*|\b(?:and|but|so|now|then|ok|okay|exactly|tell\ me|show\ me|know|say|see|me)\s+)when\b
    | \bat\ (?:what|which)\ (?:time|point|second|moment)s?\b | \bwhat\ time\b
    | \bhow\ (?:far|long)\ (?:in|into|before)\b
    | \bmoments?\b | \bseconds\b | \btime\s?(?:stamp|code|span|frame)s?\b | \binterval\b | \bfrom\ when\b
    | \b(?:which|what|the|that|this|exact)\ (?:part|bit|scene|shot|segment|passage|stretch|section|clip|portion)s?\b
    | \bwhere(?:abouts)?\ (?:in|within|does|do|is)\b | \b(?:jump|skip|seek|forward|rewind|take\ me|bring\ me)\b.*\bto\b
    | 什么时候|什么时间|何时|几时|几秒|多少秒|第几|时刻|时间点|时间段|片段|片断|瞬间|起止|从哪.{0,4}到哪
    | 哪(?:一|个|几)?(?:段|刻|幕|秒|部分|镜头|场景?|个?地方|里.*(?:开始|出现)) | (?:那|这)(?:一|个)?(?:段|刻|幕|瞬间)
    | 开始和结束|多久之?后|(?:镜头|画面|场景).{0,3}在哪 | (?:跳|转|快进|拖|切)(?:到|至) | 放到(?:那|这) | 定位
    """,
    re.IGNORECASE | re.VERBOSE,
)
QUESTION = re.compile(
    r"""
    \bis\ it\ any\ good\b | \bdescribe\ (?:it|this|that)\b
    | \bwhat\ (?:kind|sort)s?\ of\ (?:film|movie|video)s?\ (?:are|do)\b
    | 什么样的(?:电影|影片|视频|片子) | 什么内容|(?:说说|讲讲|介绍).{0,4}内容 | 最后一个(?:镜头|场景|画面)
    | 找的就是 | 问你什么 | (?:能|会|可以)(?:帮我)?找(?:电影|影片|视频|片子)吗
    """,
    re.IGNORECASE | re.VERBOSE,
)
TALK = re.compile(
    r"""
    \b(?:thanks?|thank\ you|thx|cheers|hello|hi|hey|good\ (?:morning|afternoon|evening|night)|bye|goodbye|see\ you)\b
    | \bhow\ (?:are|do)\ you\b | \b(?:who|what)\ are\ you\b | \bare\ you\b
    | \b(?:do|can|could|did|have|would)\ you\ (?:like|think|feel|help)\b
    | \b(?:great|nice|lovely|cool|awesome|perfect|wonderful|brilliant|haha|wow|well\ done|good\ job)\b
    | \bthat'?s\ (?:all|it|enough|the\ one|exactly)\b | \bi\ (?:love|loved|enjoyed)\b | \bwhy\b
    | \bwhat(?:'s|\ is|\ does|\ do|\ happens|\ comes|\ can|\ kinds?|\ sorts?)\b | \bhow\ (?:does|do|is|should)\b
    | \btell\ me\b | \bis\ it\ (?:any\ )?good\b | \bspoil | \bending\b
    | 谢谢|多谢|感谢|你好|您好|嗨|哈喽|再见|拜拜|回头见|早上好|晚上好|下午好|哈哈|辛苦|太好了|太棒|真棒|真好|不错|厉害
    | 结局|片尾|最后一幕|讲(?:的是|了|述)?(?:些)?什么|什么内容|介绍|怎么用|怎么样|什么类型|就(?:是|要)它|的就是
    | 好看|漂亮|你是谁|你觉得|你喜欢|你会|你能|聊|为什么|没别的|就这样|就是(?:它|这)
    """,
    re.IGNORECASE | re.VERBOSE,
)
SEARCH = re.compile(
    r"""
    \b(?:find|search|look(?:ing)?\ for|show|asking\ for|get\ me|give\ me|recommend|suggest)\b
    | \b(?:want|need|any|another|instead|similar)\b
    | \b(?:something|anything|one|ones|film|movie|video|clip)s?\ (?:with|where|in|of|about|like|at|set|that|which)\b
    | \b(?:i'?d\ like|in\ the\ mood|is\ there|are\ there|do\ you\ have|have\ you\ got|like\ (?:that|this|it))\b
    | \bthe\ same\b | \bbut\ (?:in|with|at|a)\b
    | 找|搜|推荐|想看|想要|要看|再看|你这(?:儿|里)?有
    | 我要|来(?:一|个|部|点)|有没有|有什么|还有|换|类似|差不多|像.*(?:一样|那样|这样)|(?:给|帮)我
    """,
    re.IGNORECASE | re.VERBOSE,
)
REFERENCE = re.compile(
    r"""
    \b(?:it(?!\ that\b)|its|there|this|same|they|them)\b | (?<!\bit\ )\bthat\b(?!\ (?:an?|the|some)\b)
    | \bthe\ (?:film|movie|video|clip|one|first|last|previous)\b(?!\ of\b)
    | 它|这(?:部|个|里|片|段)|那(?:部|里|片|个(?![，,]|瞬间))
    | 该片|片中|片子里|里面|里头|其中|当中|刚才|刚刚|上一[部次]|前面|同一
    | (?:电影|影片|视频|片子)(?:里|中)
    | (?<!的)(?:[那这](?:一|个)?(?:段|幕|刻|地方|镜头) | 那是)
    | ^(?:[^，,]{1,4}[，,])* (?:具体|大概)?[在是从]{0,2}(?:哪一?段|第?几秒(?:到几秒)?|什么时候|哪儿) [呢？?。]*$
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""The demonstrative after 的 belongs to a description (下雪的那一段); elsewhere it points at something known."""


class KeywordRouter:
    """Routes by the rules of this module; a moment turn that refers back is about the current film."""

    def route(self, requests: Sequence[Request]) -> list[Route]:
        """One route per request."""
        return [self._route(request) for request in requests]

    def _route(self, request: Request) -> Route:
        intent = classify(request.utterance)
        if intent == "moment_retrieval" and refers_back(request.utterance):
            return Route(intent, current_film(request.history))
        return Route(intent)


def classify(utterance: str) -> Intent:
    """The intent of ``utterance``, by keywords.

    >>> classify("When does the star fall in that one?"), classify("它是什么时候开始转圈的？")
    ('moment_retrieval', 'moment_retrieval')
    >>> classify("The same, but in the snow."), classify("帮我找一部夜里的舞蹈片")
    ('video_retrieval', 'video_retrieval')
    >>> classify("Thanks, that's the one!"), classify("谢谢，太好了")
    ('natural_dialogue', 'natural_dialogue')
    """
    if WHOLE_FILM.search(utterance):
        return "video_retrieval"
    if MOMENT.search(utterance):
        return "moment_retrieval"
    if QUESTION.search(utterance):
        return "natural_dialogue"
    if TALK.search(utterance) and not SEARCH.search(utterance):
        return "natural_dialogue"
    return "video_retrieval"


def refers_back(utterance: str) -> bool:
    """Whether ``utterance`` speaks of a film as one already known.

    >>> refers_back("when does it turn around?"), refers_back("find the moment a red star falls at night")
    (True, False)
    """
    return REFERENCE.search(utterance) is not None


def current_film(history: Sequence[Exchange]) -> str | None:
    """The film that the latest answer with a result stands for; ``None`` before the first result."""
    for exchange in reversed(history):
        answer = exchange.answer
        if answer is not None and (answer.moments or answer.videos):
            return answer.moments[0].video_id if answer.moments else answer.videos[0]
    return None
