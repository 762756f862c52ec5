# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Clone, or update, by ourselves: three lines a repository on stdin, the user name and the password of
# its URL being the second and the third. They go into the environment of one git and nowhere else.
# What is asked is $source: the origin, a mirror or a seed. What a checkout is told of is $url.
tries=@tries@ depth=@depth@ filter=@filter@ timeout=@timeout@ stall=@stall@ offline=@offline@
seeded=@seeded@
open_tokens @jobs@

# Asked by git for what the URL has been stripped of, on behalf of its own host and no other.
# shellcheck disable=SC2016 # git's shell is to expand it
helper='!f() { test "$1" = get || exit 0; printf "username=%s\npassword=%s\n" "$ASYNCSTACK_GIT_USERNAME" "$ASYNCSTACK_GIT_PASSWORD"; }; f'

descendants() {
    echo "$1"
    # shellcheck disable=SC2013 # one line of numbers
    for _child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do descendants "$_child"; done
}

# The bytes that a process and its descendants have moved, and their CPU time.
activity() {
    for _each in $(descendants "$1"); do
        cat "/proc/$_each/io" 2>/dev/null
        read -r stat 2>/dev/null <"/proc/$_each/stat" || continue
        # shellcheck disable=SC2086 # fields
        set -- ${stat##*) }
        echo "${12} ${13}"
    done
}

# End a process that neither moves bytes nor uses the CPU for so long: http has a limit of git's own
# for this, other protocols have none.
watch() {
    seen= still=0
    while sleep 1; do
        now=$(activity "$1")
        if [ "$now" != "$seen" ]; then still=0; else still=$((still + 1)); fi
        seen=$now
        [ "$still" -lt "$stall" ] || break
    done
    trap '' TERM
    doomed=$(descendants "$1")
    # shellcheck disable=SC2086 # one argument a process
    { kill $doomed && sleep 2 && kill -KILL $doomed; } 2>/dev/null
    exit 3
}

# A git that talks to a server, and no longer than GIT_TIMEOUT and --stall allow.
reach() {
    [ "$timeout" = 0 ] || bounded="timeout --foreground -k 10 $timeout"
    [ "$stall" = 0 ] ||
        set -- -c http.lowSpeedLimit=1 -c "http.lowSpeedTime=$stall" "$@"
    if [ -n "$user$password" ]; then
        _where=${source#*://} _where=${source%%://*}://${_where%%/*}
        set -- -c credential.helper= -c "credential.$_where.helper=$helper" "$@"
    fi
    (
        [ -z "$user$password" ] ||
            export ASYNCSTACK_GIT_USERNAME="$user" ASYNCSTACK_GIT_PASSWORD="$password"
        exec_git "$@"
    ) &
    _git=$! _watch= bounded=
    if [ "$stall" != 0 ]; then
        watch "$_git" >/dev/null 2>&1 &
        _watch=$!
    fi
    wait "$_git"
    _status=$?
    [ "$_status" != 124 ] || echo "git timed out: it took longer than GIT_TIMEOUT, $timeout s" >&2
    [ -n "$_watch" ] || return "$_status"
    # One that has ended git doesn't listen, and tells so by its status.
    kill "$_watch" 2>/dev/null
    wait "$_watch"
    [ $? != 3 ] || echo "git was ended: for $stall s nothing moved" >&2
    return "$_status"
}

# What another try may cure: a cut, a busy server. Nothing else is asked twice.
curable() {
    case $problem in
        *'banner line'*) return 1 ;; # no sshd
        *'Connection re'* | *'early EOF'* | *'hung up'* | *'RPC failed'* | *'imed out'*) ;;
        *'error: 429'* | *'error: 5'* | *'unexpected disconnect'* | *'kex_exchange'*) ;;
        *'Could not resolve host'* | *'Connection closed'* | *'too slow'* | *'nothing moved'*) ;;
        *) return 1 ;;
    esac
}

