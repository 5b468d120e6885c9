"""Fixtures that every test may use.

Tests wait for events, never for times: for a condition with ``wait_until``; for a process, a thread or an answer of a
browser without a limit of their own (pytest's own, in pyproject.toml, ends them); and what takes a limit gets
``patience``. What is to be fast is measured in time of the processor (``time.process_time``), and what happens in time
gets a clock that the test moves. ``test_waiting.py`` looks after that.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from gdfusion_ros.bags.messages import typestore
from gdfusion_ros.bags.reader import bag_reader
from gdfusion_ros.bags.writer import bag_writer
from gdfusion_ros.datasets import nuscenes, occ3d
from gdfusion_ros.datasets.convert import convert
from gdfusion_ros.datasets.plan import plan
from gdfusion_ros.files import digest
from gdfusion_ros.messages.factory import stamp_of
from gdfusion_ros.model.export.write import export
from gdfusion_ros.model.geometry.depth_bins import DepthBins
from gdfusion_ros.model.geometry.voxel_grid import VoxelGrid
from gdfusion_ros.model.network import OccupancyNetwork
from gdfusion_ros.model.networks.bevdetocc import Sizes as BevdetoccSizes
from gdfusion_ros.model.networks.bevdetocc import bevdetocc
from gdfusion_ros.model.networks.nano import Sizes as NanoSizes
from gdfusion_ros.model.networks.nano import nano
from gdfusion_ros.model.runtime.malloc import keep_freed_memory
from gdfusion_ros.model.runtime.prepare import prepare
from gdfusion_ros.model.runtime.process import prepare_process
from gdfusion_ros.model.spec import NetworkSpec
from gdfusion_ros.model.weights.checkpoint import load_checkpoint, save_checkpoint
from gdfusion_ros.model.weights.initialise import initialise
from gdfusion_ros.model.weights.metadata import WeightsMetadata
from gdfusion_ros.model.zoo import Entry
from gdfusion_ros.perception.types import NANOSECONDS

if not torch.cuda.is_available():
    # Triton asks the environment when it is imported, which some libraries do.
    os.environ.setdefault('TRITON_INTERPRET', '1')

DATA = Path(__file__).resolve().parent / 'data'
SHARED = DATA.parent.parent.parent / 'shared'
PATIENCE = 600.0
THREADS, OMP_THREADS = torch.get_num_threads(), os.environ.get('OMP_NUM_THREADS')

prepare_process()  # as whoever runs a network does
keep_freed_memory()

# A busy machine is no fault, and neither are fixtures that serve all examples of a test.
settings.register_profile(
    'tests', deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile('tests')


@pytest.fixture(scope='session')
def patience() -> float:
    """The limit [s] of everything that needs one: far longer than it takes on the busiest machine."""
    return PATIENCE


@pytest.fixture(scope='session')
def wait_until() -> Callable[..., None]:
    """Waits until ``condition()`` is true; where that never comes, the test fails with what ``said()`` returns."""

    def wait(condition: Callable[[], object], said: Callable[[], object] = lambda: '') -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f'in vain for {PATIENCE:g} s; {said()}'
            time.sleep(0.02)

    return wait


def pytest_configure() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, and nohup anything with SIGHUP ignored.

    Children inherit that, but not handlers; tests of these signals would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: some hold the time (a gzip header), and every process must name its tests alike."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what starts ROS processes by its folder, and what drives a browser by its fixture."""
    for item in items:
        if item.path.relative_to(DATA.parent).parts[0] in {'ros', 'demo'}:
            item.add_marker(pytest.mark.ros)
        if 'chromium' in getattr(item, 'fixturenames', ()):
            item.add_marker(pytest.mark.browser)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what needs a CUDA device where there is none."""
    if item.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')


@pytest.fixture(autouse=True)
def _as_processes_begin() -> Iterator[None]:
    """A verb that runs a network sets threads, and subnormal numbers to zero; the next test may need them as before."""
    yield
    torch.set_flush_denormal(False)
    if torch.get_num_threads() != THREADS:
        torch.set_num_threads(THREADS)
    if OMP_THREADS is None:
        os.environ.pop('OMP_NUM_THREADS', None)
    else:
        os.environ['OMP_NUM_THREADS'] = OMP_THREADS


@pytest.fixture
def freed_tuples(capfd: pytest.CaptureFixture[str]) -> Callable[[Callable[[], object]], dict[int, int]]:
    """Calls something many times; of which length how many freed tuples Python has in stock since then.

    It keeps up to 2,000 of each length below 20. A tuple that is made of a generator takes one of another length from
    the stock than it gives back, which looks like a leak for hours: ``tuple([...])`` does not.
    """

    def in_stock() -> dict[int, int]:
        capfd.readouterr()
        sys._debugmallocstats()
        found = re.findall(r'(\d+) free (\d+)-sized PyTupleObjects', capfd.readouterr().err)
        if not found:
            pytest.skip('this Python does not tell')
        return {int(length): int(count) for count, length in found}

    def freed(act: Callable[[], object]) -> dict[int, int]:
        times = 50
        gc.collect()  # empties the stock
        in_stock()  # what looking itself leaves there
        for _ in range(times):
            act()
        before = in_stock()
        for _ in range(times):
            act()
        return {length: more for length, count in in_stock().items() if (more := count - before[length]) >= times / 2}

    return freed


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of real nuScenes images beside the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip('no folder "shared" (real images) beside the checkout')
    return SHARED


@pytest.fixture(scope='session')
def recordings() -> Path:
    """Folder of recordings of the released code (test/data/README.md)."""
    return DATA


@pytest.fixture(scope='session')
def nuscenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic nuScenes folder to read, never to change: scene-0001, scene-0002, 3 key frames each, 160 x 90 images.

    It has the seven needed tables, six cameras, LIDAR_TOP and a radar without files, and sweep rows without files.
    """
    root = tmp_path_factory.mktemp('nuscenes')
    _MadeNuScenes(root).write('v1.0-test')
    return root


