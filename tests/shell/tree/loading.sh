# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
#
# The files can be sourced one by one, in any order, from anywhere, again and again.

# fresh SCRIPT: in a new bash, in /, with nothing but TREE; its output
fresh() {
    (cd / && TREE=$TREE HOST_IP=192.0.2.1 bash --norc --noprofile -c "$1" </dev/null 2>&1)
}

case_each_file_alone() {
    local file
    for file in functions functions-common stackrc openrc inc/ini-config inc/meta-config inc/python \
        inc/rootwrap inc/async inc/missing; do
        is "$(fresh "source $TREE/$file; source $TREE/$file; echo \$?")" 0 "$file"
        is "$(fresh "set -o errexit; source $TREE/$file; source $TREE/$file; echo \$?")" 0 "$file, errexit"
    done
    is "$(fresh 'cd "$TREE/inc"; source ../stackrc; source ini-config; echo $RC_DIR')" "$TREE"
    for file in meta-config ./meta-config ../inc/meta-config; do
        is "$(fresh "cd $TREE/inc; source $file; source \$_asyncstack_shims/../../inc/ini-config; echo \$?")" 0 "$file"
    done
    is "$(fresh 'cd "$TREE/inc"; source missing; echo "$_asyncstack_tree"')" "$TREE"
    is "$(fresh 'cd "$TREE"; source ./functions; source openrc; echo $RC_DIR')" "$TREE"
}

case_nounset() {
    is "$(fresh 'set -o nounset; source $TREE/functions; GetDistro; source $TREE/stackrc
        enable_service a; is_service_enabled a; iniset /dev/null/x a b 2>/dev/null || :
        is_service_enabled b || echo fine')" fine
}

case_a_plugins_redefinition_stays() {
    is "$(fresh 'source $TREE/functions; install_package() { echo mine; }
        source $TREE/functions; source $TREE/stackrc; install_package')" mine
}

case_localrc_is_evaluated_in_the_middle() {
    cp -r "$TREE" tree
    cat >tree/.localrc.auto <<'END'
DEST=/elsewhere
enable_plugin one https://example.org/one
disable_all_services
enable_service key mine
NOVA_REPO=https://mine/nova
OSLOCFG_BRANCH=stable/1
false
SEEN=$REGION_NAME
LIBS_FROM_GIT=oslo.config
OFFLINE=yes
END
    is "$(TREE=$PWD/tree fresh 'source $TREE/stackrc; echo $ENABLED_SERVICES $SEEN $OFFLINE $NOVA_REPO
        echo ${GITDIR[one]} ${GITBRANCH[oslo.config]} ${GITDIR[oslo.config]} $TEMPEST_CONFIG $DATA_DIR')" \
        'key,mine RegionOne True https://mine/nova
/elsewhere/one stable/1 /elsewhere/oslo.config /elsewhere/tempest/etc/tempest.conf /opt/stack/data'
    echo 'SEEN=file' >tree/localrc
    is "$(TREE=$PWD/tree fresh 'source $TREE/stackrc; echo $SEEN ${DEVSTACK_PLUGINS}none')" "file none"
}

case_variables() {
    is "$(fresh 'source $TREE/stackrc; echo $SERVICE_HOST $SERVICE_PROTOCOL $SERVICE_LISTEN_ADDRESS
        echo $DEST $DATA_DIR $LOGDIR $REQUIREMENTS_DIR $GIT_BASE $SYSLOG $SERVICE_TIMEOUT
        echo $KEYSTONE_SERVICE_URI $NEUTRON_CONF $HORIZON_DIR $TEMPEST_CONFIG $FILES
        [[ -x $PYTHON && $API_WORKERS -ge 2 && -n $STACK_USER && $PYTHON3_VERSION == 3.* ]] && echo good')" \
        "192.0.2.1 http 0.0.0.0
/opt/stack /opt/stack/data /opt/stack/logs /opt/stack/requirements https://opendev.org False 60
http://192.0.2.1/identity /etc/neutron/neutron.conf /opt/stack/horizon /opt/stack/tempest/etc/tempest.conf $TREE/files
good"
}

