#!/usr/bin/env bash
# rclpy 7.1.5 (Jazzy, wheels ros-rclpy 7.1.6): a LifecycleNode stays in the graph after destroy_node().
#
# Expected: destroy_node() takes a node out of the ROS graph, as it does with a plain Node, and gives back what it held:
# with the last node of a process also the DDS participant, and its segment of shared memory.
#
# Seen: the state machine of a LifecycleNode, which destroy_node() does not know, holds the node until the garbage
# collector comes by. Others go on seeing the node; and a process that ends without a last collection (os._exit, as those
# do that must not wait for threads) leaves the segment in /dev/shm, as large as the profile of Fast DDS asks for. There
# is no sign of it, until the memory of the machine is full of them.
#
# What gdfusion_ros does: the node destroys its state machine, too (ros/node.py); test/ros/test_stop.py looks at /dev/shm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ros-rclpy==7.1.6 ros-rmw-fastrtps-cpp==8.4.3 ros-lifecycle-msgs==2.0.3
export AMENT_PREFIX_PATH=$folder/venv ROS_LOG_DIR=$folder/log
export ROS_DOMAIN_ID=97 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
cat > "$folder/look.py" <<'PYTHON'
import gc
import glob
import os
import time

from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node


def segments():
    """Paths of the shared memory of Fast DDS that this process has open."""
    with open('/proc/self/maps') as maps:
        there = {line.split()[-1] for line in maps if '/dev/shm/fastrtps_' in line and 'port' not in line}
    return {path for path in there if os.path.exists(path)}


def seen_after(wanted, deadline=10.0):
    """Whether the watcher sees the node; asked again for a while, as discovery takes time."""
    end = time.monotonic() + deadline
    while ('managed' in watcher.get_node_names()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return 'managed' in watcher.get_node_names()


contexts = {name: Context() for name in ('watcher', 'plain', 'managed')}
for context in contexts.values():
    context.init()
gc.disable()  # it would come by sooner or later; the point is that it has to

plain = Node('plain', context=contexts['plain'])
own = segments()
plain.destroy_node()
print(f'plain node: shared memory left after destroy_node(): {len(segments() & own)} of {len(own)} (expected 0)')
assert own and not segments() & own, 'a plain node behaves otherwise now'

watcher = Node('watcher', context=contexts['watcher'])
before = segments()
managed = LifecycleNode('managed', context=contexts['managed'])
own = segments() - before
assert own and seen_after(True)
managed.destroy_node()
contexts['managed'].try_shutdown()
left, seen = len(segments() & own), seen_after(False, 3.0)
print(f'lifecycle node: shared memory left after destroy_node() and shutdown(): {left} of {len(own)} (expected 0), '
      f'seen by another node: {seen} (expected False)')
assert left == len(own), 'a lifecycle node behaves otherwise now'
assert seen, 'the graph behaves otherwise now'
del managed
gc.collect()
left, seen = len(segments() & own), seen_after(False)
print(f'after the garbage collector: {left} of {len(own)}, seen: {seen}')
assert not left and not seen
print('as described')
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
