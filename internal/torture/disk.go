package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// small holds the write-ahead log, which grows to 4.2 MB before it is folded in, whatever
// the size of the database. With 4 MB it is full for good, and well again with 8.
const small = "size=16m,mode=0700"

// fillDisk serves from a filesystem of a few megabytes, fills it under load and
// makes room again, and starts once where nothing can be written.
func (tt *torture) fillDisk(ctx context.Context, t *tally) (err error) {
	dir := filepath.Join(tt.dir, t.fault)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("jotgate", dir, "tmpfs", 0, small); err != nil {
		t.remark = fmt.Sprintf("not tried, for mounting is not permitted: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, syscall.Unmount(dir, 0)) }()
	s, err := tt.newSite(ctx, t, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	met := 0
	for t.points < tt.count(3, 30) {
		before := t.unknowns()
		if err := s.fillOnce(ctx, tt.seed+uint64(t.points)); err != nil {
			return err
		}
		if t.unknowns() > before {
			met++
		}
		t.points++
	}
	if met == 0 {
		t.add(odd, "a full disk kept nobody from writing")
	}
	// A log that is begun again needs no room.
	t.remark = fmt.Sprintf("%d of the points kept somebody from writing", met)
	if err := s.readOnly(ctx); err != nil {
		return err
	}
	t.points++
	s.crowd.compare(ctx, true)
	return nil
}

func (s *site) fillOnce(ctx context.Context, seed uint64) error {
	working, enough := context.WithTimeout(ctx, time.Second)
	defer enough()
	wait := s.crowd.drive(working, seed, 2)
	pause(working, 200*time.Millisecond)
	junk := filepath.Join(s.server.dir, "junk")
	if err := fill(junk); err != nil {
		return err
	}
	wait()
	if err := os.Remove(junk); err != nil {
		return err
	}
	s.crowd.compare(ctx, false)
	return ctx.Err()
}

// fill writes until nothing more fits.
func fill(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readOnly starts where nothing can be written, which must not harm what is there. A
// filesystem is not made read-only under files that are open for writing; what a server
// meets whose disk becomes so by itself, EROFS, is among the errors that are injected.
func (s *site) readOnly(ctx context.Context) error {
	remount := func(flags uintptr) error {
		return syscall.Mount("jotgate", s.server.dir, "tmpfs", syscall.MS_REMOUNT|flags, small)
	}
	if err := errors.Join(s.server.kill(), remount(syscall.MS_RDONLY)); err != nil {
		return err
	}
	short, enough := context.WithTimeout(ctx, 3*time.Second)
	defer enough()
	if err := s.server.start(short); err == nil {
		s.tally.add(odd, "the server is ready on a disk that cannot be written")
	}
	return errors.Join(s.server.kill(), remount(0), s.server.start(ctx))
}
