# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

# as DISTRIBUTION: a machine of that kind, whose package manager only notes what it is asked
as() {
    case $1 in
        debian) printf 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n' ;;
        centos) printf 'NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION="9"\nVERSION_ID="9"\n' ;;
        ubuntu) printf 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n' ;;
    esac >os-release
    _asyncstack_os_release=$PWD/os-release
    unset os_VENDOR os_PACKAGE DISTRO
    GetDistro
    fake apt-get "${2:-}"
    fake dnf "${2:-}"
    allow_sudo
    # `bash` and `dpkg` are there, in version 5.2; nothing else is.
    fake dpkg-query 'for x; do case $x in bash|dpkg) printf "ii \t%s\t5.2-1\n" "$x" ;; esac; done'
    fake rpm 'for x; do case $x in bash) printf "bash 5.2\n" ;; esac; done; [[ "$*" != *quiet* ]]'
}

case_install() {
    as debian
    install_package one two
    is "$(calls | grep -c '^apt-get.* update$')" 1
    has "$(calls)" "--assume-yes install one two"
    install_package three
    is "$(calls | grep -c '^apt-get.* update$')" 1 "the lists are fetched once a run"
    uninstall_package one
    has "$(calls)" "--assume-yes purge one"
    OFFLINE=True
    rm calls
    install_package four
    is "$(calls)" ""
    OFFLINE=False
    as centos
    install_package one two
    has "$(calls)" "dnf install -y one two"
}

case_install_tries_again_with_fresh_lists() {
    as debian '[[ "$*" != *install* ]] || { test -e tried || { touch tried; exit 100; }; }'
    ok install_package one
    is "$(calls | grep -c '^apt-get.*update')$(calls | grep -c '^apt-get.*install')" 22
    as debian '[[ "$*" != *install* ]]'
    no install_package one
}

case_lists() {
    as debian
    FILES=$PWD/files
    mkdir -p files/debs
    printf '%s\n' 'one # comment' 'two # dist:bookworm,noble' 'three # dist:noble' 'four # not:bookworm' \
        'five # not:noble' '# only a comment' '' 'six # NOPRIME' 'seven eight' 'nine # testonly dist:BOOKWORM' \
        >files/debs/svc
    is "$(get_packages svc | tr '\n' ' ')" "one two five seven eight nine "
    is "$(_parse_package_files files/debs/svc | tr '\n' ' ')" "one two five seven eight nine "
    echo of-nova >files/debs/nova
    is "$(get_packages n-api,n-cpu | tr '\n' ' ')" "of-nova "
    no eval '(get_packages one two) >/dev/null 2>&1'
    is "$(_get_package_dir)" "$PWD/files/debs"
    as centos
    is "$(_get_package_dir /x)" "/x/rpms"
}

case_bindep() {
    as debian
    cat >bindep.txt <<'END'
# comment
always
deb [platform:dpkg]
rpm [platform:rpm]
not-rpm [!platform:rpm]
test-only [test]
deb-test [platform:dpkg test]
default-one [default]
not-test [!test]
both [(platform:dpkg platform:debian)]
neither [(platform:dpkg platform:ubuntu)]
either [platform:ubuntu platform:debian]
release [platform:debian-bookworm]
bash [platform:dpkg] >=5.0
dpkg >=9
old-style >=1.0,<2
END
    local -a list=()
    local -A versions=()
    _asyncstack_parse_bindep bindep.txt list versions
    is "${list[*]}" \
        "always deb not-rpm default-one not-test both either release bash dpkg old-style"
    is "${versions[old-style]}" ">=1.0,<2"
    list=()
    _asyncstack_parse_bindep bindep.txt list versions test
    is "${list[*]}" "always deb not-rpm test-only deb-test both either release bash dpkg old-style"
    as centos
    list=()
    _asyncstack_parse_bindep bindep.txt list versions
    is "${list[*]}" "always rpm default-one not-test dpkg old-style"
    as debian
    install_bindep bindep.txt
    has "$(calls)" "install always deb not-rpm default-one not-test both either release dpkg old-style"
}

case_one_transaction_for_all_plugins() {
    as debian
    DEST=$PWD/dest
    enable_plugin one url
    enable_plugin two url
    enable_plugin three url
    mkdir -p dest/{one,two}/devstack/files/debs
    printf 'alpha\nbash\n' >dest/one/devstack/files/debs/one
    printf 'ignored\n' >dest/one/devstack/files/debs/other-name
    printf 'beta\nalpha\n' >dest/two/devstack/files/bindep.txt
    _asyncstack_prerequisites >output
    is "${_asyncstack_skip_reason:-}" ""
    is "$(calls | grep -c '^apt-get.* install ')" 1
    has "$(calls)" "install alpha beta"
    has "$(<output)" "beta: for two ($PWD/dest/two/devstack/files/bindep.txt)"
}

case_nothing_to_install_is_skipped() {
    as debian
    DEST=$PWD/dest
    enable_plugin one url
    _asyncstack_prerequisites
    is "$_asyncstack_skip_reason" "no plugin asks for system packages"
    mkdir -p dest/one/devstack/files/debs
    echo bash >dest/one/devstack/files/debs/one
    _asyncstack_prerequisites
    is "$_asyncstack_skip_reason" "all 1 system packages are installed"
    echo absent >>dest/one/devstack/files/debs/one
    OFFLINE=True
    _asyncstack_prerequisites
    is "$_asyncstack_skip_reason" "OFFLINE is set; not installed: absent"
    is "$(calls | grep -c '^apt-get')" 0
}

case_failure_names_package_and_plugin() {
    as debian 'exit 100'
    fake apt-cache 'echo "absent:"; echo "  Candidate: (none)"'
    NO_UPDATE_REPOS=True
    DEST=$PWD/dest
    enable_plugin one url
    mkdir -p dest/one/devstack/files/debs
    printf 'absent\nbash\n' >dest/one/devstack/files/debs/one
    (_asyncstack_prerequisites) >output 2>errors && is prerequisites "a failure"
    has "$(<errors)" "absent, for one ($PWD/dest/one/devstack/files/debs/one): this distribution (bookworm) has no such package"
}

case_plugin_packages() {
    as ubuntu
    DEST=$PWD/dest
    enable_plugin one url
    mkdir -p dest/one/devstack/files/debs
    printf 'a\nb # dist:noble\nc # dist:jammy\n' >dest/one/devstack/files/debs/one
    is "$(get_plugin_packages | tr '\n' ' ')" "a b "
}
