# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

distribution() {
    printf '%s\n' "$@" >os-release
    _asyncstack_os_release=$PWD/os-release
    unset os_VENDOR os_PACKAGE os_RELEASE os_CODENAME DISTRO
    GetDistro
    seen="$os_VENDOR $os_RELEASE $os_CODENAME $os_PACKAGE $DISTRO"
    is_ubuntu && seen+=" ubuntu"
    is_fedora && seen+=" fedora"
    is_suse && seen+=" suse"
    is_oraclelinux && seen+=" oracle"
    is_openeuler && seen+=" openeuler"
    return 0
}

case_distributions() {
    distribution 'ID=debian' 'VERSION_ID="12"' 'VERSION_CODENAME=bookworm'
    is "$seen" "Debian 12 bookworm deb bookworm ubuntu"
    distribution 'NAME="Ubuntu"' 'ID=ubuntu' 'VERSION_ID="24.04"' 'VERSION_CODENAME=noble' 'ID_LIKE=debian'
    is "$seen" "Ubuntu 24.04 noble deb noble ubuntu"
    distribution 'ID=debian' 'VERSION_ID="9"' 'VERSION="9 (stretch)"'
    is "$seen" "Debian 9 stretch deb stretch ubuntu"
    distribution 'ID=linuxmint' 'ID_LIKE="ubuntu debian"' 'VERSION_ID="21"' 'VERSION_CODENAME=vera' \
        'UBUNTU_CODENAME=jammy'
    is "$seen" "Ubuntu 21 jammy deb jammy ubuntu"
    distribution 'NAME="CentOS Stream"' 'VERSION="9"' 'ID="centos"' 'VERSION_ID="9"'
    is "$seen" "CentOSStream 9 n/a rpm rhel9 fedora"
    distribution 'NAME="Rocky Linux"' 'VERSION="9.3 (Blue Onyx)"' 'ID="rocky"' 'VERSION_ID="9.3"'
    is "$seen" "RockyLinux 9.3 Blue Onyx rpm rhel9 fedora"
    distribution 'NAME="Red Hat Enterprise Linux"' 'VERSION="10.0 (Coughlan)"' 'ID="rhel"' 'VERSION_ID="10.0"'
    is "$seen" "RedHatEnterpriseLinux 10.0 Coughlan rpm rhel10 fedora"
    distribution 'NAME="AlmaLinux"' 'VERSION="9.4 (Seafoam)"' "ID='almalinux'" 'VERSION_ID="9.4"'
    is "$seen" "AlmaLinux 9.4 Seafoam rpm rhel9 fedora"
    distribution 'NAME="Oracle Linux Server"' 'ID="ol"' 'VERSION_ID="9.2"'
    is "$seen" "OracleServer 9.2 n/a rpm rhel9 fedora oracle"
    distribution 'NAME="openEuler"' 'ID="openEuler"' 'VERSION_ID="22.03"'
    is "$seen" "openEuler 22.03 n/a rpm openEuler-22.03 fedora openeuler"
    distribution 'NAME="Fedora Linux"' 'ID=fedora' 'VERSION_ID=40'
    is "$seen" "Fedora 40 n/a rpm f40 fedora"
    (distribution 'ID=slackware') 2>errors >&2 && is slackware "an error"
    has "$(<errors)" "Unable to determine DISTRO"
}

case_what_os_release_says_is_there_for_plugins() {
    readonly NAME=mine
    distribution 'NAME="Ubuntu"' 'ID=ubuntu' 'VERSION_ID="24.04"' 'VERSION_CODENAME=noble'
    is "$ID $VERSION_ID $VERSION_CODENAME $NAME" "ubuntu 24.04 noble mine"
}

