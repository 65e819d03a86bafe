"""Alarms to a real web server: killed, restarted, in trouble, asking for patience, and refusing what it cannot take."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from relay_bench import WIRE, Feed, SinkBench, WebServer, check_complete, free_port, make_certificate, tool

from stream.config_sinks import WebhookSink
from stream.durable_journal import DurableJournal
from stream.journal_store import JournalStore
from stream.position import CursorFile, Position
from stream.publisher import Publisher
from stream.relay.base import NotDelivered, Parcel, Refused, RelayError
from stream.relay.configured import make_relay
from stream.relay.webhook import WebhookRelay, signature, signing_key
from stream.sockets import PublisherSockets
from stream.types import Event, Phase

sys.path.append(str(WIRE))
from wire_samples import make_end, make_event

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("w")


def check_signature(request: dict) -> None:
    """As the specification tells receivers to, without the project's code."""
    headers = request["headers"]
    signed = ".".join([headers["webhook-id"], headers["webhook-timestamp"], request["body"]])
    digest = hmac.new(KEY, signed.encode(), hashlib.sha256).digest()
    version, _, given = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert hmac.compare_digest(base64.b64decode(given), digest)
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
    assert "." not in headers["webhook-id"]
    assert headers["content-type"] == "application/json"


def event(request: dict) -> tuple[str, str]:
    return request["headers"]["webhook-id"], json.loads(request["body"])["data"]["id"]


def test_nothing_is_lost_over_kills_and_errors_of_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with WebServer(folder) as server, Feed(folder, rate=40) as feed:
        settings = {"kind": "webhook", "url": f"http://127.0.0.1:{server.port}/hook", "secret_env": "HOOK_SECRET"}
        with SinkBench(folder, settings) as sink:

            def more(count: int) -> None:
                wanted = len(server.accepted()) + count
                sink.until(lambda: len(server.accepted()) >= wanted)

            more(20)
            server.kill()
            sink.until(lambda: "Connection refused" in sink.child.counts.get("detail", ""))
            sink.kill()
            server.start()
            more(20)
            server.rules(status=500, left=2)
            sink.until(lambda: sink.child.counts.get("detail", "").startswith("answered 500"))
            more(20)
            server.rules(status=429, retry_after="3", left=1)
            sink.until(lambda: server.taken[-1]["status"] == 429)
            more(20)
            told = next(n for n, request in enumerate(server.taken) if request["status"] == 429)
            assert server.taken[told + 1]["at"] - server.taken[told]["at"] > 2.5, "it was asked to wait for 3 s"
            feed.enough()
            sink.until(lambda: sink.child.counts.get("behind") == 0)
            check_complete([event(request) for request in server.accepted()], feed.committed, most_twice=2)
            for request in server.taken:
                check_signature(request)
                assert request["path"] == "/hook"
            sink.stop()


def test_a_sink_that_starts_anew_does_not_tell_that_all_is_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    silent = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # which never accepts
    settings = {"kind": "webhook", "url": f"http://127.0.0.1:{silent.server_port}/", "secret_env": "HOOK_SECRET"}
    with Feed(folder, rate=10), SinkBench(folder, {**settings, "timeout_s": 2}) as sink:
        sink.until(lambda: sink.child.counts.get("state") == "lost")
        sink.kill()
        sink.until(lambda: not sink.child.counts)
        told: list[str] = []

        def lost() -> bool:
            told.append(sink.child.counts.get("state", ""))
            return told[-1] == "lost"

        sink.until(lost)
        assert set(told) == {"", "starting", "lost"}
    silent.server_close()


def test_one_message_that_is_refused_stops_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with WebServer(folder) as server, Feed(folder, rate=10) as feed:
        server.rules(poison='"0001-00000003"')
        settings = {"kind": "webhook", "url": f"http://127.0.0.1:{server.port}/", "secret_env": "HOOK_SECRET"}
        with SinkBench(folder, settings) as sink:
            sink.until(lambda: len(server.accepted()) >= 12)
            feed.enough()
            sink.until(lambda: sink.child.counts.get("behind") == 0)
            assert sink.child.counts["set_aside"] == 1
            assert "1 refused for good" in sink.child.counts["detail"]
        server.kill()  # what it took is known then
        refused = [request for request in server.taken if request["status"] == 400]
        assert {event(request)[1] for request in refused} == {"0001-00000003"}
        assert len(refused) == 3
        assert [event(request)[1] for request in server.accepted()] == [
            name for name in feed.committed if name != "0001-00000003"
        ]
        letters = sink.folder / "x.dead.ndjson"
        assert letters.stat().st_mode & 0o777 == 0o600
        (letter,) = map(json.loads, letters.read_text().splitlines())
        assert letter["message"]["data"]["id"] == "0001-00000003"
        assert (letter["id"], letter["why"]) == (event(refused[0])[0], "answered 400 to a message")


