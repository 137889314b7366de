package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// copyBatch is how many rows are read, or written in one transaction, at a time.
const copyBatch = 2000

// ErrForeignTarget is a target whose data a copy would destroy.
var ErrForeignTarget = errors.New("store: the target holds data that is not of this source")

// Copy makes a PostgreSQL database equal to an SQLite one: what is missing is
// copied, what differs is changed, what the source does not have is deleted. It
// reads the source in one transaction, so a server may go on writing there, and
// a later Copy brings over what it wrote.
//
// Which tables and columns there are it learns from the databases, so that a
// migration needs no word here. It holds a few thousand rows at a time, and
// commits as many; one that was interrupted is begun again, and finds most of
// its work done.
type Copy struct {
	From *DB    // of [OpenToCopy]
	To   string // postgres://…; never printed
	// Apply writes. Without it, what would be written is counted, and the target
	// is read in transactions that cannot write.
	Apply    bool
	Logger   *slog.Logger
	Now      func() time.Time
	Progress func(CopyProgress)

	batch int // rows; zero stands for copyBatch
}

// CopyProgress tells how far a step is with a table: now and then, and once more
// when it is done.
type CopyProgress struct {
	Step, Table string
	Rows        int64
	Done        bool
	Took        time.Duration
}

// CopyReport is what a [Copy] did, or would do.
type CopyReport struct {
	Applied bool          `json:"applied"`
	Tables  []CopiedTable `json:"tables"`
}

// CopiedTable counts the rows of a table.
type CopiedTable struct {
	Name    string `json:"table"`
	Source  int64  `json:"source"`
	Target  int64  `json:"target"` // before the copy
	Copied  int64  `json:"copied"`
	Changed int64  `json:"changed"`
	Deleted int64  `json:"deleted"`
	// SHA256 is of all values in the order of the primary key, the same on both
	// sides; empty without Apply.
	SHA256 string `json:"sha256,omitempty"`
}

// copyJob is a Copy at work.
type copyJob struct {
	Copy

	source *copySource
	target *copyTarget
	plans  []*tablePlan // parents before children
}

// Run copies. With an error the report tells of what was counted by then.
// [ErrForeignTarget] and a table that differs after the copy are errors that
// running it again does not mend.
func (c Copy) Run(ctx context.Context) (report CopyReport, err error) {
	j := &copyJob{Copy: c}
	if j.batch == 0 {
		j.batch = copyBatch
	}
	if j.source, err = beginSource(ctx, c.From); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, j.source.close(ctx)) }()
	tables, err := j.source.tables(ctx)
	if err != nil {
		return report, err
	}
	if j.target, err = dialTarget(ctx, c.To, !c.Apply); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, j.target.close(ctx)) }()
	if err := j.prepare(ctx, tables); err != nil {
		return report, err
	}
	err = j.run(ctx)
	report.Applied = c.Apply && err == nil
	for _, p := range j.plans {
		report.Tables = append(report.Tables, p.CopiedTable)
	}
	return report, err
}

// prepare refuses a target that is not for this source before it migrates it.
func (j *copyJob) prepare(ctx context.Context, tables []*copyTable) error {
	if err := j.target.admit(ctx, j.source.keys); err != nil {
		return err
	}
	if j.Apply {
		if err := j.migrateTarget(ctx); err != nil {
			return err
		}
	}
	ready, err := j.target.ready(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if ready {
			if err := j.target.match(ctx, t); err != nil {
				return err
			}
		}
		j.plans = append(j.plans, &tablePlan{table: t, CopiedTable: CopiedTable{Name: t.name}})
	}
	j.target.empty = !ready
	return nil
}

func (j *copyJob) run(ctx context.Context) error {
	sums := map[string]string{}
	for _, p := range j.plans {
		if err := j.plan(ctx, p); err != nil {
			return err
		}
		sums[p.Name] = p.before
	}
	if err := j.target.unchanged(sums); err != nil {
		return err
	}
	if !j.Apply {
		return nil
	}
	if err := j.target.begin(ctx, j.source.keys); err != nil {
		return err
	}
	if err := j.write(ctx); err != nil {
		return err
	}
	if err := j.verify(ctx, sums); err != nil {
		return err
	}
	return j.target.finish(ctx, sums)
}

// write deletes in all tables before it copies into any: a name that a deleted
// user had may be another one's now. Children lose rows first and get them last.
func (j *copyJob) write(ctx context.Context) error {
	again := false
	for _, p := range slices.Backward(j.plans) {
		moved, err := j.remove(ctx, p)
		if err != nil {
			return err
		}
		again = again || moved
	}
	for _, p := range j.plans {
		if again { // what was removed took its children with it
			p.ranges = []keyRange{{}}
		}
		if err := j.fill(ctx, p); err != nil {
			return err
		}
		high, err := j.source.highest(ctx, p.table)
		if err != nil {
			return err
		}
		if err := j.target.advance(ctx, p.table, high); err != nil {
			return err
		}
	}
	return nil
}

// verify reads both sides again. It leaves the sums of the target in sums.
func (j *copyJob) verify(ctx context.Context, sums map[string]string) error {
	var errs []error
	for _, p := range j.plans {
		type answer struct {
			sum summed
			err error
		}
		other := make(chan answer, 1)
		go func() {
			sum, err := j.sum(ctx, p.table, j.target.page, func(int) {})
			other <- answer{sum, err}
		}()
		m := j.meter("verify", p.table)
		source, err := j.sum(ctx, p.table, j.source.page, m.add)
		target := <-other
		if err := errors.Join(err, target.err); err != nil {
			return err
		}
		m.done()
		if source != target.sum {
			errs = append(errs, fmt.Errorf("store: table %s differs after the copy: the source has %d rows (SHA-256 %s), the target %d rows (SHA-256 %s)",
				p.Name, source.rows, source.hex, target.sum.rows, target.sum.hex))
			continue
		}
		p.SHA256, sums[p.Name] = target.sum.hex, target.sum.hex
	}
	return errors.Join(errs...)
}

func (j *copyJob) meter(step string, t *copyTable) *meter {
	return &meter{job: j, at: CopyProgress{Step: step, Table: t.name}, start: j.Now()}
}

// meter counts the rows that a step has done.
type meter struct {
	job   *copyJob
	at    CopyProgress
	start time.Time
}

func (m *meter) add(rows int) {
	m.at.Rows += int64(rows)
	m.tell()
}

func (m *meter) done() {
	m.at.Done = true
	m.tell()
}

func (m *meter) tell() {
	m.at.Took = m.job.Now().Sub(m.start)
	if m.job.Progress != nil {
		m.job.Progress(m.at)
	}
}

// sortTables puts parents before children, and else goes by name.
func sortTables(tables []*copyTable) ([]*copyTable, error) {
	slices.SortFunc(tables, func(a, b *copyTable) int { return strings.Compare(a.name, b.name) })
	var sorted []*copyTable
	placed := map[string]bool{}
	for len(sorted) < len(tables) {
		before := len(sorted)
		for _, t := range tables {
			waits := slices.ContainsFunc(t.parents, func(p string) bool { return p != t.name && !placed[p] })
			if !placed[t.name] && !waits {
				placed[t.name] = true
				sorted = append(sorted, t)
			}
		}
		if len(sorted) == before {
			return nil, errors.New("store: the tables of the source refer to each other in a circle")
		}
	}
	return sorted, nil
}
