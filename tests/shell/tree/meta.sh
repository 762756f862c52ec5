# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

sample() {
    cat >local.conf <<'END'
[[local|localrc]]
A=1
if [[ $A ]]; then
    B="[x]"
fi

[[post-config|one.conf]]
[default]
# comment
#log = no
log=/etc/log
words = do not disturb

[aaa]
list = x
list = $VALUE
list = last
drivers = driver=python.path
[[post-config|$DIR/two.conf]]
[fff]
type=new

[[post-extra|three.conf]]
[DEFAULT]
url = http://h:80/?a=1&b=2
[[post-config|one.conf]]
[default]
more = 1
[[post-config|$UNDEFINED]]
[x]
y = 1
END
    VALUE="the value" DIR=$PWD/made
}

case_sections() {
    sample
    is "$(get_meta_section_files local.conf post-config)" $'one.conf\n$DIR/two.conf\none.conf\n$UNDEFINED'
    is "$(get_meta_section_files local.conf none)" ""
    is "$(get_meta_section_files none.conf post-config)" ""
    is "$(get_meta_section local.conf post-config '$DIR/two.conf')" $'[fff]\ntype=new'
    is "$(get_meta_section local.conf local none)" ""
    extract_localrc_section local.conf localrc .auto
    file_is .auto $'# Generated file, do not edit\nA=1\nif [[ $A ]]; then\n    B="[x]"\nfi\n\n'
    : >localrc
    has "$(extract_localrc_section local.conf localrc .other)" "using localrc"
    no test -e .other
}

case_merge_group() {
    sample
    printf '[aaa]\n# old\ndrivers = old\nlist = gone\n' >one.conf
    merge_config_group local.conf post-config >output
    file_is one.conf '[aaa]
list = x
list = the value
list = last
# old
drivers = driver=python.path

[default]
more = 1
log = /etc/log
words = do not disturb
'
    file_is made/two.conf $'\n[fff]\ntype = new\n'
    has "$(<output)" "unknown config file specification: \$UNDEFINED is undefined"
    no test -e three.conf
    merge_config_group local.conf "post-extra none"
    is "$(iniget three.conf DEFAULT url)" "http://h:80/?a=1&b=2"
    merge_config_group none.conf post-extra
}

case_values_are_expanded_as_in_double_quotes() {
    local value expected
    A=expanded
    while IFS='@' read -r value expected; do
        printf '[[g|f.conf]]\n[s]\nv = %s\n' "$value" >local.conf
        rm -f f.conf
        merge_config_group local.conf g 2>errors
        is "$(iniget f.conf s v)" "$expected" "$value"
    done <<'LIST'
plain@plain
$A/x@expanded/x
${A}@expanded
$(echo run)@run
"quoted"@quoted
"a" or "b"@"a" or "b"
{"a": ["$A"]}@{"a": ["expanded"]}
\$A@$A
\\$A@$A
\\\$A@$A
\\$(tenant_id)s@$(tenant_id)s
\\\\$A@\expanded
$(echo "$A" "(x)")@expanded (x)
`echo "$A"`@expanded
{"a": "$(echo "x")", "b": "\\$(c)"}@{"a": "x", "b": "$(c)"}
a\b@a\b
a\\b@a\b
end\@end\
x;touch pwned@x;touch pwned
* & | > < ( )@* & | > < ( )
%(x)s@%(x)s
${bad sub}@${bad sub}
#none@#none
a = b@a = b
LIST
    no test -e pwned
}

case_names_are_expanded_too() {
    A=expanded
    printf '[[g|f.conf]]\n[of $A]\n$A = 1\n$A = 2\nb = 3\n' >local.conf
    merge_config_group local.conf g
    file_is f.conf $'\n[of expanded]\nexpanded = 1\nexpanded = 2\nb = 3\n'
}

case_lines_that_are_none() {
    printf '[[g|f.conf]]\nbare = 1\n[s]\n indented = 1\nword\n  # c\nok = 1\n' >local.conf
    merge_config_group local.conf g
    file_is f.conf $'\n[s]\nword = \nok = 1\n'
}

case_a_file_where_a_directory_should_be() {
    : >plain
    printf '[[g|plain/f.conf]]\n[s]\na = 1\n' >local.conf
    (merge_config_group local.conf g) 2>errors >&2 && is merge "a failure"
    has "$(<errors)" "bogus config file specification"
}
