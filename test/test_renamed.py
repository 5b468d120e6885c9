"""Old names of flags, settings and keys of files work on, and say so in one line."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from gdfusion_ros import renamed
from gdfusion_ros.renamed import add_old_flag, current
from gdfusion_ros.settings import from_mapping, setting
from gdfusion_ros.synthetic import recipes
from gdfusion_ros.synthetic.recipes import Recipe

LINE = "'{}' is called '{}' now; the old name still works in this version\n"


@dataclass(frozen=True)
class Settings:
    weather: tuple[str, ...] = setting((), 'Of the day.')


def test_values_get_the_names_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert current({'moods': 1, 'seed': 2}) == {'weather': 1, 'seed': 2}
    assert capsys.readouterr().err == LINE.format('moods', 'weather')
    assert current({'weather': 1}) == {'weather': 1}
    assert capsys.readouterr().err == ''


def test_settings_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert from_mapping(Settings, {'moods': ['fog']}) == Settings(('fog',))
    assert capsys.readouterr().err == LINE.format('moods', 'weather')


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--weather', nargs='+', default=())
    add_old_flag(parser, '--moods', nargs='+')
    assert parser.parse_args(['--moods', 'fog', 'rain']).weather == ['fog', 'rain']
    assert capsys.readouterr().err == LINE.format('--moods', '--weather')
    assert parser.parse_args([]).weather == ()
    assert parser.parse_args(['--weather', 'fog']).weather == ['fog']
    assert 'moods' not in parser.format_help()
    assert capsys.readouterr().err == ''


def test_the_recipe_of_a_dataset_that_an_earlier_version_made(tmp_path: Path) -> None:
    recipe = Recipe(1, 1, 1, 64, 36, sweeps=False, lidar=False, weather=('noon',))
    recipes.write(tmp_path, recipe)
    old = json.loads((tmp_path / recipes.FILE).read_text())
    old['moods'] = old.pop('weather')
    (tmp_path / recipes.FILE).write_text(json.dumps(old))
    assert recipes.read(tmp_path) == recipe


def test_no_name_is_both_old_and_new() -> None:
    assert not set(renamed.RENAMED) & set(renamed.RENAMED.values())
