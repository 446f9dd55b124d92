#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes hot plugged memory of this machine come online as movable, now and after
# every start, so that it can be unplugged again. As root; doing it twice is fine.
# Words behind its name say where memory devices lie, ADDRESS+SIZE in bytes: what the
# kernel's own zones have of them is made movable too.

@NOTES@
@WORDS@

# A sentence is a format of printf.
say() { # SENTENCE [ARGUMENT...]
  sentence=$1
  shift
  # shellcheck disable=SC2059
  printf "$sentence\n" "$@"
}

# What dimmer understands of the output: what was done, and what is left to do.
did() { # CODE SENTENCE [ARGUMENT...]
  printf 'done %s: ' "$1"
  shift
  say "$@"
}

left() { # CODE SENTENCE [ARGUMENT...]
  printf 'left %s: ' "$1"
  shift
  say "$@"
}

memory=/sys/devices/system/memory
if [ "$(id -u)" != 0 ]; then
  echo "$NOT_ROOT" >&2
  exit 1
elif [ ! -e $memory/block_size_bytes ]; then
  echo "$NO_HOT_PLUG" >&2
  exit 1
fi

# Gives a file that content, unless it has it: beside first, so that it is whole at any time.
put() { # FILE CONTENT [SENTENCE]
  [ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 0
  if why=$({ mkdir -p "${1%/*}" && echo "$2" >"$1.new" && mv -f "$1.new" "$1"; } 2>&1); then
    did file-written "${3:-$FILE_WRITTEN}" "$1"
  else
    rm -f "$1.new" 2>/dev/null
    left file-not-written "$FILE_NOT_WRITTEN" "$1" "${why##*: }"
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

# What auto_online_blocks is when the kernel starts; nothing where that is not known.
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

# What the kernel command line is to have. Before 4.13 movable_node does nothing for what is plugged.
word=memhp_default_state=online_movable
! is_before 5 7 || word=movable_node
! is_before 4 13 || word=memhp_default_state=offline

# The kernel itself, since 5.7. Before, it can only leave it to udev.
set_policy() {
  read -r before <$memory/auto_online_blocks
  if echo online_movable >$memory/auto_online_blocks; then
    policy=online_movable
    word=memhp_default_state=online_movable
  elif [ "$udev" = yes ] && echo offline >$memory/auto_online_blocks; then
    policy=offline
  elif ! echo "$before" >$memory/auto_online_blocks; then
    left policy-not-set "$POLICY_NOT_WRITABLE" "$word"
    return 1
  else
    if is_before 4 13; then
      : # there is more to say of it, below
    elif [ "$before:$word" = online:movable_node ]; then
      left policy-not-set "$NO_MOVABLE_POLICY_OR_START" "$word"
    else
      left policy-not-set "$NO_MOVABLE_POLICY"
    fi
    return 1
  fi 2>/dev/null
  [ "$before" = $policy ] || did policy-set "$POLICY_SET" "$policy"
}

# And at every start, though what is there when it starts comes first.
keep_policy() {
  if [ -d /etc/tmpfiles.d ] || [ -d /run/systemd/system ]; then
    put /etc/tmpfiles.d/dimmer-memory.conf "w $memory/auto_online_blocks - - - - $policy" \
      "$FILE_WRITTEN_FOR_STARTS" && kept=yes
  fi
  at_start=$(policy_at_start)
  case $at_start:$word:" $(cat /proc/cmdline) " in
    *:memhp_default_state=offline:*) ;;
    online:*' movable_node '* | :*' movable_node '*) at_start=online_movable ;;
  esac
  case $udev:$kept:$at_start in
    *:online_movable | yes:*:offline | *:yes:offline) ;;
    *:yes:?*) left policy-reset-to "$KERNEL_TAKES_AT_START" "$at_start" "$word" ;;
    *:yes:) left policy-may-be-reset "$KERNEL_MAY_TAKE_AT_START" "$word" ;;
    yes::) left policy-may-be-reset "$POLICY_MAY_BE_RESET" "$word" ;;
    *:) left policy-reset "$POLICY_RESET" "$word" ;;
    *) left policy-reset-to "$POLICY_RESET_TO" "$at_start" "$word" ;;
  esac
}

