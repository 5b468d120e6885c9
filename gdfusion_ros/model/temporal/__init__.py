"""The four temporal fusions of GDFusion (paper section 4), one file and one form each.

``module(current, …, state) -> (fused, state)``: ``state`` is None at the start of a sequence, and neither the state nor
the input is changed in place. Gradients are in closed form: nothing here needs autograd at run time.
"""
