"""Dense semantic 3-D occupancy from surround cameras: GDFusion (CVPR 2025) for ROS 2."""

__version__ = '0.1.0'
