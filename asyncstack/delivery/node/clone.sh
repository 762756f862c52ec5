# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Clone by ourselves: three lines a repository on stdin, the user name and the password of its URL
# being the second and the third. They go into the environment of one git and nowhere else.
tries=@tries@
open_tokens @jobs@

# Asked by git for what the URL has been stripped of.
# shellcheck disable=SC2016 # git's shell is to expand it
helper='!f() { test "$1" = get || exit 0; printf "username=%s\npassword=%s\n" "$ASYNCSTACK_GIT_USERNAME" "$ASYNCSTACK_GIT_PASSWORD"; }; f'

reach() {
    if [ -n "$user$password" ]; then
        ASYNCSTACK_GIT_USERNAME=$user ASYNCSTACK_GIT_PASSWORD=$password \
            git_ -c credential.helper= -c credential.helper="$helper" "$@"
    else
        git_ "$@"
    fi
}

# Tags first, as gitrevisions has it. An abbreviated commit comes last.
resolve() {
    for _name in "refs/tags/${ref#refs/tags/}" "refs/remotes/origin/${ref#refs/heads/}" \
        ${kept:+"$kept"} ${abbreviated:+"$ref"}; do
        commit=$(repository "$tree" rev-parse --verify --quiet "$_name^{commit}") && return
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

# What another try may cure: a cut, a busy server. Nothing else is asked twice.
curable() {
    case $problem in
        *'Connection re'* | *'early EOF'* | *'hung up'* | *'RPC failed'* | *'imed out'*) ;;
        *'error: 429'* | *'error: 5'* | *'unexpected disconnect'* | *'kex_exchange'*) ;;
        *'Could not resolve host'* | *'Connection closed'*) ;;
        *) return 1 ;;
    esac
}

download() {
    attempt=1
    until try reach ${extra:+-c "remote.origin.fetch=$extra"} clone --quiet --no-checkout \
        --no-local --template= -- "$url" "$tree"; do
        curable && [ "$attempt" -lt "$tries" ] || return 1
        # Spread by number: what was refused together must not come back together.
        pause=$attempt.$((index % 10))
        tell "retry $attempt $pause" ''
        rm -rf "$tree"
        sleep "$pause"
        attempt=$((attempt + 1))
    done
}

clone() {
    tree=$work
    download || return
    read -r made <"$tree/.git/HEAD"
    made=${made#ref: refs/heads/}
    kept=${extra#*:}
    [ -n "$commit" ] || resolve || return
    try repository "$tree" cat-file -e "$commit^{commit}" && detach && check_out
}

finish() {
    take_token
    echo "$index"
    if clone </dev/null; then put_in_place cloned; else tell failed ''; fi
    [ ! -d "$work" ] || rm -rf "$work"
    give_token
}

trap 'for parent; do rm -rf "$parent/$prefix@$$.$started"; done' EXIT
# What jobs still write must not come after what is removed.
trap 'trap "" TERM HUP INT; wait; exit 143' TERM HUP INT
set --
while IFS=$us read -r index directory url ref commit extra abbreviated &&
    IFS= read -r user && IFS= read -r password; do
    set -- "$@" "${directory%/*}"
    if make_work; then finish & else tell failed ''; fi
done
wait
