"""Operations that torch has no fast form of: a folder each.

``__init__`` is what a caller sees. ``reference`` is the meaning: plain torch, on any device, differentiable where it
matters. ``cpu`` is compiled by numba, ``cuda`` are Triton kernels. ``backends.select`` chooses, and a test compares
each with the reference.
"""
