"""The shell command lines that start, follow and stop a driver on a node.

POSIX sh, for the login shell's sake; they are handed to `sh -c` by the transport. One exec
delivers the payload, starts the driver and follows its journal, so that bringing a node up costs
one round trip.
"""

from __future__ import annotations

import shlex
from typing import Final

__all__ = [
    "FORGOTTEN",
    "READ",
    "TAKEN",
    "UNFIT",
    "follow_command",
    "forget_command",
    "nonce_command",
    "quit_command",
    "room_command",
    "start_command",
    "stop_command",
]

#: Exit status of a start command that found the node unfit; stderr says why.
UNFIT: Final = 96
#: Exit status of one that has followed a driver to its end and has cleared up behind it.
FORGOTTEN: Final = 97
#: Exit status of a start command that found a driver there which it hasn't started.
TAKEN: Final = 98
#: The line that ends our part: the journal has been read to its end.
READ: Final = b"read\n"

# The driver leads a session of its own, so that it outlives the connection and can be stopped as
# a whole. `setsid -f` instead of `&`, because a shell without job control starts its background
# jobs with SIGINT ignored, which everything that a plugin starts would inherit. The supervisor
# is the session's leader: it tells how the driver ended even if a plugin's trap has silenced it,
# so it outlives what a plugin's `kill 0` ends. It alone holds the lock on `alive`: see _FOLLOW.
# What it prints before that tells the one who starts it that it has begun; the rest is the
# journal's. It says who it is before it looks whether it was stopped, and who stops it (see _STOP)
# does both the other way round: however the two meet, one of them sees the other. Its argument
# says how it was started.
_SUPERVISE = r"""
trap : HUP INT QUIT TERM
launcher=$1
exec 9>alive
flock 9
read -r stat <"/proc/$$/stat"
set -- ${stat##*) }
printf '%s %s\n' "$$" "${20}" >pid
[ ! -e stopped ] || exit
echo begun
exec </dev/null >>journal 2>&1
unset BASH_ENV ENV
read -r nonce <nonce
bash --norc --noprofile ./driver.bash "$launcher" 9>&-
status=$?
# One that was told to quit has no step open whose end anybody asks for.
now=0
[ -e forget ] || now=$(date +%s.%6N)
printf '\036%s\037exited\037%s\037%s\n' "$nonce" "$status" "$now"
"""

# Only one start is under way in a directory. One that was there before belongs to a connection
# that was lost, of this controller or of one that is gone: its bytes may come late or never, so it
# is ended, with what it has started to unpack them. (Its process group: sshd gives each command one.)
_ALONE = r"""
exec 8>>starting
flock -n 8 || {
    read -r holder <starting && kill -s KILL -- "-$holder" 2>/dev/null
    flock -w 20 8 || fail "$directory is held by another start"
}
"""

# A session of its own is not enough where logind ends what a login has left behind
# (KillUserProcesses): it goes by control groups. So where systemd runs the driver gets a transient
# scope: not a service, for a scope's process is our own child and keeps environment, limits and
# umask, and nothing ends what a plugin leaves in the background. Root's lies with the system; a
# user's own with their manager, which is worth something only if it lingers after the last logout.
# Whatever is missing there, setsid does.
#
# Everything is kept from others: localrc holds passwords. The connection may be lost before we
# hear that it has begun; the one who asks again, with the same token, gets what there is already.
_START = r"""
fail() { printf '%s\n' "$1" >&2; exit 96; }
umask 077
missing=
for program in bash git setsid flock tail tar gzip; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing${missing:+, }$program is missing"
done
[ -z "$missing" ] || fail "$missing"
directory=$directory_expression
mkdir -p "$directory" 2>/dev/null && cd "$directory" || fail "$directory can't be created"
$alone
echo "$$" >starting
read -r started 2>/dev/null <started
if [ "$started" = "$token" ]; then
    head -c "$payload_size" >/dev/null
elif [ -n "$started" ]; then
    exit 98
else
    [ ! -e commands ] && [ ! -e loop ] || rm -f commands loop
    head -c "$payload_size" | tar -xzf - && : >journal && echo "$token" >started ||
        fail "$directory can't be written"
    driver="$supervise"
    begun=
    if [ -d /run/systemd/system ]; then
        set -- systemd-run --scope --quiet --collect
        [ "$(id -u)" = 0 ] || set -- "$@" --user
        if [ "$(id -u)" = 0 ] || [ -e "/var/lib/systemd/linger/$(id -un)" ]; then
            begun=$(timeout 10 "$@" -- setsid -f sh -c "$driver" asyncstack systemd-scope \
                </dev/null 2>/dev/null 8>&-)
        fi
    fi
    [ -n "$begun" ] || [ -e pid ] || begun=$(exec setsid -f sh -c "$driver" asyncstack setsid 8>&-)
    [ -n "$begun" ] || fail "the driver can't be started"
fi
exec 8>&-
"""

