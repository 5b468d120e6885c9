"""Decoder slot: classes from the volume (bevdetocc_gf.md §8)."""
