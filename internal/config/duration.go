package config

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is written as 1h30m.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes 1h30m0s.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what time.ParseDuration reads.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%s is not a duration like 1h or 90s", b)
	}
	v, err := time.ParseDuration(text)
	*d = Duration(v)
	return err
}
