# shellcheck shell=bash
# The flags: ours, and those that are passed on to kubectl, to our commands and to `cleanup`.

MODE=islands CILIUM_FILE='' CILIUM_FINAL_FILE='' KEY=cni TIMEOUT=10m FIRST='' RECREATE=broken
YES=false DRY_RUN=false DELETE_EMPTYDIR=false PURGE=false
ACCEPT_OUTAGE=false ACCEPT_WEBHOOK_OUTAGE=false WITH_KUBE_PROXY=false
FLANNEL_DAEMONSET='' CILIUM_DAEMONSET=''
CONNECTION=() SSH=() DAEMONSETS=()   # flags that are passed on

readonly CONNECTION_VALUES=' kubeconfig context cluster user as as-group as-uid as-user-extra token
 server certificate-authority client-certificate client-key tls-server-name request-timeout cache-dir '
readonly CONNECTION_SWITCHES=' insecure-skip-tls-verify disable-compression '
readonly SSH_VALUES=' ssh-user ssh-port ssh-key ssh-known-hosts ssh-timeout ssh-option address-type host-map parallel via image '
readonly SSH_SWITCHES=' ssh-accept-new '
readonly OWN_VALUES=' cilium cilium-final mode key first timeout recreate-services flannel-daemonset cilium-daemonset '
readonly OWN_SWITCHES=' yes dry-run delete-emptydir-data accept-outage accept-webhook-outage purge with-kube-proxy '

usage_error() {
  printf 'error: %s\n' "$1" >&2
  printf "See 'kubectl cni migrate --help' for usage.\n" >&2
  exit 2
}

# Is word $2 in the list $1?
listed() { [[ " ${1//$'\n'/ } " == *" $2 "* ]]; }

is_switch() { listed "$CONNECTION_SWITCHES $SSH_SWITCHES $OWN_SWITCHES" "$1"; }
takes_value() { listed "$CONNECTION_VALUES $SSH_VALUES $OWN_VALUES" "$1"; }

as_bool() { # NAME VALUE: sets BOOL
  case $2 in
    true | True | TRUE | 1) BOOL=true ;;
    false | False | FALSE | 0) BOOL=false ;;
    *) usage_error "--$1 is true or false, not \"$2\"" ;;
  esac
}

set_flag() { # NAME VALUE
  local name=$1 value=$2
  if [[ $name == dry-run && $value == client ]]; then value=true; fi
  if [[ $name == dry-run && $value == none ]]; then value=false; fi
  if is_switch "$name"; then as_bool "$name" "$value" && value=$BOOL; fi
  if listed "$CONNECTION_VALUES $CONNECTION_SWITCHES" "$name"; then CONNECTION+=("--$name=$value") && return; fi
  if listed "$SSH_VALUES $SSH_SWITCHES" "$name"; then SSH+=("--$name=$value") && return; fi
  case $name in
    cilium) CILIUM_FILE=$value ;;
    cilium-final) CILIUM_FINAL_FILE=$value ;;
    mode) MODE=$value ;;
    key) KEY=$value ;;
    first) FIRST=$value ;;
    timeout) TIMEOUT=$value ;;
    recreate-services) RECREATE=$value ;;
    flannel-daemonset) FLANNEL_DAEMONSET=$value && DAEMONSETS+=("--$name=$value") ;;
    cilium-daemonset) CILIUM_DAEMONSET=$value && DAEMONSETS+=("--$name=$value") ;;
    yes) YES=$value ;;
    dry-run) DRY_RUN=$value ;;
    delete-emptydir-data) DELETE_EMPTYDIR=$value ;;
    accept-outage) ACCEPT_OUTAGE=$value ;;
    accept-webhook-outage) ACCEPT_WEBHOOK_OUTAGE=$value ;;
    purge) PURGE=$value ;;
    with-kube-proxy) WITH_KUBE_PROXY=$value ;;
    *) usage_error "unknown flag: --$name" ;;
  esac
}

