"""Bring plugins to nodes over the connection that is there, or have the nodes clone by themselves.

`open_depot` gives a Depot, whose `deliver` serves one node; call it for all nodes at once.
`clone_on_node` is `--fetch-from node`, `open_seed` what `--fetch-from seed` needs besides. `keep`
settles what a node has told of by itself, `foresee` looks and does nothing.
"""

from __future__ import annotations

from asyncstack.delivery.cloning import clone_on_node
from asyncstack.delivery.foresight import foresee
from asyncstack.delivery.looking import keep
from asyncstack.delivery.relay import open_seed
from asyncstack.delivery.seed import Seed
from asyncstack.delivery.session import Depot, open_depot
from asyncstack.delivery.survey import Found
from asyncstack.delivery.values import Parcel

__all__ = [
    "Depot",
    "Found",
    "Parcel",
    "Seed",
    "clone_on_node",
    "foresee",
    "keep",
    "open_depot",
    "open_seed",
]
