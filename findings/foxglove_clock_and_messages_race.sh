#!/usr/bin/env bash
# foxglove-sdk 0.30.3: the time that a server broadcasts and the messages that it logs after it race to the client.
#
# A server with the capability `time` gives its clients their clock: a bag that is shown again, or simulated time, needs
# that, since a viewer draws the world as it is at its clock. So one calls broadcast_time(stamp), then channel.log with
# that stamp, from one thread over one connection.
#
# Expected: the client gets them in the order of the calls, and its clock is always the stamp of the message that comes
# next. Seen: times come in their order, and messages in theirs, but the two are dealt at random, as from two queues. As
# long as the client keeps up, the last message can come before its time; when it has fallen behind, its clock is
# ahead of the messages or behind them, by several frames.
#
# What gdfusion_ros does: every grid, image and transform that its server sends has its own stamp, and no more than four
# views or so wait for a slow client; its test takes time and messages in either order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet foxglove-sdk==0.30.3 websockets==15.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import json
import struct
import time

import foxglove
from websockets.sync.client import connect

FRAMES = 100
PADDING = 'x' * 1_000_000  # so that they wait in the server, and not in the sockets' buffers
TIME, MESSAGE = 2, 1  # first bytes of the protocol's binary messages

context = foxglove.Context()
server = foxglove.start_server(
    host='127.0.0.1',
    port=0,
    context=context,
    message_backlog_size=2 * FRAMES,
    capabilities=[foxglove.Capability.Time],
)
schema = foxglove.Schema(name='frame', encoding='jsonschema', data=b'{"type": "object"}')
channel = foxglove.Channel('/frame', schema=schema, message_encoding='json', context=context)
with connect(f'ws://127.0.0.1:{server.port}', subprotocols=['foxglove.sdk.v1'], max_size=None, max_queue=1) as client:
    while (said := json.loads(client.recv()))['op'] != 'advertise':
        pass
    wanted = [{'id': 1, 'channelId': said['channels'][0]['id']}]
    client.send(json.dumps({'op': 'subscribe', 'subscriptions': wanted}))
    while not channel.has_sinks():
        time.sleep(0.01)
    for stamp in range(1, FRAMES + 1):
        server.broadcast_time(stamp)
        channel.log(json.dumps({'padding': PADDING}).encode(), log_time=stamp)

    clocks, stamps, ahead, behind = [0], [], 0, 0
    while len(clocks) <= FRAMES or len(stamps) < FRAMES:
        data = client.recv(timeout=60)
        if data[0] == TIME:
            clocks += struct.unpack_from('<Q', data, 1)
        elif data[0] == MESSAGE:
            stamps += struct.unpack_from('<Q', data, 5)
            ahead = max(ahead, clocks[-1] - stamps[-1])
            behind = max(behind, stamps[-1] - clocks[-1])
server.stop()

assert clocks == [*range(FRAMES + 1)], 'times in another order than broadcast, or some lost'
assert stamps == [*range(1, FRAMES + 1)], 'messages in another order than logged, or some lost'
print(f'the clock is up to {ahead} frames ahead of a message, and up to {behind} frames behind one')
assert ahead + behind, 'each message comes right behind its time: no longer so'
PYTHON
