# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2329,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/inc/ini-config"

sample() {
    allow_sudo
    printf '%s\n' '# a comment' '[default]' '#log = no' 'log=/etc/log' 'words=do not disturb' '' \
        '[aaa]' '# stays' 'handlers = aa, bb' '' '[ ccc ]' 'spaces  =  yes' '[ddd]' 'empty =' \
        '[eee]' 'multi = foo1' 'multi = foo2' 'other key = something' >f.ini
}

case_get() {
    sample
    is "$(iniget f.ini aaa handlers)" "aa, bb"
    is "$(iniget f.ini default words)" "do not disturb"
    is "$(iniget f.ini ' ccc ' spaces)" yes
    is "$(iniget f.ini ddd empty)" ""
    is "$(iniget f.ini eee 'other key')" something
    is "$(iniget f.ini none handlers)" ""
    is "$(iniget f.ini aaa log)" "" "an option of another section"
    is "$(iniget_multiline f.ini eee multi)" "foo1 foo2"
    is "$(iniget f.ini eee multi)" "foo1 multi = foo2"
    is "$(iniget_sections f.ini)" "default aaa ccc ddd eee"
    is "$(iniget none.ini a b 2>/dev/null)" ""
}

case_has_option() {
    sample
    ok ini_has_option f.ini ddd empty
    ok ini_has_option -sudo f.ini aaa handlers
    no ini_has_option f.ini aaa log
    no ini_has_option f.ini default '#log'x
    no ini_has_option none.ini a b 2>/dev/null
}

# What DevStack's functions do, where a sed fails in their middle.
case_a_file_that_is_not_there_is_an_error_under_errexit_only() {
    local call under="source '$TREE/inc/ini-config'; set -o errexit"
    allow_sudo
    for call in 'iniget none.ini a b' 'iniget_multiline none.ini a b' 'iniadd_literal none.ini a b c' \
        'inidelete none.ini a b' 'inidelete -sudo none.ini a b' 'inicomment none.ini a b' \
        'iniuncomment none.ini a b'; do
        ok eval "$call >printed 2>complaint"
        has "$(<complaint)" "can't read none.ini"
        ok bash --norc -c "$under; if $call; then echo it went on; fi" >/dev/null 2>&1
        is "$(bash --norc -c "$under; $call; echo it went on" 2>/dev/null)" "" "$call"
        is "$(bash --norc -c "$under; $call" 2>/dev/null || echo $?)" 2 "$call"
        [[ ! -e none.ini ]] || is "$call" "makes no file"
    done
}

case_set_replaces_in_place_and_keeps_all_else() {
    sample
    iniset f.ini aaa handlers "11, 22"
    iniset f.ini ' ccc ' spaces no
    iniset f.ini ddd empty 42
    iniset f.ini default fresh 1
    file_is f.ini "# a comment
[default]
fresh = 1
#log = no
log=/etc/log
words=do not disturb

[aaa]
# stays
handlers = 11, 22

[ ccc ]
spaces  =  no
[ddd]
empty =42
[eee]
multi = foo1
multi = foo2
other key = something
"
}

case_set_makes_file_and_section() {
    allow_sudo
    iniset new.ini first a 1
    iniset new.ini second b 2
    file_is new.ini $'\n[first]\na = 1\n\n[second]\nb = 2\n'
    iniset -sudo sub.ini first a 1
    file_is sub.ini $'\n[first]\na = 1\n'
    printf '[a]\nx=1' >cut.ini
    iniset cut.ini b y 2
    file_is cut.ini $'[a]\nx=1\n[b]\ny = 2\n'
    no iniset nowhere/x.ini a b c 2>/dev/null
}

case_set_without_its_arguments_changes_nothing() {
    sample
    cp f.ini before
    iniset f.ini aaa
    iniset f.ini
    inidelete f.ini aaa
    iniadd_literal f.ini aaa
    ok cmp f.ini before
}

case_odd_values_come_back() {
    local value
    for value in '&y' 'foo\bar' 'foo\bar&baz' 'a|b' '*' '/etc/*' '$HOME `id` "x" '"'y'" '[z]' ']' '[' \
        'a=b' '-n' '\1\n' '%(x)s' '#c' 'ä→' '!' '~' 'x#y;z' '{"a": ["b"]}' '^.*$' $'\x01' '(a|b)+?'; do
        iniset f.ini s key "$value"
        is "$(iniget f.ini s key)" "$value"
        iniset f.ini s key "$value"
        file_is f.ini $'\n[s]\nkey = '"$value"$'\n'
    done
    iniset f.ini s key $'  two  \t blanks  '
    is "$(iniget f.ini s key)" "two blanks" "folded as in DevStack"
    iniset f.ini s key $'two\nlines'
    is "$(iniget f.ini s key)" "two lines" "an option is one line"
}

