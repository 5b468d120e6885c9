"""What each temporal cue is worth: the same training with other cues, as in table 5 of the paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from tabulate import tabulate

from gdfusion_ros.evaluation.confusion import ConfusionMatrix
from gdfusion_ros.files import written_whole
from gdfusion_ros.settings import CUES
from gdfusion_ros.training.settings import TrainingSettings

VARIANTS: dict[str, dict[str, Any]] = {
    'no history': {'cues': (), 'history': False},
    'stereo': {'cues': ()},
    'voxel': {'cues': ('voxel',)},
    'voxel + scene': {'cues': ('voxel', 'scene')},
    'voxel + motion': {'cues': ('voxel', 'motion')},
    'voxel + geometry': {'cues': ('voxel', 'geometry')},
    'full': {'cues': CUES},
}
"""Name of every variant -> its settings. All but the first match the images with the previous ones (stereo)."""

METRICS = ('mIoU', 'mIoU_D', 'IoU')

Scores = Mapping[str, Mapping[str, float]]
"""Set of scenes -> metric -> value, 0..1."""


@dataclass(frozen=True)
class Trial:
    """One training of one variant."""

    variant: str
    settings: TrainingSettings
    folder: Path

    @property
    def scores_file(self) -> Path:
        """Where its scores are kept; there once it is done."""
        return self.folder / 'scores.json'

    def scores(self) -> Scores:
        """What it has reached; nothing while it is not done."""
        return json.loads(self.scores_file.read_text()) if self.scores_file.is_file() else {}

    def keep(self, matrices: Mapping[str, ConfusionMatrix]) -> None:
        """Keep the scores on every set of scenes."""
        values = {name: matrix.scores() for name, matrix in matrices.items()}
        with written_whole(self.scores_file) as draft:
            draft.write_text(json.dumps(values, indent=2) + '\n')


def trials(
    settings: TrainingSettings, variants: Sequence[str], seeds: Sequence[int], more: Sequence[int], out: Path
) -> list[Trial]:
    """All trainings, the ones with the first seed first; the first and the last variant have ``more`` seeds too."""
    wanted = [(variant, seed) for seed in seeds for variant in variants]
    wanted += [(variant, seed) for seed in more for variant in dict.fromkeys((variants[0], variants[-1]))]
    return [
        Trial(variant, replace(settings, **VARIANTS[variant], seed=seed), out / f'{variant.replace(" ", "")}-{seed}')
        for variant, seed in dict.fromkeys(wanted)
    ]


def table(done: Sequence[Trial]) -> str:
    """Markdown: mean over the seeds of every metric on every set, in percent; the spread where there are several."""
    variants = list(dict.fromkeys(trial.variant for trial in done))
    scored = {
        variant: [scores for trial in done if trial.variant == variant and (scores := trial.scores())]
        for variant in variants
    }
    sets = list(dict.fromkeys(name for scores in scored.values() for one in scores for name in one))
    rows = [
        (
            variant,
            len(scores),
            *(_spread([one[name][metric] for one in scores if name in one]) for name in sets for metric in METRICS),
        )
        for variant, scores in scored.items()
        if scores
    ]
    headers = ['cues', 'seeds', *(f'{metric}, {name}' for name in sets for metric in METRICS)]
    return tabulate(rows, headers=headers, tablefmt='github', disable_numparse=True)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ''
    middle = f'{100 * mean(values):.1f}'
    return middle if len(values) == 1 else f'{middle} ({100 * min(values):.1f} to {100 * max(values):.1f})'
