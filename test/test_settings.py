"""Settings: every one is described and bounded, and values that do not fit are refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.settings import ModelSettings, PipelineSettings, TopicSettings, from_mapping, records


@pytest.mark.parametrize('kind', [ModelSettings, PipelineSettings])
def test_every_setting_has_a_sentence_and_numbers_have_bounds(kind: type) -> None:
    for name, (default, record) in records(kind).items():
        assert record.description.endswith('.'), name
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            assert record.low is not None, name
            assert record.high is not None, name
            assert record.low <= default <= record.high, name


def test_values_replace_defaults() -> None:
    made = from_mapping(PipelineSettings, {'sync_tolerance': 1, 'cameras': ['a', 'b'], 'reference_camera': 'b'})
    assert made.sync_tolerance == 1.0
    assert isinstance(made.sync_tolerance, float)
    assert made.cameras == ('a', 'b')
    assert made.queue_size == PipelineSettings().queue_size


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'sync_slop': 0.1}, "unknown setting 'sync_slop'"),
        ({'sync_tolerance': '0.1'}, "'sync_tolerance': expected a number"),
        ({'sync_tolerance': True}, "'sync_tolerance': expected a number"),
        ({'sync_tolerance': 2.0}, 'a value from 0.0 to 1.0'),
        ({'queue_size': 1.5}, "'queue_size': expected a whole number"),
        ({'lossless': 1}, "'lossless': expected true or false"),
        ({'missing_camera': 'ignore'}, 'one of skip, hold, mask'),
        ({'base_frame': 7}, "'base_frame': expected a string"),
        ({'cameras': 'CAM_FRONT'}, "'cameras': expected a list of strings"),
        ({'cameras': ['a', 'b', 'a'], 'reference_camera': 'a'}, 'a name is there twice'),
        ({'fixed_frame': 'base_link'}, "'fixed_frame' and 'base_frame' are both 'base_link'"),
        ({'fixed_frame': ''}, "'fixed_frame': expected the name of a TF frame"),
        ({'cameras': ['a', 'b']}, "'CAM_FRONT' is not among the cameras"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(GdfusionError, match=message) as caught:
        from_mapping(PipelineSettings, values)
    assert '\n' not in str(caught.value)


def test_both_sorts_of_transforms_need_a_topic_each() -> None:
    with pytest.raises(GdfusionError, match="'tf_topic' and 'tf_static_topic' are both '/tf_static'"):
        from_mapping(TopicSettings, {'tf_topic': '/tf_static'})
