package template

import (
	"strings"

	"github.com/google/uuid"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-deployment and -scope
var scopeFunctions = map[string]function{
	"parameters": {min: 1, max: 1, do: func(e *env, a args) (any, error) { return e.parameter(a.str(0)) }},
	"variables": {min: 1, max: 1, do: func(e *env, a args) (any, error) {
		if e.params != nil {
			return nil, failed("a function of the template sees its parameters only, no variables")
		}
		return e.t.variable(e, a.str(0))
	}},
	"lambdaVariables": {min: 1, max: 1, do: func(e *env, a args) (any, error) {
		v, ok := e.locals[strings.ToLower(a.str(0))]
		if !ok {
			return nil, failed("no lambda around it has the variable '%s'", a.str(0))
		}
		return v, nil
	}},
	"copyIndex":     {min: 0, max: 2, do: copyIndex},
	"subscription":  {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("subscription", e.t.context.Subscription) }},
	"resourceGroup": {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("resourceGroup", e.t.context.ResourceGroup) }},
	"tenant":        {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("tenant", e.t.context.Tenant) }},
	"deployment":    {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("deployment", e.t.context.Deployment) }},
	"deployer":      {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("deployer", e.t.context.Deployer) }},
	"environment":   {min: 0, max: 0, do: func(e *env, _ args) (any, error) { return e.known("environment", e.t.context.Environment) }},
	"managementGroup": {min: 0, max: 0, do: func(*env, args) (any, error) {
		return nil, failed("there are no management groups in Cloister")
	}},
	"newGuid": {min: 0, max: 0, do: func(e *env, _ args) (any, error) {
		if !e.t.inDefaults {
			return nil, failed("the function 'newGuid' may only stand in a parameter's default value")
		}
		return uuid.NewString(), nil
	}},
	"fail": {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return nil, failed("%s", a.str(0)) }},
}

func (e *env) known(name string, m map[string]any) (any, error) {
	if m == nil {
		return nil, failed("the function '%s' has no value at the scope of this deployment", name)
	}
	return m, nil
}

func (e *env) parameter(name string) (any, error) {
	if e.params != nil {
		if v, ok := e.params[strings.ToLower(name)]; ok {
			return v, nil
		}
		return nil, failed("the function has no parameter '%s'", name)
	}
	return e.t.parameter(name)
}

func copyIndex(e *env, a args) (any, error) {
	loop, offset := e.copy, int64(0)
	switch {
	case a.len() == 2:
		loop, offset = a.str(0), a.num(1)
	case a.len() == 1:
		if n, ok := a.all[0].(int64); ok {
			offset = n
		} else {
			loop = a.str(0)
		}
	}
	i, ok := e.copies[strings.ToLower(loop)]
	if !ok {
		if loop == "" {
			return nil, failed("the function 'copyIndex' stands in no copy loop")
		}
		return nil, failed("the function 'copyIndex' stands in no copy loop '%s'", loop)
	}
	return int64(i) + offset, nil
}
