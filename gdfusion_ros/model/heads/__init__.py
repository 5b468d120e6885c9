"""Decoder slot: classes from the volume (spec section 8)."""
