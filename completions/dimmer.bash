# bash completion for dimmer(1)                                -*- shell-script -*-
# SPDX-License-Identifier: Apache-2.0
#
# The options below are held against 'dimmer VERB --help' by tests/docs. Names of VMs and devices come from dimmer
# itself, on a read-only connection, and only if it answers quickly.
#
# The helpers work on the local variables of _dimmer, at the end.

# The command line up to the cursor as a user sees it, in $words: readline also splits at = and :, as in --policy=fine
# or -c qemu:///system. The last word is what is being written.
_dimmer_split() {
    local i word glue=''
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $glue || ($i -gt 0 && $word == +([=:])) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        [[ $word == +([=:]) ]] && glue=1 || glue=''
    done
}

# What stands before the cursor: $verb, its $operands, $connect, and $option where one waits for its value. $literal is
# set behind "--".
_dimmer_parse() {
    local word
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ $option ]]; then
            [[ $option == @(-c|--connect) ]] && connect=(-c "$word")
            option=''
        elif [[ $literal || $word != -* ]]; then
            [[ $verb ]] && operands+=("${word//\\/}") || verb=$word
        else
            case $word in
                --) literal=1 ;;
                --connect=*) connect=(-c "${word#*=}") ;;
                -c?*) connect=(-c "${word#-c}") ;;
                -[cogmt] | --connect | --output | --memory | --guaranteed | --maximum | --timeout | --node | --policy | \
                    --kind | --max-size | --slots | --floor | --balloon-use | --vm) option=$word ;;
            esac
        fi
    done
}

# Asks dimmer with these arguments. It never asks back, and never prints an error: timeout puts it into a process group
# of its own, so that an ssh below it cannot reach the terminal for a password either.
_dimmer_ask() {
    timeout 2 "$command" -o json "${connect[@]}" "$@" </dev/null 2>/dev/null
}

# Reads the JSON of 'list' or 'show', which has a line for each member. Fills $names with the names of VMs, or with the
# ids and aliases of live memory devices that can be hot unplugged. An alias that only repeats the id ("ua-ID") is for
# those who begin to write it.
_dimmer_read() {
    local line key value id='' alias='' live=''
    while read -r line; do
        [[ $line =~ ^\"([a-z_]+)\":\ (.*[^,]),?$ ]] || continue
        key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        if [[ $value == \"*\" ]]; then
            value=${value:1:${#value}-2}
            value=${value//\\\"/\"}
            value=${value//\\\\/\\}
        fi
        case $1.$key in
            list.name) names+=("$value") ;;
            show.live) live=1 ;;
            show.next_run) live='' ;;
            show.id) id=$value ;;
            show.alias) alias=$value ;;
            show.kind)
                [[ $live && $value == @(dimm|virtio-mem) ]] || continue
                names+=("$id")
                [[ $alias == "ua-$id" && $cur != u* ]] || names+=("$alias")
                ;;
        esac
    done
}

# Adds those of the words that begin with what is being written to COMPREPLY.
_dimmer_offer() {
    local word
    for word; do
        [[ $word == "${cur//\\/}"* ]] && COMPREPLY+=("$before$(printf '%q' "$word")")
    done
}

_dimmer_offer_vms() {
    local -a names=()
    _dimmer_read list < <(_dimmer_ask list)
    _dimmer_offer "${names[@]}"
}

_dimmer_offer_operand() {
    local -a names=()
    local name
    case $verb.${#operands[@]} in
        guest.0) _dimmer_offer prepare ;;
        show.0 | set.0 | unplug.0 | plug.0 | enable.0 | settle.0 | doctor.0 | guest.1)
            _dimmer_offer_vms
            ;;
        unplug.*)
            _dimmer_read show < <(_dimmer_ask show -- "${operands[0]}")
            for name in "${names[@]}"; do
                [[ " ${operands[*]:1} " == *" $name "* ]] || _dimmer_offer "$name"
            done
            ;;
    esac
}

_dimmer_offer_options() {
    local -a options=(-c --connect -o --output --debug -h --help)
    case $verb in
        '') options+=(--version) ;;
        set) options+=(-m --memory -g --guaranteed --maximum --kind --policy --node --balloon --live --next-run -n --dry-run -t --timeout --no-retry
            --try-unmovable --force) ;;
        unplug) options+=(-n --dry-run -t --timeout --try-unmovable --force) ;;
        show) options+=(--guest) ;;
        doctor) options+=(-m --memory) ;;
        guest) options+=(--print) ;;
        plug) options+=(--node --policy --kind --max-size -t --timeout --force -n --dry-run) ;;
        enable) options+=(--maximum --slots --floor --node --kind --free-page-reporting --autodeflate --balloon-use
            --force
            -n --dry-run) ;;
        reclaim) options+=(-m --memory --vm --balloon -n --dry-run -t --timeout) ;;
        settle) options+=(-n --dry-run -t --timeout --force) ;;
    esac
    _dimmer_offer "${options[@]}"
}

_dimmer() {
    local -a words=() operands=() connect=()
    local command=$1 verb='' option='' literal='' cur before='' raw
    COMPREPLY=()
    _dimmer_split
    _dimmer_parse
    cur=${words[${#words[@]} - 1]}
    local whole=$cur
    if [[ ! $option && ! $literal && $cur == --*=* ]]; then
        option=${cur%%=*} before=${cur%%=*}= cur=${cur#*=}
    elif [[ ! $option && ! $literal && $cur == -[cogmt]?* ]]; then
        option=${cur:0:2} before=$option cur=${cur:2}
    fi

    case $option in
        -c | --connect) _dimmer_offer qemu:///system qemu:///session ;;
        -o | --output) _dimmer_offer text json ;;
        --policy) _dimmer_offer ovirt whole fine ;;
        --kind) _dimmer_offer dimm virtio-mem
            [[ $verb == enable ]] || _dimmer_offer auto ;;
        --balloon-use) _dimmer_offer never ask allow ;;
        --vm) _dimmer_offer_vms ;;
        ?*) ;;
        *)
            if [[ ! $literal && $cur == -* ]]; then
                _dimmer_offer_options
            elif [[ ! $verb ]]; then
                _dimmer_offer list show set unplug plug enable doctor guest hosts reclaim settle
            else
                _dimmer_offer_operand
            fi
            ;;
    esac

    # Readline replaces only what stands behind its own last split.
    raw=${COMP_WORDS[COMP_CWORD]}
    [[ $raw == +([=:]) ]] && raw=''
    before=${whole%"$raw"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

complete -F _dimmer dimmer
