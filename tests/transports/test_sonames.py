"""Where asyncssh is told that shared libraries are."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncstack.transports.sonames import look_up_in_cache, soname_in

CACHE = (
    b"glibc-ld.so.cache1.1\0\0\x03\0/lib/x86_64-linux-gnu/libnettle.so.8\0"
    b"libz.so.1\0/lib/x86_64-linux-gnu/libz.so.1\0/opt/lib/liboqs-extra.so.5\0"
)


@pytest.mark.parametrize(
    ("name", "soname"),
    [("nettle", "libnettle.so.8"), ("z", "libz.so.1"), ("oqs", None), ("nettl.", None), ("", None)],
)
def test_a_library_is_found_by_its_whole_name(name: str, soname: str | None) -> None:
    assert soname_in(CACHE, name) == soname


def test_what_this_machine_has_can_be_loaded() -> None:
    if not Path("/etc/ld.so.cache").exists():
        pytest.skip("this linker keeps no cache")
    before = ctypes.util.find_library
    with look_up_in_cache():
        soname = ctypes.util.find_library("c")
        assert ctypes.util.find_library("no-such-library") is None
    assert soname is not None
    assert ctypes.CDLL(soname).getpid() == os.getpid()
    assert ctypes.util.find_library is before


def test_no_process_is_started_to_import_the_ssh_transport() -> None:
    if not Path("/etc/ld.so.cache").exists():
        pytest.skip("this linker keeps no cache")
    script = """
import sys
from asyncstack.transports.sonames import look_up_in_cache
sys.addaudithook(lambda name, _: name == "subprocess.Popen" and sys.exit("started a process"))
with look_up_in_cache():
    import asyncstack.transports.ssh
print(asyncstack.transports.ssh.SshTransport.__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("SshTransport\n", "")
