from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from wire_samples import make_end, make_event, make_example, make_frame, make_scores

from stream.answers import answer
from stream.journal import Journal
from stream.publisher import Publisher
from stream.query import PromptInfo
from stream.schema import render, schemas, write
from stream.structs import Quantiles

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "schema" / "v1"
REFRESH = "python -c 'import pathlib, stream.schema as s; s.write(pathlib.Path(\"docs/schema/v1\"))'"


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_committed_schemas_are_those_of_the_code():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(schemas())
    for name, schema in schemas().items():
        assert (FOLDER / f"{name}.json").read_text() == render(schema), f"refresh with: {REFRESH}"


def test_write_leaves_only_schemas(tmp_path: Path):
    paths = write(tmp_path / "v1")
    assert sorted(paths) == sorted((tmp_path / "v1").iterdir())


@pytest.fixture
def publisher() -> Publisher:
    publisher = Publisher("n", journal=Journal(3))
    publisher.set_prompts([PromptInfo("fall", "a person falls", "critical")], "d")
    return publisher


def test_real_messages_are_valid(publisher: Publisher):
    publisher.flow = lambda: ({"pose": Quantiles(31.0, 48.5)}, {"capture": 12})
    for message in (
        publisher.publish_event(make_event(1)),
        publisher.publish_event(make_end(1)),
        publisher.publish_status("cam1", "running", detail="é", rate_hz=29.97),
        publisher.publish_skeleton(make_frame(2)),
        publisher.publish_skeleton(make_frame(0)),
        publisher.publish_scores(make_scores(), ["a", "b", "c"]),
        publisher.publish_scores(make_scores(anomaly=0.5), ["a", "b", "c"]),
        publisher.heartbeat(),
    ):
        value = json.loads(message.body)
        validator(message.envelope.type).validate(value)
        value["seq"] = 0
        assert not validator(message.envelope.type).is_valid(value)


def test_real_requests_and_replies_are_valid(publisher: Publisher):
    for number in range(5):
        publisher.publish_event(make_event(number))
    publisher.publish_status("cam1", "running")
    publisher.keep_example(make_example())
    for request, reply in (
        ({"v": 1, "type": "ping", "id": "1"}, "pong"),
        ({"v": 1, "type": "snapshot"}, "snapshot"),
        ({"v": 1, "type": "after", "kind": "alarm", "seq": 3, "limit": 1}, "after"),
        ({"v": 1, "type": "after", "kind": "alarm", "seq": 0}, "after"),
        ({"v": 1, "type": "after", "kind": "status", "seq": 0}, "after"),
        ({"v": 1, "type": "example", "event": make_example().event}, "example"),
        ({"v": 1, "type": "example", "event": "other"}, "error"),
        ({"v": 1, "type": "prompt.add"}, "error"),
    ):
        validator("query-request").validate(request)
        validator(f"query-{reply}").validate(json.loads(answer(publisher, json.dumps(request).encode())))


def test_examples_of_the_documentation_are_valid():
    """Requests and replies come in pairs; envelopes inside are shortened there."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        request, end = json.JSONDecoder().raw_decode(block)
        validator("query-request").validate(request)
        reply: dict[str, Any] = json.loads(block[end:])
        reply["messages"] = [] if "messages" in reply else None
        validator(f"query-{reply['type']}").validate({key: value for key, value in reply.items() if value is not None})
