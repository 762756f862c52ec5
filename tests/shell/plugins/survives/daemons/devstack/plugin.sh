# shellcheck shell=bash disable=all
# Leaves daemons behind that keep the log open, one of them in a session of its own.
sleep 1000 &
before=$(cat "$DATA_DIR/daemons" 2>/dev/null | wc -l)
echo "$!" >>"$DATA_DIR/daemons"
setsid -f sh -c 'echo "$$" >>"$0"; exec sleep 1000' "$DATA_DIR/daemons"
while [[ $(wc -l <"$DATA_DIR/daemons") -lt $((before + 2)) ]]; do :; done
