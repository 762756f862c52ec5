# shellcheck shell=bash disable=all
helper() {
    exit 0
}
if [[ "$2" == "install" ]]; then
    helper
fi
