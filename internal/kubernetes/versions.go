package kubernetes

import "slices"

// versions are the Kubernetes versions that this build can run, oldest first.
// Each has a module below kubernetes/ that builds its programs.
var versions = []string{"1.37.1"}

// Versions lists the Kubernetes versions that this build can run, oldest first.
func Versions() []string { return slices.Clone(versions) }

// DefaultVersion is the version of a cluster that names none.
func DefaultVersion() string { return versions[len(versions)-1] }
