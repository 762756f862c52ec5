"""local.conf's sections are those that DevStack's own awk rule finds, restated here."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncstack.localconf import parse_sections

pytestmark = pytest.mark.slow

_LINE = st.one_of(
    st.sampled_from(
        [
            "[[local|localrc]]",
            "[[post-config|$NOVA_CONF]]",
            "[[post-config|/$Q_PLUGIN_CONF_FILE]] # why",
            "[[extra|a]]",
            "[[ a || b ]] && echo c",
            " [[local|localrc]]",
            "[DEFAULT]",
            "[[no bar]]",
            "[[x|]]",
            "A=1",
            "",
        ]
    ),
    st.text("[]| ab$=#", max_size=14),
)
# A header is a line that matches; its first word, brackets taken off, is split at the bars.
_RULE = r"""
/^\[\[.+\|.*\]\]/ {
    gsub("[][]", "", $1); split($1, a, "|")
    printf "%d\t%s\t%s\n", NR, a[1], a[2]
}
"""


@settings(max_examples=80, deadline=None)
@given(st.lists(_LINE, max_size=12))
def test_sections_are_those_of_devstacks_rule(lines: list[str]) -> None:
    """The same headers, with the same group and file, at the same lines."""
    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "local.conf"
        path.write_text(text + "\n")
        told = subprocess.run(["awk", _RULE, path], capture_output=True, text=True, check=True)
    expected = [tuple(line.split("\t")) for line in told.stdout.splitlines()]
    found = [(str(s.line), s.group, s.file) for s in parse_sections(text)]
    assert found == expected


@given(st.lists(_LINE, max_size=12))
def test_no_line_is_lost(lines: list[str]) -> None:
    """Headers and contents together are the file from its first header on, in order."""
    text = "\n".join(lines)
    sections = parse_sections(text)
    whole = text.split("\n")
    ends = [section.line - 1 for section in sections[1:]] + [len(whole)]
    for section, end in zip(sections, ends, strict=False):
        assert list(section.content) == whole[section.line : end]
