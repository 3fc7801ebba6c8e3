package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"cloister.dev/cloister/internal/config"
)

// outdated says why the daemon that runs is not the one that would be started now, or "".
func outdated(c config.Config) (string, error) {
	old, err := os.ReadFile(configFile(c))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // somebody started it by hand, with a configuration of their own
	}
	if err != nil {
		return "", err
	}
	now, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(old, now) {
		return "its configuration has changed", nil
	}
	pid, err := os.ReadFile(pidFile(c))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // it is about to start or to end
	}
	if err != nil {
		return "", err
	}
	same, err := samePrograms("/proc/"+strings.TrimSpace(string(pid))+"/exe", "/proc/self/exe")
	if err != nil || same {
		return "", err
	}
	return "its program has changed", nil
}

// samePrograms compares files, one of which may have been replaced on disk while it runs.
func samePrograms(a, b string) (bool, error) {
	var files [2]*os.File
	var infos [2]fs.FileInfo
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // it has just ended
		}
		if err != nil {
			return false, err
		}
		defer func() { _ = f.Close() }()
		files[i] = f
		if infos[i], err = f.Stat(); err != nil {
			return false, err
		}
	}
	if os.SameFile(infos[0], infos[1]) {
		return true, nil
	}
	if infos[0].Size() != infos[1].Size() {
		return false, nil
	}
	var buf [2][1 << 16]byte
	for {
		n, err := io.ReadFull(files[0], buf[0][:])
		m, err2 := io.ReadFull(files[1], buf[1][:])
		if !bytes.Equal(buf[0][:n], buf[1][:m]) {
			return false, nil
		}
		if err != nil || err2 != nil {
			return ended(err) && ended(err2), nil
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
