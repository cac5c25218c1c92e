# Removes what a cluster leaves on the machine: processes, the bridge with its routes, control groups, its folder.
# It waits for the end of its input first, which comes when the test process closes it or is gone, however it ended.
# It finds things by the names that the harness gives them, never processes by theirs. Argument: the cluster's folder.
set -u
folder=$1
cat >/dev/null
for file in "$folder"/node*/pid; do
  pid=$(cat "$file" 2>/dev/null) || continue
  # The number may belong to somebody else by now; a node's first process has the folder in its arguments.
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$folder/"; then kill -9 "$pid"; fi
done
groups() { find /sys/fs/cgroup -maxdepth 2 -type d -name 'headgate-tests-node*' 2>/dev/null; }
tries=0
while [ -n "$(groups)" ] && [ "$tries" -lt 100 ]; do
  for group in $(groups); do
    pids=$(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null)
    if [ -n "$pids" ]; then kill -9 $pids 2>/dev/null; fi
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  tries=$((tries + 1))
  if [ -n "$(groups)" ]; then sleep 0.1; fi
done
# Interfaces go with the network of their node, but only when the kernel gets around to it.
for interface in $(ls /sys/class/net | grep '^headgate-node') headgate0; do
  ip link delete "$interface" 2>/dev/null
done
rm -rf "$folder"
