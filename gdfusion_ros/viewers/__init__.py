"""Viewers of grids: Foxglove, Rerun, and our own page in a browser. Each takes the same View, live or from a bag."""
