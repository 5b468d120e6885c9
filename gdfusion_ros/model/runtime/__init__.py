"""How a network runs in a process: device, memory, warm-up, stops."""
