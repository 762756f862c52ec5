# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x

# A repository with a branch, a tag, a change under review and two commits on master.
make_repository() {
    git init -q -b master origin
    (
        cd origin || exit
        echo one >file
        git add file
        git commit -qm one
        git tag v1
        git branch stable/1
        git update-ref refs/changes/01/1/1 HEAD
        echo two >file
        git commit -qam two
    )
    url=file://$PWD/origin
}

case_clone() {
    make_repository
    local ref expected before=$PWD
    while read -r ref expected; do
        rm -rf clone
        git_clone "$url" "$PWD/clone" "$ref" >output 2>&1
        is "$(<clone/file)" "$expected" "$ref"
        is "$PWD" "$before"
        is "$(git -C clone remote get-url origin)" "$url"
        no git -C clone symbolic-ref -q HEAD
    done <<LIST
master two
stable/1 one
v1 one
refs/changes/01/1/1 one
$(git -C origin rev-parse v1) one
LIST
    has "$(<output)" " one"
    GITREPO[lib]=$url GITDIR[lib]=$PWD/by-name GITBRANCH[lib]=v1
    git_clone_by_name lib >/dev/null 2>&1
    is "$(<by-name/file)" one
    is "$(echo clone* by-name*)" "clone by-name" "nothing is left beside it"
}

case_without_a_ref_the_default_branch_of_the_remote() {
    make_repository
    git -C origin branch -m master main
    git -C origin branch master v1
    git_clone "$url" "$PWD/clone" >/dev/null 2>&1
    is "$(<clone/file)" two
    GITREPO[lib]=$url GITDIR[lib]=$PWD/by-name
    git_clone_by_name lib >/dev/null 2>&1
    is "$(<by-name/file)" two
    allow_sudo
    git -C clone checkout -q v1
    RECLONE=yes git_clone "$url" "$PWD/clone" "" >/dev/null 2>&1
    is "$(<clone/file)" two
}

case_an_existing_checkout_is_left_alone_unless_reclone() {
    make_repository
    git_clone "$url" "$PWD/clone" v1 >/dev/null 2>&1
    echo mine >clone/file
    git_clone "$url" "$PWD/clone" master >/dev/null 2>&1
    is "$(<clone/file)" mine
    allow_sudo
    RECLONE=yes
    git_clone "$url" "$PWD/clone" master >output 2>&1
    is "$(<clone/file)" two
    is "$RECLONE" True
    has "$(<output)" "local changes; they are in git stash"
    is "$(git -C clone stash show -p | grep '^+mine')" "+mine"
    git_clone "$url" "$PWD/clone" v1 >/dev/null 2>&1
    is "$(<clone/file)" one
}

case_failures_leave_nothing() {
    make_repository
    local ref
    for ref in none refs/changes/9/9/9; do
        (git_clone "$url" "$PWD/clone" "$ref") >output 2>&1 && is "$ref" "a failure"
        has "$(<output)" "git call failed"
        is "$(echo clone*)" "clone*"
    done
    (git_clone "file://$PWD/none" "$PWD/clone" master) >output 2>&1 && is clone "a failure"
    is "$(echo clone*)" "clone*"
    (git_clone "$url" "$PWD/clone" --upload-pack=x) >output 2>&1 && is option "refused"
    has "$(<output)" "starts with a hyphen"
}

case_offline_and_error_on_clone() {
    make_repository
    OFFLINE=True
    (git_clone "$url" "$PWD/clone" master) >output 2>&1 && is offline "a failure"
    has "$(<output)" "OFFLINE is set"
    OFFLINE=False ERROR_ON_CLONE=True
    (git_clone "$url" "$PWD/clone" master) >output 2>&1 && is clone "refused"
    has "$(<output)" "ERROR_ON_CLONE is set to True so cloning not allowed"
    no test -e clone
    ERROR_ON_CLONE=False
    git_clone "$url" "$PWD/clone" master >/dev/null 2>&1
    OFFLINE=True
    git_clone "$url" "$PWD/clone" master >output 2>&1
    has "$(<output)" "Running in offline mode, clones already exist"
}

case_depth_and_trust() {
    make_repository
    GIT_DEPTH=1
    git_clone "$url" "$PWD/clone" master >/dev/null 2>&1
    is "$(git -C clone rev-list --count HEAD)" 1
    is "$(git config safe.directory)" "$PWD/clone"
    git_clone "$url" "$PWD/clone" master >/dev/null 2>&1
    is "$GIT_CONFIG_COUNT" 1
}

case_a_timeout_is_tried_three_times() {
    fake timeout 'exit 124'
    fake sleep
    GIT_TIMEOUT=5
    (git_timed fetch) >output 2>&1 && is git "a failure"
    is "$(calls | grep -c '^timeout -s SIGINT 5 git fetch')" 3
    has "$(<output)" "Maximum of 3 git retries reached"
}

case_release_names() {
    is "$(get_release_name_from_branch stable/2025.1)" 2025.1
    is "$(get_release_name_from_branch master)" master
}