# Reach a server again and again; what a failed try has left of $scrap is none.
persist() {
    attempt=1
    until try reach "$@"; do
        curable && [ "$attempt" -lt "$tries" ] || return 1
        # Spread by number: what was refused together must not come back together.
        pause=$attempt.$((index % 10))
        tell "retry $attempt $pause" ''
        [ -z "$scrap" ] || rm -rf "$scrap"
        sleep "$pause"
        attempt=$((attempt + 1))
    done
}

# Set $commit to what the server says the ref means, and $named to what it calls it: tags before
# branches, as gitrevisions has it, which is the reverse of how the answer is sorted.
ask() {
    [ -z "$commit" ] || return 0
    scrap= named=
    _tag=refs/tags/${ref#refs/tags/} _branch=refs/heads/${ref#refs/heads/}
    persist ls-remote -- "$source" "$_tag" "$_tag^{}" "$_branch" "$ref" || return
    while read -r _oid _name; do
        case $_name in
            "$_tag" | "$_branch" | "$ref") commit=$_oid named=$_name ;;
            "$_tag^{}") commit=$_oid ;;
        esac
    done <<EOF
$_said
EOF
    case ${abbreviated:+"$head"} in "$ref"*) commit=$head ;; esac
    [ -z "$commit$abbreviated" ] || return 0
    problem="no such remote ref: $ref"
    return 1
}

