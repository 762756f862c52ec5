"""The rig of the fetch benchmarks: repositories, servers behind a delay, and the competitors.

Servers run in a process of their own, so that their CPU time can be told from the clients'. Started
as a program it serves a folder until its stdin closes, and prints the ports.
"""

from __future__ import annotations

import functools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.gitserver import GitDaemon, Proxy, SmartHttp, git

__all__ = [
    "COMPETITORS",
    "Competitor",
    "Measured",
    "Served",
    "asyncstack",
    "devstack",
    "make_repositories",
    "measure",
    "serving",
]

ROOT = Path(__file__).parents[1]
WORDS = [f"word{number}" for number in range(4000)]


def make_repositories(folder: Path, count: int, *, scale: float = 1.0) -> list[str]:
    """Make repositories as plugins are: a few hundred commits, text, branches, tags; most small.

    Returns their names. `scale` 1 gives packs of 7 to 32 MB, 276 MB for 30 repositories.
    """
    names = [f"plugin{number:02d}" for number in range(count)]
    for number, name in enumerate(names):
        path = folder / f"{name}.git"
        if not path.exists():
            size = 25.0 if number == count - 3 else 0.5 + 3.0 * (number % 10) / 10
            _make(path, random.Random(number), commits=300, megabytes=size * scale)
    return names


def _make(path: Path, rng: random.Random, *, commits: int, megabytes: float) -> None:
    stream = bytearray()
    files = {f"dir{n % 20}/file{n}.py": _text(rng, 150) for n in range(120)}
    extra = int(megabytes * 1e6 / commits)
    for number in range(commits):
        stream += f"commit refs/heads/master\nmark :{number + 1}\n".encode()
        stream += f"committer B <b@example.org> {1600000000 + number} +0000\ndata 2\nc\n".encode()
        changed = list(files) if number == 0 else rng.sample(sorted(files), 6)
        for name in changed:
            lines = files[name].splitlines()
            lines[rng.randrange(len(lines))] = _text(rng, 1).strip()
            files[name] = "\n".join(lines) + "\n"
            stream += _inline(name, files[name].encode())
        stream += _inline("devstack/plugin.sh", b"echo %d\n" % number)
        stream += _inline(f"data/blob{number % 30}", rng.randbytes(extra))
    for number in range(20):
        stream += f"reset refs/heads/stable/{number}\nfrom :{10 + number * 10}\n\n".encode()
    for number in range(60):
        stream += f"tag {number}.0.0\nfrom :{number * 5 + 1}\n".encode()
        stream += b"tagger B <b@example.org> 1600000000 +0000\ndata 2\nt\n"
    git("init", "-q", "--bare", "--initial-branch=master", path)
    git("-C", path, "fast-import", "--quiet", stdin=bytes(stream))
    git("-C", path, "repack", "-a", "-d", "-q", "--write-bitmap-index")


def _text(rng: random.Random, lines: int) -> str:
    return "".join(" ".join(rng.choices(WORDS, k=9)) + "\n" for _ in range(lines))


def _inline(name: str, content: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)


