"""The scores of an evaluation as text, Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.evaluation.predictions import Tally
from gdfusion_ros.evaluation.protocol import Mask, ScoringProtocol
from gdfusion_ros.evaluation.rays import THRESHOLDS, RayCounts
from gdfusion_ros.evaluation.seen import SeenCounts
from gdfusion_ros.names import printable
from gdfusion_ros.perception.labels import LabelSet

_MOTIONS = {
    'released': 'as released: nothing is moved',
    'label': "in the labels' frame: predictions moved by the motion of the vehicle",
    'prediction': "in the predictions' frame: labels moved by the motion of the vehicle",
}
_MASKS: Mapping[Mask, str] = {
    'camera': 'only what the cameras can see',
    'none': 'seen by the cameras or not',
    'predicted': 'only what the cameras saw by the predictions',
}
_RAYS = [f'RayIoU@{threshold:g}' for threshold in THRESHOLDS]


@dataclass(frozen=True, eq=False)
class Report:
    """The scores of an evaluation, and of what.

    Attributes:
        label_set: the classes.
        models: what made the predictions.
        protocol: how they were scored.
        tally: what became of the predictions.
        unpredicted: key frames with labels, without a prediction.
        unlabelled: key frames without labels.
        matrix: the counted voxels.
        rays: the counted rays; None where they were not asked for.
        seen: what the cameras saw by the predictions and by the labels; None where it was not asked for.
    """

    label_set: LabelSet
    models: tuple[str, ...]
    protocol: ScoringProtocol
    tally: Tally
    unpredicted: int
    unlabelled: int
    matrix: ConfusionMatrix
    rays: RayCounts | None
    seen: SeenCounts | None

    def render(self, form: str) -> str:
        """The report as text, markdown or json."""
        if form == 'json':
            return json.dumps(self.as_json(), indent=2)
        if form == 'markdown':
            facts, style = '\n'.join(f'- {name}: {value}' for name, value in self._facts()), 'github'
        else:
            facts, style = tabulate(self._facts(), tablefmt='plain', disable_numparse=True), 'simple'
        scores = [(name, _percent(value)) for name, value in self.scores().items()]
        return '\n\n'.join((facts, _table(('score', '%'), scores, style), self._class_table(style)))

    def scores(self) -> dict[str, float]:
        """The scores over all classes, 0..1, nan where nothing was counted."""
        scores = self.matrix.scores()
        if self.rays is not None:
            scores |= {'RayIoU': self.rays.ray_iou, **dict(zip(_RAYS, self.rays.at_thresholds, strict=True))}
        return scores

    def as_json(self) -> dict[str, object]:
        """All of it; scores are 0..1, None where nothing was counted."""
        return {
            'label_set': self.label_set.name,
            'models': list(self.models),
            'mask': self.protocol.mask,
            'ignored': self.protocol.ignored,
            'frame_of': self.protocol.frame_of,
            'key_frames': {
                'scored': self.tally.scored,
                'without_prediction': self.unpredicted,
                'without_labels': self.unlabelled,
            },
            'predictions': {
                'scored': self.tally.scored,
                'without_labels': self.tally.unlabelled,
                'surplus': self.tally.surplus,
            },
            'voxels': int(self.matrix.counts.sum()),
            **(
                {}
                if self.seen is None
                else {'visibility': {'agreement': _number(self.seen.agreement), 'IoU': _number(self.seen.iou)}}
            ),
            **{name: _number(value) for name, value in self.scores().items()},
            'classes': {
                name: {score: _number(value) for score, value in scores.items()} | voxels
                for name, scores, voxels in self._classes()
            },
        }

    def _classes(self) -> list[tuple[str, dict[str, float], dict[str, int]]]:
        """Of every class but free: name, scores, voxels in truth and prediction."""
        solid = [label.id != self.label_set.free for label in self.label_set.classes]
        columns = {'IoU': self.matrix.class_iou[solid]}
        if self.rays is not None:
            columns |= dict(zip(_RAYS, self.rays.class_iou, strict=True))
        voxels = {'truth': self.matrix.truth[solid], 'predicted': self.matrix.predicted[solid]}
        return [
            (
                label.name,
                {name: float(column[row]) for name, column in columns.items()},
                {name: int(column[row]) for name, column in voxels.items()},
            )
            for row, label in enumerate(self.label_set.occupied)
        ]

    def _class_table(self, style: str) -> str:
        classes = self._classes()
        headers = ('class', *(f'{name} %' for name in classes[0][1]), 'true voxels', 'predicted voxels')
        rows = [(name, *map(_percent, scores.values()), *voxels.values()) for name, scores, voxels in classes]
        return _table(headers, rows, style)

    def _facts(self) -> list[tuple[str, object]]:
        tally = self.tally
        rows: list[tuple[str, object]] = [
            ('predictions of', printable(', '.join(self.models), 200)),
            ('labels', self.label_set.name),
            (
                'voxels',
                f'{self.matrix.counts.sum()} counted, {_MASKS[self.protocol.mask]}'
                + (', ignored ones as free' if self.protocol.ignored == 'free' else ''),
            ),
            ('frames', _MOTIONS[self.protocol.frame_of]),
            ('key frames scored', tally.scored),
        ]
        if self.seen is not None and self.seen.voxels:
            rows.append(
                (
                    'seen',
                    f'{_percent(self.seen.agreement)} % of the voxels as the camera mask of the labels '
                    f'says, IoU {_percent(self.seen.iou)} %',
                )
            )
        left_out = {
            'key frames without prediction': self.unpredicted,
            'key frames without labels': self.unlabelled,
            'predictions without labels': tally.unlabelled,
            'predictions beside a nearer one': tally.surplus,
        }
        return rows + [(name, count) for name, count in left_out.items() if count]


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], style: str) -> str:
    """Names to the left, numbers to the right."""
    align = ('left', *['right'] * (len(headers) - 1))
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True, colalign=align)


def _percent(value: float) -> str:
    return '-' if math.isnan(value) else f'{100 * value:.2f}'


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
