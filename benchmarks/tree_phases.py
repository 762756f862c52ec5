"""CPU time of phases in which nothing happens: every plugin.sh is sourced for each of five phases.

    ASYNCSTACK_DEVSTACK=~/devstack ASYNCSTACK_PLUGINS=~/plugins python benchmarks/tree_phases.py

The same real plugins, once with the runtime tree and once with DevStack's own functions and libraries, in
one run; with a trace (stack.sh runs with one) and without. A phase that no plugin knows makes sure that
nothing is installed or changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).parents[1] / "asyncstack" / "runtime" / "tree"
ROUNDS = 2
LIBRARIES = (
    "apache tls infra libraries lvm horizon keystone glance nova placement cinder swift neutron ldap "
    "dstat atop tcpdump etcd3 os-vif"
)
SCRIPT = """
cd {top}
TOP_DIR={top} FILES={top}/files DEST={destination} HOST_IP=192.0.2.1 OFFLINE=True
cpu() {{ local a; a=$(cat /proc/$$/stat); a=${{a##*) }}; set -- $a
    spent=$(((${{12}} + ${{13}} + ${{14}} + ${{15}}) * 10)); }}
source {top}/functions; GetDistro; source {top}/stackrc
DEST={destination} DATA_DIR={destination}/data OFFLINE=True
for name in ADMIN DATABASE RABBIT SERVICE; do printf -v "${{name}}_PASSWORD" secret; done
source {top}/lib/database; source {top}/lib/rpc_backend; source {top}/lib/stack
for library in {libraries}; do source {top}/lib/$library; done
for name in {names}; do enable_plugin $name https://example.org/$name; done
load() {{
    local plugin dir mode phase
    for current in {names}; do
        plugin=$current dir=${{GITDIR[$current]}}
        if [[ -f $dir/devstack/$1 ]]; then
            cd $TOP_DIR
            source $dir/devstack/$1 "${{@:2}}"
            set +e
            set {trace} xtrace
        fi
    done
}}
load settings
cpu; before=$spent
for phase_number in 1 2 3 4 5; do load plugin.sh stack nothing-$phase_number; done
set +o xtrace
cpu
echo "result $((spent - before))" >&7
"""


def measure(top: Path, destination: Path, names: list[str], *, traced: bool) -> float:
    """CPU seconds of all phases."""
    script = SCRIPT.format(
        top=top,
        destination=destination,
        names=" ".join(names),
        libraries=LIBRARIES,
        trace="-o" if traced else "+o",
    )
    output = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", f"exec 7>&1 >/dev/null 2>&1 6>&1 3>&1\n{script}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    _, found, result = output.rpartition("result ")
    if not found:
        raise SystemExit(f"with {top}: one of the plugins ends the shell; leave it out")
    return int(result) / 1000


def main() -> int:
    devstack, plugins = os.environ.get("ASYNCSTACK_DEVSTACK"), os.environ.get("ASYNCSTACK_PLUGINS")
    if not devstack or not plugins:
        print("ASYNCSTACK_DEVSTACK and ASYNCSTACK_PLUGINS do not both name a folder")
        return 0
    names = sorted({path.parts[-3] for path in Path(plugins).glob("*/devstack/plugin.sh")})
    with tempfile.TemporaryDirectory() as folder:
        destination = Path(folder)
        for name in names:
            (destination / name).symlink_to(Path(plugins).resolve() / name)
        print(f"{len(names)} plugins, 5 phases{'DevStack':>16}{'tree':>10}{'ratio':>8}")
        for traced in (True, False):
            best: dict[Path, float] = {}
            for top in (Path(devstack), TREE) * ROUNDS:
                spent = measure(top, destination, names, traced=traced)
                best[top] = min(spent, best.get(top, spent))
            theirs, ours = best[Path(devstack)], best[TREE]
            label = "traced, CPU s" if traced else "not traced, CPU s"
            print(f"{label:24}{theirs:12.2f}{ours:10.2f}{theirs / ours:8.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