@dataclass(frozen=True, slots=True)
class Served:
    """A running rig."""

    http: int
    git: int
    pid: int
    folder: Path
    bandwidth: float

    def url(self, name: str, protocol: str = "http") -> str:
        port = self.http if protocol == "http" else self.git
        return f"{protocol}://127.0.0.1:{port}/{name}.git"

    def bytes_of(self, urls: Sequence[str]) -> int:
        """The bytes of the packs behind some URLs."""
        names = [url.rsplit("/", 1)[-1] for url in urls]
        packs = (pack for name in names for pack in self.folder.glob(f"{name}/objects/pack/*.pack"))
        return sum(pack.stat().st_size for pack in packs)

    def cpu_s(self) -> float:
        """CPU seconds that the servers have used so far, their ended children included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    folder: Path, *, rtt_s: float = 0.0, think_s: float = 0.0, bandwidth: float = 0.0
) -> Iterator[Served]:
    """Serve a folder over http and git://, `rtt_s` away; `bandwidth` in bytes/s, 0: no limit."""
    settings = json.dumps(
        {"folder": str(folder), "rtt_s": rtt_s, "think_s": think_s, "bandwidth": bandwidth}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fetch_rig", settings],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ports = json.loads(process.stdout.readline())
        yield Served(**ports, pid=process.pid, folder=folder, bandwidth=bandwidth)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def serve(settings: str) -> None:
    wanted = json.loads(settings)
    folder, distance = Path(wanted["folder"]), {k: wanted[k] for k in ("rtt_s", "bandwidth")}
    with ExitStack() as stack:
        http = stack.enter_context(SmartHttp(folder, think_s=wanted["think_s"])).port
        daemon = stack.enter_context(GitDaemon(folder)).port
        if any(distance.values()):
            http = stack.enter_context(Proxy(http, **distance)).port
            daemon = stack.enter_context(Proxy(daemon, **distance)).port
        print(json.dumps({"http": http, "git": daemon}), flush=True)
        sys.stdin.read()


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run cost, in seconds of wall time and of CPU."""

    wall_s: float
    cpu_s: float
    server_cpu_s: float


def measure(rig: Served, run: Callable[[], None]) -> Measured:
    """Run something whose work is done by child processes."""
    used, served, began = _children_cpu_s(), rig.cpu_s(), time.monotonic()
    run()
    wall = time.monotonic() - began
    return Measured(wall, _children_cpu_s() - used, rig.cpu_s() - served)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def sh(command: str, *, cwd: Path) -> None:
    """Run a line of bash; an error is an error of the benchmark."""
    environment = {**os.environ, "PATH": search_path(), "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stderr.decode()[-2000:]}")


#: What git_clone does around git, as far as it needs no root: the deadline (0: none), the commit shown.
_DEVSTACK = """
timed() { timeout -s SIGINT 0 git "$@"; }
mapfile -t urls
for url in "${urls[@]}"; do
    (
        name=${url##*/}; name=${name%.git}
        STEPS
        git show --oneline --no-patch | head -1 >/dev/null
    )
done"""
_DEVSTACK_CLONE = """
        timed clone -q $depth --no-checkout "$url" "$name"; cd "$name"
        timed fetch -q $depth origin master
        timed checkout -q FETCH_HEAD
"""
_DEVSTACK_RECLONE = """
        cd "$name"
        git remote set-url origin "$url"
        timed fetch -q origin
        find . -name '*.pyc' -delete
        if [[ -n $(git show-ref refs/tags/master) ]]; then exit 1
        elif [[ -n $(git show-ref refs/heads/master) ]]; then
            git checkout -q -f origin/master
            git branch -q -D master
            git checkout -q -b master
        else
            [[ -n $(git show-ref refs/remotes/origin/master) ]]
            git checkout -q -b master -t origin/master
        fi
"""


def devstack(urls: Sequence[str], dest: Path, *, depth: int = 0, update: bool = False) -> None:
    """git_clone's own calls in one bash, one repository after another, as DevStack makes them."""
    script = _DEVSTACK.replace("STEPS", _DEVSTACK_RECLONE if update else _DEVSTACK_CLONE)
    deep = f"depth={f'--depth={depth}' if depth else ''}"
    lines = "\n".join(urls)
    sh(f"{{ {deep}{script}\n}} <<'E'\n{lines}\nE", cwd=dest)


def xargs_clone(urls: Sequence[str], dest: Path, *, depth: int = 0) -> None:
    deep = f"--depth {depth}" if depth else ""
    lines = "\n".join(urls)
    sh(f"xargs -P16 -I{{}} git clone -q {deep} {{}} <<'E'\n{lines}\nE", cwd=dest)


def vcs_import(urls: Sequence[str], dest: Path) -> None:
    entries = "".join(
        f"  {url.rsplit('/', 1)[-1][:-4]}: {{type: git, url: '{url}', version: master}}\n"
        for url in urls
    )
    sh(f"vcs import --workers 16 . <<'E'\nrepositories:\n{entries}E", cwd=dest)


def mr_checkout(urls: Sequence[str], dest: Path) -> None:
    sections = "".join(
        f"[{url.rsplit('/', 1)[-1][:-4]}]\ncheckout = git clone -q '{url}' '{url.rsplit('/', 1)[-1][:-4]}'\n"
        for url in urls
    )
    (dest / ".mrconfig").write_text(sections)
    sh(f"mr --trust-all -c {dest}/.mrconfig -j16 checkout", cwd=dest)


def ls_remote_all(urls: Sequence[str], dest: Path) -> None:
    lines = "\n".join(urls)
    sh(f"xargs -P30 -I{{}} git ls-remote -q {{}} HEAD <<'E'\n{lines}\nE", cwd=dest)


def repo_init(urls: Sequence[str], dest: Path) -> None:
    """Make a manifest and initialise a client of it; the tool itself comes from $REPO_URL."""
    base, _, _ = urls[0].rpartition("/")
    names = [url.rsplit("/", 1)[-1] for url in urls]
    projects = "".join(f'<project name="{name}" path="{name[:-4]}"/>' for name in names)
    manifest = dest / ".manifest"
    manifest.mkdir()
    (manifest / "default.xml").write_text(
        f'<manifest><remote name="origin" fetch="{base}"/>'
        f'<default remote="origin" revision="master"/>{projects}</manifest>'
    )
    git("init", "-q", "--initial-branch=master", manifest)
    git("-C", manifest, "add", ".")
    git("-C", manifest, "commit", "-q", "-m", "manifest")
    sh(f"repo init -q --no-repo-verify -u file://{manifest} -b master </dev/null", cwd=dest)


def repo_sync(_urls: Sequence[str], dest: Path) -> None:
    sh("repo sync -q -j16", cwd=dest)


def _nothing(_urls: Sequence[str], _dest: Path) -> None:
    """Nothing has to be made beforehand."""


@dataclass(frozen=True, slots=True)
class Competitor:
    """What people use instead: the program that it needs, and how it clones. `prepare` isn't timed."""

    name: str
    program: str
    run: Callable[[Sequence[str], Path], None]
    prepare: Callable[[Sequence[str], Path], None] = _nothing

    def missing(self, urls: Sequence[str], scratch: Path) -> str:
        """Say why it can't take part; '' if it can."""
        if not have(self.program):
            return f"{self.program} is not installed"
        try:
            self.prepare(urls, scratch)
        except RuntimeError as error:
            return str(error).splitlines()[-1]
        return ""


COMPETITORS = [
    Competitor("xargs -P16 git clone", "xargs", xargs_clone),
    Competitor("vcs import --workers 16", "vcs", vcs_import),
    Competitor("mr -j16 checkout", "mr", mr_checkout),
    Competitor("repo sync -j16", "repo", repo_sync, repo_init),
]


def have(program: str) -> bool:
    return shutil.which(program, path=search_path()) is not None


def search_path() -> str:
    """PATH, with the programs of the virtual environment that runs this."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


FETCH = """
import sys, json, anyio
from asyncstack.fetcher import FetchOptions, FetchRequest, fetch
job = json.loads(sys.argv[1])
requests = [FetchRequest(u.rsplit("/", 1)[-1][:-4], u, "master", job["dest"] + "/" + u.rsplit("/", 1)[-1][:-4]) for u in job["urls"]]
results = anyio.run(fetch, requests, FetchOptions(**job["options"]), lambda event: None)
bad = [result for result in results if not result.status.good]
sys.exit(str(bad) if bad else 0)
"""


def asyncstack(urls: Sequence[str], dest: Path, **options: object) -> None:
    """Fetch with us, in a process of its own, interpreter start included."""
    job = json.dumps({"urls": list(urls), "dest": str(dest), "options": options})
    subprocess.run([sys.executable, "-c", FETCH, job], cwd=ROOT, env=compiled(), check=True)


@functools.cache
def compiled() -> dict[str, str]:
    """Return an environment in which our bytecode is compiled already, as it is once installed."""
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    imports = FETCH.partition("job")[0]
    subprocess.run([sys.executable, "-c", imports], cwd=ROOT, env=environment, check=True)
    return environment


if __name__ == "__main__":
    serve(sys.argv[1])