case_odd_names_are_taken_literally() {
    local name
    for name in 'a.c' 'a*' 'x[1]' 'a+b' 'p|q' '$x' '\d' 'key with space' '^a' '(b)'; do
        printf '[abc]\nabc = 1\n' >f.ini
        iniset f.ini "$name" "$name" one
        iniset f.ini "$name" "$name" two
        is "$(iniget f.ini "$name" "$name")" two "$name"
        inicomment f.ini "$name" "$name"
        no ini_has_option f.ini "$name" "$name"
        iniuncomment f.ini "$name" "$name"
        inidelete f.ini "$name" "$name"
        file_is f.ini $'[abc]\nabc = 1\n\n['"$name"$']\n'
    done
}

case_comment_and_uncomment() {
    sample
    inicomment f.ini aaa handlers
    is "$(iniget f.ini aaa handlers)" ""
    has "$(<f.ini)" $'# stays\n#handlers = aa, bb'
    iniuncomment f.ini aaa handlers
    iniuncomment f.ini default log
    is "$(iniget f.ini aaa handlers)" "aa, bb"
    is "$(iniget_multiline f.ini default log)" "no /etc/log"
    printf '[a]\n  #  x = 1\n## x = 2\nword#x=3\n# not x = 4\n' >u.ini
    iniuncomment u.ini a x
    file_is u.ini $'[a]\n  x = 1\nx = 2\nx=3\n# not x = 4\n'
}

case_multiline() {
    sample
    iniset_multiline f.ini eee multi bar1 bar2
    is "$(iniget_multiline f.ini eee multi)" "bar1 bar2"
    iniadd f.ini eee multi bar3
    is "$(iniget_multiline f.ini eee multi)" "bar1 bar2 bar3"
    iniadd f.ini eee fresh one two
    is "$(iniget_multiline f.ini eee fresh)" "one two"
    iniset_multiline -sudo f.ini newsec multi a b
    is "$(iniget_multiline f.ini newsec multi)" "a b"
    iniadd_literal f.ini newsec multi 'with  blanks & \x'
    has "$(<f.ini)" $'[newsec]\nmulti = with  blanks & \\x\nmulti = a'
    iniset f.ini newsec multi same
    is "$(iniget_multiline f.ini newsec multi)" "same same same"
    iniset_multiline f.ini newsec multi
    no ini_has_option f.ini newsec multi
}

case_delete() {
    printf '[one]\na=b\nb=c\n[two]\na=1\na=2\n[three]\nb=c\nab=1\n[four]\n' >f.ini
    local section
    for section in one two three four five; do
        inidelete f.ini "$section" a
        is "$(iniget_multiline f.ini "$section" a)" ""
    done
    file_is f.ini $'[one]\nb=c\n[two]\n[three]\nb=c\nab=1\n[four]\n'
}

case_values_with_brackets_are_no_sections() {
    printf '[a]\nlist = [1, 2]\n  [indented]\nlast = [x\n[b] # text\nlast = y\n' >f.ini
    is "$(iniget_sections f.ini)" "a b # text"
    is "$(iniget f.ini a last)" "[x"
    iniset f.ini a last '[z]'
    is "$(iniget f.ini a last)$(iniget f.ini b last)" "[z]y"
    no ini_has_option f.ini indented last
}

case_sections_of_the_same_name() {
    printf '[a]\nx = 1\n[b]\n[a]\nx = 2\n[c]\n' >f.ini
    iniset f.ini a x 3
    is "$(iniget_multiline f.ini a x)" "3 3"
    iniset f.ini a y 4
    file_is f.ini $'[a]\ny = 4\nx = 3\n[b]\n[a]\ny = 4\nx = 3\n[c]\n'
}

