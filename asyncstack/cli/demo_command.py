"""The command `asyncstack` in the folder of a demo: the program, with the nodes of its lab around it.

A module of its own, for the environment is to be the folder's before anything is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asyncstack.cli.demo_folder import DemoFolder
from asyncstack.cli.main import main
from asyncstack.transports.embedded import EmbeddedServer

#: What goes to the nodes; the rest (reports, logs) can do without them, and is quicker so.
_ON_NODES = frozenset(
    ("stack", "unstack", "clean", "fetch", "plan", "attach", "stop", "resume", "hosts")
)


def _main() -> None:
    folder = DemoFolder(Path(sys.argv.pop(1)))
    # Not closed here: what `--detach` has left in the background holds it, too, and ends it.
    server = EmbeddedServer(folder.nodes)

    def before() -> None:
        if _ON_NODES.intersection(sys.argv[1:2]):
            server.start()
            server.wait()
        folder.bind()

    main(before)


if __name__ == "__main__":
    _main()
