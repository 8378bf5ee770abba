// Checks, with public libraries only, what Dutabarta writes for everybody to check, and writes the like for it to check.
//
//	interop note VKEY FILE...             x/mod/sumdb/note alone: the log signature
//	interop checkpoint POLICY FILE...     torchwood: log signature, cosignatures and quorum
//	interop proof POLICY LEAF FILE...     torchwood: tlog-proofs of the leaf's bytes
//	interop consistency FILE...           x/mod/sumdb/tlog: one number or base64 hash a line: old size, old root, new size, new root, path
//	interop make DIR                      a log, a witness, a policy, a checkpoint and a proof made without our code
//
// One line of output for each FILE: "ok", or "refused: " and the reason.
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("a command and its files are needed")
	}
	switch command, first, files := args[0], args[1], args[2:]; command {
	case "note":
		verifier, err := note.NewVerifier(first)
		if err != nil {
			return err
		}
		return each(files, func(data []byte) error {
			_, err := note.Open(data, note.VerifierList(verifier))
			return err
		})
	case "checkpoint":
		policies, err := readPolicies(first)
		if err != nil {
			return err
		}
		return each(files, func(data []byte) error {
			return anyOf(policies, func(policy torchwood.Policy) error {
				_, _, err := torchwood.VerifyCheckpoint(data, policy)
				return err
			})
		})
	case "proof":
		policies, err := readPolicies(first)
		if err != nil {
			return err
		}
		leaf, err := os.ReadFile(files[0])
		if err != nil {
			return err
		}
		return each(files[1:], func(data []byte) error {
			return anyOf(policies, func(policy torchwood.Policy) error {
				return torchwood.VerifyProof(policy, tlog.RecordHash(leaf), data)
			})
		})
	case "consistency":
		return each(args[1:], checkConsistency)
	case "make":
		return makeFiles(first)
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}

func each(files []string, check func([]byte) error) error {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := check(data); err != nil {
			fmt.Printf("refused: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
	return nil
}

// readPolicies returns a policy for each log line of the file. tlog-policy accepts any one of the logs;
// torchwood v0.10.0 demands a signature of every log in a file.
func readPolicies(file string) ([]torchwood.Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var logs, rest []string
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "log ") {
			logs = append(logs, line)
		} else {
			rest = append(rest, line)
		}
	}
	var policies []torchwood.Policy
	for _, log := range logs {
		policy, err := torchwood.ParsePolicy([]byte(log + "\n" + strings.Join(rest, "\n")))
		if err != nil {
			return nil, err
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

func anyOf(policies []torchwood.Policy, check func(torchwood.Policy) error) error {
	err := errors.New("the policy names no log")
	for _, policy := range policies {
		if err = check(policy); err == nil {
			return nil
		}
	}
	return err
}

func checkConsistency(data []byte) error {
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < 4 {
		return errors.New("four lines are needed")
	}
	sizes, hashes := make([]int64, 0, 2), make([]tlog.Hash, 0, len(lines))
	for i, line := range lines {
		if i == 0 || i == 2 {
			size, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return err
			}
			sizes = append(sizes, size)
			continue
		}
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return errors.New("not a hash")
		}
		hashes = append(hashes, tlog.Hash(hash))
	}
	return tlog.CheckTree(tlog.TreeProof(hashes[2:]), sizes[1], hashes[1], sizes[0], hashes[0])
}
