# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"
DEST=/dest

case_register() {
    enable_plugin one https://example.org/one
    enable_plugin two https://example.org/two refs/changes/1/1/1
    is "$DEVSTACK_PLUGINS" ,one,two
    is "${GITREPO[two]} ${GITDIR[two]} ${GITBRANCH[two]}" "https://example.org/two /dest/two refs/changes/1/1/1"
    is "${GITBRANCH[one]}" master
    ok is_plugin_enabled one
    no is_plugin_enabled on
    no is_plugin_enabled 'one,two.'
    has "$(events)" "register|one|https://example.org/one|master|/dest/one|"
    has "$(events)" "plugins.sh|8"
}

case_twice_is_an_error() {
    enable_plugin one https://example.org/one
    (enable_plugin one https://example.org/other) >output 2>&1 && is twice "an error"
    has "$(<output)" "Plugin attempted to be enabled twice: one https://example.org/other master"
    has "$(events)" "die|Plugin attempted to be enabled twice"
}

# Whatever is wrong with it, the controller must get it whole, and bash must not run it.
case_odd_names() {
    local name
    for name in 'a b' '../up' '-x' '$(touch pwned)' 'a]b' '*' '@' 'a;b' '`touch pwned`' "q'q" ''; do
        enable_plugin "$name" "u r l" "-r"
        has "$(events)" "register|$name|u r l|-r|/dest/$name|"
    done
    enable_plugin nothing
    has "$(events)" "register|nothing||master|"
    no test -e pwned
    is "${GITREPO['a b']}" "u r l"
}

case_declarations() {
    define_plugin me
    plugin_requires me other
    has "$(events)" "defines|me|"
    has "$(events)" "requires|me|other|"
}

case_a_plugin_that_is_a_library_as_well() {
    GIT_BASE=https://g TARGET_BRANCH=stable BRANCHLESS_TARGET_BRANCH=master
    enable_plugin osprofiler https://example.org/mine mine
    # shellcheck source=/dev/null
    source "$TREE/inc/repositories"
    is "${GITREPO[osprofiler]} ${GITBRANCH[osprofiler]}" "https://example.org/mine mine"
    is "${GITREPO[oslo.log]} ${GITBRANCH[oslo.log]}" "https://g/openstack/oslo.log.git stable"
    OSPROFILER_REPO=https://example.org/named OSPROFILER_BRANCH=named
    # shellcheck source=/dev/null
    source "$TREE/inc/repositories"
    is "${GITREPO[osprofiler]} ${GITBRANCH[osprofiler]}" "https://example.org/named named"
}
