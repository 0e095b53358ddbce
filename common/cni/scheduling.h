// Which nodes a pod spec may run on, and which label keys it looks at.
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

/// nodeSelector and required node affinity of a pod spec against a Node, as the scheduler and the
/// DaemonSet controller read them (k8s.io/component-helpers/scheduling/corev1/nodeaffinity).
/// Taints are not looked at, as takes_pod() does.
bool may_run_on(const kube::Json& pod_spec, const kube::Json& node);

/// A pod spec tolerates a taint (k8s.io/component-helpers/scheduling/corev1, toleration.go).
bool tolerates(const kube::Json& pod_spec, const kube::Json& taint);

/// A cordon keeps new pods with this spec away.
bool kept_off_by_cordon(const kube::Json& pod_spec);

/// The scheduler would put a pod with this spec there as far as the Node's labels, cordon and
/// taints go.
bool takes_pod(const kube::Json& node, const kube::Json& pod_spec);

/// The value of nodeSelector[key] in a pod spec, "" when there is none.
std::string selected_value(const kube::Json& pod_spec, const std::string& key);

/// The pod spec's nodeSelector or required node affinity speaks of this label key.
bool selects_key(const kube::Json& pod_spec, const std::string& key);

/// A metav1.LabelSelector against an object's labels. An empty one matches everything, as a
/// PodDisruptionBudget's does (policy/v1); a missing one (null) nothing.
bool selector_matches(const kube::Json& label_selector, const kube::Json& object);

}  // namespace kcni::cni
