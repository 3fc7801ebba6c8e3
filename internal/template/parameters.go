package template

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// parameter is one that a template, or a function of it, declares.
type parameter struct {
	name string
	typ  string // in lower case
	def  map[string]any
	path []any
}

var types = []string{"string", "securestring", "int", "bool", "object", "secureobject", "array"}

func (t *Template) declare(v any, path []any) (parameter, error) {
	def, ok := v.(map[string]any)
	if !ok {
		return parameter{}, in(failed("a parameter must be an object with 'type', not %s", kind(whole(v))), path...)
	}
	if ref, ok := field(def, "$ref").(string); ok { // a type of languageVersion 2.0's definitions
		name, found := strings.CutPrefix(ref, "#/definitions/")
		typ, ok := field(t.section("definitions"), name).(map[string]any)
		if !found || !ok {
			return parameter{}, in(failed("the template defines no type '%s'", ref), at(path, "$ref")...)
		}
		def = merge(typ, def)
		delete(def, "$ref")
	}
	typ, _ := field(def, "type").(string)
	name, _ := field(def, "name").(string)
	if !slices.Contains(types, strings.ToLower(typ)) {
		return parameter{}, in(failed("the type %s is not known. There are: %s", show(field(def, "type")), strings.Join(types, ", ")), at(path, "type")...)
	}
	return parameter{name, strings.ToLower(typ), def, path}, nil
}

func (p parameter) secure() bool { return strings.HasPrefix(p.typ, "secure") }

// readParameters gives each parameter the value that was sent, or its default.
func (t *Template) readParameters(ctx context.Context, sent map[string]any) error {
	all := t.section("parameters")
	if len(all) > maxParameters {
		return in(failed("the template has %d parameters: at most %d are allowed", len(all), maxParameters), "parameters")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p, err := t.declare(all[name], []any{"parameters", name})
		if err != nil {
			return err
		}
		p.name = name
		t.declared[strings.ToLower(name)] = p
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		p, ok := t.declared[strings.ToLower(name)]
		if !ok {
			return failed("a value is given for the parameter '%s', which the template does not have. It has: %s", name, names(all))
		}
		m, ok := sent[name].(map[string]any)
		v, has := lookup(m, "value")
		if _, vault := lookup(m, "reference"); vault {
			return failed("the parameter '%s' refers to a key vault: Cloister has none, give a 'value'", name)
		}
		if !ok || !has {
			return failed("the value of the parameter '%s' must stand in an object: {\"value\": ..}", name)
		}
		if v == nil && (field(p.def, "nullable") == true || field(p.def, "defaultValue") != nil) {
			continue
		}
		if err := p.check(whole(v)); err != nil {
			return err
		}
		t.values[strings.ToLower(name)] = whole(v)
	}
	return t.defaults(ctx)
}

func (t *Template) defaults(ctx context.Context) error {
	t.inDefaults = true
	defer func() { t.inDefaults = false }()
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(t.declared)) {
		p := t.declared[key]
		if _, ok := t.values[key]; ok {
			continue
		}
		if _, ok := lookup(p.def, "defaultValue"); !ok && field(p.def, "nullable") != true {
			missing = append(missing, p.name)
			continue
		}
		if _, err := t.defaultOf(ctx, key); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return in(failed("these parameters need a value, as they have no default: %s", strings.Join(missing, ", ")), "parameters", missing[0])
	}
	return nil
}

// defaultOf evaluates a default value; it may ask for other parameters.
func (t *Template) defaultOf(ctx context.Context, key string) (any, error) {
	p := t.declared[key]
	if t.under["parameter "+key] {
		return nil, in(failed("the default value of the parameter '%s' depends on itself", p.name), p.path...)
	}
	t.under["parameter "+key] = true
	defer delete(t.under, "parameter "+key)
	v, err := t.env(ctx, nil).value(field(p.def, "defaultValue"), at(p.path, "defaultValue")...)
	if err != nil {
		return nil, err
	}
	if v != nil || field(p.def, "nullable") != true {
		if err := p.check(v); err != nil {
			return nil, in(err, at(p.path, "defaultValue")...)
		}
	}
	t.values[key] = v
	return v, nil
}

