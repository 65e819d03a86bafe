"""The log neither blocks nor fails, whoever reads it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.daemon.log_pump import LIMIT, pumped

LINE = b"x" * 1023 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for number in (reader, writer):
        try:
            os.close(number)
        except OSError:
            continue  # the test did


def read_all(reader: int) -> bytes:
    data = b""
    while chunk := os.read(reader, 1 << 16):
        data += chunk
    return data


def test_all_of_it_arrives_in_order_where_somebody_reads(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(read_all(reader)))
    thread.start()
    lines = [f"line {number}\n".encode() for number in range(2000)]
    with pumped(writer):
        for line in lines:
            os.write(writer, line)
    os.close(writer)
    thread.join(10)
    assert b"".join(found) == b"".join(lines)


def test_a_reader_that_hangs_holds_up_nobody_and_is_told_what_it_missed(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    total = 4 * LIMIT
    with pumped(writer):
        for _ in range(total // len(LINE)):
            os.write(writer, LINE)
        kept = b""
        while len(kept) < LIMIT // 2:
            kept += os.read(reader, 1 << 16)
        os.write(writer, b"again\n")
        while not kept.endswith(b"again\n"):
            kept += os.read(reader, 1 << 16)
    told = re.findall(rb"\nposewire: (\d+) bytes of the log are lost\n", kept)
    assert len(kept) < 2 * LIMIT
    assert kept.count(LINE) * len(LINE) + sum(map(int, told)) == total


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    with pumped(writer):
        for _ in range(200):
            os.write(writer, LINE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_is_no_error() -> None:
    number = os.open("/dev/full", os.O_WRONLY)
    with pumped(number):
        for _ in range(200):
            os.write(number, LINE)
    os.close(number)
