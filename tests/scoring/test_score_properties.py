"""What must hold for every submission, on random dialogues and answers."""

import pytest
from hand_made import chat_turn, dataset, dialogue, moment_turn, score, submission, video_turn
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.schema import INTENTS, STATUSES, Moment, SubmissionTurn
from ivcr_bench.scoring.tables import render

FILMS = [f"f{i}" for i in range(12)]
film = st.sampled_from(FILMS)
words = st.sampled_from(["", "a red star", "a red star circles a blue square", "红星绕着蓝色的方块", "x " * 30])
seconds = st.integers(0, 20)
interval = st.tuples(seconds, seconds).map(sorted)


@st.composite
def turns(draw, number):
    kind = draw(st.sampled_from(INTENTS))
    depends_on = tuple(draw(st.sets(st.integers(1, number - 1)))) if number > 1 else ()
    response = draw(words)
    if kind == "video_retrieval":
        relevant = draw(st.lists(film, min_size=1, max_size=3, unique=True))
        return video_turn(*relevant, depends_on=depends_on, response=response)
    if kind == "moment_retrieval":
        moments = draw(st.lists(interval.map(tuple), min_size=1, max_size=2))
        return moment_turn(draw(film), *moments, depends_on=depends_on, response=response)
    return chat_turn(response, depends_on)


@st.composite
def dialogues(draw, name):
    length = draw(st.integers(1, 5))
    talk = [draw(turns(number)) for number in range(1, length + 1)]
    return dialogue(name, *talk, language=draw(st.sampled_from(["en", "zh"])))


@st.composite
def answers(draw, name, number, turn):
    gold = turn.gold
    videos = draw(st.lists(film, max_size=12, unique=True) | st.just(gold.videos))
    start, end = draw(interval)
    moment = draw(st.just(Moment(draw(film), start, end)) | st.sampled_from(gold_moments(turn)))
    return SubmissionTurn(
        dialogue_id=name,
        turn=number,
        intent=draw(st.just(turn.intent) | st.sampled_from(INTENTS)),
        videos=tuple(videos),
        moments=draw(st.sampled_from([(moment,), ()])),
        text=draw(words | st.just(gold.response)),
        status=draw(st.just("ok") | st.sampled_from(STATUSES)),
    )


def gold_moments(turn):
    return [Moment(turn.gold.videos[0], *moment) for moment in turn.gold.moments] or [Moment("f0", 0, 1)]


@st.composite
def cases(draw):
    """A dataset, and answers to about three quarters of its turns."""
    talks = [draw(dialogues(f"d{i}")) for i in range(draw(st.integers(1, 4)))]
    given_answers = [
        draw(answers(talk.dialogue_id, number, turn))
        for talk in talks
        for number, turn in enumerate(talk.turns, start=1)
        if draw(st.integers(0, 3))
    ]
    return dataset(*talks), given_answers


def values(figures):
    return {name: figure.value or 0.0 for name, figure in figures.items()}


@pytest.mark.parametrize("gated", [True, False])
@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_orders_and_bounds(gated, case):
    world, given_answers = case
    report = score(world, "test", submission(*given_answers), gated=gated)
    for figures in [*report.overall.values(), *(f for by in report.slices["turn"].values() for f in by.values())]:
        value = values(figures)
        assert all(0 <= v <= 1 for v in value.values())
        assert value["R@1"] <= value["R@5"] <= value["R@10"]
        assert value["R@1"] <= value["MRR"]
        assert value["R@1 IoU=0.7"] <= value["R@1 IoU=0.5"] <= value["R@1 IoU=0.3"]
    assert render(report)


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_propagation_never_raises_a_figure(case):
    world, given_answers = case
    report = score(world, "test", submission(*given_answers))
    none = values(report.overall["none"])
    for rule in ("video", "dependency"):
        assert all(value <= none[name] for name, value in values(report.overall[rule]).items())


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_the_gate_never_raises_a_figure(case):
    world, given_answers = case
    gated = score(world, "test", submission(*given_answers)).overall["none"]
    ungated = score(world, "test", submission(*given_answers), gated=False).overall["none"]
    assert all(value <= values(ungated)[name] for name, value in values(gated).items())


