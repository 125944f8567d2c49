"""How long tests wait for what must happen."""

import os

# Only what never happens takes so long, also beside other work. Less than pytest gives a test: what ends
# by its own deadline is cleaned up.
SECONDS = 240 if "KWHOST_HW" in os.environ else 100
