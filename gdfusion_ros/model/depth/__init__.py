"""Depth slot: where along its ray each image cell sees something (spec sections 2.1 and 3)."""