case_bytes_that_are_no_text() {
    printf '[a]\n# \xff\xfe caf\xe9\nx = \xe9\n' >f.ini
    iniset f.ini a y 1
    is "$(od -An -tx1 f.ini | tr -d ' \n')" \
        "$(printf '[a]\ny = 1\n# \xff\xfe caf\xe9\nx = \xe9\n' | od -An -tx1 | tr -d ' \n')"
    printf '[a]\n\x01x = 1\n#\x7f\n[b]\n\x01y = [\x7f]\nz = 1\n' >f.ini
    iniset f.ini b z 2
    iniset f.ini a new '[1]'
    inicomment f.ini a new
    iniadd f.ini b many $'\x01' $'\x7f'
    inidelete f.ini b z
    is "$(od -An -tx1 f.ini | tr -d ' \n')" \
        "$(printf '[a]\n#new = [1]\n\x01x = 1\n#\x7f\n[b]\nmany = \x01\nmany = \x7f\n\x01y = [\x7f]\n' |
            od -An -tx1 | tr -d ' \n')"
}

case_two_thousand_lines() {
    local i
    for ((i = 0; i < 2000; i++)); do
        ((i % 200)) || echo "[section$i]"
        echo "option_$i = value $i"
    done >f.ini
    iniset f.ini section1800 option_1999 changed
    iniset f.ini section0 option_0 'a much longer value than before'
    iniset f.ini section1000 fresh 1
    is "$(iniget f.ini section1800 option_1999)" changed
    is "$(wc -l <f.ini)" 2011
    is "$(grep -c '^option_[0-9]* = value [0-9]*$' f.ini)" 1998
}

case_links_owner_and_mode_survive() {
    printf '[a]\nx = 1\n' >real.ini
    chmod 640 real.ini
    ln -s real.ini soft.ini
    ln real.ini hard.ini
    iniset soft.ini a x 'longer than before'
    iniset soft.ini a x 1
    inidelete soft.ini a x
    ok test -L soft.ini
    ok test real.ini -ef hard.ini
    is "$(stat -c %a real.ini)" 640
    file_is hard.ini $'[a]\n'
}

case_a_file_that_is_only_replaceable_is_replaced() {
    ((EUID == 0)) && return 0 # root may write everything
    printf '[a]\nx = 1\n' >f.ini
    chmod 444 f.ini
    iniset f.ini a x 2
    file_is f.ini $'[a]\nx = 2\n'
    is "$(stat -c %a f.ini)" 444
}

# The kernel refuses to let the file grow, as a full disk does; the old text must be what remains.
case_no_space_left() {
    local i
    for ((i = 0; i < 200; i++)); do echo "[section$i]"; echo "x = 1"; done >f.ini
    cp f.ini before
    if (
        trap '' XFSZ
        ulimit -f $(($(stat -c %s f.ini) / 1024 + 1))
        iniset f.ini section0 fresh "$(printf '%04000d' 0)"
    ) 2>errors; then
        is "iniset" "a failure"
    fi
    has "$(<errors)" "can't write f.ini"
    ok cmp f.ini before
}

case_nothing_is_written_where_nothing_changes() {
    sample
    touch -d '2001-01-01' f.ini
    inidelete f.ini aaa none
    inicomment f.ini none x
    is "$(stat -c %Y f.ini)" "$(date -d 2001-01-01 +%s)"
}

case_localconf_set() {
    allow_sudo
    printf '%s\n' '[[local|localrc]]' 'A=1' 'B = 2' '' '[[post-config|/etc/x.conf]]' '[one]' 'o=1' \
        '[two]' 'o=2' >local.conf
    localconf_set local.conf local localrc "" A 3
    localrc_set local.conf C 4
    localconf_set local.conf post-config /etc/x.conf two o 5
    localconf_set local.conf post-config /etc/x.conf one p 6
    localconf_set -sudo local.conf post-config /etc/x.conf three q 7
    localconf_set local.conf post-extra /etc/y.conf s r 8
    file_is local.conf '[[local|localrc]]
C=4
A=3
B = 2

[[post-config|/etc/x.conf]]
[three]
q=7
[one]
p=6
o=1
[two]
o=5

[[post-extra|/etc/y.conf]]
[s]
r=8
'
    ok localconf_has_section local.conf post-config /etc/x.conf one
    no localconf_has_section local.conf post-install /etc/x.conf one
    ok localconf_has_option local.conf local localrc "" B
    no localconf_has_option local.conf post-config /etc/x.conf one q
}

