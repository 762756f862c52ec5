"""CPU time of the runtime tree's hot functions beside those of a DevStack checkout, in one run.

    ASYNCSTACK_DEVSTACK=~/devstack python benchmarks/tree_functions.py

Rounds of the two alternate, and the best of each counts, so that a busy machine changes little.

For the files of 2,000 lines there is a limit, which is measured along: that bash reads the file by its
quickest means (mapfile), looks through the text once (a regular expression), and writes it back if the
function changes it. It takes two to three nanoseconds for each byte that it reads, and as many for each
byte of a variable that it expands.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).parents[1] / "asyncstack" / "runtime" / "tree"
ROUNDS = 5
SETUP = """
ENABLED_SERVICES=key,n-api,n-cpu,n-cond,n-sch,g-api,c-sch,c-api,c-vol,q-svc,horizon,rabbit,mysql
FLAG=yes
fresh() { printf '[DEFAULT]\\ndebug = True\\n[database]\\nconnection = none\\n' >small.ini; }
fresh
for ((i = 0; i < 2000; i++)); do
    ((i % 100)) || echo "[section$((i / 100))]"
    echo "option_$i = value $i"
done >sections.ini
{ echo "[DEFAULT]"; for ((i = 1; i < 2000; i++)); do echo "option_$i = value $i"; done; } >flat.ini
"""
OPERATIONS = {
    "iniset": "iniset small.ini database connection value$k",
    "iniset, a new option": "((k % 20)) || fresh; iniset small.ini database option$k value",
    "iniset, 2000 lines, 20 sections": "iniset sections.ini section15 option_1550 value$k",
    "iniset, 2000 lines, 1 section": "iniset flat.ini DEFAULT option_1500 value$k",
    "iniget": "iniget small.ini database connection",
    "iniget, 2000 lines, 20 sections": "iniget sections.ini section15 option_1550",
    "iniget, 2000 lines, 1 section": "iniget flat.ini DEFAULT option_1500",
    "iniadd": "((k % 20)) || fresh; iniadd small.ini DEFAULT many$k value",
    "inicomment, 2000 lines": "inicomment sections.ini section15 option_1550",
    "enable_service": "enable_service new$k",
    "is_service_enabled": "is_service_enabled rabbit",
    "is_service_enabled, no": "is_service_enabled absent",
    "trueorfalse": "trueorfalse False FLAG",
}
#: The least that bash has to do for each of these.
LIMITS = {
    name: f"mapfile -d '' text <{'flat' if '1 section' in name else 'sections'}.ini; "
    "[[ ${text[0]} =~ $'\\n'option_1500 ]]"
    + ("; printf %s $text 1<>copy.ini" if name.startswith("iniset") else "")
    for name in OPERATIONS
    if "2000" in name
}


def measure(library: Path, operation: str, count: int, folder: str) -> float:
    """CPU milliseconds a call: user and system, shell and children."""
    script = f"""
        cd {folder}
        HOST_IP=192.0.2.1
        source {library}/functions
        {SETUP}
        read -r _ < <(:)
        cpu() {{ local a IFS=' '; a=$(cat /proc/$$/stat); a=${{a##*) }}; set -- $a
            echo $(((${{12}} + ${{13}} + ${{14}} + ${{15}}) * 10)); }}
        before=$(cpu)
        for ((k = 0; k < {count}; k++)); do {operation}; done >/dev/null
        after=$(cpu)
        echo "result $((after - before))"
    """
    output = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    ).stdout
    return int(output.rpartition("result ")[2]) / count


def main() -> int:
    devstack = os.environ.get("ASYNCSTACK_DEVSTACK")
    if not devstack:
        print("ASYNCSTACK_DEVSTACK does not name a DevStack checkout: nothing to compare with")
        return 0
    print(f"{'CPU ms a call':36}{'DevStack':>10}{'tree':>10}{'ratio':>8}{'limit':>8}")
    worst = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for name, operation in OPERATIONS.items():
            theirs, ours, reading = [], [], []
            for _ in range(ROUNDS):
                theirs.append(measure(Path(devstack), operation, 20, folder))
                ours.append(measure(TREE, operation, 400, folder))
                if name in LIMITS:
                    reading.append(
                        measure(TREE, f"LC_ALL=C IFS=; set -f; {LIMITS[name]}", 400, folder)
                    )
            ratio = min(theirs) / max(min(ours), 0.001)
            worst = min(worst, ratio)
            limit = f"{min(theirs) / min(reading):8.1f}" if reading else ""
            print(f"{name:36}{min(theirs):10.3f}{min(ours):10.3f}{ratio:8.1f}{limit}", flush=True)
    print(f"the smallest ratio is {worst:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
