"""What follows from calibration and poses alone: float32, in one fixed order of operations, before the network runs."""
