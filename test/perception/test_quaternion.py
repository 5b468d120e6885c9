from __future__ import annotations

import numpy as np
import pytest

from gdfusion_ros.perception.poses import pose_matrix, quaternion


@pytest.mark.parametrize(
    'turn',
    [
        (0, 0, 0, 1),
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (1, 2, 3, 4),
        (-5, 1, 2, 0.1),
        (1, -7, 0.3, 2),
        (0.1, 0.2, -9, 1),
        (1e-9, 0, 0, 1),
        (1, 1, 1, -1e-9),
    ],
)
def test_the_quaternion_of_a_rotation_gives_it_back(turn: tuple[float, float, float, float]) -> None:
    unit = np.array(turn) / np.linalg.norm(turn)
    *_, w = found = quaternion(pose_matrix((1.0, 2.0, 3.0), (unit[0], unit[1], unit[2], unit[3])))
    assert w >= 0
    assert np.allclose(found, unit if unit @ found > 0 else -unit, atol=1e-12)
