"""The pip build: the Python package, plus the ROS messages generated with rosidl as in a ROS workspace.

The generated modules go into gdfusion_ros/ (into the source tree for an editable install). What else cmake installs
(libraries, the ament index, launch files) goes to lib/ and share/ of the environment, where the ros-* wheels keep
theirs. Without the generators (they exist for Linux on x86-64) the package is plain Python, for use with bags.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).resolve().parent
WORK = SOURCE / 'build' / f'ros-{sys.implementation.cache_tag}'
PREFIX = WORK / 'prefix'
SITE = Path('lib', f'python{sys.version_info.major}.{sys.version_info.minor}', 'site-packages')
INTERFACES = {'tf2_msgs': SOURCE / 'vendor' / 'tf2_msgs', 'gdfusion_ros': SOURCE}
INPUTS = (
    'CMakeLists.txt',
    'package.xml',
    'pyproject.toml',
    'setup.py',
    *(f'{folder}/**/*' for folder in ('cmake', 'config', 'launch', 'msg', 'scripts', 'vendor', 'weights')),
)


def generators_prefix() -> Path | None:
    """The prefix that rosidl is installed in; None without it."""
    spec = importlib.util.find_spec('rosidl_cmake')
    return Path(spec.origin).parents[4] if spec and spec.origin else None


def inputs_digest() -> str:
    """A hash of all that cmake builds and installs, the Python package apart."""
    digest = hashlib.sha256()
    files = {path for pattern in INPUTS for path in SOURCE.glob(pattern) if path.is_file()}
    for path in sorted(path for path in files if '__pycache__' not in path.parts):
        digest.update(str(path.relative_to(SOURCE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cmake(*arguments: str, env: dict[str, str]) -> None:
    """Run cmake; end the build where it fails (an exception would be a mere warning of an editable build)."""
    if subprocess.run(['cmake', *arguments], check=False, env=env).returncode != 0:
        sys.exit(f'gdfusion_ros: cmake {" ".join(arguments)} failed')


def generate(generators: Path) -> None:
    """Build the message packages into PREFIX, unless they are there and made from the same inputs."""
    stamp, digest = WORK / 'inputs.sha256', inputs_digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    if not (shutil.which('cc') and shutil.which('c++')):
        sys.exit('gdfusion_ros: the ROS messages need a C and a C++ compiler (Debian, Ubuntu: apt install g++)')
    shutil.rmtree(WORK, ignore_errors=True)
    env = {**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join([str(PREFIX), str(generators)])}
    env.pop('CMAKE_PREFIX_PATH', None)
    for name, source in INTERFACES.items():
        cmake(
            '-S',
            str(source),
            '-B',
            str(WORK / name),
            '-G',
            'Ninja',
            '-DCMAKE_BUILD_TYPE=Release',
            '-DBUILD_TESTING=OFF',
            f'-DCMAKE_INSTALL_PREFIX={PREFIX}',
            f'-DCMAKE_PREFIX_PATH={PREFIX};{generators}',
            f'-DPython3_EXECUTABLE={sys.executable}',
            f'-DPYTHON_INSTALL_DIR={SITE}',
            env=env,
        )
        cmake('--build', str(WORK / name), env=env)
        cmake('--install', str(WORK / name), env=env)
    stamp.write_text(digest)


def shared_files() -> list[tuple[str, list[str]]]:
    """The files that are of use without ROS too: (folder under the environment's prefix, files of it)."""
    return [
        (f'share/gdfusion_ros/{folder}', [str(path.relative_to(SOURCE)) for path in (SOURCE / folder).glob('*.*')])
        for folder in ('config', 'launch', 'msg', 'weights')
    ]


def cmake_files() -> list[tuple[str, list[str]]]:
    """What cmake installed beside the Python package, shared files included, in the form of shared_files()."""

    def wanted(path: Path) -> bool:
        relative = path.relative_to(PREFIX)
        metadata = '__pycache__' in relative.parts or any(part.endswith('.egg-info') for part in relative.parts)
        return (
            path.is_file()
            and path.suffix != '.c'
            and not metadata
            and not relative.is_relative_to(SITE / 'gdfusion_ros')
        )

    return [
        (str(path.parent.relative_to(PREFIX)), [str(path.relative_to(SOURCE))])
        for path in sorted(PREFIX.rglob('*'))
        if wanted(path)
    ]


class BuildPy(build_py):
    """Add the generated modules to the Python package, and the rest of what cmake installs to the data files."""

    def run(self) -> None:
        """Build; without the generators only the Python package."""
        super().run()
        generators = generators_prefix()
        if generators is None:
            print('gdfusion_ros: no rosidl generators here, the ROS messages are left out', file=sys.stderr)
            self.distribution.data_files = shared_files()
            return
        generate(generators)
        generated = PREFIX / SITE / 'gdfusion_ros'
        package = (SOURCE if self.editable_mode else Path(self.build_lib)) / 'gdfusion_ros'
        shutil.copytree(
            generated / 'msg', package / 'msg', dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__', '*.c')
        )
        for library in generated.glob('*.so'):
            shutil.copy2(library, package)
        self.distribution.data_files = cmake_files()


class RosDistribution(Distribution):
    """A distribution with compiled parts, hence a wheel of one platform, when there are messages to generate."""

    def has_ext_modules(self) -> bool:
        """Whether the wheel is bound to a platform."""
        return generators_prefix() is not None

    def has_data(self) -> bool:
        """Whether an editable installation has data files, under the name that setuptools asks for there."""
        return bool(self.data_files)


setup(distclass=RosDistribution, cmdclass={'build_py': BuildPy})