case_addresses() {
    local bits
    is "$(cidr2netmask 0) $(cidr2netmask 1) $(cidr2netmask 13) $(cidr2netmask 24) $(cidr2netmask 32)" \
        "0.0.0.0 128.0.0.0 255.248.0.0 255.255.255.0 255.255.255.255"
    is "$(maskip 169.254.169.254 240.0.0.0)" 160.0.0.0
    is "$(maskip 169.254.169.254 255.255.240.0)" 169.254.160.0
    for bits in 8 12 16 20 24 26 28; do
        ok address_in_net 10.10.10.1 "10.10.10.0/$bits"
        no address_in_net 10.10.10.1 "11.11.11.0/$bits"
    done
    ok is_ipv4_address 192.0.2.1
    no is_ipv4_address fe80::1
    is "$(ipv6_unquote '[::1]')" ::1
    is "$(get_default_host_ip 10.0.0.0/8 10.0.0.0/8 '' 192.0.2.9 inet)" 192.0.2.9
}

case_ipv6_text() {
    local hex text
    while read -r hex text; do
        _asyncstack_ipv6_text "$hex"
        is "$REPLY" "$text"
    done <<'LIST'
00000000000000000000000000000001 ::1
fe800000000000000000000000000001 fe80::1
20010db8000000010000000000000001 2001:db8:0:1::1
20010db8000100000001000100010001 2001:db8:1:0:1:1:1:1
20010db8000000000000000000000000 2001:db8::
00010002000300040005000600070008 1:2:3:4:5:6:7:8
LIST
}

# What iproute2 says, where it is there.
case_host_ip_is_one_of_this_host() {
    type -P ip >/dev/null || return 0
    local address
    address=$(get_default_host_ip 10.254.254.0/30 10.254.254.4/30 '' '' inet)
    [[ -z $address ]] || has "$(ip -4 -o addr)" "inet $address/"
    address=$(get_default_host_ip '' '' '' '' inet6)
    [[ -z $address ]] || has "$(ip -6 -o addr)" "inet6 $address/"
}

case_fields() {
    local table='+----+------+
| id | name |
| 7  | a b  |
+----+------+'
    is "$(get_field 1 <<<"$table" | tr '\n' ,)" ",id,7,,"
    is "$(get_field 2 <<<'| 7  | a b  |')" "a b"
    is "$(get_field -1 <<<'| 7  | a b  |')" "a b"
    is "$(get_field -2 <<<'| 7  | * |')" 7
    is "$(get_field 5 <<<'| 7 |')" ""
    is "$(get_field -1 <<<'no columns')" "no columns"
    is "$(get_field 1 <<<'no | frame')" frame
    is "$(get_field 0 <<<'no columns')" "no columns"
    is "$(get_field 3 <<<'| 7  | a b  |')" ""
}

case_random() {
    is "$(generate_hex_string 16 | tr -d '0-9a-f' | wc -c)" 0
    local a b
    a=$(generate_hex_string 16) b=$(generate_hex_string 16)
    is "${#a}" 32
    no test "$a" = "$b"
    a=$(get_random_port)
    ok test "$a" -gt 1024 -a "$a" -lt 65536
}

case_proxies() {
    http_proxy=h no_proxy=n
    export_proxy_variables
    is "$(env | grep -E '^(http|https|no)_proxy=' | sort | tr '\n' ' ')" "http_proxy=h no_proxy=n "
    allow_sudo
    is "$(sudo_with_proxies sh -c 'echo $http_proxy-$https_proxy-$no_proxy')" "h--n"
}

case_waiting() {
    ok test_with_retry "test -e $PWD" "never"
    (test_with_retry "false" "it never came" 0.2 0.05) >/dev/null 2>errors && is retry "a failure"
    has "$(<errors)" "it never came"
    # A server that first says that it isn't ready.
    fake curl 'n=$(wc -l <'"$CALLS"'); if ((n < 2)); then exit 7; elif ((n < 3)); then echo 503; else echo 404; fi'
    ok wait_for_service 10 http://host/
    is "$(calls | grep -c ^curl)" 3
    # What timeout(1) takes: a unit, a fraction, 0 for no end.
    local time
    for time in 10s 1m 9.5 1.5h 0; do
        rm "$CALLS"
        ok wait_for_service "$time" http://host/
        is "$(calls | grep -c ^curl)" 3 "$time"
    done
    fake curl 'echo 503'
    local status=0
    wait_for_service 1 http://host/ || status=$?
    is "$status" 124
    has "$(events)" "span|wait_for_service|"
}

