"""Towns: their streets and blocks, what stands in them, and the traffic."""
