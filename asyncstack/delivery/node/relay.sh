# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# Serve what this node has to the other nodes, read-only, for as long as stdin is open: a git daemon
# of its own at one address and a port that is free, and a path that only those know who were told.
daemon=
stop() {
    # timeout leads a process group; what still serves somebody is in it.
    [ -z "$daemon" ] || { kill -s TERM -- "-$daemon"; wait "$daemon"; } 2>/dev/null
    rm -rf "$root"
}

# Prepare one repository: the checkout's objects, its origin's branches, its tags.
stock() {
    if has_all && make_place; then
        printf 'has\037%s\n' "$index"
    else
        printf 'lacks\037%s\n' "$index"
    fi
}

has_all() {
    [ -d "$directory/.git/objects" ] && [ ! -e "$directory/.git/shallow" ] &&
        ! grep -qs promisor "$directory/.git/config" &&
        repository "$directory" cat-file -e "$commit^{commit}" 2>/dev/null
}

make_place() {
    place=$root/$token/$index
    mkdir -p "$place/objects/info" "$place/refs" &&
        printf '%s\n' "$directory/.git/objects" >"$place/objects/info/alternates" &&
        list_refs >"$place/packed-refs" && write_config >"$place/config" && write_head
}

list_refs() {
    repository "$directory" for-each-ref --format='%(objectname) %(refname)' \
        refs/remotes/origin refs/tags refs/asyncstack/named refs/asyncstack/commits |
        sed -e '\, refs/remotes/origin/HEAD$,d' -e 's, refs/remotes/origin/, refs/heads/,'
}

write_config() {
    format=$(repository "$directory" rev-parse --show-object-format) version=0
    [ "$format" = sha1 ] || version=1
    printf '[core]\n\trepositoryformatversion = %s\n\tbare = true\n' "$version"
    [ "$version" = 0 ] || printf '[extensions]\n\tobjectformat = %s\n' "$format"
    printf '[uploadpack]\n\tallowAnySHA1InWant = true\n'
}

write_head() {
    default=
    read -r default 2>/dev/null <"$directory/.git/refs/remotes/origin/HEAD"
    default=${default#ref: refs/remotes/origin/}
    printf 'ref: refs/heads/%s\n' "${default:-master}" >"$place/HEAD"
}

# It says that it listens, or why it doesn't, and then goes on talking, which nobody needs. It ends
# after some hours even if nobody is left to end it.
listen() {
    said= ready=
    bounded='timeout -k 10 6h'
    exec_git daemon --verbose --log-destination=stderr --export-all --informative-errors \
        --disable=receive-pack --forbid-override=receive-pack --disable=upload-archive \
        --forbid-override=upload-archive --max-connections=0 --init-timeout=30 --timeout=600 \
        --base-path="$root" --listen="$address" --port="$port" \
        </dev/null >/dev/null 2>"$root/log" 7>&- &
    daemon=$! bounded=
    exec 7<"$root/log"
    while [ -z "$ready" ] && read -r _line <&7; do
        case $_line in
            *'Ready to rumble'*) ready=1 ;;
            *) said="$said${said:+; }$_line" ;;
        esac
    done
    if [ -n "$ready" ]; then
        cat <&7 >/dev/null &
        return
    fi
    wait "$daemon"
    daemon=
    return 1
}

serve() {
    mkfifo "$root/log"
    for _try in 1 2 3 4 5 6 7 8; do
        port=$((20000 + ($$ + started + _try * 7919) % 40000))
        if listen; then
            printf 'ready\037%s\037%s\n' "$address" "$port"
            return
        fi
        case $said in *'in use'*) ;; *) break ;; esac
    done
    printf 'failed\037%s\n' "$said"
}

IFS=$us read -r directory address token
if [ -z "$address" ]; then
    # Where the controller's connection has arrived: an address of this machine's own, also behind NAT.
    # shellcheck disable=SC2086 # fields
    set -- ${SSH_CONNECTION:-}
    address=${3:-}
fi
if [ -z "$address" ]; then
    printf 'failed\037its address is not known\n'
    exit
fi
index=seed
if ! make_work; then
    printf 'failed\037%s\n' "$problem"
    exit
fi
trap stop EXIT
trap 'exit 143' TERM HUP INT
umask 077
mkdir -p "$root/$token" && chmod 700 "$root"
printf 'root\037%s\n' "$root"
while IFS=$us read -r what index directory commit; do
    case $what in
        stock) stock </dev/null ;;
        serve) serve ;;
    esac
done
