"""Groups of commands; each is registered in cli.py."""
