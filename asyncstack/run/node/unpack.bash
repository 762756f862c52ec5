# shellcheck shell=bash
# Give a node the files of an archive that comes on stdin. Nothing is where it belongs before all of it
# is here: it is unpacked in a directory of ours on the same file system, then renamed file by file.
#
# DO SIZE NAME TRY FOLDER OWNER MODE TAR-OPTION, and for each path three words: where it belongs below
# FOLDER; that as tar's --transform is to write it; what the archive calls it, as a regular expression.
# DO is `unpack`, which does `place` as well. OWNER, MODE and TAR-OPTION may be empty. A newline comes
# behind SIZE bytes of archive.
set -euo pipefail
shopt -s nullglob dotglob
export LC_ALL=C
do=$1 size=$2 name=$3 try=$4 folder=$5 owner=$6 mode=$7 option=$8
paths=("${@:9}")
stages=()
trap 'rm -rf -- "${stages[@]}"' EXIT
cd -- "$folder"
# A file that is renamed keeps the label of where it was made.
label=()
[[ ! -e /sys/fs/selinux/enforce ]] || label=(-Z)

is_folder() {
    [[ -d $1 && ! -L $1 ]]
}

unpack() {
    local number place target old stage transforms=()
    for ((number = 0; number < ${#paths[@]}; number += 3)); do
        place=${paths[number]} target=${paths[number + 1]}
        # Within a directory that is there, for it may be a file system of its own.
        is_folder "$place" || place=${place%/*} target=${target%/*}
        stage=$place/$name.$try
        # What a try has left that was cut off, and had no time to clean up.
        for old in "$place/$name".*; do
            [[ $old == "$stage" ]] || rm -rf -- "$old"
        done
        mkdir -p -- "$place"
        stages+=("$stage")
        [[ -d $stage ]] || mkdir -m 0700 -- "$stage"
        transforms+=("--transform=s,^${paths[number + 2]}(/|\$),$target/$name.$try/$number\\1,xS")
    done
    head -c "$size" | tar ${option:+"$option"} -xpf - "${transforms[@]}"
    # To tar an archive may end wherever a file does.
    read -r || {
        echo "the archive was cut off" >&2
        exit 1
    }
}

# What FROM is becomes TO. A directory that is there keeps what else is in it.
move() {
    local from=$1 to=$2 entry files=()
    if ! is_folder "$from" || ! is_folder "$to"; then
        if is_folder "$from"; then rm -f -- "$to"; fi
        mv -fT "${label[@]}" -- "$from" "$to"
        return
    fi
    for entry in "$from"/*; do
        if is_folder "$entry" || is_folder "$to/${entry##*/}"; then
            move "$entry" "$to/${entry##*/}"
        else
            files+=("$entry")
        fi
    done
    ((${#files[@]} == 0)) || printf '%s\0' "${files[@]}" | xargs -0 mv -f "${label[@]}" -t "$to" --
    ((EUID)) || [[ $option && ! $owner ]] || chown --reference="$from" -- "$to"
    chmod --reference="$from" -- "$to"
}

place() {
    local number place stage from
    for ((number = 0; number < ${#paths[@]}; number += 3)); do
        place=${paths[number]}
        for stage in "$place/$name.$try" "${place%/*}/$name.$try"; do
            from=$stage/$number
            [[ -e $from || -L $from ]] || continue
            stages+=("$stage")
            [[ ! $owner ]] || chown -R -- "$owner" "$from"
            # Of the files; a directory that nobody may enter would help nobody.
            [[ ! $mode ]] || find "$from" -type f -exec chmod -- "$mode" {} +
            move "$from" "$place"
            break
        done
    done
}

if [[ $do == place ]]; then
    place
    exit
fi
unpack
if [[ $owner ]] && ((EUID)); then
    # Who gives a file away can't move it any more.
    sudo -n bash -c "$BASH_EXECUTION_STRING" bash place "${@:2}"
else
    place
fi
