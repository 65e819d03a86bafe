"""The signals that stop the daemon do, and mean what they meant before once it is gone."""

from __future__ import annotations

import os
import signal

import pytest

from stream.daemon import signals
from stream.daemon.signals import stopped_by_signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_and_is_itself_again_afterwards(name: str) -> None:
    number, stops = getattr(signal, name), []
    before = signal.getsignal(number)
    with stopped_by_signals(lambda: stops.append(name)):
        os.kill(os.getpid(), number)
    assert stops == [name]
    assert signal.getsignal(number) is before


def test_a_hangup_reads_the_configuration_again_where_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(signals, "has_terminal", lambda: False)
    with stopped_by_signals(lambda: heard.append("stop"), lambda: heard.append("reload")):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == ["reload", "stop"]


def test_a_hangup_stops_what_was_started_in_a_terminal_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    there = iter([True, True, False])
    monkeypatch.setattr(signals, "has_terminal", lambda: next(there))
    with stopped_by_signals(lambda: heard.append("stop"), lambda: heard.append("reload")):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == ["reload", "stop"]


def test_a_system_without_one_of_them_has_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    with stopped_by_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
