# What a namespace looks like to the clients of its Services, from a List of its Services, Endpoints and
# EndpointSlices: those whose writer is $who (own: a person; controller), less what the server writes anew
# with every object. An owner that is alive stands there by its name, for it has another UID afterwards.

def writer:
  (.metadata.labels // {}) as $labels
  | if ($labels["endpointslice.kubernetes.io/managed-by"] // "" | endswith("-controller.k8s.io"))
      or $labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"
    then "controller" else "own" end;

# Another name, another order and another time are as good; a mirrored slice that stands when its Endpoints come back
# is made anew under the name it has (endpointslicemirroring, newEndpointSlice), others under a generated one.
# The empty slice of a Service without pods is a matter of chance: the controller may take that of the old Service for
# the new one's, which is then collected with its owner (placeholderSliceCompare in k8s.io/endpointslice/reconciler.go).
def placeholder: .kind == "EndpointSlice" and writer == "controller" and (.endpoints // []) == [];

def without_chance:
  if writer == "own" then . else
    .metadata |= (del(.name, .generateName, .generation, .annotations["endpoints.kubernetes.io/last-change-trigger-time"])
      | if .annotations == {} then del(.annotations) else . end)
    | if .endpoints then .endpoints |= sort else . end
  end;

([.items[] | select(.kind == "Service" or .kind == "Endpoints")
  | {key: .metadata.uid, value: "\(.kind)/\(.metadata.name)"}] | from_entries) as $alive
| [.items[] | select(.kind != "Secret" and writer == $who and (placeholder | not))
  | .metadata |= (del(.uid, .resourceVersion, .creationTimestamp, .managedFields)
      | if .ownerReferences then .ownerReferences |= map(.uid |= ($alive[.] // .)) else . end)
  | without_chance]
| sort_by(.kind, .metadata.name, .metadata.labels["kubernetes.io/service-name"], .addressType)
