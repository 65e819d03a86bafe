"""The worker's part in changing prompts: it prepares a change, makes it, and tries prompts over the last minutes.

All of it between two frames. What takes longer than a few milliseconds is done elsewhere (embedding) or in steps
(trials), so that no frame has to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from models.errors import ModelError
from stream.config_file import parse_config
from stream.console import unfamiliar_prompts
from stream.daemon.child import Child
from stream.daemon.jobs import Commit, Prepare, Try
from stream.errors import PosewireError
from stream.history import History
from stream.prompts import PromptSet
from stream.service import Service, TextsMissing
from stream.trial import Trial
from stream.types import Event, Example

STEP = 200
"""Moments of a trial between two looks for frames: some milliseconds."""


@dataclass(slots=True)
class _Running:
    token: int
    trial: Trial
    prompts: PromptSet
    name: str


class PromptWork:
    """Takes jobs from the supervisor and answers them.

    Args:
        child: the process's life line.
        service: what runs; it is exchanged by a change.
        changed: called when the prompts changed, with what that ended.

    Attributes:
        service: what runs now.
    """

    def __init__(self, child: Child, service: Service, changed: Callable[[Sequence[Event | Example]], None]) -> None:
        self.service = service
        self._child = child
        self._changed = changed
        self._history = service.pipeline.history = History()
        self._path = Path(child.orders.config_path)
        self._prepared: tuple[int, Service] | None = None
        self._running: _Running | None = None

    @property
    def busy(self) -> bool:
        """Whether there is something left to do, so that nobody should wait for frames."""
        return self._running is not None

    def turn(self) -> None:
        """Do what is asked, a little at a time."""
        for job in self._child.take_jobs():
            if isinstance(job, Commit):
                self._commit(job)
            elif isinstance(job, Prepare | Try):
                self._begin(job)
        if self._running is not None and not self._running.trial.advance(STEP):
            self._child.tell("tried", token=self._running.token, result=self._told(self._running))
            self._running = None

    def _commit(self, job: Commit) -> None:
        token, service = self._prepared or (0, self.service)
        self._prepared = None
        if token != job.token:  # prepared by a worker before this one, which started with the new prompts
            service = self.service
        else:
            self.service = service
            self._changed(service.put_in_force())
        prompts = service.pipeline.prompts
        self._child.tell("changed", token=job.token, digest=prompts.digest, note=unfamiliar_prompts(prompts))

    def _told(self, running: _Running) -> dict[str, Any]:
        """Fields of the reply to a trial."""
        result, prompts = running.trial.result, running.prompts
        column = [prompt.name for prompt in prompts.prompts].index(running.name)
        cosine = min(max(prompts.familiarity[column], -1.0), 1.0)
        fields = {
            "name": running.name,
            "familiarity": round(cosine, 6),
            "note": unfamiliar_prompts(prompts, [running.name]),
            "sources": result.sources,
            "forgotten": self._history.forgotten,
            "events": list(result.events.values()),
            "events_total": result.total,
            "suppressed": result.suppressed,
            "best": result.best,
        }
        told: dict[str, Any] = msgspec.to_builtins(fields)
        return told

    def _begin(self, job: Prepare | Try) -> None:
        try:
            service = self.service.revised(parse_config(job.config, self._path))
        except TextsMissing as missing:
            recogniser = self.service.recogniser
            self._child.tell(
                "missing",
                token=job.token,
                model=recogniser.text_model,
                dim=recogniser.text_dim,
                texts=missing.texts,
            )
        except (PosewireError, ModelError) as error:
            self._child.tell("refused", token=job.token, error=str(error))
        else:
            if isinstance(job, Try):
                trial = Trial(self._history, service.prompts, job.name, service.settings)
                self._running = _Running(job.token, trial, service.prompts, job.name)
            else:
                self._prepared = job.token, service
                self._child.tell("prepared", token=job.token)
