"""What stands beside the files of a bag: metadata.yaml, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import Qos

from gdfusion_ros.bags.formats import SUFFIXES
from gdfusion_ros.bags.storage import full_type_name, offered_qos
from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.names import printable

METADATA = 'metadata.yaml'
_PACKED = ('.zstd', '.zst')
"""What rosbag2 and the command zstd append to the name of a file that they have packed."""
_SHOWN = 300  # characters of names


@dataclass
class Metadata:
    """A bag's files, and what is said about them.

    Attributes:
        files: In the order of the recording.
        promised: Type and number of messages by topic.
        qos: What publishers offered, by topic.
        custom_data: Beside the standard fields.
        not_read: What seems to belong to the recording and is not among the files, in words.
    """

    files: list[Path]
    promised: dict[str, tuple[str, int]] = field(default_factory=dict)
    qos: dict[str, tuple[Qos, ...]] = field(default_factory=dict)
    custom_data: Mapping[str, str] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)


def read_metadata(path: Path) -> Metadata:
    """The files of the bag at ``path``, which is a folder with or without metadata.yaml, or a file.

    Raises:
        GdfusionError: nothing is there, metadata.yaml is broken, files are missing, or the folder is no bag.
    """
    if not path.exists():
        raise GdfusionError(f'no bag {path}: nothing is there; give the folder of a bag, or a .mcap or .db3 file')
    if not path.is_dir():
        if not path.is_file():
            raise GdfusionError(f'{path} is no bag: it is neither a file nor a folder')
        if path.name == METADATA:
            raise GdfusionError(f'{path} is no bag, it describes one: give its folder, {path.parent}')
        return Metadata([path])
    if not (path / METADATA).is_file():
        files = _files_in(path)
        return Metadata(files, not_read=_gaps(files))
    try:
        content = yaml.load((path / METADATA).read_bytes(), getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
        return _parsed(path, content['rosbag2_bagfile_information'])
    except GdfusionError:
        raise
    except Exception as error:  # whatever a hand-made file makes the look-ups raise
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
        raise GdfusionError(
            f"bag {path} cannot be read: its {METADATA} is broken ({reason}); 'ros2 bag reindex' "
            'writes it anew, and without it the files are read as they are'
        ) from error


def custom_data_in(about: str) -> Mapping[str, str]:
    """The custom data in what a file keeps of the whole bag; nothing where that cannot be read.

    Raises:
        GdfusionError: its messages are compressed in an unknown way; without the file's name, which the caller knows.
    """
    try:
        information = yaml.load(about, getattr(yaml, 'CSafeLoader', yaml.SafeLoader)) or {}
        refusal, custom_data = _refusal(information), _custom_data(information)
    except (yaml.YAMLError, AttributeError, TypeError):  # the file can be read without it
        return {}
    if refusal:
        raise GdfusionError(refusal)
    return custom_data


def _refusal(information: Mapping[str, Any]) -> str:
    """Why the messages cannot be unpacked; empty where they can."""
    packed = _text(information.get('compression_format') or 'zstd')
    if _text(information.get('compression_mode')).lower() != 'message' or packed == 'zstd':
        return ''
    return f"its messages are compressed with '{packed}', not with zstd; 'ros2 bag convert' can write it without"


def _custom_data(information: Mapping[str, Any]) -> Mapping[str, str]:
    return {_text(key): _text(value) for key, value in (information.get('custom_data') or {}).items()}


def _text(value: object) -> str:
    """A value of metadata.yaml as text.

    Raises:
        TypeError: it is a list or the like, which, full of references, could be larger as text than the memory.
    """
    if isinstance(value, list | dict | set | tuple):
        raise TypeError(f'a {type(value).__name__} stands where text is expected')
    return str(value)


def _parsed(path: Path, information: Mapping[str, Any]) -> Metadata:
    if refusal := _refusal(information):
        raise GdfusionError(f'bag {path} cannot be read: {refusal}')
    listed = information['relative_file_paths'] or []
    names = list(dict.fromkeys(re.split(r'[/\\]', name)[-1] for name in listed))  # of any system, from any folder
    files = _present(path, names) if names else _files_in(path)
    metadata = Metadata(files, custom_data=_custom_data(information), not_read=_unlisted(path, files))
    for row in information['topics_with_message_count'] or []:
        topic = row['topic_metadata']
        if not isinstance(name := topic['name'], str):
            raise TypeError(f'the name of a topic is {_text(name)}')
        _, before = metadata.promised.get(name, ('', 0))
        metadata.promised[name] = full_type_name(topic['type']), before + int(row['message_count'])
        metadata.qos[name] = metadata.qos.get(name, ()) + offered_qos(topic.get('offered_qos_profiles') or [])
    return metadata


def _present(path: Path, names: list[str]) -> list[Path]:
    """The files that are listed; one may have been packed or unpacked meanwhile."""
    files = [
        next((path / name for name in (listed, *_forms(_plain(listed))) if (path / name).is_file()), path / listed)
        for listed in names
    ]
    if missing := [file.name for file in files if not file.is_file()]:
        raise GdfusionError(
            f'bag {path} cannot be read: it lacks {", ".join(missing)}, which its {METADATA} lists; '
            'put what is missing back, or give one of its other files by itself'
        )
    return list({file.resolve(): file for file in files}.values())  # one may be listed packed and unpacked, or linked


def _unlisted(path: Path, files: list[Path]) -> list[str]:
    read = {_plain(file.name) for file in files}
    names = [name for name in _names_in(path, SUFFIXES) if _plain(name) not in read]
    return [f'{printable(", ".join(names), _SHOWN)}: not listed in {METADATA}'] if names else []


def _gaps(files: list[Path]) -> list[str]:
    """Where the number of a file is missing between two others."""
    return [
        f'what came between {printable(f"{one.name} and {two.name}", _SHOWN)}: by their numbers a file is missing'
        for one, two in pairwise(files)
        if _number(two.name)[0] > _number(one.name)[0] + 1
    ]


def _plain(name: str) -> str:
    """The name of a file as it is when it is not packed."""
    return next((name.removesuffix(packed) for packed in _PACKED if name.endswith(packed)), name)


def _forms(name: str) -> list[str]:
    """The same, and the names of the packed file."""
    return [name, *(name + packed for packed in _PACKED)]


def _names_in(path: Path, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(
        file.name
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith('.') and file.name.lower().endswith(suffixes)
    )


def _files_in(path: Path) -> list[Path]:
    """The files of one recording in a folder that has no metadata.yaml: of one kind, all numbered or a single one."""
    found = _names_in(path, (*SUFFIXES, '.bag'))
    names = sorted({_plain(name): name for name in reversed(found)}.values())  # not packed, where there are both
    if not names:
        bags = sorted(folder.parent.name for folder in path.glob(f'*/{METADATA}'))
        raise GdfusionError(
            f'{path} is no bag: it has no {METADATA} and no .mcap or .db3 file'
            + (f'; there are bags in it, e.g. {path / bags[0]}' if bags else '')
        )
    kinds = {(re.sub(r'(_\d+)?\..*$', '', name), Path(_plain(name)).suffix, _number(name)[0] < 0) for name in names}
    if len(kinds) > 1:
        raise GdfusionError(
            f'{path} is no bag: it has no {METADATA}, and its files are not of one recording; give one '
            f'of them: {", ".join(names[:5])}'
        )
    return [path / name for name in sorted(names, key=_number)]


def _number(name: str) -> tuple[int, str]:
    """Files are numbered from 0 on as the recording was split."""
    found = re.search(r'_(\d+)\.', name)
    return int(found[1]) if found else -1, name
