// The names that the suite writes into a cluster, in one place.
#pragma once

namespace kcni::cni {

inline constexpr const char* kDefaultKey = "cni";

// Values of the node label and of the pins.
inline constexpr const char* kFlannelValue = "flannel";
inline constexpr const char* kNoneValue = "none";
inline constexpr const char* kCiliumValue = "cilium";

/// On a node: the label key that we put there (value). A label without it belongs to somebody else.
inline constexpr const char* kLabelKeyAnnotation = "kubectl-cni/label-key";

/// On a workload that we pinned: the label key (value), and the nodeSelector value that stood there
/// before, if there was one. Annotations and not the field manager, because PodSpec.nodeSelector is
/// an atomic map: whoever adds another key to it later takes the ownership of ours along.
inline constexpr const char* kPinnedAnnotation = "kubectl-cni/pinned";
inline constexpr const char* kPinnedOverAnnotation = "kubectl-cni/pinned-over";

/// On a workload that is pinned in place: what is to be put back, as JSON ({"paused": false}). A
/// crash cannot lose it, for it is written together with what it remembers.
inline constexpr const char* kInPlaceAnnotation = "kubectl-cni/in-place";

/// On a workload: the playbook found it broken before the first step, so nobody waits for it, nor
/// pins it.
inline constexpr const char* kNotReadyBeforeAnnotation = "kubectl-cni/not-ready-before";

/// On backup Secrets: label "true", and annotations that say what is in them.
inline constexpr const char* kBackupLabel = "kubectl-cni/backup";
inline constexpr const char* kBackupKindAnnotation = "kubectl-cni/kind";
inline constexpr const char* kBackupNameAnnotation = "kubectl-cni/name";
inline constexpr const char* kBackupUidAnnotation = "kubectl-cni/uid";
/// Another one each time that it is written, so that no run drops what another has written since.
inline constexpr const char* kBackupWriterAnnotation = "kubectl-cni/writer";

}  // namespace kcni::cni
