# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Finish an update that was killed while files were being written. The marker says from which
# commit to which; a file that holds neither version is work of the user's and is named instead.
changes() {
    repository "$directory" diff-tree -r --no-renames --name-only "$@" "$old" "$new"
}

# The files that differ from a commit, by content.
differing() {
    rm -f "$work/index"
    (
        export GIT_INDEX_FILE="$work/index"
        repository "$directory" read-tree "$1" &&
            repository "$directory" update-index -q --refresh >/dev/null
        repository "$directory" diff-files --name-only --diff-filter=MT
    ) | sort
}

foreign() {
    differing "$old" >"$work/from_old" && differing "$new" >"$work/from_new" || return
    changes --diff-filter=MT | sort | comm -12 - "$work/from_old" | comm -12 - "$work/from_new"
    changes --diff-filter=A | sort | comm -12 - "$work/from_new"
    changes --diff-filter=D | sort | comm -12 - "$work/from_old"
    changes --diff-filter=D | sort >"$work/gone"
    below | sort | comm -13 "$work/gone" -
}

# What lies in a folder where a file is to be.
below() {
    # shellcheck disable=SC2016 # the inner sh is to expand it
    changes -z --ignore-submodules --diff-filter=MTA | (
        cd "$directory" && xargs -0 sh -c \
            'for p; do [ -L "$p" ] || [ ! -d "$p" ] || find "./$p" ! -type d; done' sh
    ) | cut -c 3-
}

# Index, files, HEAD, in that order. Only the branch that was asked for moves along.
write_rest() {
    rm -f "$directory/.git/index.lock" "$directory/.git/HEAD.lock"
    try repository "$directory" read-tree "$new" || return
    changes -z --ignore-submodules --diff-filter=D | (cd "$directory" && xargs -0 rm -f --) || return
    changes -z --diff-filter=MTA |
        try repository "$directory" checkout-index --force -z --stdin || return
    repository "$directory" update-index -q --refresh >/dev/null
    if [ -n "$branch" ] && [ "$branch" = "${ref#refs/heads/}" ]; then
        try repository "$directory" update-ref HEAD "$new"
    else
        try repository "$directory" update-ref --no-deref HEAD "$new"
    fi
}

# A marker that is cut is from before anything was written, and who has moved HEAD somewhere else
# since has taken over: there is nothing to finish then.
heal() {
    marker=$directory/.git/asyncstack-update old= new=
    read -r old new 2>/dev/null <"$marker"
    find_head "$directory"
    if [ "${#old}" != "${#new}" ] || { [ "$head" != "$old" ] && [ "$head" != "$new" ]; }; then
        rm -f "$marker"
        return
    fi
    healed=R
    if try repository "$directory" cat-file -e "$old^{commit}" &&
        try repository "$directory" cat-file -e "$new^{commit}"; then
        problem=$(foreign 2>&1 | sed 's/^/F/')
        if [ -n "$problem" ]; then
            [ "$force" = 1 ] || return 2
            healed=R$newline$problem problem=
            save_local_work || return 1
            healed=$healed${newline}S$saved
        fi
        write_rest && rm -f "$marker"
    fi
}

# Finish it, then do what is given.
resume() {
    heal
    case $? in
        0) find_head "$directory" && "$@" ;;
        2) tell dirty "$head" ;;
        *) tell failed "$head" ;;
    esac
}
keep() { tell present "$head"; }
