"""Words that a stranger to the code can look up: names that were retired for those of the field do not come back."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXEMPT = {
    'CHANGELOG.md',
    'gdfusion_ros/renamed.py',
    'gdfusion_ros/cli/synthesize.py',
    'test/test_renamed.py',
    'test/test_names_of_the_field.py',
}
"""What speaks of old names because they were renamed."""

RETIRED = {
    r'\bvoxel_walk\b': 'ray_traversal',
    r'training[./]sight\b|\bSight\b': 'ray_supervision',
    r'\b[mM]oods?\b|\bMOODS\b': 'weather',
    r'synthetic[./](optics|things|agreement)\b': 'rendering, objects, consistency_check',
    r'\bFacts\b|\bread_facts\b': 'WeightsMetadata',
    r'\bChosen\b': 'ModelSelection',
    r'messages[./]feed\b|\bFeed\b': 'MessageRouter',
    r'\bway_between\b': 'distance_between',
    r'v1\.0-made|\b[mM]ade (world|scenes?|data|dataset|nuScenes|street)\b|\bmade-up\b': 'synthetic',
    r'\bgeometry_memo\b|\bMemo\b': 'CalibrationCache',
    r'\b_?see_cells\b|\bsee_images\b': 'encode_images, predict_depth',
    r'\blike_weights\b': 'to_device_of',
    r'[sS]pec section': '`bevdetocc_gf.md §1`',
}
"""Pattern of what was retired -> what it is called now."""

ONE_THING_EACH = ('Frame', 'Listener', 'Result', 'Scene', 'Track', 'View')
"""Names that once meant two or three things."""

FOLDERS = ('model', 'perception', 'messages', 'synthetic/rendering')

pytestmark = pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a checkout')


def texts(*patterns: str) -> dict[str, str]:
    """Path -> text of every file of the repository that matches, but for the descriptions of others' networks."""
    listed = subprocess.run(
        ['git', 'ls-files', '--', *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {
        name: (ROOT / name).read_text()
        for name in listed
        if name not in EXEMPT and not name.startswith('docs/spec/') and (ROOT / name).is_file()
    }


def test_retired_names_are_gone() -> None:
    every = texts('*.py', '*.md', '*.yaml', '*.toml', 'Makefile', 'scripts', '*.msg', '*.xml')
    assert len(every) > 400
    found = [
        f'{name}: {match[0]!r}, now {now}'
        for name, text in {**every, **{name: name for name in every}}.items()
        for old, now in RETIRED.items()
        for match in re.finditer(old, text)
    ]
    assert found == []


def test_no_variable_is_a_way() -> None:
    """A distance, a direction or a reprojection is called so."""
    every = texts(*(f'gdfusion_ros/{folder}/*.py' for folder in FOLDERS))
    found = [
        f'{name}:{token.start[0]}'
        for name, text in every.items()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and token.string == 'way'
    ]
    assert found == []


def test_a_class_name_means_one_thing() -> None:
    defined = Counter(
        match[1]
        for text in texts('gdfusion_ros/*.py').values()
        for match in re.finditer(r'^class (\w+)', text, re.MULTILINE)
    )
    assert {name: defined[name] for name in ONE_THING_EACH if defined[name] > 1} == {}
