# shellcheck shell=bash
#
# The driver: one bash process a node that sources the plugins and tells the controller about it.
#
# It runs in its node directory, reads commands from the FIFO there and appends everything that
# happens to the journal file there: plugin output as it is, events between RS and LF. It holds no
# state that a plugin can spoil: what it must remember stands in readonly variables, in positional
# parameters (which a sourced file can't reach) or in the journal itself, and the journal, the FIFO
# and a private pipe are kept on descriptors that no plugin uses (250, 251, 252).
#
# Names that begin with _asyncstack_ are private. The others are DevStack's, for plugins rely on
# being sourced inside functions of these names with these locals.

# The settings define, readonly: _asyncstack_errexit (1 for stack; unstack.sh and clean.sh run
# without), _asyncstack_trace, _asyncstack_dest, _asyncstack_secrets (names of variables),
# _asyncstack_pause and _asyncstack_looks (see _asyncstack_await).
# shellcheck source=/dev/null disable=SC2154
source ./settings || exit 70
read -r _asyncstack_nonce <nonce || exit 70
declare -r _asyncstack_nonce

# Every version of bash since 2 can run this line; what follows needs 5 (EPOCHREALTIME).
if [ "${BASH_VERSINFO[0]:-0}" -lt 5 ]; then
    printf '\036%s\037unfit\037bash\037%s\n' "$_asyncstack_nonce" "$BASH_VERSION"
    builtin exit 96
fi

exec 250>&1 251<>commands 252<>loop </dev/null 3>&1 6>&1 2>&1

declare -r _asyncstack_directory=$PWD _asyncstack_launcher=${1:-}
PS4='+ ${BASH_SOURCE##*/}:$LINENO: '
TOP_DIR=$PWD/devstack
declare -r _asyncstack_top_dir=$TOP_DIR

# Events
# ------

