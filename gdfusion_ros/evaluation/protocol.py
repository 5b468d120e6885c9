"""How predictions are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gdfusion_ros.evaluation.alignment import GridFrame
from gdfusion_ros.perception.labels import LabelSet

Ignored = Literal['drop', 'free']
Mask = Literal['camera', 'predicted', 'none']


@dataclass(frozen=True)
class ScoringProtocol:
    """How predictions are scored.

    Attributes:
        mask: which voxels count: those that the cameras can see by the labels ('camera'), those that they saw by the
            prediction ('predicted'), or all ('none'). Not for RayIoU, which has no mask.
        frame_of: whose frame the comparison is made in.
        rays: whether RayIoU is measured.
        ignored: voxels that the labels say to ignore: 'drop' does not count them, 'free' counts them as free space, as
            GDFusion's release scores SurroundOcc's labels (alocc.md §9.2).
    """

    mask: Mask
    frame_of: GridFrame = 'released'
    rays: bool = True
    ignored: Ignored = 'drop'


def usual_mask(label_set: LabelSet) -> Mask:
    """The mask that benchmarks with labels of this set take."""
    return 'camera' if label_set.camera_masked else 'none'
