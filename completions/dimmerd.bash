# bash completion for dimmerd(8)                               -*- shell-script -*-
# SPDX-License-Identifier: Apache-2.0
#
# The options and verbs are held against 'dimmerd --help' by tests/docs.

# Files that begin with what is being written; folders end with a slash.
_dimmerd_offer_files() {
    local file
    compopt -o filenames 2>/dev/null
    while IFS= read -r file; do
        COMPREPLY+=("$file")
    done < <(compgen -f -- "$1")
}

_dimmerd() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=''
    COMPREPLY=()
    # readline splits at "=", as in --role=admin
    [[ $cur == = ]] && cur='' && before="${COMP_WORDS[COMP_CWORD - 1]}"
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
    case $before in
        --config | --users)
            _dimmerd_offer_files "$cur"
            return
            ;;
        --role) words='admin viewer' ;;
        user) words='add passwd role del list' ;;
        *)
            if [[ $cur != -* ]]; then
                ((COMP_CWORD == 1)) && words=user
                [[ ${COMP_WORDS[*]:1:2} == 'user role' ]] && ((COMP_CWORD == 4)) && words='admin viewer'
            elif [[ ${COMP_WORDS[1]} == user ]]; then
                words='--role --users --config'
            else
                words='--config --check -h --help --version'
            fi
            ;;
    esac
    local word
    for word in $words; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
    done
}

complete -F _dimmerd dimmerd
