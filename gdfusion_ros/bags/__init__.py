"""rosbag2 in and out through the ``rosbags`` library; no ROS installation is needed."""