@pytest.fixture(scope='session')
def nuscenes_complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all that a dataset can have: images and LiDAR of the sweeps, annotated boxes, Occ3D labels."""
    root = tmp_path_factory.mktemp('nuscenes_complete')
    _CompleteNuScenes(root).write('v1.0-test')
    return root


@pytest.fixture(scope='session')
def export_spec() -> NetworkSpec:
    """Of a small network for six cameras that is exported."""
    return NetworkSpec(
        name='small_export',
        image_size=(64, 176),
        depth=DepthBins(first=1.0, step=2.0, count=20),
        feature_stride=16,
        context_channels=8,
        grid=VoxelGrid(lower=(-20.0, -20.0, -1.0), voxel_size=(1.0, 1.0, 1.0), shape=(40, 40, 8)),
    )


@pytest.fixture(scope='session')
def build_export() -> Callable[[NetworkSpec], OccupancyNetwork]:
    """Builds it."""
    return lambda spec: bevdetocc(spec, BevdetoccSizes((8, 10, 12, 16), (1, 1, 1, 1), 16, 8, (8, 12), (1, 1), 12))


@pytest.fixture(scope='session')
def tiny_weights(
    export_spec: NetworkSpec,
    build_export: Callable[[NetworkSpec], OccupancyNetwork],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Its weights, random ones."""
    network, path = build_export(export_spec), tmp_path_factory.mktemp('weights') / 'small.safetensors'
    initialise(network, 0)
    network.camera_statistics().get_buffer('running_var').fill_(300.0**2)
    save_checkpoint(network, path, WeightsMetadata(export_spec.name, 'nothing'))
    return path


