"""What a process sets first."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from gdfusion_ros.model.runtime import malloc
from gdfusion_ros.model.runtime.process import loading


def test_no_thread_computes_with_subnormal_numbers() -> None:
    script = Path(__file__).with_name('subnormals.py')
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True)
    assert done.stdout == '0.0 0.0\n' * 2


@pytest.mark.parametrize(
    ('given', 'found'),
    [({}, '1000'), ({'GOMP_SPINCOUNT': '7'}, '7'), ({'OMP_WAIT_POLICY': 'passive'}, 'None')],
    ids=['nothing', 'count', 'policy'],
)
@pytest.mark.parametrize(
    ('module', 'start'),
    [('gdfusion_ros.model.runtime.process', 'prepare_process()'), ('gdfusion_ros.cli', "main(['info', 'nothing'])")],
    ids=['library', 'verb'],
)
def test_threads_wait_briefly_unless_the_user_says_how(
    given: dict[str, str], found: str, module: str, start: str
) -> None:
    script = f"""
import os, sys
from {module} import {start.partition('(')[0]}
assert 'torch' not in sys.modules, 'whose library looks once'
{start}
print(os.environ.get('GOMP_SPINCOUNT'))
"""
    others = {name: value for name, value in os.environ.items() if name not in {'GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'}}
    done = subprocess.run(
        [sys.executable, '-c', script], env=others | given, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == found


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc is told how')
def test_large_blocks_are_mapped_until_freed_memory_is_kept() -> None:
    script = """
import ctypes
from gdfusion_ros.model.runtime import malloc
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
malloc.map_large_blocks()
def is_mapped():
    block = libc.malloc(ctypes.c_size_t(malloc.LARGE))
    mark = ctypes.c_size_t.from_address(block - ctypes.sizeof(ctypes.c_size_t)).value & 2  # of glibc's chunks
    libc.free(block)
    return bool(mark)
print(is_mapped())
malloc.keep_freed_memory()
print(is_mapped())
"""
    done = subprocess.run([sys.executable, '-c', script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ['True', 'False']


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('always [madvise] never\n', True),
        ('[always] madvise never\n', True),
        ('always madvise [never]\n', False),
        (None, False),
    ],
)
def test_huge_pages_are_asked_for_where_the_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: bool
) -> None:
    monkeypatch.setattr(malloc, 'HUGE_PAGES', tmp_path / 'enabled')
    if text is not None:
        malloc.HUGE_PAGES.write_text(text)
    assert malloc.has_huge_pages() is found


def test_what_is_loaded_is_never_looked_through_for_garbage() -> None:
    try:
        with loading():
            assert not gc.isenabled()
            loaded: list[list[int]] = [[]]
        assert gc.isenabled()
        assert not any(each is loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()