case_ping() {
    fake ping 'exit $((FAIL))'
    export FAIL=0
    has "$(ping_check 192.0.2.7)" "ping -c1 -w1 192.0.2.7"
    local status=0
    (ping_check 192.0.2.7 1 "" False) >output 2>&1 || status=$?
    is "$status" 1 # and not that of timeout(1)
    has "$(<output)" "[Fail] Could ping server"
    FAIL=1
    (ping_check 192.0.2.7 1) >output 2>&1 && is ping "a failure"
    has "$(<output)" "[Fail] Couldn't ping server"
    ping_check 192.0.2.7 1 "" False >/dev/null
}

case_background_tasks() {
    DEST=$PWD
    async_init
    good() { echo "output of $1"; }
    bad() { echo oops; return 3; }
    async_runfunc good one >/dev/null
    async_run named bad >/dev/null
    async_wait good >output
    has "$(<output)" "output of one"
    local status=0
    async_wait named good >output || status=$?
    is "$status" 3
    has "$(<output)" oops
    has "$(async_wait never)" "Not waiting for async task never"
    DEVSTACK_PARALLEL=False
    has "$(async_runfunc good two)" "output of two"
}

case_policy_and_files() {
    printf '{\n    "a": [],\n    "b": []\n}\n' >policy.json
    policy_add policy.json c '["x"]'
    file_is policy.json $'{\n    "a": [],\n    "b": [],\n    "c": ["x"]\n}\n'
    has "$(policy_add policy.json c '[]')" "already exists"
    cp_it none somewhere
    cp_it policy.json copy.json
    ok cmp policy.json copy.json
    TOP_DIR=$PWD HOST_IP=1.2.3.4
    save_stackenv tag
    has "$(<.stackenv)" "HOST_IP=1.2.3.4"
    FILES=$PWD
    is "$(get_extra_file "file:///x/y.img")" /x/y.img
    is "$(get_extra_file "http://none.invalid/copy.json")" "$PWD/copy.json"
    is "$(join_extras a b c)" a,b,c
    ok is_running "bash"
    no is_running "no-such-program-anywhere-$$"
}

case_stack_install_service() {
    source "$TREE/lib/stack"
    install_thing() { echo "installing"; }
    is "$(stack_install_service thing)" installing
    (stack_install_service other) >output && is other "a failure"
    has "$(<output)" "No function declared with name 'install_other'."
}

case_rootwrap() {
    fake sudo '[[ $1 != tee ]] || exec "$@" >/dev/null'
    STACK_USER=me SUDO_SECURE_PATH_FILE=$PWD/secure
    add_sudo_secure_path /opt/bin >/dev/null
    has "$(<secure)" "Defaults:me secure_path="
    has "$(<secure)" ":/opt/bin"
    cp secure before
    add_sudo_secure_path /opt/bin
    ok cmp secure before
}

case_options_of_the_stand_in_for_sudo() {
    ((EUID == 0)) || return 0 # to anybody else it only says that it can't
    local sudo=$TREE/tools/shims/sudo options
    for options in '-u nobody' -unobody '-Hu nobody' '-nHu nobody' '-iu nobody' '-E -u nobody --' '--user=nobody' \
        '-k -u nobody' '-Snu #65534'; do
        # shellcheck disable=SC2086
        is "$("$sudo" $options id -un)" nobody "$options"
    done
    is "$("$sudo" -Hu nobody sh -c 'echo "$HOME"')" "$(getent passwd nobody | cut -d: -f6)"
    is "$("$sudo" -u nobody -g daemon id -gn)" daemon
    is "$("$sudo" A='a b' printenv A)" "a b"
    is "$("$sudo" -i sh -c 'echo "$0 $1"' 'a b' c)" "a b c"
    ok "$sudo" -k
    ok "$sudo" -nv
    no "$sudo" -Z true 2>/dev/null
    "$sudo" -b sh -c 'sleep 0.5; : >done'
    no test -e done
    until [[ -e done ]]; do sleep 0.05; done
}
