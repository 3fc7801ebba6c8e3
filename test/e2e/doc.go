// Package e2e runs Cloister as a user does, with the real az and kubectl.
package e2e
