"""Depth slot: where along its ray each image cell sees something (bevdetocc_gf.md §2.1, §3)."""
