#!/usr/bin/env bash
# Checks charts/amiops against a real API server: each set of values in charts/amiops/ci (and the
# defaults) must pass `helm lint --strict`, be accepted by a server-side dry run in a namespace
# that warns about anything short of Pod Security `restricted`, and grant the controller what it
# uses and no more. Starts a world of its own and stops it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chart=$root/charts/amiops
helm=$("$root/tests/env/assets" helm)/helm
kubectl=$("$root/tests/env/assets" kube)/kubectl
tmp=$(mktemp -d)
trap '"$root/tests/env/world" down "$tmp/world"; rm -rf "$tmp"' EXIT

fail() { echo "chart: $*" >&2; exit 1; }
render() { "$helm" template amiops "$chart" --namespace amiops-system "$@"; }
# As the person who installs, and as the ServiceAccount that the chart makes.
admin() { "$kubectl" --kubeconfig "$tmp/world/admin.kubeconfig" --cache-dir "$tmp/cache" "$@"; }
controller() { "$kubectl" --kubeconfig "$tmp/world/controller.kubeconfig" --cache-dir "$tmp/cache" "$@"; }

# Helm and kubectl only warn of much that is wrong: any word on stderr fails.
quietly() {
  "$@" >"$tmp/out" 2>"$tmp/err" || fail "$*: $(cat "$tmp/out" "$tmp/err")"
  [[ ! -s $tmp/err ]] || fail "$*: $(cat "$tmp/err")"
}

# may|may_not VERB RESOURCE [-n NAMESPACE]
may() { controller auth can-i "$@" >/dev/null 2>&1 || fail "the controller needs: $*"; }
may_not() { ! controller auth can-i "$@" >/dev/null 2>&1 || fail "the controller must not: $*"; }

"$root/tests/env/world" up "$tmp/world" $$
for namespace in amiops-system images; do
  quietly admin create namespace "$namespace"
  quietly admin label namespace "$namespace" pod-security.kubernetes.io/warn=restricted
done

for values in "$chart"/values.yaml "$chart"/ci/*-values.yaml; do
  quietly "$helm" lint --strict "$chart" --values "$values"
  quietly render --values "$values"
  cp "$tmp/out" "$tmp/rendered.yaml"
  # Its objects are of kinds that only a cluster with the Prometheus operator knows.
  [[ $values == */monitoring-values.yaml ]] || quietly admin apply --dry-run=server -f "$tmp/rendered.yaml"
  echo "ok  ${values#"$root/"}"
done

# The chart carries copies, since a packaged chart cannot reach out of its folder.
diff -r "$root/crds" "$chart/files/crds" || fail "the chart's copies of crds/ are not the same"
grep -q '^kind: CustomResourceDefinition' <(render) || fail "the chart installs no CustomResourceDefinition"
grep -q '^kind: CustomResourceDefinition' <(render --set crds.install=false) && fail "crds.install=false installs them all the same"

render --set replicaCount=2,controller.leaderElect=false >/dev/null 2>&1 && fail "two controllers without a leader are accepted"
render --set nosuchvalue=1 >/dev/null 2>&1 && fail "an unknown value is accepted"

# Namespaced rights first: those of the default installation include them.
render --values "$chart/ci/namespaced-values.yaml" >"$tmp/namespaced.yaml"
quietly admin apply -f "$tmp/namespaced.yaml"
may watch machineimages.amiops.dev -n images
may create events.events.k8s.io -n images
may_not list machineimages.amiops.dev --all-namespaces
may_not create leases.coordination.k8s.io -n amiops-system
render >"$tmp/default.yaml"
quietly admin apply -f "$tmp/default.yaml"
for verb in get list watch patch; do may "$verb" machineimages.amiops.dev --all-namespaces; done
may patch machineimages.amiops.dev --subresource=status -n images
for verb in create patch; do may "$verb" events.events.k8s.io -n images; done
may create leases.coordination.k8s.io -n amiops-system
for verb in get patch; do may "$verb" leases.coordination.k8s.io/amiops -n amiops-system; done
for verb in create update delete; do may_not "$verb" machineimages.amiops.dev -n images; done
may_not get secrets -n amiops-system
may_not patch leases.coordination.k8s.io/another -n amiops-system
may_not create leases.coordination.k8s.io -n images
echo "ok  rights"
