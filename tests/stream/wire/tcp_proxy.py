"""A proxy that resets connections or holds back what they carry, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Self


class TcpProxy:
    """Listens on a port and passes everything on to a unix socket, unless it is told otherwise.

    Attributes:
        endpoint: what ZeroMQ connects to.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._open.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def reset(self) -> None:
        """End all connections with a reset, as a router does that forgets them."""
        self._loop.call_soon_threadsafe(self._reset)

    def hold(self, on: bool) -> None:
        """Pass on nothing, as a cable that is pulled; once it is in again TCP sends what it had kept."""
        self._loop.call_soon_threadsafe(self._flows.clear if on else self._flows.set)

    def _reset(self) -> None:
        for writer in self._writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop, self._flows = asyncio.Event(), asyncio.Event()
        self._flows.set()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.endpoint = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._open.set()
        await self._stop.wait()
        server.close()
        self._reset()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)  # type: ignore[arg-type]
        both = [writer]
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            both.append(far_writer)
            self._writers.add(far_writer)
            pumps = [asyncio.create_task(self._pump(*ends)) for ends in ((reader, far_writer), (far_reader, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            return  # nobody there now; ZeroMQ tries again
        except asyncio.CancelledError:
            return  # the proxy ends
        finally:
            for each in both:
                self._writers.discard(each)
                each.transport.abort()
            self._tasks.discard(task)  # type: ignore[arg-type]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
