package main

import (
	"crypto/mldsa"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	origin  = "log.example/interop"
	witness = "witness.example/w1"
	leaves  = 13
	index   = 9
)

// makeFiles writes policy, checkpoint, leaf and proof, with new keys.
func makeFiles(dir string) error {
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return err
	}
	log, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	key, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		return err
	}
	cosigner, err := torchwood.NewCosignatureSigner(witness, key)
	if err != nil {
		return err
	}
	tree, proof, err := prove()
	if err != nil {
		return err
	}
	text := torchwood.Checkpoint{Origin: origin, Tree: tree}.String()
	checkpoint, err := note.Sign(&note.Note{Text: text}, log, cosigner)
	if err != nil {
		return err
	}
	policy := fmt.Sprintf("log %s\nwitness w1 %s\nquorum w1\n", vkey, cosigner.Verifier())
	return writeAll(dir, map[string][]byte{
		"policy":     []byte(policy),
		"checkpoint": checkpoint,
		"leaf":       leaf(index),
		"proof":      torchwood.FormatProofWithExtraData(index, []byte("extra"), proof, checkpoint),
	})
}

// prove makes a log of `leaves` leaves and the inclusion proof of leaf `index`.
func prove() (tlog.Tree, tlog.RecordProof, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			hashes[i] = stored[at]
		}
		return hashes, nil
	})
	for i := range int64(leaves) {
		hashes, err := tlog.StoredHashes(i, leaf(i), reader)
		if err != nil {
			return tlog.Tree{}, nil, err
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(leaves, reader)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	proof, err := tlog.ProveRecord(leaves, index, reader)
	return tlog.Tree{N: leaves, Hash: root}, proof, err
}

func leaf(i int64) []byte {
	return fmt.Appendf(nil, "leaf %d", i)
}

func writeAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
