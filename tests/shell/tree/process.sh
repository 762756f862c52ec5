# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"
DEST=$PWD SERVICE_DIR=$PWD/status STACK_USER=$(id -un)

bare() {
    _asyncstack_systemd=no
    ENABLED_SERVICES=svc,uwsgi-svc
    # stop leaves nothing behind even when the case fails
    trap 'stop_process svc; stop_process uwsgi-svc' EXIT
}

case_runs_in_the_background_without_systemd() {
    bare
    exec {held}<>/dev/null
    run_process svc "/bin/bash -c 'echo \"\$MARK \$0\"; exec sleep 1000'" "" "" "MARK=here OTHER=1"
    local pid
    read -r pid <status/stack/svc.pid
    ok kill -0 "$pid"
    # A session of its own, and none of our descriptors.
    is "$(ps -o sid= -p "$pid" | tr -d ' ')" "$pid"
    local child fd
    # Before it has said something it may be a copy of its parent still.
    until grep -q 'here /bin/bash' status/stack/svc.log; do :; done
    child=$(pgrep -P "$pid")
    for fd in /proc/"$child"/fd/*; do ok test "${fd##*/}" -le 2; done
    for fd in /proc/"$pid"/fd/*; do ok test "${fd##*/}" -le 2 -o "${fd##*/}" -eq 255; done
    has "$(service_check)" "svc: running (pid $pid)"
    is "$(run_process svc "/bin/true")" "svc is running already (pid $pid)"
    stop_process svc
    # The supervisor removes its file a moment before it ends; a zombie has no command line.
    until ! grep -qz . "/proc/$pid/cmdline" 2>/dev/null; do :; done
    no grep -qsz . "/proc/$child/cmdline"
    no test -e status/stack/svc.pid
    has "$(service_check)" "svc: not running"
    stop_process svc
}

case_a_background_service_gets_its_words_as_from_a_unit() {
    bare
    printf '#!/bin/sh\nprintf "<%%s>" "$@" >%s/words.new; mv %s/words.new %s/words\n' "$PWD" "$PWD" "$PWD" >program
    chmod +x program
    run_process svc "$PWD/program --url=http://host/?a=1&b=2 * 'a b;c' \"\$MARK (x)\" \${MARK}y {a,b} \$(date)
        a>b" \
        "" "" "MARK=here" >/dev/null
    until [[ -e words ]]; do sleep 0.01; done
    is "$(<words)" '<--url=http://host/?a=1&b=2><*><a b;c><here (x)><herey><{a,b}><$(date)><a>b>'
    no test -e b
}

case_a_disabled_service_is_not_run() {
    bare
    run_process other "/bin/sleep 1000"
    no test -e status/stack/other.pid
}

case_a_service_that_ends_is_not_started_again_unless_it_is_uwsgi() {
    bare
    mkdir -p uwsgi
    printf '#!/bin/sh\necho start >>%s/starts\n[ "$(wc -l <%s/starts)" -lt 3 ] || exec sleep 1000\n' "$PWD" "$PWD" \
        >uwsgi/program
    chmod +x uwsgi/program
    run_process uwsgi-svc "$PWD/uwsgi/program"
    until [[ -e starts && $(wc -l <starts) -eq 3 ]]; do :; done
    ok _asyncstack_service_pid uwsgi-svc
    run_process svc /bin/false
    until [[ ! -e status/stack/svc.pid ]]; do :; done
    has "$(<status/stack/svc.log)" "ended with status 1"
    is "$(grep -c starting status/stack/svc.log)" 1
}

case_restart_of_a_background_service() {
    bare
    run_process svc "/bin/sleep 1000" >/dev/null
    local before
    read -r before <status/stack/svc.pid
    restart_service devstack@svc >/dev/null
    no test "$(<status/stack/svc.pid)" = "$before"
    stop_service devstack@svc.service
    no test -e status/stack/svc.pid
    start_service devstack@svc >/dev/null
    ok _asyncstack_service_pid svc
}