# The one refspec of what is wanted.
spec_of_ref() {
    case $named in
        refs/heads/*) spec=+$named:refs/remotes/origin/${named#refs/heads/} ;;
        refs/tags/*) spec=+$named:$named ;;
        *) spec=$extra ;;
    esac
    [ -n "$spec" ] && return
    problem="no such remote ref: $ref"
    return 1
}

# Set $commit to what a repository takes the ref for. An abbreviated commit comes last.
resolve() {
    for _name in "refs/tags/${ref#refs/tags/}" "refs/remotes/origin/${ref#refs/heads/}" \
        ${extra:+"${extra#*:}"} ${abbreviated:+"$ref"}; do
        commit=$(repository "$1" rev-parse --verify --quiet "$_name^{commit}") && return
    done
    problem="no such remote ref: $ref"
    return 1
}

# An ordinary clone but for the branch that `clone` makes: HEAD is detached at what was asked for.
detach() {
    printf '%s\n' "$commit" >"$tree/.git/HEAD"
    repository "$tree" for-each-ref --format='delete %(refname)' refs/heads |
        repository "$tree" update-ref --stdin
    repository "$tree" config --remove-section "branch.$made" 2>/dev/null
    return 0
}

clone_whole() {
    set -- clone --quiet --no-checkout --no-local --template= "$@" -- "$source" "$tree"
    # All tags come anyway, and git takes none twice.
    case $extra in '' | +refs/tags/*) ;; *) set -- -c "remote.origin.fetch=$extra" "$@" ;; esac
    persist "$@" || return
    read -r made <"$tree/.git/HEAD"
    made=${made#ref: refs/heads/}
    [ -n "$commit" ] || resolve "$tree" || return
    try repository "$tree" cat-file -e "$commit^{commit}" && detach
}

# One ref, so many commits deep: all that GIT_DEPTH asks for, and no other branch.
clone_shallow() {
    ask && spec_of_ref || return
    scrap=
    # A repository with SHA-256 names, which a git that is too old for it can't have.
    _format=
    [ ${#commit} != 64 ] || _format=--object-format=sha256
    try git_ init --quiet --template= $_format -- "$tree" || return
    repository "$tree" config remote.origin.url "$url" &&
        repository "$tree" config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
    persist --git-dir="$tree/.git" fetch --quiet --no-tags --depth="$depth" -- "$source" "$spec"
}

# Neither a seed nor a mirror is the origin.
set_source() {
    [ "$source" = "$url" ] || try repository "$1" config remote.origin.url "$url"
}

# Blobs that a filter left out are fetched by the checkout, which may have to log in, too.
check_out_filtered() {
    try reach --git-dir="$tree/.git" --work-tree="$tree" read-tree --reset -u "$commit" &&
        printf '%s\n' "$commit" >"$tree/.git/HEAD"
}

# So are those that an update brings back.
write_files() {
    if grep -qs promisor "$directory/.git/config"; then
        reach --git-dir="$directory/.git" --work-tree="$directory" "$@"
    else
        repository "$directory" "$@"
    fi
}

make() {
    tree=$work scrap=$work
    if [ "$depth" != 0 ]; then
        clone_shallow && check_out
    elif [ -n "$filter" ]; then
        clone_whole --filter="$filter" && check_out_filtered && set_source "$tree"
    else
        clone_whole && set_source "$tree" && check_out
    fi
}

make_new() {
    if make; then put_in_place cloned; else tell failed ''; fi
}

# A shallow or partial clone would be filled up by what brings all branches.
reduced() {
    [ "$depth$filter" != 0 ] || [ -e "$directory/.git/shallow" ] ||
        grep -qs promisor "$directory/.git/config"
}

bring() {
    scrap=
    if [ -n "$pinned" ] && [ "$seeded" = 0 ] &&
        repository "$directory" cat-file -e "$commit^{commit}" 2>/dev/null; then
        return
    elif [ "$offline" = 1 ]; then
        problem="OFFLINE=True, and the commit is not there: $commit"
        return 1
    fi
    set -- --git-dir="$directory/.git" --work-tree="$directory" fetch --quiet
    if reduced; then
        spec_of_ref || return
        _depth=$depth
        [ "$_depth" != 0 ] || [ ! -e "$directory/.git/shallow" ] || _depth=1
        [ "$_depth" = 0 ] || set -- "$@" --depth="$_depth"
        set -- "$@" --no-tags -- "$source" "$spec"
    else
        set -- "$@" -- "$source" '+refs/heads/*:refs/remotes/origin/*' ${extra:+"$extra"}
        case $named in refs/tags/*) set -- "$@" "+$named:$named" ;; esac
    fi
    if ! persist "$@"; then
        # A branch that took the place of a folder of branches, or the other way round.
        case $problem in
            *'exists; cannot create'* | *'refname conflict'* | *'old, conflicting branches'*) ;;
            *) return 1 ;;
        esac
        persist --git-dir="$directory/.git" fetch --quiet --prune -- "$source" \
            '+refs/heads/*:refs/remotes/origin/*' && persist "$@" || return
    fi
    [ -n "$commit" ] || resolve "$directory" || return
    try repository "$directory" cat-file -e "$commit^{commit}"
}

# A seed that can't be reached is found out once, not by each repository in its turn.
probed=
reaches_seed() {
    if [ -z "$probed" ]; then
        bounded='timeout --foreground -k 1 15'
        if try git_ ls-remote -- "$source" HEAD </dev/null; then
            probed=yes
        else
            probed=${problem:-no answer within 15 s}
        fi
        bounded=
    fi
    problem=$probed
    [ "$probed" = yes ]
}

finish() {
    take_token
    echo "$index"
    $kind </dev/null
    [ ! -d "$work" ] || rm -rf "$work"
    give_token
}

trap 'for parent; do rm -rf "$parent/$prefix@$$.$started"; done' EXIT
# What jobs still write must not come after what is removed.
trap 'trap "" TERM HUP INT; wait; exit 143' TERM HUP INT
set --
while IFS=$us read -r index kind directory url source ref commit extra abbreviated head branch \
    unfinished && IFS= read -r user && IFS= read -r password; do
    set -- "$@" "${directory%/*}"
    pinned=$commit
    if [ "$seeded" = 1 ] && ! reaches_seed; then
        tell failed ''
    elif make_work; then
        finish &
    else
        tell failed ''
    fi
done
wait
