"""Between ROS messages and the perception core.

Works on the messages of any library whose objects carry the fields of the interface definition (rclpy, rosbags), and
imports neither.
"""
