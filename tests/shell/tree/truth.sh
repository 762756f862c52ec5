# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

case_trueorfalse() {
    local default value
    for default in True False; do
        for value in 1 yes Yes YES true True TRUE; do is "$(trueorfalse "$default" value)" True; done
        for value in 0 no No NO false False FALSE; do is "$(trueorfalse "$default" value)" False; done
        for value in '' 2 yEs tRUE on '1 '; do is "$(trueorfalse "$default" value)" "$default"; done
        is "$(trueorfalse "$default" unset_variable)" "$default"
    done
    local empty= output
    output=$(trueorfalse False ${empty:+x} 2>&1) && is "no variable" "an error"
    has "$output" "variable to normalize required"
}

case_bool_to_int() {
    is "$(bool_to_int True)$(bool_to_int False)$(bool_to_int other)" 100
    no eval '(bool_to_int "") >/dev/null 2>&1'
}

case_isset_and_is_set() {
    local empty= full=x
    ok isset empty
    ok isset full
    no isset nothing
    no is_set empty
    no is_set nothing
    ok is_set full
}

case_vercmp() {
    local a op b truth
    while read -r a op b truth; do
        if vercmp "$a" "$op" "$b"; then is yes "$truth" "$a $op $b"; else is no "$truth" "$a $op $b"; fi
    done <<'LIST'
2.0 > 1.0 yes
1.0 > 1.0 no
1.0 >= 1.0 yes
0.9a.9 >= 1.0.1 no
1.0.1b > 1.0.1a yes
2.0-rc3 > 2.0-rc1 yes
1.10 > 1.9 yes
1.0 < 1.0.1 yes
a < b yes
1.0 == 1.0 yes
1.0 == 1.00 no
10 <= 9 no
1.0~rc1 < 1.0 yes
LIST
    no eval '(vercmp 1 "=" 1) >/dev/null 2>&1'
}
