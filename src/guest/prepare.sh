#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes hot plugged memory of this machine come online as movable, now and after
# every start, so that it can be unplugged again. As root; doing it twice is fine.
# Words behind its name are the numbers of memory blocks to make movable too, that
# are in use by the kernel's own zone now.

memory=/sys/devices/system/memory
if [ ! -e $memory/block_size_bytes ]; then
  echo "this kernel has no memory hot plug" >&2
  exit 1
fi

# udev, ahead of the rule that distributions bring.
if [ -d /etc/udev ] || [ -d /usr/lib/udev ] || [ -d /lib/udev ]; then
  rules=/etc/udev/rules.d/39-dimmer-memory.rules
  rule=$(
    cat <<'RULE'
@RULE@
RULE
  )
  if [ "$(cat $rules 2>/dev/null)" != "$rule" ]; then
    mkdir -p /etc/udev/rules.d && echo "$rule" >$rules && echo "done: wrote $rules" ||
      echo "left: the udev rule could not be written"
  fi
  udevadm control --reload 2>/dev/null
  udev=yes
fi

# The kernel itself, since 5.7. Before, it can only be told to leave it to udev.
if [ -e $memory/auto_online_blocks ]; then
  read -r before <$memory/auto_online_blocks
  if echo online_movable 2>/dev/null >$memory/auto_online_blocks; then
    policy=online_movable
  elif [ "$udev" = yes ] && echo offline 2>/dev/null >$memory/auto_online_blocks; then
    policy=offline
  fi
  if [ -n "$policy" ]; then
    [ "$before" = "$policy" ] || echo "done: set auto_online_blocks to $policy"
    # What is plugged when such a kernel starts comes online before anything here runs.
    case "$before $(cat /proc/cmdline)" in
      *movable_node*) ;;
      online\ * | online_kernel\ *)
        echo "left: what is plugged already when this machine starts goes to the kernel: add memhp_default_state=online_movable to its command line"
        ;;
    esac
    if [ -d /etc/tmpfiles.d ] || [ -d /run/systemd/system ]; then
      conf=/etc/tmpfiles.d/dimmer-memory.conf
      line="w $memory/auto_online_blocks - - - - $policy"
      if [ "$(cat $conf 2>/dev/null)" != "$line" ]; then
        mkdir -p /etc/tmpfiles.d && echo "$line" >$conf && echo "done: wrote $conf, which sets it at every start"
      fi
    else
      echo "left: auto_online_blocks goes back with a reboot: add memhp_default_state=online_movable to the kernel's command line"
    fi
  else
    echo "left: this kernel does not let auto_online_blocks be set: add memhp_default_state=online_movable to its command line and reboot"
  fi
fi

# What is there already. A kernel of before 4.13 makes a block movable only beside
# another one, so from the highest down, again and again until nothing changes.
blocks() {
  for block in $memory/memory[0-9]*; do
    echo "${block##*/memory}"
  done | sort -rn
}
tries=0
for number in "$@"; do
  # A write to state can take for ever, as long as the kernel cannot move a page.
  tries=$((tries + 1))
  if [ $tries -gt 20 ]; then
    echo "left: more memory blocks are in use by the kernel: run this again to try them"
    break
  fi
  timeout 5 sh -c "echo offline >$memory/memory$number/state" 2>/dev/null ||
    echo "left: memory block $number stays as it is: the kernel has something in it that it cannot move"
done
count=0
changed=yes
while [ $changed = yes ]; do
  changed=no
  for number in $(blocks); do
    read -r state <$memory/memory$number/state
    if [ "$state" = offline ] && echo online_movable 2>/dev/null >$memory/memory$number/state; then
      changed=yes
      count=$((count + 1))
    fi
  done
done
case $count in
  0) ;;
  1) echo "done: brought a memory block online as movable" ;;
  *) echo "done: brought $count memory blocks online as movable" ;;
esac
exit 0
