"""`asyncstack hosts trust`: the host keys of nodes, compared and written down."""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncstack.cli import options as o
from asyncstack.cli.groups import the_inventory
from asyncstack.errors import AsyncstackError, SettingsError

if TYPE_CHECKING:
    from asyncstack.model import Node
    from asyncstack.transports.trust import Offer

__all__ = ["app", "trust"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look after the host keys of the nodes.",
)

_UNREACHABLE = 5

Yes = Annotated[bool, typer.Option("--yes", help="Trust them without asking, as a script must.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a host.")]


def trust(
    inventory: o.Inventory = None,
    node: o.Node = None,
    limit: o.Limit = "",
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Show the host keys of nodes that are not known yet, and write them to known_hosts.

    Compare each fingerprint with what the node itself says, on its console:
    ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub. A key that has changed is an error and
    never replaced. Jump hosts of ~/.ssh/config come first, for only then can be seen what
    is behind them.

    For example:

      asyncstack hosts trust -i lab.yaml

      asyncstack hosts trust -n stack@10.0.0.5 -n stack@10.0.0.6

      asyncstack hosts trust -i lab.yaml --limit 'compute*' --yes
    """
    from asyncstack.cli.interrupt import Interrupted, run_interruptible
    from asyncstack.run.nodes import read_nodes
    from asyncstack.settings import NodeSettings

    settings = NodeSettings(
        inventory=the_inventory(inventory), nodes=tuple(node or ()), limit=limit
    )
    if inventory is None and not node:
        raise SettingsError("no node is named", hint="give -i FILE or -n USER@HOST")
    nodes = [host.node for host in read_nodes(settings).hosts if host.connection != "local"]
    try:
        all_well = run_interruptible(lambda: _trust(nodes, yes=yes, json=json))
    except Interrupted:
        raise typer.Exit(130) from None
    if not all_well:
        raise typer.Exit(_UNREACHABLE)


app.command("trust")(trust)


async def _trust(nodes: Sequence[Node], *, yes: bool, json: bool) -> bool:
    """Go from the nearest hosts to those behind them; True if all of them are known now."""
    from asyncstack.cli.terminal import passphrases
    from asyncstack.transports.sshaccess import SshAccess
    from asyncstack.transports.sshconfig import SshOptions
    from asyncstack.transports.trust import layers, look
    from asyncstack.transports.trust import trust as write

    options, access = SshOptions(), SshAccess(passphrases())
    found, errors = await layers(nodes, options)
    for error in errors:
        _complain(error)
    all_well = not errors
    for hosts in found:
        offers = await look(hosts, options, access)
        new = [offer for offer in offers if offer.state is not None and _is_new(offer)]
        if not json:
            _show(offers)
        agreed = bool(new) and (yes or await _agreed(len(new)))
        if agreed:
            try:
                await write(new, options)
            except OSError as problem:
                raise SettingsError(f"the keys can't be written down: {problem}") from problem
            if not json:
                _print_files({offer.host.files.write for offer in new if offer.host.files.write})
        if json:
            _print_json(offers, agreed=agreed)
        for offer in offers:
            if offer.problem is not None:
                _complain(offer.problem)
        all_well &= all(offer.problem is None for offer in offers) and (agreed or not new)
    return all_well


def _is_new(offer: Offer) -> bool:
    from asyncstack.transports.knownhosts import KeyState

    return offer.state is KeyState.UNKNOWN


async def _agreed(count: int) -> bool:
    """Ask once for all of them. Raises SettingsError if nobody is there to answer."""
    from asyncstack.cli.terminal import ask

    what = "this host" if count == 1 else f"these {count} hosts"
    question = f"Trust {what}? Compare the fingerprints first (yes/no): "
    while True:
        answer = await ask(question)
        if answer is None:
            raise SettingsError(
                "nobody can be asked whether the keys are the right ones",
                hint="compare them, then run this again at a terminal, or with --yes",
            )
        if answer.strip().lower() in ("yes", "no", ""):
            return answer.strip().lower() == "yes"
        question = "Please type yes or no: "


def _show(offers: Sequence[Offer]) -> None:
    for offer in offers:
        if offer.state is None:
            continue  # it has only a problem
        known = "" if _is_new(offer) else f"  {offer.state.value}"
        typer.echo(f"{', '.join(offer.host.names)}  {offer.host.known_as}{known}")
        if _is_new(offer):
            for fingerprint in offer.fingerprints:
                typer.echo(f"  {fingerprint}")
    sys.stdout.flush()


def _print_files(files: set[Path]) -> None:
    for path in sorted(files):
        typer.echo(f"written to {path}", err=True)


def _print_json(offers: Sequence[Offer], *, agreed: bool) -> None:
    import msgspec

    for offer in offers:
        state = offer.state.value if offer.state else "unreachable"
        line: dict[str, Any] = {
            "nodes": offer.host.names,
            "host": offer.host.known_as.text,
            "state": "trusted" if agreed and _is_new(offer) else state,
            "keys": offer.fingerprints,
            "known_hosts": str(offer.host.files.write or ""),
            "problem": offer.problem.problem if offer.problem else "",
        }
        typer.echo(msgspec.json.encode(line).decode())


def _complain(error: AsyncstackError) -> None:
    typer.echo(f"asyncstack: {error}", err=True)
