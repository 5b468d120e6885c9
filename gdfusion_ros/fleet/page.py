"""The report of a fleet as one HTML page: what failed, scores, throughput, a row for every bag."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from gdfusion_ros.fleet.summary import Row, Summary
from gdfusion_ros.fleet.work import GRIDS, PICTURE
from gdfusion_ros.names import printable

_SCORES = ('mIoU', 'mIoU_D', 'IoU', 'RayIoU')
_BINS, _WIDTH, _HEIGHT = 60, 900, 160  # of the chart [px]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1d2430 }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
p.facts { color: #5a6472; margin-top: 0 }
table { border-collapse: collapse; width: 100% } th { text-align: left; color: #5a6472; font-weight: 600 }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e3e7ed } td.n, th.n { text-align: right }
td.n { font-variant-numeric: tabular-nums } .failed td { color: #a3291f }
pre { background: #f5f7fa; padding: 1rem; overflow-x: auto } svg { background: #f5f7fa; width: 100%; height: auto }
svg text { font-size: 12px; fill: #5a6472 }
"""


def page(summary: Summary, title: str, *, pictures: bool) -> str:
    """The page; ``pictures``: every bag has one beside its grids."""
    failed, done = len(summary.failures), len(summary.rows)
    facts = f'{done} bags, {summary.grids} grids' + (f', {failed} bags failed' if failed else ', all whole')
    facts = f'{summary.model}: {facts}' if summary.model else facts
    parts = [
        f'<h1>{_text(title)}</h1><p class="facts">{_text(facts)}</p>',
        _failures(summary),
        _scores(summary),
        _chart(summary),
        _bags(summary, pictures),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{_text(title)}</title><style>{_STYLE}</style>\n{"".join(parts)}</html>\n'
    )


def _text(words: object, limit: int = 300) -> str:
    return escape(printable(str(words), limit))


def _failures(summary: Summary) -> str:
    if not summary.failures:
        return ''
    rows = ''.join(
        f'<tr class="failed"><td>{_text(failure.name)}</td><td>{_text(failure.reason, 1000)}</td>'
        f'<td>{_text(failure.host)}</td></tr>\n'
        for failure in summary.failures
    )
    return (
        '<h2>Failed</h2><table><tr><th>bag</th><th>why</th><th>machine</th></tr>\n'
        f'{rows}</table><p class="facts">The same command with --resume tries them again.</p>'
    )


def _scores(summary: Summary) -> str:
    report = summary.total.report
    return '' if report is None else f'<h2>Scores of all bags together</h2><pre>{escape(report.render("text"))}</pre>'


def _chart(summary: Summary) -> str:
    """Grids a second of all workers, over time."""
    width, rates = summary.throughput(_BINS)
    if not rates:
        return ''
    highest, step = max(rates) or 1.0, _WIDTH / _BINS
    bars = ''.join(
        f'<rect x="{number * step:.1f}" y="{_HEIGHT - _HEIGHT * rate / highest:.1f}" '
        f'width="{step - 1:.1f}" height="{_HEIGHT * rate / highest:.1f}" fill="#3a78c2"/>'
        for number, rate in enumerate(rates)
    )
    return (
        f'<h2>Throughput</h2><svg viewBox="0 -20 {_WIDTH} {_HEIGHT + 42}" role="img">{bars}'
        f'<text x="4" y="-6">{highest:.2f} grids/s at most</text><text x="4" y="{_HEIGHT + 16}">0 s</text>'
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT + 16}" text-anchor="end">{width * _BINS:.0f} s</text></svg>'
    )


def _bags(summary: Summary, pictures: bool) -> str:
    scored = [name for name in _SCORES if any(name in row.scores for row in summary.rows)]
    head = ''.join(f'<th class="n">{name}</th>' for name in ('grids', 'dropped', 'seconds', 'grids/s', *scored))
    rows = ''.join(_bag(row, scored, pictures) for row in sorted(summary.rows, key=lambda row: row.name))
    return f'<h2>Bags</h2><table><tr><th>bag</th><th>machine</th>{head}</tr>\n{rows}</table>'


def _bag(row: Row, scored: list[str], pictures: bool) -> str:
    seconds = row.finished - row.begun
    numbers = [
        str(row.grids),
        str(row.dropped),
        f'{seconds:.1f}',
        f'{row.grids / max(seconds, 1e-3):.2f}',
        *(f'{100 * row.scores[name]:.2f}' if name in row.scores else '-' for name in scored),
    ]
    shown = PICTURE if pictures else GRIDS
    return (
        f'<tr><td><a href="{quote(row.name)}/{shown}" title="{_text(row.source, 500)}">{_text(row.name)}</a></td>'
        f'<td>{_text(row.host)}</td>' + ''.join(f'<td class="n">{number}</td>' for number in numbers) + '</tr>\n'
    )
