// Package app puts Cloister together: it is the only package that knows every
// part, and lists services, resource types and reconcilers one by one.
package app
