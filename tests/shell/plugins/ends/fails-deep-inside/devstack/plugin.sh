# shellcheck shell=bash disable=all
inner() {
    cat /does/not/exist
    echo never printed
}
outer() {
    inner
}
if [[ "$2" == "install" ]]; then
    outer
fi
