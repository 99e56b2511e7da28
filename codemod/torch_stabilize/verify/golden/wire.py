"""What a worker and the process that asks it agree on."""

from __future__ import annotations

import struct

LENGTH = struct.Struct("<Q")
IMPORT = "--import="  # before the name of a Python module
FUNCTIONS = "--functions="  # before a JSON object
FILE = "--file="  # before a Python file that registers something
