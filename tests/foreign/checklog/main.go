// Checks logs and proofs of this project with the transparency log of the Go project (golang.org/x/mod/sumdb), which
// knows nothing of us. Reads a list of questions as JSON from standard input, writes a list of answers: "" for right,
// else what is wrong. Built and asked by tests/foreign/go.py.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Ask     string      // note, inclusion, consistency or tiles
	Note    string      // a signed note
	Keys    []string    // verifier keys, all of which must have signed it
	Text    string      // what the note must say
	Leaf    tlog.Hash   // hash of a leaf
	Index   int64       // its place
	Size    int64       // of the tree
	Root    tlog.Hash   // of the tree
	OldSize int64       // of the tree before
	OldRoot tlog.Hash   // of the tree before
	Proof   []tlog.Hash // as the question asks
	Folder  string      // with the tiles as they were served
	Entries []string    // base64 of the entries the tree must have, in order
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]string, len(asked))
	for n, q := range asked {
		if err := answer(q); err != nil {
			answers[n] = err.Error()
		}
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}

func answer(q question) error {
	switch q.Ask {
	case "note":
		return checkNote(q)
	case "inclusion":
		return tlog.CheckRecord(q.Proof, q.Size, q.Root, q.Index, q.Leaf)
	case "consistency":
		return tlog.CheckTree(q.Proof, q.Size, q.Root, q.OldSize, q.OldRoot)
	case "tiles":
		return checkTiles(q)
	}
	return errors.New("unknown question")
}

func checkNote(q question) error {
	var known []note.Verifier
	for _, key := range q.Keys {
		verifier, err := newVerifier(key)
		if err != nil {
			return err
		}
		known = append(known, verifier)
	}
	opened, err := note.Open([]byte(q.Note), note.VerifierList(known...))
	if err != nil {
		return err
	}
	if opened.Text != q.Text || len(opened.Sigs) != len(q.Keys) {
		return fmt.Errorf("%d signatures on %q", len(opened.Sigs), opened.Text)
	}
	return nil
}

// checkTiles authenticates every hash of the tree from its tiles, and every entry from its bundle.
func checkTiles(q question) error {
	tiles := tlog.TileHashReader(tlog.Tree{N: q.Size, Hash: q.Root}, folder(q.Folder))
	for n := int64(0); n < q.Size; n++ {
		entry, err := readEntry(q, n)
		if err != nil {
			return err
		}
		hashes, err := tiles.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			return err
		}
		if hashes[0] != tlog.RecordHash(entry) || base64.StdEncoding.EncodeToString(entry) != q.Entries[n] {
			return fmt.Errorf("entry %d is another", n)
		}
		proof, err := tlog.ProveRecord(q.Size, n, tiles)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, q.Size, q.Root, n, hashes[0]); err != nil {
			return err
		}
	}
	return nil
}

func readEntry(q question, n int64) ([]byte, error) {
	tile := tlog.Tile{H: 8, L: 0, N: n / 256, W: width(q.Size, n/256)}
	path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	raw, err := os.ReadFile(filepath.Join(q.Folder, path))
	if err != nil {
		return nil, err
	}
	for at := int64(0); ; at++ {
		if len(raw) < 2 || len(raw) < 2+int(binary.BigEndian.Uint16(raw)) {
			return nil, errors.New("bundle is cut")
		}
		size := 2 + int(binary.BigEndian.Uint16(raw))
		if at == n%256 {
			return raw[2:size], nil
		}
		raw = raw[size:]
	}
}

func width(size, tile int64) int {
	if size >= (tile+1)*256 {
		return 256
	}
	return int(size - tile*256)
}

// folder reads tiles as C2SP tlog-tiles lays them out: without the height in the path.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		raw, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		found = append(found, raw)
	}
	return found, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// newVerifier is note.NewVerifier with the one kind of key more that witnesses have (C2SP tlog-cosignature).
func newVerifier(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != 4 {
		return note.NewVerifier(key)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), raw[1:]}, nil
}

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(c.key, append([]byte(head), text...), signature[8:])
}
