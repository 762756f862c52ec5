# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

# An environment whose pip only notes what it is asked.
prepare() {
    DEST=$PWD/dest GLOBAL_VENV=True DEVSTACK_VENV=$PWD/venv REQUIREMENTS_DIR=$PWD/requirements STACK_USER=$(id -un)
    mkdir -p venv/bin requirements dest
    printf '#!/bin/bash\n' >venv/bin/python3
    fake pip '[[ $1 != list ]] || printf "Package Version Location\n------- ------- --------\nMy-Lib  1.0     /x\nother   2.0\n"'
    mv fakes/pip venv/bin/pip
    chmod +x venv/bin/*
}

case_install() {
    prepare
    pip_install -U one 'two>=1' >output
    is "$(calls)" "pip install -U one two>=1"
    has ":$PATH:" ":$PWD/venv/bin:"
    is "$PYTHON" "$PWD/venv/bin/python3"
    echo "six===1.0" >requirements/upper-constraints.txt
    rm calls
    PIP_UPGRADE=yes
    pip_install one >/dev/null
    is "$(calls)" "pip install --upgrade -c $PWD/requirements/upper-constraints.txt one"
    rm calls
    OFFLINE=True
    pip_install one
    pip_uninstall one
    is "$(calls)" ""
    OFFLINE=False
    pip_install
    is "$(calls)" ""
    pip_uninstall one
    is "$(calls)" "pip uninstall -y one"
}

case_a_failing_pip_fails() {
    prepare
    printf '#!/bin/sh\nexit 7\n' >venv/bin/pip
    local status=0
    pip_install one >/dev/null || status=$?
    is "$status" 7
    pip_install one >/dev/null || status=again
    is "$status" again "its clock was stopped"
}

case_without_a_global_environment() {
    prepare
    GLOBAL_VENV=False PYTHON3_VERSION=3.99
    fake sudo
    pip_install one >/dev/null
    has "$(calls)" "sudo -H LC_ALL=C.UTF-8 http_proxy="
    has "$(calls)" " python3.99 -m pip install one"
    is "$(get_python_exec_prefix)" /usr/local/bin
    GLOBAL_VENV=True
    is "$(get_python_exec_prefix)" "$PWD/venv/bin"
    PIP_VIRTUAL_ENV=$PWD/venv GLOBAL_VENV=False
    rm calls
    pip_install one >/dev/null
    is "$(calls)" "pip install one"
}

case_the_global_environment_is_made_when_it_is_needed() {
    prepare
    rm -r venv
    fake python-x 'mkdir -p "${@: -1}/bin"; ln -s /bin/true "${@: -1}/bin/python3"; ln -s /bin/true "${@: -1}/bin/pip"'
    PYTHON=$PWD/fakes/python-x
    pip_install one >/dev/null
    is "$(calls)" "python-x -m venv --system-site-packages $PWD/venv"
}

case_requirements() {
    prepare
    is "$(get_from_global_requirements six)" six "without a requirements checkout"
    printf '%s\n' '# head' 'sixpack>=2' 'Six>=1.0 # MIT' 'oslo.config>=5,!=6  # Apache' \
        >requirements/global-requirements.txt
    is "$(get_from_global_requirements six)" "Six>=1.0"
    printf "%s\n" "two>=1;python_version<'3.9'  # MIT" "two>=2;python_version>='3.9'" "two-more" \
        >>requirements/global-requirements.txt
    is "$(get_from_global_requirements two)" "two>=1;python_version<'3.9' two>=2;python_version>='3.9'"
    is "$(get_version_constraints_from_global_requirements oslo.config)" ">=5,!=6"
    no eval '(get_from_global_requirements none) >/dev/null 2>&1'
    pip_install_gr six >/dev/null
    pip_install_gr_extras oslo.config test,x >/dev/null
    is "$(calls)" $'pip install Six>=1.0\npip install oslo.config[test,x]>=5,!=6'
}

case_projects() {
    prepare
    mkdir -p dest/proj dest/other
    printf '[metadata]\nname = my-proj\n' >dest/proj/setup.cfg
    printf '[project]\nname = "other.one"\n' >dest/other/pyproject.toml
    printf '%s\n' my_proj===1.0 my-proj-x===2 other-one===3 six===4 >requirements/upper-constraints.txt
    setup_develop dest/proj/ extra,two >/dev/null
    GITDIR[other]=$PWD/dest/other
    setup_dev_lib other >/dev/null
    setup_install dest/other >/dev/null
    local with="-c $PWD/requirements/upper-constraints.txt"
    is "$(calls)" "pip install $with -e $PWD/dest/proj[extra,two]
pip install $with -e $PWD/dest/other
pip install $with $PWD/dest/other"
    file_is requirements/upper-constraints.txt $'my-proj-x===2\nsix===4\n'
    (setup_develop dest/none) >/dev/null 2>errors && is setup "a failure"
    has "$(<errors)" "there is no project to install in 'dest/none'"
}

case_libraries_from_git() {
    prepare
    LIBS_FROM_GIT=oslo.config,my_lib
    ok use_library_from_git my_lib
    no use_library_from_git oslo
    LIBS_FROM_GIT=ALL
    ok use_library_from_git anything
    ok lib_installed_from_git my_lib
    no lib_installed_from_git other
    no lib_installed_from_git none
}

# A real environment and a real package, without a network.
case_a_real_install() {
    python3 -c 'import venv, ensurepip' 2>/dev/null || return 0
    DEST=$PWD GLOBAL_VENV=True DEVSTACK_VENV=$PWD/real-venv PYTHON=$(type -P python3) STACK_USER=$(id -un)
    mkdir -p project
    printf 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n' >METADATA
    printf 'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n' >WHEEL
    "$PYTHON" - <<'END'
import zipfile
with zipfile.ZipFile("tiny-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny.py", "answer = 42\n")
    wheel.write("METADATA", "tiny-1.0.dist-info/METADATA")
    wheel.write("WHEEL", "tiny-1.0.dist-info/WHEEL")
    wheel.writestr("tiny-1.0.dist-info/RECORD", "")
END
    pip_install --no-index tiny-1.0-py3-none-any.whl >output 2>&1
    is "$("$PWD/real-venv/bin/python3" -c 'import tiny; print(tiny.answer)')" 42
    is "$(python3 -c 'import sys; print(sys.prefix)')" "$PWD/real-venv"
}
