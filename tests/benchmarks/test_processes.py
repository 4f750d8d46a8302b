from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from time import process_time, sleep

import pytest

from tests.benchmarks.processes import (
    Watch,
    busy_seconds,
    cores,
    cpu_seconds,
    resident_bytes,
    running_still,
    tree,
)

PARENT = """
import subprocess, sys, threading
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
def work():
    for _ in range(3_000_000): pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(child.pid, flush=True)
input()
child.communicate(b"x")
"""


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a child, and a thread that has worked and ended."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout is not None
        yield made, int(made.stdout.readline())
        if made.returncode is None:
            made.communicate("x")


def test_a_tree_is_a_process_and_its_children(family: tuple[subprocess.Popen[str], int]) -> None:
    made, child = family
    assert tree(made.pid) == [made.pid, child]
    assert made.pid in tree(os.getpid())


def test_threads_that_have_ended_are_counted(family: tuple[subprocess.Popen[str], int]) -> None:
    made, child = family
    assert cpu_seconds([made.pid]) > 0.02
    assert cpu_seconds([made.pid, child]) > cpu_seconds([made.pid])
    assert resident_bytes([made.pid, child]) > resident_bytes([made.pid]) > 1e6


def test_the_scheduler_s_clock_is_the_process_s_own() -> None:
    assert cpu_seconds([os.getpid()]) == pytest.approx(process_time(), abs=0.05)


def test_who_is_gone_counts_nothing(family: tuple[subprocess.Popen[str], int]) -> None:
    made, _ = family
    assert running_still(made.pid)
    made.communicate("x")
    assert not running_still(made.pid)
    assert cpu_seconds([made.pid]) == resident_bytes([made.pid]) == 0


def test_who_has_ended_and_was_not_waited_for_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as made:
        while running_still(made.pid):
            sleep(0.01)
        assert made.returncode is None


def test_a_watch_reads_what_was_used_in_between() -> None:
    watch = Watch(os.getpid(), cores().subject, settle_seconds=0)
    began = process_time()
    while process_time() - began < 0.05:
        pass
    reading = watch.end()
    assert 0.05 <= reading.cpu_seconds <= reading.seconds
    assert reading.foreign >= 0


def test_each_core_is_busy_at_times() -> None:
    assert busy_seconds(cores().load) > 0
    assert busy_seconds(10_000) == 0
