#!/usr/bin/env bash
# Fast DDS 2.14.5 (Jazzy, wheels ros-fastrtps 2.14.5, ros-rmw-fastrtps-cpp 8.4.3): a process maps the shared memory of every process it hears.
#
# Expected: what a process has mapped of Fast DDS's shared memory is its own segment, of the size that its profile asks
# for; memory limits, and whoever asks how much a node was given, can go by /proc/PID/maps.
#
# Seen: with discovery alone, without a topic in common, a process whose own segment is the usual half a megabyte maps the
# whole of another one's 134 MB. Every camera driver with a large profile adds its size to the address space of every
# node on the machine, and the largest mapping says nothing of the process's own: that is the one whose lock file
# (the same name with _el) the process keeps open.
#
# What gdfusion_ros does: the node says at its start if it was not given the memory that its profile asks for. It goes
# by the lock files (ros/shared_memory.py), after it had taken the memory of others for its own; the test is in
# test/ros/test_shared_memory.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ros-rclpy==7.1.6 ros-rmw-fastrtps-cpp==8.4.3 ros-fastrtps==2.14.5
export AMENT_PREFIX_PATH=$folder/venv ROS_LOG_DIR=$folder/log
export ROS_DOMAIN_ID=96 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
cat > "$folder/large.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <transport_descriptors>
    <transport_descriptor>
      <transport_id>shared_memory</transport_id>
      <type>SHM</type>
      <segment_size>134217728</segment_size>
    </transport_descriptor>
  </transport_descriptors>
  <participant profile_name="large" is_default_profile="true">
    <rtps>
      <userTransports><transport_id>shared_memory</transport_id></userTransports>
      <useBuiltinTransports>false</useBuiltinTransports>
    </rtps>
  </participant>
</profiles>
XML
cat > "$folder/node.py" <<'PYTHON'
import os
import re
import sys
import time
from pathlib import Path

import rclpy

SEGMENT = re.compile(r'/dev/shm/fastrtps_[0-9a-f]{16}')


def mapped():
    """Segments that this process has mapped, and their sizes [bytes]."""
    names = set(SEGMENT.findall(Path('/proc/self/maps').read_text()))
    return {name: os.stat(name).st_size for name in names if os.path.exists(name)}


def own():
    """Those whose lock this process keeps open."""
    opened = {os.readlink(file) for file in Path('/proc/self/fd').iterdir() if file.is_symlink()}
    return {name for name in mapped() if f'{name}_el' in opened}


rclpy.init()
node = rclpy.create_node(sys.argv[1])
if sys.argv[1] == 'driver':
    print('ready', flush=True)
    sys.stdin.read()
else:
    end = time.monotonic() + 30
    while len(mapped()) == len(own()) and time.monotonic() < end:
        time.sleep(0.05)
    others = {name: size for name, size in mapped().items() if name not in own()}
    assert others, 'nothing of another process is mapped any more: Fast DDS behaves otherwise now'
    [mine] = own()
    print(f'its own segment: {mapped()[mine] / 1e6:.1f} MB')
    print(f'mapped of another process, with no topic in common: {max(others.values()) / 1e6:.1f} MB (expected nothing)')
    assert mapped()[mine] < 1e6
    assert max(others.values()) > 134e6
    print('as described')
node.destroy_node()
rclpy.shutdown()
PYTHON
mkfifo "$folder/stay"
FASTRTPS_DEFAULT_PROFILES_FILE=$folder/large.xml "$folder/venv/bin/python" "$folder/node.py" driver < "$folder/stay" > "$folder/said" &
exec 3> "$folder/stay"  # until it is closed, the driver stays
until grep -q ready "$folder/said"; do sleep 0.1; done
"$folder/venv/bin/python" "$folder/node.py" listener 3>&-
exec 3>&-
wait