# What is in the environment counts as if it came first on the command line. Connection flags are
# passed on by flag, because kubectl itself reads no such variables; the ssh settings reach `cleanup`
# through the environment anyway; our own settings stop here, or the commands would read them too.
flags_from_environment() {
  local name variable
  for name in $CONNECTION_VALUES $CONNECTION_SWITCHES $OWN_VALUES $OWN_SWITCHES; do
    variable=KUBECTL_CNI_${name^^}
    variable=${variable//-/_}
    if [[ -n ${!variable-} ]]; then set_flag "$name" "${!variable}"; fi
    unset "$variable"
  done
}

parse_flags() {
  local name value
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --version) exec "$(command_path kubectl-cni)" --version ;;
      -y) set_flag yes true && shift && continue ;;
      -s) name=server ;;
      -s?*) value=${1#-s} && set_flag server "${value#=}" && shift && continue ;;
      --*=*) name=${1%%=*} && set_flag "${name#--}" "${1#*=}" && shift && continue ;;
      --?*) name=${1#--} ;;
      -*) usage_error "unknown flag: $1" ;;
      *) usage_error "migrate takes no arguments, got \"$1\"" ;;
    esac
    if is_switch "$name"; then set_flag "$name" true && shift && continue; fi
    takes_value "$name" || usage_error "unknown flag: --$name"
    (($# > 1)) || usage_error "flag needs an argument: --$name"
    set_flag "$name" "$2"
    shift 2
  done
}

check_flags() {
  if [[ -z $CILIUM_FILE ]]; then usage_error 'required flag "cilium" not set: the manifest of Cilium to deploy'; fi
  if [[ ! -r $CILIUM_FILE || -d $CILIUM_FILE ]]; then usage_error "--cilium: cannot read $CILIUM_FILE"; fi
  listed 'islands bridged' "$MODE" || usage_error "--mode is islands or bridged, not \"$MODE\""
  if [[ $MODE == bridged && -z $CILIUM_FINAL_FILE ]]; then
    usage_error '--mode bridged also needs "cilium-final": the manifest with the values for the time after the last node'
  fi
  if [[ $MODE == islands && -n $CILIUM_FINAL_FILE ]]; then usage_error '--cilium-final is for --mode bridged'; fi
  if [[ $MODE == bridged ]] && $WITH_KUBE_PROXY; then usage_error '--with-kube-proxy is for --mode islands'; fi
  if [[ $MODE == bridged && -n $FIRST ]]; then usage_error '--first is for --mode islands'; fi
  if [[ $MODE == bridged && (! -r $CILIUM_FINAL_FILE || -d $CILIUM_FINAL_FILE) ]]; then
    usage_error "--cilium-final: cannot read $CILIUM_FINAL_FILE"
  fi
  if [[ -n $FIRST && ! $FIRST =~ ^[1-9][0-9]*$ ]]; then usage_error "--first is a number above 0, not \"$FIRST\""; fi
  if [[ ! $TIMEOUT =~ ^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$ ]]; then
    usage_error "--timeout is a duration like 30s or 10m, not \"$TIMEOUT\""
  fi
  if [[ $TIMEOUT =~ ^0(ms|s|m|h)$ ]]; then TIMEOUT=0; fi
  listed 'none broken all' "$RECREATE" || usage_error "--recreate-services is none, broken or all, not \"$RECREATE\""
  # Looking through a pod is making one.
  if $DRY_RUN && { listed "${SSH[*]}" --via=pod || [[ ${KUBECTL_CNI_VIA-} == pod ]]; }; then
    usage_error '--dry-run changes nothing, but --via pod makes a pod on each node to look at it: leave one of them out'
  fi
  [[ $KEY =~ ^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$ ]] || usage_error "--key: \"$KEY\" is no label key"
}

# Whole seconds of a duration such as 1h30m; 0 stays 0 (no limit).
seconds_of() {
  local rest=$1 total=0 number unit
  while [[ $rest =~ ^([0-9]+)(\.[0-9]+)?(ms|s|m|h)(.*)$ ]]; do
    number=$((10#${BASH_REMATCH[1]})) unit=${BASH_REMATCH[3]} rest=${BASH_REMATCH[4]}
    case $unit in
      s) total=$((total + number)) ;;
      m) total=$((total + number * 60)) ;;
      h) total=$((total + number * 3600)) ;;
      ms) total=$((total + number / 1000)) ;;
    esac
  done
  if [[ $1 != 0 && $total == 0 ]]; then total=1; fi
  echo "$total"
}
