// Package contain holds what tries to get out of a container, and says for each
// attempt what it proves: the program in escape makes the attempts, the tests of
// nodes and of privileged pods judge them.
//
// No attempt harms a machine that it reaches: what can be opened is closed again
// unread or after one byte, settings are written with the value that they have,
// calls get arguments that the kernel refuses after it has looked at the caller's rights.
package contain

// Targets are the things of the machine that the attempts are after. The
// test makes them, and sees to it that the machine's own root reaches them.
type Targets struct {
	Disk       string // major:minor of a block device
	RootDisk   string // major:minor of the disk below /
	RootType   string // its file system
	Terminal   string // major:minor of a pseudo terminal
	File       string // path of a file
	Handle     []byte // the file's handle
	HandleType int32
	Volume     string            // a folder of the guest's that lies on the file's disk; "" for /
	Secret     string            // content of the file and of the key
	Key        string            // description of a key in the keyring of user 0
	Process    string            // argument of a running process
	PID        int               // its number
	Socket     string            // path of a Unix socket
	Abstract   string            // name of an abstract one, without the leading zero
	Port       int               // TCP, on 127.0.0.1
	Control    bool              // the attempts are made by the machine's own root, to see that they would work
	Namespaces map[string]string // name below /proc/self/ns to what the link says
}

// Outcome is what came of an attempt.
type Outcome struct {
	Attempt string
	// Refusal is the kernel's answer, "" when the attempt got out.
	Refusal string
}
