import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from engines import engine, home, own_engine, shared_engine

__all__ = ["engine", "home", "own_engine", "shared_engine"]
