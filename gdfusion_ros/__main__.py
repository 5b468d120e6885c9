"""``python -m gdfusion_ros VERB``, the same as ``gdfusion VERB``."""

import sys

from gdfusion_ros.cli import main

if __name__ == '__main__':
    sys.exit(main())