# Sections beyond a size are changed in another way than short ones.
case_long_sections_among_others() {
    # With the bytes that mean something to bash itself.
    local i before=$'\001 = \177\n' after='' first=$'# comment \001\177\n[first]\nopt_700 = other\n\n[long]\n'
    for ((i = 0; i < 700; i++)); do before+="opt_$i = value $i"$'\n'; done
    for ((i = 701; i < 1400; i++)); do after+="opt_$i = value $i"$'\n'; done
    after+=$'\n[last]\nopt_700 = other\n[more]\n[and]\n[some]\nx=1\177\001\n'
    printf %s "$first${before}opt_700 = 1"$'\n'"$after" >f.ini
    for i in 2 "much longer than it was" short ''; do
        iniset f.ini long opt_700 "$i"
        is "$(iniget f.ini long opt_700)" "$i"
        file_is f.ini "$first${before}opt_700 = $i"$'\n'"$after"
    done
    iniset f.ini long opt_0 ''
    before=${before/opt_0 = value 0/opt_0 = }
    file_is f.ini "$first${before}opt_700 = "$'\n'"$after"
    inidelete f.ini long opt_700
    file_is f.ini "$first$before$after"
    iniset f.ini long opt_700 new
    file_is f.ini "${first}opt_700 = new"$'\n'"$before$after"
    iniset f.ini first opt_700 longer-than-before
    first=${first/other/longer-than-before}
    file_is f.ini "${first}opt_700 = new"$'\n'"$before$after"
    printf '[long]\n%sopt_5 = again\n' "$before" >g.ini
    iniset g.ini long opt_5 both
    is "$(iniget_multiline g.ini long opt_5)" "both both" "an option that comes twice"
}

case_the_separator_of_the_search_in_a_file() {
    printf '[a]\n[\035b]\n[\035]\n[c\035d]\n[e]\nx = 1\n[f]\nx = 2\n' >f.ini
    is "$(iniget f.ini e x)" 1
    iniset f.ini f x 3
    file_is f.ini $'[a]\n[\035b]\n[\035]\n[c\035d]\n[e]\nx = 1\n[f]\nx = 3\n'
}

case_an_empty_file() {
    : >f.ini
    is "$(iniget f.ini a b)" ""
    inidelete f.ini a b
    iniuncomment f.ini a b
    iniset f.ini a b c
    file_is f.ini $'\n[a]\nb = c\n'
}

case_what_a_kill_has_cut_is_put_back() {
    local text='' i
    for ((i = 0; i < 50; i++)); do text+="opt_$i = value"$'\n'; done
    printf '[a]\nlong = a long value\n%s' "$text" >f.ini
    mkdir -p nodes/run/node
    # As the driver has it, and killed where the file is truncated and not yet written.
    (
        _asyncstack_directory=$PWD/nodes/run/node
        source "$TREE/inc/ini-config"
        eval "real$(declare -f _asyncstack_ini_print)"
        _asyncstack_ini_print() {
            if [[ /proc/self/fd/1 -ef f.ini ]]; then
                printf %s "${text:0:20}"
                kill -KILL "$BASHPID"
            fi
            real_asyncstack_ini_print
        }
        iniset f.ini a long short
    ) || :
    file_is f.ini $'[a]\nlong = short\nopt'
    (
        _asyncstack_directory=$PWD/nodes/next/node
        source "$TREE/inc/ini-config"
    )
    file_is f.ini "[a]"$'\n'"long = short"$'\n'"$text"
    has "$(events)" "warning|ini-rescued|$PWD/f.ini was cut"
    # Once; and what is not the beginning of that text is somebody else's.
    printf '[a]\n' >f.ini
    (
        _asyncstack_directory=$PWD/nodes/next/node
        source "$TREE/inc/ini-config"
        iniset f.ini a b long
        iniset f.ini a b s
        is "$(iniget f.ini a b)" s
    )
    file_is f.ini $'[a]\nb = s\n'
}

case_a_file_whose_directory_is_not_there() {
    local status f
    # shellcheck source=/dev/null
    source "$TREE/functions-common"
    for f in /etc/neutron/no-such/x.ini no/such/y.ini; do
        status=0
        iniset "$f" a b c 2>errors || status=$?
        is "$status" 1
        has "$(<errors)" "can't write $f: there is no directory ${f%/*}"
    done
    no grep -q DevStack errors
    has "$(events)" "warning|no-directory|can't write /etc/neutron/no-such/x.ini: there is no directory /etc/neutron/no-such, which DevStack's lib/neutron makes; run with --devstack DIR|"
    iniset here.ini a b c
    iniset ./there.ini a b c
    is "$(<there.ini)" "$(<here.ini)"
}
