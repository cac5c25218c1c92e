# The first process of a node, in network, mount and process namespaces of its own: when it is gone, the kernel ends
# every process and removes every mount and interface of the node. Arguments: the node's folder, the program `pause`.
set -eu
folder=$1
pause=$2
# What has a fixed place on every machine is kept apart from the host's.
mount -t tmpfs tmpfs /run/containerd
mount --bind "$folder/var-log" /var/log
# The kubelet sets these for the whole machine unless they have the values that it wants; it shall find them so.
pretend() {
  [ -e "/proc/sys/$1" ] || return 0
  file="$folder/sysctl-$(echo "$1" | tr / .)"
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000
echo 1 >/proc/sys/net/ipv4/ip_forward
: >"$folder/run/up"
exec "$pause" "$folder"
