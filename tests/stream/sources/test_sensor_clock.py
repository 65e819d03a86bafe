"""A sensor's clock told in the time of day: without jumps, and without drifting away."""

import numpy as np
import pytest

from stream.sources.sensor_clock import SensorClock
from stream.types import NANOSECONDS

DAY = 1_700_000_000 * NANOSECONDS


class Computer:
    """A clock that is set by hand."""

    now = 5 * NANOSECONDS
    wall = DAY

    def monotonic(self) -> int:
        return self.now

    def time_of_day(self) -> int:
        return self.wall + self.now - 5 * NANOSECONDS


def test_times_are_the_sensors_with_one_offset() -> None:
    computer = Computer()
    clock = SensorClock(computer.monotonic, computer.time_of_day)
    rng = np.random.default_rng(0)
    times = []
    for frame in range(100):
        computer.now = 5 * NANOSECONDS + frame * 33_333_000 + int(rng.uniform(0, 30e6))  # arrives when it may
        times.append(clock.time(77_000 + frame * 33_333_000))
    assert abs(times[0] - DAY) < 30_000_000
    steps = np.diff(times) - 33_333_000
    assert steps.max() <= 3_334
    # Only one that took less time than all before moves the times back.
    assert np.count_nonzero(steps < -100_000) <= 6
    assert abs(times[-1] - DAY - 99 * 33_333_000) < 3_000_000


def test_a_sensor_that_runs_wrong_is_followed_for_days() -> None:
    computer = Computer()
    clock = SensorClock(computer.monotonic, computer.time_of_day)
    rng = np.random.default_rng(0)
    step = NANOSECONDS // 2
    for frame in range(60_000):  # over eight hours, in which its quartz gains 1.5 s
        computer.now = 5 * NANOSECONDS + frame * step + int(rng.uniform(5e6, 25e6))
        told = clock.time(round(frame * step * (1 + 50e-6)))
        assert abs(told - DAY - frame * step) < 40_000_000


def test_an_image_that_waited_at_the_start_is_forgotten_at_once() -> None:
    computer = Computer()
    clock = SensorClock(computer.monotonic, computer.time_of_day)
    computer.now += NANOSECONDS // 2  # it waited half a second
    assert clock.time(1000) == DAY + NANOSECONDS // 2
    computer.now += NANOSECONDS // 10
    fresh = clock.time(1000 + computer.now - 5 * NANOSECONDS)
    assert fresh == DAY + NANOSECONDS * 6 // 10
    assert clock.waited == 0
    computer.now += NANOSECONDS  # and the next waits for a second
    late = clock.time(1000 + NANOSECONDS * 7 // 10)
    assert late - fresh == pytest.approx(NANOSECONDS // 10, abs=10_000)
    assert clock.waited == pytest.approx(0.9, abs=1e-4)


def test_the_time_of_day_may_be_set_without_a_jump() -> None:
    computer = Computer()
    clock = SensorClock(computer.monotonic, computer.time_of_day)
    first = clock.time(1000)
    computer.wall += 3600 * NANOSECONDS
    computer.now += NANOSECONDS
    assert clock.time(1000 + NANOSECONDS) - first == pytest.approx(NANOSECONDS, abs=2)


def test_times_never_go_back() -> None:
    computer = Computer()
    clock = SensorClock(computer.monotonic, computer.time_of_day)
    times = [clock.time(sensor) for sensor in (10 * NANOSECONDS, 11 * NANOSECONDS, 0, 1000)]
    assert times == sorted(times)