if [ -e $memory/auto_online_blocks ]; then
  set_policy && keep_policy
fi
if is_before 4 13 && ! pidof dimmer-guest >/dev/null 2>&1; then
  if grep -qsx online $memory/auto_online_blocks; then # the kernel has taken all of it by then
    left highest-first "$FROM_HIGHEST_AND_START" "$word"
  else
    left highest-first "$FROM_HIGHEST"
  fi
fi

# What is there already. A kernel of before 4.13 makes a block movable only beside
# another one, so all of it goes from the highest down.
is() {
  state=
  read -r state 2>/dev/null <$memory/memory"$1"/state
  [ "$state" = "$2" ]
}

# To read valid_zones of a block that has no link to its node yet crashes the kernel. From inside its folder
# both are of the same block, whatever comes and goes meanwhile.
is_movable() (
  cd $memory/memory"$1" 2>/dev/null || return
  zone=
  [ -e /sys/devices/system/node ] && set -- node[0-9]* || set -- state
  [ -e "$1" ] && read -r zone rest 2>/dev/null <valid_zones
  [ "$zone" = Movable ]
)

# Says to the kernel what state a block is to have; $why is its answer. A program does, as
# not every shell's own echo tells the reason.
set_state() {
  ! is_locked || return
  why=$({ LC_ALL=C timeout -s KILL 20 sh -c 'exec env echo "$1" >"$0"' $memory/memory"$1"/state "$2"; } 2>&1)
  why=${why##*: }
  is "$1" "${2%%_*}"
}

# Another program is taking a block offline, which can last for ever, and meanwhile the kernel changes no other.
is_locked() {
  why=$LOCKED
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

# As long as there is a page that does not move, the kernel tries for ever. And the program that takes
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
      why=$NOTHING_TO_SPARE
      ;;
    124:* | 143:*) why=$(say "$DID_NOT_MOVE" "$word") ;;
    *busy) why=$(say "$CANNOT_MOVE" "$word") ;;
    *) why=${why##*: } ;;
  esac
  is "$1" offline
}

# Whether the block is movable after that; else $why it is not. What does not come back so comes back as it was.
make_movable() {
  if [ "$(cut -d . -f 1 /proc/uptime)" -gt $deadline ]; then
    why=$TIME_IS_OVER
  elif [ $ran_out = yes ] || ! can_spare_block "$1"; then
    why=$NOTHING_TO_SPARE
  elif take_offline "$1"; then
    set_state "$1" online_movable && is_movable "$1" && return
    refused=$why
    set_state "$1" online
    why=$(say "$NOT_BACK" "$refused")
  fi
  return 1
}

# Blocks that stay, reported together where the reason is the same.
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
    1) left $kind "$BLOCK_STAYS" "memory$from" "$reason" ;;
    *) left $kind "$BLOCKS_STAY" "memory$from" "memory$to" "$count" "$reason" ;;
  esac
}

bring_offline_blocks
kind=blocks-not-movable
deadline=$(($(cut -d . -f 1 /proc/uptime) + 90))
for number in $(device_blocks "$@"); do
  if ! is "$number" online || is_movable "$number"; then
    continue
  elif [ ! -e $memory/memory"$number"/valid_zones ]; then
    stays "$number" "$ZONE_UNKNOWN"
  elif make_movable "$number"; then
    brought=$((brought + 1))
  elif is "$number" online; then
    stays "$number" "$why"
  fi
done
bring_offline_blocks
tell_stays
count=0
kind=blocks-offline
for number in $(blocks); do
  if is "$number" offline; then
    stays "$number" "$(say "$STAYS_OFFLINE" "$refused")"
  elif is "$number" going-offline; then
    stays "$number" "$GOING_OFFLINE"
  fi
done
tell_stays
case $brought in
  0) ;;
  1) did blocks-onlined "$BLOCK_ONLINED" ;;
  *) did blocks-onlined "$SEVERAL_ONLINED" "$brought" ;;
esac
exit 0
