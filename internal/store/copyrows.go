package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
)

// copyTable is what the databases tell of a table. Rows have their values in the
// order of columns: int64, string, []byte or nil, and 0 or 1 for a boolean.
type copyTable struct {
	name    string
	columns []copyColumn
	key     int             // how many of columns, the first ones, are the primary key
	unique  map[string]bool // columns that no two rows may have alike, besides the key
	parents []string        // tables to which its foreign keys point
}

type copyColumn struct {
	name string
	kind string // PostgreSQL's name of its type
}

// keyRange is the rows whose key is greater than after and not greater than
// through. A nil bounds nothing.
type keyRange struct{ after, through []any }

// pager reads the first rows of a range, at most limit, by their key.
type pager func(ctx context.Context, t *copyTable, r keyRange, limit int) ([][]any, error)

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (t *copyTable) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// pageSQL writes the query of a [pager]. mark begins a parameter, and collate
// follows a text in the key, so that it is compared byte by byte.
func (t *copyTable) pageSQL(mark, collate string, r keyRange, limit int) (string, []any) {
	var list, key []string
	for i, c := range t.columns {
		list = append(list, quote(c.name))
		if i < t.key {
			term := quote(c.name)
			if c.kind == "text" {
				term += collate
			}
			key = append(key, term)
		}
	}
	order := strings.Join(key, ", ")
	var where []string
	var args []any
	for _, bound := range []struct {
		operator string
		key      []any
	}{{" > ", r.after}, {" <= ", r.through}} {
		if bound.key == nil {
			continue
		}
		marks := make([]string, len(bound.key))
		for i, v := range bound.key {
			args = append(args, v)
			marks[i] = mark + strconv.Itoa(len(args))
		}
		where = append(where, "("+order+")"+bound.operator+"("+strings.Join(marks, ", ")+")")
	}
	query := "SELECT " + strings.Join(list, ", ") + " FROM " + quote(t.name)
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return query + " ORDER BY " + order + " LIMIT " + strconv.Itoa(limit), args
}

// walker goes through the rows of a range, in the order of their keys.
type walker struct {
	read  pager
	table *copyTable
	rest  keyRange
	limit int
	page  [][]any
	over  bool
}

// peek returns the next row, or nil when there is none.
func (w *walker) peek(ctx context.Context) ([]any, error) {
	if len(w.page) == 0 && !w.over {
		page, err := w.read(ctx, w.table, w.rest, w.limit)
		if err != nil {
			return nil, err
		}
		w.page, w.over = page, len(page) < w.limit
		if n := len(page); n > 0 {
			w.rest.after = page[n-1][:w.table.key]
		}
	}
	if len(w.page) == 0 {
		return nil, nil
	}
	return w.page[0], nil
}

// merge visits the rows of both sides in the order of their keys: together if
// they have the same key, and else with nil for the other one.
func merge(ctx context.Context, source, target *walker, visit func(source, target []any) error) error {
	for {
		s, err := source.peek(ctx)
		if err != nil {
			return err
		}
		t, err := target.peek(ctx)
		if err != nil || s == nil && t == nil {
			return err
		}
		switch c := source.table.compareKeys(s, t); {
		case c < 0:
			t = nil
		case c > 0:
			s = nil
		}
		source.skip(s)
		target.skip(t)
		if err := visit(s, t); err != nil {
			return err
		}
	}
}

// skip goes on after row, if that is not nil.
func (w *walker) skip(row []any) {
	if row != nil {
		w.page = w.page[1:]
	}
}

// compareKeys orders rows by their keys. No row, nil, comes after all.
func (t *copyTable) compareKeys(a, b []any) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return compareRows(a[:t.key], b[:t.key])
}

// compareRows orders rows of the same table as both databases do.
func compareRows(a, b []any) int { return slices.CompareFunc(a, b, compareValues) }

func compareValues(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case []byte:
		if b, ok := b.([]byte); ok {
			return bytes.Compare(a, b)
		}
	case nil:
		if b == nil {
			return 0
		}
	}
	return strings.Compare(fmt.Sprintf("%T", a), fmt.Sprintf("%T", b)) // NULL and a value
}

// summed is how many rows were read and their checksum.
type summed struct {
	rows int64
	hex  string
}

// digest is a checksum of rows. Every value is written with its type and its
// length, so that no two rows read alike.
type digest struct {
	hash hash.Hash
	rows int64
	text []byte
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

func (d *digest) add(row []any) {
	b := d.text[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = strconv.AppendInt(append(b, 'i'), v, 10)
		case string:
			b = append(append(strconv.AppendInt(append(b, 't'), int64(len(v)), 10), ':'), v...)
		case []byte:
			b = append(append(strconv.AppendInt(append(b, 'b'), int64(len(v)), 10), ':'), v...)
		default:
			b = fmt.Appendf(b, "%T:%v", v, v)
		}
		b = append(b, ';')
	}
	d.hash.Write(append(b, '\n'))
	d.text = b
	d.rows++
}

func (d *digest) sum() summed { return summed{d.rows, hex.EncodeToString(d.hash.Sum(nil))} }

// sum reads a whole table.
func (j *copyJob) sum(ctx context.Context, t *copyTable, read pager, tell func(rows int)) (summed, error) {
	d := newDigest()
	w := &walker{read: read, table: t, limit: j.batch}
	for {
		row, err := w.peek(ctx)
		if err != nil || row == nil {
			return d.sum(), err
		}
		tell(len(w.page))
		for _, row := range w.page {
			d.add(row)
		}
		w.page = nil
	}
}
