// Package controllers stands in for sigs.k8s.io/mcs-api/controllers, which the Go module proxies do
// not serve. Cilium takes one annotation's name from it; multi-cluster Services are not tested here.
package controllers

// DerivedServiceAnnotation is the name upstream gives it.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
