"""``python -m fullcast``."""

from fullcast.cli import main

main()
