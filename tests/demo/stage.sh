# The stage of the demonstration: builds, starts and stops what it plays on. Sourced by tests/demo/run.
# Everything it makes is in $dir; $root is the top of the repository.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and dir are set by who sources this

log() { echo "demo: $*" >&2; }
fail() { log "$*"; exit 1; }

# poll SECONDS WHAT COMMAND...: until COMMAND succeeds, or fails saying what was waited for.
poll() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || fail "gave up waiting until $what"
    sleep 0.2
  done
}

# The caches of tools are kept out of the home directory, and no setting of the user's
# environment may lead a call to the real AWS or past the simulator.
isolate() {
  local name
  for name in "${!AWS_@}" "${!AMIOPS_@}" http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY; do
    unset "$name"
  done
  export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
  export AWS_ACCESS_KEY_ID=111111111111 AWS_SECRET_ACCESS_KEY=demo AWS_REGION=us-east-1
  export KUBECONFIG=$dir/world/admin.kubeconfig KUBECACHEDIR=$dir/cache
}

build() {
  cargo build --workspace --manifest-path "$root/Cargo.toml"
  bin=$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps --offline |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug
  assets=$("$root/tests/env/assets" kube)
}

# As a person would call them, so that a command line that is shown is one that can be typed.
kubectl() { "$assets/kubectl" "$@"; }
amiops() { "$bin/amiops" "$@"; }

# launch NAME COMMAND...: in the background, output to $dir/NAME.log. nohup: with KEEP=1 it outlives the terminal.
launch() {
  local name=$1
  shift
  nohup "$@" </dev/null >"$dir/$name.log" 2>&1 &
  echo $! >"$dir/$name.pid"
}

# Whether the program that was launched as $1 runs. A pid is used again, so its command line counts too.
running() {
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null || return 1
  [[ ! -r /proc/$pid/cmdline ]] || grep -qF "$1" "/proc/$pid/cmdline"
}

# Stops the program that was launched as $1, the hard way if it has not ended after 25 seconds.
end() {
  local deadline=$((SECONDS + 25))
  while running "$1"; do
    if ((SECONDS < deadline)); then kill "$(<"$dir/$1.pid")"; else kill -KILL "$(<"$dir/$1.pid")"; fi 2>/dev/null || true
    sleep 0.1
  done
}

start_world() {
  # With our pid the world ends with us, however we end.
  if [[ -n ${KEEP:-} ]]; then "$root/tests/env/world" up "$dir/world"; else "$root/tests/env/world" up "$dir/world" $$; fi
  amiops crd | kubectl apply --filename - >/dev/null
  kubectl wait --for condition=Established --timeout 30s crd/machineimages.amiops.dev >/dev/null
}

simulator_url() { [[ -s $dir/ec2sim.log ]] && read -r AWS_ENDPOINT_URL <"$dir/ec2sim.log"; }

start_aws() {
  launch ec2sim "$bin/ec2sim" --listen 127.0.0.1:0 --copy-time 3s
  poll 10 "ec2sim tells its URL" simulator_url
  export AWS_ENDPOINT_URL
}

# Asks AWS more often than the defaults do: here a copy takes seconds.
start_controller() {
  launch amiops "$bin/amiops" controller --listen 127.0.0.1:0 --log-format text --poll-interval 500ms
}

# request METHOD PATH HEADER BODY: one HTTP request to the simulator; prints the body of the answer. By bash alone,
# since a fresh machine need not have an HTTP client.
request() {
  local line status
  exec 3<>"/dev/tcp/127.0.0.1/${AWS_ENDPOINT_URL##*:}"
  printf '%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$2" "$3" "${#4}" "$4" >&3
  read -r _ status _ <&3
  while read -r line <&3 && [[ $line != $'\r' ]]; do :; done
  cat <&3
  exec 3>&-
  [[ $status == 200 ]] || fail "$1 $2 answered $status"
}

# The simulator's own endpoint: tests/ec2sim/README.md.
admin() { request "$1" "/_admin/$2" "Content-Type: application/json" "${3:-}"; }

# ec2 REGION QUERY: a call to EC2 as somebody else than amiops makes it.
ec2() {
  request POST / "Authorization: AWS4-HMAC-SHA256 Credential=111111111111/20261124/$1/ec2/aws4_request" "$2"
}

# The sources and the key that examples/web.yaml names.
seed() {
  seed_image build-1.4.1 ami-0ee55ff66aa77bb88 2026-10-28
  seed_image build-1.4.2 ami-0aa11bb22cc33dd44 2026-11-20
  admin POST keys '{"region": "eu-west-1", "alias": "alias/golden"}' >/dev/null
}

seed_image() {
  admin POST images "{\"region\": \"us-east-1\", \"name\": \"$1\", \"id\": \"$2\", \"creationDate\": \"$3T08:00:00Z\"}" >/dev/null
}

# slow_down REGION MILLISECONDS: what is far away answers late, so that not everything is done at the same moment.
slow_down() {
  admin POST faults "{\"operation\": \"CopyImage\", \"region\": \"$1\", \"effect\": {\"delay\": $2}}" >/dev/null
}

# print TEMPLATE: prints the JSON on stdin as a Go template says. A plain `kubectl` can do that without a server.
print() {
  { printf '{"apiVersion": "demo/v1", "kind": "Data", "metadata": {"name": "data"}, "data": '; cat; printf '}'; } |
    kubectl annotate --local --filename - read=yes --output go-template="$1"
}

stop_all() {
  end amiops
  end ec2sim
  "$root/tests/env/world" down "$dir/world"
}
