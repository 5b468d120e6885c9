"""What is known of one result: the JSON file that stands beside the grids."""

from __future__ import annotations

from collections import Counter

import msgspec

from gdfusion_ros.fleet.job import JobSettings
from gdfusion_ros.fleet.scores import ScoreCounts
from gdfusion_ros.fleet.storage import RECORD, Output
from gdfusion_ros.perception.counters import Counts


class BagCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What went in, what came out, and what was dropped or refused for which reason."""

    images: int
    clouds: int
    sets: int
    grids: int
    dropped: dict[str, int]
    refused: dict[str, int]
    jumps: dict[str, int]
    resets: dict[str, int]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A bag that is done.

    Attributes:
        name: of the result.
        source: the bag.
        fingerprint: see JobSettings.
        settings: that it was made with; weights_sha256 is what the weights were.
        model: as every output names it.
        versions: of gdfusion, torch, numpy and Python.
        host, device: that it was made on.
        begun, finished: when [s since 1970].
        seconds: that the parts took: fetch, replay, evaluate, render.
        counts: see BagCounts.
        warnings: the first lines on what was refused.
        scores: counts behind the scores; None where none were asked for.
    """

    name: str
    source: str
    fingerprint: str
    settings: JobSettings
    model: str
    versions: dict[str, str]
    host: str
    device: str
    begun: float
    finished: float
    seconds: dict[str, float]
    counts: BagCounts
    warnings: list[str]
    scores: ScoreCounts | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A bag that could not be done, in one line.

    Attributes:
        name: of the result that it would have had.
        source: the bag.
        reason: one line.
        host: where.
        full_disk: the disk there has no room: no other bag can be done there either.
        unexpected: an error that nobody foresaw; what made it had better start anew.
    """

    name: str
    source: str
    reason: str
    host: str = ''
    full_disk: bool = False
    unexpected: bool = False


Outcome = Record | Failure


def bag_counts(counts: Counts) -> BagCounts:
    """The counts of a pipeline as numbers by name."""
    dropped: Counter[str] = Counter()
    for camera, stream in counts.cameras.items():
        dropped.update({f'{camera}: {reason}': count for reason, count in stream.dropped.items()})
    dropped.update({f'sets: {reason}': count for reason, count in counts.lost.items()})
    return BagCounts(
        images=counts.images,
        clouds=counts.lidar.received,
        sets=counts.sets,
        grids=counts.grids,
        dropped=dict(dropped),
        refused=dict(counts.refused),
        jumps=dict(counts.jumps),
        resets=dict(counts.resets),
    )


def read_record(output: Output, name: str, fingerprint: str, source: str) -> Record | None:
    """The record of the result ``name``; None where there is none, or none of this bag with these settings."""
    content = output.read(f'{name}/{RECORD}')
    if content is None:
        return None
    try:
        record = msgspec.json.decode(content, type=Record)
    except msgspec.DecodeError:  # of another version, or damaged: to be made anew
        return None
    return record if (record.fingerprint, record.source) == (fingerprint, source) else None
