"""``python -m training.renderer``."""

from training.renderer.cli import main

if __name__ == "__main__":
    main()
