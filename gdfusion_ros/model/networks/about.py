"""What is known of each network of the zoo beside its spec: for people who choose one (``gdfusion models``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """What somebody reports that a network reaches, in percent; None where they do not say.

    Attributes:
        miou: mean IoU of all classes but free.
        miou_dynamic: mIoU_D, of the classes that move.
        iou: of occupied against free.
        source: who reports it, and where.
        real: whether the streets are; scores on synthetic ones are not to be compared with the others.
    """

    miou: float
    miou_dynamic: float | None
    iou: float | None
    source: str
    real: bool = True


@dataclass(frozen=True)
class About:
    """Facts of a network; sizes are those of its spec and released configuration.

    Attributes:
        what: one sentence.
        parameters: numbers that are learned.
        gmac: 1e9 multiply-adds of a frame, as ``gdfusion benchmark`` counts them.
        state: bytes of what is remembered from frame to frame.
        scores: what others, or we, report; empty where nobody does.
        checked: whether its numbers were compared with anything here, and with what.
    """

    what: str
    parameters: int
    gmac: float
    state: int
    checked: str
    scores: tuple[Scores, ...] = ()


_RELEASE = 'model zoo of the GDFusion release'
_PAPER = 'GDFusion, arXiv 2504.12959'
_RECORDED = (
    'modules and the whole network at reduced size agree with recordings of the release; its keys are those '
    'of the published checkpoint; nobody has scored it here'
)

_ASSUMED = (
    'its modules agree with recordings of the release; the whole is built from the specification alone, and '
    'nobody has scored it here'
)
_WRITTEN = (
    'its modules agree with recordings of the release, and the whole, small, with its specification written down a '
    'second time; nobody has scored it here'
)
_WITH_KEYS = f'{_WRITTEN}; its keys are those of the checkpoint'

# fmt: off
ABOUT = {
    'bevdetocc_gf': About(
        'BEVDetOcc with the four fusions of GDFusion, as released', 34980174, 319.7, 125701154, _RECORDED,
        (Scores(43.6, 36.1, 77.8, _RELEASE), Scores(43.6, 36.0, 77.8, f'{_PAPER}, table 1'))),
    'bevdetocc_gf_small': About(
        'bevdetocc_gf with half the image and half the grid, for tests and quick trials', 34980174, 54.5, 20233762,
        'the whole network agrees with recordings of the release'),
    'gdfusion_nano': About(
        'BEVDetOcc-GF in small, for two CPU cores; the default', 4086939, 16.0, 8448610,
        'trained and scored here, on synthetic scenes alone; its fusions are those of bevdetocc_gf',
        (Scores(33.1, 20.9, 78.7, 'our own, on held-out synthetic scenes: weights/gdfusion_nano.md', real=False),)),
    'fbocc_gf': About(
        'FB-Occ with the four fusions of GDFusion, as released', 68480043, 536.0, 27938530, _RECORDED,
        (Scores(42.1, 36.4, 73.3, _RELEASE), Scores(41.7, 35.8, 73.2, f'{_PAPER}, table 1'))),
    'gsdocc': About(
        'GSD-Occ (AAAI 2025): geometry and semantics in two branches, a queue of 16 frames', 115007530, 506.2, 48000930,
        'its modules agree with recordings of its release, and the whole, small, with its specification written down a '
        'second time, as trained and re-parameterised; its keys '
        'are those of the checkpoint; nobody has scored it here',
        (Scores(39.4, None, None, 'README of the GSD-Occ release'),)),
    'bevdetocc': About(
        'BEVDetOcc without history: the baseline', 34914481, 313.5, 34610082, _WRITTEN,
        (Scores(38.0, 31.0, 71.1, f'{_PAPER}, table 5, of a compressed variant'),)),
    'bevdetocc_sf': About(
        "BEVDetOcc with SOLOFusion's queue of 16 frames: the baseline", 34933137, 335.8, 1345330082, _RECORDED,
        (Scores(41.9, 34.4, 75.1, f'{_PAPER}, table 1'),)),
    'alocc_3d_gf': About(
        'ALOcc-3D with the four fusions of GDFusion, as released', 52901758, 334.9, 125701154, _RECORDED,
        (Scores(46.5, 40.2, 77.4, _RELEASE), Scores(46.5, 40.2, 77.4, f'{_PAPER}, table 1'))),
    'alocc_3d_gf_depth': About(
        'alocc_3d_gf that also looks at LiDAR depth; the release links the same checkpoint', 52901758, 334.9,
        125701154, _WITH_KEYS, (Scores(54.9, 51.4, 85.9, _RELEASE),)),
    'alocc_3d_gf_surroundocc': About(
        "ALOcc-3D-GF for SurroundOcc's labels, its grid in the LiDAR's frame", 53199358, 1271.6, 380721698, _WITH_KEYS,
        (Scores(25.5, 22.5, 38.2, _RELEASE), Scores(25.5, 22.5, 38.2, f'{_PAPER}, table 2'))),
    'alocc_3d_gf_waymo': About(
        "ALOcc-3D-GF for Waymo's five cameras and labels", 108154542, 1187.6, 275318541, _WRITTEN),
    'alocc_2d_gf': About(
        'ALOcc-2D with the four fusions; the paper reports it on OpenOccupancy alone', 63714637, 316.5, 49402850,
        _WRITTEN),
    'alocc_2d_gf_openoccupancy': About(
        "ALOcc-2D-GF for OpenOccupancy's labels, its grid in the LiDAR's frame; its sizes are assumed in part",
        79944349, 1760.2, 312901346, _ASSUMED, (Scores(17.9, 13.7, 28.6, f'{_PAPER}, table 3'),)),
    'alocc_mini_gf': About(
        'ALOcc-2D-mini with the four fusions', 36236408, 164.8, 7630914, _WRITTEN,
        (Scores(42.0, 35.7, 71.9, f'{_PAPER}, table 1'),)),
    'alocc_3d': About(
        'ALOcc-3D with a queue of 16 frames: the baseline', 52854721, 351.0, 1345330082, _WRITTEN,
        (Scores(45.5, 39.3, 75.3, f'{_PAPER}, table 1'),)),
    'alocc_3d_depth': About(
        'alocc_3d that also looks at LiDAR depth: the baseline', 52854721, 351.0, 1345330082, _WRITTEN),
    'alocc_2d': About(
        'ALOcc-2D with a queue of 16 frames: the baseline', 63704929, 322.6, 239410082, _WRITTEN),
    'alocc_mini': About(
        'ALOcc-2D-mini with a queue of 16 frames: the baseline', 36228096, 166.3, 102400930, _WRITTEN,
        (Scores(41.4, 35.4, 70.0, f'{_PAPER}, table 1'),)),
}
"""By the name of the network."""
# fmt: on
