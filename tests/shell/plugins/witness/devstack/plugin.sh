# shellcheck shell=bash disable=all
# Says what it finds. After any neighbour that is the same as before it.
printf 'directory %s\n' "$PWD"
printf 'umask %s\n' "$(umask)"
printf 'options %s\n' "$SHELLOPTS"
printf 'more options %s\n' "$BASHOPTS"
printf 'IFS %q\n' "$IFS"
printf 'arguments %s\n' "$*"
printf 'traps %s\n' "$(trap -p TERM INT DEBUG RETURN)"
for descriptor in 0 1 2 3 6; do
    printf '%s is %s\n' "$descriptor" "$(readlink "/proc/$$/fd/$descriptor")"
done
printf 'mode and phase %s %s\n' "$mode" "$phase"
[[ "$BASH_SOURCE" == "$dir/devstack/plugin.sh" && "$dir" == "$DEST/$plugin" ]]
printf 'at home\n'
