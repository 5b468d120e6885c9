"""All that imports rclpy: the node, the player, the recorder. Only the verbs that need ROS 2 import this package."""
