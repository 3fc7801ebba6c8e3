// Package meta holds the house rules as tests: who may import whom, package
// comments, file sizes, words that do not belong here.
package meta
