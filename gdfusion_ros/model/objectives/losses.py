"""The losses of the GDFusion systems, as their released configurations use them.

Voxel losses take (n, K) logits or probabilities whose column k belongs to target k, and (n,) targets as ``targets_of``
makes them; all but ``cross_entropy`` want the rows that have a target only, see ``known``.

BEVDetOcc-GF is trained with ``cross_entropy`` and 0.05 times ``depth_binary``; FB-Occ-GF with ``focal``,
``semantic_scaling``, ``geometric_scaling``, ``lovasz_softmax`` and ``depth_binary``; ALOcc-GF with ``mask_binary`` and
``mask_dice`` of its queries and ``depth_likelihood``; GSD-Occ as FB-Occ-GF, all classes alike. Those of depth are in
``depth_losses``, of which ``depth_between`` is none of theirs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.model.objectives.interface import IGNORE

FREQUENCIES = {
    'occ3d_nuscenes': (
        944004, 1897170, 152386, 2391677, 16957802, 724139,
        189027, 2074468, 413451, 2384460, 5916653, 175883646,
        4275424, 51393615, 61411620, 105975596, 116424404, 1892500630,
    )
}  # fmt: skip
"""Voxels of every class in the training split, by label set (training.md §5)."""

NO_TARGET = -100
"""IGNORE among targets; what torch's cross-entropy leaves out."""

_SMOOTH = 1e-5
_FOCUS, _BALANCE, _FOCAL_SCALE = 2.0, 0.25, 100.0
_MASK_SCALE = 5.0


def targets_of(labels: Tensor, unused: int = 1) -> Tensor:
    """The targets (n,) of labels (…,): higher by the number of unused slots, NO_TARGET where there is no label."""
    flat = labels.reshape(-1)
    return torch.where(flat == IGNORE, NO_TARGET, flat.long() + unused)


def known(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of (n, K) logits that have a target, and those targets, or what else is said of rows."""
    chosen = (targets != NO_TARGET).nonzero()[:, 0]
    return logits.index_select(0, chosen), targets[chosen]


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean softmax cross-entropy, weighted by class (K,) where weights are given; 0 where there is no target.

    Logits that are not finite count as zero, so that one bad voxel ends nothing.
    """
    finite = torch.nan_to_num(logits, 0.0, 0.0, 0.0)
    total = F.cross_entropy(finite, targets, weights, ignore_index=NO_TARGET, reduction='sum')
    counted = targets != NO_TARGET
    mass = counted.sum() if weights is None else (weights[targets.clamp(min=0)] * counted).sum()
    return total / mass.clamp(min=1e-6)


def focal(logits: Tensor, targets: Tensor, class_weights: Tensor, place_weights: Tensor) -> Tensor:
    """Sigmoid focal loss over all classes, summed over them and averaged over the voxels, times 100.

    Args:
        logits: (n, K).
        targets: (n,).
        class_weights: (K,), by the class of the logit.
        place_weights: (n,), e.g. ``distance_weights``.
    """
    truth = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
    probability = logits.sigmoid()
    wrong = (1 - probability) * truth + probability * (1 - truth)
    weight = (_BALANCE * truth + (1 - _BALANCE) * (1 - truth)) * wrong**_FOCUS
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction='none') * weight * class_weights
    return _FOCAL_SCALE * (loss.sum(1) * place_weights).mean()


