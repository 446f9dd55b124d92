#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes hot plugged memory of this machine come online as movable, now and after
# every start, so that it can be unplugged again. As root; doing it twice is fine.
# Words behind its name say where memory devices lie, ADDRESS+SIZE in bytes: what the
# kernel's own zones have of them is made movable too.

memory=/sys/devices/system/memory
if [ "$(id -u)" != 0 ]; then
  echo "this must be run as root" >&2
  exit 1
elif [ ! -e $memory/block_size_bytes ]; then
  echo "this kernel has no memory hot plug" >&2
  exit 1
fi

# Gives a file that content, unless it has it: beside first, so that it is whole at any time.
put() { # FILE CONTENT [WHAT FOR]
  [ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 0
  if why=$({ mkdir -p "${1%/*}" && echo "$2" >"$1.new" && mv -f "$1.new" "$1"; } 2>&1); then
    echo "done: wrote $1$3"
  else
    rm -f "$1.new" 2>/dev/null
    echo "left: $1 could not be written: ${why##*: }"
    return 1
  fi
}

# udev, ahead of the rule that distributions bring.
if [ -d /etc/udev ] || [ -d /usr/lib/udev ] || [ -d /lib/udev ]; then
  rule=$(
    cat <<'RULE'
@RULE@
RULE
  )
  put /etc/udev/rules.d/39-dimmer-memory.rules "$rule" && udev=yes
  udevadm control --reload 2>/dev/null
fi

# What auto_online_blocks is when the kernel starts; nothing where that cannot be told.
policy_at_start() {
  given=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^memhp_default_state=//p' | tail -n 1)
  built=$({ zcat /proc/config.gz || cat "/boot/config-$(uname -r)"; } 2>/dev/null |
    grep -e MEMORY_HOTPLUG_DEFAULT_ONLINE -e MHP_DEFAULT_ONLINE_TYPE)
  case $given:$built in
    ?*:*) echo "$given" ;;
    *TYPE_ONLINE_MOVABLE=y*) echo online_movable ;;
    *TYPE_OFFLINE=y* | *'DEFAULT_ONLINE is not set'*) echo offline ;;
    *=y*) echo online ;;
  esac
}

is_before() { # MAJOR MINOR
  version=$(uname -r)
  minor=${version#*.}
  minor=${minor%%[!0-9]*}
  [ "${version%%.*}" -lt "$1" ] || { [ "${version%%.*}" = "$1" ] && [ "$minor" -lt "$2" ]; }
}

# What the kernel's command line is to have. Before 4.13 movable_node does nothing for what is plugged.
word=memhp_default_state=online_movable
! is_before 5 7 || word=movable_node
! is_before 4 13 || word=memhp_default_state=offline

# The kernel itself, since 5.7. Before, it can only be told to leave it to udev.
set_policy() {
  read -r before <$memory/auto_online_blocks
  if echo online_movable >$memory/auto_online_blocks; then
    policy=online_movable
    word=memhp_default_state=online_movable
  elif [ "$udev" = yes ] && echo offline >$memory/auto_online_blocks; then
    policy=offline
  elif ! echo "$before" >$memory/auto_online_blocks; then
    echo "left: auto_online_blocks cannot be written: start this machine with $word on its kernel's command line"
    return 1
  else
    or=
    [ "$before:$word" != online:movable_node ] || or=", or start this machine with $word on its kernel's command line"
    is_before 4 13 || # of which there is more to say, below
      echo "left: this kernel's auto_online_blocks knows no online_movable, and there is no udev to leave it to: run dimmer-guest here$or"
    return 1
  fi 2>/dev/null
  [ "$before" = $policy ] || echo "done: set auto_online_blocks to $policy"
}

# And at every start, though what is there when it starts comes first.
keep_policy() {
  if [ -d /etc/tmpfiles.d ] || [ -d /run/systemd/system ]; then
    put /etc/tmpfiles.d/dimmer-memory.conf "w $memory/auto_online_blocks - - - - $policy" \
      ", which sets it at every start" && kept=yes
  fi
  at_start=$(policy_at_start)
  case $at_start:$word:" $(cat /proc/cmdline) " in
    *:memhp_default_state=offline:*) ;;
    online:*' movable_node '* | :*' movable_node '*) at_start=online_movable ;;
  esac
  case $udev:$kept:$at_start in
    *:online_movable | yes:*:offline | *:yes:offline) ;;
    *:yes:?*) echo "left: what is plugged already when this machine starts goes to the kernel ($at_start): add $word to its command line" ;;
    *:yes:) echo "left: if the kernel onlines memory by itself when it starts, it takes what is plugged by then: add $word to its command line" ;;
    yes::) echo "left: auto_online_blocks goes back with a reboot: if it is not offline then, add $word to the kernel's command line" ;;
    *) echo "left: auto_online_blocks goes back with a reboot${at_start:+, to $at_start}: add $word to the kernel's command line" ;;
  esac
}

