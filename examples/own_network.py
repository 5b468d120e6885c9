"""A network of one's own, put together from parts and measured; docs/adding_a_network.md explains each line."""

from dataclasses import replace

from gdfusion_ros import ModelSettings, load_network
from gdfusion_ros.benchmark.network import in_order, run
from gdfusion_ros.model.networks.nano import GDFUSION_NANO, Sizes, nano
from gdfusion_ros.model.zoo import ZOO, Entry

# gdfusion_nano with half the channels, and without the memory of the scene.
SLIM = replace(GDFUSION_NANO, name='slim', context_channels=8, cues=('voxel', 'motion', 'geometry'))
ZOO[SLIM.name] = Entry(
    SLIM,
    lambda spec: nano(
        spec,
        Sizes(
            backbone_widths=(24, 48, 96),
            image_channels=40,
            pyramid_channels=16,
            encoder_channels=(48, 64, 80),
            classifier_channels=96,
        ),
    ),
)

result = run(load_network(ModelSettings(model='slim', untrained=True, cues=SLIM.cues)), frames=2)
for stage in in_order(result.stages):
    print(f'{stage:12} {1000 * result.stages[stage]:6.1f} ms')
print(f'{"frame":12} {1000 * result.frame:6.1f} ms, {sum(result.gmac.values()):.1f} GMAC')