def test_a_place_that_the_journal_no_longer_knows_is_told_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with WebServer(folder) as server, Feed(folder, rate=10) as feed:
        settings = {"kind": "webhook", "url": f"http://127.0.0.1:{server.port}/", "secret_env": "HOOK_SECRET"}
        bench = SinkBench(folder, settings)
        bench.folder.mkdir(mode=0o700)
        CursorFile(bench.folder / "x.cursor").write(Position("gone", {"alarm": 5}))
        with bench as sink:
            sink.until(lambda: len(server.accepted()) >= 5)
        gap, *alarms = [json.loads(request["body"]) for request in server.accepted()]
        assert (gap["type"], gap["node"], gap["epoch"]) == ("gap", "n", "gone")
        assert gap["data"] == {"kind": "alarm", "first": 6, "last": None}
        assert server.accepted()[0]["headers"]["webhook-id"] == "gone-alarm-gap-6"
        assert [alarm["data"]["id"] for alarm in alarms] == feed.committed[: len(alarms)]


class Busy(threading.Thread):
    """A publisher of many alarms that have ended, and of one that goes on all the while; `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.more: SimpleQueue[Event] = SimpleQueue()
        self.ready, self.ended = threading.Event(), threading.Event()

    def run(self) -> None:
        publisher = Publisher("n", journal=DurableJournal(JournalStore(self.folder / "journal.db")))
        addresses = {name: f"ipc://{self.folder}/{name}" for name in ("events", "query")}
        with closing(publisher.journal), PublisherSockets(publisher, **addresses, heartbeat_s=0.25) as sockets:
            sockets.send(publisher.publish_event(make_event(0)))
            for number in range(1, 300):
                sockets.send(publisher.publish_event(make_event(number)))
                sockets.send(publisher.publish_event(make_end(number)))
            sockets.send(publisher.publish_event(make_event(0, phase=Phase.UPDATE)))
            sockets.flush()
            self.ready.set()
            while not self.ended.is_set():
                while not self.more.empty():
                    sockets.send(publisher.publish_event(self.more.get()))
                sockets.serve(20)

    def stop(self) -> None:
        self.ended.set()
        self.join(20)


def test_a_sink_that_never_ran_begins_with_what_is_open_and_not_with_what_is_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is killed before its other end is there; webhooks want no updates, but this stands for a start."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    busy = Busy(folder)
    busy.start()
    assert busy.ready.wait(30)
    with WebServer(folder) as server:
        server.rules(status=503, left=10_000)
        settings = {"kind": "webhook", "url": f"http://127.0.0.1:{server.port}/", "secret_env": "HOOK_SECRET"}
        with SinkBench(folder, settings) as sink:
            first = sink.folder / "x.first.ndjson"
            sink.until(lambda: server.taken)
            assert first.stat().st_mode & 0o777 == 0o600
            sink.kill()
            for event_ in (make_end(0), make_event(1000)):  # while it does not run
                busy.more.put(event_)
            server.rules()
            sink.until(lambda: len(server.accepted()) >= 3)
            assert not first.exists()
            sink.stop()
    busy.stop()
    told = [json.loads(request["body"])["data"] for request in server.accepted()]
    assert [(data["id"], data["phase"]) for data in told] == [
        (make_event(0).id, "update"),
        (make_event(0).id, "end"),
        (make_event(1000).id, "start"),
    ]


PARCEL = Parcel("e-alarm-1", "alarm/cam/fall", b'{"v":1}', None, "cam", "")


def relay(url: str, secret: str = SECRET, **settings: object) -> WebhookRelay:
    entry = WebhookSink(name="x", kind="webhook", url_env="U", secret_env="S", **settings)  # type: ignore[arg-type]
    return WebhookRelay(entry, url, secret)


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 408, 410, 503])
def test_what_may_be_put_right_is_tried_again_and_never_elsewhere(folder: Path, status: int) -> None:
    with WebServer(folder) as server, WebServer(folder) as other:
        server.rules(status=status, left=1, location=f"http://127.0.0.1:{other.port}/", retry_after="7200")
        one = relay(f"http://127.0.0.1:{server.port}/token-in-path")
        deadline = time.monotonic() + 20
        while True:
            with pytest.raises(NotDelivered) as caught:
                one.send(PARCEL)
            if "cannot connect" not in str(caught.value):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert str(caught.value) == f"answered {status}; expected 200 to 299"
        assert caught.value.after == 3600.0, "a server cannot silence alarms for longer"
        assert not isinstance(caught.value, Refused)
        one.send(PARCEL)
        one.close()
        assert not other.taken


def test_a_server_that_hangs_or_is_away_is_told_of_without_the_address() -> None:
    silent = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # which never accepts
    for url, why in (
        (f"http://127.0.0.1:{silent.server_port}/canary", "no answer within 1 s"),
        (f"http://127.0.0.1:{free_port()}/canary", r"cannot connect \(Connection refused\)"),
        ("http://no-such-host.invalid/canary", "cannot connect"),
    ):
        one = relay(url, timeout_s=1.0)
        with pytest.raises(NotDelivered, match=why) as caught:
            one.send(PARCEL)
        one.close()
        assert "canary" not in str(caught.value) + one.target
    silent.server_close()


@pytest.fixture
def rough() -> Iterator[tuple[str, list[bytes]]]:
    """Address of a server that says what is in the list, then something without an end."""
    said: list[bytes] = []

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65536):
                self.request.sendall(said[0])
                with suppress(OSError):
                    while said[1:]:
                        self.request.sendall(said[1])
                        time.sleep(0.05)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/canary", said
        server.shutdown()
        thread.join()


def test_an_answer_without_an_end_is_one(rough: tuple[str, list[bytes]]) -> None:
    url, said = rough
    said[:] = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n.\r\n"]
    one = relay(url, timeout_s=1.0)
    thread = threading.Thread(target=one.send, args=[PARCEL], daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    one.close()


def test_a_server_that_answers_wrongly_gets_no_address_into_the_log(
    rough: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, said = rough
    said[:] = [b"HTTP/1.1 200 OK\r\nno header\r\ncontent-length: 0\r\n\r\n"]
    monkeypatch.setenv("U", url)
    monkeypatch.setenv("S", SECRET)
    one = make_relay(WebhookSink(name="x", kind="webhook", url_env="U", secret_env="S", timeout_s=1.0), "n", "x")
    written = io.StringIO()
    handler = logging.StreamHandler(written)  # as the daemon's; pytest's own hears also what goes nowhere
    logging.getLogger().addHandler(handler)
    try:
        with suppress(NotDelivered):
            one.send(PARCEL)
    finally:
        logging.getLogger().removeHandler(handler)
    one.close()
    assert not written.getvalue()


@pytest.mark.skipif(tool("openssl") is None, reason="openssl is not installed")
def test_certificates_are_checked(folder: Path) -> None:
    certificate, key = make_certificate(folder, "DNS:localhost")
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_rest: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_rest: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        one = relay(f"https://localhost:{server.server_port}/")
        with pytest.raises(NotDelivered, match=r"no trusted connection \(self.signed certificate\)"):
            one.send(PARCEL)
        one.close()
        one = relay(f"https://127.0.0.1:{server.server_port}/", ca_file=str(certificate))
        with pytest.raises(NotDelivered, match="no trusted connection"):
            one.send(PARCEL)
        one.close()
        assert not taken
        one = relay(f"https://localhost:{server.server_port}/", ca_file=str(certificate))
        one.send(PARCEL)
        one.close()
        assert taken == [PARCEL.body]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "not base64!", base64.b64encode(bytes(8)).decode()])
def test_a_secret_that_is_none_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(RelayError, match="expected whsec_ and base64 of 24 to 64 random bytes") as caught:
        relay("https://example.org/", secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(caught.value)


def test_the_documented_check_tells_right_from_wrong() -> None:
    text = (Path(__file__).parents[3] / "docs" / "sinks.md").read_text()
    names: dict[str, object] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    genuine: Callable[[dict[str, str], bytes, str], bool] = names["is_genuine"]  # type: ignore[assignment]
    now = int(time.time())
    headers = {"webhook-id": "e-alarm-1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = signature(KEY, "e-alarm-1", now, b"{}")
    assert genuine(headers, b"{}", SECRET)
    assert not genuine(headers, b"{} ", SECRET)
    assert not genuine({**headers, "webhook-id": "e-alarm-2"}, b"{}", SECRET)
    assert not genuine(headers, b"{}", "whsec_" + base64.b64encode(bytes(32)).decode())
    old = {**headers, "webhook-timestamp": str(now - 400)}
    assert not genuine({**old, "webhook-signature": signature(KEY, "e-alarm-1", now - 400, b"{}")}, b"{}", SECRET)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the authors' own libraries are tested by."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