if [ -e $memory/auto_online_blocks ]; then
  set_policy && keep_policy
fi
if is_before 4 13 && ! pidof dimmer-guest >/dev/null 2>&1; then
  first= # else the kernel has taken all of it by then
  ! grep -qsx online $memory/auto_online_blocks || first="start this machine with $word on its kernel's command line and "
  echo "left: this kernel makes plugged memory movable from its highest block down only, which no udev does: run dimmer-guest here, or ${first}run this again after each plug"
fi

# What is there already. A kernel of before 4.13 makes a block movable only beside
# another one, so all of it goes from the highest down.
is() {
  state=
  read -r state 2>/dev/null <$memory/memory"$1"/state
  [ "$state" = "$2" ]
}

is_movable() {
  zone=
  read -r zone rest 2>/dev/null <$memory/memory"$1"/valid_zones
  [ "$zone" = Movable ]
}

# Says to the kernel what state a block is to have; $why is its answer. A program does, as
# not every shell's own echo tells the reason.
set_state() {
  ! is_locked || return
  why=$({ LC_ALL=C timeout -s KILL 20 sh -c 'exec env echo "$1" >"$0"' $memory/memory"$1"/state "$2"; } 2>&1)
  why=${why##*: }
  is "$1" "${2%%_*}"
}

# Somebody else takes a block offline, which can last for ever, and as long the kernel lets nobody change another.
is_locked() {
  why="the kernel is taking another block offline, and changes no other meanwhile: run this again when that is over"
  grep -q going-offline $memory/memory*/state
}

blocks() {
  for block in $memory/memory[0-9]*; do
    echo "${block##*/memory}"
  done | sort -rn
}

brought=0
bring_offline_blocks() {
  changed=yes
  while [ $changed = yes ]; do
    changed=no
    for number in $(blocks); do
      if ! is "$number" offline; then
        continue
      elif set_state "$number" online_movable; then
        changed=yes
        brought=$((brought + 1))
      else
        refused=$why
      fi
    done
  done
}

# The block numbers of the devices.
device_blocks() {
  size=$((0x$(cat $memory/block_size_bytes)))
  for device in "$@"; do
    number=$((${device%+*} / size))
    while [ $number -lt $(((${device%+*} + ${device#*+}) / size)) ]; do
      echo $number
      number=$((number + 1))
    done
  done | sort -rn
}

# KiB that are free in movable zones, and in others of a block's node: what the kernel moves out of a zone of its own
# does not go there, unless no other node has memory.
free_beyond() {
  movable=0
  own=0
  others=no
  while read -r first second third fourth rest; do
    case $first:$second in
      Node:*)
        node=node${second%,}
        zone=$fourth
        ;;
      pages:free)
        if [ "$zone" = Movable ]; then
          movable=$((movable + third))
        elif [ -e $memory/memory"$1/$node" ]; then
          own=$((own + third))
        fi
        ;;
      present:[1-9]*) [ -e $memory/memory"$1/$node" ] || others=yes ;;
    esac
  done </proc/zoneinfo
  [ $others = yes ] || own=0
  page=$(getconf PAGESIZE 2>/dev/null || echo 4096)
  movable=$((movable * page / 1024))
  own=$((own * page / 1024))
}

# Whether what is in a block finds room, and leaves a reserve: of a 20th, from 64 MiB to 1 GiB, as dimmer reckons.
short="there is no memory to spare for what is in there: free some and run this again"
can_spare_block() {
  while read -r name value rest; do
    case $name in
      MemTotal:) reserve=$((value / 20)) ;;
      MemFree: | MemAvailable:) spare=$value ;; # the second is missing before 3.14
    esac
  done </proc/meminfo
  [ "$reserve" -gt 65536 ] || reserve=65536
  [ "$reserve" -lt 1048576 ] || reserve=1048576
  free_beyond "$1"
  [ "$reserve" -gt "$own" ] || reserve=$own # which stays free as well
  [ $((spare - reserve - movable)) -ge $((0x$(cat $memory/block_size_bytes) / 1024)) ]
}

# As long as there is a page that does not move, the kernel tries for ever. And whoever takes
# memory away is the first to go where it runs out.
ran_out=no
take_offline() {
  ! is_locked || return
  why=$({
    LC_ALL=C timeout 5 sh -c 'echo 1000 >/proc/self/oom_score_adj; exec env echo offline >"$0"' \
      $memory/memory"$1"/state
  } 2>&1)
  case $?:$why in
    137:*)
      ran_out=yes
      why=$short
      ;;
    124:* | 143:*) why="something in it did not move within 5 s: end what holds on to it, or start this machine with $word on the kernel's command line" ;;
    *busy) why="the kernel has something in it that it cannot move: start this machine with $word on the kernel's command line" ;;
    *) why=${why##*: } ;;
  esac
  is "$1" offline
}

