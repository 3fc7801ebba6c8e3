// Package identity is who may do what: a directory of one tenant (users, service
// principals, managed identities, groups), OAuth 2.0 and OpenID Connect tokens in
// the shapes that az, Terraform and the Azure SDKs ask for, and Azure role-based
// access control on every operation.
//
// Protocols: RFC 6749 (OAuth 2.0), RFC 8628 (device code), RFC 7519 (JWT),
// https://learn.microsoft.com/azure/active-directory/develop/v2-protocols and
// https://learn.microsoft.com/azure/role-based-access-control/overview.
//
// Documents in the store:
//
//	/identity/tenant                     Tenant
//	/identity/subscriptions/<id>         Subscription
//	/identity/principals/<object id>     Principal
//	/identity/applications/<app id>      Application
//	/identity/users/<user name>          index: object id
//	/identity/owners/<resource id>       index: object id of the resource's managed identity
//	/identity/refresh/<family>           refresh tokens, as hashes
//	/secret/identity/keys/<kid>          signing keys
//
// Role assignments and custom roles are ordinary ARM resources below /res/.
package identity