case_variables_of_core_services() {
    is "$(fresh 'source $TREE/stackrc
        echo $GLANCE_SERVICE_PROTOCOL $NOVA_SERVICE_PROTOCOL://$NOVA_SERVICE_HOST:$NOVA_SERVICE_PORT $PLACEMENT_SERVICE_PROTOCOL
        echo $Q_PROTOCOL $Q_META_DATA_IP $Q_ML2_TENANT_NETWORK_TYPE $OVN_NB_REMOTE $OVSDB_SERVER_LOCAL_HOST
        echo $OVS_TUNNEL_BRIDGE $CINDER_ENABLED_BACKENDS $SWIFT_REPLICAS_SEQ
        GLOBAL_VENV=False; source $TREE/lib/services; echo $Q_RR_COMMAND; echo $Q_RR_DAEMON_COMMAND')" \
        "http http://192.0.2.1:8774 http
http 192.0.2.1 geneve tcp:192.0.2.1:6641 127.0.0.1
br-tun lvm:lvmdriver-1 1
sudo /usr/local/bin/neutron-rootwrap /etc/neutron/rootwrap.conf
sudo /usr/local/bin/neutron-rootwrap-daemon /etc/neutron/rootwrap.conf"
    is "$(fresh 'ENABLED_SERVICES=tls-proxy Q_USE_ROOTWRAP=False SWIFT_REPLICAS=3; source $TREE/stackrc
        echo $GLANCE_SERVICE_PROTOCOL $NOVA_SERVICE_PROTOCOL $PLACEMENT_SERVICE_PROTOCOL $Q_PROTOCOL
        echo $OVN_SB_REMOTE $Q_RR_COMMAND $SWIFT_REPLICAS_SEQ')" \
        "https https https https
ssl:192.0.2.1:6642 sudo 1 2 3"
}

case_openrc() {
    is "$(fresh 'source $TREE/openrc admin project; env | grep ^OS_ | sort | tr "\n" " "')" \
        "OS_AUTH_TYPE=password OS_AUTH_URL=http://192.0.2.1/identity OS_PASSWORD=secret OS_PROJECT_DOMAIN_ID=default OS_PROJECT_NAME=project OS_REGION_NAME=RegionOne OS_USERNAME=admin OS_USER_DOMAIN_ID=default "
}

# A trace must not start a process for each line, must say where it is, and is no business of other shells.
case_trace() {
    printf 'inner() { :; }\ninner\n' >traced.sh
    local output
    output=$(fresh 'source $TREE/stackrc; set -x; source '"$PWD/traced.sh"'; set +x; env | grep -c ^PS4 || :')
    has "$output" "+ $PWD/traced.sh:2:source:   inner"
    has "$output" "+ $PWD/traced.sh:1:inner:   :"
    is "${output##*$'\n'}" 0
    no grep -F '$(' <<<"$(fresh 'source $TREE/stackrc; echo "$PS4"')"
}

case_sudo_as_root() {
    ((EUID == 0)) || return 0
    mkdir -p bin
    local program
    for program in bash sh id env cat dirname getent cut setpriv stat chmod; do
        ln -s "$(type -P "$program")" bin/
    done
    is "$(PATH=$PWD/bin fresh 'source $TREE/functions-common; sudo -E -H A=1 sh -c "echo \$A"; sh -c "sudo -n id -u"
        sudo -u nobody -- id -un; type -P sudo; _asyncstack_check_sudo && echo may')" \
        "1
0
nobody
$TREE/tools/shims/sudo
may"
    printf '#!/bin/sh\necho the real one\n' >bin/sudo
    chmod +x bin/sudo
    is "$(PATH=$PWD/bin fresh 'source $TREE/functions-common; sudo x')" "the real one"
}

case_sudo_neither_root_nor_installed() {
    ((EUID == 0)) || return 0
    mkdir -p bin
    local program
    for program in bash sh id; do ln -s "$(type -P "$program")" bin/; done
    printf '%s\n' "PATH=$PWD/bin; source $TREE/inc/sudo" '_asyncstack_check_sudo; echo "check $?"' \
        'sudo id; echo "sudo $?"' >script
    cp -r "$TREE/inc" "$TREE/tools" .
    sed -i "s|$TREE|$PWD|" script
    # Somewhere that anybody can look into.
    local open result
    open=$(mktemp -d /tmp/open.XXXXXX)
    cp -r . "$open/case"
    sed -i "s|$PWD|$open/case|g" "$open/case/script"
    chmod -R a+rX "$open"
    result=$(cd / && setpriv --reuid nobody --clear-groups bash --norc "$open/case/script" 2>&1)
    rm -rf "$open"
    has "$result" "sudo is not installed, and this user"
    has "$result" "check 1"
    has "$result" "install sudo and allow it without a password, or run as root (wanted: id)"
    has "$result" "sudo 1"
}