@settings(max_examples=60, deadline=None)
@given(case=cases(), data=st.data())
def test_the_order_of_lines_does_not_count(case, data):
    world, given_answers = case
    shuffled = data.draw(st.permutations(given_answers))
    assert score(world, "test", submission(*given_answers)) == score(world, "test", submission(*shuffled))


@settings(max_examples=100, deadline=None)
@given(case=cases(), data=st.data())
def test_a_missing_answer_never_raises_a_figure(case, data):
    world, given_answers = case
    if not given_answers:
        return
    left_out = data.draw(st.integers(0, len(given_answers) - 1))
    fewer = [answer for index, answer in enumerate(given_answers) if index != left_out]
    before = score(world, "test", submission(*given_answers))
    after = score(world, "test", submission(*fewer))
    for rule in before.overall:
        whole, part = values(before.overall[rule]), values(after.overall[rule])
        # Corpus BLEU alone can rise: see docs/metrics.md and test_scoring_text.py.
        assert all(part[name] <= whole[name] for name in whole if not name.startswith("BLEU-4"))


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_denominators_are_the_gold_turns_of_the_kind(case):
    world, given_answers = case
    report = score(world, "test", submission(*given_answers))
    gold = [turn for talk in world.dialogues for turn in talk.turns]
    for figures in report.overall.values():
        assert figures["R@1"].n == figures["MRR"].n == sum(turn.intent == "video_retrieval" for turn in gold)
        assert figures["mIoU"].n == sum(turn.intent == "moment_retrieval" for turn in gold)
        assert figures["BLEU-4"].n == sum(bool(turn.gold.response) for turn in gold)
        assert figures["intent accuracy"].n == len(gold)
        assert figures["dialogue success"].n == len(world.dialogues)


def simulate(talk, given_answers, rule):
    """R@1 and IoU>=0.5 successes of one dialogue, turn by turn, as a reader of docs/protocols.md would do it."""
    by_turn = {answer.turn: answer for answer in given_answers if answer.dialogue_id == talk.dialogue_id}
    own, alive = {}, {}
    for number, turn in enumerate(talk.turns, start=1):
        answer, gold = by_turn.get(number), turn.gold
        ok = answer is not None and answer.status == "ok" and answer.intent == turn.intent
        if ok and turn.intent == "video_retrieval":
            ok = bool(answer.videos) and answer.videos[0] in gold.videos
        elif ok and turn.intent == "moment_retrieval":
            ok = bool(answer.moments) and answer.moments[0].video_id == gold.videos[0]
            ok = ok and any(half_overlap(answer.moments[0], moment) for moment in gold.moments)
        own[number] = ok
        if rule == "dependency":
            alive[number] = all(alive[parent] and own[parent] for parent in turn.depends_on)
        else:
            earlier = [n for n in own if n < number and talk.turns[n - 1].intent == "video_retrieval"]
            alive[number] = rule == "none" or all(own[n] for n in earlier)
    return [own[number] and alive[number] for number in own]


def half_overlap(moment, gold):
    """Whether IoU >= 0.5, in whole seconds."""
    if (moment.start, moment.end) == gold:
        return True
    ours, theirs = (set(range(int(a), int(b))) for a, b in ((moment.start, moment.end), gold))
    return len(ours | theirs) > 0 and 2 * len(ours & theirs) >= len(ours | theirs)


@settings(max_examples=120, deadline=None)
@given(case=cases())
def test_every_rule_equals_a_walk_through_the_dialogues(case):
    world, given_answers = case
    report = score(world, "test", submission(*given_answers))
    for rule in report.overall:
        figures = report.overall[rule]
        successes = [
            (turn.intent, success)
            for talk in world.dialogues
            for turn, success in zip(talk.turns, simulate(talk, given_answers, rule), strict=True)
        ]
        for intent, name in (("video_retrieval", "R@1"), ("moment_retrieval", "R@1 IoU=0.5")):
            hits = [success for kind, success in successes if kind == intent]
            assert values(figures)[name] == (sum(hits) / len(hits) if hits else 0)
