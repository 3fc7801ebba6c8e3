// Package net sends real packets through networks that the planner plans and the
// fabric makes, in namespaces of the test's own: one of them plays the host, one the world outside.
package net
