"""Tests wait for events, never for times: see conftest.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LIMITED = {'wait', 'join', 'communicate', 'acquire', 'result', 'exception', 'select', 'timeout'}
"""Calls whose number is a limit; as is one that is given by the name ``timeout`` or ``wait``."""
RUNS_OUT = 1.0
"""A shorter limit is there to run out [s]: a busy machine does not harm it."""


def waits(text: str) -> list[str]:
    """Where a module sleeps, looks at a clock that goes on while others compute, or limits a wait by a number."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = [keyword.value for keyword in node.keywords if keyword.arg in ('timeout', 'wait')]
        if called.rpartition('.')[2] in LIMITED:
            given += node.args
        limits = [value.value for value in given if isinstance(value, ast.Constant)]
        if called in ('time.sleep', 'time.perf_counter') or any(
            isinstance(limit, (int, float)) and limit >= RUNS_OUT for limit in limits
        ):
            found.append(f'line {node.lineno}: {ast.unparse(node)}')
    return found


def test_no_test_waits_for_a_time() -> None:
    found = {
        str(path.relative_to(TESTS)): waits(path.read_text())
        for path in TESTS.rglob('*.py')
        if path != TESTS / 'conftest.py'
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_is_looked_for_is_found() -> None:
    for line in (
        'time.sleep(0.5)',
        'event.wait(10)',
        'thread.join(5.0)',
        'run(command, timeout=100)',
        'play([bag], Playback(wait=10))',
        'begin = time.perf_counter()',
        'pytest.mark.timeout(60)',
    ):
        assert waits(line), line
    for line in (
        'event.wait()',
        "', '.join(words)",
        'run(command, timeout=patience)',
        'assembler.wait(0.01)',
        'wait_until(lambda: heard)',
    ):
        assert not waits(line), line


@pytest.mark.parametrize('content', [b'hello', b'\x1f\x8b\x08\x00'])
def test_bytes_do_not_name_tests(content: bytes, request: pytest.FixtureRequest) -> None:
    """A name that holds the time, as a gzip header does, differs between the processes that share the tests."""
    assert content
    assert request.node.name.partition('[')[2].rstrip('01]') == 'content'
