"""Other nodes with the name of one: calls of services and parameters reach any of them, and outputs mix."""

from __future__ import annotations

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

_PERIOD = 1.0
"""How often the graph is looked at [s]; nodes become known to each other within that, more or less."""


class Namesakes:
    """Warns whenever there are more nodes of the same name than before."""

    def __init__(self, node: Node) -> None:
        """Watch the graph as long as ``node`` exists."""
        self._node, self._known = node, 0
        node.create_timer(_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self) -> None:
        own = (self._node.get_name(), self._node.get_namespace())
        others = self._node.get_node_names_and_namespaces().count(own) - 1
        if others > self._known:
            self._node.get_logger().warning(
                f'there {"is another node" if others == 1 else f"are {others} other nodes"} named '
                f'{self._node.get_fully_qualified_name()} (or there was, and it was killed): services and parameters '
                'may be those of either, and grids of both mix; give one another name with --ros-args -r __ns:=/NAME '
                '(ros2 launch: namespace:=NAME)'
            )
        self._known = others
