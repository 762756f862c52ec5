# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

# sort -V is what DevStack asks.
case_vercmp_agrees_with_sort() {
    local -a pieces=(0 1 9 10 007 a b rc Z . - + '~' _ .dev .tar .gz 1a)
    local i j k a b first order=
    RANDOM=7
    for ((i = 0; i < 400; i++)); do
        a=$((i % 3)) b=$((i % 3)) # no version begins with a dot, which sort takes for a hidden file
        for ((j = 0; j < 4; j++)); do
            k=$((RANDOM % ${#pieces[@]})) a+=${pieces[k]}
            k=$((RANDOM % ${#pieces[@]})) b+=${pieces[RANDOM % 3 ? k : RANDOM % ${#pieces[@]}]}
        done
        printf '%s\n%s\n' "$a" "$b" >>pairs
    done
    while read -r a && read -r b; do
        first=$(printf '%s\n%s\n' "$a" "$b" | LC_ALL=C sort -V | head -1)
        if [[ $a == "$b" ]]; then order="=="; elif [[ $first == "$a" ]]; then order="<"; else order=">"; fi
        ok vercmp "$a" "$order" "$b"
    done < <(head -200 pairs)
}
