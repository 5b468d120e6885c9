"""``python -m gdfusion_ros VERB``, the same as ``gdfusion VERB``."""

import sys

from gdfusion_ros.cli import main

sys.exit(main())
