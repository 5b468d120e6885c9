"""Datasets: their tables, and their conversion to bags."""
