# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Parcels on stdin: a line each, then as many bytes as it says, a tar archive. The next one is
# unpacked while the ones before are being checked out.
open_tokens @jobs@

# So many bytes of stdin, in big pieces: each costs a system call in every program on the way.
take() { dd bs=131072 iflag=fullblock,count_bytes count="$size" status=none; }

# Bytes that nobody wants are read as well, or the next line would be searched among them.
unpack() {
    take | {
        # A tar that is content has read all: the archive's end is the last thing in it.
        tar -b 128 -xof - -C "$root" && exit
        cat >/dev/null
        exit 1
    }
}

make_new() {
    if check_out; then put_in_place cloned; else tell failed ''; fi
}

# What a commit was asked for by is known here already.
ask() { :; }

bring() {
    if [ -e "$work/pack" ]; then
        try repository "$directory" index-pack --stdin --fix-thin <"$work/pack" || return
    fi
    # Two transactions: a ref can't take the place of one that goes in the same.
    for _refs in gone refs; do
        [ ! -s "$work/$_refs" ] ||
            try repository "$directory" update-ref --stdin <"$work/$_refs" || return
    done
}

finish() {
    take_token
    $kind </dev/null
    [ ! -d "$work" ] || rm -rf "$work"
    give_token
}

trap 'for parent; do rm -rf "$parent/$prefix@$$.$started"; done' EXIT
# What jobs still write must not come after what is removed.
trap 'trap "" TERM HUP INT; wait; exit 143' TERM HUP INT
set --
while IFS=$us read -r index kind size directory commit ref head branch unfinished url; do
    set -- "$@" "${directory%/*}"
    if ! make_work; then
        take >/dev/null
        tell failed ''
    elif ! try unpack; then
        tell failed ''
        rm -rf "$work"
    else
        finish &
    fi
done
wait
