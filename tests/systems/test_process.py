"""Systems outside this process: a child that answers, dies, hangs or talks nonsense, and a server that does."""

import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from small_world import CORPUS, request

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.replay.loop import play
from ivcr_bench.schema import Dialogue, Gold, Turn
from ivcr_bench.systems.http import HttpSystem
from ivcr_bench.systems.process import ProcessSystem
from ivcr_bench.systems.wire import WireError

CHILD = """
import json, os, sys, time

def reply(message):
    print(json.dumps(message), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    if "prepare" in message:
        films = [video["video_id"] for video in message["prepare"]["videos"]]
        reply({"intents": ["video_retrieval"]})
        continue
    words = [request["utterance"] for request in message["requests"]]
    if "die once" in words and not os.path.exists(sys.argv[1]):
        open(sys.argv[1], "w").close()
        sys.exit("out of memory")
    if "die" in words:
        sys.exit("out of memory")
    if "hang" in words:
        time.sleep(60)
    if "nonsense" in words:
        print("here you are", flush=True)
        continue
    reply({"responses": [
        {"videos": 7} if word == "malformed" else
        {"intent": "video_retrieval", "videos": films[:2], "text": f"{word} {len(request.get('history', []))}"}
        for word, request in zip(words, message["requests"])
    ]})
"""


@pytest.fixture
def child(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    command = shlex.join([sys.executable, str(tmp_path / "child.py"), str(tmp_path / "died")])
    system = ProcessSystem(command, prepare_seconds=30, request_seconds=1)
    system.prepare(CORPUS)
    return system


def test_a_child_answers_batches(child):
    assert child.intents == {"video_retrieval"}
    one, two = child.respond([request("x"), request("说", "f1", None)])
    assert (one.videos, one.text) == (("f0", "f1"), "x 0")
    assert two.text == "说 2"


def test_a_malformed_response_harms_no_other(child):
    good, bad = child.respond([request("x"), request("malformed")])
    assert good.status == "ok"
    assert (bad.status, bad.raw) == ("malformed", '{"videos": 7}')


def test_a_child_that_dies_is_started_again(child):
    assert child.respond([request("die once")])[0].text == "die once 0"


def test_a_child_that_keeps_dying_says_why(child):
    with pytest.raises(WireError, match="ended with exit code 1: out of memory"):
        child.respond([request("die")])
    assert child.respond([request("x")])[0].text == "x 0"


def test_a_child_that_hangs_is_a_timeout(child):
    [response] = child.respond([request("hang")])
    assert response.status == "timeout"
    assert child.respond([request("x")])[0].text == "x 0"


def test_nonsense_is_quoted(child):
    with pytest.raises(WireError, match="the reply starts 'here you are"):
        child.respond([request("nonsense")])


def test_a_failing_request_does_not_sink_its_neighbours(child):
    """As the loop asks: the batch, then one by one."""
    dialogues = [
        Dialogue(f"d{n}", "en", "test", 0, (Turn(word, "video_retrieval", "new_topic", Gold(("f0",))),))
        for n, word in enumerate(["x", "die", "y"])
    ]
    [batch] = play(child, dialogues, CORPUS, {}, history="own", scope="corpus", batch_size=3)
    assert [answer.status for answer in batch.answers] == ["ok", "system_error", "ok"]


def test_a_message_larger_than_a_pipe_reaches_a_child_that_never_reads():
    system = ProcessSystem(f"{shlex.quote(sys.executable)} -c 'import time; time.sleep(60)'", prepare_seconds=0.5)
    large = Corpus(CORPUS.root, CORPUS.videos * 5000)
    with pytest.raises(IvcrError, match=r"did not answer within 0\.5 s"):
        system.prepare(large)


@pytest.mark.parametrize(
    ("command", "message"),
    [("./no-such-program", "cannot be started: No such file"), ("false", "false ended with exit code 1")],
)
def test_a_program_that_cannot_be_started(command, message):
    with pytest.raises(IvcrError, match=message):
        ProcessSystem(command).prepare(CORPUS)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        message = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        words = [request["utterance"] for request in message.get("requests", ())]
        answers = [{"intent": "video_retrieval", "videos": ["f1"], "text": word} for word in words]
        reply = {"intents": ["video_retrieval"]} if "prepare" in message else {"responses": answers}
        if "flaky" in words and not self.server.failed:
            self.server.failed = True
            self.send_error(503)
            return
        if "hang" in words:
            self.server.released.wait(5)
        self.send_response(500 if "refuse" in words else 200)
        self.end_headers()
        self.wfile.write(msgspec.json.encode(reply))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.failed, server.released = False, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    system = HttpSystem(f"http://127.0.0.1:{server.server_port}/answer", request_seconds=0.3)
    system.prepare(CORPUS)
    yield system
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_answers_batches(server):
    assert server.intents == {"video_retrieval"}
    assert [response.text for response in server.respond([request("a"), request("二")])] == ["a", "二"]


def test_a_server_is_asked_twice(server):
    assert server.respond([request("flaky")])[0].text == "flaky"
    with pytest.raises(WireError, match="HTTP status 500"):
        server.respond([request("refuse")])


def test_a_server_that_hangs_is_a_timeout(server):
    assert server.respond([request("hang")])[0].status == "timeout"


def test_no_server():
    with pytest.raises(IvcrError, match=r"Connection refused \(is the server running"):
        HttpSystem("http://127.0.0.1:9/").prepare(CORPUS)
