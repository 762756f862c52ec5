# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Parcels on stdin: a line each, then as many bytes as it says, a tar archive. The next one is
# unpacked while the ones before are being checked out.
open_tokens @jobs@

# Bytes that nobody wants are read as well, or the next line would be searched among them.
unpack() {
    head -c "$size" | {
        # A tar that is content has read all: the archive's end is the last thing in it.
        tar -xof - -C "$root" && exit
        cat >/dev/null
        exit 1
    }
}

make_new() {
    if check_out; then put_in_place cloned; else tell failed ''; fi
}

# What an update would destroy: a line each, for people.
local_work() {
    [ -z "$unfinished" ] || echo "U$unfinished"
    _found=$(repository "$directory" status --porcelain --untracked-files=no --ignore-submodules=all)
    [ -z "$_found" ] || printf '%s\n' "$_found" | cut -c 4- | sed 's/^/F/' | head -n 30
    [ ! -e "$work/published" ] || return 0
    _known=
    if [ -e "$directory/.git/FETCH_HEAD" ]; then
        _known=$(sed -n 's/^\([0-9a-f]\{40,64\}\)	.*/\1/p' "$directory/.git/FETCH_HEAD")
    fi
    # shellcheck disable=SC2086 # one argument a commit
    _found=$(repository "$directory" rev-list --ignore-missing --oneline --max-count=30 HEAD --not \
        --remotes --tags --glob='refs/asyncstack/*' $_known)
    [ -z "$_found" ] || printf '%s\n' "$_found" | sed 's/^/C/'
}

bring() {
    if [ -e "$work/bundle" ]; then
        try repository "$directory" bundle unbundle "$work/bundle" || return
    fi
    # Two transactions: a ref can't take the place of one that goes in the same.
    for _refs in gone refs; do
        [ ! -s "$work/$_refs" ] ||
            try repository "$directory" update-ref --stdin <"$work/$_refs" || return
    done
}

# While files are written, a marker says from where to where.
move() {
    marker=$directory/.git/asyncstack-update
    [ ! -d "$directory/.git" ] || printf '%s %s\n' "$head" "$commit" >"$marker" || return
    if [ -n "$branch" ] && [ "$branch" = "${ref#refs/heads/}" ]; then
        set -- -B "$branch" "$commit"
    else
        set -- --detach "$commit"
    fi
    if try repository "$directory" checkout "$@"; then
        rm -f "$marker"
        return
    fi
    case $problem in *'would be overwritten'*) rm -f "$marker" ;; esac
    return 1
}

set_origin() {
    [ -z "$url" ] || try repository "$directory" config remote.origin.url "$url"
}

update() {
    expected=$head
    find_head "$directory"
    if [ "$head" != "$expected" ]; then
        problem="its HEAD was moved meanwhile, from $expected to $head"
        tell failed "$head"
    elif [ "$head" = "$commit" ]; then
        if set_origin; then tell present "$head"; else tell failed "$head"; fi
    elif problem=$(local_work 2>&1) && [ -n "$problem" ]; then
        tell dirty "$head"
    elif bring && move && set_origin; then
        tell updated "$commit"
    else
        tell failed "$head"
    fi
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
        head -c "$size" >/dev/null
        tell failed ''
    elif ! try unpack; then
        tell failed ''
        rm -rf "$work"
    else
        finish &
    fi
done
wait
