"""The environment and the options that every git of ours runs with.

Three promises: no prompt ever waits for an answer, nothing of the user's own set-up runs inside a
checkout that isn't theirs (hooks, templates, monitors), and nothing is ever written to the global
or system configuration, which isn't safe to do from several processes at once. What the user needs
to reach a server (credential helpers, agents, proxies, `url.*.insteadOf`) stays in force.
"""

from __future__ import annotations

from collections.abc import Mapping

from asyncstack.git.urls import Address
from asyncstack.registry import PROTOCOLS

__all__ = ["base_environment", "config_options", "credential_options"]

# Set by a git that runs us (a hook, an alias), or for debugging onto stderr, which we parse.
_DROPPED = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CEILING_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_TEMPLATE_DIR",
        "GIT_WORK_TREE",
    }
)

_HELPER = (
    '!f() { test "$1" = get || exit 0; '
    'printf "username=%s\\npassword=%s\\n" '
    '"$ASYNCSTACK_GIT_USERNAME" "$ASYNCSTACK_GIT_PASSWORD"; }; f'
)


def base_environment(environ: Mapping[str, str], *, ssh_command: str = "") -> dict[str, str]:
    """Return the environment for git; `ssh_command` is the user's `core.sshCommand`, if any."""
    env = {
        name: value
        for name, value in environ.items()
        if name not in _DROPPED
        and not (name.startswith("GIT_TRACE") and value.lower() in ("1", "2", "true"))
    }
    env.update(
        LC_ALL="C",
        LANGUAGE="C",
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="",  # set but empty: stops git before core.askPass and SSH_ASKPASS
        SSH_ASKPASS_REQUIRE="never",
        GCM_INTERACTIVE="never",
        GIT_ALLOW_PROTOCOL=":".join(PROTOCOLS),
        GIT_OPTIONAL_LOCKS="0",
        GIT_LFS_SKIP_SMUDGE="1",
        GIT_DEFAULT_REF_FORMAT="files",
        GIT_PAGER="cat",
        GIT_EDITOR="false",
        GIT_ADVICE="0",
    )
    for name in ("SSH_ASKPASS", "GIT_PROTOCOL_FROM_USER"):
        env.pop(name, None)
    if "GIT_SSH" not in env or "GIT_SSH_COMMAND" in env:
        command = env.get("GIT_SSH_COMMAND") or ssh_command or "ssh"
        env["GIT_SSH_COMMAND"] = f"{command} -o BatchMode=yes"
    return env


def config_options(**more: str) -> list[str]:
    """Return the `-c` options of every git call. In `more`, `__` stands for the dot of a key."""
    settings = {
        "core.hooksPath": "/dev/null",
        "core.fsmonitor": "false",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "advice.detachedHead": "false",
        "clone.defaultRemoteName": "origin",
        "submodule.recurse": "false",
        "fetch.recurseSubmodules": "false",
        "fetch.unpackLimit": "1",  # a pack stays a pack: only packs can be linked into checkouts
        # What Git LFS keeps elsewhere is left there, also where its program is gone.
        "filter.lfs.process": "",
        "filter.lfs.smudge": "",
        "filter.lfs.required": "false",
        "protocol.version": "2",
        "safe.directory": "*",
    }
    settings.update({name.replace("__", "."): value for name, value in more.items()})
    return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]


def credential_options(address: Address) -> tuple[list[str], dict[str, str]]:
    """Return options and environment that answer git's question for a URL's own credentials.

    They travel in the environment: an argument list is for everybody to read, and git hands the
    URL on to its helper programs. The empty helper first makes this one the only one asked, and
    only for the URL's own host: a server may redirect to another one.
    """
    if address.credentials is None:
        return [], {}
    where = f"{address.scheme}://{address.host}"
    options = ["-c", "credential.helper=", "-c", f"credential.{where}.helper={_HELPER}"]
    return options, {
        "ASYNCSTACK_GIT_USERNAME": address.credentials.username,
        "ASYNCSTACK_GIT_PASSWORD": address.credentials.password,
    }