case_a_unit_that_a_plugin_writes_without_systemd() {
    bare
    SYSTEMD_DIR=$PWD/units SYSTEMCTL=_asyncstack_background_systemctl
    fake systemctl 'exit 1'
    allow_sudo
    set -e
    write_user_unit_file devstack@svc.service "/bin/bash -c 'echo \"\$MARK\"; exec sleep 1000'" "" "$STACK_USER"
    iniset -sudo units/devstack@svc.service Service Environment "\"MARK=from the unit\" OTHER=1"
    $SYSTEMCTL daemon-reload
    $SYSTEMCTL enable devstack@svc.service
    $SYSTEMCTL is-enabled devstack@svc
    no $SYSTEMCTL is-active devstack@svc
    start_service devstack@svc.service >/dev/null
    until grep -q 'from the unit' status/stack/svc.log; do :; done
    $SYSTEMCTL is-active --quiet devstack@svc
    local before
    read -r before <status/stack/svc.pid
    $SYSTEMCTL restart devstack@svc >/dev/null
    no test "$(<status/stack/svc.pid)" = "$before"
    stop_service devstack@svc.service
    no test -e status/stack/svc.pid
    $SYSTEMCTL start devstack@svc.service >/dev/null
    $SYSTEMCTL disable --now devstack@svc.service
    no test -e status/stack/svc.pid
    no $SYSTEMCTL isolate devstack@svc.service 2>/dev/null
    no grep -q systemctl "$CALLS"
}

case_a_stale_pid_file_is_no_service() {
    bare
    mkdir -p status/stack
    echo $$ >status/stack/svc.pid
    stop_process svc
    run_process svc "/bin/sleep 1000" >/dev/null
    no test "$(<status/stack/svc.pid)" = $$
}

case_units_under_systemd() {
    allow_sudo
    fake systemctl
    _asyncstack_systemd=yes SYSTEMD_DIR=$PWD/units SYSTEMCTL="sudo systemctl" ENABLED_SERVICES=svc,api
    SYSTEMD_ENV_VARS[svc]="FROM=array"
    run_process svc "/usr/bin/thing --config-file /etc/x" grp usr "A=1"
    local unit=units/devstack@svc.service
    is "$(iniget "$unit" Service ExecStart)" "/usr/bin/thing --config-file /etc/x"
    is "$(iniget "$unit" Service User)/$(iniget "$unit" Service Group)" usr/grp
    is "$(iniget "$unit" Service Environment)" "FROM=array A=1"
    is "$(iniget "$unit" Unit Description)" "Devstack devstack@svc.service"
    is "$(iniget "$unit" Install WantedBy)" multi-user.target
    has "$(calls)" "systemctl daemon-reload"
    has "$(calls)" "systemctl enable devstack@svc.service"
    has "$(calls)" "systemctl start devstack@svc.service"
    run_process api "/usr/bin/uwsgi --ini x"
    is "$(iniget units/devstack@api.service Service Type)" notify
    is "$(iniget units/devstack@api.service Service Restart)" always
    stop_process svc
    has "$(calls)" "systemctl stop devstack@svc.service"
    has "$(calls)" "systemctl disable devstack@svc.service"
    restart_service apache2
    has "$(calls)" "systemctl restart apache2"
    reload_service apache2
    has "$(calls)" "systemctl reload-or-restart apache2"
}

case_commands_that_no_unit_can_run() {
    bare
    (run_process svc "relative/path") >/dev/null 2>errors && is relative "an error"
    has "$(<errors)" "begins with an absolute path"
    (run_process svc "/usr/bin/sudo x") >/dev/null 2>errors && is sudo "an error"
    has "$(<errors)" "can't run a command with sudo"
}

case_system_services_without_systemd() {
    _asyncstack_systemd=no
    fake service
    allow_sudo
    restart_service apache2
    has "$(calls)" "service apache2 restart"
    stop_service mysql
    has "$(calls)" "service mysql stop"
}
