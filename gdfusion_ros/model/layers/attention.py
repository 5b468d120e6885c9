"""Attention of queries to a few places of feature maps (fbocc.md §3, §4)."""

from __future__ import annotations

from torch import Tensor, nn

from gdfusion_ros.model.ops.deformable_attention import Views, deformable_attention


class DeformableAttention(nn.Module):
    """Each query tells by itself where it looks from its anchors, and how much what it finds there counts."""

    def __init__(self, channels: int, heads: int, points: int) -> None:
        """``channels`` in and out, each head has its share of them; ``points`` are looked at by each head in a view."""
        super().__init__()
        self.shape = heads, points
        self.offsets = nn.Linear(channels, heads * points * 2)
        self.weights = nn.Linear(channels, heads * points)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, queries: Tensor, maps: Tensor, views: Views, gains: Tensor) -> Tensor:
        """What the queries find, (Q, C).

        Args:
            queries: (Q, C), with the code of their place.
            maps: (N, h, w, C) that are looked at.
            views: where from.
            gains: (V, A) of the anchors, which multiply the attention that sums up to one.
        """
        offsets = self.offsets(queries).view(-1, *self.shape, 2)
        weights = self.weights(queries).view(-1, *self.shape).float().softmax(-1)
        found = deformable_attention(self.value(maps).float(), offsets.float(), weights, views, gains)
        return self.output(found)  # type: ignore[no-any-return]
