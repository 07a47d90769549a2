"""Makes `benchmarks`, which no wheel installs, importable however pytest was started."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))
