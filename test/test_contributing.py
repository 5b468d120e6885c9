"""What a contributor meets first: hooks, workflows, the container and the release say what the Makefile says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from gdfusion_ros import __version__

ROOT = Path(__file__).resolve().parent.parent
RULES = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))

pytestmark = pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a checkout')


def read(path: Path | str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def names(requirements: Iterable[str]) -> set[str]:
    """Of the packages that are required."""
    return {match[0].lower() for match in map(re.compile(r'[\w-]+').match, requirements) if match}


def test_hooks_fetch_nothing_and_start_pinned_tools() -> None:
    repositories = read('.pre-commit-config.yaml')['repos']
    assert [each['repo'] for each in repositories] == ['local']
    pinned = names((ROOT / 'constraints.txt').read_text().splitlines())
    for hook in repositories[0]['hooks']:
        script, tool, *_ = hook['entry'].split()
        assert os.access(ROOT / script, os.X_OK)
        assert tool in pinned


def test_a_hook_finds_its_tool_without_an_activated_environment(tmp_path: Path) -> None:
    tool = tmp_path / '.venv' / 'bin' / 'tool'
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\necho "found: $1"\n')
    tool.chmod(0o755)
    subprocess.run(['git', 'init', '--quiet', str(tmp_path)], check=True)
    said = subprocess.run(
        [ROOT / 'scripts/in_venv', 'tool', 'a b'], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert said.stdout == 'found: a b\n'


@pytest.mark.parametrize('path', sorted((ROOT / '.github/workflows').glob('*.yml')), ids=lambda path: path.name)
def test_workflows_make_what_there_is(path: Path) -> None:
    steps = [step for job in read(path)['jobs'].values() for step in job['steps']]
    assert {rule for step in steps for rule in re.findall(r'make ([\w-]+)', step.get('run', ''))} <= RULES
    assert all(re.search(r'@v\d', step['uses']) for step in steps if 'uses' in step)


def test_the_container_has_the_libraries_of_the_package() -> None:
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    installed = [
        re.findall(r'\btorch numba .*', (ROOT / name).read_text()) for name in ('docker/Dockerfile', 'docs/install.md')
    ]
    apt = {'pyyaml'}  # python3-yaml of package.xml
    assert [names(shlex.split(line)) | apt for lines in installed for line in lines] == [
        names(project['dependencies'])
    ] * 2


def test_a_robot_without_torch_gets_all_other_libraries() -> None:
    (line,) = re.findall(r'^pip install (onnxruntime .*)', (ROOT / 'docs/deploy.md').read_text(), re.MULTILINE)
    needed = names(tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['dependencies'])
    assert names(shlex.split(line)) == needed - {'torch'} | {'onnxruntime'}


def test_the_container_copies_what_its_context_has() -> None:
    lines = (ROOT / 'docker/Dockerfile').read_text().splitlines()
    ignored = (ROOT / '.dockerignore').read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith('!')}
    copied = {word.partition('/')[0] for line in lines if line.startswith('COPY') for word in line.split()[1:-1]}
    assert copied - {'.'} <= kept
    assert all((ROOT / name).exists() for name in kept)
    built = (ROOT / 'CMakeLists.txt').read_text()
    assert set(re.findall(r'install\(DIRECTORY ([a-z ]+) D', built)[0].split()) <= kept


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = read('CITATION.cff')
    assert str(citation['version']) == __version__
    assert len(citation['preferred-citation']['authors']) == 9
    assert citation['license'] == 'Apache-2.0'


@pytest.mark.parametrize('name', ['launch_testing', 'launch_ros', 'launch_pytest'])
def test_the_tests_run_where_ros_is_sourced(name: str, tmp_path: Path) -> None:
    metadata = tmp_path / f'{name}-1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1\n')
    (metadata / 'entry_points.txt').write_text(f'[pytest11]\n{name} = plugin_of_ros\n')
    (tmp_path / 'plugin_of_ros.py').write_text('def pytest_pycollect_makemodule(path, parent): ...\n')
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '--collect-only', '-q', 'test/test_renamed.py'],
        cwd=ROOT,
        env=os.environ | {'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