@pytest.fixture(scope='session')
def tiny_export(
    export_spec: NetworkSpec,
    build_export: Callable[[NetworkSpec], OccupancyNetwork],
    tiny_weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """It, exported with scores."""
    network, path = build_export(export_spec), tmp_path_factory.mktemp('export') / 'small.onnx'
    load_checkpoint(network, tiny_weights)
    export(prepare(network, torch.device('cpu')), digest(tiny_weights), path, scores=True)
    return path


@pytest.fixture
def strung(tmp_path: Path) -> Callable[..., Path]:
    """``strung(bag, runs, change)``: a bag's 1.5 s several times on end, each (topic, message) changed."""

    def write(bag: Path, runs: int, change: Callable[[str, Any], object] = lambda *_: None) -> Path:
        store, path = typestore(), tmp_path / 'strung'
        with bag_reader(bag) as reader, bag_writer(path) as writer:
            messages = list(reader.raw_messages())
            for topic, kind in dict.fromkeys((message.topic, message.type_name) for message in messages):
                writer.add_topic(topic, kind, reader.topics[topic].qos[0])
            for later in (run * 3 * NANOSECONDS // 2 for run in range(runs)):
                for topic, kind, recorded, data in messages:
                    message = store.deserialize_cdr(data, kind)
                    for part in getattr(message, 'transforms', [message]):
                        if hasattr(part, 'header'):
                            stamp = stamp_of(part.header.stamp) + later
                            part.header.stamp.sec, part.header.stamp.nanosec = divmod(stamp, NANOSECONDS)
                    change(topic, message)
                    writer.write_serialized(topic, recorded + later, bytes(store.serialize_cdr(message, kind)))
        return path

    return write


class _MadeNuScenes:
    """A car that drives 5 m/s through a left bend; cameras look round it, stamped as nuScenes does."""

    CAMERAS: ClassVar = {
        'CAM_FRONT_LEFT': (55, -43_300),
        'CAM_FRONT': (0, -35_700),
        'CAM_FRONT_RIGHT': (-55, -27_800),
        'CAM_BACK_RIGHT': (-110, -20_200),
        'CAM_BACK': (180, -10_600),
        'CAM_BACK_LEFT': (110, -800),
    }
    START, PERIOD = 1_600_000_000_000_000, 500_000

    def __init__(self, root: Path) -> None:
        self.root = root
        self.random = np.random.default_rng(1)
        channels = {**dict.fromkeys(self.CAMERAS, 'camera'), 'LIDAR_TOP': 'lidar', 'RADAR_FRONT': 'radar'}
        self.tables: dict[str, list[dict[str, object]]] = {
            'sensor': [
                {'token': f'sensor-{channel}', 'channel': channel, 'modality': modality}
                for channel, modality in channels.items()
            ],
            **{name: [] for name in ('log', 'scene', 'sample', 'sample_data', 'calibrated_sensor', 'ego_pose')},
        }

    def write(self, version: str) -> None:
        for number in (1, 2):
            self.add_scene(f'scene-{number:04d}', self.START + number * 60_000_000)
        (self.root / version).mkdir()
        for name, rows in self.tables.items():
            (self.root / version / f'{name}.json').write_text(json.dumps(rows))

    def add_scene(self, name: str, start: int) -> None:
        self.tables['log'].append(
            {
                'token': f'log-{name}',
                'logfile': f'log of {name}',
                'vehicle': 'n001',
                'date_captured': '2020-09-13',
                'location': 'nowhere',
            }
        )
        self.tables['scene'].append(
            {
                'token': f'token-{name}',
                'name': name,
                'description': 'A left bend',
                'log_token': f'log-{name}',
                'nbr_samples': 3,
            }
        )
        for sensor in self.tables['sensor']:
            self.add_calibration(name, str(sensor['channel']))
        for index in reversed(range(3)):  # tables need not be in time order
            sample, stamp = f'sample-{name}-{index}', start + index * self.PERIOD
            self.tables['sample'].append({'token': sample, 'timestamp': stamp, 'scene_token': f'token-{name}'})
            for camera, (_, offset) in self.CAMERAS.items():
                self.add_data(name, sample, camera, stamp + offset, width=160, height=90)
            self.add_data(name, sample, 'CAM_FRONT', stamp + 47_600, key_frame=False, width=160, height=90)
            self.add_data(name, sample, 'LIDAR_TOP', stamp)
            self.add_data(name, sample, 'RADAR_FRONT', stamp + 10_000)

    def add_calibration(self, scene: str, channel: str) -> None:
        yaw = np.deg2rad(self.CAMERAS.get(channel, (0, 0))[0])
        c, s = np.cos(yaw / 2) / 2, np.sin(yaw / 2) / 2
        camera = channel in self.CAMERAS
        self.tables['calibrated_sensor'].append(
            {
                'token': f'calibration-{scene}-{channel}',
                'sensor_token': f'sensor-{channel}',
                'translation': [float(np.cos(yaw)), float(np.sin(yaw)), 1.5],
                'rotation': [c + s, -c - s, c - s, s - c] if camera else [1.0, 0.0, 0.0, 0.0],
                'camera_intrinsic': [[126.0, 0.0, 80.0], [0.0, 126.0, 45.0], [0.0, 0.0, 1.0]] if camera else [],
            }
        )

    def add_data(
        self,
        scene: str,
        sample: str,
        channel: str,
        stamp: int,
        *,
        key_frame: bool = True,
        width: int = 0,
        height: int = 0,
    ) -> None:
        token, path = f'{scene}-{channel}-{stamp}', f'samples/{channel}/{stamp}.jpg'
        seconds = (stamp - self.START + 1_000_000) / 1e6 % 60  # since one second before the scene's first sample
        self.tables['ego_pose'].append(
            {
                'token': f'pose-{token}',
                'timestamp': stamp,
                'translation': [100 + 5 * seconds, 200 + seconds**2, 0.0],
                'rotation': [float(np.cos(0.05 * seconds)), 0.0, 0.0, float(np.sin(0.05 * seconds))],
            }
        )
        self.tables['sample_data'].append(
            {
                'token': token,
                'sample_token': sample,
                'ego_pose_token': f'pose-{token}',
                'calibrated_sensor_token': f'calibration-{scene}-{channel}',
                'timestamp': stamp,
                'is_key_frame': key_frame,
                'width': width,
                'height': height,
                'filename': path,
            }
        )
        if width and key_frame:
            pixels = self.random.integers(0, 256, (9, 16, 3), np.uint8)
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((width, height)).save(self.root / path, quality=90)


class _CompleteNuScenes(_MadeNuScenes):
    """LIDAR_TOP has 7 points a file; scene-0001 has one box in its first sample and two in each other one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.tables |= {
            'category': [
                {'token': f'category-{name}', 'name': name, 'description': ''}
                for name in ('vehicle.bus.rigid', 'human.pedestrian.adult')
            ],
            'instance': [
                {'token': 'bus', 'category_token': 'category-vehicle.bus.rigid'},
                {'token': 'walker', 'category_token': 'category-human.pedestrian.adult'},
            ],
            'sample_annotation': [],
        }

    def write(self, version: str) -> None:
        super().write(version)
        for row in self.tables['sample_data']:
            path = self.root / str(row['filename'])
            if '/LIDAR_TOP/' in str(row['filename']):
                points = self.random.uniform(-20, 20, (7, 5)).astype(np.float32)
                points[:, 4] = np.arange(7)
                path.parent.mkdir(parents=True, exist_ok=True)
                points.tofile(path)
            elif row['width'] and not row['is_key_frame']:
                Image.new('RGB', (160, 90), 'teal').save(path)
        for row in self.tables['sample']:
            name = str(row['scene_token']).removeprefix('token-')
            semantics = self.random.integers(0, 18, (200, 200, 16), np.uint8)
            occ3d.write(
                occ3d.label_path(self.root, name, str(row['token'])),
                occ3d.Occ3DLabels(semantics, semantics % 2 == 0, semantics % 3 == 0),
            )

    def add_scene(self, name: str, start: int) -> None:
        super().add_scene(name, start)
        for index in range(3):
            stamp = start + index * self.PERIOD
            self.add_data(name, f'sample-{name}-{index}', 'LIDAR_TOP', stamp + 50_000, key_frame=False)
            for instance in ('bus', 'walker')[: 1 + bool(index)] if name == 'scene-0001' else ():
                self.tables['sample_annotation'].append(
                    {
                        'token': f'{instance}-{index}',
                        'sample_token': f'sample-{name}-{index}',
                        'instance_token': instance,
                        'translation': [110.0 + index, 205.0, 1.5],
                        'rotation': [float(np.cos(0.2)), 0.0, 0.0, float(np.sin(0.2))],
                        'size': [2.5, 11.0, 3.0],
                    }
                )


@pytest.fixture(scope='session')
def scene_bag(nuscenes_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scene-0001 of the synthetic nuScenes: three key frames of six cameras. To read, never to change."""
    job = plan(nuscenes.load(nuscenes_root, None, ['scene-0001']), tmp_path_factory.mktemp('bags'))[0]
    convert(job)
    return job.path


@pytest.fixture(scope='session')
def tiny_entry() -> Entry:
    """A network called 'tiny', small enough to train, or to see whole bags, in a test; for ``zoo.ZOO``."""
    spec = NetworkSpec(
        name='tiny',
        image_size=(32, 64),
        depth=DepthBins(1.0, 2.0, 8),
        feature_stride=8,
        context_channels=8,
        grid=VoxelGrid((-40.0, -40.0, -1.0), (1.6, 1.6, 1.6), (50, 50, 4)),
        refinement=4,
    )
    sizes = NanoSizes(
        backbone_widths=(16, 16, 16),
        backbone_blocks=(1, 1, 1),
        image_channels=16,
        pyramid_channels=4,
        encoder_channels=(8, 8, 8),
        encoder_blocks=(1, 1, 1),
        classifier_channels=8,
    )
    return Entry(spec, partial(nano, sizes=sizes))