# _asyncstack_emit KIND [FIELD…]: one event. Short enough (a field is cut at 400 characters) to
# reach the journal in one write, so that a background process can't print into its middle. What
# the controller acts upon (a URL, a path, a secret) is never cut.
_asyncstack_emit() {
    { local -; builtin set +xeuk; } 2>/dev/null
    local _asyncstack_field _asyncstack_line='' _asyncstack_limit=400
    case $1 in register | plugin | repository | standing | variable | secret) _asyncstack_limit=8000 ;; esac
    for _asyncstack_field; do
        if ((${#_asyncstack_field} > _asyncstack_limit)); then
            _asyncstack_field=${_asyncstack_field:0:_asyncstack_limit-1}…
        fi
        if [[ $_asyncstack_field == *[$'\\\n\036\037']* ]]; then
            # shellcheck disable=SC1003
            _asyncstack_field=${_asyncstack_field//'\'/'\\'}
            _asyncstack_field=${_asyncstack_field//$'\n'/'\n'}
            _asyncstack_field=${_asyncstack_field//$'\036'/'\r'}
            _asyncstack_field=${_asyncstack_field//$'\037'/'\u'}
        fi
        _asyncstack_line+=$'\037'$_asyncstack_field
    done
    builtin printf '%s\036%s%s\n' "${_asyncstack_held:-}" "$_asyncstack_nonce" "$_asyncstack_line" >&250 ||
        _asyncstack_mute
    _asyncstack_held=
}

# _asyncstack_mute: an event couldn't be written. On a full disk that is the end, for nobody could tell
# any more which step is which. (A plugin that has closed the descriptor is another matter.)
_asyncstack_mute() {
    if [[ -e /proc/$BASHPID/fd/250 ]]; then
        builtin kill -s KILL "$$"
    fi
}

# _asyncstack_sample: what this shell and the children that it waited for have used so far, in
# _asyncstack_sampled: uptime, two lines of `times`, /proc/self/io. No fork.
_asyncstack_sample() {
    local uptime=0 self=0 children=0 io=() IFS=' '
    builtin times >&252
    builtin read -r -u 252 self
    builtin read -r -u 252 children
    {
        builtin read -r uptime _ </proc/uptime
        builtin mapfile -t io </proc/self/io
    } 2>/dev/null
    _asyncstack_sampled=$uptime$'\037'$self$'\037'$children$'\037'${io[*]}
}

# _asyncstack_clock: the time into _asyncstack_time. A plugin that unsets EPOCHREALTIME ends its
# magic for good; then a fork it is.
_asyncstack_clock() {
    _asyncstack_time=${EPOCHREALTIME:-}
    if [[ -z $_asyncstack_time ]]; then
        _asyncstack_time=$(command date +%s.%6N)
    fi
}

# Steps
# -----

# What a step begins with is what the one right before it has ended with, if there was one: nothing but
# our own bookkeeping lies between them. That one's end record goes out with this one's begin, in one
# write, for each of them wakes up who follows the journal.
_asyncstack_begin() {
    { local -; builtin set +xeuk; } 2>/dev/null
    local IFS=$' \t\n' _asyncstack_time
    _asyncstack_skip_reason=
    _asyncstack_error=()
    [[ -n ${_asyncstack_sampled:-} ]] || _asyncstack_sample
    _asyncstack_clock
    builtin printf '%s\036%s\037begin\037%s\037%s\037%s\n' "${_asyncstack_held:-}" \
        "$_asyncstack_nonce" "$1" "$_asyncstack_time" "$_asyncstack_sampled" >&250 ||
        _asyncstack_mute
    _asyncstack_held='' _asyncstack_sampled=
}

# _asyncstack_end STATUS: the end record of a step, after what the plugin left behind was put right.
# It is held back until whatever is told next, which follows at once.
_asyncstack_end() {
    # A function of a builtin's name goes before the builtin. Most are called here by `builtin`,
    # which these don't survive: `builtin exec` undoes its redirections.
    { builtin set +xeuk +o posix; builtin unset -f exec local return; } 2>/dev/null
    # `declare`, because a plain assignment to what a plugin made readonly would end everything.
    builtin declare -g IFS=$' \t\n' 2>/dev/null
    local _asyncstack_time
    _asyncstack_clock
    _asyncstack_restore
    _asyncstack_sample
    if (($1)) && [[ ${_asyncstack_error[0]:-} == "$1" ]]; then
        # Without errexit the step ran on after this command failed; with the same status it is
        # the best that is known.
        _asyncstack_emit error "${_asyncstack_error[@]}"
    fi
    if [[ -n ${_asyncstack_skip_reason:-} ]]; then
        _asyncstack_emit reason "$_asyncstack_skip_reason"
    fi
    builtin printf -v _asyncstack_held '\036%s\037end\037%s\037%s\037%s\n' \
        "$_asyncstack_nonce" "$1" "$_asyncstack_time" "$_asyncstack_sampled"
    if ((_asyncstack_errexit)); then
        # Errexit would have ended the run before this line, had the plugin not turned it off.
        if (($1)); then builtin exit "$1"; fi
        builtin set -e
    fi
    if ((_asyncstack_trace)); then
        builtin set -x
    fi
}

# _asyncstack_restore: undo what a plugin may have left changed, so that its neighbour finds what
# it would have found without it: descriptors, traps, directory, umask, shell options (and IFS, by
# the caller).
_asyncstack_restore() {
    exec </dev/null 1>&250 2>&250 3>&250 6>&250
    _asyncstack_set_traps
    builtin cd -- "$_asyncstack_top_dir" 2>/dev/null || builtin cd /
    builtin umask "$_asyncstack_umask"
    if [[ $SHELLOPTS != "$_asyncstack_shellopts" ]]; then
        _asyncstack_restore_options "$_asyncstack_shellopts" "$SHELLOPTS" set
    fi
    if [[ $BASHOPTS != "$_asyncstack_bashopts" ]]; then
        _asyncstack_restore_options "$_asyncstack_bashopts" "$BASHOPTS" shopt
    fi
}

# _asyncstack_restore_options WANTED PRESENT set|shopt: both lists are separated by colons.
_asyncstack_restore_options() {
    local IFS=: option
    for option in $2; do
        [[ :$1: == *":$option:"* ]] && continue
        if [[ $3 == set ]]; then builtin set +o "$option"; else builtin shopt -u "$option"; fi
    done
    for option in $1; do
        [[ :$2: == *":$option:"* ]] && continue
        if [[ $3 == set ]]; then builtin set -o "$option"; else builtin shopt -s "$option"; fi
    done
}

# Failures
# --------

_asyncstack_set_traps() {
    builtin trap '_asyncstack_on_error "$?" "$LINENO" "$BASH_COMMAND" "$-"' ERR
    builtin trap '_asyncstack_on_exit "$?" "$BASH_COMMAND"' EXIT
    builtin trap - DEBUG RETURN HUP INT QUIT PIPE TERM USR1 USR2 ALRM CHLD
}

# With errtrace the trap fires where a command fails, before errexit unwinds anything; the handler
# only tells, and what happens next is bash's own business.
# _asyncstack_on_error STATUS LINE COMMAND OPTIONS
_asyncstack_on_error() {
    { local -; builtin set +xeuk; } 2>/dev/null
    if [[ ${_asyncstack_serving:-} != 1 ]]; then
        if [[ ${BASH_SOURCE[1]:-} == */.localrc.auto || ${BASH_SOURCE[1]:-} == */localrc ]]; then
            _asyncstack_emit localrc-failed "$1" "${BASH_SOURCE[1]}" "$2" "$3"
        fi
    elif [[ $4 != *e* ]]; then
        # The `source` that ends with its file's last status tells nothing new.
        [[ ${BASH_SOURCE[1]:-} == "${BASH_SOURCE[0]}" ]] && return 0
        _asyncstack_error=("$1" "${BASH_SOURCE[1]:-}" "$2" "$3")
    elif ((BASHPID == $$)); then
        _asyncstack_told=1
        _asyncstack_emit error "$1" "${BASH_SOURCE[1]:-}" "$2" "$3"
        _asyncstack_frames 2 "$2"
    else
        _asyncstack_emit suberror "$1" "${BASH_SOURCE[1]:-}" "$2" "$3"
    fi
    return 0
}

# _asyncstack_frames INDEX LINE: the call stack from caller INDEX outwards, as far as the driver.
_asyncstack_frames() {
    local index line=$2
    for ((index = $1; index < ${#FUNCNAME[@]} && index < $1 + 20; index++)); do
        if [[ ${BASH_SOURCE[index]} == "${BASH_SOURCE[0]}" ]]; then
            break
        fi
        _asyncstack_emit frame "${FUNCNAME[index]}" "${BASH_SOURCE[index]}" "$line"
        line=${BASH_LINENO[index]}
    done
}

# `exit` tells where it was called: bash itself doesn't remember the line. Subshells may exit as
# they like. ($? must be taken before anything else.)
exit() {
    local status=${1-$?}
    if ((BASHPID == $$)); then
        _asyncstack_told=1
        _asyncstack_emit exit-called "$status" "${BASH_SOURCE[1]:-}" "${BASH_LINENO[0]}"
        _asyncstack_frames 2 "${BASH_LINENO[0]}"
    fi
    if (($#)); then builtin exit "$@"; else builtin exit "$status"; fi
}

# _asyncstack_on_exit STATUS COMMAND
_asyncstack_on_exit() {
    { builtin set +xeuk +o posix; builtin unset -f local; } 2>/dev/null
    local IFS=$' \t\n' _asyncstack_time _asyncstack_sampled
    _asyncstack_clock
    _asyncstack_sample
    if (($1 && $1 <= 128)) && [[ ${_asyncstack_serving:-} == 1 && -z ${_asyncstack_told:-} &&
        ${BASH_SOURCE[1]:-} != "${BASH_SOURCE[0]}" ]]; then
        _asyncstack_tell_end "$@"
    fi
    builtin printf '%s\036%s\037exiting\037%s\037%s\037%s\n' "${_asyncstack_held:-}" \
        "$_asyncstack_nonce" "$1" "$_asyncstack_time" "$_asyncstack_sampled" >&250 ||
        _asyncstack_mute
}

# _asyncstack_tell_end STATUS COMMAND: what bash has ended without a word to the ERR trap, as it does when a
# file to `source` isn't there or ${NAME?} has no value. By then it has forgotten the line; the text of the
# command has it, if it stands there once.
_asyncstack_tell_end() {
    local file=${BASH_SOURCE[2]} found=0 number lines=()
    [[ ! -f $file || ! -r $file ]] || builtin mapfile -t lines <"$file"
    for number in "${!lines[@]}"; do
        [[ ${lines[number]%%#*} == *"${2%%$'\n'*}"* ]] || continue
        ((found == 0)) || { found=0; break; }
        ((found = number + 1))
    done
    _asyncstack_emit error "$1" "$file" "$found" "$2"
    if ((found)); then
        _asyncstack_frames 3 "$found"
    else
        _asyncstack_frames 4 "${BASH_LINENO[2]}"
    fi
}

# Phases
# ------

# _asyncstack_checkout NAME: where the plugin lies. A plugin may have moved GITDIR, unset it or
# made it a plain variable; the place that it was registered with is then still right.
_asyncstack_checkout() {
    dir=
    # (To ask what kind of variable it is takes longer the more is in it. A plain one has a single value.)
    if ((${#GITDIR[@]} == _asyncstack_gitdirs)) || [[ ${GITDIR@a} == *A* ]]; then
        dir=${GITDIR[$1]:-}
    fi
    dir=${dir:-${_asyncstack_gitdir[$1]}}
}

# Each plugin has the locals to itself: its neighbour may have changed, unset or locked its own.
# (The loops' variable is set again at each turn, whatever became of it.)

plugin_override_defaults() {
    local _asyncstack_name
    for _asyncstack_name in "${_asyncstack_plugins[@]}"; do
        _asyncstack_override_defaults "$_asyncstack_name"
    done
}

_asyncstack_override_defaults() {
    # DevStack's function has it, and a plugin may look
    # shellcheck disable=SC2034
    local plugins=${DEVSTACK_PLUGINS:-} plugin=$1 dir
    _asyncstack_checkout "$1"
    if [[ -f $dir/devstack/override-defaults ]]; then
        _asyncstack_begin "$1"
        builtin printf '%s: these override the defaults:\n' "$1"
        _asyncstack_print "$dir/devstack/override-defaults"
        builtin set --
        # shellcheck source=/dev/null
        builtin source "$dir/devstack/override-defaults"
        _asyncstack_end "$?"
    else
        _asyncstack_emit skip "$1" "no devstack/override-defaults"
    fi
}

# _asyncstack_print FILE: cat, without the fork.
_asyncstack_print() {
    { local -; builtin set +xk; } 2>/dev/null
    local lines=()
    builtin mapfile -t lines <"$1"
    builtin printf '%s\n' "${lines[@]}"
}

load_plugin_settings() {
    local _asyncstack_name
    for _asyncstack_name in "${_asyncstack_plugins[@]}"; do
        _asyncstack_settings "$_asyncstack_name"
    done
}

_asyncstack_settings() {
    # shellcheck disable=SC2034
    local plugins=${DEVSTACK_PLUGINS:-} plugin=$1 dir
    _asyncstack_checkout "$1"
    if [[ -f $dir/devstack/settings ]]; then
        _asyncstack_begin "$1"
        builtin set -- # a sourced file without arguments of its own sees ours
        # shellcheck source=/dev/null
        builtin source "$dir/devstack/settings"
        _asyncstack_end "$?"
    else
        _asyncstack_emit skip "$1" "no devstack/settings"
    fi
}

run_plugins() {
    local _asyncstack_name
    for _asyncstack_name in "${_asyncstack_plugins[@]}"; do
        _asyncstack_run_plugin "$_asyncstack_name" "$@"
    done
}

_asyncstack_run_plugin() {
    # shellcheck disable=SC2034
    local plugins=${DEVSTACK_PLUGINS:-} plugin=$1 mode=$2 phase=${3:-} dir
    _asyncstack_checkout "$1"
    if [[ -f $dir/devstack/plugin.sh ]]; then
        _asyncstack_begin "$1"
        # shellcheck source=/dev/null
        builtin source "$dir/devstack/plugin.sh" "$mode" ${phase:+"$phase"}
        _asyncstack_end "$?"
    else
        _asyncstack_emit skip "$1" "no devstack/plugin.sh"
    fi
}

# The files of extras.d that DevStack still runs; it warns of any other, and so do we.
_asyncstack_run_extras() {
    local mode=$1 phase=${2:-} extra
    for extra in "$_asyncstack_top_dir"/extras.d/*.sh; do
        if [[ ${extra##*/} == 80-tempest.sh ]]; then
            _asyncstack_begin "@extras.d/${extra##*/}"
            # shellcheck source=/dev/null
            builtin source "$extra" "$1" ${2:+"$2"}
            _asyncstack_end "$?"
        elif [[ -e $extra && $1 == override_defaults ]]; then
            _asyncstack_emit warning extras-ignored \
                "extras.d/${extra##*/} is not run: DevStack no longer supports it" "$extra" 0
        fi
    done
}

# _asyncstack_phase SEQUENCE MODE PHASE PART…: what stack.sh does at this point, in the order that
# the controller's plan names.
_asyncstack_phase() {
    local part
    _asyncstack_sampled=
    for part in "${@:4}"; do
        case $part in
        extras) _asyncstack_run_extras "$2" "$3" ;;
        plugins)
            case $2 in
            override_defaults) plugin_override_defaults ;;
            source)
                # Where stack.sh sources its libraries: their defaults follow a plugin's overrides.
                # shellcheck source=/dev/null
                builtin source "$_asyncstack_top_dir/lib/services"
                load_plugin_settings
                ;;
            *) run_plugins "$2" "$3" ;;
            esac
            ;;
        packages)
            _asyncstack_begin @packages
            _asyncstack_prerequisites
            _asyncstack_end "$?"
            ;;
        merge=*)
            _asyncstack_begin "@local.conf:${part#merge=}"
            merge_config_group "$_asyncstack_top_dir/local.conf" "${part#merge=}"
            _asyncstack_end "$?"
            ;;
        local.sh)
            _asyncstack_begin @local.sh
            "$_asyncstack_top_dir/local.sh"
            _asyncstack_end "$?"
            ;;
        esac
    done
}

# Serving
# -------

# _asyncstack_inspect: what `plan` wants to know of a checkout without running anything in it.
# (What it reads is not what it writes: that goes to the journal.)
# shellcheck disable=SC2094
_asyncstack_inspect() {
    local plugin dir commit line number words
    for plugin in "${_asyncstack_plugins[@]}"; do
        _asyncstack_checkout "$plugin"
        commit=
        if [[ -d $dir ]]; then
            commit=$(command git -c safe.directory='*' -C "$dir" rev-parse -q --verify HEAD 2>/dev/null)
        fi
        if [[ ! -e $dir && ! -L $dir ]]; then
            _asyncstack_emit checkout "$plugin" absent ""
        else
            _asyncstack_emit checkout "$plugin" "${commit:+present}" "$commit"
        fi
        [[ -r $dir/devstack/settings ]] || continue
        number=0
        while IFS= builtin read -r line || [[ -n $line ]]; do
            ((number += 1))
            [[ $line =~ ^[[:space:]]*(define_plugin|plugin_requires)[[:space:]] ]] || continue
            builtin read -r -a words <<<"${line%%#*}"
            words=("${words[@]//[\"\']/}")
            if [[ ${words[0]} == define_plugin ]]; then
                _asyncstack_emit defines "${words[1]:-}" "$dir/devstack/settings" "$number"
            else
                _asyncstack_emit requires "${words[1]:-}" "${words[2]:-}" \
                    "$dir/devstack/settings" "$number"
            fi
        done <"$dir/devstack/settings"
    done
}

# _asyncstack_survey: the checkouts that are in order and where they were asked to be, told from git's
# files alone. What is in any way unusual isn't named: git itself has to have a look at that.
_asyncstack_survey() {
    local plugin dir
    for plugin in "${_asyncstack_plugins[@]}"; do
        _asyncstack_checkout "$plugin"
        if [[ -r $dir/.git/HEAD && -f $dir/.git/index && -r $dir/.git/config &&
            ! -e $dir/.git/asyncstack-update ]]; then
            _asyncstack_survey_one "$plugin" "${GITBRANCH[$plugin]:-}"
        fi
    done 2>/dev/null
}

# _asyncstack_survey_one NAME REF: the checkout in $dir.
_asyncstack_survey_one() {
    local head='' branch='' origin='' section='' key value contents='' packed=()
    builtin read -r head <"$dir/.git/HEAD"
    if [[ $head == 'ref: refs/heads/'* ]]; then
        branch=${head#ref: refs/heads/}
        head=
        builtin read -r head <"$dir/.git/refs/heads/$branch" || _asyncstack_packed "refs/heads/$branch"
    elif [[ $head != "$2"* || ${#2} -lt 7 ]]; then
        _asyncstack_is_at_head "refs/tags/${2#refs/tags/}" ||
            _asyncstack_is_at_head "refs/remotes/origin/${2#refs/heads/}" ||
            _asyncstack_is_at_head "refs/asyncstack/named/${2#refs/}" || return 0
    fi
    [[ $head =~ ^[0-9a-f]{40}$ ]] || return 0
    while IFS=' =' builtin read -r key value; do
        key=${key#"${key%%[![:space:]]*}"}
        if [[ $key == '['* ]]; then
            section="$key $value"
        elif [[ $section == '[remote "origin"]' && $key == url ]]; then
            origin=$value
        fi
    done <"$dir/.git/config"
    [[ $origin != *\\* ]] || return 0 # an escape is git's to read
    origin=${origin#'"'} origin=${origin%'"'}
    if [[ -d $dir/devstack ]]; then contents=1; fi
    _asyncstack_emit standing "$1" "$head" "$branch" "$origin" "${contents:-0}"
}

# _asyncstack_is_at_head REF: does it name the commit in $head? False as well if that is not plain.
_asyncstack_is_at_head() {
    local oid=''
    if [[ -f $dir/.git/$1 ]]; then
        builtin read -r oid <"$dir/.git/$1"
        [[ $oid == "$head" ]]
    else
        ((${#packed[@]})) || builtin mapfile -t packed <"$dir/.git/packed-refs"
        local IFS=$'\n'
        [[ $'\n'"${packed[*]}"$'\n' == *$'\n'"$head $1"$'\n'* ]]
    fi
}

# _asyncstack_packed REF: its commit into $head.
_asyncstack_packed() {
    local line
    builtin mapfile -t packed <"$dir/.git/packed-refs"
    for line in "${packed[@]}"; do
        if [[ $line == *" $1" ]]; then head=${line%% *}; fi
    done
}

# _asyncstack_verify: the plugins whose repository has nothing of a plugin. DevStack passes over
# them in silence; most often it is the URL that is wrong.
_asyncstack_verify() {
    local plugin dir
    for plugin in "${_asyncstack_plugins[@]}"; do
        _asyncstack_checkout "$plugin"
        [[ -d $dir/devstack ]] || _asyncstack_emit bare "$plugin"
    done
}

# _asyncstack_repositories: what plugins may clone later, for who wants to have it there before.
_asyncstack_repositories() {
    local name
    _asyncstack_emit variable LIBS_FROM_GIT "${LIBS_FROM_GIT:-}"
    for name in "${!GITREPO[@]}"; do
        _asyncstack_emit repository "$name" "${GITREPO[$name]}" "${GITDIR[$name]:-}" \
            "${GITBRANCH[$name]:-}"
    done
}

# _asyncstack_prepare: $DEST and $DATA_DIR, as stack.sh makes them: existing ones are left alone.
_asyncstack_prepare() {
    local directory setting=DEST
    for directory in "$DEST" "${DATA_DIR:-$DEST/data}"; do
        # As in DevStack it doesn't follow a DEST of localrc.
        [[ $directory == "$DEST"/* || $directory == "$DEST" ]] || setting=DATA_DIR
        [[ -d $directory ]] && continue
        command mkdir -p -- "$directory" 2>/dev/null && continue
        sudo mkdir -p -- "$directory" && sudo chown -R "$STACK_USER" "$directory" &&
            sudo chmod 0755 "$directory" && continue
        _asyncstack_emit unprepared "$directory" "can't be created" "$setting"
        return 0
    done
    _asyncstack_check_dest
}

# _asyncstack_check_dest: is there room in $DEST, and may we use it?
_asyncstack_check_dest() {
    local free size
    if [[ ! -w $DEST || ! -x $DEST ]]; then
        _asyncstack_emit unprepared "$DEST" "is not writable by $(id -un)"
    fi
    builtin read -r free size <<<"$(exec stat -f -c '%a %S' -- "$DEST" 2>/dev/null)"
    if [[ $free$size =~ ^[0-9]+$ ]] && ((free * size < 1024 * 1024 * 1024)); then
        _asyncstack_emit warning disk-low "only $((free * size / 1024 / 1024)) MiB are free in $DEST"
    fi
}

# _asyncstack_preflight: what would make the run fail later. Better known before it has begun. It changes
# nothing, so that it can be asked for before anybody knows whether there will be a run.
_asyncstack_preflight() {
    local version major minor other directory absent=0
    version=$(exec git --version)
    version=${version#git version }
    IFS=. builtin read -r major minor _ <<<"$version"
    if ((${major//[!0-9]/}0 < 20 || ${major//[!0-9]/}0 == 20 && ${minor//[!0-9]/}0 < 250)); then
        _asyncstack_emit unfit git "${version:-without a version}"
    fi
    if ((EUID)) && ! command sudo -n true 2>/dev/null; then
        _asyncstack_emit warning sudo-refused \
            "sudo refuses $USER without a password, and nearly every plugin needs it"
    fi
    if [[ $_asyncstack_launcher == setsid ]] && _asyncstack_ends_with_login; then
        _asyncstack_emit warning ends-with-login \
            "logind ends all that $USER runs with the last login (KillUserProcesses), so this run \
does not outlive a lost connection; to change that: loginctl enable-linger $USER"
    fi
    if [[ $DEST != /* ]]; then
        _asyncstack_emit unprepared "$DEST" "is no absolute path"
        return 0
    fi
    for directory in "$DEST" "${DATA_DIR:-$DEST/data}"; do
        if [[ ! -d $directory ]]; then
            _asyncstack_emit absent "$directory"
            absent=1
        fi
    done
    ((absent)) || _asyncstack_check_dest
    for other in "$_asyncstack_directory"/../../*/*/alive; do
        # Nodes of this very run may share a home directory.
        if [[ ! ${other%/*/alive} -ef $_asyncstack_directory/.. && -e $other ]] &&
            ! command flock -n -s "$other" true; then
            other=${other%/*/alive}
            _asyncstack_emit warning run-alive \
                "run ${other##*/} is still alive here; end it with: asyncstack stop ${other##*/}"
        fi
    done
    if [[ ${OFFLINE:-} != True ]]; then
        _asyncstack_await_packages
    fi
}

# Root is left alone by logind, and who lingers has a scope that is.
_asyncstack_ends_with_login() {
    ((EUID)) && [[ -d /run/systemd/system ]] &&
        [[ $(exec timeout 5 busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
            org.freedesktop.login1.Manager KillUserProcesses 2>/dev/null) == 'b true' ]]
}

# A package manager that somebody else runs right now, as a fresh machine does by itself: it ends
# sooner or later, and until then no plugin could install anything.
_asyncstack_await_packages() {
    local _asyncstack_holder patience=${ASYNCSTACK_LOCK_TIMEOUT:-300} end
    _asyncstack_package_lock || return 0
    [[ $patience =~ ^[0-9]+$ ]] || patience=300
    _asyncstack_emit warning packages-locked \
        "$_asyncstack_holder; waiting for it, for $patience s at most"
    ((end = SECONDS + patience))
    while ((SECONDS < end)); do
        command sleep 0.5
        _asyncstack_package_lock || return 0
    done
    _asyncstack_emit warning packages-still-locked \
        "$_asyncstack_holder, still after $patience s; what the plugins install has to wait or fails"
}

# _asyncstack_package_lock: does anybody hold a lock of dpkg, apt, rpm or dnf? Who, and which, goes
# into _asyncstack_holder.
_asyncstack_package_lock() {
    local held=() line words lock inode device prefix pid name=
    { builtin mapfile -t held </proc/locks; } 2>/dev/null
    # Most often nobody holds anything of this kind, and nothing is to be asked.
    if [[ ${held[*]} == *POSIX*WRITE* ]]; then
        while builtin read -r inode device lock; do
            builtin printf -v prefix '%02x:%02x:' $((device >> 8)) $((device & 255))
            for line in "${held[@]}"; do
                # 1: POSIX  ADVISORY  WRITE 812 08:01:131 0 EOF
                builtin read -r -a words <<<"$line"
                [[ ${words[1]} == POSIX && ${words[3]} == WRITE && ${words[5]} == *":$inode" ]] || continue
                pid=${words[4]}
                _asyncstack_name_of "$pid"
                # Another file system may have a file of this number. An overlay doesn't say which
                # device is meant; there the name has to do.
                [[ ${words[5]} == "$prefix"* ]] || _asyncstack_packs "$name" || continue
                _asyncstack_holder="$lock is held by ${name:-process} (process $pid)"
                return 0
            done
        done < <(exec stat -c '%i %d %n' /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock \
            /var/lib/apt/lists/lock /var/cache/apt/archives/lock /var/lib/rpm/.rpm.lock \
            /usr/lib/sysimage/rpm/.rpm.lock 2>/dev/null)
    fi
    # dnf has no locks of the kernel's: a file says whose turn it is.
    for lock in /var/cache/dnf/metadata_lock.pid /var/lib/dnf/rpmdb_lock.pid /run/yum.pid; do
        pid=
        { builtin read -r pid <"$lock"; } 2>/dev/null
        [[ $pid =~ ^[0-9]+$ ]] || continue
        _asyncstack_name_of "$pid"
        if _asyncstack_packs "$name"; then
            _asyncstack_holder="$lock is held by $name (process $pid)"
            return 0
        fi
    done
    return 1
}

_asyncstack_name_of() {
    name=
    { builtin read -r name <"/proc/$1/comm"; } 2>/dev/null || builtin return 0
}

# _asyncstack_packs NAME: is that the name of a package manager? (Many are written in Python.)
_asyncstack_packs() {
    [[ $1 == @(*apt*|dpkg*|unattended*|*packagekit*|PackageKit*|dnf*|yum*|rpm*|microdnf*|python*|platform-python*|zypper*) ]]
}

# The next request. A driver that was given a pause runs no phase, and is of no use to anybody once
# nobody has followed its journal for so many pauses, which the follower's lock tells: then it goes,
# with all that it has.
_asyncstack_await() {
    if [[ -z $_asyncstack_pause ]]; then
        IFS= builtin read -r -u 251 _asyncstack_request
        builtin return
    fi
    local _asyncstack_alone=0
    while ((_asyncstack_alone < _asyncstack_looks)); do
        if IFS= builtin read -r -t "$_asyncstack_pause" -u 251 _asyncstack_request; then
            builtin return 0
        fi
        if flock -n -x "$_asyncstack_directory/nonce" true; then
            ((_asyncstack_alone += 1))
        else
            _asyncstack_alone=0
        fi
    done 2>/dev/null
    builtin trap - EXIT
    cd /
    rm -rf -- "$_asyncstack_directory"
    rmdir -- "${_asyncstack_directory%/*}" "${_asyncstack_directory%/*/*}" 2>/dev/null
    builtin exit 0
}

_asyncstack_serve() {
    local _asyncstack_request _asyncstack_time
    # $1 is the sequence number of the last command: a repeated one is done once.
    set -- 0
    # `until !`, because with `set -n` no condition is ever tried: `while` would turn for ever.
    until ! _asyncstack_await; do
        # shellcheck disable=SC2086
        builtin set -- "$1" $_asyncstack_request
        (($2 > $1)) || continue
        builtin set -- "${@:2}"
        # One end of a round trip, by which the controller compares our clock with its own. It goes
        # out with what is told next.
        _asyncstack_clock
        _asyncstack_held+=$'\036'$_asyncstack_nonce$'\037received\037'$1$'\037'$_asyncstack_time$'\n'
        case $2 in
        phase)
            if ((_asyncstack_errexit)); then builtin set -e; fi
            if ((_asyncstack_trace)); then builtin set -x; fi
            _asyncstack_phase "$1" "$3" "${4#-}" "${@:5}"
            { builtin set +xe; } 2>/dev/null
            ;;
        inspect) _asyncstack_inspect ;;
        repositories) _asyncstack_repositories ;;
        survey) _asyncstack_survey ;;
        verify) _asyncstack_verify ;;
        preflight) _asyncstack_preflight ;;
        prepare) _asyncstack_prepare ;;
        quit)
            builtin trap - EXIT
            # Who follows the journal clears up behind us once it was read: `some`, or `all` of it.
            [[ -z ${3:-} ]] || builtin printf '%s\n' "$3" >|"$_asyncstack_directory/forget"
            _asyncstack_emit "done" "$1"
            builtin exit 0
            ;;
        esac
        _asyncstack_emit "done" "$1"
        builtin set -- "$1"
    done
}

# Boot
# ----

_asyncstack_facts() {
    local os='' kernel='' memory='' line cpus=0
    while IFS= read -r line; do
        [[ $line == PRETTY_NAME=* ]] && os=${line#*=}
    done 2>/dev/null </etc/os-release
    read -r kernel 2>/dev/null </proc/sys/kernel/osrelease
    read -r _ memory _ 2>/dev/null </proc/meminfo
    # In /proc/stat, for /proc/cpuinfo would ask each of them for its frequency.
    while read -r line _; do
        [[ $line == cpu[0-9]* ]] && ((cpus += 1))
        [[ $line == cpu* ]] || break
    done 2>/dev/null </proc/stat
    _asyncstack_emit hello "$$" "$_asyncstack_directory" "$EPOCHREALTIME"
    _asyncstack_emit fact bash "$BASH_VERSION"
    _asyncstack_emit fact hostname "$HOSTNAME"
    _asyncstack_emit fact os "${os//\"/}"
    _asyncstack_emit fact kernel "$kernel"
    _asyncstack_emit fact cpus "$cpus"
    _asyncstack_emit fact memory_kib "$memory"
    _asyncstack_emit fact user "$USER"
    _asyncstack_emit fact launcher "$_asyncstack_launcher"
}

# stack.sh begins with a clean environment, and so must we; a virtual environment that asyncstack
# itself runs in is none of the plugins' business (stack.sh refuses to run in one).
_asyncstack_clean_environment() {
    local name
    for name in "${!OS_@}"; do
        unset "$name"
    done
    if [[ -n ${VIRTUAL_ENV:-} ]]; then
        PATH=:$PATH:
        PATH=${PATH//":$VIRTUAL_ENV/bin:"/:}
        PATH=${PATH#:} PATH=${PATH%:}
    fi
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT PYTHONHOME LANG LANGUAGE BASH_ENV
    export LC_ALL=C.UTF-8
    # Every login has it and plugins rely on that; a container's start command may not.
    export USER=${USER:-$(id -un)}
    PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
    umask 022
}

# Where a localrc can't be parsed nothing of it may run: half of a configuration is none.
_asyncstack_check_syntax() {
    local file text=() message
    for file in "$TOP_DIR/localrc" "$TOP_DIR/.localrc.auto"; do
        [[ -r $file ]] || continue
        # Inside of a function it is parsed and not run; inside of several things, so that no stray end of one
        # lets out what follows. Another shell is only for what this can't tell: what is wrong, and where.
        builtin mapfile -d '' -n 1 text <"$file"
        if ! { builtin eval "_asyncstack_parsed() { if :; then while :; do case x in x) :"$'\n'"${text[0]:-}"$'\n'';;
            esac; done; fi; }'; } 2>/dev/null &&
            ! message=$(exec "$BASH" -n "$file" 2>&1); then
            _asyncstack_emit localrc-syntax "$file" "$message"
            builtin exit 2
        fi
        break
    done
    unset -f _asyncstack_parsed
}

# _asyncstack_move_dest: --dest wins over localrc, for plugins that are registered already as well.
_asyncstack_move_dest() {
    local name
    if [[ -n $_asyncstack_dest && $DEST != "$_asyncstack_dest" ]]; then
        for name in "${!GITDIR[@]}"; do
            [[ ${GITDIR[$name]} == "$DEST/"* ]] &&
                GITDIR["$name"]=$_asyncstack_dest/${GITDIR[$name]#"$DEST/"}
        done
        DEST=$_asyncstack_dest
    fi
}

# _asyncstack_emit_secret NAME VALUE: as a whole, and by line, for who prints a key may do it
# unquoted; a long one in pieces, each of which is then hidden by itself.
_asyncstack_emit_secret() {
    local lines=() line
    builtin mapfile -t lines <<<"$2"
    for line in "${lines[@]}"; do
        while ((${#line} > 4000)); do
            _asyncstack_emit secret "$1" "${line:0:4000}"
            line=${line:4000}
        done
        _asyncstack_emit secret "$1" "$line"
    done
}

_asyncstack_report_boot() {
    local name
    for name in DEST DATA_DIR OFFLINE RECLONE ERROR_ON_CLONE GIT_DEPTH GIT_TIMEOUT STACK_USER \
        LOGDIR GIT_BASE TOP_DIR; do
        _asyncstack_emit variable "$name" "${!name:-}"
    done
    for name in $_asyncstack_secrets; do
        _asyncstack_emit_secret "$name" "${!name:-}"
    done
    for name in "${_asyncstack_plugins[@]}"; do
        _asyncstack_emit plugin "$name" "${GITREPO[$name]:-}" "${GITBRANCH[$name]:-}" \
            "${GITDIR[$name]:-}"
    done
}

# Plugins may redefine the library's functions (some do), but not these. (By name, for to ask bash for them takes
# half a millisecond; a test looks for one that is missing here.)
declare -fr _asyncstack_{await,await_packages,begin,check_dest,check_syntax,checkout,clean_environment,clock,emit,\
emit_secret,end,ends_with_login,facts,frames,inspect,is_at_head,move_dest,mute,name_of,\
on_error,on_exit,override_defaults,package_lock,packed,packs,phase,preflight,prepare,\
print,report_boot,repositories,restore,restore_options,run_extras,run_plugin,sample,\
serve,set_traps,settings,survey,survey_one,tell_end,verify}
declare -fr plugin_override_defaults load_plugin_settings run_plugins
_asyncstack_clean_environment
_asyncstack_facts
set -E
_asyncstack_set_traps
_asyncstack_check_syntax
# What stack.sh has, and plugins read.
# shellcheck disable=SC2034
FILES=$TOP_DIR/files
cd "$TOP_DIR" || exit 70
# shellcheck source=/dev/null
source "$TOP_DIR/functions"
GetDistro
# Not before override_defaults.
# shellcheck disable=SC2034
_asyncstack_services_later=1
# shellcheck source=/dev/null
source "$TOP_DIR/stackrc"
unset _asyncstack_services_later
_asyncstack_move_dest
# What a plugin finds after each of its neighbours: see _asyncstack_restore. Taken after localrc,
# which is the user's own and may want what it sets.
set +ex
declare -r _asyncstack_shellopts=$SHELLOPTS _asyncstack_bashopts=$BASHOPTS
umask >&252
read -r -u 252 _asyncstack_umask
IFS=$' \t\n'
set -f
# shellcheck disable=SC2206
_asyncstack_plugins=(${DEVSTACK_PLUGINS//,/ })
set +f
declare -A _asyncstack_gitdir
for _asyncstack_name in "${_asyncstack_plugins[@]}"; do
    _asyncstack_gitdir[$_asyncstack_name]=${GITDIR[$_asyncstack_name]:-}
done
unset _asyncstack_name
_asyncstack_report_boot
_asyncstack_serving=1
declare -r _asyncstack_umask _asyncstack_plugins _asyncstack_gitdir _asyncstack_serving
declare -r _asyncstack_gitdirs=${#GITDIR[@]}
exec </dev/null 1>&250 2>&250 3>&250 6>&250
_asyncstack_set_traps
_asyncstack_emit "done" 0
_asyncstack_serve
