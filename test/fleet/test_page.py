"""The report: what it shows, and that nothing of it comes out as markup."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from gdfusion_ros.fleet.page import page
from gdfusion_ros.fleet.record import Failure, Record
from gdfusion_ros.fleet.summary import Summary

MakeRecord = Callable[..., Record]


class Cells(HTMLParser):
    """The words in the cells of the tables, and the tags of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.tags = list[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_bags_and_failures_are_listed(record: MakeRecord) -> None:
    summary = Summary()
    summary.add(record('<script>b', host='node-1'))
    summary.add(record('a', begun=2.0, finished=6.0))
    summary.failures.append(Failure(name='c', source='/bags/c', reason='is <b>broken</b>', host='node-2'))
    shown = Cells(page(summary, 'Fleet', pictures=True))
    assert {'<script>b', 'a', 'c', 'is <b>broken</b>', 'node-1', 'node-2', '0.50'} <= set(shown.words)
    assert 'null: 2 bags, 4 grids, 1 bags failed' in shown.words
    assert not shown.tags & {'script', 'b'}


def test_throughput_is_that_of_all_workers(record: MakeRecord) -> None:
    summary = Summary()
    summary.add(record('a', begun=0.0, finished=4.0))
    summary.add(record('b', begun=2.0, finished=6.0))
    width, rates = summary.throughput(3)
    assert width == pytest.approx(2.0)
    assert rates == pytest.approx([0.5, 1.0, 0.5])
    assert sum(rates) * width == pytest.approx(summary.grids)


def test_a_report_on_nothing_is_a_page(record: MakeRecord) -> None:
    assert '0 bags, 0 grids' in page(Summary(), 'Fleet', pictures=False)
