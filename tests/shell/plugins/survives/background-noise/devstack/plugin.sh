# shellcheck shell=bash disable=all
# A child prints on while the step ends.
(for n in {1..2000}; do echo "noise $n"; done) &
echo $! >"$DATA_DIR/noise"