# Whether the block is movable after that; else $why it is not. What does not come back so comes back as it was.
make_movable() {
  if [ "$(cut -d . -f 1 /proc/uptime)" -gt $deadline ]; then
    why="this took long enough: run it again to go on"
  elif [ $ran_out = yes ] || ! can_spare_block "$1"; then
    why=$short
  elif take_offline "$1"; then
    set_state "$1" online_movable && is_movable "$1" && return
    refused=$why
    set_state "$1" online
    why="it did not come back as movable: $refused"
  fi
  return 1
}

# Blocks that stay, told together where the reason is the same.
count=0
to=0
stays() {
  if [ "$2" != "$reason" ] || [ "$1" != $((to - 1)) ]; then
    tell_stays
    reason=$2
    from=$1
    count=0
  fi
  to=$1
  count=$((count + 1))
}

tell_stays() {
  case $count in
    0) ;;
    1) echo "left: memory$from is not made movable: $reason" ;;
    *) echo "left: memory$from down to memory$to ($count blocks) are not made movable: $reason" ;;
  esac
}

bring_offline_blocks
deadline=$(($(cut -d . -f 1 /proc/uptime) + 90))
for number in $(device_blocks "$@"); do
  if ! is "$number" online || is_movable "$number"; then
    continue
  elif [ ! -e $memory/memory"$number"/valid_zones ]; then
    stays "$number" "this kernel does not tell its zone, or cannot take memory out"
  elif make_movable "$number"; then
    brought=$((brought + 1))
  elif is "$number" online; then
    stays "$number" "$why"
  fi
done
bring_offline_blocks
for number in $(blocks); do
  if is "$number" offline; then
    stays "$number" "it is offline, and does not come online: $refused"
  elif is "$number" going-offline; then
    stays "$number" "it is being taken offline, which ends when what is in it can be moved"
  fi
done
tell_stays
case $brought in
  0) ;;
  1) echo "done: brought a memory block online as movable" ;;
  *) echo "done: brought $brought memory blocks online as movable" ;;
esac
exit 0
