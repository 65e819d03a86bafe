"""The signals that stop the daemon do, and mean what they meant before once it is gone."""

from __future__ import annotations

import os
import signal

import pytest

from stream.daemon.signals import stopped_by_signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_and_is_itself_again_afterwards(name: str) -> None:
    number, stops = getattr(signal, name), []
    before = signal.getsignal(number)
    with stopped_by_signals(lambda: stops.append(name)):
        os.kill(os.getpid(), number)
    assert stops == [name]
    assert signal.getsignal(number) is before


def test_a_system_without_one_of_them_has_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    with stopped_by_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
