"""Compiles every Triton kernel, as the tests of backends call them, for GPUs that need not be there.

Triton's interpreter takes much that its compiler refuses. Prints the name of every kernel; one that may fuse a product
and a sum, or is not linked, is an error. Run by a test, which sets TRITON_INTERPRET=0, and by hand for other GPUs:

    TRITON_INTERPRET=0 python test/model/ops/compile_kernels.py 87 120    # compute capabilities 8.7 and 12.0
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gdfusion_ros.model.ops import backends, triton_parts

TYPES = {torch.float32: '*fp32', torch.int64: '*i64', torch.uint8: '*u8'}
CAPABILITIES = [int(each) for each in sys.argv[1:]] or [90]
compiled: set[str] = set()


def compile_only(function: Any, count: int, block: int, *arguments: Any, **constants: Any) -> None:
    """In the place of ``launch``."""
    types = [TYPES[each.dtype] if isinstance(each, Tensor) else 'i32' for each in (*arguments, count)]
    constants['block'] = block
    names = list(inspect.signature(function.fn).parameters)
    signature = {**dict(zip(names, types, strict=False)), **dict.fromkeys(constants, 'constexpr')}
    assert list(signature) == names, f'{function.__name__}{tuple(names)} is called with {tuple(signature)}'
    source = ASTSource(function, signature, {(names.index(name),): value for name, value in constants.items()})
    for capability in CAPABILITIES:
        made = compile_kernel(source, GPUTarget('cuda', capability, 32), {'enable_fp_fusion': False}).asm
        assert made['cubin'], function.__name__
        assert 'fma.' not in made['ptx'], f'{function.__name__} fuses a product and a sum'
    compiled.add(function.__name__)


def loaded(path: Path) -> ModuleType:
    """A module of tests."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """One case of each operation."""
    triton_parts.launch = compile_only  # before the kernels are imported
    here = Path(__file__).parent
    drive = loaded(here.parent / 'conftest.py').Drive()
    cases = {case.name: case for case in loaded(here / 'test_backends.py').cases() if case.interpreted}
    with torch.inference_mode():
        for case in cases.values():
            reference: Callable[..., Any] = getattr(case.operation.reference, case.name)
            backends.on_cuda(reference)(*case.arguments(drive))
    print(*sorted(compiled))


if __name__ == '__main__':
    main()
