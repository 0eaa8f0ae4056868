#!/bin/bash
# COUNT systemd hosts without an engine by the bare recipe. Says "up" when all answer SSH, and ends when its input does.
. "$(dirname -- "$0")/bare-lab.sh"
count=$1
make_segment
for number in $(seq "$count"); do
  start_host "h$number" "10.20.0.$number/24"
done
wait_for_ssh
echo up
read -r _
exit 0
