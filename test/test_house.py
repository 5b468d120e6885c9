"""The size of things: no class has more fields than one can keep in mind, no file of the networks is long."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gdfusion_ros

ROOT = Path(gdfusion_ros.__file__).parent
MOST_FIELDS, MOST_LINES = 10, 235

RECORDS = {
    'PipelineSettings': 'a setting each',
    'NodeSettings': 'a setting each',
    'TrainingSettings': 'a setting each',
    'JobSettings': 'a setting each',
    'Record': 'what is known of a result, in its file',
    'Weights': 'an entry of the manifest',
    'NetworkSpec': 'all that anybody may read of a network',
    'SemanticGrid': 'what the message says',
    'Counts': 'a count each',
    'Weather': 'the light of a scene',
    'Shapes': 'arrays of parts, as they are traced',
    'Mover': 'a road user in a simulation',
}
"""Records with more fields: they hold data and look after nothing -> what their fields are."""


def files() -> Iterator[Path]:
    """What is written by hand."""
    return (path for path in ROOT.rglob('*.py') if ROOT / 'msg' not in path.parents)


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in files():
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


def is_record(node: ast.ClassDef) -> bool:
    """Whether its annotations are its fields."""
    known = [*node.decorator_list, *node.bases]
    return any(
        'dataclass' in ast.unparse(each) or ast.unparse(each) in {'NamedTuple', 'msgspec.Struct', 'Row'}
        for each in known
    )


def fields(node: ast.ClassDef) -> set[str]:
    """Of a record, or what ``__init__`` sets."""
    found = (
        {
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign)
            and isinstance(part.target, ast.Name)
            and 'ClassVar' not in ast.unparse(part.annotation)
        }
        if is_record(node)
        else set()
    )
    starts = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == '__init__']
    stored = (
        each
        for start in starts
        for each in ast.walk(start)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    )
    return found | {each.attr for each in stored if isinstance(each.value, ast.Name) and each.value.id == 'self'}


def test_no_class_has_more_fields_than_one_can_keep_in_mind() -> None:
    large = {
        node.name: f'{path.relative_to(ROOT)}: {node.name} has {len(fields(node))} fields'
        for path, node in classes()
        if len(fields(node)) > MOST_FIELDS
    }
    assert [line for name, line in large.items() if name not in RECORDS] == []
    assert set(large) == set(RECORDS), 'no exception outlives its need'


def test_exceptions_are_records_and_nothing_else() -> None:
    for _, node in classes():
        if node.name in RECORDS:
            assert is_record(node)
            assert all(not isinstance(part, ast.FunctionDef) or part.name != '__init__' for part in node.body)


def test_no_file_of_the_networks_is_long() -> None:
    """Lines of brackets alone, which the formatter makes, and empty ones do not count."""
    lines = {
        path: len(re.findall(r'^.*\w', path.read_text(), re.MULTILINE))
        for path in files()
        if ROOT / 'model' in path.parents
    }
    assert len(lines) > 50
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_what_counts_as_a_field() -> None:
    node = ast.parse("""
@dataclass(frozen=True)
class A:
    one: int
    two: ClassVar[int]
    def __init__(self):
        self.three, (self.four, other.five) = 1, (2, 3)
        self.six: int = self.seven
    def later(self):
        self.eight = 1
""").body[0]
    assert isinstance(node, ast.ClassDef)
    assert fields(node) == {'one', 'three', 'four', 'six'}
