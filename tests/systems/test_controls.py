"""The controls are what they say: upper bound, chance, no history."""

from math import exp, lgamma, log

import pytest
from small_world import CORPUS, DIALOGUES, Listener, gold_requests, request

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.schema import INTENTS, Dialogue, Gold, Turn, Video, gold_answer
from ivcr_bench.systems.controls import FirstTurnOnly, Oracle, Random
from ivcr_bench.systems.registry import create_system


def test_oracle_answers_the_gold():
    oracle = Oracle(DIALOGUES)
    oracle.prepare(CORPUS)
    expected = [gold_answer(turn) for dialogue in DIALOGUES for turn in dialogue.turns]
    for response, gold in zip(oracle.respond(gold_requests()), expected, strict=True):
        assert (response.intent, response.videos, response.moments, response.text) == (
            gold.intent,
            gold.videos,
            gold.moments,
            gold.text,
        )


def test_oracle_localises_in_the_film_that_the_gold_is_of():
    oracle = Oracle(DIALOGUES)
    oracle.prepare(CORPUS)
    asked = gold_requests()[1]
    [[gold], [whole]] = oracle.localise([asked, asked], ["f2", "f4"])
    assert (gold.video_id, gold.start, gold.end) == ("f2", 3.0, 5.0)
    assert (whole.video_id, whole.start, whole.end) == ("f4", 0.0, 50.0)
    [[untimed]] = oracle.localise(gold_requests()[:1], ["f2"])  # a video turn has no gold moment
    assert (untimed.start, untimed.end) == (0.0, 30.0)


def test_random_does_not_depend_on_batch_order_history_or_words():
    one, other = Random(), Random()
    one.prepare(CORPUS)
    other.prepare(CORPUS)
    asked = [request(f"say {n}", dialogue_id=f"d{n}", turn=2) for n in range(20)]
    twins = [request("something else", "f1", dialogue_id=f"d{n}", turn=2) for n in range(20)]
    together = one.respond(asked)
    alone = [other.respond([twin])[0] for twin in reversed(twins)][::-1]
    assert together == alone
    assert (one.rank(asked) == other.rank(twins)).all()
    different = Random(seed=1)
    different.prepare(CORPUS)
    assert different.respond(asked) != together


def test_random_is_pinned_across_machines_and_versions():
    system = Random()
    system.prepare(CORPUS)
    response = system.respond([request("x", dialogue_id="d0", turn=1)])[0]
    assert (response.intent, " ".join(response.videos)) == ("video_retrieval", "f3 f1 f5 f4 f2 f0")


def test_random_draws_from_candidates_where_given():
    system = Random()
    system.prepare(CORPUS)
    [response] = system.respond([request("x", candidates=("f1", "f4", "f5"))])
    assert sorted(response.videos) == ["f1", "f4", "f5"]


def test_random_is_at_chance():
    """Each guess is one of k equally likely ones; over n turns the hits are binomial(n, 1/k)."""
    system = Random()
    system.prepare(CORPUS)
    turns = 2000
    answers = system.respond([request("x", dialogue_id=f"d{n}") for n in range(turns)])
    for hits, chance in [
        (sum(answer.videos[0] == "f3" for answer in answers), 1 / 6),
        (sum("f3" in answer.videos[:5] for answer in answers), 5 / 6),
        (sum(answer.moments[0].video_id == "f3" for answer in answers), 1 / 6),
        *((sum(answer.intent == intent for answer in answers), 1 / 3) for intent in INTENTS),
    ]:
        low, high = binomial_interval(turns, chance)
        assert low <= hits <= high
    for answer in answers:
        moment = answer.moments[0]
        assert 0 <= moment.start <= moment.end <= CORPUS.by_id[moment.video_id].duration


def binomial_interval(n, p, tail=1e-4):
    """The central interval of binomial(n, p) that leaves out at most ``tail`` on each side."""
    below = [0.0]
    for k in range(n + 1):
        choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        below.append(below[-1] + exp(choose + k * log(p) + (n - k) * log(1 - p)))
    low = next(k for k in range(n + 1) if below[k + 1] > tail)
    high = next(k for k in range(n, -1, -1) if 1 - below[k] > tail)
    return low, high


def test_first_turn_only_sees_the_utterance_alone():
    listener = Listener()
    system = FirstTurnOnly(listener)
    system.prepare(CORPUS)
    system.respond([request("the same, in the snow", "f1", "f2")])
    [seen] = listener.requests
    assert (seen.history, seen.utterance, seen.turn) == ((), "the same, in the snow", 3)
    assert (system.name, system.fingerprint) == ("first-turn-only:listener", "v2")
    assert system.reads_films


def test_first_turn_only_declares_what_the_system_learns_to_declare():
    class Late(Listener):
        def prepare(self, corpus):
            self.intents = frozenset({"moment_retrieval"})

    system = FirstTurnOnly(Late())
    assert system.intents == {"video_retrieval"}
    system.prepare(CORPUS)
    assert system.intents == {"moment_retrieval"}


@pytest.mark.parametrize("spec", ["random", "oracle", "random+whole-film", "oracle+middle-third"])
def test_controls_score_what_they_must(spec, tmp_path):
    """`oracle` is 100 everywhere; no control that guesses the film beats chance by more than luck allows."""
    from ivcr_bench.replay.run import Settings, replay
    from ivcr_bench.scoring.gold import GoldTurns
    from ivcr_bench.scoring.judge.registry import RULE, judge_named
    from ivcr_bench.scoring.report import score
    from ivcr_bench.submission import open_submission

    videos = tuple(Video(f"f{n}", f"{n}.mp4", 30.0, "hand", split="test") for n in range(20))
    dialogues = tuple(
        Dialogue(f"d{n}", "en" if n % 2 else "zh", "test", 1, three_turns(f"f{n % 20}")) for n in range(300)
    )
    dataset = Dataset(tmp_path, DatasetCard("made", fingerprint(videos, dialogues)), videos, dialogues)
    system = create_system(spec, dialogues=dialogues)
    replay(system, spec, dataset, dialogues, tmp_path / "out", Settings(), resume=False)
    submission = open_submission(tmp_path / "out" / "submission.jsonl")
    with judge_named(RULE) as judge:
        report = score(GoldTurns.of(dataset, "test"), submission, intervals=False, judge=judge)
    figures = report.overall["none"]
    if spec.startswith("oracle"):
        assert figures["R@1"].value == figures["intent accuracy"].value == 1
        if spec == "oracle":
            assert all(figure.value == pytest.approx(1) for figure in figures.values())
    else:
        # `random` also has to guess the intent, one of three; with a localiser the rules tell it.
        chance = 1 / 20 / (3 if spec == "random" else 1)
        low, high = binomial_interval(300, chance)
        assert low <= round(300 * figures["R@1"].value) <= high


def three_turns(film):
    return (
        Turn("find me a film", "video_retrieval", "new_topic", Gold((film,), (), "here is the film")),
        Turn("when does it start?", "moment_retrieval", "long2short", Gold((film,), ((2.0, 9.0),), "from 2 to 9 s")),
        Turn("thanks!", "natural_dialogue", "chitchat", Gold((), (), "you are very welcome")),
    )
