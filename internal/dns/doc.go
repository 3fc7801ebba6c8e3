// Package dns is the resolver inside virtual networks and the server of the public
// zone. It answers from a file that the daemon writes, and goes on from the last
// one while the daemon is away.
package dns
