package authorization

import (
	"context"
	"regexp"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// maxNotes is the most characters of a lock's notes, as in Azure.
const maxNotes = 512

// lockType is Microsoft.Authorization/locks. The kernel keeps them.
// https://learn.microsoft.com/rest/api/resources/management-locks
func lockType() *arm.Type {
	return &arm.Type{
		Name: arm.TypeLock, APIVersions: []string{"2020-05-01", "2017-04-01", "2016-09-01", "2015-01-01"},
		Names: regexp.MustCompile(`^[^<>%&\\?/]{0,259}[^<>%&\\?/. ]$`), NameRule: "1 to 260 characters without < > % & \\ ? /, and no dot or space at the end",
		Extension: true, Admit: admitLock, View: view, ViewAlone: true,
	}
}

func admitLock(_ context.Context, w *arm.Write) error {
	properties := w.New.Properties()
	level, _ := properties["level"].(string)
	switch {
	case strings.EqualFold(level, arm.LockDelete):
		properties["level"] = arm.LockDelete
	case strings.EqualFold(level, arm.LockWrite):
		properties["level"] = arm.LockWrite
	default:
		w.Fail("InvalidLockLevel", "properties.level", "The level of a lock must be %s or %s, not '%s'.", arm.LockDelete, arm.LockWrite, level)
	}
	if notes, ok := properties["notes"].(string); ok && len([]rune(notes)) > maxNotes {
		w.Fail("InvalidLockNotes", "properties.notes", "The notes of a lock may have %d characters, not %d.", maxNotes, len([]rune(notes)))
	}
	return nil
}
