"""From camera images and poses to semantic grids, without ROS."""
