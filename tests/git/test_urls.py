"""What git is allowed to see, and what anybody is allowed to read about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncstack.git.urls import check_name, check_url, parse_url, redact

GOOD = [
    "https://opendev.org/openstack/heat",
    "http://127.0.0.1:8080/x.git",
    "HTTPS://opendev.org/x",
    "git://host/x",
    "ssh://user@host:29418/x",
    "user@host:path/x.git",
    "host:x",
    "/srv/git/x.git",
    "file:///srv/x",
    "https://user:secret@host/x",
    "https://[::1]:8080/x",
]
BAD = [
    "",
    " ",
    "-x",
    "./x",
    "--upload-pack=touch /tmp/pwned",
    "ext::sh -c id",
    "fd::17",
    "persistent-https::x",
    "ftp://host/x",
    "rsync://host/x",
    "https:///x",
    "https://host/x\ny",
    "https://host/\0",
    "ssh://-oProxyCommand=id/x",
    "ssh://user@-oProxyCommand=id/x",
    "-oProxyCommand=id:x",
    "git@-oProxyCommand=id:x",
]


@pytest.mark.parametrize("url", GOOD)
def test_allowed(url: str) -> None:
    """What DevStack users write."""
    assert check_url(url) == ""


@pytest.mark.parametrize("url", BAD)
def test_refused(url: str) -> None:
    """Options, programs, other protocols, control characters: with a reason."""
    assert check_url(url)


@given(st.text())
def test_every_url_gets_an_answer(url: str) -> None:
    """No text makes the checks fail."""
    check_url(url)
    parse_url(url)
    redact(url)


@pytest.mark.parametrize(
    ("url", "bare", "host"),
    [
        ("https://u:p@Host:8/x", "https://Host:8/x", "host:8"),
        ("https://token@host/x", "https://host/x", "host"),
        ("https://u:p@w@host/x", "https://host/x", "host"),
        ("https://u%40h:p%2Fw@host", "https://host", "host"),
        ("ssh://git@host/x", "ssh://git@host/x", "host"),
        ("ssh://git:pw@host/x", "ssh://git@host/x", "host"),
        ("git@host:x", "git@host:x", "host"),
        ("[::1]:x", "[::1]:x", "::1"),
        ("/a:b", "/a:b", ""),
        ("file:///x", "file:///x", ""),
    ],
)
def test_parts(url: str, bare: str, host: str) -> None:
    """The URL that may be written down, and the host that caps go by."""
    address = parse_url(url)
    assert (address.url, address.host) == (bare, host)


def test_credentials_are_decoded_and_never_printed() -> None:
    """They reach git by the environment, and nobody else."""
    address = parse_url("https://u%40h:p%2Fw@host/x")
    assert address.credentials is not None
    assert (address.credentials.username, address.credentials.password) == ("u@h", "p/w")
    assert "p/w" not in repr(address)


@given(st.text("abc:@%_", min_size=1), st.text("xyz/", max_size=5))
def test_no_userinfo_survives(userinfo: str, path: str) -> None:
    """Whatever stands before the last @ of the authority is gone, in the URL and in messages."""
    url = f"https://{userinfo}@host/{path}"
    assert parse_url(url).url == f"https://host/{path}"
    assert redact(f"fatal: unable to access '{url}': no") == (
        f"fatal: unable to access 'https://***@host/{path}': no"
    )


def test_keys_are_names_and_differ() -> None:
    """A directory name that people recognise; different URLs never share one."""
    one, two = parse_url("https://a/x/heat.git"), parse_url("https://b/x/heat.git")
    assert one.key.startswith("heat-")
    assert one.key != two.key
    assert parse_url("https://u:p@a/x/heat.git").key == one.key
    assert "/" not in parse_url("https://a/..").key
    assert not parse_url("https://a/..").key.startswith(".")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "-a", "a\nb", "a\0"])
def test_refused_names(name: str) -> None:
    """A name becomes a directory below DEST, nowhere else."""
    assert check_name(name)


@pytest.mark.parametrize("name", ["heat", "devstack-plugin-ceph", "a.b", "...", "x y"])
def test_allowed_names(name: str) -> None:
    """Everything else is a name."""
    assert check_name(name) == ""
