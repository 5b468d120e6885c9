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
from setuptools._distutils.command.install_data import install_data
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).resolve().parent
WORK = SOURCE / 'build' / f'ros-{sys.implementation.cache_tag}'
PREFIX = WORK / 'prefix'
SITE = Path('lib', f'python{sys.version_info.major}.{sys.version_info.minor}', 'site-packages')
INTERFACES = {'tf2_msgs': SOURCE / 'vendor' / 'tf2_msgs', 'gdfusion_ros': SOURCE}
INPUTS = ('CMakeLists.txt', 'package.xml', 'pyproject.toml', 'setup.py', 'cmake/**/*', 'msg/**/*', 'vendor/**/*')


def generators_prefix() -> Path | None:
    """The prefix that rosidl is installed in; None without it."""
    spec = importlib.util.find_spec('rosidl_cmake')
    return Path(spec.origin).parents[4] if spec and spec.origin else None


def inputs_digest() -> str:
    """A hash of all that the generated code is made from."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in INPUTS for path in SOURCE.glob(pattern) if path.is_file()):
        digest.update(str(path.relative_to(SOURCE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cmake(*arguments: str, env: dict[str, str] | None = None) -> None:
    """Run cmake and end the build where it fails."""
    subprocess.run(['cmake', *arguments], check=True, env=env)


def generate(generators: Path) -> None:
    """Build the message packages into PREFIX, unless they are there and made from the same inputs."""
    stamp, digest = WORK / 'inputs.sha256', inputs_digest()
    if not stamp.exists() or stamp.read_text() != digest:
        if not (shutil.which('cc') and shutil.which('c++')):
            sys.exit('gdfusion_ros: the ROS messages need a C and a C++ compiler (Debian, Ubuntu: apt install g++)')
        shutil.rmtree(WORK, ignore_errors=True)
        env = {**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join([str(PREFIX), str(generators)])}
        env.pop('CMAKE_PREFIX_PATH', None)
        for name, source in INTERFACES.items():
            cmake('-S', str(source), '-B', str(WORK / name), '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release',
                  '-DBUILD_TESTING=OFF', f'-DCMAKE_INSTALL_PREFIX={PREFIX}', f'-DCMAKE_PREFIX_PATH={PREFIX};{generators}',
                  f'-DPython3_EXECUTABLE={sys.executable}', f'-DPYTHON_INSTALL_DIR={SITE}', env=env)
            cmake('--build', str(WORK / name), env=env)
            cmake('--install', str(WORK / name))
        stamp.write_text(digest)
    else:
        cmake('--install', str(WORK / 'gdfusion_ros'))


class BuildPy(build_py):
    """Add the generated modules to the Python package."""

    def run(self) -> None:
        super().run()
        generators = generators_prefix()
        if generators is None:
            print('gdfusion_ros: no rosidl generators here, the ROS messages are left out', file=sys.stderr)
            return
        generate(generators)
        generated = PREFIX / SITE / 'gdfusion_ros'
        package = (SOURCE if self.editable_mode else Path(self.build_lib)) / 'gdfusion_ros'
        shutil.copytree(generated / 'msg', package / 'msg', dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns('__pycache__', '*.c'))
        for library in generated.glob('*.so'):
            shutil.copy2(library, package)


class InstallData(install_data):
    """Install what cmake installed beside the Python package into the environment's prefix."""

    def run(self) -> None:
        for path in sorted(PREFIX.rglob('*')):
            relative = path.relative_to(PREFIX)
            ours = relative.is_relative_to(SITE / 'gdfusion_ros')
            metadata = any(part == '__pycache__' or part.endswith('.egg-info') for part in relative.parts)
            if path.is_dir() or ours or metadata or path.suffix == '.c':
                continue
            target = Path(self.install_dir) / relative
            self.mkpath(str(target.parent))
            self.copy_file(str(path), str(target))
            self.outfiles.append(str(target))


class RosDistribution(Distribution):
    """A distribution with compiled parts and data files exactly when there are messages to generate."""

    def has_ext_modules(self) -> bool:
        return generators_prefix() is not None

    def has_data_files(self) -> bool:
        return generators_prefix() is not None

    has_data = has_data_files  # the name that the install command of an editable build asks for


setup(distclass=RosDistribution, cmdclass={'build_py': BuildPy, 'install_data': InstallData})
