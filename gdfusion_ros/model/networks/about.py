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
    """

    miou: float
    miou_dynamic: float | None
    iou: float | None
    source: str


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
_RECORDED = ('modules and the whole network at reduced size agree with recordings of the release; its keys are those '
             'of the published checkpoint; nobody has scored it here')

_BY_PARTS = ('modules agree with recordings of the release; its keys are those of its configuration; nobody has scored '
             'it here')

ABOUT = {
    'bevdetocc_gf': About(
        'BEVDetOcc with the four fusions of GDFusion, as released', 34980174, 319.7, 160298018, _RECORDED,
        (Scores(43.6, 36.1, 77.8, _RELEASE), Scores(43.6, 36.0, 77.8, f'{_PAPER}, table 1'))),
    'bevdetocc_gf_small': About(
        'bevdetocc_gf with half the image and half the grid, for tests and quick trials', 34980174, 54.5, 28878370,
        'the whole network agrees with recordings of the release'),
    'gdfusion_nano': About(
        'BEVDetOcc-GF in small, for two CPU cores; the default', 4086939, 16.0, 10069474,
        'trained and scored here, on made scenes alone; its fusions are those of bevdetocc_gf',
        (Scores(33.1, 20.9, 78.7, 'our own, on held-out made scenes: weights/gdfusion_nano.md'),)),
    'fbocc_gf': About(
        'FB-Occ with the four fusions of GDFusion, as released', 68480043, 536.0, 27938530, _RECORDED,
        (Scores(42.1, 36.4, 73.3, _RELEASE), Scores(41.7, 35.8, 73.2, f'{_PAPER}, table 1'))),
    'gsdocc': About(
        'GSD-Occ (AAAI 2025): geometry and semantics in two branches, a queue of 16 frames', 115007530, 506.2, 48000930,
        'its modules agree with recordings of its release; re-parameterised it agrees with itself as trained; its keys '
        'are those of the checkpoint; nobody has scored it here',
        (Scores(39.4, None, None, 'README of the GSD-Occ release'),)),
    'alocc_3d_gf': About(
        'ALOcc with the four fusions of GDFusion, as released', 52901758, 334.9, 160298018, _RECORDED,
        (Scores(46.5, 40.2, 77.4, _RELEASE), Scores(46.5, 40.2, 77.4, f'{_PAPER}, table 1'))),
    'alocc_3d_gf_depth': About(
        'alocc_3d_gf, shown LiDAR depth', 52901758, 334.9, 160298018,
        'its depth slot agrees with recordings of the release, the rest is alocc_3d_gf; nobody has scored it here',
        (Scores(54.9, 51.4, 85.9, _RELEASE),)),
    'alocc_3d_gf_surroundocc': About(
        'ALOcc-3D-GF for the labels of SurroundOcc, in the LiDAR frame, as released', 53199358, 1271.7, 655966754, _BY_PARTS,
        (Scores(25.5, 22.5, 38.2, _RELEASE), Scores(25.5, 22.5, 38.2, f'{_PAPER}, table 2'))),
    'alocc_3d_gf_waymo': About(
        'ALOcc-3D-GF for five cameras and the labels of Waymo', 108154542, 1187.6, 373617421, _BY_PARTS),
    'alocc_2d_gf': About(
        'ALOcc over maps of the ground plan, with the four fusions; no weights are published', 63714637, 316.5,
        83999714, _BY_PARTS),
    'alocc_2d_gf_openoccupancy': About(
        'alocc_2d_gf for the labels of OpenOccupancy, in the LiDAR frame; its sizes are assumed in part', 79944349,
        1760.2, 588146402, f'{_BY_PARTS}; no configuration of it is published', (Scores(17.9, 13.7, 28.6, f'{_PAPER}, table 3'),)),
    'alocc_mini_gf': About(
        'a smaller ALOcc over maps, of one image a camera, with the four fusions; no weights are published', 36236408,
        164.8, 7630914, _BY_PARTS, (Scores(42.0, 35.7, 71.9, f'{_PAPER}, table 1'),)),
}
"""By the name of the network."""
