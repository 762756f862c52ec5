# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Move a checkout to another commit, and lose nobody's work. `bring` gets what it takes.
force=@force@

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

# End what was begun: its work is in the commit that was just made.
quit_unfinished() {
    case $unfinished in
        'rebase or am') git_ rebase --quit || git_ am --quit ;;
        bisect) git_ bisect reset HEAD ;;
        ?*) git_ "$unfinished" --quit ;;
    esac >/dev/null 2>&1
    return 0
}

# Keep everything, of ignored files those in the way, in a commit of its own, made through an index of
# our own, so that neither conflicts nor a missing identity hinder it. $saved is the ref that names it.
save_local_work() {
    saved=
    mkdir -p "$work"
    # git's warnings come before the commit, which is the last line.
    _snapshot=$(
        exec 2>&1
        cd "$directory" || exit
        GIT_AUTHOR_NAME=asyncstack GIT_AUTHOR_EMAIL=asyncstack@localhost
        GIT_COMMITTER_NAME=asyncstack GIT_COMMITTER_EMAIL=asyncstack@localhost
        GIT_INDEX_FILE=$work/saving
        export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
        export GIT_INDEX_FILE
        repository "$directory" read-tree HEAD && repository "$directory" add --all -- . &&
            if [ -s "$work/in_the_way" ]; then
                repository "$directory" --literal-pathspecs add --force \
                    --pathspec-from-file="$work/in_the_way" --pathspec-file-nul
            fi &&
            _tree=$(repository "$directory" write-tree) &&
            repository "$directory" commit-tree -p HEAD -m "Local work in $directory" "$_tree"
    ) || {
        problem="its local work can't be saved: $_snapshot"
        return 1
    }
    _snapshot=${_snapshot##*"$newline"}
    # Twice in a second is possible: what follows an interrupted update may go over something, too.
    saved=refs/asyncstack/saved/$(date -u +%Y%m%dT%H%M%SZ)-$(printf %.8s "$_snapshot")
    try repository "$directory" update-ref --create-reflog "$saved" "$_snapshot" || return
    (cd "$directory" && quit_unfinished)
}

# What lies where the commit brings a new file, ignored or not.
in_the_way() {
    # shellcheck disable=SC2016 # the inner sh is to expand it
    repository "$directory" diff-tree -r -z --name-only --no-renames --diff-filter=A \
        "$head" "$commit" | (
        cd "$directory" && xargs -0 sh -c 'for p; do
            { [ -f "$p" ] || [ -L "$p" ]; } && printf "%s\0" "$p"; done; :' sh
    )
}

# Save what the update is going to go over, if it may.
save_what_goes() {
    [ "$force" = 1 ] || return 0
    mkdir -p "$work"
    in_the_way >"$work/in_the_way"
    [ ! -s "$work/in_the_way" ] || [ -n "$notes" ] || notes="Funtracked files in the way"
    [ -z "$notes" ] || save_local_work
}

# Run a git that writes files, all of which are here.
write_files() { repository "$directory" "$@"; }

# While files are written, a marker says from where to where.
move() {
    marker=$directory/.git/asyncstack-update
    [ ! -d "$directory/.git" ] || printf '%s %s\n' "$head" "$commit" >"$marker" || return
    if [ -n "$branch" ] && [ "$branch" = "${ref#refs/heads/}" ]; then
        set -- -B "$branch" "$commit"
    else
        set -- --detach "$commit"
    fi
    # What is saved may be overwritten, and nothing else: git would not even spare untracked files.
    if [ -n "$saved" ]; then set -- --force "$@"; else set -- --no-overwrite-ignore "$@"; fi
    if try write_files checkout "$@"; then
        # Files that it could not write are no failure to git.
        case $newline$_said in
            *"${newline}error: unable to "* | *"${newline}error: cannot "* | \
                *"${newline}warning: unable to unlink"*)
                problem=$_said
                return 1
                ;;
        esac
        rm -f "$marker"
        return
    fi
    case $problem in
        *'index.lock'*'File exists'*)
            rm -f "$marker"
            return 1
            ;;
        *'would be overwritten'* | *'would lose untracked files'*)
            rm -f "$marker"
            [ "$force" = 1 ] && [ -z "$saved" ] || return
            notes="Funtracked files in the way"
            save_local_work && move
            ;;
        *) return 1 ;;
    esac
}

set_origin() {
    [ -z "$url" ] || try repository "$directory" config remote.origin.url "$url"
}

update() {
    expected=$head saved=
    find_head "$directory"
    if [ "$head" != "$expected" ]; then
        problem="its HEAD was moved meanwhile, from $expected to $head"
        tell failed "$head"
        return
    elif ! ask; then
        tell failed "$head"
        return
    elif [ "$head" = "$commit" ]; then
        if set_origin; then tell present "$head"; else tell failed "$head"; fi
        return
    fi
    notes=$(local_work 2>&1)
    if [ -n "$notes" ] && [ "$force" = 0 ]; then
        problem=$notes
        tell dirty "$head"
    elif bring && save_what_goes && move && set_origin; then
        problem=$notes${saved:+${newline}S$saved}
        [ -d "$directory/devstack" ] || problem=$problem${newline}Wno-devstack-folder
        tell updated "$commit"
    else
        [ -z "$saved" ] || problem="$problem${newline}its local work is kept as $saved"
        tell failed "$head"
    fi
}
