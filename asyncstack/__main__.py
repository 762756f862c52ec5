"""`python -m asyncstack`."""

from __future__ import annotations

from asyncstack.cli import main

if __name__ == "__main__":
    main()