// parameter is a parameter's value.
func (t *Template) parameter(name string) (any, error) {
	key := strings.ToLower(name)
	if v, ok := t.values[key]; ok {
		return v, nil
	}
	if _, ok := t.declared[key]; ok && t.inDefaults {
		return t.defaultOf(context.Background(), key)
	}
	if t.outer != nil {
		if v, ok := lookup(t.outer.Parameters, name); ok {
			return whole(v), nil
		}
	}
	return nil, failed("the template has no parameter '%s'. It has: %s", name, names(t.section("parameters")))
}

// checkType holds a value against a type.
func checkType(typ string, v any) error {
	ok := false
	switch strings.TrimPrefix(typ, "secure") {
	case "string":
		_, ok = v.(string)
	case "int":
		_, ok = v.(int64)
	case "bool":
		_, ok = v.(bool)
	case "object":
		_, ok = v.(map[string]any)
	case "array":
		_, ok = v.([]any)
	}
	if !ok {
		return failed("it must be of the type '%s', not %s", typ, kind(v))
	}
	return nil
}

// check holds a value against the parameter's type and bounds.
func (p parameter) check(v any) error {
	if err := checkType(p.typ, v); err != nil {
		return in(failed("the parameter '%s': %s", p.name, err.Error()), p.path...)
	}
	if allowed, ok := field(p.def, "allowedValues").([]any); ok {
		if !p.allows(allowed, v) {
			return in(failed("the parameter '%s' may not be %s. Allowed: %s", p.name, p.shown(v), text(allowed)), at(p.path, "allowedValues")...)
		}
	}
	var size int64
	var what string
	switch v := v.(type) {
	case int64:
		size, what = v, "Value"
	case string:
		size, what = int64(len([]rune(v))), "Length"
	case []any:
		size, what = int64(len(v)), "Length"
	default:
		return nil
	}
	if least, ok := number(field(p.def, "min"+what)).(int64); ok && size < least {
		return in(failed("the parameter '%s' is %s: at least %d is allowed ('min%s'), not %d", p.name, p.shown(v), least, what, size), at(p.path, "min"+what)...)
	}
	if most, ok := number(field(p.def, "max"+what)).(int64); ok && size > most {
		return in(failed("the parameter '%s' is %s: at most %d is allowed ('max%s'), not %d", p.name, p.shown(v), most, what, size), at(p.path, "max"+what)...)
	}
	return nil
}

// allows: an array's elements are each among the allowed values, if it is not itself one of them.
func (p parameter) allows(allowed []any, v any) bool {
	among := func(v any) bool {
		return slices.ContainsFunc(allowed, func(a any) bool { return equal(whole(a), v, true) })
	}
	if among(v) {
		return true
	}
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool { return !among(v) })
}

func (p parameter) shown(v any) string {
	if p.secure() {
		return "a secret"
	}
	return show(v)
}

// Parameter is what clients may see of one: no value, if it is secure.
type Parameter struct {
	Type   string
	Value  any
	Secure bool
}

// Parameters are all, by name as declared.
func (t *Template) Parameters() map[string]Parameter {
	out := map[string]Parameter{}
	for key, p := range t.declared {
		shown := Parameter{Type: typeName(p.typ), Secure: p.secure()}
		if !shown.Secure {
			shown.Value = t.values[key]
		}
		out[p.name] = shown
	}
	return out
}

// Values are all parameters' values, the secure ones too: {"name": {"value": ..}}.
func (t *Template) Values() map[string]any {
	out := map[string]any{}
	for key, p := range t.declared {
		if v, ok := t.values[key]; ok {
			out[p.name] = map[string]any{"value": v}
		}
	}
	return out
}

var typeNames = map[string]string{"string": "String", "securestring": "SecureString", "int": "Int", "bool": "Bool", "object": "Object", "secureobject": "SecureObject", "array": "Array"}

func typeName(typ string) string { return typeNames[strings.ToLower(typ)] }
