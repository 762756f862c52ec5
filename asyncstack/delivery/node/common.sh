# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# What all node scripts share. POSIX sh; the options of git come before this text.
us=$(printf '\037') separator=$(printf '\036') return=$(printf '\r') bounded= healed= user= password= newline='
'
export LC_ALL=C LANGUAGE=C GIT_TERMINAL_PROMPT=0 GIT_ASKPASS= SSH_ASKPASS_REQUIRE=never
export GCM_INTERACTIVE=never GIT_OPTIONAL_LOCKS=0 GIT_LFS_SKIP_SMUDGE=1 GIT_PAGER=cat
export GIT_EDITOR=false GIT_ADVICE=0 GIT_ALLOW_PROTOCOL=https:http:ssh:git:file
export GIT_DEFAULT_REF_FORMAT=files
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_TEMPLATE_DIR GIT_NAMESPACE
unset GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_PREFIX GIT_SHALLOW_FILE SSH_ASKPASS
unset GIT_TRACE GIT_TRACE_CURL GIT_TRACE_PACKET GIT_TRACE_SETUP GIT_CEILING_DIRECTORIES

# A repository that is named is looked for nowhere else, and may belong to somebody else.
repository() {
    _tree=$1
    shift
    git_ --git-dir="$_tree/.git" --work-tree="$_tree" "$@"
}

# Where HEAD is: $head, and $branch if it is on one. No process unless refs are packed.
find_head() {
    head= branch=
    read -r head 2>/dev/null <"$1/.git/HEAD"
    case $head in
        'ref: refs/heads/'*)
            branch=${head#ref: refs/heads/} head=
            read -r head 2>/dev/null <"$1/.git/refs/heads/$branch"
            ;;
        'ref: '*) head= ;;
    esac
    [ -n "$head" ] || head=$(repository "$1" rev-parse --verify --quiet 'HEAD^{commit}' </dev/null)
}

# Make one line of $problem. It may be long, or git's progress; our own notes need no process.
shorten() {
    if [ "${#problem}" -gt 2000 ] || [ "${problem#*"$return"}" != "$problem" ]; then
        problem=$(printf '%s' "$problem" | tail -c 2000 | tr '\r' '\n')
    fi
    _rest=$problem$newline problem=
    while [ -n "$_rest" ]; do
        problem=$problem$separator${_rest%%"$newline"*} _rest=${_rest#*"$newline"}
    done
}

# One line a repository, short enough to be written at once by jobs that share stdout.
tell() {
    case ${healed:+1}$1 in 1updated | 1present) problem=$healed$newline$problem ;; esac
    [ -z "$problem" ] || shorten
    printf '%s\037%s\037%s\037%s\n' "$index" "$1" "$2" "$problem"
}

# Run a command; what it says is a problem only if it fails. No file: the disk may be full.
try() {
    _said=$("$@" 2>&1) && return
    _status=$?
    problem=$_said
    return "$_status"
}

start_of() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # fields
    set -- ${stat##*) }
    started=${20}
}
start_of $$
machine=$(uname -n)
prefix=.asyncstack_delivery.$machine

# Temporary directories carry their owner's process, so that the next run can tell abandoned ones.
swept=
sweep() {
    [ "$1" != "$swept" ] || return 0
    swept=$1
    for _old in "$1/$prefix@"*; do
        [ -d "$_old" ] || continue
        _rest=${_old#"$1/$prefix@"} _pid=${_rest%%.*}
        # In a subshell, for our own start must be kept.
        (start_of "$_pid" && [ "$started" = "${_rest#*.}" ]) || rm -rf "$_old"
    done
}

# Set $work, the temporary place of one repository, in the one directory of ours beside its place.
make_work() {
    parent=${directory%/*} problem=
    root=$parent/$prefix@$$.$started
    work=$root/$index
    [ ! -d "$root" ] || return 0
    [ -d "$parent" ] || try mkdir -p "$parent" || return
    sweep "$parent"
    try mkdir "$root"
}

# At most so many jobs at once: each takes a token, and gives it back.
open_tokens() {
    _box=$(mktemp -d) || exit 96
    mkfifo "$_box/tokens" && exec 9<>"$_box/tokens"
    rm -rf "$_box"
    _left=$1
    [ "$_left" -gt 0 ] || _left=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    while [ "$_left" -gt 0 ]; do
        echo >&9
        _left=$((_left - 1))
    done
}
take_token() { read -r _token <&9; }
give_token() { echo >&9; }

# What is to be warned of in a fresh checkout, by its codes.
contents() {
    [ -d "$directory/devstack" ] || echo Wno-devstack-folder
    [ ! -f "$directory/.gitmodules" ] || echo Wsubmodules
    [ ! -e "$directory/.gitattributes" ] || ! grep -q filter=lfs "$directory/.gitattributes" ||
        echo Wlfs-pointers
    [ ! -e "$directory/.git/shallow" ] ||
        ! (cd "$directory" && grep -qs pbr pyproject.toml setup.py setup.cfg) || echo Wshallow-pbr
    [ -z "$user$password" ] || ! grep -qs promisor "$directory/.git/config" || echo Wfilter-login
}

# Rename $work to its place. Whoever was faster has made what we would have.
put_in_place() {
    if try mv -T "$work" "$directory"; then
        problem=$(contents)
        tell "$1" "$commit"
        return
    fi
    find_head "$directory"
    if [ "$head" = "$commit" ] && [ -e "$directory/.git/index" ]; then
        tell present "$head"
    else
        tell failed ''
    fi
}

# Make a checkout of the repository in $work. Reading the whole tree is what verifies it. HEAD is
# written last, for a repository without it is none.
check_out() {
    try repository "$work" read-tree --reset -u "$commit" &&
        printf '%s\n' "$commit" >"$work/.git/HEAD"
}
