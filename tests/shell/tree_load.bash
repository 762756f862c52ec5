# shellcheck shell=bash disable=SC2154,SC2034 # TREE, NAMES, DEST come from the test; plugins read the others
#
# Loads real plugins into one shell, as stack.sh does: all override-defaults, all settings, then every
# plugin.sh with a mode that it doesn't know. NAMES is the order of registration.

TOP_DIR=$TREE FILES=$TREE/files
{
    echo "DEST=$DEST"
    echo "DATA_DIR=$DEST/data OFFLINE=True HOST_IP=192.0.2.2"
    for name in ADMIN DATABASE RABBIT SERVICE; do echo "${name}_PASSWORD=secret"; done
    for name in $NAMES; do echo "enable_plugin $name https://example.org/$name"; done
} >"$TREE/.localrc.auto"

# shellcheck source=/dev/null
source "$TREE/functions"
GetDistro
_asyncstack_services_later=1
# shellcheck source=/dev/null
source "$TREE/stackrc"

load() {
    local plugin dir mode phase file=$1
    for current in ${DEVSTACK_PLUGINS//,/ }; do
        plugin=$current dir=${GITDIR[$current]}
        [[ -f $dir/devstack/$file ]] || continue
        set -- "$file" "${@:2}"
        cd "$TOP_DIR" || exit
        # shellcheck source=/dev/null
        source "$dir/devstack/$file" "${@:2}"
        { set -e +x; } 2>/dev/null
    done
}

trap 'echo "ended with $? in $current" >&2' EXIT
set -e
load override-defaults
# shellcheck source=/dev/null
source "$TREE/lib/services"
load settings
load plugin.sh no-such-mode
trap - EXIT
echo "all were loaded"
