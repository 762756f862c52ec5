"""What holds for the text of the driver."""

from __future__ import annotations

import re
from pathlib import Path

import asyncstack.runtime

DRIVER = Path(asyncstack.runtime.__file__).with_name("driver.bash")


def test_a_plugin_can_redefine_none_of_the_drivers_functions() -> None:
    text = DRIVER.read_text("utf-8")
    functions = set(re.findall(r"^_asyncstack_(\w+)\(\) \{", text, re.MULTILINE))
    found = re.search(r"^declare -fr _asyncstack_\{([\w,\\\n]+)\}$", text, re.MULTILINE)
    assert found is not None
    locked = set(re.sub(r"[\\\n]", "", found[1]).split(","))
    assert locked == functions
