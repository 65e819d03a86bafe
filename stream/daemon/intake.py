"""The publisher's end of the workers' outboxes: takes each event once and in order, over restarts of both.

Pure. A worker is known by its run, a name that no other one has; the newest one's position is in the journal, in the
same commit as what was published of it.
"""

from __future__ import annotations

from stream.daemon.links import Taken

_RUNS = 4
"""Workers remembered: of one that died something can still be on its way when the next one speaks."""


class Intake:
    """Which events of which worker were taken.

    Args:
        run: of the worker that the journal knows, empty for none.
        number: of the last of its events that the journal holds.
    """

    def __init__(self, run: str = "", number: int = 0) -> None:
        self._taken: dict[str, int] = {run: number} if run else {}
        self._asked: int | None = None
        """The number after which a hole was seen."""
        self._looked: int | None = None
        """The number at the worker's last word on how far it is."""
        self._said: Taken | None = None
        self._due = self._again = False

    @property
    def run(self) -> str:
        """The newest worker, empty for none."""
        return next(reversed(self._taken), "")

    def take(self, run: str, previous: int, number: int) -> bool:
        """Whether an event is the next one of its worker: neither taken before, nor behind a hole."""
        taken = self._known(run)
        if number <= taken:
            return False
        if previous > taken:
            if run == self.run and self._asked != taken:
                self._asked, self._again = taken, True
            return False
        self._taken[run] = number
        return True

    def state(self, run: str, told: int, settled: int) -> bool:
        """Take note of how far a worker is; whether everything that it told is here. False for one that is gone."""
        taken = self._known(run)
        if run != self.run:
            return False
        self._taken[run] = taken = max(taken, settled)
        if told > taken and self._looked in (None, taken):  # nothing comes by itself
            self._asked, self._again = taken, True
        self._looked = taken
        self._due = True
        return taken >= told

    def reply(self, committed: tuple[str, int]) -> Taken | None:
        """Return what is to be said to the newest worker now, if anything.

        Args:
            committed: run and number up to which the journal holds the events.
        """
        run = self.run
        if not run:
            return None
        said = Taken(self._taken[run], committed[1] if committed[0] == run else 0, self._again)
        if said == self._said and not self._due:
            return None
        self._said = Taken(said.number, said.committed, again=False)
        self._due = self._again = False
        return said

    def _known(self, run: str) -> int:
        if run not in self._taken:
            self._taken[run] = 0
            self._asked = self._looked = None
            while len(self._taken) > _RUNS:
                del self._taken[next(iter(self._taken))]
        return self._taken[run]
