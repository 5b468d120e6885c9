"""The managed node ``occ``: camera images and TF in, semantic voxel grids out."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.messages.inputs import input_topics
from gdfusion_ros.messages.outputs import NODE_NAME
from gdfusion_ros.model.runtime.backends import load_backend
from gdfusion_ros.model.runtime.exported import ExportedNetwork
from gdfusion_ros.model.runtime.process import give_back_device_memory
from gdfusion_ros.perception.assembler import FrameAssembler
from gdfusion_ros.perception.counters import Counters
from gdfusion_ros.perception.estimator import OccupancyEstimator
from gdfusion_ros.perception.labels import LABEL_SETS
from gdfusion_ros.perception.preprocess import Preprocessor, compile_images
from gdfusion_ros.perception.transforms import TransformTree
from gdfusion_ros.perception.types import PosedSet, SemanticGrid
from gdfusion_ros.perception.visibility import compile_rays
from gdfusion_ros.ros import parameters
from gdfusion_ros.ros.computing import StoppedError, computed
from gdfusion_ros.ros.diagnostics import Diagnostics, NetworkFacts
from gdfusion_ros.ros.inputs import Inputs
from gdfusion_ros.ros.log import Log
from gdfusion_ros.ros.names import require_topic_name
from gdfusion_ros.ros.namesakes import Namesakes
from gdfusion_ros.ros.outputs import Outputs
from gdfusion_ros.ros.parameters import Settings
from gdfusion_ros.ros.timing import stages
from gdfusion_ros.ros.transforms import Tf2Tree, tf2_is_wanted
from gdfusion_ros.ros.viewers import Audience, audience
from gdfusion_ros.ros.worker import TAKEN_IN_WITHIN, Worker, WorkerListener
from gdfusion_ros.settings import ModelSettings
from gdfusion_ros.viewers.from_set import view_of_set

if TYPE_CHECKING:
    from gdfusion_ros.model.network import OccupancyNetwork


def _transition(act: Callable[[Any], None]) -> Callable[[Any, LifecycleState], TransitionCallbackReturn]:
    """A lifecycle callback that says in the log why it fails; rclpy would keep that to itself."""

    @wraps(act)
    def callback(node: OccupancyNode, _state: LifecycleState) -> TransitionCallbackReturn:
        try:
            act(node)
        except StoppedError:
            node.get_logger().info('stopped while it was being configured')
            return TransitionCallbackReturn.FAILURE
        except GdfusionError as error:
            node.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # noqa: BLE001 - a fault of the program: shown whole, and the node goes to error processing
            node.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    return callback


def _ready_network(settings: ModelSettings, *, scores: bool) -> OccupancyNetwork | ExportedNetwork:
    """The network, its first frame as fast as all others."""
    network = load_backend(settings, scores=scores)
    if isinstance(network, ExportedNetwork):
        network.warm_up()
    else:
        from gdfusion_ros.model.runtime.trial import warm_up

        warm_up(network)
    compile_rays()
    compile_images()
    return network


@dataclass(frozen=True)
class _Pipeline:
    """What exists from configure to cleanup."""

    settings: Settings
    preprocessor: Preprocessor
    assembler: FrameAssembler
    estimator: OccupancyEstimator
    outputs: Outputs
    diagnostics: Diagnostics
    audience: Audience
    grid_frame: str
    publishing: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, posed: PosedSet, taken: float, grid: SemanticGrid) -> None:
        """Give a grid out, unless all was forgotten while it was computed, and say how long it took."""
        with self.publishing:
            if posed.generation != self.assembler.generation:
                return
            self.outputs.publish(grid)
            latency = stages(posed, taken, self.estimator.latency, time.monotonic())
            self.outputs.publish_latency(grid, latency)
        self.audience.offer(
            partial(
                view_of_set,
                posed,
                grid,
                self.settings.pipeline.fixed_frame,
                {f'{stage} [ms]': 1000 * seconds for stage, seconds in latency.items()},
                self.diagnostics.statuses,
            )
        )
        self.diagnostics.frame_done(latency)

    def catch_up(self) -> None:
        """Give who came after the last grid that grid."""
        with self.publishing:
            self.outputs.catch_up()

    def reset(self, reason: str) -> None:
        """Forget everything but calibration and static transforms."""
        with self.publishing:
            self.assembler.clear()
            self.estimator.reset(reason, self.assembler.generation)
            self.outputs.clear(self.grid_frame)


class OccupancyNode(LifecycleNode):  # type: ignore[misc]
    """Lifecycle: configure reads the parameters and loads the network; activate subscribes and starts the worker.

    Callbacks run in the executor's thread and only enqueue; the network runs in one worker thread.
    """

    def __init__(
        self,
        context: Context,
        overrides: Mapping[str, object],
        on_failure: Callable[[], None],
        stopped: Callable[[], bool],
        threads: int,
    ) -> None:
        """Declare the parameters.

        Args:
            context: rclpy's.
            overrides: Parameters by name, which override those of a parameter file.
            on_failure: Called when the worker dies of an error that nobody expected.
            stopped: Whether the process shall end; nothing that is being computed is waited for then.
            threads: That the network is computed with.

        Raises:
            GdfusionError: a parameter that its record does not allow.
        """
        super().__init__(
            NODE_NAME,
            context=context,
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
        )
        parameters.declare(self)
        Namesakes(self)
        self._on_failure, self._stopped, self._threads = on_failure, stopped, threads
        self._log = Log(self.get_logger())
        self._pipeline: _Pipeline | None = None
        self._worker: Worker | None = None
        self._inputs: Inputs | None = None
        self.add_on_set_parameters_callback(
            lambda changes: parameters.check_change(changes, changeable=self._pipeline is None)
        )
        self.create_service(Trigger, '~/reset', self._serve_reset)
        for service in self.services:
            if service.srv_type is ChangeState:  # rclpy's own callback raises, which would end the node
                service.callback = partial(self._change_state, service.callback)

    def start(self) -> bool:
        """Configure and activate, where ``autostart`` is set; whether that worked."""
        if not parameters.read(self).node.autostart:
            self.get_logger().info('unconfigured: waiting for a lifecycle manager (autostart is false)')
            return True
        success = TransitionCallbackReturn.SUCCESS
        return bool(self.trigger_configure() == success and self.trigger_activate() == success)

    def close(self) -> None:
        """Stop the worker and let go of everything.

        rclpy leaves the state machine of a lifecycle node to the garbage collector, and with it the DDS participant,
        whose shared memory outlives a process that does not give it back.
        """
        self._halt()
        self._discard()
        self.destroy_node()
        self._state_machine.destroy_when_not_in_use()

    @_transition
    def on_configure(self) -> None:
        """Read the parameters, load and warm up the network, create the publishers."""
        settings = parameters.read(self)
        for topic in input_topics(settings.pipeline, settings.topics, lidar=True):
            require_topic_name(topic)
        self.get_logger().info(f'parameters:\n{settings}')
        network = computed(
            partial(_ready_network, settings.model, scores=settings.pipeline.confidence), self._threads, self._stopped
        )
        counters = Counters(settings.pipeline.cameras, self._log.warning)
        estimator = OccupancyEstimator(network, settings.pipeline, counters=counters)
        make_tree = Tf2Tree if tf2_is_wanted(settings.node.tf_source) else TransformTree
        preprocessor = Preprocessor(network.spec.image_size)
        grid_frame = settings.pipeline.grid_frame(network.spec.frame)
        assembler = FrameAssembler(
            settings.pipeline,
            preprocessor,
            make_tree=make_tree,
            counters=counters,
            grid_frame=grid_frame,
            takes_clouds=network.spec.lidar_depth,
        )
        facts = NetworkFacts(network.title, settings.model.untrained, network.device)
        with ExitStack() as undone:  # a port that is taken shall be free once the node could not be configured
            undone.callback((viewers := audience(settings.node, self._log)).close)
            self._pipeline = _Pipeline(
                settings,
                preprocessor,
                assembler,
                estimator,
                Outputs(self, settings, LABEL_SETS[network.spec.label_set]),
                Diagnostics(self, settings, facts, assembler, self._log),
                viewers,
                grid_frame,
            )
            undone.pop_all()
        self.get_logger().info(f'configured: {network.title} on {network.device}')
        if doubt := network.spec.doubt_of_cameras(settings.pipeline.cameras):
            self.get_logger().warning(doubt)
        if settings.model.untrained:
            self.get_logger().warning('the network is UNTRAINED: its weights are random and the grids mean nothing')

    @_transition
    def on_activate(self) -> None:
        """Subscribe and start to compute."""
        pipeline = self._configured
        LifecycleNode.on_activate(self, None)
        pipeline.outputs.announce()
        taken_in = pipeline.outputs.acknowledged if pipeline.settings.pipeline.lossless else lambda: True
        latched = pipeline.settings.node.output_durability == 'transient_local'
        listener = WorkerListener(
            pipeline.publish,
            self._refused,
            self._on_failure,
            taken_in,
            self._subscriber_hangs,
            pipeline.catch_up if latched else lambda: None,
        )
        self._worker = Worker(pipeline.assembler, pipeline.estimator, self._threads, listener)
        self._worker.start()
        self._inputs = Inputs(self, pipeline.settings, pipeline.assembler)
        pipeline.diagnostics.activate(active=True)
        topics = [pipeline.settings.topics.image(camera) for camera in pipeline.settings.pipeline.cameras]
        self.get_logger().info(f'active: waiting for {", ".join(topics)}')

    @_transition
    def on_deactivate(self) -> None:
        """Stop to compute and to listen; the network stays loaded."""
        self._halt()
        LifecycleNode.on_deactivate(self, None)

    @_transition
    def on_cleanup(self) -> None:
        """Let go of the network and the publishers."""
        self._discard()

    @_transition
    def on_shutdown(self) -> None:
        """Stop and let go of everything."""
        self._halt()
        self._discard()

    @_transition
    def on_error(self) -> None:
        """After a fault in a transition: back to unconfigured."""
        self._halt()
        self._discard()

    @property
    def _configured(self) -> _Pipeline:
        if self._pipeline is None:
            raise GdfusionError('the node is not configured')
        return self._pipeline

    def _refused(self, error: GdfusionError) -> None:
        """A set that could not be used. Called by the worker."""
        self._log.warning('refused', str(error))
        self.get_logger().debug(''.join(traceback.format_exception(error)))

    def _subscriber_hangs(self) -> None:
        """What was published does not arrive. Called by the worker."""
        self.get_logger().warning(
            f'a reliable subscriber has not acknowledged a grid for {TAKEN_IN_WITHIN:g} s, perhaps it hangs: until it '
            'has, nobody is waited for, and grids may be missed'
        )

    def _halt(self) -> None:
        """Undo on_activate."""
        if self._inputs is not None:
            self._inputs.destroy()
            self._inputs = None
        if self._worker is not None:
            self._worker.stop(self._stopped)
            self._worker = None
            self._configured.diagnostics.activate(active=False)
            self._configured.reset('deactivated')
            self.get_logger().info(f'stopped: {self._configured.diagnostics.summary()}')

    def _discard(self) -> None:
        """Undo on_configure."""
        if self._pipeline is not None:
            self._pipeline.outputs.destroy()
            self._pipeline.diagnostics.destroy()
            self._pipeline.audience.close()
            self._pipeline.preprocessor.close()
            self._pipeline = None
            give_back_device_memory()

    def _change_state(
        self, change: Callable[..., ChangeState.Response], request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Answer ``success=False`` to a transition that is not due, or that there is not."""
        try:
            return change(request, response)
        except rclpy_implementation.RCLError:
            name = request.transition.label or request.transition.id
            self.get_logger().warning(f'transition {name} is not due in this state of the node: nothing was changed')
            response.success = False
            return response

    def _serve_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._worker is not None
        response.message = 'queues, transforms and memory are empty' if response.success else 'the node is not active'
        if response.success:
            self._configured.reset('service')
        self.get_logger().info(f'reset asked for: {response.message}')
        return response
