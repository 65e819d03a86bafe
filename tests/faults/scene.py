"""Where a fault happens: real daemons that watch the bundled recordings over and over, and somebody who listens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from running_daemon import POSEWIRE, ROOT, roles_of, running

from tests.faults.heard import Heard, until
from tests.faults.needs import tmpfs

T = TypeVar("T")
DEMO = ROOT / "stream" / "demo"
HALL = f'kind = "file"\nname = "hall"\npath = "{DEMO / "Seq1_10.csv"}"\nloop = true'
"""A recording, over and over."""
CAMERA = 'kind = "synthetic"\nname = "cam"\nfps = 10'
"""Something live."""
SEEN = "seen"
"""Name of an alarm that goes on while anybody is in view, told of five times a second."""
CONFIG = """
[events]
update_s = 0.2
min_s = 0.0
hold_s = 0.2
cooldown_s = 0.2
[background]
bank = false
[examples]
path = ""
{head}
[publish]
events = "ipc://{folder}/events"
query = "ipc://{folder}/query"
heartbeat_s = 0.2
[[prompts]]
name = "seen"
text = "a person kicks"
severity = "alert"
enter = 0.0
exit = 0.0
margin = -2.0
[[prompts]]
name = "punch"
text = "a person punches"
severity = "alert"
"""


class Daemon:
    """A `posewire run` and what it says.

    Attributes:
        folder: of its configuration `test.toml`, its log `daemon.log`, its addresses and its state.
        sources: names of its sources.
        heard: what a subscriber gets.
        process: the supervisor; None between `stop` and `start`.
    """

    def __init__(self, folder: Path, heard: Heard, sources: Sequence[str]) -> None:
        self.folder, self.heard, self.sources = folder, heard, sources
        self.config = folder / "test.toml"
        self.process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self.process is not None
        return self.process.pid

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state" / "posewire" / "posewire"

    @property
    def log(self) -> str:
        """All that it printed so far."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    def said(self, words: str, since: int = 0) -> list[str]:
        """Lines of the log with these words, from a number of characters on."""
        return [line for line in self.log[since:].splitlines() if words in line]

    def pids(self, role: str) -> list[int]:
        """Of its children of one role (publisher, worker, capture, embedder), the oldest first."""
        return roles_of(self.pid).get(role, [])

    def kill(self, role: str, number: int = signal.SIGKILL) -> int:
        """Send the first child of a role a signal; its process id."""
        pid = self.pids(role)[0]
        os.kill(pid, number)
        return pid

    def flows(self, *sources: str, messages: int = 3, seconds: float = 60.0) -> float:
        """Wait until so many alarms of each of these sources (by default all) have come; the seconds that it took."""
        mark = self.heard.mark
        return until(
            lambda: all(len(self.heard.events(SEEN, name, mark)) >= messages for name in sources or self.sources),
            seconds,
            lambda: f"alarms of {sources or self.sources}; the log ends: {self.log[-1500:]}",
        )

    def ends(self, seconds: float = 30.0) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """Stop it, as a service manager does."""
        assert self.process is not None
        self.process.terminate()
        code = self.ends()
        assert code == 0, (code, self.log[-1500:])

    def unhurt(self) -> None:
        """It runs, alarms come from all sources, nothing was lost or told twice, and no traceback was printed."""
        assert self.process is not None
        assert self.process.poll() is None, self.log[-1500:]
        self.flows()
        self.heard.check()
        assert "Traceback" not in self.log, self.log[self.log.index("Traceback") :][:1500]


