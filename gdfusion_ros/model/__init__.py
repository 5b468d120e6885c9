"""The networks: torch only; no ROS, no dataset, no clock."""