def distance_weights(rows: int, columns: int) -> Tensor:
    """(Y, X) weights of the columns of a volume: 1 at its middle, 2 at its far corner."""
    y, x = torch.meshgrid(torch.arange(rows) - rows // 2, torch.arange(columns) - columns // 2, indexing='ij')
    distance = torch.sqrt((x**2 + y**2).float())
    return 1 + distance / distance.max()


def class_weights(frequencies: Tensor) -> Tensor:
    """(K + 1,) weights 1 / ln(frequency) of (K,) classes behind the unused slot, whose weight is 0."""
    return F.pad(1 / torch.log(frequencies.double() + 0.001), (1, 0)).float()


def balance(label_set: str, exponent: float) -> Tensor:
    """(K + 1,) weights (largest frequency / frequency) ^ exponent of the classes behind the unused slot (weight 0).

    Raises:
        GdfusionError: nobody has counted the classes of that label set.
    """
    if label_set not in FREQUENCIES:
        raise GdfusionError(
            f"'class_balance' needs to know how frequent the classes of {label_set} are, which nobody "
            'has counted: set it to 0'
        )
    counts = torch.tensor(FREQUENCIES[label_set], dtype=torch.float64)
    return F.pad((counts.max() / counts) ** exponent, (1, 0)).float()


def semantic_scaling(probability: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes that are there, free space apart, of -ln(precision) - ln(recall) - ln(specificity).

    ``probability`` is (n, K), a softmax, whose last column is free space; an unused slot is never there.
    """
    true = probability.new_zeros(probability.shape[1]).index_add(0, targets, torch.ones_like(probability[:, 0]))
    hits = torch.zeros_like(true).index_add(0, targets, probability.gather(1, targets[:, None])[:, 0])
    there = true[:-1] > 0
    if not bool(there.any()):
        return probability.sum() * 0
    predicted, others = probability.sum(0), len(targets) - true
    rejected = others - (predicted - hits)
    return _scaling(*(terms[:-1][there] for terms in (hits, predicted, true, rejected, others))).mean()


def geometric_scaling(probability: Tensor, targets: Tensor) -> Tensor:
    """The same three terms for occupied against free, the last column."""
    free, truth = probability[:, -1], (targets != probability.shape[1] - 1).to(probability.dtype)
    return _scaling(
        ((1 - free) * truth).sum(), (1 - free).sum(), truth.sum(), (free * (1 - truth)).sum(), (1 - truth).sum()
    )


def _scaling(hits: Tensor, predicted: Tensor, true: Tensor, rejected: Tensor, others: Tensor) -> Tensor:
    """-ln(precision) - ln(recall) - ln(specificity) of each class, the last as far as it is defined.

    Args:
        hits: sum of the probabilities of the class over the voxels that are of it.
        predicted: the same over all voxels.
        true: how many voxels are of the class.
        rejected: sum of the other probabilities over the voxels that are not of the class.
        others: how many voxels are not of the class.
    """
    ratios = torch.stack(
        [
            hits / (predicted + _SMOOTH),
            hits / (true + _SMOOTH),
            torch.where(others > 0, rejected / (others + _SMOOTH), 1.0),
        ]
    )
    return -ratios.clamp(_SMOOTH, 1 - _SMOOTH).log().sum(0)


def lovasz_softmax(probability: Tensor, targets: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss (Berman et al., CVPR 2018), mean over the classes that are there."""
    losses = []
    for label in set(targets.tolist()):
        truth = (targets == label).to(probability.dtype)
        errors, order = (truth - probability[:, label]).abs().sort(descending=True)
        losses.append(errors @ _lovasz_gradient(truth[order]))
    return torch.stack(losses).mean() if losses else probability.sum() * 0


def _lovasz_gradient(truth: Tensor) -> Tensor:
    """(n,) gradient of the Lovasz extension for a class's truth, sorted by falling error."""
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - (truth.sum() - truth.cumsum(0)) / union
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))


def by_probability(weights: object, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """The losses of class probabilities that have a weight: attributes ``semantic_scaling``, ``geometric_scaling`` and
    ``lovasz``.

    Args:
        weights: has them.
        logits: (n, K).
        targets: (n,).
    """
    wanted = {
        name: (weight, loss)
        for name, loss in (
            ('semantic_scaling', semantic_scaling),
            ('geometric_scaling', geometric_scaling),
            ('lovasz', lovasz_softmax),
        )
        if (weight := getattr(weights, name))
    }
    if not wanted:
        return {}
    probability = logits.softmax(1)
    return {name: weight * loss(probability, targets) for name, (weight, loss) in wanted.items()}


def mask_binary(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """5 times the mean binary cross-entropy of (r, p) mask logits of r queries at p points, weighted by query (r,)."""
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction='none').mean(1)
    return _MASK_SCALE * (losses * weights).sum() / weights.sum()


def mask_dice(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """5 times the dice loss of the same masks."""
    mask = logits.sigmoid()
    dice = (2 * (mask * truth).sum(1) + 1) / (mask.sum(1) + truth.sum(1) + 1)
    return _MASK_SCALE * ((1 - dice) * weights).sum() / weights.sum()
