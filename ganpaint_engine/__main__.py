"""``python -m ganpaint_engine …`` is ``ganpaint …``."""

from ganpaint_engine.cli import main

if __name__ == "__main__":
    main()
