"""Compiles every Triton kernel, as the tests of backends call them, for GPUs that need not be there.

Triton's interpreter takes much that its compiler refuses. Prints the name of every kernel; one that may fuse a product
and a sum, or is not linked, is an error. Run by a test, which sets TRITON_INTERPRET=0, and by hand for other GPUs:

    TRITON_INTERPRET=0 python test/model/ops/compile_kernels.py 87 120    # compute capabilities 8.7 and 12.0
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from gdfusion_ros.model.ops import backends, triton_parts

CAPABILITIES = [int(each) for each in sys.argv[1:]] or [90]
compiled: set[str] = set()


class NoGpu:
    """Tells Triton's compiler which GPU to compile for, and can do nothing else."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_device(self) -> int:
        return self.capability  # what is compiled for one is not taken for another

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget('cuda', self.capability, 32)


def compile_only(function: Any, count: int, block: int, *arguments: Any, **constants: Any) -> None:
    """In the place of ``launch``."""
    for capability in CAPABILITIES:
        driver.set_active(NoGpu(capability))
        made, once_more = (
            function.warmup(*arguments, size, grid=(1,), block=block, enable_fp_fusion=False, **constants)
            for size in (count, 16 * count)
        )
        assert made is once_more, f'{function.__name__} is compiled again for another size'
        assert made.asm['cubin'], function.__name__
        assert 'fma.' not in made.asm['ptx'], f'{function.__name__} fuses a product and a sum'
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
    triton_parts.try_out(torch.device('cpu'))
    with torch.inference_mode():
        for case in cases.values():
            backends.on_cuda(getattr(case.operation.reference, case.name))(*case.arguments(drive))
    print(*sorted(compiled))


if __name__ == '__main__':
    main()
