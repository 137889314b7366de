package store

import "context"

// tablePlan is what there is to do in a table.
type tablePlan struct {
	CopiedTable

	table *copyTable
	// ranges hold all rows that differ, and not many others: nothing else is read
	// again to write.
	ranges []keyRange
	before string // the checksum of the target
}

// plan compares a table. It writes nothing.
func (j *copyJob) plan(ctx context.Context, p *tablePlan) error {
	m := j.meter("compare", p.table)
	source, target := j.walkers(p.table, keyRange{})
	first, err := target.peek(ctx)
	if err != nil {
		return err
	}
	if first == nil { // the first copy of a large database need not be read twice
		n, err := j.source.count(ctx, p.table)
		if err != nil {
			return err
		}
		p.Source, p.Copied, p.before = n, n, newDigest().sum().hex
		if n > 0 {
			p.ranges = []keyRange{{}}
		}
		m.at.Rows = n
		m.done()
		return nil
	}
	c := comparison{plan: p, digest: newDigest(), batch: j.batch, tell: m.add}
	if err := merge(ctx, source, target, c.visit); err != nil {
		return err
	}
	c.cut(nil)
	p.before = c.digest.sum().hex
	m.done()
	return nil
}

// comparison counts, and cuts the table into pieces of batch rows to note those in
// which something differs.
type comparison struct {
	plan   *tablePlan
	digest *digest
	batch  int
	tell   func(rows int)

	after []any // where the present piece begins
	rows  int
	dirty bool
}

func (c *comparison) visit(source, target []any) error {
	key := source
	if source != nil {
		c.plan.Source++
	}
	if target != nil {
		c.plan.Target++
		c.digest.add(target)
		key = target
	}
	switch {
	case target == nil:
		c.plan.Copied++
	case source == nil:
		c.plan.Deleted++
	case compareRows(source, target) != 0:
		c.plan.Changed++
	default:
		c.rows++
		c.mayCut(key)
		return nil
	}
	c.dirty = true
	c.rows++
	c.mayCut(key)
	return nil
}

func (c *comparison) mayCut(row []any) {
	if c.rows >= c.batch {
		c.cut(row[:c.plan.table.key])
	}
}

// cut ends a piece at a key, or at the end of the table. Neighbours are joined, so
// that a table that differs everywhere is one piece.
func (c *comparison) cut(through []any) {
	if c.dirty {
		last := len(c.plan.ranges) - 1
		if last >= 0 && c.after != nil && compareRows(c.plan.ranges[last].through, c.after) == 0 {
			c.plan.ranges[last].through = through
		} else {
			c.plan.ranges = append(c.plan.ranges, keyRange{c.after, through})
		}
	}
	c.tell(c.rows)
	c.after, c.rows, c.dirty = through, 0, false
}

func (j *copyJob) walkers(t *copyTable, r keyRange) (source, target *walker) {
	return &walker{read: j.source.page, table: t, rest: r, limit: j.batch},
		&walker{read: j.target.page, table: t, rest: r, limit: j.batch}
}

// remove deletes what the source does not have, and rows that have a unique value
// in it that is not theirs any more: two users may have swapped their names, which
// no order of updates could repeat. It reports whether there were such.
func (j *copyJob) remove(ctx context.Context, p *tablePlan) (moved bool, err error) {
	if p.Deleted == 0 && (p.Changed == 0 || len(p.table.unique) == 0) {
		return false, nil
	}
	err = j.each(ctx, "delete", p, func(c *changes, source, target []any) {
		switch {
		case target == nil:
		case source == nil:
			c.deletes = append(c.deletes, target[:p.table.key])
		case p.table.moved(source, target):
			moved = true
			c.deletes = append(c.deletes, target[:p.table.key])
		}
	})
	return moved, err
}

// moved reports whether a unique value differs.
func (t *copyTable) moved(a, b []any) bool {
	for i, c := range t.columns {
		if t.unique[c.name] && compareValues(a[i], b[i]) != 0 {
			return true
		}
	}
	return false
}

// fill copies what the target does not have, and changes what differs.
func (j *copyJob) fill(ctx context.Context, p *tablePlan) error {
	return j.each(ctx, "copy", p, func(c *changes, source, target []any) {
		switch {
		case source == nil:
		case target == nil:
			c.inserts = append(c.inserts, source)
		case compareRows(source, target) != 0:
			c.updates = append(c.updates, source)
		}
	})
}

// each goes through the rows of the plan's ranges and writes what decide notes, a
// batch at a time.
func (j *copyJob) each(ctx context.Context, step string, p *tablePlan, decide func(c *changes, source, target []any)) error {
	m := j.meter(step, p.table)
	var c changes
	flush := func() error {
		if err := j.target.write(ctx, p.table, c); err != nil {
			return err
		}
		m.add(c.size())
		c = changes{}
		return nil
	}
	for _, r := range p.ranges {
		source, target := j.walkers(p.table, r)
		if err := merge(ctx, source, target, func(s, t []any) error {
			decide(&c, s, t)
			if c.size() >= j.batch {
				return flush()
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if c.size() > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	if m.at.Rows > 0 {
		m.done()
	}
	return nil
}
