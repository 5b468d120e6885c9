"""rosbag2 in and out through the libraries ``rosbags`` and ``mcap``; no ROS installation is needed."""
