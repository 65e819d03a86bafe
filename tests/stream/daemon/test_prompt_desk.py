"""Changes of the prompts as the supervisor makes them: one after another, whole or not at all, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.config import Config
from stream.config_difference import differing
from stream.config_file import ConfigError, parse_config
from stream.daemon.child import Orders
from stream.daemon.jobs import (
    MAX_WAITING,
    PATIENCE_S,
    Answer,
    Asked,
    Commit,
    EmbedTexts,
    Job,
    Prepare,
    Try,
    decode_job,
    encode_job,
)
from stream.daemon.prompt_desk import TURN_S, WORKER_S, PromptDesk
from stream.daemon.text_helper import TextHelper
from stream.prompt_store import FILE, PromptStore
from stream.roles import CONTROLS

PATH = Path("test.toml")
BLOCK = {"text": "a person throws", "name": "throw"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["text", "name", "severity", "enter", "exit", "also", "zone", "schedule", "min_s", "hold_s", "x"]
prompts = st.dictionaries(st.sampled_from(KEYS), json_values | st.sampled_from(["kick", "a person hops"]), max_size=5)


def config(**more: object) -> Config:
    return parse_config({"prompts": [{"text": "a person kicks", "name": "kick"}]} | more, PATH)


class Desk:
    """A desk, what it says, and a worker that does all that it is told, unless it is told not to."""

    def __init__(self, folder: Path, read: Callable[[], Config] = config, file: Config | None = None) -> None:
        self.answers: list[Answer] = []
        self.jobs: list[Job] = []
        self.now = 0.0
        self.desk = PromptDesk(
            file or config(),
            PATH,
            PromptStore(folder),
            read=read,
            to_worker=lambda job: self.jobs.append(decode_job(encode_job(job))),
            to_publisher=lambda job: self.answers.append(decode_job(encode_job(job))),
            texts=TextHelper(_no_orders, lambda _child, job: self.jobs.append(job)),
        )

    def ask(self, kind: str, token: int = 7, *, name: str = "", prompt: dict | None = None) -> None:
        self.desk.ask(Asked(token, kind, name, prompt or {}), self.now)

    def work(self) -> None:
        for _ in range(4 * MAX_WAITING):
            self.desk.turn(self.now, worker_ready=True)
            jobs, self.jobs = self.jobs, []
            for job in jobs:
                self.do(job)

    def do(self, job: Job) -> None:
        if isinstance(job, Prepare):
            parse_config(job.config, PATH)
            self.hear("prepared", job)
        elif isinstance(job, Commit):
            self.hear("changed", job, digest="d", note="")
        elif isinstance(job, Try):
            self.hear("tried", job, result={"name": job.name})

    def hear(self, kind: str, job: Job, **data: object) -> None:
        self.desk.heard({"kind": kind, "token": job.token, **data}, self.now)

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.desk.config.prompts]


def _no_orders(_child: object) -> Orders:
    raise OSError("no process in this test")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    script=st.lists(
        st.tuples(
            st.sampled_from(sorted(CONTROLS | {"prompt_list", "ping"})),
            st.sampled_from(["", "kick", "throw", "\0", "a" * 64]),
            prompts | st.just(BLOCK),
        ),
        max_size=8,
    )
)
def test_whatever_is_asked_is_answered_once_and_leaves_a_whole_configuration(script: list, tmp_path: Path) -> None:
    (tmp_path / FILE).unlink(missing_ok=True)
    one = Desk(tmp_path)
    for token, (kind, name, prompt) in enumerate(script, 1):
        one.ask(kind, token, name=name, prompt=prompt)
    one.work()
    assert [answer.token for answer in one.answers] == list(range(1, len(script) + 1))
    for answer in one.answers:
        assert bool(answer.error) != bool(answer.body)
        assert "\n" not in answer.error
    assert one.names
    assert Desk(tmp_path).desk.config == one.desk.config


def test_nothing_is_different_before_the_worker_is_ready_and_the_change_is_kept(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    one.ask("prompt_add", prompt=BLOCK)
    one.desk.turn(0.0, worker_ready=False)
    assert not one.jobs
    one.desk.turn(0.0, worker_ready=True)
    assert [type(job) for job in one.jobs] == [Prepare]
    assert one.names == ["kick"]
    assert not (tmp_path / FILE).exists()
    one.hear("prepared", one.jobs[0])
    assert (tmp_path / FILE).exists()
    assert one.names == ["kick", "throw"]
    assert not one.answers
    assert one.jobs[-1] == Commit(7)
    one.hear("changed", one.jobs[-1], digest="d", note="beware")
    assert [(answer.digest, answer.body["note"]) for answer in one.answers] == [("d", "beware")]


def test_an_added_prompt_that_hides_one_of_the_file_is_told_of_when_that_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edited = config(prompts=[{"text": "a person kicks", "name": "kick"}, {"text": "a person hurls", "name": "throw"}])
    one = Desk(tmp_path, read=lambda: edited)
    one.ask("prompt_add", prompt=BLOCK)
    one.ask("reload")
    one.work()
    told = "throw: the file says otherwise ('a person hurls'), but what was added counts"
    assert one.answers[0].body["note"] == ""
    assert told in one.answers[1].body["note"]
    caplog.clear()
    Desk(tmp_path, file=edited)
    assert told in caplog.text


@pytest.mark.parametrize("kind", ["prompt_add", "prompt_test"])
def test_what_is_wrong_with_a_request_is_no_files_fault(tmp_path: Path, kind: str) -> None:
    one = Desk(tmp_path)
    one.ask(kind, prompt=BLOCK | {"zone": "bad"})
    one.work()
    assert "bad" in one.answers[0].error
    assert FILE not in one.answers[0].error
    assert one.answers[0].error.startswith("prompt 'throw': zone")


def test_changes_that_do_not_go_with_the_file_are_not_lost_with_the_next_one(tmp_path: Path) -> None:
    first = Desk(tmp_path)
    first.ask("prompt_add", prompt={"text": "a person kicks hard", "name": "kicks"})
    first.ask("prompt_set", name="kick", prompt={"text": "a person kicks a lot"})
    first.work()
    kept = (tmp_path / FILE).read_text()
    file = config(prompts=[{"text": "a person kicks hard", "name": "mine"}])  # meanwhile edited
    one = Desk(tmp_path, file=file)
    assert "two prompts have the text" in one.desk.notice
    one.ask("prompt_add", prompt=BLOCK)
    one.work()
    assert one.names == ["mine", "throw"]
    assert (tmp_path / FILE).with_suffix(".unused").read_text() == kept
    one.ask("prompt_remove", name="throw")
    one.work()
    assert (tmp_path / FILE).with_suffix(".unused").read_text() == kept


def test_what_the_worker_refuses_or_a_disk_does_not_take_changes_nothing(tmp_path: Path) -> None:
    one = Desk(tmp_path / "gone")
    one.ask("prompt_add", prompt=BLOCK)
    one.desk.turn(0.0, worker_ready=True)
    one.hear("refused", one.jobs.pop(), error="no such text model")
    one.ask("prompt_add", prompt=BLOCK)
    one.work()
    assert [answer.error.split(":")[0] for answer in one.answers] == [
        "no such text model",
        str(tmp_path / "gone" / FILE),
    ]
    assert one.names == ["kick"]


def test_a_worker_that_is_silent_or_dies_keeps_nobody_waiting(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    one.ask("prompt_add", 1, prompt=BLOCK)
    one.desk.turn(0.0, worker_ready=True)
    one.desk.turn(WORKER_S, worker_ready=True)
    one.ask("prompt_add", 2, prompt=BLOCK)
    one.desk.turn(WORKER_S, worker_ready=True)
    one.desk.worker_died()
    assert one.names == ["kick"]
    one.hear("prepared", Prepare(2, {}))  # said before it died
    assert not (tmp_path / FILE).exists()
    one.ask("prompt_add", 3, prompt=BLOCK)
    one.desk.turn(WORKER_S, worker_ready=True)
    one.hear("prepared", one.jobs[-1])
    one.desk.worker_died()  # the next one has it
    assert [bool(answer.error) for answer in one.answers] == [True, True, False]
    assert one.names == ["kick", "throw"]


def test_new_texts_are_embedded_before_and_a_failure_changes_nothing(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    asked: list[EmbedTexts] = []
    texts = one.desk._texts
    texts.ask = lambda job, _now: asked.append(job)  # type: ignore[method-assign]
    for error in ("no text model", ""):
        one.ask("prompt_add", prompt=BLOCK)
        one.desk.turn(0.0, worker_ready=True)
        one.hear("missing", one.jobs.pop(), model="m", dim=8, texts=["a person throws"])
        one.desk.turn(10 * WORKER_S, worker_ready=True)  # it may take its time
        one.hear("embedded", asked[-1], error=error)
        one.work()
    assert asked[0] == EmbedTexts(7, "m", 8, ("a person throws",))
    assert [answer.error for answer in one.answers] == ["no text model", ""]
    assert one.names == ["kick", "throw"]


def test_too_many_who_wait_are_refused(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    for token in range(1, MAX_WAITING + 3):
        one.ask("prompt_list", token)
    assert [answer.token for answer in one.answers] == [MAX_WAITING + 1, MAX_WAITING + 2]
    one.work()
    assert len(one.answers) == MAX_WAITING + 2


def test_a_file_read_again_is_taken_over_whole_or_not_at_all(tmp_path: Path) -> None:
    found: list[Config | Exception] = []

    def read() -> Config:
        new = found.pop(0)
        if isinstance(new, Exception):
            raise new
        return new

    one = Desk(tmp_path, read)
    found += [
        ConfigError("test.toml: a\ntest.toml: b"),
        config(events={"hold_s": 2.0}, tracking={"gate_m": 0.1}, publish={"heartbeat_s": 3.0}),
        config(events={"hold_s": 2.0}),
    ]
    for _ in range(3):
        one.ask("reload")
    one.work()
    first, second, third = one.answers
    assert first.error == "test.toml: a; test.toml: b"
    assert "publish.heartbeat_s, tracking.gate_m: cannot change while the daemon runs" in second.error
    assert not third.error
    assert one.desk.config.events.hold_s == 2.0


def test_a_signal_has_nobody_to_answer(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    one.ask("reload", 0)
    one.work()
    assert one.answers == []


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ({}, []),
        ({"model": {"threads": 2}}, ["model.threads"]),
        ({"sources": [{"kind": "synthetic", "name": "a"}]}, ["sources"]),
        ({"publish": {"query": "ipc:///tmp/secret"}}, ["publish.query"]),
    ],
)
def test_differences_are_told_by_key_and_not_by_value(more: dict, keys: list[str]) -> None:
    assert differing(config(), config(**more)) == keys


def test_nobody_waits_for_a_worker_that_does_not_run(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    one.ask("prompt_add", 1, prompt=BLOCK)
    one.ask("reload", 0)  # a signal: nobody gives up on it
    one.now = TURN_S / 2
    one.ask("prompt_list", 2)
    one.desk.turn(TURN_S - 1, worker_ready=False)
    assert not one.answers
    one.desk.turn(TURN_S, worker_ready=False)
    assert [(answer.token, answer.error) for answer in one.answers] == [
        (1, "the worker does not run; expected the same request again, later")
    ]
    one.now = TURN_S + 1
    one.work()
    assert [(answer.token, answer.error) for answer in one.answers[1:]] == [(2, "")]
    assert one.names == ["kick"]
    assert not (tmp_path / FILE).exists()


def test_nothing_is_done_of_which_nobody_would_hear(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    texts = one.desk._texts
    texts.ask = lambda *_: None  # type: ignore[method-assign]
    one.ask("prompt_add", 1, prompt=BLOCK)
    one.now = TURN_S - 1
    one.desk.turn(one.now, worker_ready=True)
    one.hear("missing", one.jobs[-1], model="m", dim=8, texts=["a person throws"])
    one.now += 119.0
    one.hear("embedded", one.jobs[-1], error="")
    one.hear("prepared", one.jobs[-1])
    assert one.now < PATIENCE_S
    assert "it took too long" in one.answers[0].error
    assert one.names == ["kick"]
    assert not (tmp_path / FILE).exists()


def test_what_changes_nothing_is_said_to_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Desk(tmp_path)
    caplog.set_level("INFO", "posewire")
    one.ask("reload", 1)
    one.ask("prompt_reset", 2)
    one.ask("prompt_set", 3, name="kick", prompt={"text": "a person kicks"})
    one.desk.turn(0.0, worker_ready=True)
    one.work()
    assert [(answer.error, answer.body["note"]) for answer in one.answers] == [("", "nothing differs")] * 3
    assert caplog.messages == [f"{kind}: nothing differs" for kind in ("reload", "prompt_reset", "prompt_set")]
    one.ask("prompt_add", 4, prompt=BLOCK)
    one.work()
    assert one.answers[-1].body["note"] == ""
    assert caplog.messages[-1] == "prompt_add: done; beside the file: added throw"


def test_errors_name_the_prompt_or_rule_and_no_number(tmp_path: Path) -> None:
    rule = {"name": "long", "prompt": "wave", "for_s": 5.0}
    prompts = [{"text": "a person kicks", "name": "kick"}, {"text": "a person waves", "name": "wave"}]
    one = Desk(tmp_path, file=config(prompts=prompts, rules=[rule]))
    one.ask("prompt_remove", 1, name="wave")
    one.ask("prompt_add", 2, prompt=BLOCK | {"zone": "hall"})
    one.ask("prompt_set", 3, name="kick", prompt={"zone": "hall"})
    one.work()
    assert [answer.error.split("; ")[0] for answer in one.answers] == [
        "rule 'long': prompt: no prompt is named 'wave'",
        "prompt 'throw': zone: no zone is named 'hall'",
        "prompt 'kick': zone: no zone is named 'hall'",
    ]
