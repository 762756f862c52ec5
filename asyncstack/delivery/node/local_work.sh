# shellcheck shell=sh disable=SC1007,SC2034,SC2154
# What an update would destroy, for who asks beforehand: a line in, a line out. Nothing is written.
work=/dev/null

while IFS=$us read -r index directory unfinished; do
    problem=$(local_work </dev/null 2>&1)
    tell dirty ''
done
