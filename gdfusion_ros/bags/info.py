"""What is in a bag, as text."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from gdfusion_ros.bags.reader import BagReader, Topic
from gdfusion_ros.names import printable
from gdfusion_ros.perception.types import NANOSECONDS


def describe(bag: BagReader) -> str:
    """Size, time span, topics with types, counts, rates and durability, custom data, and what
    is left out of an open bag."""
    facts = [
        ('bag', _shown(str(bag.path), 500)),
        ('size', format_size(bag_size(bag.path))),
        ('start', _time(bag.start) if bag.message_count else '-'),
        ('duration', f'{bag.duration / NANOSECONDS:.3f} s'),
        ('messages', bag.message_count),
        *(('not read', _shown(remark, 500)) for remark in bag.not_read),
        *((_shown(name), _shown(value, 500)) for name, value in sorted(bag.custom_data.items())),
    ]
    rows = [
        (_shown(topic.name), _shown(topic.type_name), topic.count, _rate(topic, bag.duration), _qos(topic))
        for topic in bag.topics.values()
    ]
    others = [
        (_shown(item.topic), _shown(item.type_name or '-'), item.count, _shown(item.reason)) for item in bag.left_out
    ]
    others += [
        (_shown(name), _shown(bag.topics[name].type_name), count, 'promised, but missing')
        for name, count in bag.missing.items()
    ]
    text = (
        tabulate(facts, tablefmt='plain', disable_numparse=True)
        + '\n\n'
        + tabulate(
            rows,
            headers=('topic', 'type', 'messages', 'rate [Hz]', 'QoS'),
            disable_numparse=True,
            colalign=('left', 'left', 'right', 'right', 'left'),
        )
    )
    return (
        text
        if not others
        else text
        + '\n\n'
        + tabulate(
            others,
            headers=('left out', 'type', 'messages', 'because it is'),
            disable_numparse=True,
            colalign=('left', 'left', 'right', 'left'),
        )
    )


def bag_size(path: Path) -> int:
    """Bytes on disk of a bag's folder or file."""
    files = path.rglob('*') if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.exists())  # links may lead nowhere


def format_size(size: int) -> str:
    """A number of bytes for people, e.g. 1.56MB."""
    return str(tqdm.format_sizeof(size, suffix='B'))


def _shown(text: str, limit: int = 120) -> str:
    """What a bag says, fit for a cell of a table."""
    return printable(text, limit)


def _time(stamp: int) -> str:
    """A stamp as date and time; the exact seconds too."""
    seconds, rest = divmod(stamp, NANOSECONDS)
    return f'{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC ({seconds}.{rest:09d})'


def _rate(topic: Topic, duration: int) -> str:
    """Messages per second over the bag's duration; nothing where a rate makes no sense."""
    return f'{(topic.count - 1) * NANOSECONDS / duration:.2f}' if topic.count > 1 and duration else '-'


def _qos(topic: Topic) -> str:
    """Reliability and durability that the topic's publishers offered, e.g. ``reliable, transient_local``."""
    offers = {f'{qos.reliability.name}, {qos.durability.name}'.lower() for qos in topic.qos}
    return ' | '.join(sorted(offers)) or 'not recorded'
