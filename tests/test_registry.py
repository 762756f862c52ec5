"""Which enable_plugin lines may be used."""

from __future__ import annotations

import pytest

from asyncstack.model import Plugin
from asyncstack.registry import problem_of, secrets_in, validate


def plugin(name: str = "name", url: str = "https://example.org/x", ref: str = "master") -> Plugin:
    return Plugin(name, url, ref, f"/opt/stack/{name}", "local.conf", 7)


@pytest.mark.parametrize(
    "name", ["barbican", "networking-ovn", "oslo.db", "a_b", "devstack-plugin-c++", "x", "2nd"]
)
def test_names_that_plugins_have(name: str) -> None:
    """What real plugins are called passes."""
    assert problem_of(plugin(name=name)) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "-a", ".git", "a b", "a,b", "a..b", "é"]
)
def test_names_that_are_refused(name: str) -> None:
    """What would be another directory than one below $DEST, or an option, doesn't."""
    assert problem_of(plugin(name=name)) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://opendev.org/openstack/ironic",
        "http://[::1]:8080/x.git",
        "ssh://git@example.org:2222/x",
        "git://example.org/x",
        "file:///srv/git/x",
        "git@github.com:a/b.git",
        "example.org:b.git",
        "/srv/git/x",
        "~/x",
        "HTTPS://EXAMPLE.ORG/X",
    ],
)
def test_urls_that_git_takes(url: str) -> None:
    """Each way to name a repository that people use."""
    assert problem_of(plugin(url=url)) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-x",
        "--upload-pack=touch x",
        "ext::sh -c x",
        "fd::17",
        "ftp://example.org/x",
        "javascript://x",
        "https://example.org/\nx",
        "nothing",
        "../x",
        "transport::address",
        "http:///x",
        "https://me:s3cr3t@/x",
        "ssh://:22/x",
        "git://",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """Options, programs, control characters and what is no URL at all."""
    assert problem_of(plugin(url=url)) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cr3t@-host/x",
        "https://me:s3cr3t@host/\tx",
        "https:/me:s3cr3t@host/x",
        "foo://me:s3cr3t@host/x",
        "-https://me:s3cr3t@host/x",
    ],
)
def test_a_problem_shows_no_credentials(url: str) -> None:
    """Whatever is wrong with the URL."""
    found = problem_of(plugin(url=url))
    assert found is not None
    assert "s3cr3t" not in "".join(found)


@pytest.mark.parametrize(
    "ref", ["master", "stable/2026.1", "v1.0", "refs/changes/12/3412/5", "a" * 40, "refs/tags/1"]
)
def test_refs_that_are_used(ref: str) -> None:
    """Branches, tags, commits and changes."""
    assert problem_of(plugin(ref=ref)) is None


@pytest.mark.parametrize(
    "ref",
    ["", "-x", "--all", "a b", "a..b", "a~1", "a^", "a:b", "@{1}", "x.lock", "/x", "x/", "a\\b"],
)
def test_refs_that_are_refused(ref: str) -> None:
    """What git's own rules refuse, and options."""
    assert problem_of(plugin(ref=ref)) is not None


def test_an_error_names_its_line() -> None:
    """File, line, plugin, problem and the way out."""
    (error,) = validate([plugin(), plugin(name="a/b")])
    assert str(error).startswith("local.conf:7: plugin 'a/b': the name would not be")
    assert error.hint in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:sesame@example.org/x", {"sesame"}),
        ("https://me:ses%40me@example.org/x", {"ses%40me", "ses@me"}),
        ("https://0123456789abcdefghij@example.org/x", {"0123456789abcdefghij"}),
        ("ssh://git@example.org/x", set()),
        ("https://example.org/a@b", set()),
        ("git@example.org:x", set()),
        ("/a:b@c", set()),
    ],
)
def test_credentials_in_a_url(url: str, expected: set[str]) -> None:
    """A password, raw and decoded; a user name only if it looks like a token."""
    assert set(secrets_in(url)) == expected


@pytest.mark.parametrize(
    "url", ["ssh://-oProxyCommand=x/y", "ssh://u@-x/y", "git@-x:y", "https://-x/"]
)
def test_a_host_that_ssh_would_take_for_an_option_is_refused(url: str) -> None:
    """It never reaches ssh's command line."""
    found = problem_of(Plugin("name", url, "master", "/opt/stack/name"))
    assert found is not None
    assert "an option of ssh" in found[0]
