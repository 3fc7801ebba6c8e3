// Package containers tests the engine with a real containerd, and what a node is
// able to do and what not. It needs root, and images that were built.
package containers
