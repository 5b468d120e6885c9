"""What the node subscribes to, and how."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gdfusion_ros.ros import qos
from gdfusion_ros.ros.inputs import Inputs
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.settings import BevSettings, ModelSettings, NodeSettings, PipelineSettings, TopicSettings


@pytest.mark.parametrize('lossless', [True, False])
def test_poses_are_lost_no_sooner_than_images(lossless: bool) -> None:
    depths: dict[str, int] = {}

    def subscribe(_kind: Any, topic: str, _callback: Any, profile: Any) -> None:
        depths[topic] = profile.depth

    node: Any = SimpleNamespace(create_subscription=subscribe, create_timer=lambda *_, **__: None)
    assembler: Any = SimpleNamespace(takes_clouds=False)
    pipeline = PipelineSettings(lossless=lossless)
    Inputs(node, Settings(ModelSettings(), pipeline, TopicSettings(), BevSettings(), NodeSettings()), assembler)
    images = {depth for topic, depth in depths.items() if topic.startswith('/CAM_')}
    assert images == {qos.EVERY_MESSAGE if lossless else NodeSettings().input_depth}
    assert depths['/tf'] == (qos.EVERY_MESSAGE if lossless else qos.TRANSFORMS)