# `cat` in the background would read /dev/null: a shell without job control gives it that, hence
# descriptor 3. The FIFO is opened read-write, so that opening never waits for a driver that is
# gone. When our end of stdin closes (or the connection does), the follower ends with it; when the
# driver ends, tail does, and with it stdout, which nobody else holds (nor stderr: sshd tells the
# end of both or of none). That it has ended is told by
# its lock: its process id may live on as a zombie for as long as its new parent likes (in a
# container: for ever), or be somebody else's by now. So tail watches a child of ours that waits
# for the lock. Who has told the driver to quit for good wants what only the run needed gone as
# well, once it has read the end of the journal and says so: that our stdin is closed tells nothing,
# for a connection that dies closes it, too. Where the driver lives on (tail was ended by somebody,
# or our stdin is all that was closed) the exit status says so. What reads our stdin is a child, for
# a shell that waits for a child reaps the others: tail takes a zombie for a process. The lock on
# `nonce` shows that somebody follows, to a driver whose patience has an end.
_FOLLOW = r"""
exec 3<&0 4<nonce 6<alive
[ ! -e patience ] || flock -s 4 >/dev/null 2>&1
flock -s 6 >/dev/null 2>&1 &
waiter=$!
exec 6<&-
tail -c "+$from" -s 0.2 -f --pid="$waiter" journal &
follower=$!
exec >/dev/null 2>&1
(
    read=
    while IFS= read -r line; do
        if [ "$line" = read ]; then read=1; else printf '%s\n' "$line" >&7; fi
    done
    [ "$read" ]
) <&3 7<>commands
read=$?
kill "$follower" "$waiter" 2>/dev/null
flock -n -s 6 6<alive || exit 1
[ "$read" = 0 ] && read -r wanted <forget || exit 0
d=$PWD
if [ "$wanted" = all ]; then $forget_all; else $forget_some; fi
exit 97
"""

# What a run needs no more once its journal was read, from the directory in $d. All of it; then what
# was made for it, if nobody else has something there: nodes/RUN, nodes, ours. Or without TOP_DIR:
# services that the plugins started may use it.
_FORGET_ALL = 'cd /; rm -rf "$d"; d=${d%/*}; rmdir "$d" "${d%/*}" "${d%/*/*}" 2>/dev/null'
_FORGET_SOME = (
    'cd "$d" 2>/dev/null && rm -f alive commands driver.bash forget journal loop nonce patience pid settings '
    'started starting stopped; cd /; rmdir "$d" "${d%/*}" 2>/dev/null'
)

