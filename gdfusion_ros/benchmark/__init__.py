"""What ``gdfusion benchmark`` measures: the network, the live node, reading and converting datasets, training."""
