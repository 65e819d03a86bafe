"""Requests that change things: who may send them, and what becomes of those that are no good."""

from __future__ import annotations

import json
import string
from pathlib import Path

import msgspec
import zmq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.answers import answer, error_reply
from stream.daemon.jobs import Asked
from stream.publisher import Publisher
from stream.query import FORWARDED, Request, decode_reply
from stream.roles import CONTROLS, READS, Role, may
from stream.sockets import Address, PublisherSockets

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {"v": st.just(1), "type": st.sampled_from(sorted(CONTROLS | READS)) | st.text(string.ascii_letters, max_size=70)},
    optional={
        "id": st.text(max_size=130),
        "name": json_values | st.text(max_size=70),
        "prompt": json_values | st.dictionaries(st.text(max_size=8), json_values, max_size=4),
        "seq": json_values,
        "kind": json_values,
    },
)


def test_reading_changes_nothing_and_what_is_unknown_is_for_nobody() -> None:
    assert not READS & CONTROLS
    assert all(may(Role.READ, kind) and may(Role.CONTROL, kind) for kind in READS)
    assert all(may(Role.CONTROL, kind) and not may(Role.READ, kind) for kind in CONTROLS)
    assert not any(may(role, kind) for role in Role for kind in ("", "prompt", "prompt_new", "PROMPT_ADD", "reboot"))
    assert FORWARDED <= READS | CONTROLS


@settings(deadline=None)
@given(body=st.binary(max_size=300) | requests.map(lambda value: json.dumps(value).encode()))
@example(body=b'{"v":1,"type":"prompt_add","prompt":{"text":' + b"9" * 5000 + b"}}")
@example(body=b'{"v":1,"type":"prompt_add","prompt":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}")
@example(body=b'{"v":1,"type":"prompt_add","prompt":{"text":"\\ud800"}}')
def test_any_bytes_get_one_reply_or_are_handed_on_whole(body: bytes) -> None:
    for role in Role:
        taken: list[Request] = []

        def forward(request: Request, taken: list[Request] = taken) -> str:
            asked = Asked(1, request.type, request.name or "", request.prompt or {})
            assert msgspec.json.decode(msgspec.json.encode(asked), type=Asked) == asked
            taken.append(request)
            return ""

        reply = answer(Publisher("n"), body, role, forward)
        if reply is None:
            assert len(taken) == 1
            assert may(role, taken[0].type)
        else:
            assert not taken
            assert len(reply) < 10_000
            decode_reply(reply)


def test_errors_are_one_line_of_bounded_length() -> None:
    reply = json.loads(error_reply("7", "x\ny" * 2000))
    assert (reply["id"], len(reply["error"])) == ("7", 1000)
    assert "\n" not in reply["error"]


def test_a_socket_answers_later_whom_it_ought_to(tmp_path: Path) -> None:
    sockets = PublisherSockets(Publisher("n"), events=f"ipc://{tmp_path}/e", query=f"ipc://{tmp_path}/q")
    sockets.role = Role.CONTROL
    waiting: list[tuple[Address, Request]] = []

    def keep(address: Address, request: Request) -> str:
        waiting.append((address, request))
        return "" if len(waiting) < 3 else "busy"

    sockets.forward = keep
    context = zmq.Context()
    with sockets:
        clients = {name: context.socket(kind) for name, kind in (("a", zmq.REQ), ("b", zmq.DEALER), ("c", zmq.REQ))}
        for name, client in clients.items():
            client.connect(f"ipc://{tmp_path}/q")
            client.send_json({"v": 1, "type": "reload", "id": name})
            known = len(waiting)
            while len(waiting) == known:
                sockets.serve(20)
        assert json.loads(clients["c"].recv())["error"] == "request reload: busy"
        sockets.reply((b"nobody",), b"{}")  # gone meanwhile
        for address, request in reversed(waiting[:2]):
            sockets.reply(address, error_reply(request.id, f"not {request.id}"))
        for name in "ab":
            assert json.loads(clients[name].recv_multipart()[-1])["error"] == f"not {name}"
    context.destroy(linger=0)