# All processes of the driver's session, told apart from a later one with the same number by the
# leader's start time. TERM first, KILL for what is left, then the truth about what still is. One
# that is only just being started doesn't begin any more. Time is read from the clock: on a busy
# machine a look at all processes takes its own.
_STOP = r"""
directory=$directory_expression
mkdir -p "$directory" 2>/dev/null && cd "$directory" && : >stopped || exit 0
read -r pid started 2>/dev/null <pid || exit 0
read -r stat <"/proc/$pid/stat" 2>/dev/null && {
    set -- ${stat##*) }
    [ "${20}" = "$started" ] || exit 0
}
members() {
    found=
    for file in /proc/[0-9]*/stat; do
        read -r stat <"$file" || continue
        set -- ${stat##*) }
        [ "$4" = "$pid" ] && [ "$1" != Z ] || continue
        member=${file#/proc/}
        found="$found ${member%/stat}"
    done 2>/dev/null
    [ -n "$found" ]
}
signal() {
    kill "-$1" $found 2>/dev/null
    members && command -v sudo >/dev/null 2>&1 && sudo -n kill "-$1" $found 2>/dev/null
}
now() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}
gone() {
    now
    deadline=$((now + $1))
    while members; do
        now
        [ "$now" -lt "$deadline" ] || return 1
        [ "$2" = TERM ] || kill "-$2" $found 2>/dev/null
        sleep 0.05
    done
}
members || exit 0
signal TERM
gone "$grace" TERM && exit 0
signal KILL
gone 200 KILL && exit 0
for member in $found; do
    printf '%s %s\n' "$member" "$(tr '\0' ' ' <"/proc/$member/cmdline")"
done
exit 1
"""


def _directory(run_id: str, node: str) -> str:
    # Expanded on the node, whose home it is.
    state = '"${XDG_STATE_HOME:-$HOME/.local/state}"'
    return f"{state}/asyncstack/nodes/{shlex.quote(run_id)}/{shlex.quote(node)}"


def _script(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f'"${name}"', value).replace(f"${name}", value)
    return text.strip("\n") + "\n"


def _follow(first_byte: int) -> str:
    values = {"from": str(first_byte), "forget_all": _FORGET_ALL, "forget_some": _FORGET_SOME}
    return _script(_FOLLOW, **values)


def start_command(run_id: str, node: str, *, payload_size: int, token: str) -> str:
    """Deliver `payload_size` bytes from stdin, start the driver, follow its journal.

    What stdin holds after the payload goes to the driver as commands. A driver that a start with
    the same `token` (a word, not secret) has begun is followed instead.
    """
    start = _script(
        _START,
        alone=_ALONE.strip("\n"),
        directory_expression=_directory(run_id, node),
        payload_size=str(payload_size),
        token=token,
        supervise=shlex.quote(_SUPERVISE),
    )
    return start + _follow(1)


def follow_command(run_id: str, node: str, *, offset: int) -> str:
    """Follow a driver's journal from a byte offset; stdin goes to the driver as commands."""
    attach = f"cd {_directory(run_id, node)} && read -r pid started <pid || exit {UNFIT}\n"
    return attach + _follow(offset + 1)


def nonce_command(run_id: str, node: str) -> str:
    """Print the nonce of a driver that was started earlier; nothing if there is none.

    A start that is still under way, for whoever is gone now, is ended.
    """
    return f"""\
fail() {{ exit 1; }}
cd {_directory(run_id, node)} 2>/dev/null && [ -e starting ] || exit 0
{_ALONE}
[ -e started ] && cat nonce
"""


def room_command(run_id: str, node: str) -> str:
    """Print how many MiB are free where a driver keeps its journal; nothing if that can't be told."""
    folder = f'"$(dirname {_directory(run_id, node)})"'
    return f'df -Pm {folder} 2>/dev/null | tail -n 1 | while read -r _ _ _ free _; do echo "$free"; done'


def quit_command(run_id: str, node: str) -> str:
    """Let a driver end, whichever commands it had, and wait a little until it has."""
    return f"""\
cd {_directory(run_id, node)} 2>/dev/null && [ -p commands ] || exit 0
flock -n -s alive true && exit 0
echo "999999999 quit" 1<>commands
flock -w 10 -s alive true
"""


def forget_command(run_id: str, node: str, *, all_of_it: bool) -> str:
    """Remove what a run needs no more once its journal was read; TOP_DIR too if `all_of_it`."""
    forget = _FORGET_ALL if all_of_it else _FORGET_SOME
    return f"d={_directory(run_id, node)}; {forget}; true"


def stop_command(run_id: str, node: str, *, grace_s: float = 5.0) -> str:
    """End a driver and all that its session holds: TERM, after `grace_s` KILL, then look.

    Exit status 0: nothing is left. 1: stdout names the survivors, one a line.
    """
    return _script(
        _STOP, directory_expression=_directory(run_id, node), grace=str(int(grace_s * 100))
    )
