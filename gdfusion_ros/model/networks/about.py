"""What is known of a network beside its spec: for people who choose one."""

from __future__ import annotations

from dataclasses import dataclass

RELEASE = 'model zoo of the GDFusion release'
PAPER = 'GDFusion, arXiv 2504.12959'


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
