// Package arm is the protocol of Azure Resource Manager without any product:
// ids, errors, routing, api-versions, asynchronous operations, paging and etags.
package arm
