"""Runs ``keeper-injector`` as ``python -m keeper_injector_common.cli``."""

import sys

from keeper_injector_common.cli import main

sys.exit(main())
