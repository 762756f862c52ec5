# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# What is there: a line in, a line out. Git is only asked about what is not as it should be.
refs=@refs@ sweeps=@sweeps@

find_origin() {
    origin= section=
    while read -r key equals value || [ -n "$key" ]; do
        case $section$key in
            *'['*) section="$key $equals"; [ "$section" = '[remote "origin"]' ] && section=o ;;
            ourl) [ "$equals" = '=' ] && origin=$value ;;
            ourl=*) origin="${key#url=}${equals:+ $equals}${value:+ $value}" ;;
        esac
    done 2>/dev/null <"$directory/.git/config"
}

find_unfinished() {
    for pair in rebase-merge:rebase rebase-apply:rebase\ or\ am MERGE_HEAD:merge \
        CHERRY_PICK_HEAD:cherry-pick REVERT_HEAD:revert BISECT_LOG:bisect \
        sequencer:cherry-pick; do
        [ -e "$git_dir/${pair%%:*}" ] && unfinished=${pair#*:} && return
    done
}

# The commit that the checkout itself thinks the ref means: tag, branch, other.
find_local() {
    for name in "refs/tags/${ref#refs/tags/}" "refs/remotes/origin/${ref#refs/heads/}" \
        "refs/asyncstack/named/${ref#refs/}"; do
        local_commit=$(repository "$directory" rev-parse --verify --quiet "$name^{commit}") && return
    done
}

# Has somebody worked in it? A clone makes all of these once HEAD has its commit, or just before.
in_use() {
    [ -e "$directory/.git/index" ] || [ -e "$directory/.git/logs/HEAD" ] ||
        [ "$(ls -A "$directory")" != .git ] || [ -n "$(repository "$directory" for-each-ref --count=1)" ]
}

look() {
    head= branch= origin= unfinished= local_commit= reduced=
    if [ ! -e "$directory" ]; then
        [ -L "$directory" ] && state=not-a-directory || state=absent
        return
    fi
    state=not-a-directory
    [ -d "$directory" ] || return
    state=unreadable
    [ -r "$directory" ] && [ -x "$directory" ] || return
    if [ ! -e "$directory/.git" ]; then
        [ -n "$(ls -A "$directory")" ] && state=no-checkout || state=empty
        return
    fi
    [ -d "$directory/.git" ] && [ ! -r "$directory/.git/HEAD" ] && [ -e "$directory/.git/HEAD" ] && return
    find_head "$directory"
    state=no-commit
    if [ -z "$head" ]; then
        in_use && state=unborn
        return
    fi
    state=unknown git_dir=$directory/.git
    if [ ! -d "$git_dir" ]; then
        git_dir=$(repository "$directory" rev-parse --absolute-git-dir)
        find_unfinished
        return
    fi
    state=no-files
    [ -e "$directory/.git/index" ] || return
    state=checkout
    [ -e "$directory/.git/asyncstack-update" ] && state=interrupted
    find_origin
    [ "$head" = "$commit" ] && return
    find_unfinished
    find_local
    [ -e "$directory/.git/shallow" ] && reduced=1
    grep -q promisor "$directory/.git/config" && reduced=1
}

while IFS=$us read -r index directory commit ref; do
    [ "$sweeps" = 0 ] || sweep "${directory%/*}"
    look </dev/null
    plugin=
    [ -d "$directory/devstack" ] && plugin=1
    printf '%s\037' "$index" "$state" "$head" "$branch" "$origin" "$unfinished" "$local_commit" \
        "$reduced" "$plugin"
    echo
    case $refs$state in
        1checkout | 1unknown | 1interrupted)
            [ "$head" = "$commit" ] ||
                repository "$directory" for-each-ref --format='	%(objectname) %(refname)' </dev/null
            ;;
    esac
done