class Shared:
    """One daemon for all faults that it should survive, as its start takes longest; made when it is first asked for.

    Its state is kept on a file system of its own, where one can be mounted, so that its disk can be full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._stack = ExitStack()
        self._daemon: Daemon | None = None
        self._others: dict[Callable[..., Any], Any] = {}

    @contextmanager
    def lent(self) -> Iterator[Daemon]:
        """The daemon, healthy; it must be so afterwards, else the next one who asks gets another."""
        if self._daemon is None:
            self._count += 1
            folder = self._folder / f"s{self._count}"
            (folder / "state").mkdir(parents=True)
            if not tmpfs():
                mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "none", str(folder / "state")]
                subprocess.run(mount, check=True)
                self._stack.callback(subprocess.run, ["umount", "--lazy", str(folder / "state")], check=True)
            scene = self._stack.enter_context(Scene(folder, self))
            self._daemon = self._stack.enter_context(scene.daemon())
        daemon, self._daemon = self._daemon, None
        daemon.flows()
        try:
            yield daemon
            daemon.unhurt()
        except BaseException:
            assert daemon.process is not None
            daemon.process.kill()
            raise
        self._daemon = daemon

    @contextmanager
    def lent_by(self, make: Callable[[Scene], AbstractContextManager[T]]) -> Iterator[T]:
        """What else faults share: made by the first of them, in a scene of its own, and anew after a failure."""
        if make not in self._others:
            self._count += 1
            folder = self._folder / f"s{self._count}"
            folder.mkdir()
            self._others[make] = self._stack.enter_context(make(Scene(folder, self)))
        lent: T = self._others.pop(make)
        yield lent
        self._others[make] = lent

    def close(self) -> None:
        self._stack.close()


class Scene:
    """What a fault gets. Use in a `with` block.

    Args:
        folder: an empty one, whose path is short, as addresses lie in it.
        shared: the daemon of all.

    Attributes:
        heard: listens to the daemons of this scene, one after the other, from the start of the first one on.
    """

    def __init__(self, folder: Path, shared: Shared) -> None:
        self.folder = folder
        self.heard = Heard(folder)
        self._stack = ExitStack()
        self.lent_by = shared.lent_by
        self.shared = shared.lent
        """`with scene.shared() as daemon:` a daemon with the sources `hall` and `cam` that other faults had before, and
        others will have: leave it as it was. That it works, lost nothing and printed no traceback is checked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write_config(self, *sources: str, head: str = "", tail: str = "") -> Path:
        """Write `test.toml` with `[[sources]]` blocks of this content, sections before and blocks behind."""
        path = self.folder / "test.toml"
        blocks = "".join(f"[[sources]]\n{source}\n" for source in sources or (HALL, CAMERA))
        path.write_text(CONFIG.format(folder=self.folder, head=head) + blocks + tail)
        return path

    @contextmanager
    def daemon(
        self, *sources: str, head: str = "", before: Sequence[str] = (), wait: bool = True, **environment: str
    ) -> Iterator[Daemon]:
        """A daemon of one's own, killed at the end if it still runs; in the same folder, one after the other.

        Args:
            sources: contents of `[[sources]]` blocks; by default `HALL` and `CAMERA`. None are written, and the
                configuration left as it is, where there is a `test.toml`.
            head: more sections.
            before: words before the command, such as `("nice", "-n", "19")`.
            wait: until alarms of all sources come.
            environment: variables.
        """
        if sources or head or not (self.folder / "test.toml").exists():
            self.write_config(*sources, head=head)
        names = [
            line.split('"')[1]
            for block in (self.folder / "test.toml").read_text().split("[[sources]]")[1:]
            for line in block.splitlines()
            if line.startswith("name = ")
        ]
        if not self.heard.listening:
            self._stack.enter_context(self.heard)
        daemon = Daemon(self.folder, self.heard, names)
        with running(daemon.config, *before, **environment) as daemon.process:
            if wait:
                daemon.flows()
            yield daemon

    def posewire(
        self, *arguments: object, seconds: float = 60.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a process of its own."""
        own = {"XDG_STATE_HOME": str(self.folder / "state"), "XDG_RUNTIME_DIR": str(self.folder)}
        return subprocess.run(
            [*POSEWIRE, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **own, **environment},
            timeout=seconds,
        )

    def refused(self, *arguments: object, words: Sequence[str], code: int = 2) -> str:
        """Run a command that must be refused: this exit code, and one line with these words, which is returned."""
        done = self.posewire(*arguments)
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("watching ")]
        assert done.returncode == code, (done.returncode, done.stderr)
        assert len(lines) == 1, lines
        assert all(word in lines[0] for word in words), lines
        return lines[0]
