"""Lets `python3 -m changeover_lab` run the command line."""

import sys

from changeover_lab.cli import main

sys.exit(main())
