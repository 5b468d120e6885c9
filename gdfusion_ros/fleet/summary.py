"""What has become of all bags: a row each, the sum of their counts, failures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gdfusion_ros.fleet.record import Failure, Record
from gdfusion_ros.fleet.scores import Sum, scores_of


@dataclass(frozen=True)
class Row:
    """A bag that is done, as the table of the report shows it.

    Attributes:
        name, source, host: see Record.
        begun, finished: when [s since 1970].
        grids: that it has.
        dropped: images, sets and messages that came to nothing.
        scores: by name, 0..1; empty where none were asked for.
    """

    name: str
    source: str
    host: str
    begun: float
    finished: float
    grids: int
    dropped: int
    scores: dict[str, float]


@dataclass
class Summary:
    """Grows with every bag, by a row each; records themselves are not kept."""

    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    total: Sum = field(default_factory=Sum)
    model: str = ''

    def add(self, record: Record) -> None:
        """A bag that is done.

        Raises:
            GdfusionError: its scores are of another kind than those before.
        """
        scores: dict[str, float] = {}
        if record.scores is not None:
            report = scores_of(record.scores)
            self.total.add(report)
            scores = {name: value for name, value in report.scores().items() if not math.isnan(value)}
        counts = record.counts
        self.model = record.model
        self.rows.append(
            Row(
                record.name,
                record.source,
                record.host,
                record.begun,
                record.finished,
                counts.grids,
                sum(counts.dropped.values()) + sum(counts.refused.values()),
                scores,
            )
        )

    @property
    def grids(self) -> int:
        """Of all bags."""
        return sum(row.grids for row in self.rows)

    def throughput(self, bins: int) -> tuple[float, list[float]]:
        """Width of a bin [s], and grids/s of all workers in every bin from the first begin to the last end.

        The grids of a bag are taken to have come evenly.
        """
        if not self.rows:
            return 0.0, []
        begin, end = min(row.begun for row in self.rows), max(row.finished for row in self.rows)
        width = max(end - begin, 1e-3) / bins
        rates = [0.0] * bins
        for row in self.rows:
            first, last = (row.begun - begin) / width, (row.finished - begin) / width
            rate = row.grids / max(row.finished - row.begun, 1e-3)
            for number in range(int(first), min(bins, math.ceil(last))):
                rates[number] += rate * max(0.0, min(last, number + 1) - max(first, number))
        return width, rates
